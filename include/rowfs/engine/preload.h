/* Rows that are to be in Redis, though nobody wants to read them: one after another, each by the rules of any read
 * (engine/reader.h).
 *
 *   its thread:   preload(row), preload(row), …      mostly inside a SELECT, since the reader works on its caller's thread
 *   any other:    preloader_stop()                   cancels that one, and there will be no other */
#pragma once

#include <pthread.h>

#include "rowfs/engine/reader.h"

struct load;

struct preloader {
	struct reader *reader;
	pthread_mutex_t lock;
	bool stopped;      /* [lock] */
	struct load *load; /* [lock] that is under way, or NULL */
	struct preloader *next; /* [the lock of those it is among] */
};

/* Those that work for somebody who does not know when the mount ends. */
struct preloaders {
	pthread_mutex_t lock;
	struct preloader *first; /* [lock] */
	bool stopped;            /* [lock] */
};

void preloader_init(struct preloader *preloader, struct reader *reader);
void preloader_done(struct preloader *preloader);

void preloader_stop(struct preloader *preloader);
bool preloader_stopped(struct preloader *preloader);

void preloaders_init(struct preloaders *all);
void preloaders_done(struct preloaders *all);
void preloaders_add(struct preloaders *all, struct preloader *preloader); /* which is stopped if all are */
void preloaders_remove(struct preloaders *all, struct preloader *preloader);
void preloaders_stop(struct preloaders *all); /* these, and all that are added later */

/* Read the row, so that it comes to Redis; waits for that, so it must not run on a seat of the reader's lane. 0 and the
 * length of its text: it was read, or is there already; whether Redis has taken it is not known (a lease of somebody else,
 * no room). -EBUSY: there can be none now; -EINTR: stopped; or why it was not read. */
int preload(struct preloader *preloader, const struct rowref *ref, size_t *ret_len, struct error *e) _must_check_;
