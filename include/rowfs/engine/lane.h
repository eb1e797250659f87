/* A bound on how many threads wait for PostgreSQL at once.
 *
 * A lane has a few seats. A task that finds a seat runs at once on its caller's thread, without a
 * hand-over; one that does not is queued *without a thread* and is run by a seat's holder when it is
 * done with its own. So a FUSE worker never waits for a seat, and however many saves are stuck behind
 * somebody's lock, the other workers go on answering.
 *
 *   FUSE worker ── lane_run(task) ── seat free? ── yes: run it, then what is queued, then leave
 *                                       └── no: queue it, back to the kernel
 *
 * One group (a table) may take every seat but one: were a table locked, all who read it would sit in front of all
 * who read the others. What has queued for longer than the lane's patience is run next, marked `late`: it is to
 * say that it is busy, which takes no time, and the queue behind somebody's lock does not grow for ever.
 *
 * A task that has more to do than others should wait for does a part of it, and queues itself again.
 *
 * A task may call lane_run() itself. It must not wait for another task of the same lane that may still be
 * queued. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/base/error.h"

struct lane;

/* Embedded in whatever the task works on; belongs to the lane from lane_run() until `run` is called. */
struct lane_task {
	void (*run)(struct lane_task *task);
	uint32_t group; /* 0: none, and no bound */
	/* The lane's own. */
	bool late;
	int64_t queued_ms;
	struct lane_task *next;
};

/* `patience_ms` 0: tasks queue for as long as it takes. Returns 0 or -ENOMEM. */
int lane_new(unsigned seats, int64_t patience_ms, struct lane **ret) _must_check_;

/* Waits until nothing runs or is queued. The caller sees to it that nothing new comes. */
void lane_free(struct lane *lane);

void lane_run(struct lane *lane, struct lane_task *task);

/* Only from a task's `run`: queue that task, or another, behind all that wait. It is run when the caller has left its seat, or
 * before that by the holder of another; the caller must touch neither any more. */
void lane_queue(struct lane *lane, struct lane_task *task);

/* What a task says that is `late`: -EBUSY. */
int lane_late(struct error *e);

/* For status: tasks running and tasks waiting for a seat. */
void lane_load(struct lane *lane, unsigned *ret_running, unsigned *ret_queued);
