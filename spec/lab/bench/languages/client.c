/* librabbitmq in the scenarios of the bench: one job, and its figures on stdout. See languages.ts for the arguments. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static amqp_connection_state_t connection;

static void fail(const char *what) {
  fprintf(stderr, "%s failed\n", what);
  exit(1);
}

static void check(const char *what) {
  if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) fail(what);
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* User and system time of this process, microseconds. */
static double cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* Reads until a frame confirms messages. Returns the highest number that is confirmed in order. */
static uint64_t wait_for_confirms(uint64_t confirmed) {
  amqp_frame_t frame;
  for (;;) {
    amqp_maybe_release_buffers(connection);
    if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK) fail("reading");
    if (frame.frame_type != AMQP_FRAME_METHOD) continue;
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) fail("a message was returned or nacked: publishing");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    return ack->multiple ? ack->delivery_tag : confirmed + 1;
  }
}

static void publish(const char *queue, long count, long window, long bytes, uint64_t *sent, uint64_t *confirmed) {
  char *content = calloc(1, bytes);
  amqp_bytes_t body = {bytes, content};
  const uint64_t last = *sent + count;
  while (*confirmed < last) {
    while (*sent < last && *sent - *confirmed < (uint64_t)window) {
      char id[37];
      snprintf(id, sizeof id, "%08x-0000-4000-8000-%012lx", (unsigned)rand(), (unsigned long)*sent);
      amqp_basic_properties_t properties = {0};
      properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
      properties.delivery_mode = 1;
      properties.message_id = amqp_cstring_bytes(id);
      if (amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 1, 0, &properties, body) != AMQP_STATUS_OK)
        fail("publishing");
      ++*sent;
    }
    *confirmed = wait_for_confirms(*confirmed);
  }
  free(content);
}

static void consume(long count, long ack_every, uint64_t *seen) {
  const uint64_t last = *seen + count;
  while (*seen < last) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    if (amqp_consume_message(connection, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL) fail("consuming");
    ++*seen;
    if (*seen % ack_every == 0 || *seen == last) amqp_basic_ack(connection, 1, envelope.delivery_tag, ack_every > 1);
    amqp_destroy_envelope(&envelope);
  }
}

int main(int argc, char **argv) {
  if (argc != 13) fail("reading the arguments");
  const char *mode = argv[1], *queue = argv[7];
  const long count = atol(argv[8]), warm_up = atol(argv[9]), window = atol(argv[10]), bytes = atol(argv[11]), ack_every = atol(argv[12]);
  connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (!socket || amqp_socket_open(socket, argv[2], atoi(argv[3]))) fail("connecting");
  if (amqp_login(connection, argv[6], 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, argv[4], argv[5]).reply_type != AMQP_RESPONSE_NORMAL)
    fail("logging in");
  amqp_channel_open(connection, 1);
  check("opening a channel");

  double began, cpu;
  if (strcmp(mode, "publish") == 0) {
    uint64_t sent = 0, confirmed = 0;
    amqp_confirm_select(connection, 1);
    check("asking for confirms");
    publish(queue, warm_up, window, bytes, &sent, &confirmed);
    began = now_ms(), cpu = cpu_us();
    publish(queue, count, window, bytes, &sent, &confirmed);
  } else {
    uint64_t seen = 0;
    amqp_basic_qos(connection, 1, 0, window, 0);
    check("setting the prefetch");
    amqp_basic_consume(connection, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    check("starting to consume");
    consume(warm_up, ack_every, &seen);
    began = now_ms(), cpu = cpu_us();
    consume(count, ack_every, &seen);
  }
  printf("{\"messages\":%ld,\"ms\":%f,\"cpu\":%f}\n", count, now_ms() - began, cpu_us() - cpu);
  return 0;
}
