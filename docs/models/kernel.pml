/* The kernel's copies: when may OPEN and stat be answered without asking anybody?
 *
 * WHAT IS MODELLED. One row, one mount, its kernel, the worker, the channel. Time is counted in ticks; any
 * step may happen at any tick, and as many as you like within one, except where "takes less than" is said.
 *
 *   database   commits a version (it is in the stream then), later makes it visible to SELECT
 *   worker     waits for visibility, UNLINKs the copy in Redis, publishes a numbered notice; beats: notes Redis'
 *              time and the position, and when all up to it is published, sets `hb` and publishes a heartbeat
 *              with its deadline. It may pause anywhere, die, and be replaced under another epoch; a heartbeat of
 *              the dead one may still come
 *   channel    delays at will, loses messages, breaks
 *   mount      follower (handles messages in order), timer, LOOKUPs, OPENs, saves, a table of nodes
 *   kernel     remembers what LOOKUP told it. An invalidation of what it does not have yet does nothing
 *
 * RULES. Each has a switch below; with the switch off the checker finds a violation (docs/models/run).
 *
 *   K1  MARK_BEFORE_READ    a read notes the mark counter before it looks at Redis or PostgreSQL. One that joins
 *                           another's flight has the flight's number           src/engine/reader.c, marks.c
 *   K2  TOLD_AS_OF_READ     a node carries that number, however it was told          src/fuse/nodes.c
 *   K3  TELL_ONE_STEP       live? no newer mark? and entering the node: one step      src/fuse/nodes.c
 *   K4  MARK_BEFORE_NOTIFY  a notice marks the key first, then tells the kernel       src/engine/follow.c
 *   K5  MARK_BEFORE_LIVE,   a heartbeat extends `live_until` only when the marks and the kernel's
 *       NOTIFY_BEFORE_LIVE  notifications of all earlier messages are done            src/engine/follow.c
 *   K6  DEADLINE_FROM_M0    live_until = m0 + (D - T): m0 is read before Redis is asked for T   src/engine/follow.c
 *   K7  GAP_DROPS,          a number missing or another epoch: mark all keys, expire all of the kernel's
 *       EPOCH_DROPS         entries, then go on with the message                      src/engine/follow.c
 *   K8  SUBSCRIBE_DROPS     the same after a SUBSCRIBE was *confirmed*: what was told between the break and
 *                           the confirmation may have missed its notice. Before it is too early  src/engine/follow.c
 *   K9  LAPSE_EXPIRES       when live_until passes, all of the kernel's entries are expired. No marks are needed
 *                           for that: OPEN looks at live_until itself              src/engine/follow.c
 *   K10 REPEAT,             whoever invalidates (notice, drop, lapse, save) invalidates a node again R after its
 *       REPEAT_LAPSE,       telling, if that was less than R ago. A telling begins with the decision and ends
 *       REPEAT_IN_FLIGHT    when the reply is written: one still on its way counts     src/engine/follow.c, src/fuse/nodes.c
 *   K11 OPEN_ONE_STEP       OPEN looks at live_until and the mark in one step (or at live_until first)
 *                                                                                    src/fuse/nodes.c
 *   K12 OWN_MARKS           a save marks the key and tells the kernel, after the commit, before its reply;
       R6_FIRST            it is remembered for R6 before that, or a LOOKUP in between finds the old copy in Redis
 *                                                                       src/engine/reader.c, marks.c
 *   K13 UNLINK_FIRST,       the worker publishes a key after its UNLINK, and that after the commit is visible
 *       BARRIER                                                                      src/engine/sync.c
 *   K14 BEAT_LAST           the heartbeat is published after every key up to the position it noted
 *                                                                                    src/engine/sync.c
 *
 * PROPERTIES.
 *   open_is_fresh   OPEN, answered from what the node was told, never serves a version that was replaced
 *                   max_staleness or more before it began, nor one older than a save of this mount
 *   stat_is_fresh   the kernel alone never shows a version that was replaced max_staleness + R ago or more.
 *                   If a thread of the daemon was held up between decision and reply (PAUSES), then, beyond
 *                   that, for less than R after the reply
 *   stat_of_own     the kernel alone never shows a version older than a save of this mount; where a LOOKUP had
 *                   overlapped the save: for less than R after the LOOKUP's reply
 *
 * ABSTRACTED. A mark is modelled by what it does: everything that was noted before it counts as `marked`; with
 * numbers that is `number < mark of the key's slot`, and keys that share a slot only ask more often. The lease and
 * the fill are one step with the SELECT (cache.pml proves them). Told without being live, or with a newer mark:
 * the kernel remembers nothing (timeout 0). The kernel's own protection of inodes that it has (attr_version) is
 * left out: it only helps. R stands for the longest time from a reply's write() to the entry in the kernel,
 * rounded up; no clock but the two of Redis and the mount is compared, and only differences. */

#ifndef MARK_BEFORE_READ
#define MARK_BEFORE_READ 1
#endif
#ifndef TOLD_AS_OF_READ
#define TOLD_AS_OF_READ 1
#endif
#ifndef TELL_ONE_STEP
#define TELL_ONE_STEP 1
#endif
#ifndef MARK_BEFORE_NOTIFY
#define MARK_BEFORE_NOTIFY 1
#endif
#ifndef MARK_BEFORE_LIVE
#define MARK_BEFORE_LIVE 1
#endif
#ifndef NOTIFY_BEFORE_LIVE
#define NOTIFY_BEFORE_LIVE 1
#endif
#ifndef DEADLINE_FROM_M0
#define DEADLINE_FROM_M0 1
#endif
#ifndef GAP_DROPS
#define GAP_DROPS 1
#endif
#ifndef EPOCH_DROPS
#define EPOCH_DROPS 1
#endif
#ifndef SUBSCRIBE_DROPS
#define SUBSCRIBE_DROPS 1 /* 0: drops when the break is noticed, before it subscribes again; 2: never */
#endif
#ifndef LAPSE_EXPIRES
#define LAPSE_EXPIRES 1
#endif
#ifndef REPEAT
#define REPEAT 1
#endif
#ifndef REPEAT_LAPSE
#define REPEAT_LAPSE 1
#endif
#ifndef REPEAT_IN_FLIGHT
#define REPEAT_IN_FLIGHT 1
#endif
#ifndef OPEN_ONE_STEP
#define OPEN_ONE_STEP 1
#endif
#ifndef OWN_MARKS
#define OWN_MARKS 1
#endif
#ifndef R6_FIRST
#define R6_FIRST 1
#endif
#ifndef UNLINK_FIRST
#define UNLINK_FIRST 1
#endif
#ifndef BARRIER
#define BARRIER 1
#endif
#ifndef BEAT_LAST
#define BEAT_LAST 1
#endif

/* What may go wrong, how often. */
#ifndef COMMITS
#define COMMITS 1 /* of others */
#endif
#ifndef SAVES
#define SAVES 0
#endif
#ifndef BEATS
#define BEATS 3
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef PAUSES
#define PAUSES 0 /* 1: a thread may be held up between decision and reply */
#endif
#ifndef LOOKERS
#define LOOKERS 1
#endif
#ifndef REDIS
#define REDIS 1 /* 0: no copies in Redis: every LOOKUP asks PostgreSQL */
#endif

#define S 2 /* max_staleness, in ticks */
#define R 2 /* a reply takes less from write() into the kernel */
#ifndef TIME
#define TIME 6
#endif
#define VERSIONS 4 /* 1 is there at first; 0 is none */

byte now = 1;

/* --- PostgreSQL --- */
byte committed = 1, visible = 1;
byte replaced_at[VERSIONS]; /* when the next version became visible; 0: it has not */

/* --- Redis --- */
byte copy;       /* the version held there, of the present epoch; 0: none */
byte beat_until; /* `hb` stands until then */

/* --- The channel: kind, epoch, number, deadline --- */
mtype = { NOTICE, BEAT };
chan wire = [3] of { mtype, byte, byte, byte };
bool subscribed = true, broken;
byte losses;

/* --- The mount --- */
byte live_until;             /* 0: not live */
bool marked[VERSIONS];       /* by version: the key got a mark after the node's number, or there is no node */
byte recent[VERSIONS];       /* ticks until its last telling is R ago */
byte telling[VERSIONS];      /* tellings decided whose reply is not written yet */
bool repeat_due[VERSIONS];   /* invalidate it again when `recent` has run out */
bool note_marked[LOOKERS];   /* the key got a mark after this LOOKUP noted the counter */
byte own;                    /* the last version that this mount saved and acknowledged */
byte remembered, remembered_at; /* the same for R6 */

/* --- The kernel --- */
byte shown;                  /* what stat shows without asking; 0: it asks */
byte reply_age[LOOKERS];     /* ticks since a reply was written that the kernel has not taken in; 255: none */
byte reply[LOOKERS];         /* its version; 0: not to be remembered */

#define NONE 255
#define r6_accepts(v) (remembered == 0 || (v) == remembered || remembered_at + S <= now)
#define is_live (now < live_until)
#define is_old(v, bound) (replaced_at[v] != 0 && replaced_at[v] + (bound) <= now)

/* --- What the mount does to keep its kernel right --- */

inline mark_key()
{
	marked[1] = true; marked[2] = true; marked[3] = true;
	note_marked[0] = true; note_marked[LOOKERS - 1] = true
}

/* A telling that is less than R old may reach the kernel only after this. */
#define unsure(v) (recent[v] > 0 || (REPEAT_IN_FLIGHT && telling[v] > 0))

inline tell_kernel(again)
{
	shown = 0;
	if
	:: REPEAT && (again) ->
		repeat_due[1] = repeat_due[1] || unsure(1);
		repeat_due[2] = repeat_due[2] || unsure(2);
		repeat_due[3] = repeat_due[3] || unsure(3)
	:: else
	fi
}

#define repeat_now(v) (repeat_due[v] && recent[v] == 0 && telling[v] == 0)

proctype Clock()
{
end:	do
	:: d_step {
		now < TIME &&
		/* A reply takes less than R. */
		(reply_age[0] == NONE || reply_age[0] < R - 1) &&
#if LOOKERS > 1
		(reply_age[1] == NONE || reply_age[1] < R - 1) &&
#endif
		/* The timer is on time. */
		!(LAPSE_EXPIRES && live_until != 0 && now >= live_until) &&
		!repeat_now(1) &&
		!repeat_now(2) &&
		!repeat_now(3) ->
		now++;
		beat_until = (beat_until > now -> beat_until : 0);
		recent[1] = (recent[1] > 0 -> recent[1] - 1 : 0);
		recent[2] = (recent[2] > 0 -> recent[2] - 1 : 0);
		recent[3] = (recent[3] > 0 -> recent[3] - 1 : 0);
		reply_age[0] = (reply_age[0] != NONE -> reply_age[0] + 1 : NONE);
#if LOOKERS > 1
		reply_age[1] = (reply_age[1] != NONE -> reply_age[1] + 1 : NONE)
#endif
	}
	od
}

/* Lapses and repetitions. In the daemon this may be the follower, between messages. */
proctype Timer()
{
end:	do
	:: d_step {
		live_until != 0 && now >= live_until && LAPSE_EXPIRES ->
		live_until = 0;
		tell_kernel(REPEAT_LAPSE)
	}
	:: d_step {
		repeat_now(1) ->
		repeat_due[1] = false;
		if :: shown == 1 -> shown = 0 :: else fi
	}
	:: d_step {
		repeat_now(2) ->
		repeat_due[2] = false;
		if :: shown == 2 -> shown = 0 :: else fi
	}
	:: d_step {
		repeat_now(3) ->
		repeat_due[3] = false;
		if :: shown == 3 -> shown = 0 :: else fi
	}
	od
}

/* --- The database --- */

/* The row's lock: the next version is committed when the last is visible. */
proctype Others()
{
	byte n;
end:	do
	:: d_step { n < COMMITS && committed == visible -> n++; committed++ }
	:: d_step { visible < committed -> replaced_at[visible] = now; visible++ }
	od
}

/* --- The worker --- */

inline publish(kind, epoch, number, deadline)
{
	if
	:: !subscribed
	:: subscribed && len(wire) < 3 -> wire!kind, epoch, number, deadline
	:: subscribed && losses < LOSSES -> losses++
	fi
}

proctype Worker()
{
	byte epoch = 1, number, done = 1, beats, crashes, asked, target;
	byte late_epoch, late_number, late_deadline; /* a heartbeat of a worker that is dead */
	bool half;                                   /* one of UNLINK and notice is done */
	bool asking;
end:	do
	:: atomic {
		!half && done < committed && (!BARRIER || visible > done) ->
		if
		:: UNLINK_FIRST -> copy = 0
		:: else -> number++; publish(NOTICE, epoch, number, 0)
		fi;
		half = true
	}
	:: atomic {
		half ->
		if
		:: UNLINK_FIRST -> number++; publish(NOTICE, epoch, number, 0)
		:: else -> copy = 0
		fi;
		half = false;
		done++
	}
	/* First the time, then the position. */
	:: d_step { !asking && beats < BEATS -> asking = true; beats++; asked = now; target = committed }
	:: atomic {
		asking && (!BEAT_LAST || (done >= target && !half)) ->
		if :: asked + S > now -> beat_until = asked + S :: else fi;
		number++;
		publish(BEAT, epoch, number, asked + S);
		asking = false; asked = 0; target = 0
	}
#if CRASHES
	:: atomic {
		crashes < CRASHES ->
		crashes++;
		if
		:: asking && done >= target && !half ->
			late_epoch = epoch; late_number = number + 1; late_deadline = asked + S
		:: true
		fi;
		half = false; asking = false; asked = 0; target = 0
	};
	done = committed; /* its slot begins here: what came between, nobody tells */
	atomic {
		visible >= done -> /* R3 */
		epoch++; number = 0; copy = 0; beat_until = 0
	}
	:: atomic {
		late_epoch != 0 ->
		publish(BEAT, late_epoch, late_number, late_deadline);
		late_epoch = 0; late_number = 0; late_deadline = 0
	}
#endif
	od
}

proctype Network()
{
	byte n;
	mtype kind; byte e, k, d;
end:	do
	:: d_step {
		n < BREAKS && subscribed ->
		n++;
		subscribed = false; broken = true;
		do :: len(wire) > 0 -> wire?kind, e, k, d :: else -> break od;
		kind = 0; e = 0; k = 0; d = 0
	}
	od
}

/* --- The mount's follower --- */

/* Are the earlier messages done with? */
#define may_go_on ((!to_mark || !MARK_BEFORE_LIVE) && \
                   (!to_notify || !NOTIFY_BEFORE_LIVE || (to_mark && !MARK_BEFORE_LIVE)))

proctype Follower()
{
	mtype kind;
	byte epoch, number, deadline;
	byte expected_epoch = 1, expected = 1; /* expected 0: whatever comes */
	bool drop;                             /* of this message's gap or epoch, to be done */
	bool to_mark, to_notify;
	byte until;

end:	do
	:: atomic {
		!broken && nempty(wire) && may_go_on &&
		!((to_mark || to_notify) && wire ?? [NOTICE, _, _, _]) ->
		wire?kind, epoch, number, deadline;
		drop = (EPOCH_DROPS && epoch != expected_epoch) ||
		       (GAP_DROPS && epoch == expected_epoch && expected != 0 && number != expected);
		expected_epoch = epoch;
		expected = number + 1
	};
		if
		:: drop -> d_step { mark_key(); drop = false };
			d_step { tell_kernel(true) }
		:: else
		fi;
		if
		:: kind == NOTICE ->
			d_step { to_mark = true; to_notify = true; kind = 0; epoch = 0; number = 0; deadline = 0 }
		:: kind == BEAT ->
			/* m0, now; Redis is asked, and says T at some later time; the reply comes still later. */
			until = now;
			d_step { /* T */
				if
				:: deadline <= now -> until = 0
				:: deadline > now && DEADLINE_FROM_M0 -> until = until + (deadline - now)
				:: else -> until = deadline - now
				fi
			};
			d_step {
				if :: until != 0 && !DEADLINE_FROM_M0 -> until = now + until :: else fi;
				if :: until > now && until > live_until -> live_until = until :: else fi;
				until = 0; kind = 0; epoch = 0; number = 0; deadline = 0
			}
		fi
	:: d_step { to_mark && (MARK_BEFORE_NOTIFY || !to_notify) -> mark_key(); to_mark = false }
	:: d_step { to_notify && (!MARK_BEFORE_NOTIFY || !to_mark) -> tell_kernel(true); to_notify = false }
	:: broken && !to_mark && !to_notify ->
		if
		:: SUBSCRIBE_DROPS == 0 -> d_step { mark_key() }; d_step { tell_kernel(true) }
		:: else
		fi;
		d_step { subscribed = true; broken = false; expected = 0 };
		if
		:: SUBSCRIBE_DROPS == 1 -> d_step { mark_key() }; d_step { tell_kernel(true) }
		:: else
		fi
	od
}

/* --- LOOKUP, as often as you like --- */

inline write_reply()
{
	if
	:: remember -> telling[v]--; recent[v] = R; reply[me] = v; reply_age[me] = 0
	:: else
	fi;
	note_marked[me] = true;
	v = 0; remember = false
}

inline enter_node()
{
	marked[v] = TOLD_AS_OF_READ && note_marked[me] && marked[v];
	if :: remember -> telling[v]++ :: else fi;
#if !PAUSES
	write_reply()
#endif
}

proctype Lookup(byte me)
{
	byte v;
	bool remember;

end:	do
	:: reply_age[me] == NONE ->
		if :: MARK_BEFORE_READ -> note_marked[me] = false :: else fi;
		atomic {
			if
			/* Under proof (R5); own saves (R6). */
			:: REDIS && copy != 0 && beat_until > now && r6_accepts(copy) ->
				v = copy
			:: v = visible
			:: REDIS && copy == 0 -> v = visible; copy = visible
			fi;
		};
		if :: !MARK_BEFORE_READ -> note_marked[me] = false :: else fi;
		d_step {
			remember = is_live && !note_marked[me];
			if :: TELL_ONE_STEP -> enter_node() :: else fi
		};
#if !TELL_ONE_STEP
		d_step { enter_node() };
#endif
#if PAUSES
		d_step { write_reply() }
#endif
	/* It reaches the kernel. */
	:: d_step {
		reply_age[me] != NONE ->
		shown = reply[me];
		reply[me] = 0;
		reply_age[me] = NONE
	}
	od
}

/* --- This mount's saves --- */

proctype Save()
{
	byte n, mine;
end:	do
	:: d_step { n < SAVES && committed == visible -> n++; committed++; mine = committed };
		visible >= mine;
		if :: R6_FIRST -> d_step { remembered = mine; remembered_at = now } :: else fi;
		d_step { if :: OWN_MARKS -> mark_key() :: else fi };
		d_step { /* and it is acknowledged */
			if :: OWN_MARKS -> tell_kernel(true) :: else fi;
			if :: !R6_FIRST -> remembered = mine; remembered_at = now :: else fi;
			own = mine; mine = 0
		}
	od
}

/* --- Properties --- */

#define open_serves(v) (!marked[v] && is_live)
#define open_is_wrong(v) (open_serves(v) && (is_old(v, S) || v < own))
#define may_be_late(v) (recent[v] > 0 || repeat_due[v])
#define stat_is_wrong(v) (shown == v && ((is_old(v, S + R) && !(PAUSES && may_be_late(v))) || \
                                         (v < own && !may_be_late(v))))

proctype Properties()
{
end:	if
	:: atomic { open_is_wrong(1) || open_is_wrong(2) || open_is_wrong(3) -> assert(false) }
	:: atomic { stat_is_wrong(1) || stat_is_wrong(2) || stat_is_wrong(3) -> assert(false) }
	fi
}

#if !OPEN_ONE_STEP
proctype Open()
{
	byte v, began;
	do
	:: atomic {
		if
		:: !marked[1] -> v = 1; began = now
		:: !marked[2] -> v = 2; began = now
		fi
	};
		if
		:: d_step { is_live -> assert(!(replaced_at[v] != 0 && replaced_at[v] + S <= began)); v = 0; began = 0 }
		:: d_step { !is_live -> v = 0; began = 0 }
		fi
	od
}
#endif

init
{
	atomic {
		marked[1] = true; marked[2] = true; marked[3] = true;
		reply_age[0] = NONE;
		note_marked[0] = true;
#if LOOKERS > 1
		reply_age[1] = NONE;
		note_marked[1] = true;
#endif
		if :: copy = 1 :: true fi;
		run Clock(); run Timer(); run Others(); run Worker(); run Network(); run Follower(); run Lookup(0);
#if LOOKERS > 1
		run Lookup(1);
#endif
#if SAVES
		run Save();
#endif
#if !OPEN_ONE_STEP
		run Open();
#endif
		run Properties()
	}
}
