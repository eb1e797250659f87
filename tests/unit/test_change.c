#include "rowfs/model/change.h"

#include <errno.h>
#include <string.h>

#include "failing.h"
#include "stream.h"
#include "suite.h"

/* What PostgreSQL 15 sent, and what it says: a line a message, but for INSERTs that follow each
 * other. A column of the identity has a *; in a tuple, NULL is ~, what is left out ?. */
static const struct {
	const char *name, *shown;
} recordings[] = {
        {
                "rows",
                "B 726\n"
                "R public.items d *id name\n"
                "I 16385 N(1|Tent) N(2|~) N(3|)\n"
                "U 16385 N(1|Stove)\n"
                "U 16385 K(2|~) N(20|~)\n"
                "D 16385 K(3|~)\n"
                "C 1924EF0 1924F20\n",
        },
        {
                "keys",
                "B 731\n"
                "R public.lines d *doc *n note\n"
                "I 16395 N(a/b|7|x) N(c,d|8|y)\n"
                "U 16395 K(a/b|7|~) N(é/%|7|x)\n"
                "U 16395 N(c,d|8|z)\n"
                "D 16395 K(c,d|8|~)\n"
                "R public.words d *w\n"
                "I 16402 N(ключ, 🐘/.) N(xxx..2000) N(.hidden) N()\n"
                "U 16402 N(.hidden)\n"
                "U 16402 K(.hidden) N(shown)\n"
                "D 16402 K(xxx..2000)\n"
                "C 1D4FBD8 1D4FC08\n",
        },
        {
                "toast",
                "B 736\n"
                "R public.docs d *id body n\n"
                "I 16413 N(1|bbb..2100|0)\n"
                "U 16413 N(1|?|1)\n"
                "R public.longs d *k n\n"
                "I 16420 N(kkk..2100|0)\n"
                "U 16420 K(kkk..2100|~) N(?|1)\n"
                "U 16420 K(kkk..2100|~) N(short|1)\n"
                "D 16413 K(1|~|~)\n"
                "C 217C600 217C630\n",
        },
        {
                "partitions",
                "B 741\n"
                "R public.sales d *region *id amount\n"
                "R public.sales_n d *region *id amount\n"
                "I 16433 N(north|1|10)\n"
                "R public.sales d *region *id amount\n"
                "R public.sales_s d *region *id amount\n"
                "I 16433 N(south|2|20)\n"
                "U 16433 N(north|1|11)\n"
                "D 16433 K(north|1|~)\n"
                "I 16433 N(south|1|11)\n"
                "D 16433 K(south|2|~)\n"
                "C 25AB160 25AB2D0\n",
        },
        {
                "truncate",
                "B 746\n"
                "R public.a d *id\n"
                "I 16459 N(1)\n"
                "R public.a d *id\n"
                "R public.c d *id\n"
                "R public.b d *id a\n"
                "T 16459 16474 16464\n"
                "R public.c d *id\n"
                "T 16474\n"
                "C 29D5548 29D5770\n",
        },
        {
                "full",
                "B 751\n"
                "R public.everything f *id *name *note\n"
                "I 16490 N(1|a|~) N(2|b|x)\n"
                "U 16490 O(1|a|~) N(1|a|y)\n"
                "U 16490 O(2|b|x) N(3|b|x)\n"
                "D 16490 O(1|a|y)\n"
                "R public.nothing n id n\n"
                "I 16497 N(1|1)\n"
                "R public.by_index i id *code n\n"
                "I 16502 N(1|one|1)\n"
                "U 16502 N(1|one|2)\n"
                "U 16502 N(2|one|2)\n"
                "U 16502 K(~|one|~) N(2|two|2)\n"
                "D 16502 K(~|two|~)\n"
                "C 2E02E10 2E02E40\n",
        },
        {
                "others",
                "-\n"
                "B 756\n"
                "-\n"
                "-\n"
                "-\n"
                "R public.moods d *id m d\n"
                "I 16521 N(1|bad|2020-02-29)\n"
                "C 32269C8 3226A30\n"
                "B 758\n"
                "-\n"
                "C 3226B98 3226BC8\n",
        },
        {
                "binary",
                "B 788\n"
                "R public.items d *id name\n"
                "I 16733 N binary(4|4) N binary(4|~)\n"
                "U 16733 K binary(4|~) N binary(4|~)\n"
                "C 47EE5E8 47EE618\n",
        },
        {
                "streamed",
                "S 762 first\n"
                "762: R public.big d *id\n"
                "762: I 16529 N(1) N(2) N(3) N(4) N(5) N(6) N(7) N(8) N(9)\n"
                "E\n"
                "S 762\n"
                "763: I 16529 N(101) N(102) N(103) N(104) N(105) N(106) N(107) N(108) N(109)\n"
                "E\n"
                "A 762 763\n"
                "S 762\n"
                "764: R public.small d *id n\n"
                "764: I 16536 N(1|1)\n"
                "762: -\n"
                "764: R public.big d *id\n"
                "764: I 16529 N(10) N(11) N(12) N(13) N(14) N(15) N(16) N(17) N(18)\n"
                "E\n"
                "S 762\n"
                "764: U 16529 K(4) N(40)\n"
                "764: U 16529 N(5)\n"
                "764: D 16529 K(6)\n"
                "764: R public.small d *id n\n"
                "764: T 16536\n"
                "E\n"
                "c 762 3696910 36969E8\n"
                "B 765\n"
                "R public.small d *id n\n"
                "I 16536 N(2|2)\n"
                "C 3696AC8 3696AF8\n"
                "B 766\n"
                "-\n"
                "C 3696B30 3696B60\n",
        },
        {
                "streamed_abort",
                "S 783 first\n"
                "783: R public.big d *id\n"
                "783: I 16717 N(1) N(2) N(3) N(4) N(5) N(6) N(7) N(8) N(9)\n"
                "E\n"
                "A 783 783\n"
                "B 784\n"
                "R public.small d *id n\n"
                "I 16724 N(1|1)\n"
                "C 43C94B8 43C94E8\n",
        },
        {
                "interleaved",
                "S 776 first\n"
                "776: R public.big d *id\n"
                "776: I 16655 N(10) N(11) N(12) N(13) N(14) N(15) N(16) N(17) N(18)\n"
                "E\n"
                "S 777 first\n"
                "777: R public.big d *id\n"
                "777: I 16655 N(1010) N(1011) N(1012) N(1013) N(1014) N(1015) N(1016) N(1017) "
                "N(1018)\n"
                "E\n"
                "S 776\n"
                "776: I 16655 N(20) N(21) N(22) N(23) N(24) N(25) N(26) N(27) N(28)\n"
                "E\n"
                "S 777\n"
                "777: I 16655 N(1020) N(1021) N(1022) N(1023) N(1024) N(1025) N(1026) N(1027) "
                "N(1028)\n"
                "E\n"
                "B 778\n"
                "R public.small d *id n\n"
                "I 16662 N(1|1)\n"
                "C 3F65BE0 3F65C10\n"
                "S 776\n"
                "776: I 16655 N(30) N(31) N(32) N(33) N(34) N(35) N(36) N(37) N(38)\n"
                "E\n"
                "S 777\n"
                "777: I 16655 N(1030) N(1031) N(1032) N(1033) N(1034) N(1035) N(1036) N(1037) "
                "N(1038)\n"
                "E\n"
                "c 777 3F89940 3F89970\n"
                "c 776 3F89970 3F899A0\n",
        },
};
enum { RECORDINGS = sizeof(recordings) / sizeof(*recordings) };

static struct change_decoder *decoder_of(void)
{
	struct change_decoder *decoder;

	ck_assert_int_eq(change_decoder_new(&decoder), 0);
	return decoder;
}

static void decoder_free(struct change_decoder **decoder)
{
	change_decoder_free(*decoder);
}

#define _cleanup_decoder_ _cleanup_(decoder_free)

/* --- Recorded messages ----------------------------------------------------------------------- */

/* Of a long value its beginning and length, of one that is no text its length. */
static void show_tuple(const struct change_tuple *tuple, const char *letter, struct buf *out)
{
	buf_addf(out, " %s%s(", letter, tuple->binary ? " binary" : "");
	for (size_t i = 0; i < tuple->n; i++) {
		struct cell cell = tuple->cells[i];

		buf_adds(out, i ? "|" : "");
		if (tuple->unchanged[i] || !cell.data)
			buf_adds(out, tuple->unchanged[i] ? "?" : "~");
		else if (cell.len > 100)
			buf_addf(out, "%.3s..%zu", cell.data, cell.len);
		else if (tuple->binary)
			buf_addf(out, "%zu", cell.len);
		else
			buf_adds(out, cell.data);
	}
	buf_adds(out, ")");
}

static void show_relation(const struct change *change, struct buf *out)
{
	buf_addf(out, "R %s.%s %c", change->name_space, change->name, change->identity);
	for (size_t i = 0; i < change->n_columns; i++)
		buf_addf(out, " %s%s", change->columns[i].key ? "*" : "", change->columns[i].name);
}

static void show_row(const struct change *change, char letter, struct buf *out)
{
	buf_addf(out, "%c %u", letter, change->relation);
	if (change->before.present)
		show_tuple(&change->before, change->before_is_key ? "K" : "O", out);
	if (change->after.present)
		show_tuple(&change->after, "N", out);
}

static void show(const struct change *change, struct buf *out)
{
	switch (change->kind) {
	case CHANGE_BEGIN:
		return buf_addf(out, "B %u", change->xid);
	case CHANGE_COMMIT:
		return buf_addf(out, "C %lX %lX", change->lsn, change->end_lsn);
	case CHANGE_STREAM_START:
		return buf_addf(out, "S %u%s", change->xid, change->first ? " first" : "");
	case CHANGE_STREAM_STOP:
		return buf_adds(out, "E");
	case CHANGE_STREAM_COMMIT:
		return buf_addf(out, "c %u %lX %lX", change->xid, change->lsn, change->end_lsn);
	case CHANGE_STREAM_ABORT:
		return buf_addf(out, "A %u %u", change->xid, change->subxid);
	case CHANGE_RELATION:
		return show_relation(change, out);
	case CHANGE_INSERT:
		return show_row(change, 'I', out);
	case CHANGE_UPDATE:
		return show_row(change, 'U', out);
	case CHANGE_DELETE:
		return show_row(change, 'D', out);
	case CHANGE_TRUNCATE:
		buf_adds(out, "T");
		for (size_t i = 0; i < change->n_relations; i++)
			buf_addf(out, " %u", change->relations[i]);
		return;
	case CHANGE_OTHER:
		return buf_adds(out, "-");
	}
}

/* Called with each message of a recording and what it says. */
typedef void visit(const char *message, size_t len, bool streamed, const struct change *change,
                   void *arg);

static void go_through(const char *name, visit *each, void *arg)
{
	_cleanup_recorded_ struct recorded recorded = recorded_open(name);
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	bool streamed = false;
	size_t len = 0;

	for (char *message; (message = recorded_next(&recorded, &len)); free(message)) {
		struct change change;
		struct error e = {0};

		ck_assert_msg(change_parse(decoder, message, len, streamed, &change, &e) == 0,
		              "%s: %s", name, e.message);
		each(message, len, streamed, &change, arg);
		if (change.kind == CHANGE_STREAM_START || change.kind == CHANGE_STREAM_STOP)
			streamed = change.kind == CHANGE_STREAM_START;
	}
}

struct showing {
	struct buf text;
	uint32_t xid, relation; /* of the INSERT that is the last line; 0: another */
};

static void show_line(const char *message, size_t len, bool streamed, const struct change *change,
                      void *arg)
{
	struct showing *s = arg;
	bool insert = change->kind == CHANGE_INSERT;

	if (insert && s->relation == change->relation && s->xid == change->xid) {
		s->text.len--;
		show_tuple(&change->after, "N", &s->text);
	} else {
		if (streamed && change->xid && change->kind != CHANGE_STREAM_START)
			buf_addf(&s->text, "%u: ", change->xid);
		show(change, &s->text);
	}
	buf_adds(&s->text, "\n");
	s->relation = insert ? change->relation : 0;
	s->xid = change->xid;
}

START_TEST(recorded_messages_say_what_was_done)
{
	for (size_t i = 0; i < RECORDINGS; i++) {
		struct showing s = {0};

		go_through(recordings[i].name, show_line, &s);
		ck_assert_str_eq(s.text.data, recordings[i].shown);
		buf_done(&s.text);
	}
}
END_TEST

/* --- Malformed messages ---------------------------------------------------------------------- */

/* Refused, with a sentence, and without touching the answer. */
static void check_refused(const void *bytes, size_t len, bool streamed, const char *what)
{
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	_cleanup_free_ char *message = malloc(len ? len : 1);
	struct change change, before;
	struct error e = {0};

	memset(&change, 0x5a, sizeof(change));
	memcpy(&before, &change, sizeof(change));
	memcpy(message, bytes, len);
	/* Of no bytes there must not even be one to read. */
	ck_assert_msg(change_parse(decoder, len ? message : message + 1, len, streamed, &change,
	                           &e) == -EPROTO,
	              "%s", what);
	ck_assert_int_eq(e.err, EPROTO);
	ck_assert(strstr(e.message, "the change stream"));
	ck_assert_mem_eq(&change, &before, sizeof(change));
}

static void check_prefixes(const char *message, size_t len, bool streamed,
                           const struct change *change, void *arg)
{
	for (size_t n = 0; n < len; n++)
		check_refused(message, n, streamed, arg);
}

START_TEST(no_beginning_of_a_message_is_one)
{
	for (size_t i = 0; i < RECORDINGS; i++)
		go_through(recordings[i].name, check_prefixes, (void *)recordings[i].name);
}
END_TEST

static void check_longer(const char *message, size_t len, bool streamed,
                         const struct change *change, void *arg)
{
	_cleanup_buf_ struct buf longer = {0};

	buf_add(&longer, message, len);
	buf_addc(&longer, '\0');
	check_refused(longer.data, longer.len, streamed, arg);
	buf_add(&longer, message, len);
	check_refused(longer.data, longer.len, streamed, arg);
}

START_TEST(bytes_behind_a_message_are_refused)
{
	for (size_t i = 0; i < RECORDINGS; i++)
		go_through(recordings[i].name, check_longer, (void *)recordings[i].name);
}
END_TEST

#define BYTES(...) .bytes = "" __VA_ARGS__, .len = sizeof("" __VA_ARGS__) - 1

START_TEST(what_makes_no_sense_is_refused)
{
	static const struct {
		const char *what, *bytes;
		size_t len;
		bool streamed;
	} cases[] = {
	        {"nothing", BYTES("")},
	        {"unknown type", BYTES("Z")},
	        {"type 0", BYTES("\0")},
	        {"type 255", BYTES("\377")},
	        {"two-phase commit", BYTES("b\0\0\0\0\0\0\0\0")},
	        {"row without a tuple", BYTES("I\0\0\0\1")},
	        {"INSERT of an old row", BYTES("I\0\0\0\1O\0\1n")},
	        {"DELETE of a new row", BYTES("D\0\0\0\1N\0\1n")},
	        {"DELETE of an unknown tuple", BYTES("D\0\0\0\1X\0\1n")},
	        {"UPDATE of an unknown tuple", BYTES("U\0\0\0\1X\0\1nN\0\1n")},
	        {"UPDATE to nothing", BYTES("U\0\0\0\1K\0\1n")},
	        {"UPDATE with two old rows", BYTES("U\0\0\0\1K\0\1nO\0\1nN\0\1n")},
	        {"UPDATE with two new rows", BYTES("U\0\0\0\1N\0\1nN\0\1n")},
	        {"fewer columns than said", BYTES("I\0\0\0\1N\0\2n")},
	        {"more columns than said", BYTES("I\0\0\0\1N\0\1nn")},
	        {"a negative number of columns", BYTES("I\0\0\0\1N\377\377n")},
	        {"an unknown value", BYTES("I\0\0\0\1N\0\1x")},
	        {"a value longer than the message", BYTES("I\0\0\0\1N\0\1t\0\0\0\2a")},
	        {"a value of negative length", BYTES("I\0\0\0\1N\0\1t\377\377\377\377a")},
	        {"a value of length -5", BYTES("I\0\0\0\1N\0\1t\377\377\377\373a")},
	        {"a NUL in a text", BYTES("I\0\0\0\1N\0\1t\0\0\0\3a\0b")},
	        {"a binary value that is cut", BYTES("I\0\0\0\1N\0\1b\0\0\0\4a\0b")},
	        {"schema without an end", BYTES("R\0\0\0\1public")},
	        {"relation without an end", BYTES("R\0\0\0\1public\0t")},
	        {"column without an end", BYTES("R\0\0\0\1public\0t\0d\0\1\1id")},
	        {"column without a type", BYTES("R\0\0\0\1public\0t\0d\0\1\1id\0\0\0\0")},
	        {"more columns than a table has", BYTES("R\0\0\0\1public\0t\0d\6\201\1id\0\0\0\0")},
	        {"TRUNCATE of more than there are", BYTES("T\0\0\0\2\0\0\0\0\1")},
	        {"TRUNCATE of four billion", BYTES("T\377\377\377\377\0\0\0\0\1")},
	        {"TRUNCATE of 2^30, which is 0 bytes", BYTES("T\100\0\0\0\0")},
	        {"COMMIT with a flag",
	         BYTES("C\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3")},
	        {"message longer than it is", BYTES("M\0\0\0\0\0\0\0\0\1p\0\0\0\0\2x")},
	        {"message of negative length", BYTES("M\0\0\0\0\0\0\0\0\1p\0\377\377\377\377x")},
	        {"prefix without an end", BYTES("M\0\0\0\0\0\0\0\0\1prefix")},
	        {"a part that is missing", BYTES("I\0\0\0\1N\0\1n"), .streamed = true},
	        {"a part where there is none", BYTES("I\0\0\0\7\0\0\0\1N\0\1n")},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_refused(cases[i].bytes, cases[i].len, cases[i].streamed, cases[i].what);
}
END_TEST

START_TEST(a_message_may_be_parsed_without_an_error)
{
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	struct change change;

	ck_assert_int_eq(change_parse(decoder, "Z", 1, false, &change, NULL), -EPROTO);
	ck_assert_int_eq(change_parse(decoder, "E", 1, true, &change, NULL), 0);
	ck_assert_int_eq(change.kind, CHANGE_STREAM_STOP);
}
END_TEST

/* Its place in the stream tells of which transaction it is. */
START_TEST(an_origin_names_no_transaction_in_a_streamed_block_either)
{
	static const char origin[] = "O\1\2\3\4\5\6\7\10";
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	struct change change;

	ck_assert_int_eq(change_parse(decoder, origin, sizeof(origin), true, &change, NULL), 0);
	ck_assert_int_eq(change.kind, CHANGE_OTHER);
	ck_assert_uint_eq(change.xid, 0);
}
END_TEST

/* --- Bounds ---------------------------------------------------------------------------------- */

static void put_wide_row(struct buf *b, size_t n)
{
	put_head(b, 'U', 0, 1);
	for (const char *letter = "ON"; *letter; letter++) {
		buf_addc(b, *letter);
		put_integer(b, n, 2);
		for (size_t i = 0; i < n; i++) {
			buf_adds(b, "t");
			put_integer(b, i % 3, 4);
			buf_add(b, "xyz", i % 3);
		}
	}
}

START_TEST(a_row_may_have_as_many_columns_as_postgresql_allows)
{
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	_cleanup_buf_ struct buf b = {0};
	struct change change;

	put_wide_row(&b, CHANGE_COLUMNS_MAX);
	ck_assert_int_eq(change_parse(decoder, b.data, b.len, false, &change, NULL), 0);
	ck_assert_uint_eq(change.before.n, CHANGE_COLUMNS_MAX);
	ck_assert_uint_eq(change.after.n, CHANGE_COLUMNS_MAX);
	for (size_t i = 0; i < CHANGE_COLUMNS_MAX; i++) {
		ck_assert_str_eq(change.before.cells[i].data, i % 3 ? i % 3 == 1 ? "x" : "xy" : "");
		ck_assert(cell_equal(change.before.cells[i], change.after.cells[i]));
		ck_assert(!change.after.unchanged[i]);
	}
	buf_reset(&b);
	put_wide_row(&b, CHANGE_COLUMNS_MAX + 1);
	check_refused(b.data, b.len, false, "one more");
}
END_TEST

static void check_value(struct change_decoder *decoder, size_t len)
{
	_cleanup_buf_ struct buf b = {0};
	struct change change;

	put_head(&b, 'I', 0, 1);
	buf_addc(&b, 'N');
	put_integer(&b, 1, 2);
	buf_addc(&b, 't');
	put_integer(&b, len, 4);
	for (size_t i = 0; i < len; i++)
		buf_addc(&b, 'v');
	ck_assert_int_eq(change_parse(decoder, b.data, b.len, false, &change, NULL), 0);
	ck_assert_uint_eq(change.after.cells[0].len, len);
	ck_assert_uint_eq(strlen(change.after.cells[0].data), len);
}

START_TEST(values_may_be_large_and_small_by_turns)
{
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();

	for (size_t len = 1; len < 5 << 20; len = len * 3 + 1) {
		check_value(decoder, len);
		check_value(decoder, 0);
		check_value(decoder, 4096 - 13);
	}
}
END_TEST

START_TEST(many_relations_may_be_truncated)
{
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	_cleanup_buf_ struct buf b = {0};
	struct change change;

	buf_addc(&b, 'T');
	put_integer(&b, 10000, 4);
	put_integer(&b, 3, 1);
	for (uint32_t i = 0; i < 10000; i++)
		put_integer(&b, i * 100000, 4);
	ck_assert_int_eq(change_parse(decoder, b.data, b.len, false, &change, NULL), 0);
	ck_assert_uint_eq(change.n_relations, 10000);
	for (uint32_t i = 0; i < 10000; i++)
		ck_assert_uint_eq(change.relations[i], i * 100000);
}
END_TEST

START_TEST(memory_may_run_out)
{
	struct change_decoder *decoder = NULL;
	struct change change = {.xid = 42};
	struct error e = {0};
	int r;

	failing_after(0);
	r = change_decoder_new(&decoder);
	failing_stop();
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_ptr_null(decoder);
	ck_assert_int_eq(change_decoder_new(&decoder), 0);
	failing_after(0);
	r = change_parse(decoder, "E", 1, true, &change, &e);
	failing_stop();
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_uint_eq(change.xid, 42);
	ck_assert_int_eq(change_parse(decoder, "E", 1, true, &change, &e), 0);
	change_decoder_free(decoder);
	change_decoder_free(NULL);
}
END_TEST

/* --- Random bytes ---------------------------------------------------------------------------- */

static void check_tuple(const struct change_tuple *tuple)
{
	ck_assert_uint_le(tuple->n, CHANGE_COLUMNS_MAX);
	for (size_t i = 0; tuple->present && i < tuple->n; i++) {
		struct cell cell = tuple->cells[i];

		ck_assert(!cell.data || (cell.data[cell.len] == '\0' && !tuple->unchanged[i]));
		ck_assert(!cell.data || tuple->binary || strlen(cell.data) == cell.len);
	}
}

/* Whatever it is, it is refused or all that it says can be read. */
static void check_any(struct change_decoder *decoder, const char *bytes, size_t len, bool streamed)
{
	_cleanup_free_ char *message = malloc(len ? len : 1);
	_cleanup_buf_ struct buf shown = {0};
	struct change change;
	struct error e = {0};
	int r;

	memcpy(message, bytes, len);
	r = change_parse(decoder, message, len, streamed, &change, &e);
	if (r < 0) {
		ck_assert_int_eq(r, -EPROTO);
		ck_assert(e.message[0]);
		return;
	}
	check_tuple(&change.before);
	check_tuple(&change.after);
	show(&change, &shown);
}

START_TEST(random_bytes_are_refused_or_understood)
{
	static const char letters[] = "BCSEcARIUDTYOM";
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	uint64_t seed = random_seed();
	char bytes[64];

	for (unsigned round = 0; round < 200000; round++) {
		size_t len = random_below(&seed, sizeof(bytes)) + 1;

		/* Small numbers lead further than large ones. */
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(random_next(&seed) & (random_next(&seed) % 3 ? 3 : 255));
		for (size_t i = 0; i < len; i++)
			if (random_below(&seed, 4) == 0)
				bytes[i] = "KONntub"[random_below(&seed, 7)];
		bytes[0] = letters[random_below(&seed, sizeof(letters) - 1)];
		check_any(decoder, bytes, len, random_below(&seed, 2));
	}
}
END_TEST

struct mutating {
	struct change_decoder *decoder;
	uint64_t seed;
};

static void mutate(const char *message, size_t len, bool streamed, const struct change *change,
                   void *arg)
{
	struct mutating *m = arg;

	for (unsigned round = 0; round < 300; round++) {
		_cleanup_buf_ struct buf b = {0};

		buf_add(&b, message, len);
		for (size_t n = random_below(&m->seed, 3); n > 0; n--)
			b.data[random_below(&m->seed, len)] ^=
			        (char)(1 << random_below(&m->seed, 8));
		if (random_below(&m->seed, 4) == 0)
			buf_resize(&b, random_below(&m->seed, len + 8));
		check_any(m->decoder, b.data, b.len, streamed);
	}
}

START_TEST(damaged_messages_are_refused_or_understood)
{
	_cleanup_decoder_ struct change_decoder *decoder = decoder_of();
	struct mutating m = {decoder, random_seed()};

	for (size_t i = 0; i < RECORDINGS; i++)
		go_through(recordings[i].name, mutate, &m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("change");
	TCase *test = tcase_create("change");

	tcase_set_timeout(test, 60);
	tcase_add_test(test, recorded_messages_say_what_was_done);
	tcase_add_test(test, no_beginning_of_a_message_is_one);
	tcase_add_test(test, bytes_behind_a_message_are_refused);
	tcase_add_test(test, what_makes_no_sense_is_refused);
	tcase_add_test(test, a_message_may_be_parsed_without_an_error);
	tcase_add_test(test, an_origin_names_no_transaction_in_a_streamed_block_either);
	tcase_add_test(test, a_row_may_have_as_many_columns_as_postgresql_allows);
	tcase_add_test(test, values_may_be_large_and_small_by_turns);
	tcase_add_test(test, many_relations_may_be_truncated);
	tcase_add_test(test, memory_may_run_out);
	tcase_add_test(test, random_bytes_are_refused_or_understood);
	tcase_add_test(test, damaged_messages_are_refused_or_understood);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
