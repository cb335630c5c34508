// RabbitMQ's Java client in the scenarios of the bench: one job, and its figures on stdout. See languages.ts for the arguments.
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConfirmListener;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

public final class Client {
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  /** User and system time of this process, microseconds. */
  private static double cpu() {
    return SYSTEM.getProcessCpuTime() / 1e3;
  }

  private static void report(int count, long began, double before) {
    double after = cpu();
    System.out.printf(
        "{\"messages\":%d,\"ms\":%f,\"cpu\":%f}%n", count, (System.nanoTime() - began) / 1e6, after - before);
  }

  public static void main(String[] args) throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setHost(args[1]);
    factory.setPort(Integer.parseInt(args[2]));
    factory.setUsername(args[3]);
    factory.setPassword(args[4]);
    factory.setVirtualHost(args[5]);
    String queue = args[6];
    int count = Integer.parseInt(args[7]);
    int warmUp = Integer.parseInt(args[8]);
    int window = Integer.parseInt(args[9]);
    int bytes = Integer.parseInt(args[10]);
    int ackEvery = Integer.parseInt(args[11]);
    Connection connection = factory.newConnection();
    Channel channel = connection.createChannel();
    if (args[0].equals("publish")) publish(channel, queue, count, warmUp, window, new byte[bytes]);
    else consume(channel, queue, count, warmUp, window, ackEvery);
    connection.abort();
    System.exit(0);
  }

  private static void publish(Channel channel, String queue, int count, int warmUp, int window, byte[] body)
      throws Exception {
    Semaphore room = new Semaphore(window);
    channel.confirmSelect();
    channel.addConfirmListener(
        new ConfirmListener() {
          private long confirmed = 0;

          @Override
          public void handleAck(long tag, boolean multiple) {
            int more = multiple ? (int) (tag - confirmed) : 1;
            confirmed += more;
            room.release(more);
          }

          @Override
          public void handleNack(long tag, boolean multiple) {
            System.err.println("a message was nacked");
            System.exit(1);
          }
        });
    publish(channel, queue, warmUp, room, body, 0);
    room.acquire(window);
    room.release(window);
    long began = System.nanoTime();
    double before = cpu();
    publish(channel, queue, count, room, body, warmUp);
    room.acquire(window);
    report(count, began, before);
  }

  private static void publish(Channel channel, String queue, int count, Semaphore room, byte[] body, int from)
      throws Exception {
    for (int i = 0; i < count; i++) {
      room.acquire();
      AMQP.BasicProperties properties =
          new AMQP.BasicProperties.Builder()
              .deliveryMode(1)
              .messageId(String.format("00000000-0000-4000-8000-%012x", from + i))
              .build();
      channel.basicPublish("", queue, true, false, properties, body);
    }
  }

  private static void consume(Channel channel, String queue, int count, int warmUp, int window, int ackEvery)
      throws Exception {
    CountDownLatch done = new CountDownLatch(1);
    channel.basicQos(window);
    channel.basicConsume(
        queue,
        false,
        new DefaultConsumer(channel) {
          private int seen = 0;
          private long began;
          private double before;

          @Override
          public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body)
              throws IOException {
            seen++;
            boolean last = seen == warmUp + count;
            if (seen % ackEvery == 0 || last) getChannel().basicAck(envelope.getDeliveryTag(), ackEvery > 1);
            if (seen == warmUp) {
              began = System.nanoTime();
              before = cpu();
            } else if (last) {
              report(count, began, before);
              done.countDown();
            }
          }
        });
    done.await();
  }
}
