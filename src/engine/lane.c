#include "rowfs/engine/lane.h"

#include <errno.h>
#include <pthread.h>

#include "rowfs/base/clock.h"

struct seat {
	bool taken;
	uint32_t group;
};

struct lane {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned seats;
	int64_t patience_ms;
	unsigned running;            /* [lock] */
	unsigned queued;             /* [lock] */
	struct lane_task *head;      /* [lock] longest waiting first */
	struct lane_task **end;      /* [lock] where the next goes */
	struct seat seat[];          /* [lock] */
};

int lane_new(unsigned seats, int64_t patience_ms, struct lane **ret)
{
	struct lane *lane = calloc(1, sizeof *lane + seats * sizeof(struct seat));

	if (!lane)
		return -ENOMEM;
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->idle, NULL);
	lane->seats = seats;
	lane->patience_ms = patience_ms;
	lane->end = &lane->head;
	*ret = lane;
	return 0;
}

void lane_free(struct lane *lane)
{
	if (!lane)
		return;
	pthread_mutex_lock(&lane->lock);
	while (lane->running)
		pthread_cond_wait(&lane->idle, &lane->lock);
	pthread_mutex_unlock(&lane->lock);
	pthread_cond_destroy(&lane->idle);
	pthread_mutex_destroy(&lane->lock);
	free(lane);
}

/* All with the lock held. */
static void enqueue(struct lane *lane, struct lane_task *task)
{
	task->late = false;
	task->queued_ms = clock_monotonic_ms();
	task->next = NULL;
	*lane->end = task;
	lane->end = &task->next;
	lane->queued++;
}

static struct lane_task *unqueue(struct lane *lane, struct lane_task **at)
{
	struct lane_task *task = *at;

	*at = task->next;
	if (!*at)
		lane->end = at;
	lane->queued--;
	return task;
}

/* The last seat is for those of whom nobody sits. */
static bool may_sit(const struct lane *lane, uint32_t group)
{
	unsigned sitting = 0;

	for (unsigned i = 0; i < lane->seats; i++)
		sitting += lane->seat[i].taken && lane->seat[i].group == group;
	return group == 0 || sitting == 0 || sitting + 1 < lane->seats;
}

static struct seat *sit(struct lane *lane, uint32_t group)
{
	struct seat *seat = lane->seat;

	while (seat->taken)
		seat++;
	*seat = (struct seat){.taken = true, .group = group};
	return seat;
}

/* Who gets the seat that has become free. */
static struct lane_task *dequeue(struct lane *lane)
{
	struct lane_task **at = &lane->head;

	if (*at && lane->patience_ms && clock_monotonic_ms() - (*at)->queued_ms > lane->patience_ms) {
		(*at)->late = true;
		return unqueue(lane, at);
	}
	while (*at && !may_sit(lane, (*at)->group))
		at = &(*at)->next;
	return *at ? unqueue(lane, at) : NULL;
}

void lane_run(struct lane *lane, struct lane_task *task)
{
	struct seat *seat = NULL;

	task->late = false;
	pthread_mutex_lock(&lane->lock);
	if (lane->running < lane->seats && may_sit(lane, task->group)) {
		lane->running++;
		seat = sit(lane, task->group);
	} else {
		enqueue(lane, task);
		task = NULL;
	}
	pthread_mutex_unlock(&lane->lock);

	while (task) {
		task->run(task);
		pthread_mutex_lock(&lane->lock);
		seat->taken = false;
		task = dequeue(lane);
		if (task)
			*seat = (struct seat){.taken = true, .group = task->late ? 0 : task->group};
		else if (--lane->running == 0)
			pthread_cond_broadcast(&lane->idle);
		pthread_mutex_unlock(&lane->lock);
	}
}

void lane_queue(struct lane *lane, struct lane_task *task)
{
	pthread_mutex_lock(&lane->lock);
	enqueue(lane, task);
	pthread_mutex_unlock(&lane->lock);
}

int lane_late(struct error *e)
{
	return error_set(e, EBUSY, "too many wait for PostgreSQL: this one's turn has not come in time");
}

void lane_load(struct lane *lane, unsigned *ret_running, unsigned *ret_queued)
{
	pthread_mutex_lock(&lane->lock);
	*ret_running = lane->running;
	*ret_queued = lane->queued;
	pthread_mutex_unlock(&lane->lock);
}
