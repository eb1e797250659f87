/* An engine on the fakes, over relations that all have the columns
 *
 *   id integer, name text, price numeric, total numeric GENERATED
 *
 * and differ in what the engine treats differently. State goes to a directory of its own. */
#pragma once

#include "rowfs/engine/engine.h"
#include "rowfs/engine/rowref.h"

/* Oids, in the order of the table in sample_engine.c. */
enum sample_oid {
	ITEMS = 1001, /* key id */
	NAMED,        /* key name, so that long ones are hashed */
	PRICED,       /* key price, a numeric(6,2): PostgreSQL has its own spelling */
	GUARDED,      /* row security */
	PARTIAL,      /* some columns hidden */
	READONLY,     /* no grant but SELECT */
	PATHED,       /* its text depends on the search_path */
	LOOSE,        /* a materialised view; its key, name, may be NULL */
	SAMPLE_END,
};

struct sample {
	struct settings settings;
	struct engine engine;
	char dir[64]; /* state */
	bool started;
};

/* Settings (ttl 60 s, no feed of changes), the state directory, the catalog. Change the settings, then start the
 * engine; no background thread. A failure ends the test. */
void sample_prepare(struct sample *sample);
void sample_start(struct sample *sample);

/* Both. */
void sample_open(struct sample *sample);

/* Also of one that was never started. Removes the directory. */
void sample_close(struct sample *sample);

/* A snapshot; `fingerprint` is its relations' too. */
struct schema *sample_schema(uint64_t fingerprint);

/* The row that a name stands for; it must be one. */
struct rowref sample_ref(struct sample *sample, uint32_t oid, const char *name);

/* The number of entries below a directory of the state directory, "." and ".." aside; -1 if there
 * is no such directory. */
int sample_files(const struct sample *sample, const char *directory);

/* How many texts are kept there (rejected, conflicts), without what stands beside them. */
int sample_texts(const struct sample *sample, const char *directory);

/* Is this the name of such a text? */
bool sample_is_text(const char *name);
