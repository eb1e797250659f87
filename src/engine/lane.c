#include "rowfs/engine/lane.h"

#include <errno.h>
#include <pthread.h>

struct lane {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned seats;
	unsigned running;            /* [lock] */
	unsigned queued;             /* [lock] */
	struct lane_task *head, *tail; /* [lock] */
};

int lane_new(unsigned seats, struct lane **ret)
{
	struct lane *lane = calloc(1, sizeof *lane);

	if (!lane)
		return -ENOMEM;
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->idle, NULL);
	lane->seats = seats;
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

static void enqueue(struct lane *lane, struct lane_task *task)
{
	task->next = NULL;
	if (lane->tail)
		lane->tail->next = task;
	else
		lane->head = task;
	lane->tail = task;
	lane->queued++;
}

static struct lane_task *dequeue(struct lane *lane)
{
	struct lane_task *task = lane->head;

	if (task) {
		lane->head = task->next;
		if (!lane->head)
			lane->tail = NULL;
		lane->queued--;
	}
	return task;
}

void lane_run(struct lane *lane, struct lane_task *task)
{
	pthread_mutex_lock(&lane->lock);
	if (lane->running == lane->seats) {
		enqueue(lane, task);
		task = NULL;
	} else {
		lane->running++;
	}
	pthread_mutex_unlock(&lane->lock);

	while (task) {
		task->run(task);
		pthread_mutex_lock(&lane->lock);
		task = dequeue(lane);
		if (!task && --lane->running == 0)
			pthread_cond_broadcast(&lane->idle);
		pthread_mutex_unlock(&lane->lock);
	}
}

void lane_load(struct lane *lane, unsigned *ret_running, unsigned *ret_queued)
{
	pthread_mutex_lock(&lane->lock);
	*ret_running = lane->running;
	*ret_queued = lane->queued;
	pthread_mutex_unlock(&lane->lock);
}
