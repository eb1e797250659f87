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
 * A task may call lane_run() itself. It must not wait for another task of the same lane. */
#pragma once

#include "rowfs/base/cleanup.h"

struct lane;

/* Embedded in whatever the task works on; belongs to the lane from lane_run() until `run` is called. */
struct lane_task {
	void (*run)(struct lane_task *task);
	struct lane_task *next;
};

/* Returns 0 or -ENOMEM. */
int lane_new(unsigned seats, struct lane **ret) _must_check_;

/* Waits until nothing runs or is queued. The caller sees to it that nothing new comes. */
void lane_free(struct lane *lane);

void lane_run(struct lane *lane, struct lane_task *task);

/* For status: tasks running and tasks waiting for a seat. */
void lane_load(struct lane *lane, unsigned *ret_running, unsigned *ret_queued);
