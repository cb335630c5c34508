/*
 * A producer, its confirm channels and the broker, from `send` to settlement: three messages, two losses, two nacks, and a deadline
 * for each message that may pass at any moment. Follows lib/producer: Outbox, Unconfirmed, Confirms, NackBackoff, LostInFlight.
 *
 * What a lost connection still holds reaches the broker later, beside the next connection, or never. The broker confirms one message
 * or all up to one, in any order. A verdict that is lost on its way is one that the broker never sent: to the client there is no
 * difference, so that sending and reading it are one step.
 *
 * The graph of states has no cycles, so what must happen in the end is checked where no step is left.
 * `FAULT_…` plants a fault, and `DEADLINES=0` switches deadlines off, which would end whatever is stuck.
 */
#define MESSAGES 3
#define LOSSES 2
#define NACKS 2
/* The most messages written to one channel: each once, and once more for each nack. */
#define NUMBERS 5
#define NONE 7
#ifndef DEADLINES
#define DEADLINES 1
#endif
#ifdef FAULT_RESTORED_LAST
#define RESTORE !
#else
#define RESTORE !!
#endif

mtype = { pending, confirmed, rejected, none, ack, nack };

/* The invariants. */
bool settlesOnce = true, tellsTheTruth = true, nothingConfirmedIsMissing = true, inOrder = true, endsEmpty = true;

/* The client. */
chan outbox = [MESSAGES] of { byte };
bool nacked[MESSAGES];
mtype outcome[MESSAGES] = pending;
/* Attempts that the broker did not decline. */
byte open[MESSAGES], settlements[MESSAGES];
bool maybeDelivered[MESSAGES];
byte epoch, nacks;
/* The present channel: the message of each number, and how many were written. */
byte unconfirmed[NUMBERS] = NONE;
byte written;

/* The broker: bytes on the way to it, by connection; the verdicts it has not sent; the messages in its queue. */
chan pipe0 = [NUMBERS] of { byte };
chan pipe1 = [NUMBERS] of { byte };
chan pipe2 = [NUMBERS] of { byte };
byte taken;
mtype verdict[NUMBERS] = none;
bool stored[MESSAGES];
bool everNacked[MESSAGES];
/* The later messages that were stored before this one: a bit each. */
byte overtakenBy[MESSAGES];

byte m, n, k;
mtype how;

inline settle(result) {
  if
#ifndef FAULT_SETTLED_AGAIN
  :: outcome[m] != pending -> skip
#endif
  :: else ->
    outcome[m] = result;
    settlements[m]++;
    maybeDelivered[m] = open[m] > 0;
    open[m] = 0;
    /* Nothing that the broker does with the message matters any more. */
    if
    :: result == rejected && maybeDelivered[m] -> stored[m] = false; everNacked[m] = false; overtakenBy[m] = 0
    :: else -> skip
    fi
  fi
}

inline store() {
  k = 0;
  do
  :: k == MESSAGES -> break
  :: else ->
    if
    :: k > m && !stored[m] && stored[k] -> overtakenBy[m] = overtakenBy[m] | (1 << k)
    :: else -> skip
    fi;
    k++
  od;
  stored[m] = !(outcome[m] == rejected && maybeDelivered[m])
}

inline drop(q) {
  do
  :: nempty(q) -> q?_
  :: empty(q) -> break
  od
}

/* Unconfirmed.confirm, for one number. */
inline judge() {
  m = unconfirmed[k];
  unconfirmed[k] = NONE;
  if
  :: m == NONE -> skip
  :: m != NONE && how == ack -> settle(confirmed)
  :: else ->
    nacked[m] = (outcome[m] == pending);
#ifdef FAULT_NACK_COUNTS_TWICE
    open[m] = 0
#else
    open[m] = (nacked[m] -> open[m] - 1 : 0)
#endif
  fi
}

inline lose() {
  k = 0;
  do
  :: k == NUMBERS -> break
  :: else ->
    if
    :: unconfirmed[k] == NONE -> skip
    :: else ->
      m = unconfirmed[k];
      unconfirmed[k] = NONE;
#ifdef FAULT_LOSS_DECLINES
      open[m] = 0;
#endif
      if
      :: outcome[m] != pending -> skip
#ifdef REJECT_UNKNOWN
      :: else -> settle(rejected)
#else
#ifdef FAULT_RESEND_LOST
      :: outcome[m] == pending && m == 1 -> skip
#endif
      :: else -> outbox RESTORE m
#endif
      fi
    fi;
#ifdef FAULT_ACKS_SURVIVE
    verdict[k] = (verdict[k] == ack -> ack : none);
#else
    verdict[k] = none;
#endif
    k++
  od;
  epoch++;
  written = 0;
  taken = 0
}

inline check() {
  m = 0;
  do
  :: m == MESSAGES -> break
  :: else ->
    settlesOnce = (settlements[m] <= 1);
    assert(settlesOnce);
    tellsTheTruth = !(outcome[m] == rejected && !maybeDelivered[m] && stored[m]);
    assert(tellsTheTruth);
    nothingConfirmedIsMissing = !(outcome[m] == confirmed && !stored[m]);
    assert(nothingConfirmedIsMissing);
    n = 0;
    do
    :: n == MESSAGES -> break
    :: else ->
      inOrder = !((overtakenBy[m] & (1 << n)) && outcome[m] == confirmed && outcome[n] == confirmed && !everNacked[m]);
      assert(inOrder);
      n++
    od;
    m++
  od;
  m = 0; n = 0; k = 0; how = none
}

/* The pump writes the next message to the present channel. Settled ones are skipped. */
#define WRITE(number, pipe) \
  :: d_step { epoch == number && nempty(outbox) -> \
    outbox?m; \
    if \
    :: outcome[m] != pending -> skip \
    :: else -> unconfirmed[written] = m; written++; open[m]++; pipe!m \
    fi; \
    check() }

/* The broker takes a message from the present connection, and stores it or not. */
#define TAKE(number, pipe) \
  :: d_step { epoch == number && nempty(pipe) -> pipe?m; store(); verdict[taken] = ack; taken++; check() } \
  :: d_step { epoch == number && nempty(pipe) && nacks < NACKS -> \
    pipe?m; nacks++; everNacked[m] = (outcome[m] == pending); verdict[taken] = nack; taken++; check() }

/* What a lost connection still held reaches the broker, or does not. */
#define LATE(number, pipe) \
  :: d_step { epoch > number && nempty(pipe) -> pipe?m; store(); check() } \
  :: d_step { epoch > number && nempty(pipe) -> drop(pipe); check() }

#define ALIKE(one, other) (verdict[one] == none || verdict[one] == verdict[other])
/* The client reads a verdict of one message. */
#define ALONE(number) \
  :: d_step { verdict[number] != none -> how = verdict[number]; verdict[number] = none; k = number; judge(); check() }
/* Or one of all up to a number. */
#define UP_TO(number, alike) \
  :: d_step { verdict[number] != none && alike -> \
    how = verdict[number]; \
    do \
    :: k > number -> break \
    :: else -> verdict[k] = none; judge(); k++ \
    od; \
    check() }

/* The delay after a nack is over: the message goes back to its place. */
#define AGAIN(which) \
  :: d_step { nacked[which] -> \
    nacked[which] = false; \
    if \
    :: outcome[which] != pending -> skip \
    :: else -> outbox RESTORE which \
    fi; \
    check() }

#define DEADLINE(which) \
  :: d_step { DEADLINES && outcome[which] == pending -> m = which; settle(rejected); check() }

active proctype world() {
  d_step { outbox!0; outbox!1; outbox!2 }
  do
  WRITE(0, pipe0)
  WRITE(1, pipe1)
  WRITE(2, pipe2)
  TAKE(0, pipe0)
  TAKE(1, pipe1)
  TAKE(2, pipe2)
  LATE(0, pipe0)
  LATE(1, pipe1)
  ALONE(0)
  ALONE(1)
  ALONE(2)
  ALONE(3)
  ALONE(4)
  UP_TO(1, ALIKE(0, 1))
  UP_TO(2, ALIKE(0, 2) && ALIKE(1, 2))
  UP_TO(3, ALIKE(0, 3) && ALIKE(1, 3) && ALIKE(2, 3))
  UP_TO(4, ALIKE(0, 4) && ALIKE(1, 4) && ALIKE(2, 4) && ALIKE(3, 4))
  AGAIN(0)
  AGAIN(1)
  AGAIN(2)
  DEADLINE(0)
  DEADLINE(1)
  DEADLINE(2)
  :: d_step { epoch < LOSSES -> lose(); check() }
  /* Nothing can happen any more. */
  :: timeout ->
    endsEmpty = (outcome[0] != pending && outcome[1] != pending && outcome[2] != pending && empty(outbox));
    assert(endsEmpty);
    break
  od
}
