/* What the tests of the commits share: a row, a text for it, and a server that does with a write
 * what the test says. */
#pragma once

#include "rowfs/engine/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "fake_kernel.h"
#include "fake_store.h"
#include "sample_engine.h"
#include "suite.h"

static const struct fake_row base_row = {"7421", NULL, "42", "Zelt", "129.00", "258.00"};
static const struct fake_row our_row = {"900", NULL, "42", "Zelt", "99.00", "198.00"};
static const struct fake_row their_row = {"901", NULL, "42", "Zelt", "1.00", "2.00"};
static const char our_text[] = "{\"price\": 99.00}";

static struct sample sample;
static struct rowref ref; /* of row 42 of the items */
static struct text *base; /* what it was when it was read */
static struct error e;

static inline struct text *read_row(const struct rowref *which)
{
	struct text *text;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, which, STORE_READ, &text, NULL), 0);
	events_take();
	return text;
}

static inline void open_all(void)
{
	sample_open(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&base_row);
	base = read_row(&ref);
}

static inline void close_all(void)
{
	text_unref(base);
	rowref_done(&ref);
	sample_close(&sample);
	ck_assert_uint_eq(text_bytes(), 0);
}

/* --- What the server does -------------------------------------------------------------------- */

enum fate { DONE, KEPT, NOTHING, REFUSED, LOST, LOST_THEN_DONE, LOST_THEN_NOTHING };

/* The fate of writes, and what the row is after the first. */
struct server {
	enum fate fate;
	int err;              /* REFUSED */
	const char *sqlstate; /* "23514" if NULL */
	const struct fake_row *row_after;
	bool gone_after;    /* instead: no row */
	bool blind_after;   /* reads fail */
	unsigned blind;     /* so many reads fail */
	const char *unread; /* a value that its type does not read */
	unsigned writes;
	char sql[1000]; /* of the last write */
	char values[400];
};

static inline void remember(struct server *server, const struct statement *statement)
{
	size_t len = 0;

	snprintf(server->sql, sizeof(server->sql), "%s", statement->sql);
	for (size_t i = 0; i < statement->n && len < sizeof(server->values); i++)
		len += (size_t)snprintf(server->values + len, sizeof(server->values) - len, "%s|",
		                        statement->values[i].data ? statement->values[i].data
		                                                  : "NULL");
}

static inline int serve(void *arg, const struct fake_call *call)
{
	struct server *server = arg;
	bool writes = call->statement->writes || call->statement->rehearsed;

	if (strcmp(call->verb, "value") == 0)
		return strcmp(call->statement->values[0].data, server->unread) == 0
		               ? fake_refuse(call, EINVAL, "22P02")
		               : 0;
	if (!writes && server->writes && (server->blind_after || server->blind)) {
		server->blind -= server->blind > 0;
		return fake_refuse(call, EIO, "08006");
	}
	if (!writes)
		return FAKE_PASS;
	ck_assert_int_eq(call->set, STORE_WRITE);
	remember(server, call->statement);
	if (server->writes++ == 0 && server->row_after)
		fake_store_put(server->row_after);
	if (server->gone_after)
		fake_store_remove("42");
	switch (server->fate) {
	case KEPT:
		return fake_line(call, 2, "900", "t");
	case NOTHING:
		return 0;
	case REFUSED:
		return fake_refuse(call, server->err,
		                   server->sqlstate ? server->sqlstate : "23514");
	case LOST:
		return fake_lose(call);
	case LOST_THEN_DONE:
		return server->writes == 1 ? fake_lose(call) : FAKE_PASS;
	case LOST_THEN_NOTHING:
		return server->writes == 1 ? fake_lose(call) : 0;
	default:
		return FAKE_PASS;
	}
}

static struct server server;

static inline void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

static inline void check_error(int err, const char *part)
{
	ck_assert_int_eq(e.err, err);
	ck_assert_msg(strstr(e.message, part), "\"%s\" is not in: %s", part, e.message);
}

static inline void check_unknown(int r)
{
	ck_assert_int_eq(r, -EIO);
	check_error(EIO, "outcome unknown");
	ck_assert_str_eq(e.detail, "the connection to PostgreSQL was lost");
}

/* Save `text` over what the row was; as an INSERT if that is NULL. */
static inline int save_over(const struct rowref *which, struct text *over, const char *text,
                            struct text **ret_now)
{
	const struct save save = {.base = over, .text = text, .len = strlen(text)};

	return commit_save(&sample.engine, which, &save, ret_now, &e);
}

/* --- A row with a long key -------------------------------------------------------------------- */

static char long_key[301];
static struct rowref long_ref;

static inline void open_long(void)
{
	static struct fake_row row = {"7421", NULL, "42", long_key, "129.00", "258.00"};
	struct cell cell = {long_key, sizeof(long_key) - 1};
	_cleanup_buf_ struct buf name = {0};

	open_all();
	memset(long_key, 'k', sizeof(long_key) - 1);
	name_print(&cell, 1, &name);
	fake_store_put(&row);
	long_ref = sample_ref(&sample, NAMED, name.data);
	ck_assert_str_ne(long_ref.hash, "");
	fake_store_on(serve, &server);
}

static inline void close_long(void)
{
	rowref_done(&long_ref);
	close_all();
}

static inline TCase *add_case(Suite *suite, const char *name, void (*open)(void),
                              void (*close)(void))
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open, close);
	suite_add_tcase(suite, test);
	return test;
}
