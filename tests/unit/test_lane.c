#include "rowfs/engine/lane.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "latch.h"
#include "suite.h"

struct job {
	struct lane_task task;
	struct lane *lane;
	struct latch *started; /* pass it before ending, if not NULL */
	struct job *inner;     /* run this one from inside */
	struct job *queues;    /* queue this one, once */
	bool inner_ended_first;
	bool late; /* it was told so */
	pthread_t thread;
	unsigned turn; /* when it ended, from 1; 0: it has not */
};

static _Atomic unsigned turns;

static void run_job(struct lane_task *task)
{
	struct job *job = container_of(task, struct job, task);

	job->thread = pthread_self();
	job->late = task->late;
	if (job->started)
		latch_pass(job->started);
	if (job->inner) {
		lane_run(job->lane, &job->inner->task);
		job->inner_ended_first = job->inner->turn != 0;
	}
	job->turn = ++turns;
	if (job->queues) {
		struct job *next = job->queues;

		job->queues = NULL;
		lane_queue(job->lane, &next->task);
	}
}

static struct job job_in(struct lane *lane)
{
	return (struct job){.task.run = run_job, .lane = lane};
}

static struct lane *lane_of(unsigned seats)
{
	struct lane *lane;

	ck_assert_int_eq(lane_new(seats, 0, &lane), 0);
	return lane;
}

static void *run_in_thread(void *arg)
{
	struct job *job = arg;

	lane_run(job->lane, &job->task);
	return NULL;
}

/* Take a seat on a thread of its own, and stay there until the latch opens. */
static pthread_t occupy(struct job *job, struct latch *latch)
{
	pthread_t thread;
	unsigned before = latch_arrived(latch);

	job->started = latch;
	ck_assert_int_eq(pthread_create(&thread, NULL, run_in_thread, job), 0);
	latch_await(latch, before + 1);
	return thread;
}

static void check_load(struct lane *lane, unsigned running, unsigned queued)
{
	unsigned now_running, now_queued;

	lane_load(lane, &now_running, &now_queued);
	ck_assert_uint_eq(now_running, running);
	ck_assert_uint_eq(now_queued, queued);
}

START_TEST(a_free_seat_runs_at_once_on_the_callers_thread)
{
	struct lane *lane = lane_of(1);
	struct job first = job_in(lane), second = job_in(lane);

	lane_run(lane, &first.task);
	ck_assert_uint_eq(first.turn, 1);
	ck_assert(pthread_equal(first.thread, pthread_self()));
	lane_run(lane, &second.task);
	ck_assert_uint_eq(second.turn, 2);
	check_load(lane, 0, 0);
	lane_free(lane);
}
END_TEST

/* The caller comes back at once; the holder of the seat runs what waits, in the order it came. */
START_TEST(a_task_without_a_seat_waits_without_a_thread)
{
	struct latch latch = LATCH_INIT;
	struct lane *lane = lane_of(1);
	struct job holder = job_in(lane), waiting[3];
	pthread_t thread = occupy(&holder, &latch);

	for (unsigned i = 0; i < 3; i++) {
		waiting[i] = job_in(lane);
		lane_run(lane, &waiting[i].task);
		ck_assert_uint_eq(waiting[i].turn, 0);
		check_load(lane, 1, i + 1);
	}
	latch_open(&latch);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(holder.turn, 1);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(waiting[i].turn, i + 2);
		ck_assert(pthread_equal(waiting[i].thread, thread));
	}
	check_load(lane, 0, 0);
	lane_free(lane);
}
END_TEST

/* Who has more to do comes again after those who wait, on whichever thread. */
START_TEST(a_task_that_queues_itself_lets_others_go_first)
{
	struct latch latch = LATCH_INIT;
	struct lane *lane = lane_of(1);
	struct job again = job_in(lane), waiting = job_in(lane), alone = job_in(lane);
	pthread_t thread;

	again.queues = &again;
	thread = occupy(&again, &latch);
	lane_run(lane, &waiting.task);
	latch_open(&latch);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(waiting.turn, 2);
	ck_assert_uint_eq(again.turn, 3);
	alone.queues = &alone;
	lane_run(lane, &alone.task);
	ck_assert_uint_eq(alone.turn, 5);
	check_load(lane, 0, 0);
	lane_free(lane);
}
END_TEST

/* So many as there are seats run beside each other, and no more. */
START_TEST(every_seat_is_used_before_anybody_waits)
{
	enum { ALL = 3 };
	struct latch latch = LATCH_INIT;
	struct lane *lane = lane_of(ALL);
	struct job holders[ALL], extra = job_in(lane);
	pthread_t threads[ALL];

	for (unsigned i = 0; i < ALL; i++) {
		holders[i] = job_in(lane);
		threads[i] = occupy(&holders[i], &latch);
		check_load(lane, i + 1, 0);
	}
	lane_run(lane, &extra.task);
	ck_assert_uint_eq(extra.turn, 0);
	check_load(lane, ALL, 1);
	latch_open(&latch);
	for (unsigned i = 0; i < ALL; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_ne(extra.turn, 0);
	lane_free(lane);
}
END_TEST

static struct job job_of(struct lane *lane, uint32_t group)
{
	struct job job = job_in(lane);

	job.task.group = group;
	return job;
}

/* Forty reads of one table that somebody had locked made a read of another wait for 6 s, and more with each. */
START_TEST(one_group_leaves_a_seat_for_the_others)
{
	enum { ALL = 4, STUCK = 10 };
	struct latch latch = LATCH_INIT, other_latch = LATCH_INIT;
	struct lane *lane = lane_of(ALL);
	struct job stuck[STUCK], other = job_of(lane, 2), third = job_of(lane, 3);
	pthread_t threads[ALL];

	for (unsigned i = 0; i < STUCK; i++)
		stuck[i] = job_of(lane, 1);
	for (unsigned i = 0; i < ALL - 1; i++)
		threads[i] = occupy(&stuck[i], &latch);
	for (unsigned i = ALL - 1; i < STUCK; i++)
		lane_run(lane, &stuck[i].task);
	check_load(lane, ALL - 1, STUCK - (ALL - 1));
	/* It passes those who wait for their own, whether it finds the seat free or waits for it. */
	threads[ALL - 1] = occupy(&other, &other_latch);
	lane_run(lane, &third.task);
	ck_assert_uint_eq(third.turn, 0);
	latch_open(&other_latch);
	pthread_join(threads[ALL - 1], NULL);
	ck_assert_uint_eq(other.turn, 1);
	ck_assert_uint_eq(third.turn, 2);
	check_load(lane, ALL - 1, STUCK - (ALL - 1));
	latch_open(&latch);
	for (unsigned i = 0; i < ALL - 1; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < STUCK; i++)
		ck_assert_uint_ne(stuck[i].turn, 0);
	check_load(lane, 0, 0);
	lane_free(lane);
}
END_TEST

START_TEST(a_lane_of_one_seat_has_room_for_a_group)
{
	struct lane *lane = lane_of(1);
	struct job job = job_of(lane, 1);

	lane_run(lane, &job.task);
	ck_assert_uint_eq(job.turn, 1);
	lane_free(lane);
}
END_TEST

START_TEST(what_has_queued_for_too_long_is_told_so)
{
	struct latch latch = LATCH_INIT;
	struct lane *lane;
	struct job holder, waiting[3];
	struct error e = {0};
	pthread_t thread;

	ck_assert_int_eq(lane_new(1, 20, &lane), 0);
	holder = job_of(lane, 1);
	thread = occupy(&holder, &latch);
	for (unsigned i = 0; i < 3; i++)
		waiting[i] = job_of(lane, i == 1 ? 0 : 1);
	lane_run(lane, &waiting[0].task);
	lane_run(lane, &waiting[1].task);
	nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
	lane_run(lane, &waiting[2].task);
	latch_open(&latch);
	pthread_join(thread, NULL);
	ck_assert(!holder.late);
	ck_assert(waiting[0].late);
	ck_assert(waiting[1].late);
	ck_assert(!waiting[2].late);
	/* The next time it may be in time. */
	lane_run(lane, &waiting[0].task);
	ck_assert(!waiting[0].late);
	ck_assert_int_eq(lane_late(&e), -EBUSY);
	ck_assert(e.message[0]);
	lane_free(lane);
}
END_TEST

START_TEST(a_task_may_run_another)
{
	for (unsigned seats = 1; seats <= 2; seats++) {
		struct lane *lane = lane_of(seats);
		struct job outer = job_in(lane), inner = job_in(lane);

		outer.inner = &inner;
		lane_run(lane, &outer.task);
		/* With one seat the outer one holds it: the inner one's turn comes after. */
		ck_assert_int_eq(outer.inner_ended_first, seats == 2);
		ck_assert_uint_ne(outer.turn, 0);
		ck_assert_uint_ne(inner.turn, 0);
		check_load(lane, 0, 0);
		lane_free(lane);
	}
}
END_TEST

static void *open_soon(void *arg)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	latch_open(arg);
	return NULL;
}

START_TEST(free_waits_for_what_runs_and_what_is_queued)
{
	struct latch latch = LATCH_INIT;
	struct lane *lane = lane_of(1);
	struct job holder = job_in(lane), queued = job_in(lane);
	pthread_t thread = occupy(&holder, &latch), opener;

	lane_run(lane, &queued.task);
	ck_assert_int_eq(pthread_create(&opener, NULL, open_soon, &latch), 0);
	lane_free(lane);
	/* Read without waiting for any thread: what lane_free() waited for has been done. */
	ck_assert_uint_eq(holder.turn, 1);
	ck_assert_uint_eq(queued.turn, 2);
	pthread_join(thread, NULL);
	pthread_join(opener, NULL);
	lane_free(NULL);
}
END_TEST

enum { SEATS = 3, THREADS = 8, TASKS = 400 };

struct crowd {
	struct lane *lane;
	struct latch full; /* opens when every seat is taken for the first time */
	_Atomic unsigned running, most, ended;
};

struct member {
	struct lane_task task;
	struct crowd *crowd;
	unsigned again; /* how many more it runs from inside */
};

static void run_member(struct lane_task *task)
{
	struct member *member = container_of(task, struct member, task);
	struct crowd *crowd = member->crowd;
	unsigned running = ++crowd->running, most = crowd->most;

	while (running > most && !atomic_compare_exchange_weak(&crowd->most, &most, running))
		;
	if (running >= SEATS)
		latch_open(&crowd->full);
	latch_pass(&crowd->full);
	nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
	/* Nested tasks are a task's own doing, so it leaves before they begin. */
	crowd->running--;
	crowd->ended++;
	if (member->again) {
		member->again--;
		lane_run(crowd->lane, &member->task);
	}
}

static void *run_members(void *arg)
{
	struct member *members = arg;

	for (int i = 0; i < TASKS; i++)
		lane_run(members[i].crowd->lane, &members[i].task);
	return NULL;
}

START_TEST(a_crowd_takes_every_seat_and_never_more)
{
	static struct member members[THREADS][TASKS];
	struct crowd crowd = {.lane = lane_of(SEATS), .full = LATCH_INIT};
	pthread_t threads[THREADS];

	for (int t = 0; t < THREADS; t++) {
		for (unsigned i = 0; i < TASKS; i++)
			members[t][i] = (struct member){{.run = run_member, .group = i % 5}, &crowd, i % 3};
		ck_assert_int_eq(pthread_create(&threads[t], NULL, run_members, members[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	check_load(crowd.lane, 0, 0);
	ck_assert_uint_eq(crowd.ended, THREADS * (TASKS + 133 + 133 * 2));
	ck_assert_uint_eq(crowd.most, SEATS);
	lane_free(crowd.lane);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lane");
	TCase *test = tcase_create("lane");

	tcase_set_timeout(test, 30);
	tcase_add_test(test, a_free_seat_runs_at_once_on_the_callers_thread);
	tcase_add_test(test, a_task_without_a_seat_waits_without_a_thread);
	tcase_add_test(test, a_task_that_queues_itself_lets_others_go_first);
	tcase_add_test(test, every_seat_is_used_before_anybody_waits);
	tcase_add_test(test, one_group_leaves_a_seat_for_the_others);
	tcase_add_test(test, a_lane_of_one_seat_has_room_for_a_group);
	tcase_add_test(test, what_has_queued_for_too_long_is_told_so);
	tcase_add_test(test, a_task_may_run_another);
	tcase_add_test(test, free_waits_for_what_runs_and_what_is_queued);
	tcase_add_test(test, a_crowd_takes_every_seat_and_never_more);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
