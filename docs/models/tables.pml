/* Table epochs and keys: TRUNCATE, DDL, bulk changes, key changes, tables that are covered later.
 *
 * WHAT IS MODELLED. One relation with two keys, and one row that may move from key 1 to key 2. The relation has a
 * version that TRUNCATE, DDL and bulk changes count up: they change every row and send no keys, so the worker answers
 * with a new table epoch. Redis may lose the table epoch's key (eviction, FLUSHALL), and the worker makes another when
 * it finds that (broker_count_tables). With -DLATER the relation is not covered at first: an ALTER PUBLICATION adds
 * it, and a transaction that began before that is never streamed. Untimed; a heartbeat always stands, and where the
 * worker's reaction is waited for, "quiet" means that it has had it: it is what a heartbeat waits for.
 *
 * RULES. Each has a switch; with the switch off the checker finds a violation.
 *
 *   R8  UNIQUE          a table epoch is a unique name; missing is never a default: no hit, no fill. A counter that was
 *                       lost begins again and repeats                         src/engine/reader.c, sync.c
 *   T1  TABLE_EPOCH     TRUNCATE, DDL, bulk: a new table epoch                src/engine/sync.c
 *   T2  TABLE_BARRIER   and only when the change is visible, as for keys (R2)  src/engine/sync.c
 *   T3  BOTH_KEYS       a key change UNLINKs the old name and the new         src/engine/sync.c
 *   T4  FILL_OF_MGET    a fill carries the table epoch of its MGET, which was before the SELECT (R5)
 *                                                                             src/engine/reader.c
 *   T5  LATER_DRAIN     a table that is covered later gets its epoch only after every transaction of a snapshot taken
 *                       after the ALTER's commit has ended                    src/engine/sync.c, src/pg (feed_inspect)
 *   T6  SNAPSHOT_AFTER  the snapshot is taken after that commit, not before   src/engine/sync.c, src/pg (feed_inspect)
 *   T7  REPLACE_OLD     a lease may replace a copy of another table epoch, else after a new one nothing is ever
 *                       filled again. (Not freshness: nothing to violate here; tests/unit shows it.)
 *
 * PROPERTY. When all is quiet, no copy that may be used differs from what SELECT says; a key that has no row has no
 * copy that may be used. */

#ifndef UNIQUE
#define UNIQUE 1
#endif
#ifndef TABLE_EPOCH
#define TABLE_EPOCH 1
#endif
#ifndef TABLE_BARRIER
#define TABLE_BARRIER 1
#endif
#ifndef BOTH_KEYS
#define BOTH_KEYS 1
#endif
#ifndef FILL_OF_MGET
#define FILL_OF_MGET 1
#endif
#ifndef LATER_DRAIN
#define LATER_DRAIN 1
#endif
#ifndef SNAPSHOT_AFTER
#define SNAPSHOT_AFTER 1
#endif

#ifndef WHOLE
#define WHOLE 2  /* changes of the whole table */
#endif
#ifndef READS
#define READS 2  /* of each key */
#endif
#ifndef EVICTIONS
#define EVICTIONS 1
#endif
#ifndef LATER
#define LATER 0
#endif

/* --- PostgreSQL. A row's text is the table's version; 0: no row of this key --- */
byte version = 1, version_committed = 1;   /* what SELECT sees; what the stream has */
byte place = 1, place_committed = 1;       /* the row's key, likewise */
byte old_transaction;                      /* began before the ALTER: 1 open, 2 ended */
bool altered = !LATER;                     /* the ALTER's commit */

/* --- Redis --- */
typedef Copy { byte version, epoch, token };    /* token: a lease */
Copy copy[3];                                  /* by key */
byte epoch;                                    /* 0: missing */
byte names = 1;                                /* unique names given so far */

/* --- The worker --- */
byte version_done = 1, place_done = 1;
bool covered = !LATER;
bool snapshot_has;                             /* the old transaction: it is waited for */

#define says(key) (place == key -> version : 0)
#define counts(e) (!UNIQUE || (e) != 0)

inline drop(key) { copy[key].version = 0; copy[key].epoch = 0; copy[key].token = 0 }

inline new_epoch()
{
	if
	:: UNIQUE -> names++; epoch = names
	:: else -> epoch++ /* INCR */
	fi
}

proctype Others()
{
	byte n;
	bool moved;
end:	do
	:: d_step { n < WHOLE && (!LATER || altered) && version_committed == version -> n++; version_committed++ }
	:: d_step { version < version_committed -> version++ }
	:: d_step { !moved && (!LATER || altered) -> moved = true; place_committed = 2 }
	:: d_step { place < place_committed -> place = 2 }
#if LATER
	/* Its changes are never streamed: to the feed they never happened. */
	:: d_step { old_transaction == 0 && !altered -> old_transaction = 1 }
	:: d_step {
		old_transaction == 1 && version == version_committed ->
		old_transaction = 2; version++; version_committed++; version_done++
	}
	:: d_step { !altered -> altered = true }
#endif
	od
}

proctype Reader(byte key)
{
	byte n, seen_epoch, text;
	bool leased;
end:	do
	:: n < READS -> n++;
		d_step {
			seen_epoch = epoch;
			leased = counts(seen_epoch) && copy[key].token == 0 &&
				 (copy[key].version == 0 || copy[key].epoch != seen_epoch);
			if
			:: leased -> copy[key].version = 0; copy[key].epoch = 0; copy[key].token = n
			:: else
			fi
		};
		text = says(key);
		d_step { /* a missing row is not filled */
			if
			:: leased && text != 0 && copy[key].token == n && counts((FILL_OF_MGET -> seen_epoch : epoch)) ->
				copy[key].version = text;
				copy[key].epoch = (FILL_OF_MGET -> seen_epoch : epoch);
				copy[key].token = 0
			:: else
			fi;
			seen_epoch = 0; text = 0; leased = false
		}
	od
}

proctype Worker()
{
	bool half, waits;
end:	do
	/* A key change: two UNLINKs. */
	:: d_step {
		covered && !half && place_done < place_committed && place > place_done ->
		if :: BOTH_KEYS -> drop(1) :: else fi;
		half = true
	}
	:: d_step { half -> drop(2); place_done = 2; half = false }
	/* The whole table. */
	:: d_step {
		covered && version_done < version_committed && (!TABLE_BARRIER || version > version_done) ->
		version_done++;
		if :: TABLE_EPOCH -> new_epoch() :: else fi
	}
	/* Redis lost it. */
	:: d_step { covered && UNIQUE && epoch == 0 -> new_epoch() }
#if LATER
	/* The snapshot: is the old transaction in progress in it? */
	:: d_step {
		!covered && !waits && (altered || !SNAPSHOT_AFTER) ->
		waits = true;
		snapshot_has = (LATER_DRAIN && old_transaction == 1)
	}
	:: d_step {
		!covered && waits && altered && (!snapshot_has || old_transaction == 2) ->
		covered = true; version_done = version; place_done = place; snapshot_has = false;
		new_epoch()
	}
#endif
	od
}

proctype Faults()
{
	byte n;
end:	do
	:: d_step { n < EVICTIONS && epoch != 0 -> n++; epoch = 0 }
	:: d_step { copy[1].token != 0 -> drop(1) }
	:: d_step { copy[2].token != 0 -> drop(2) }
	od
}

#define quiet (covered && version_done == version_committed && version == version_committed && \
               place_done == place_committed && place == place_committed)
#define usable(key) (counts(epoch) && copy[key].version != 0 && copy[key].epoch == epoch)

proctype Properties()
{
end:	atomic {
		quiet && ((usable(1) && copy[1].version != says(1)) || (usable(2) && copy[2].version != says(2))) ->
		assert(false)
	}
}

init
{
	atomic {
		if :: LATER :: else -> epoch = 1 fi;
		run Others(); run Reader(1); run Reader(2); run Worker(); run Faults(); run Properties()
	}
}
