/* Signals, on a thread of their own, and what they mean at each stage of a mount's life.
 *
 *   STARTING ──► MOUNTING ──► SERVING ──► ENDING ──► ENDED
 *
 *   SIGTERM, SIGINT   STARTING: exit, nothing is mounted yet
 *                     MOUNTING: remembered, until there is a volume to stop
 *                     SERVING:  volume_stop(): what is being written is finished
 *                     ENDING:   nothing; it is under way
 *   SIGHUP            opens the log again
 *   SIGPIPE           ignored: a lost connection is an error of write(2) */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "rowfs/fuse/volume.h"

enum stage { STAGE_STARTING, STAGE_MOUNTING, STAGE_SERVING, STAGE_ENDING, STAGE_ENDED };

struct lifecycle {
	pthread_t thread;
	pthread_mutex_t lock; /* everything below */
	enum stage stage;
	bool stop; /* asked for while MOUNTING */
	struct volume *volume;
};

/* Block the signals here, so that every later thread inherits that, and start the thread that takes
 * them. 0 or -errno. */
int lifecycle_start(struct lifecycle *lifecycle) _must_check_;

/* End that thread. The signals stay blocked: the process is about to exit with a code of its own.
 */
void lifecycle_end(struct lifecycle *lifecycle);

void lifecycle_mounting(struct lifecycle *lifecycle);

/* False if somebody has asked for the end meanwhile: do not serve. */
bool lifecycle_serving(struct lifecycle *lifecycle, struct volume *volume);

/* From now on the volume may be freed. */
void lifecycle_ending(struct lifecycle *lifecycle);

/* As SIGTERM does. */
void lifecycle_stop(struct lifecycle *lifecycle);
