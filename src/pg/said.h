/* Remarks about the catalog (a view without a key, a key column that does not exist), each logged
 * once and not again whenever the catalog is read. */
#pragma once

#include <pthread.h>

#include <uthash.h>

#include "rowfs/base/log.h"

struct remark;

struct said {
	pthread_mutex_t lock;
	struct remark *remarks; /* [lock] */
};

void said_init(struct said *said);
void said_done(struct said *said);

/* Log it, unless it has been; a warning aloud, since it is about what the user has configured. */
void said_once(struct said *said, enum log_level level, const char *format, ...) _printf_(3, 4);
