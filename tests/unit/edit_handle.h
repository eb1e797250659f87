/* What the tests of edits share: handles, flushes, what is kept, and a server that may take its
 * time. */
#pragma once

#include "rowfs/engine/edit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "fake_store.h"
#include "latch.h"
#include "sample_engine.h"
#include "suite.h"

enum { ME = 100, MY_CHILD = 101, NOBODY_KNOWN = 0 };

static const struct fake_row base_row = {"7421", NULL, "42", "Zelt", "129.00", "258.00"};
static const char base_text[] = "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 129.00,\n"
                                "  \"total\": 258.00\n}\n";
static const char our_text[] = "{\"price\": 99.00}\n";

static struct sample sample;
static struct rowref ref;

static inline void open_all(void)
{
	sample_open(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&base_row);
}

static inline void close_all(void)
{
	rowref_done(&ref);
	sample_close(&sample);
	ck_assert_uint_eq(text_bytes(), 0);
}

static inline void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

/* --- Handles --------------------------------------------------------------------------------- */

static inline struct edit *open_edit(struct edit_options options)
{
	struct edit *edit;

	options.asker = (struct asker){1000, 1000, 4242, "public/items/42.json"};
	options.thread_group = ME;
	ck_assert_int_eq(edit_new(&sample.engine, &ref, &options, &edit), 0);
	return edit;
}

/* As open(2) of a row that is there would. */
static inline struct edit *open_row(bool truncated)
{
	struct text *base;
	struct edit *edit;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_READ, &base, NULL), 0);
	edit = open_edit((struct edit_options){EDIT_UPDATE, base, .truncated = truncated});
	text_unref(base);
	events_take();
	return edit;
}

/* As open(2) with O_CREAT of one that is not. */
static inline struct edit *create_row(void)
{
	ck_assert_int_eq(names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL),
	                 NAME_PENDING);
	return open_edit((struct edit_options){EDIT_INSERT, .created = true});
}

static inline enum name_state name_now(void)
{
	return names_state(sample.engine.names, ITEMS, "42.json", NULL);
}

/* The bytes are taken, whatever the text is with them. */
static inline void write_at(struct edit *edit, size_t offset, const char *text)
{
	int r = edit_write(edit, offset, text, strlen(text));

	ck_assert_msg(r == 0 || r == 1 || r == -EINVAL, "%s: %d", text, r);
}

static inline void check_text(struct edit *edit, const char *want)
{
	_cleanup_buf_ struct buf out = {0};

	buf_adds(&out, "");
	edit_read(edit, 0, TEXT_MAX, &out);
	ck_assert_str_eq(out.data, want);
	ck_assert_uint_eq(edit_size(edit), strlen(want));
}

/* --- Flushing -------------------------------------------------------------------------------- */

struct flush {
	struct edit_request request;
	struct latch done;
	struct edit *edit;
	pid_t thread_group;
	int err;
	pthread_t thread;
};

static inline void take_result(struct edit_request *request, int err)
{
	struct flush *flush = container_of(request, struct flush, request);

	ck_assert_uint_eq(latch_arrived(&flush->done), 0);
	flush->err = err;
	latch_open(&flush->done);
	latch_pass(&flush->done);
}

static inline void flush_begin(struct flush *flush, struct edit *edit, pid_t thread_group)
{
	*flush = (struct flush){
	        .request.done = take_result, .done = LATCH_INIT, .edit = edit, thread_group};
	edit_commit(edit, thread_group, &flush->request);
}

static inline bool flush_answered(struct flush *flush)
{
	return latch_arrived(&flush->done) > 0;
}

static inline int flush_end(struct flush *flush)
{
	latch_await(&flush->done, 1);
	return flush->err;
}

static inline int flush_by(struct edit *edit, pid_t thread_group)
{
	struct flush flush;

	flush_begin(&flush, edit, thread_group);
	return flush_end(&flush);
}

/* --- What is kept ---------------------------------------------------------------------------- */

static inline unsigned refusals_told(void)
{
	_cleanup_buf_ struct buf all = {0};
	unsigned n = 0;

	refusals_print_all(sample.engine.refusals, 1000, &all);
	for (size_t i = 0; i < all.len; i++)
		n += all.data[i] == '\n';
	return n;
}

/* The newest name of a text there, if it is newer than the one in `name`, which begins with the time. */
static inline void find_newest(const char *place, char name[256], char path[600])
{
	char directory[300];
	struct dirent *entry;
	DIR *stream;

	snprintf(directory, sizeof(directory), "%s/%s", sample.dir, place);
	stream = opendir(directory);
	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, name) > 0 && sample_is_text(entry->d_name)) {
			snprintf(name, 256, "%s", entry->d_name);
			snprintf(path, 600, "%s/%s", directory, name);
		}
	closedir(stream);
}

/* So many texts were refused and kept, and that is the newest. */
static inline void check_kept(unsigned n, const char *newest)
{
	char path[600] = "", text[200] = "", name[256] = "";
	FILE *file;

	ck_assert_uint_eq(refusals_told(), n);
	ck_assert_int_eq(sample_texts(&sample, "rejected") + sample_texts(&sample, "conflicts"), (int)n);
	find_newest("rejected", name, path);
	find_newest("conflicts", name, path);
	file = n ? fopen(path, "r") : NULL;
	if (file) {
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
	}
	ck_assert_str_eq(text, newest);
}

/* --- The server ------------------------------------------------------------------------------ */

struct server {
	struct latch latch;
	unsigned hold;   /* so many writes wait for the latch, from the first */
	unsigned refuse; /* so many are refused, from the first */
	unsigned none;   /* that write matches no row; 0: all do */
	_Atomic unsigned writes;
	char values[200]; /* of the last */
};

static struct server server;

static inline int serve(void *arg, const struct fake_call *call)
{
	const struct statement *statement = call->statement;
	unsigned n;

	if (!statement->writes)
		return FAKE_PASS;
	n = ++server.writes;
	server.values[0] = '\0';
	for (size_t i = 0; i < statement->n; i++)
		snprintf(server.values + strlen(server.values),
		         sizeof(server.values) - strlen(server.values), "%s|",
		         statement->values[i].data);
	if (n <= server.hold)
		latch_pass(&server.latch);
	if (n == server.none)
		return 0;
	return n <= server.refuse ? fake_refuse(call, EPERM, "23514") : FAKE_PASS;
}

static inline void use_server(struct server with)
{
	server = with;
	fake_store_on(serve, NULL);
}

static inline void *flush_in_thread(void *arg)
{
	struct flush *flush = arg;

	edit_commit(flush->edit, flush->thread_group, &flush->request);
	return NULL;
}

/* Flush on a thread of its own, and come back when the statement is on its way. */
static inline void flush_slowly(struct flush *flush, struct edit *edit)
{
	*flush = (struct flush){.request.done = take_result, .done = LATCH_INIT, .edit = edit, ME};
	ck_assert_int_eq(pthread_create(&flush->thread, NULL, flush_in_thread, flush), 0);
	latch_await(&server.latch, 1);
}

static inline int flush_slowly_end(struct flush *flush)
{
	pthread_join(flush->thread, NULL);
	return flush_end(flush);
}

static inline TCase *add_case(Suite *suite, const char *name)
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_all, close_all);
	suite_add_tcase(suite, test);
	return test;
}
