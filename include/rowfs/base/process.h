/* Processes, as /proc shows them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The thread group (what getpid() is there) of a thread; 0 if it cannot be known: it has ended, or lives in another
 * PID namespace. */
pid_t process_group(pid_t thread);

/* When it began, by CLOCK_BOOTTIME, to a clock tick (10 ms); 0 if it cannot be known. */
int64_t process_began_us(pid_t process);

/* Is there a thread of this number? */
bool process_exists(pid_t thread);
