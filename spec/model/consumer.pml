/*
 * A consumer, its channels and the broker, from delivery to settlement: three messages, two losses, a prefetch of two, handlers that
 * settle each delivery in any order, at any time and more than once, and acks that wait to share a frame. Follows lib/consumer:
 * ConsumerChannel, ChannelDelivery, AckBatch, OrderedMap.
 *
 * A delivery tag counts per channel. The broker closes the channel over a tag that it does not know.
 *
 * Settling again is the one thing that may happen for ever; `again` bounds it, so that the graph of states has no cycles.
 * `FAULT_…` plants a fault.
 */
#define MESSAGES 3
#define LOSSES 2
#define REQUEUES 2
#define AGAIN 2
#define PREFETCH 2
/* Deliveries of one channel: each message once, and once more for each requeue. Numbered from 1. */
#define TAGS 6
#define NONE 7

mtype = { unsettled, acked, requeued, lost, none, ack, ackUpTo, requeue };

/* The invariants. */
bool settlesOnItsChannel = true, nothingUnsettledIsGone = true, withinPrefetch = true, endsEmpty = true;

/* The broker: the messages that are ready, sorted; those unacked on the present channel, by tag; those that are gone. */
chan ready = [MESSAGES] of { byte };
byte unacked[TAGS] = NONE;
byte outstanding;
byte last;
bool gone[MESSAGES];
byte epoch;
chan deliveries = [TAGS] of { byte, byte };
chan frames = [8] of { mtype, byte };

/* The client: the deliveries of each channel by tag, and the acks that wait. */
typedef Channel { mtype state[TAGS] = none; byte message[TAGS] = NONE };
Channel channels[3];
bool waiting[TAGS];
byte held;
byte requeues, again;
/* Was a delivery of this message acked, and did that say `true`? */
bool saidAcked[MESSAGES];

byte tag, m, k, lowest;
mtype how;

inline check() {
  withinPrefetch = (held <= PREFETCH && outstanding <= PREFETCH);
  assert(withinPrefetch);
  m = 0;
  do
  :: m == MESSAGES -> break
  :: else ->
    nothingUnsettledIsGone = !(gone[m] && !saidAcked[m]);
    assert(nothingUnsettledIsGone);
    m++
  od;
  tag = 0; m = 0; k = 0; lowest = 0; how = none
}

/* The broker forgets one delivery, as this frame says. */
inline forget(t) {
  m = unacked[t];
  unacked[t] = NONE;
  outstanding--;
  if
  :: how == requeue -> ready!!m
  :: else -> gone[m] = true
  fi
}

/* AckBatch.take and ConsumerChannel.flush. */
inline flush() {
  lowest = TAGS;
  k = TAGS;
  do
  :: k == 0 -> break
  :: else ->
    k--;
    if
    :: channels[epoch].state[k] == unsettled -> lowest = k
    :: else -> skip
    fi
  od;
  tag = 0;
  k = 0;
  do
  :: k == TAGS -> break
  :: else ->
    if
#ifdef FAULT_MULTIPLE_OVER_UNSETTLED
    :: waiting[k] -> tag = k; waiting[k] = false
#else
    :: waiting[k] && k < lowest -> tag = k; waiting[k] = false
#endif
    :: else -> skip
    fi;
    k++
  od;
  if
  :: tag > 0 ->
    nothingUnsettledIsGone = (tag <= lowest);
    assert(nothingUnsettledIsGone);
    frames!ackUpTo(tag)
  :: else -> skip
  fi;
  k = 0;
  do
  :: k == TAGS -> break
  :: else ->
    if
    :: waiting[k] -> waiting[k] = false; frames!ack(k)
    :: else -> skip
    fi;
    k++
  od
}

#define HELD(e, t) (channels[e].state[t] != none)
/* A handler settles a delivery, of whichever channel; twice, and late, as well. */
#define SETTLE(e, t) \
  :: d_step { channels[e].state[t] == unsettled -> \
    channels[e].state[t] = acked; held--; saidAcked[channels[e].message[t]] = true; waiting[t] = true; check() } \
  :: d_step { channels[e].state[t] == unsettled && requeues < REQUEUES -> \
    channels[e].state[t] = requeued; held--; requeues++; frames!requeue(t); check() } \
  :: d_step { STALE(e, t) && again < AGAIN -> again++; SETTLED_AGAIN(e, t); check() }
#ifdef FAULT_SETTLED_AGAIN
#define STALE(e, t) (e == epoch && HELD(e, t) && channels[e].state[t] != unsettled)
#define SETTLED_AGAIN(e, t) waiting[t] = true
#else
#ifdef FAULT_SETTLED_ON_THE_NEXT_CHANNEL
#define STALE(e, t) (e < epoch && channels[e].state[t] == lost)
#define SETTLED_AGAIN(e, t) saidAcked[channels[e].message[t]] = true; waiting[t] = true
#else
/* Ignored: the delivery knows that it is settled or lost. */
#define STALE(e, t) false
#define SETTLED_AGAIN(e, t) skip
#endif
#endif
#define SETTLE_ALL(e) SETTLE(e, 1) SETTLE(e, 2) SETTLE(e, 3) SETTLE(e, 4) SETTLE(e, 5)

active proctype world() {
  d_step { ready!0; ready!1; ready!2 }
  do
  /* The broker delivers the first message that is ready. */
#ifdef FAULT_PREFETCH_IGNORED
  :: d_step { nempty(ready) ->
#else
  :: d_step { nempty(ready) && outstanding < PREFETCH ->
#endif
    ready?m;
    last++;
    unacked[last] = m;
    outstanding++;
    deliveries!last(m);
    check() }
  :: d_step { nempty(deliveries) ->
    deliveries?tag(m);
    channels[epoch].state[tag] = unsettled;
    channels[epoch].message[tag] = m;
    held++;
    check() }
  SETTLE_ALL(0)
  SETTLE_ALL(1)
  SETTLE_ALL(2)
  /* The acks that wait are sent. */
  :: d_step { waiting[1] || waiting[2] || waiting[3] || waiting[4] || waiting[5] -> flush(); check() }
  /* The broker reads a frame. */
  :: d_step { nempty(frames) ->
    frames?how(tag);
    settlesOnItsChannel = (unacked[tag] != NONE);
    assert(settlesOnItsChannel);
    k = (how == ackUpTo -> 1 : tag);
    do
    :: k > tag -> break
    :: else ->
      if
      :: unacked[k] == NONE -> skip
      :: else ->
        nothingUnsettledIsGone = (how == requeue || channels[epoch].state[k] == acked);
        assert(nothingUnsettledIsGone);
        forget(k)
      fi;
      k++
    od;
    check() }
  /* The connection is lost, with settlements in flight: the broker takes back what is unacked. */
  :: d_step { epoch < LOSSES ->
    do
    :: nempty(frames) -> frames?_(_)
    :: empty(frames) -> break
    od;
    do
    :: nempty(deliveries) -> deliveries?_(_)
    :: empty(deliveries) -> break
    od;
    k = 0;
    do
    :: k == TAGS -> break
    :: else ->
      if
      :: unacked[k] == NONE -> skip
#ifdef FAULT_UNACKED_NOT_DELIVERED_AGAIN
      :: unacked[k] == 2 -> unacked[k] = NONE
#endif
      :: else -> ready!!unacked[k]; unacked[k] = NONE
      fi;
      waiting[k] = false;
      if
      :: channels[epoch].state[k] == unsettled -> channels[epoch].state[k] = lost
      :: else -> skip
      fi;
      k++
    od;
    outstanding = 0;
    held = 0;
    last = 0;
    epoch++;
    check() }
  /* Nothing can happen any more. */
  :: timeout ->
    endsEmpty = (gone[0] && gone[1] && gone[2]);
    assert(endsEmpty);
    break
  od
}
