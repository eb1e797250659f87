/* The heartbeat's time: is nothing older than max_staleness ever proved?
 *
 * WHAT IS MODELLED. Time in ticks, one row, two workers of which the second takes over while the first may only be
 * paused, one mount that reads through Redis. Every step may wait as long as it likes: a pause of a worker is just
 * that. Fills are one step with their SELECT, and visibility does not lag (cache.pml has both).
 *
 * RULES. Each has a switch; with the switch off the checker finds a violation.
 *
 *   R4  ABSOLUTE_DEADLINE  `hb` is set with PXAT t0 + max_staleness on Redis' own clock. A life that the worker counts
 *                          before it sends (PX) is too long after a pause           src/engine/sync.c
 *       TIME_FIRST         t0 is asked before the position is noted                  src/engine/sync.c
 *       POSITION_PASSED    and `hb` is set only when all up to the position is UNLINKed  src/engine/sync.c
 *   R3  TAKEOVER_EPOCH     the worker that takes over begins a new epoch             src/engine/sync.c
 *   R5  ONE_MGET           heartbeat, epochs and row are read in one command, so that the heartbeat stands at that very
 *                          moment                                                    src/engine/reader.c
 *
 * NOT NEEDED for freshness, and checked to hold without (switch NO_EPOCH_IN_BEAT): that the script checks the epoch, and
 * that a copy counts only with a heartbeat of its own epoch. A late heartbeat of a worker that was replaced says only
 * what is true: all that was committed by t0 was UNLINKed. Both are kept: they cost nothing, the script's answer is how
 * a worker learns that it was replaced, and a worker that is wrong about its feed proves nothing of another's.
 *
 * PROPERTY. A copy that is used was replaced less than max_staleness ago, if at all. */

#ifndef ABSOLUTE_DEADLINE
#define ABSOLUTE_DEADLINE 1
#endif
#ifndef TIME_FIRST
#define TIME_FIRST 1
#endif
#ifndef POSITION_PASSED
#define POSITION_PASSED 1
#endif
#ifndef NO_EPOCH_IN_BEAT
#define NO_EPOCH_IN_BEAT 0
#endif
#ifndef SCRIPT_CHECKS
#define SCRIPT_CHECKS (!NO_EPOCH_IN_BEAT)
#endif
#ifndef BEAT_EPOCH
#define BEAT_EPOCH (!NO_EPOCH_IN_BEAT)
#endif
#ifndef TAKEOVER_EPOCH
#define TAKEOVER_EPOCH 1
#endif
#ifndef ONE_MGET
#define ONE_MGET 1
#endif

#ifndef COMMITS
#define COMMITS 1
#endif
#ifndef BEATS
#define BEATS 1 /* of each worker */
#endif
#ifndef READS
#define READS 2
#endif
#ifndef TIME
#define TIME 5
#endif
#define S 2 /* max_staleness, in ticks */

byte now = 1;
byte newest = 1;        /* version of the row in PostgreSQL */
byte replaced_at[5];    /* by version; 0: it is the newest */

/* Redis */
byte copy, copy_epoch;  /* version 0: none */
byte epoch;             /* 0: missing */
byte beat_until, beat_epoch;
byte next_epoch = 1;

byte leader = 1;        /* who holds the advisory lock */

proctype Clock()
{
end:	do
	:: d_step {
		now < TIME -> now++;
		if :: beat_until <= now -> beat_until = 0; beat_epoch = 0 :: else fi
	}
	od
}

proctype Others()
{
	byte n;
end:	do
	:: d_step { n < COMMITS -> n++; replaced_at[newest] = now; newest++ }
	od
}

/* The first worker loses its connection, and with it the lock; it may not know that yet. */
proctype Takeover()
{
end:	d_step { leader == 1 -> leader = 2 }
}

proctype Worker(byte me)
{
	byte mine, done, dropping, asked, position, life, beats;
	byte stage; /* 1: it has the time (or the position), 2: both, 3: a command with `life` is on its way */

end:	leader == me;
	done = newest; /* its slot begins here */
	d_step {
		if
		:: TAKEOVER_EPOCH || me == 1 ->
			mine = next_epoch; next_epoch++;
			epoch = mine
		:: else -> mine = epoch
		fi
	};
end2:	do
	/* Only the leader's stream goes on; a command that was on its way goes through at any time. */
	:: d_step { leader == me && dropping == 0 && done < newest -> dropping = 1 }
	:: d_step { dropping == 1 -> copy = 0; copy_epoch = 0; done++; dropping = 0 }

	:: d_step {
		leader == me && stage == 0 && beats < BEATS -> beats++; stage = 1;
		if :: TIME_FIRST -> asked = now :: else -> position = newest fi
	}
	:: d_step {
		leader == me && stage == 1 -> stage = 2;
		if :: TIME_FIRST -> position = newest :: else -> asked = now fi
	}
	:: d_step {
		stage == 2 && ((done >= position && dropping == 0) || !POSITION_PASSED) && !ABSOLUTE_DEADLINE ->
		if :: asked + S > now -> life = asked + S - now; stage = 3 :: else -> stage = 0 fi;
		asked = 0; position = 0
	}
	:: d_step {
		(stage == 2 && ((done >= position && dropping == 0) || !POSITION_PASSED) && ABSOLUTE_DEADLINE) ||
		stage == 3 ->
		if
		:: SCRIPT_CHECKS && epoch != mine
		:: else ->
			if
			:: stage == 3 -> beat_until = now + life; beat_epoch = mine
			:: stage == 2 && asked + S > now -> beat_until = asked + S; beat_epoch = mine
			:: else
			fi
		fi;
		stage = 0; asked = 0; position = 0; life = 0
	}
	od
}

#define proved (epoch != 0 && now < beat_until && (!BEAT_EPOCH || beat_epoch == epoch))

proctype Mount()
{
	byte n, seen_epoch;
	bool fresh;
end:	do
	:: n < READS ->
		n++;
#if !ONE_MGET
		d_step { fresh = proved; seen_epoch = epoch };
#endif
		d_step {
#if ONE_MGET
			fresh = proved; seen_epoch = epoch;
#endif
			if
			:: fresh && copy != 0 && copy_epoch == seen_epoch ->
				assert(replaced_at[copy] == 0 || replaced_at[copy] + S > now)
			:: else
			fi
		};
		d_step { /* and then, or later, somebody fills */
			if
			:: seen_epoch != 0 && copy_epoch != seen_epoch -> copy = newest; copy_epoch = seen_epoch
			:: else
			fi;
			seen_epoch = 0; fresh = false
		}
	od
}

init { atomic { run Clock(); run Others(); run Takeover(); run Worker(1); run Worker(2); run Mount() } }
