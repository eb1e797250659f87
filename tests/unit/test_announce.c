#include "rowfs/engine/announce.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

static struct buf message;

static void teardown(void)
{
	buf_done(&message);
}

static void receive(const char *text)
{
	buf_reset(&message);
	buf_adds(&message, text);
}

static void check_text(const char *want)
{
	ck_assert(!message.failed);
	ck_assert_str_eq(message.data, want);
}

static void check_change(const struct announcement *line, enum batch_op op, uint32_t relation, const char *name)
{
	ck_assert_int_eq(line->kind, ANNOUNCE_CHANGE);
	ck_assert_int_eq(line->change.op, op);
	ck_assert_uint_eq(line->change.relation, relation);
	ck_assert_str_eq(line->change.name, name);
}

/* --- What is said is heard ------------------------------------------------------------------- */

static void say_all(void)
{
	static const struct batch_change changes[] = {
	        {16388, BATCH_INSERT, "43.json"},
	        {16388, BATCH_UPDATE, "42.json"},
	        {4294967295, BATCH_DELETE, "a name with blanks.json"},
	        {16401, BATCH_RELATION, ""},
	};

	announce_begin(&message, "0/1A2B-9f86d081884c7d65", 4711);
	announce_heartbeat(&message, 1763805200123456);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		announce_change(&message, &changes[i]);
	announce_everything(&message);
}

START_TEST(a_message_is_spelled_as_documented)
{
	say_all();
	check_text("0/1A2B-9f86d081884c7d65 4711\n"
	           "h 1763805200123456\n"
	           "i 16388 43.json\n"
	           "u 16388 42.json\n"
	           "d 4294967295 a name with blanks.json\n"
	           "t 16401\n"
	           "e\n");
}
END_TEST

START_TEST(what_is_said_is_heard)
{
	struct announcement line;
	char epoch[EPOCH_SIZE];
	uint64_t number;
	size_t at;

	say_all();
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
	ck_assert_str_eq(epoch, "0/1A2B-9f86d081884c7d65");
	ck_assert_uint_eq(number, 4711);
	ck_assert(announce_next(&message, &at, &line));
	ck_assert_int_eq(line.kind, ANNOUNCE_HEARTBEAT);
	ck_assert_int_eq(line.deadline_us, 1763805200123456);
	ck_assert(announce_next(&message, &at, &line));
	check_change(&line, BATCH_INSERT, 16388, "43.json");
	ck_assert(announce_next(&message, &at, &line));
	check_change(&line, BATCH_UPDATE, 16388, "42.json");
	ck_assert(announce_next(&message, &at, &line));
	check_change(&line, BATCH_DELETE, 4294967295, "a name with blanks.json");
	ck_assert(announce_next(&message, &at, &line));
	check_change(&line, BATCH_RELATION, 16401, "");
	ck_assert(announce_next(&message, &at, &line));
	ck_assert_int_eq(line.kind, ANNOUNCE_EVERYTHING);
	ck_assert(!announce_next(&message, &at, &line));
	ck_assert(!announce_next(&message, &at, &line));
}
END_TEST

/* The last line may have lost its end; no byte after it is looked at. */
START_TEST(a_message_need_not_end_with_a_newline)
{
	struct announcement line;
	char epoch[EPOCH_SIZE];
	uint64_t number;
	size_t at;

	receive("a 1\nu 7 42.json");
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
	ck_assert(announce_next(&message, &at, &line));
	check_change(&line, BATCH_UPDATE, 7, "42.json");
	ck_assert(!announce_next(&message, &at, &line));
	receive("a 1");
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
	ck_assert(!announce_next(&message, &at, &line));
}
END_TEST

/* --- What is not understood ------------------------------------------------------------------ */

/* 63 bytes are the longest epoch. */
#define LONGEST "123456789012345678901234567890123456789012345678901234567890123"

static const char *const no_heads[] = {
        "", "\n", " ", " 5\n", "a\n", "a \n", "a x\n", "a 5x\n", "a 5 \n", "a 5 6\n", "a  5\n", "a -5\n", "a +5\n",
        "a 0x5\n", "a 18446744073709551616\n", "a 99999999999999999999\n", "a\t5\n", LONGEST "4 5\n", "a\n5\n",
};

START_TEST(what_is_no_head_is_refused)
{
	char epoch[EPOCH_SIZE] = "unchanged";
	uint64_t number = 77;
	size_t at = 88;

	receive(no_heads[_i]);
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), -EPROTO);
	ck_assert_str_eq(epoch, "unchanged");
	ck_assert_uint_eq(number, 77);
	ck_assert_uint_eq(at, 88);
}
END_TEST

START_TEST(a_message_that_never_came_is_no_head)
{
	struct buf none = {0};
	char epoch[EPOCH_SIZE];
	uint64_t number;
	size_t at;

	ck_assert_int_eq(announce_head(&none, epoch, &number, &at), -EPROTO);
}
END_TEST

START_TEST(the_longest_head_is_understood)
{
	char epoch[EPOCH_SIZE];
	uint64_t number;
	size_t at;

	receive(LONGEST " 18446744073709551615\n");
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
	ck_assert_str_eq(epoch, LONGEST);
	ck_assert_uint_eq(number, UINT64_MAX);
}
END_TEST

static const char *const malformed[] = {
        "",
        " ",
        "x",
        "x 16388 42.json",
        "e ",
        "ee",
        "E",
        /* heartbeats */
        "h",
        "h ",
        "h x",
        "h 5 ",
        "h 5x",
        "h 5 6",
        "h  5",
        "h\t5",
        "h5",
        "h -5",
        "h +5",
        "h 0x5",
        "h 4611686018427387904",
        "h 9223372036854775808",
        "h -9223372036854775808",
        "h 99999999999999999999",
        /* rows */
        "u",
        "u ",
        "u 42.json",
        "u 16388",
        "u 16388 ",
        "u 16388\t42.json",
        "u  16388 42.json",
        "u16388 42.json",
        "u\t16388 42.json",
        "uu 16388 42.json",
        "u -1 42.json",
        "u +1 42.json",
        "u 4294967296 42.json",
        "u 99999999999999999999 42.json",
        "u 16388x 42.json",
        "i 16388",
        "d 16388 ",
        /* relations */
        "t",
        "t ",
        "t x",
        "t -1",
        "t +1",
        "t  1",
        "t 4294967296",
        "t 18446744073709568017",
        "t 16401 ",
        "t 16401 42.json",
        "t 16401x",
};

/* It may be about anything: a newer worker may know more. And what follows it is read. */
START_TEST(a_line_that_is_not_understood_means_everything)
{
	struct announcement line;
	char epoch[EPOCH_SIZE];
	uint64_t number;
	size_t at;

	buf_addf(&message, "a 1\n%s\nu 7 42.json\n", malformed[_i]);
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
	ck_assert(announce_next(&message, &at, &line));
	ck_assert_int_eq(line.kind, ANNOUNCE_EVERYTHING);
	ck_assert(announce_next(&message, &at, &line));
	check_change(&line, BATCH_UPDATE, 7, "42.json");
	ck_assert(!announce_next(&message, &at, &line));
}
END_TEST

/* What stands after it would not be seen. */
START_TEST(a_zero_byte_is_not_the_end_of_a_line)
{
	static const char lines[] = "u 7 42.json\0more\nh 5\0" "0\ne\0\n";
	struct announcement line;
	char epoch[EPOCH_SIZE];
	uint64_t number;
	size_t at;

	receive("a 1\n");
	buf_add(&message, lines, sizeof lines - 1);
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert(announce_next(&message, &at, &line));
		ck_assert_int_eq(line.kind, ANNOUNCE_EVERYTHING);
	}
	ck_assert(!announce_next(&message, &at, &line));
	buf_reset(&message);
	buf_add(&message, "a 1\0002\n", 6);
	ck_assert_int_eq(announce_head(&message, epoch, &number, &at), -EPROTO);
}
END_TEST

/* --- Many ------------------------------------------------------------------------------------ */

static const char alphabet[] = "abcXYZ 0123456789+%.~_-\xc3\xa4,;:\"'\\";

static void random_name(uint64_t *random, char ret[40])
{
	size_t len = 1 + random_below(random, 39);

	for (size_t i = 0; i < len; i++)
		ret[i] = alphabet[random_below(random, sizeof alphabet - 1)];
	ret[len] = '\0';
}

struct said {
	enum announce_kind kind;
	struct batch_change change;
	char name[40];
	int64_t deadline_us;
};

static void say_random(uint64_t *random, struct said *said)
{
	size_t dice = random_below(random, 10);

	*said = (struct said){.kind = ANNOUNCE_CHANGE};
	if (dice == 0) {
		said->kind = ANNOUNCE_EVERYTHING;
		announce_everything(&message);
	} else if (dice == 1) {
		said->kind = ANNOUNCE_HEARTBEAT;
		said->deadline_us = (int64_t)(random_next(random) >> random_below(random, 62) >> 2);
		announce_heartbeat(&message, said->deadline_us);
	} else {
		said->change.op = (enum batch_op)random_below(random, BATCH_RELATION + 1);
		said->change.relation = (uint32_t)(random_next(random) >> random_below(random, 64));
		if (said->change.op != BATCH_RELATION)
			random_name(random, said->name);
		said->change.name = said->name;
		announce_change(&message, &said->change);
	}
}

START_TEST(any_messages_are_heard_as_they_were_said)
{
	static struct said said[50];
	uint64_t random = random_seed(), number, n;
	struct announcement line;
	char epoch[EPOCH_SIZE];
	size_t at;

	for (int round = 0; round < 300; round++) {
		size_t lines = random_below(&random, 50);

		buf_reset(&message);
		n = random_next(&random);
		announce_begin(&message, "63f1c2a9-9f86d081884c7d65", n);
		for (size_t i = 0; i < lines; i++)
			say_random(&random, &said[i]);
		ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
		ck_assert_str_eq(epoch, "63f1c2a9-9f86d081884c7d65");
		ck_assert_uint_eq(number, n);
		for (size_t i = 0; i < lines; i++) {
			ck_assert(announce_next(&message, &at, &line));
			ck_assert_int_eq(line.kind, said[i].kind);
			if (line.kind == ANNOUNCE_CHANGE)
				check_change(&line, said[i].change.op, said[i].change.relation, said[i].name);
			ck_assert_int_eq(line.deadline_us, said[i].deadline_us);
		}
		ck_assert(!announce_next(&message, &at, &line));
	}
}
END_TEST

/* Whatever came: nothing beyond it is read, and it comes to an end. A sanitizer watches. */
START_TEST(garbage_is_read_to_its_end)
{
	static const char bytes[] = "iudthe 0123456789-+\n\n\n\0x.";
	uint64_t random = random_seed(), number;
	struct announcement line;
	char epoch[EPOCH_SIZE];
	size_t at, lines;

	for (int round = 0; round < 5000; round++) {
		size_t len = random_below(&random, 60);

		buf_reset(&message);
		if (random_below(&random, 4))
			buf_adds(&message, "a 1\n");
		for (size_t i = 0; i < len; i++)
			buf_addc(&message, bytes[random_below(&random, sizeof bytes)]);
		if (announce_head(&message, epoch, &number, &at) < 0)
			continue;
		for (lines = 0; announce_next(&message, &at, &line); lines++) {
			ck_assert_uint_le(lines, len);
			if (line.kind == ANNOUNCE_CHANGE)
				ck_assert_uint_lt(strlen(line.change.name), len);
			ck_assert_int_ge(line.deadline_us, 0);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("announce");
	TCase *test = tcase_create("announce");

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, NULL, teardown);
	tcase_add_test(test, a_message_is_spelled_as_documented);
	tcase_add_test(test, what_is_said_is_heard);
	tcase_add_test(test, a_message_need_not_end_with_a_newline);
	tcase_add_loop_test(test, what_is_no_head_is_refused, 0, sizeof no_heads / sizeof *no_heads);
	tcase_add_test(test, a_message_that_never_came_is_no_head);
	tcase_add_test(test, the_longest_head_is_understood);
	tcase_add_loop_test(test, a_line_that_is_not_understood_means_everything, 0,
	                    sizeof malformed / sizeof *malformed);
	tcase_add_test(test, a_zero_byte_is_not_the_end_of_a_line);
	tcase_add_test(test, any_messages_are_heard_as_they_were_said);
	tcase_add_test(test, garbage_is_read_to_its_end);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
