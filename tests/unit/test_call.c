/* A request's answer. What libfuse would send is taken here. */
#include <errno.h>
#include <string.h>

#include "../../src/fuse/mount.h"
#include "suite.h"

static struct mount mount;
static struct fuse_ctx context = {.uid = 1000, .gid = 1000, .pid = 4242};
static int replied;
static struct error recorded;
static unsigned records;

/* --- What the fuse layer calls --------------------------------------------------------------- */

int fuse_reply_err(fuse_req_t req, int err)
{
	ck_assert_int_eq(replied, -1);
	replied = err;
	return 0;
}

const struct fuse_ctx *fuse_req_ctx(fuse_req_t req)
{
	return &context;
}

void *fuse_req_userdata(fuse_req_t req)
{
	return &mount;
}

void __wrap_refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
			 const struct kept_text *text);
void __wrap_refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
			 const struct kept_text *text)
{
	recorded = *e;
	records++;
}

void __wrap_refusals_add_read(struct refusals *refusals, const struct asker *asker,
                              const struct error *e);
void __wrap_refusals_add_read(struct refusals *refusals, const struct asker *asker,
                              const struct error *e)
{
	recorded = *e;
	records++;
}

static struct marks *marks;

static struct call *call_begun(void)
{
	struct call *call;

	replied = -1;
	records = 0;
	ck_assert_int_eq(marks_new(&marks), 0);
	ck_assert_int_eq(nodes_new(marks, 0, 0, &mount.nodes), 0);
	call = call_new(NULL, nodes_root(mount.nodes), NULL);
	ck_assert_ptr_nonnull(call);
	return call;
}

/* --- Tests ----------------------------------------------------------------------------------- */

START_TEST(what_was_refused_without_a_word_was_refused)
{
	struct call *call = call_begun();

	call_refuse(call, CALL_OTHER, -ENOMEM, &(struct kept_text){.data = "{}", .len = 2});
	ck_assert_int_eq(replied, ENOMEM);
	ck_assert_uint_eq(records, 1);
	ck_assert_int_eq(recorded.err, ENOMEM);
	ck_assert_str_ne(recorded.message, "");
	nodes_free(mount.nodes);
	marks_free(marks);
}
END_TEST

START_TEST(the_errno_is_what_the_caller_says_and_the_words_are_for_people)
{
	struct call *call = call_begun();

	(void)error_set(&call->error, EPERM, "the auditor says no");
	call_refuse(call, CALL_PATH, -EINVAL, NULL);
	ck_assert_int_eq(replied, EIO);
	ck_assert_str_eq(recorded.message, "the auditor says no");
	nodes_free(mount.nodes);
	marks_free(marks);
}
END_TEST

START_TEST(a_read_that_failed_without_a_word_failed)
{
	struct call *call = call_begun();
	struct error nothing = {0};

	call_fail(call, CALL_OTHER, &nothing);
	ck_assert_int_eq(replied, EIO);
	ck_assert_uint_eq(records, 1);
	nodes_free(mount.nodes);
	marks_free(marks);
}
END_TEST

START_TEST(a_name_that_is_not_there_is_no_trouble)
{
	struct call *call = call_begun();
	struct error e;

	(void)error_set(&e, ENOENT, "there is no row");
	call_fail(call, CALL_LOOKUP, &e);
	ck_assert_int_eq(replied, ENOENT);
	ck_assert_uint_eq(records, 0);
	nodes_free(mount.nodes);
	marks_free(marks);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("call");
	TCase *test = tcase_create("call");

	tcase_add_test(test, what_was_refused_without_a_word_was_refused);
	tcase_add_test(test, the_errno_is_what_the_caller_says_and_the_words_are_for_people);
	tcase_add_test(test, a_read_that_failed_without_a_word_failed);
	tcase_add_test(test, a_name_that_is_not_there_is_no_trouble);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
