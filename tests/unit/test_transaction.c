#include "rowfs/model/transaction.h"

#include <errno.h>
#include <string.h>

#include "failing.h"
#include "rowfs/model/change.h"
#include "stream.h"
#include "suite.h"

static struct transactions *transactions_of(void)
{
	struct transactions *transactions;

	ck_assert_int_eq(transactions_new(&transactions), 0);
	return transactions;
}

static void free_transactions(struct transactions **transactions)
{
	transactions_free(*transactions);
}

#define _cleanup_transactions_ _cleanup_(free_transactions)

/* A line a change; then the transactions. */
static void show_batch(const struct batch *batch, struct buf *out)
{
	static const char ops[] = {[BATCH_INSERT] = '+',
	                           [BATCH_UPDATE] = '=',
	                           [BATCH_DELETE] = '-',
	                           [BATCH_RELATION] = '*'};
	struct batch_change change;
	size_t at = 0;

	buf_adds(out, "");
	while (batch_next(batch, &at, &change))
		buf_addf(out, "%c%u %s\n", ops[change.op], change.relation, change.name);
	for (size_t i = 0; i < batch->n_transactions; i++)
		buf_addf(out, "%lu\n", batch_xid(batch, i));
}

static void check_batch(struct batch *batch, const char *expected)
{
	_cleanup_buf_ struct buf shown = {0};

	ck_assert(!batch_failed(batch));
	show_batch(batch, &shown);
	ck_assert_str_eq(shown.data, expected);
	batch_reset(batch);
}

/* --- Recorded streams ------------------------------------------------------------------------ */

/* What the catalog would say of the recorded relations' keys. */
static const struct {
	const char *name;
	size_t n;
	const char *columns[2];
} keys[] = {
        {"items", 1, {"id"}},     {"lines", 2, {"n", "doc"}}, {"words", 1, {"w"}},
        {"docs", 1, {"id"}},      {"longs", 1, {"k"}},        {"sales", 2, {"region", "id"}},
        {"a", 1, {"id"}},         {"b", 1, {"id"}},           {"c", 1, {"id"}},
        {"nothing", 1, {"id"}},   {"everything", 1, {"id"}},  {"by_index", 1, {"id"}},
        {"moods", 2, {"m", "d"}}, {"big", 1, {"id"}},         {"small", 1, {"id"}},
};

static void set_key_of(struct transactions *transactions, const struct change *change)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(keys[i].name, change->name) == 0)
			ck_assert_int_eq(transactions_set_key(transactions, change->relation,
			                                      keys[i].columns, keys[i].n),
			                 0);
}

/* Only the stream tells the relations' oids. */
static void set_keys(struct transactions *transactions, const char *name)
{
	_cleanup_recorded_ struct recorded recorded = recorded_open(name);
	struct change_decoder *decoder;
	bool streamed = false;
	size_t len = 0;

	ck_assert_int_eq(change_decoder_new(&decoder), 0);
	for (char *message; (message = recorded_next(&recorded, &len)); free(message)) {
		struct change change;

		ck_assert_int_eq(change_parse(decoder, message, len, streamed, &change, NULL), 0);
		if (change.kind == CHANGE_STREAM_START || change.kind == CHANGE_STREAM_STOP)
			streamed = change.kind == CHANGE_STREAM_START;
		if (change.kind == CHANGE_RELATION)
			set_key_of(transactions, &change);
	}
	change_decoder_free(decoder);
}

static void take_recorded(struct transactions *transactions, const char *name, struct batch *batch)
{
	_cleanup_recorded_ struct recorded recorded = recorded_open(name);
	struct error e = {0};
	size_t len = 0;

	for (char *message; (message = recorded_next(&recorded, &len)); free(message))
		ck_assert_msg(transactions_take(transactions, message, len, batch, NULL, &e) == 0,
		              "%s: %s", name, e.message);
}

static void check_recorded(const char *name, const char *expected)
{
	_cleanup_transactions_ struct transactions *transactions = transactions_of();
	_cleanup_batch_ struct batch batch = {0};

	set_keys(transactions, name);
	take_recorded(transactions, name, &batch);
	check_batch(&batch, expected);
	ck_assert_uint_eq(transactions_open(transactions), 0);
	ck_assert_uint_eq(transactions_bytes(transactions), 0);
}

START_TEST(rows_are_told_by_their_file_names)
{
	check_recorded("rows", "+16385 1.json\n+16385 2.json\n+16385 3.json\n=16385 1.json\n"
	                       "-16385 2.json\n+16385 20.json\n-16385 3.json\n726\n");
}
END_TEST

#define X10    "xxxxxxxxxx"
#define X129   X10 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxxxxx"
#define X_HASH "daa498a1f585d4a7e5ffa8ec58e4aed8cd6a6fc466489d5c1f64e79761c40989"
#define X_NAME X129 "%~" X_HASH ".json"

START_TEST(names_are_spelled_in_the_keys_own_order)
{
	check_recorded("keys",
	               "+16395 7,a%2Fb.json\n+16395 8,c%2Cd.json\n-16395 7,a%2Fb.json\n"
	               "+16395 7,é%2F%25.json\n=16395 8,c%2Cd.json\n-16395 8,c%2Cd.json\n"
	               "+16402 ключ%2C 🐘%2F..json\n+16402 " X_NAME "\n"
	               "+16402 %2Ehidden.json\n+16402 %.json\n=16402 %2Ehidden.json\n"
	               "-16402 %2Ehidden.json\n+16402 shown.json\n-16402 " X_NAME "\n731\n");
}
END_TEST

#define K10    "kkkkkkkkkk"
#define K129   K10 K10 K10 K10 K10 K10 K10 K10 K10 K10 K10 K10 "kkkkkkkkk"
#define K_NAME K129 "%~" K_HASH ".json"
#define K_HASH "a772ad0f71744cd2c9016b1119c6b5bd2fbe8bdf4846209b80577678f012e4e3"

/* Of a key that is left out since it is long, the old row has the value. */
START_TEST(what_a_row_leaves_out_is_as_it_was)
{
	check_recorded("toast", "+16413 1.json\n=16413 1.json\n+16420 " K_NAME "\n=16420 " K_NAME
	                        "\n-16420 " K_NAME "\n+16420 short.json\n-16413 1.json\n736\n");
}
END_TEST

START_TEST(partitions_are_told_as_their_root)
{
	check_recorded("partitions",
	               "+16433 north,1.json\n+16433 south,2.json\n=16433 north,1.json\n"
	               "-16433 north,1.json\n+16433 south,1.json\n"
	               "-16433 south,2.json\n741\n");
}
END_TEST

START_TEST(a_truncated_relation_counts_as_a_whole)
{
	check_recorded("truncate", "*16459 \n*16464 \n*16474 \n746\n");
}
END_TEST

/* by_index: its key is no part of the identity, so an UPDATE may have changed it without a word. */
START_TEST(an_identity_other_than_the_key_proves_what_it_holds)
{
	check_recorded("full", "+16490 1.json\n+16490 2.json\n=16490 1.json\n-16490 2.json\n"
	                       "+16490 3.json\n-16490 1.json\n+16497 1.json\n*16502 \n751\n");
}
END_TEST

START_TEST(other_messages_are_passed_over)
{
	check_recorded("others", "+16521 bad,2020-02-29.json\n756\n758\n");
}
END_TEST

START_TEST(a_key_in_binary_names_no_row)
{
	check_recorded("binary", "*16733 \n788\n");
}
END_TEST

START_TEST(a_streamed_transaction_is_told_when_it_commits)
{
	_cleanup_buf_ struct buf expected = {0};

	for (int i = 1; i <= 9; i++)
		buf_addf(&expected, "+16529 %d.json\n", i);
	/* Rolled back, but told all the same. */
	for (int i = 101; i <= 109; i++)
		buf_addf(&expected, "+16529 %d.json\n", i);
	for (int i = 10; i <= 18; i++)
		buf_addf(&expected, "+16529 %d.json\n", i);
	buf_adds(&expected, "-16529 4.json\n+16529 40.json\n=16529 5.json\n-16529 6.json\n*16536 \n"
	                    "+16536 2.json\n762\n765\n766\n");
	check_recorded("streamed", expected.data);
}
END_TEST

START_TEST(a_streamed_transaction_that_is_rolled_back_is_not_told)
{
	check_recorded("streamed_abort", "+16724 1.json\n784\n");
}
END_TEST

static void add_interleaved(struct buf *expected, int offset)
{
	for (int block = 10; block <= 30; block += 10)
		for (int i = 0; i < 9; i++)
			buf_addf(expected, "+16655 %d.json\n", offset + block + i);
}

START_TEST(interleaved_transactions_are_told_apart_in_the_order_of_their_commits)
{
	_cleanup_buf_ struct buf expected = {0};

	buf_adds(&expected, "+16662 1.json\n");
	add_interleaved(&expected, 1000);
	add_interleaved(&expected, 0);
	buf_adds(&expected, "778\n777\n776\n");
	check_recorded("interleaved", expected.data);
}
END_TEST

/* --- Made-up streams ------------------------------------------------------------------------- */

/* A stream that is being made: the messages go to `transactions` one by one. `xid` is that of the
 * streamed block, 0 outside of one. */
struct stream {
	struct transactions *transactions;
	struct batch batch;
	struct buf message;
	uint32_t xid;
	uint64_t lsn; /* what the last message gave */
	struct error e;
};

static struct stream stream_of(void)
{
	return (struct stream){.transactions = transactions_of()};
}

static void stream_done(struct stream *s)
{
	transactions_free(s->transactions);
	batch_done(&s->batch);
	buf_done(&s->message);
}

#define _cleanup_stream_ _cleanup_(stream_done)

/* Take what is in `message`. */
static int send(struct stream *s)
{
	int r;

	s->lsn = 42;
	r = transactions_take(s->transactions, s->message.data, s->message.len, &s->batch, &s->lsn,
	                      &s->e);
	buf_reset(&s->message);
	return r;
}

static void send_ok(struct stream *s)
{
	int r = send(s);

	ck_assert_msg(r == 0, "%s", s->e.message);
}

static void begin(struct stream *s, uint32_t xid)
{
	put_begin(&s->message, xid);
	send_ok(s);
}

static void commit(struct stream *s)
{
	put_commit(&s->message, 0x200);
	send_ok(s);
}

static void start(struct stream *s, uint32_t xid, bool first)
{
	put_stream_start(&s->message, xid, first);
	send_ok(s);
	s->xid = xid;
}

static void stop(struct stream *s)
{
	buf_addc(&s->message, 'E');
	send_ok(s);
	s->xid = 0;
}

static void stream_commit(struct stream *s, uint32_t xid)
{
	put_stream_commit(&s->message, xid, 0x300);
	send_ok(s);
}

static void describe(struct stream *s, uint32_t relation, char identity, const char *const *columns)
{
	put_relation(&s->message, s->xid, relation, identity, columns);
	send_ok(s);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void set_key(struct stream *s, uint32_t relation, const char *column)
{
	ck_assert_int_eq(transactions_set_key(s->transactions, relation, &column, column ? 1 : 0),
	                 0);
}

/* A relation with the key "id" and a column "v". */
static void describe_usual(struct stream *s, uint32_t relation)
{
	set_key(s, relation, "id");
	describe(s, relation, 'd', LIST("*id", "v"));
}

static void insert(struct stream *s, uint32_t relation, const char *const *values)
{
	put_head(&s->message, 'I', s->xid, relation);
	put_tuple(&s->message, 'N', values);
	send_ok(s);
}

static void insert_number(struct stream *s, uint32_t relation, unsigned number)
{
	char id[32];

	snprintf(id, sizeof(id), "=%u", number);
	insert(s, relation, LIST(id, "n"));
}

/* `letter`: K, O, or 0 for no old row. */
static void update(struct stream *s, uint32_t relation, char letter, const char *const *before,
                   const char *const *after)
{
	put_head(&s->message, 'U', s->xid, relation);
	if (letter)
		put_tuple(&s->message, letter, before);
	put_tuple(&s->message, 'N', after);
	send_ok(s);
}

static void erase(struct stream *s, uint32_t relation, char letter, const char *const *before)
{
	put_head(&s->message, 'D', s->xid, relation);
	put_tuple(&s->message, letter, before);
	send_ok(s);
}

START_TEST(a_commit_gives_the_position_behind_it)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	ck_assert_uint_eq(s.lsn, 0);
	describe_usual(&s, 1);
	ck_assert_uint_eq(s.lsn, 0);
	commit(&s);
	ck_assert_uint_eq(s.lsn, 0x200);
	start(&s, 8, true);
	stop(&s);
	ck_assert_uint_eq(s.lsn, 0);
	stream_commit(&s, 8);
	ck_assert_uint_eq(s.lsn, 0x300);
	check_batch(&s.batch, "7\n8\n");
}
END_TEST

START_TEST(nothing_is_told_before_the_commit)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	describe_usual(&s, 1);
	insert_number(&s, 1, 1);
	ck_assert_uint_eq(s.batch.n_changes, 0);
	ck_assert_uint_eq(transactions_open(s.transactions), 1);
	ck_assert_uint_gt(transactions_bytes(s.transactions), 0);
	commit(&s);
	ck_assert_uint_eq(s.batch.n_changes, 1);
	ck_assert_uint_eq(transactions_open(s.transactions), 0);
}
END_TEST

/* Each with its key set before or after, by a stream that carries what the comment says. */
START_TEST(a_row_whose_name_is_not_proved_counts_for_its_relation)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	insert_number(&s, 1, 1); /* never described, no key */
	set_key(&s, 2, "id");
	insert_number(&s, 2, 1); /* never described */
	describe(&s, 3, 'd', LIST("*id", "v"));
	insert_number(&s, 3, 1); /* no key */
	set_key(&s, 4, "other");
	describe(&s, 4, 'd', LIST("*id", "v"));
	insert_number(&s, 4, 1); /* the key is not streamed */
	describe_usual(&s, 5);
	insert(&s, 5, LIST("n", "=v")); /* NULL */
	describe_usual(&s, 6);
	update(&s, 6, 0, NULL, LIST("u", "=v")); /* left out, and no old row */
	describe_usual(&s, 7);
	update(&s, 7, 'O', LIST("u", "=v"), LIST("u", "=v")); /* left out in both */
	describe_usual(&s, 8);
	update(&s, 8, 'K', LIST("n", "n"), LIST("=1", "=v")); /* NULL before */
	describe_usual(&s, 9);
	insert(&s, 9, LIST("b=1", "=v"));
	describe_usual(&s, 10);
	erase(&s, 10, 'K', LIST("n", "n"));
	commit(&s);
	check_batch(&s.batch, "*1 \n*2 \n*3 \n*4 \n*5 \n*6 \n*7 \n*8 \n*9 \n*10 \n7\n");
}
END_TEST

START_TEST(an_old_row_proves_what_its_identity_holds)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	for (uint32_t relation = 1; relation <= 3; relation++) {
		set_key(&s, relation, "id");
		describe(&s, relation, 'i', LIST("id", "*v"));
		insert_number(&s, relation, 1);
	}
	/* The whole old row is as good as an identity; K is not, and nothing is not. */
	update(&s, 1, 'O', LIST("=1", "=a"), LIST("=2", "=a"));
	update(&s, 2, 'K', LIST("=1", "=a"), LIST("=2", "=b"));
	update(&s, 3, 0, NULL, LIST("=2", "=a"));
	/* Were there no old row of a full identity, nothing would be known. */
	set_key(&s, 4, "id");
	describe(&s, 4, 'f', LIST("*id", "*v"));
	update(&s, 4, 0, NULL, LIST("=2", "=a"));
	set_key(&s, 5, "id");
	describe(&s, 5, 'n', LIST("id", "v"));
	update(&s, 5, 0, NULL, LIST("=2", "=a"));
	commit(&s);
	check_batch(&s.batch, "+1 1.json\n-1 1.json\n+1 2.json\n*2 \n*3 \n*4 \n*5 \n7\n");
}
END_TEST

START_TEST(a_key_may_be_set_at_any_time_and_again)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	describe(&s, 1, 'd', LIST("*id", "*v"));
	set_key(&s, 1, "id");
	insert(&s, 1, LIST("=1", "=a"));
	set_key(&s, 1, "v");
	insert(&s, 1, LIST("=2", "=b"));
	ck_assert_int_eq(transactions_set_key(s.transactions, 1, LIST("v", "id"), 2), 0);
	insert(&s, 1, LIST("=3", "=c"));
	/* Described anew, with the columns in another order. */
	describe(&s, 1, 'd', LIST("more", "*v", "*id"));
	insert(&s, 1, LIST("n", "=d", "=4"));
	commit(&s);
	check_batch(&s.batch, "+1 1.json\n+1 b.json\n+1 c,3.json\n+1 d,4.json\n7\n");
	set_key(&s, 1, NULL);
	begin(&s, 8);
	insert(&s, 1, LIST("n", "=d", "=4"));
	commit(&s);
	check_batch(&s.batch, "*1 \n8\n");
}
END_TEST

START_TEST(the_same_change_is_told_once)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	describe_usual(&s, 1);
	describe_usual(&s, 2);
	for (int i = 0; i < 10000; i++)
		update(&s, 1, 0, NULL, LIST("=1", "=a"));
	update(&s, 2, 0, NULL, LIST("=1", "=a"));
	erase(&s, 2, 'K', LIST("=1", "n"));
	commit(&s);
	check_batch(&s.batch, "=1 1.json\n=2 1.json\n-2 1.json\n7\n");
}
END_TEST

START_TEST(a_relation_that_counts_as_a_whole_has_no_rows_beside)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	describe_usual(&s, 1);
	describe_usual(&s, 2);
	insert_number(&s, 1, 1);
	insert_number(&s, 2, 1);
	buf_addc(&s.message, 'T');
	put_integer(&s.message, 2, 4);
	put_integer(&s.message, 0, 1);
	put_integer(&s.message, 1, 4);
	put_integer(&s.message, 1, 4);
	send_ok(&s);
	insert_number(&s, 1, 2);
	insert_number(&s, 2, 2);
	commit(&s);
	check_batch(&s.batch, "+2 1.json\n+2 2.json\n*1 \n7\n");
}
END_TEST

/* --- Transaction ids ------------------------------------------------------------------------- */

START_TEST(ids_are_completed_to_the_nearest)
{
	static const struct {
		uint64_t now;
		uint32_t xid;
		uint64_t full;
	} cases[] = {
	        {0, 7, 7},
	        {0, UINT32_MAX, UINT32_MAX},
	        {1000, 2000, 2000},
	        {1000, 0xfffffff0, 0xfffffff0},
	        {0x1000003e8, 2000, 0x1000007d0},
	        {0x1000003e8, 3, 0x100000003},
	        {0x100000003, 0xfffffff0, 0xfffffff0},
	        {0xfffffff0, 3, 0x100000003},
	        {0x5fffffff0, 3, 0x600000003},
	        {0x500000000, 0x7fffffff, 0x57fffffff},
	        {0x500000000, 0x80000001, 0x480000001},
	        {0x5ffffffff, 0x80000000, 0x580000000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_stream_ struct stream s = stream_of();

		transactions_set_now(s.transactions, cases[i].now);
		begin(&s, cases[i].xid);
		commit(&s);
		start(&s, cases[i].xid, true);
		stop(&s);
		stream_commit(&s, cases[i].xid);
		ck_assert_uint_eq(batch_xid(&s.batch, 0), cases[i].full);
		ck_assert_uint_eq(batch_xid(&s.batch, 1), cases[i].full);
	}
}
END_TEST

/* --- Streamed transactions ------------------------------------------------------------------- */

START_TEST(a_part_that_is_rolled_back_leaves_the_rest)
{
	_cleanup_stream_ struct stream s = stream_of();

	start(&s, 7, true);
	describe_usual(&s, 1);
	insert_number(&s, 1, 1);
	stop(&s);
	put_stream_abort(&s.message, 7, 8);
	send_ok(&s);
	/* One that nobody knows. */
	put_stream_abort(&s.message, 9, 9);
	send_ok(&s);
	ck_assert_uint_eq(transactions_open(s.transactions), 1);
	start(&s, 7, false);
	insert_number(&s, 1, 2);
	stop(&s);
	stream_commit(&s, 7);
	check_batch(&s.batch, "+1 1.json\n+1 2.json\n7\n");
}
END_TEST

START_TEST(one_that_is_rolled_back_is_forgotten)
{
	_cleanup_stream_ struct stream s = stream_of();

	start(&s, 7, true);
	describe_usual(&s, 1);
	insert_number(&s, 1, 1);
	stop(&s);
	put_stream_abort(&s.message, 7, 7);
	send_ok(&s);
	ck_assert_uint_eq(transactions_open(s.transactions), 0);
	ck_assert_uint_eq(transactions_bytes(s.transactions), 0);
	check_batch(&s.batch, "");
}
END_TEST

/* --- Order ----------------------------------------------------------------------------------- */

/* b BEGIN, c COMMIT, s STREAM START first, S not first, e STREAM STOP, C STREAM COMMIT, A ABORT,
 * i INSERT (its transaction told in a streamed block), t TRUNCATE. */
static void put_letter(struct stream *s, char letter)
{
	switch (letter) {
	case 'b':
		return put_begin(&s->message, 7);
	case 'c':
		return put_commit(&s->message, 1);
	case 's':
	case 'S':
		return put_stream_start(&s->message, 7, letter == 's');
	case 'e':
		return buf_addc(&s->message, 'E');
	case 'C':
		return put_stream_commit(&s->message, 7, 1);
	case 'A':
		return put_stream_abort(&s->message, 7, 7);
	case 'i':
		put_head(&s->message, 'I', s->xid, 1);
		return put_tuple(&s->message, 'N', LIST("=1", "n"));
	case 't':
		buf_addc(&s->message, 'T');
		if (s->xid)
			put_integer(&s->message, s->xid, 4);
		put_integer(&s->message, 0, 4);
		return put_integer(&s->message, 0, 1);
	}
}

START_TEST(what_does_not_follow_is_refused)
{
	/* All but the last letter is in order. */
	static const char *const sequences[] = {
	        "i",   "t",   "c",   "e",    "S",    "C",    "bb",   "bs",  "bS",  "be",
	        "bC",  "bA",  "ss",  "sS",   "sb",   "sc",   "sC",   "sA",  "bcc", "bci",
	        "see", "sei", "seb", "seCC", "seCS", "seAC", "seAS", "seCe"};

	for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++) {
		_cleanup_stream_ struct stream s = stream_of();

		for (const char *at = sequences[i]; *at; at++) {
			put_letter(&s, *at);
			if (at[1]) {
				send_ok(&s);
				s.xid = *at == 's' ? 7 : *at == 'e' ? 0 : s.xid;
				continue;
			}
			ck_assert_msg(send(&s) == -EPROTO, "%s", sequences[i]);
			ck_assert(strstr(s.e.message, "the change stream"));
			ck_assert_uint_eq(s.lsn, 42);
		}
	}
}
END_TEST

START_TEST(after_an_error_nothing_is_taken)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	buf_adds(&s.message, "garbage");
	ck_assert_int_eq(send(&s), -EPROTO);
	put_commit(&s.message, 1);
	ck_assert_int_eq(send(&s), -EPROTO);
	ck_assert_str_eq(s.e.message, "the change stream was lost before");
	check_batch(&s.batch, "");
}
END_TEST

START_TEST(a_row_of_other_columns_than_described_is_refused)
{
	const char *const *const rows[] = {LIST("=1"), LIST("=1", "n", "n")};

	for (size_t i = 0; i < 2; i++) {
		_cleanup_stream_ struct stream s = stream_of();

		begin(&s, 7);
		describe_usual(&s, 1);
		put_head(&s.message, 'U', 0, 1);
		put_tuple(&s.message, 'K', i ? LIST("=1", "n") : rows[i]);
		put_tuple(&s.message, 'N', i ? rows[i] : LIST("=1", "n"));
		ck_assert_int_eq(send(&s), -EPROTO);
		ck_assert(strstr(s.e.message, "relation 1 "));
	}
}
END_TEST

/* --- Bounds ---------------------------------------------------------------------------------- */

START_TEST(as_many_rows_as_allowed_are_named)
{
	_cleanup_stream_ struct stream s = stream_of();
	struct batch_change change;
	char name[32];
	size_t at = 0;

	begin(&s, 7);
	describe_usual(&s, 1);
	for (unsigned i = 0; i < BATCH_ROWS_MAX; i++)
		insert_number(&s, 1, i);
	commit(&s);
	ck_assert_uint_eq(s.batch.n_changes, BATCH_ROWS_MAX);
	for (unsigned i = 0; batch_next(&s.batch, &at, &change); i++) {
		snprintf(name, sizeof(name), "%u.json", i);
		ck_assert_str_eq(change.name, name);
	}
}
END_TEST

START_TEST(one_more_is_one_too_many)
{
	_cleanup_stream_ struct stream s = stream_of();

	begin(&s, 7);
	describe_usual(&s, 1);
	for (unsigned i = 0; i <= BATCH_ROWS_MAX; i++)
		insert_number(&s, 1, i);
	commit(&s);
	check_batch(&s.batch, "*1 \n7\n");
}
END_TEST

START_TEST(one_more_and_all_its_relations_count_as_a_whole)
{
	_cleanup_stream_ struct stream s = stream_of();
	size_t bytes = 0;

	begin(&s, 7);
	for (uint32_t relation = 1; relation <= 4; relation++)
		describe_usual(&s, relation);
	insert_number(&s, 3, 1);
	insert_number(&s, 1, 1);
	for (unsigned i = 0; i < 20000; i++) {
		insert_number(&s, 2, i);
		if (i == 4000)
			bytes = transactions_bytes(s.transactions);
	}
	ck_assert_uint_lt(transactions_bytes(s.transactions), bytes / 100);
	insert_number(&s, 4, 1);
	commit(&s);
	check_batch(&s.batch, "*1 \n*2 \n*3 \n*4 \n7\n");
}
END_TEST

/* Names as long as they get, so that a transaction takes a megabyte. */
static void insert_long(struct stream *s, unsigned number)
{
	char id[256];

	snprintf(id, sizeof(id), "=%0190u", number);
	insert(s, 1, LIST(id, "n"));
}

enum { MANY = 60 };

START_TEST(many_open_transactions_hold_no_more_than_the_bound)
{
	_cleanup_stream_ struct stream s = stream_of();
	struct batch_change change;
	size_t whole = 0, rows = 0, at = 0;

	set_key(&s, 1, "id");
	for (uint32_t xid = 1; xid <= MANY; xid++) {
		start(&s, xid, true);
		describe_usual(&s, 1);
		for (unsigned i = 0; i < (xid == 5 ? 100 : BATCH_ROWS_MAX); i++)
			insert_long(&s, i);
		stop(&s);
		ck_assert_uint_le(transactions_bytes(s.transactions), TRANSACTIONS_BYTES_MAX);
	}
	ck_assert_uint_eq(transactions_open(s.transactions), MANY);
	for (uint32_t xid = 1; xid <= MANY; xid++) {
		stream_commit(&s, xid);
		ck_assert_uint_eq(s.batch.n_transactions, xid);
	}
	ck_assert_uint_eq(transactions_bytes(s.transactions), 0);
	while (batch_next(&s.batch, &at, &change)) {
		whole += change.op == BATCH_RELATION;
		rows += change.op == BATCH_INSERT;
	}
	/* Most must have been collapsed, but no more than needed, and not the small one. */
	ck_assert_uint_ge(whole, MANY - 20);
	ck_assert_uint_le(whole, MANY - 4);
	ck_assert_uint_eq(rows, (MANY - whole - 1) * BATCH_ROWS_MAX + 100);
}
END_TEST

/* At any allocation: an error is told, and nothing leaks or is told by half. */
START_TEST(memory_may_run_out)
{
	static const struct {
		const char *name;
		size_t changes;
	} cases[] = {{"keys", 14}, {"interleaved", 55}, {"truncate", 3}};
	struct transactions *transactions = NULL;
	int r;

	failing_after(0);
	r = transactions_new(&transactions);
	failing_stop();
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_ptr_null(transactions);
	for (size_t i = 0; i < 3; i++) {
		unsigned failures = 0;

		for (bool done = false; !done; failures++) {
			_cleanup_recorded_ struct recorded recorded = recorded_open(cases[i].name);
			_cleanup_batch_ struct batch batch = {0};
			_cleanup_transactions_ struct transactions *t = transactions_of();
			unsigned left = failures;
			size_t len = 0;

			set_keys(t, cases[i].name);
			r = 0;
			for (char *m; r == 0 && (m = recorded_next(&recorded, &len)); free(m)) {
				failing_after(left);
				r = transactions_take(t, m, len, &batch, NULL, NULL);
				left = failing_left;
				failing_stop();
			}
			ck_assert(r == 0 || r == -ENOMEM);
			done = r == 0;
			ck_assert(!done || batch.n_changes == cases[i].changes);
		}
		ck_assert_uint_gt(failures, 5);
	}
}
END_TEST

/* Only while one message is taken: what it says is not left out silently. */
START_TEST(memory_may_run_out_for_a_moment)
{
	for (unsigned i = 0; i < 9 * 4; i++) {
		_cleanup_recorded_ struct recorded recorded = recorded_open("rows");
		_cleanup_batch_ struct batch batch = {0};
		_cleanup_transactions_ struct transactions *t = transactions_of();
		size_t len = 0;
		unsigned n = 0;
		int r = 0;

		set_keys(t, "rows");
		for (char *m; r == 0 && (m = recorded_next(&recorded, &len)); free(m)) {
			if (n++ == i / 4)
				failing_after(i % 4);
			r = transactions_take(t, m, len, &batch, NULL, NULL);
			failing_stop();
		}
		ck_assert(r == -ENOMEM || (r == 0 && batch.n_changes == 7));
	}
}
END_TEST

START_TEST(a_key_that_could_not_be_kept_is_told)
{
	_cleanup_stream_ struct stream s = stream_of();

	for (unsigned after = 0;; after++) {
		int r;

		failing_after(after);
		r = transactions_set_key(s.transactions, 1, LIST("id"), 1);
		failing_stop();
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_uint_lt(after, 10);
	}
	begin(&s, 7);
	describe(&s, 1, 'd', LIST("*id"));
	insert(&s, 1, LIST("=1"));
	commit(&s);
	check_batch(&s.batch, "+1 1.json\n7\n");
}
END_TEST

/* --- Random streams -------------------------------------------------------------------------- */

enum { OPEN = 6 };

/* What a transaction should tell, kept as text. */
struct expected {
	bool open;
	struct buf rows;
};

static void random_rows(struct stream *s, struct expected *expected, uint64_t *seed,
                        unsigned *number)
{
	for (size_t n = random_below(seed, 20); n > 0; n--) {
		uint32_t relation = 1 + (uint32_t)random_below(seed, 3);

		insert_number(s, relation, ++*number);
		buf_addf(&expected->rows, "+%u %u.json\n", relation, *number);
	}
}

static void end_one(struct stream *s, struct expected *expected, uint32_t xid, bool aborted)
{
	_cleanup_buf_ struct buf told = {0};

	if (aborted) {
		put_stream_abort(&s->message, xid, xid);
		send_ok(s);
		check_batch(&s->batch, "");
	} else {
		stream_commit(s, xid);
		buf_addf(&expected->rows, "%u\n", xid);
		check_batch(&s->batch, expected->rows.data);
	}
	expected->open = false;
	buf_reset(&expected->rows);
}

START_TEST(random_interleavings_are_told_apart)
{
	_cleanup_stream_ struct stream s = stream_of();
	struct expected expected[OPEN] = {0}, whole = {0};
	uint64_t seed = random_seed();
	unsigned number = 0;

	for (uint32_t relation = 1; relation <= 3; relation++)
		describe_usual(&s, relation);
	for (unsigned round = 0; round < 5000; round++) {
		uint32_t i = (uint32_t)random_below(&seed, OPEN), xid = 100 + i;

		switch (random_below(&seed, 5)) {
		case 0:
			begin(&s, 99);
			random_rows(&s, &whole, &seed, &number);
			commit(&s);
			buf_adds(&whole.rows, "99\n");
			check_batch(&s.batch, whole.rows.data);
			buf_reset(&whole.rows);
			break;
		case 1:
			if (expected[i].open)
				end_one(&s, &expected[i], xid, random_below(&seed, 2));
			break;
		default:
			start(&s, xid, !expected[i].open);
			expected[i].open = true;
			random_rows(&s, &expected[i], &seed, &number);
			stop(&s);
		}
	}
	for (size_t i = 0; i < OPEN; i++)
		buf_done(&expected[i].rows);
	buf_done(&whole.rows);
}
END_TEST

/* Recorded messages, some of them damaged, some left out. */
START_TEST(damaged_streams_are_refused_or_taken)
{
	static const char *const names[] = {"rows",     "keys",        "full",
	                                    "streamed", "interleaved", "toast"};
	uint64_t seed = random_seed();

	for (unsigned round = 0; round < 3000; round++) {
		const char *name = names[random_below(&seed, sizeof(names) / sizeof(*names))];
		_cleanup_recorded_ struct recorded recorded = recorded_open(name);
		_cleanup_stream_ struct stream s = stream_of();
		_cleanup_buf_ struct buf shown = {0};
		size_t len = 0;
		int r = 0;

		set_keys(s.transactions, name);
		for (char *m; r == 0 && (m = recorded_next(&recorded, &len)); free(m)) {
			if (random_below(&seed, 40) == 0)
				continue;
			if (random_below(&seed, 10) == 0)
				m[random_below(&seed, len)] ^= (char)(1 << random_below(&seed, 8));
			r = transactions_take(s.transactions, m, len, &s.batch, NULL, &s.e);
		}
		ck_assert(r == 0 || r == -EPROTO);
		show_batch(&s.batch, &shown);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transaction");
	TCase *test = tcase_create("transaction");

	tcase_set_timeout(test, 60);
	tcase_add_test(test, rows_are_told_by_their_file_names);
	tcase_add_test(test, names_are_spelled_in_the_keys_own_order);
	tcase_add_test(test, what_a_row_leaves_out_is_as_it_was);
	tcase_add_test(test, partitions_are_told_as_their_root);
	tcase_add_test(test, a_truncated_relation_counts_as_a_whole);
	tcase_add_test(test, an_identity_other_than_the_key_proves_what_it_holds);
	tcase_add_test(test, other_messages_are_passed_over);
	tcase_add_test(test, a_key_in_binary_names_no_row);
	tcase_add_test(test, a_streamed_transaction_is_told_when_it_commits);
	tcase_add_test(test, a_streamed_transaction_that_is_rolled_back_is_not_told);
	tcase_add_test(test, interleaved_transactions_are_told_apart_in_the_order_of_their_commits);
	tcase_add_test(test, a_commit_gives_the_position_behind_it);
	tcase_add_test(test, nothing_is_told_before_the_commit);
	tcase_add_test(test, a_row_whose_name_is_not_proved_counts_for_its_relation);
	tcase_add_test(test, an_old_row_proves_what_its_identity_holds);
	tcase_add_test(test, a_key_may_be_set_at_any_time_and_again);
	tcase_add_test(test, the_same_change_is_told_once);
	tcase_add_test(test, a_relation_that_counts_as_a_whole_has_no_rows_beside);
	tcase_add_test(test, ids_are_completed_to_the_nearest);
	tcase_add_test(test, a_part_that_is_rolled_back_leaves_the_rest);
	tcase_add_test(test, one_that_is_rolled_back_is_forgotten);
	tcase_add_test(test, what_does_not_follow_is_refused);
	tcase_add_test(test, after_an_error_nothing_is_taken);
	tcase_add_test(test, a_row_of_other_columns_than_described_is_refused);
	tcase_add_test(test, as_many_rows_as_allowed_are_named);
	tcase_add_test(test, one_more_is_one_too_many);
	tcase_add_test(test, one_more_and_all_its_relations_count_as_a_whole);
	tcase_add_test(test, many_open_transactions_hold_no_more_than_the_bound);
	tcase_add_test(test, memory_may_run_out);
	tcase_add_test(test, memory_may_run_out_for_a_moment);
	tcase_add_test(test, a_key_that_could_not_be_kept_is_told);
	tcase_add_test(test, random_interleavings_are_told_apart);
	tcase_add_test(test, damaged_streams_are_refused_or_taken);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
