/* Rows through Redis: can a mount read anything older than it may?
 *
 * WHAT IS MODELLED. One row, two mounts that read and save, an outside writer, the sync worker, one Redis. Untimed:
 * anything may take as long as it likes, so a heartbeat is judged by what it covers (`beat_covers`, the version
 * that was visible when its position was noted) and not by its age; heartbeat.pml judges the age.
 *
 *   database   commits a version (it is in the stream then), later makes it visible to SELECT
 *   read       one MGET of heartbeat, epoch, row; else lease, SELECT, fill (sent, not awaited: it may come late or
 *              never)
 *   save       UPDATE; after its success R6, then UNLINK, which may be lost (under a live feed it is left to the worker)
 *   worker     for each commit: wait until it is visible, UNLINK; heartbeats; a new epoch whenever it connects,
 *              crashed, had trouble, or missed a transaction
 *   pinner     epochs, a lease on the whole relation, SELECT, the copies of many rows at once, whatever is there
 *   faults     lost commands, expiry and eviction, a crash, FLUSHALL, a failover to older data
 *
 * RULES. Each has a switch below; with the switch off the checker finds a violation (docs/models/run).
 *
 *   R1  LEASE              a fill goes in only while the token taken before the SELECT stands; UNLINK kills it
 *                                                                        src/engine/reader.c
 *       WHOLE_LEASE,       a pinner's copies go in only while its lease on the relation stands, which the worker UNLINKs,
 *       WHOLE_FIRST        too, and before the row;
 *       FILL_BREAKS        any fill takes it away                         src/engine/pin_whole.c, src/redis/pinner_put.c
 *   R2  BARRIER            a commit is UNLINKed only after it is visible: the stream runs ahead     src/engine/sync.c
 *   R3  RECONNECT_EPOCH,   a feed that begins has a new epoch;
 *       DRAIN,             a transaction older than the feed that ends, committed, without being in the stream:
 *                          another new epoch before the next heartbeat. The epoch itself is published at once;
 *       DRAIN_AFTER_MARK   that is looked at after the heartbeat's position was noted       src/engine/sync.c
 *   R4  (heartbeat.pml)    a heartbeat counts only for its own epoch; the script that sets it checks the epoch
 *                                                                        src/engine/reader.c, sync.c
 *   R5  ONE_MGET,          heartbeat, epoch and row are read in one command;
 *       FILL_OF_MGET       a fill carries the epoch of that MGET, which was before the SELECT  src/engine/reader.c
 *   R6  OWN_SAVES,         after a save, and after a read that PostgreSQL answered, a copy counts only if it is that
 *       OWN_READS          very version, until a heartbeat covers it ("for max_staleness" is that in time)
 *                                                                        src/engine/own.c
 *   R7  TROUBLE_EPOCH,     any failed command of the worker: a new epoch before the next heartbeat  src/engine/sync.c
 *       MOUNT_TROUBLE      a mount whose connection to Redis broke accepts no copy for max_staleness: R6 does not
 *                          remember hits, and the next Redis may have older data and a heartbeat  src/engine/own.c
 *   R8  (tables.pml)       here: no epoch, no fill                        src/engine/reader.c
 *
 * PROPERTIES.
 *   (a) no read of a mount is older than its last save or any read it made before
 *   (b) no copy that may be used is older than what the heartbeat that proves it covers
 *   (c) when all is quiet and the heartbeat covers everything, no copy that may be used is stale
 *
 * ABSTRACTED. A version stands for (xid, text). Reads of one mount follow each other; those that overlap on one mount
 * share a flight (src/engine/reader.c). That the heartbeat
 * is dropped when an epoch begins (src/redis) is left out: it is not needed. UNLINK, MGET and the scripts are atomic: Redis is one thread. */

#ifndef LEASE
#define LEASE 1
#endif
#ifndef WHOLE_LEASE
#define WHOLE_LEASE 1
#endif
#ifndef WHOLE_FIRST
#define WHOLE_FIRST 1
#endif
#ifndef FILL_BREAKS
#define FILL_BREAKS 1
#endif
#ifndef BARRIER
#define BARRIER 1
#endif
#ifndef RECONNECT_EPOCH
#define RECONNECT_EPOCH 1
#endif
#ifndef DRAIN
#define DRAIN 1
#endif
#ifndef DRAIN_AFTER_MARK
#define DRAIN_AFTER_MARK 1
#endif
#ifndef ONE_MGET
#define ONE_MGET 1
#endif
#ifndef FILL_OF_MGET
#define FILL_OF_MGET 1
#endif
#ifndef OWN_SAVES
#define OWN_SAVES 1
#endif
#ifndef OWN_READS
#define OWN_READS 1
#endif
#ifndef MOUNT_TROUBLE
#define MOUNT_TROUBLE 1
#endif
#ifndef TROUBLE_EPOCH
#define TROUBLE_EPOCH 1
#endif

/* What may happen, how often. */
#ifndef READS0
#define READS0 1 /* of the first mount */
#endif
#ifndef READS1
#define READS1 2 /* of the second */
#endif
#ifndef SAVES
#define SAVES 1 /* of the first mount */
#endif
#ifndef COMMITS
#define COMMITS 1 /* of others */
#endif
#ifndef PINS
#define PINS 0 /* how often the relation is put there by a pinner */
#endif
#ifndef ROW_PINS
#define ROW_PINS 0 /* how often the row alone is, by the pinner of another worker that does not know of this one */
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 0 /* commands of the worker that Redis did not do */
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef FAILOVERS
#define FAILOVERS 0 /* 0 or 1 */
#endif

#ifndef RELIABLE
#define RELIABLE 0 /* 1: every mount gets its answers, and nothing expires (fewer states) */
#endif

/* --- PostgreSQL --- */
byte committed = 1, visible = 1;

/* --- Redis --- */
mtype = { EMPTY, LEASED, VALUE };
typedef Redis {
	mtype kind;                  /* of the row's key */
	byte token, version, of_epoch;
	byte whole;                  /* the lease on the relation; 0: none */
	byte epoch;                  /* 0: missing */
	byte beat_of, beat_covers;   /* beat_covers 0: no heartbeat stands */
};
Redis redis, replica;
byte server = 0;                     /* another one after a failover */
bool replicated;

/* --- Fills that were sent and have not come --- */
typedef Fill { byte token, version, of_epoch };
Fill fill[2];

byte next_epoch = 2;

#define proved (redis.epoch != 0 && redis.beat_covers != 0 && redis.beat_of == redis.epoch)
#define usable (redis.kind == VALUE && redis.of_epoch == redis.epoch && proved)

inline end_whole() { if :: FILL_BREAKS -> redis.whole = 0 :: else fi }

inline unlink() { redis.kind = EMPTY; redis.token = 0; redis.version = 0; redis.of_epoch = 0 }

proctype Database()
{
	byte n;
end:	do
	:: d_step { n < COMMITS && committed == visible -> n++; committed++ }
	:: d_step { visible < committed -> visible++ }
	od
}

proctype Network()
{
end:	do
	:: d_step {
		fill[0].token != 0 ->
		if
		:: !LEASE || (redis.kind == LEASED && redis.token == fill[0].token) ->
			end_whole();
			redis.kind = VALUE; redis.token = 0;
			redis.version = fill[0].version; redis.of_epoch = fill[0].of_epoch
		:: else
		fi;
		fill[0].token = 0; fill[0].version = 0; fill[0].of_epoch = 0
	}
	:: d_step {
		fill[1].token != 0 ->
		if
		:: !LEASE || (redis.kind == LEASED && redis.token == fill[1].token) ->
			end_whole();
			redis.kind = VALUE; redis.token = 0;
			redis.version = fill[1].version; redis.of_epoch = fill[1].of_epoch
		:: else
		fi;
		fill[1].token = 0; fill[1].version = 0; fill[1].of_epoch = 0
	}
	od
}

proctype Mount(byte me; byte reads; byte saves)
{
	byte token, epoch, row_epoch, covers, version;
	byte newest;      /* what this mount has saved or read */
	byte remembered;  /* R6; 0: nothing */
	byte connected;   /* to which server */
	bool distrust;    /* R7: until a heartbeat covers what was read before */
	bool hit, leased, reached;

end:	do
	/* --- A read --- */
	:: reads > 0 ->
		reads--;
		token = 8 * (me + 1) + reads;
#if !ONE_MGET
		d_step { version = (redis.kind == VALUE -> redis.version : 0); row_epoch = redis.of_epoch };
#endif
		if
		:: d_step {
#if ONE_MGET
			version = (redis.kind == VALUE -> redis.version : 0);
			row_epoch = redis.of_epoch;
#endif
			epoch = redis.epoch;
			covers = redis.beat_covers;
			hit = proved && version != 0 && row_epoch == epoch;
			reached = true;
			if
			:: connected != server -> /* the command fails */
				hit = false; reached = false; epoch = 0
			:: else
			fi;
			if
			:: hit && distrust && covers < newest -> hit = false; reached = false
			:: hit && remembered != 0 && version != remembered && covers < remembered ->
				hit = false; reached = false /* PostgreSQL, without a fill */
			:: else
			fi;
			if
			:: hit ->
				assert(version >= newest);  /* (a) */
				assert(version >= covers);  /* (b) */
				newest = version
			:: else
			fi
		}
		:: d_step { !RELIABLE -> hit = false; reached = false; epoch = 0 } /* no answer in time */
		fi;
		if
		:: hit
		:: !hit ->
			if
			:: atomic {
				reached && epoch != 0 && fill[me].token == 0 &&
				(!LEASE || redis.kind == EMPTY || (redis.kind == VALUE && redis.of_epoch != epoch)) ->
				redis.kind = LEASED; redis.token = token;
				redis.version = 0; redis.of_epoch = 0;
				if :: leased = true :: !RELIABLE -> leased = false /* the reply was lost */ fi
			}
			:: leased = false
			fi;
			d_step { /* SELECT */
				version = visible;
				assert(version >= newest);
				newest = version;
				if :: OWN_READS -> remembered = version :: else fi
			};
			d_step {
				leased ->
				fill[me].token = token;
				fill[me].version = version;
				fill[me].of_epoch = (FILL_OF_MGET -> epoch : redis.epoch)
			} unless { !leased }
		fi;
		d_step { version = 0; hit = false; leased = false; reached = false; token = 0; epoch = 0; row_epoch = 0; covers = 0 }

	/* It connects again, maybe for another row. */
	:: d_step { connected != server -> connected = server; distrust = MOUNT_TROUBLE }

	/* --- A save --- */
	:: d_step { saves > 0 && committed == visible -> saves--; committed++; version = committed };
		d_step {
			visible >= version ->
			newest = version;
			if :: OWN_SAVES -> remembered = version :: else fi
		};
		if
		:: d_step { unlink(); version = 0 }
		:: d_step { version = 0 } /* lost */
		fi
	od
}

#if PINS
proctype Pinner()
{
	byte epoch, version, took_at, pins;

end:	do
	:: d_step { pins < PINS -> pins++; epoch = redis.epoch; took_at = server };
		if
		:: d_step { epoch != 0 && took_at == server -> redis.whole = pins };
			d_step { version = visible };
			d_step {
				if
				:: took_at == server && (!WHOLE_LEASE || redis.whole == pins) ->
					redis.kind = VALUE; redis.token = 0;
					redis.version = version; redis.of_epoch = epoch
				:: else
				fi
			};
			d_step { /* it is given back, or is not, and then ends some time */
				if
				:: took_at == server && redis.whole == pins -> redis.whole = 0
				:: else
				fi;
				version = 0; epoch = 0; took_at = 0
			}
		:: d_step { epoch == 0 || took_at != server -> epoch = 0; took_at = 0 }
		fi
	od
}
#endif

#if ROW_PINS
proctype RowPinner()
{
	byte epoch, version, took_at, pins;

end:	do
	:: d_step { pins < ROW_PINS -> pins++; epoch = redis.epoch; took_at = server };
		if
		:: d_step {
			epoch != 0 && took_at == server &&
			(redis.kind == EMPTY || (redis.kind == VALUE && redis.of_epoch != epoch)) ->
			redis.kind = LEASED; redis.token = 7; redis.version = 0; redis.of_epoch = 0
		};
			d_step { version = visible };
			d_step {
				if
				:: took_at == server && redis.kind == LEASED && redis.token == 7 ->
					end_whole();
					redis.kind = VALUE; redis.token = 0;
					redis.version = version; redis.of_epoch = epoch
				:: else
				fi;
				version = 0; epoch = 0; took_at = 0
			}
		:: d_step { true -> epoch = 0; took_at = 0 }
		fi
	od
}
#endif

proctype Worker()
{
	byte epoch = 1, done = 1;
	byte older;            /* a transaction that the feed will not show, while it runs; 0: none */
	bool missed;
	byte covers, target;   /* of the heartbeat under way */
	bool beating;
	bool trouble;
	byte connected = 0;    /* to which server */
	byte crashes, losses;
#if PINS
	bool dropping;         /* half of it is done */
#define forget_drop dropping = false
#else
#define forget_drop skip
#endif

#define in_order (!trouble && connected == server)
#define broken   (trouble || connected != server)

end:	do
	/* The next commit. */
#if PINS
	:: d_step {
		in_order && !dropping && done < committed && (!BARRIER || visible > done) -> dropping = true;
		if :: WHOLE_FIRST -> redis.whole = 0 :: else -> unlink() fi
	}
	:: d_step {
		in_order && dropping -> dropping = false; done++;
		if :: WHOLE_FIRST -> unlink() :: else -> redis.whole = 0 fi
	}
#else
	:: d_step { in_order && done < committed && (!BARRIER || visible > done) -> unlink(); done++ }
#endif
	:: d_step {
		in_order && losses < LOSSES && done < committed && (!BARRIER || visible > done) ->
		losses++; done++; trouble = TROUBLE_EPOCH; forget_drop
	}
	/* A command fails because the connection did, whatever it was. */
	:: d_step { connected != server && !TROUBLE_EPOCH -> connected = server }

	/* A heartbeat. */
	:: d_step {
		in_order && !beating && (redis.beat_covers != visible || redis.beat_of != epoch) ->
		if :: DRAIN && !DRAIN_AFTER_MARK -> missed = (older != 0 && visible >= older) :: else fi;
		beating = true
	};
		d_step { covers = visible; target = committed }
	:: d_step {
		in_order && beating && done >= target ->
		if :: DRAIN && DRAIN_AFTER_MARK -> missed = (older != 0 && visible >= older) :: else fi;
		if
		:: missed -> /* a new epoch first; this heartbeat is given up */
			epoch = next_epoch; next_epoch++;
			redis.epoch = epoch;
			missed = false; older = 0
		:: else ->
			if
			:: redis.epoch == epoch -> redis.beat_of = epoch; redis.beat_covers = covers
			:: else -> trouble = true
			fi
		fi;
		beating = false; covers = 0; target = 0
	}

	/* A new epoch after trouble with Redis: the feed goes on. */
	:: d_step {
		broken && (TROUBLE_EPOCH || trouble) ->
		connected = server; trouble = false;
		epoch = next_epoch; next_epoch++;
		redis.epoch = epoch;
		beating = false; covers = 0; target = 0; forget_drop
	}

	/* Dead, and another begins: a new slot, which shows what commits from now on. */
	:: d_step {
		crashes < CRASHES -> crashes++;
		beating = false; covers = 0; target = 0; missed = false; trouble = false; epoch = 0; forget_drop
	};
		d_step {
			done = committed;
			older = (visible < committed -> committed : 0);
			connected = server
		};
		d_step {
			if
			:: RECONNECT_EPOCH ->
				epoch = next_epoch; next_epoch++;
				redis.epoch = epoch
			:: else -> epoch = redis.epoch
			fi
		}
	od
}

/* What Redis may do by itself. */
proctype Faults()
{
	byte flushes;
end:	do
	:: d_step { !RELIABLE && redis.kind != EMPTY -> unlink() } /* expiry, eviction */
	:: d_step { !RELIABLE && redis.whole != 0 -> redis.whole = 0 }
	:: d_step { !RELIABLE && redis.beat_covers != 0 && redis.beat_covers < committed -> redis.beat_covers = 0; redis.beat_of = 0 }
	:: d_step {
		flushes < FLUSHES -> flushes++;
		unlink(); redis.whole = 0; redis.epoch = 0; redis.beat_of = 0; redis.beat_covers = 0
	}
#if FAILOVERS
	:: d_step {
		!replicated -> replicated = true;
		replica.whole = redis.whole;
		replica.kind = redis.kind; replica.token = redis.token; replica.version = redis.version;
		replica.of_epoch = redis.of_epoch; replica.epoch = redis.epoch;
		replica.beat_of = redis.beat_of; replica.beat_covers = redis.beat_covers
	}
	:: d_step {
		replicated && server == 0 -> server = 1;
		redis.whole = replica.whole; replica.whole = 0;
		redis.kind = replica.kind; redis.token = replica.token; redis.version = replica.version;
		redis.of_epoch = replica.of_epoch; redis.epoch = replica.epoch;
		redis.beat_of = replica.beat_of; redis.beat_covers = replica.beat_covers;
		replica.kind = EMPTY; replica.token = 0; replica.version = 0; replica.of_epoch = 0;
		replica.epoch = 0; replica.beat_of = 0; replica.beat_covers = 0
	}
#endif
	od
}

proctype Properties()
{
end:	if
	:: atomic { usable && redis.version < redis.beat_covers -> assert(false) } /* (b), and (c): */
	:: atomic {
		usable && redis.beat_covers == committed && visible == committed && redis.version != committed ->
		assert(false)
	}
	fi
}

init
{
	atomic {
		redis.epoch = 1; redis.beat_of = 1; redis.beat_covers = 1;
		redis.kind = EMPTY; replica.kind = EMPTY;
		if :: redis.kind = VALUE; redis.version = 1; redis.of_epoch = 1 :: true fi;
		run Database(); run Network(); run Mount(0, READS0, SAVES); run Mount(1, READS1, 0); run Worker(); run Faults();
#if PINS
		run Pinner();
#endif
#if ROW_PINS
		run RowPinner();
#endif
		run Properties()
	}
}
