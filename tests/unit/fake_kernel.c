#include "fake_kernel.h"

#include <pthread.h>
#include <string.h>

#include "events.h"
#include "rowfs/base/buf.h"
#include "rowfs/engine/kernel.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf told; /* [lock] "oid/name\n" for each */

void kernel_row_changed(uint32_t relation, const char *name)
{
	event_add("tell");
	pthread_mutex_lock(&lock);
	buf_addf(&told, "%u/%s\n", relation, name);
	pthread_mutex_unlock(&lock);
}

unsigned fake_kernel_told(uint32_t relation, const char *name)
{
	_cleanup_buf_ struct buf line = {0};
	const char *at;
	unsigned n = 0;

	buf_addf(&line, "%u/%s\n", relation, name);
	pthread_mutex_lock(&lock);
	for (at = told.data; at && (at = strstr(at, line.data)); at += line.len)
		n++;
	pthread_mutex_unlock(&lock);
	return n;
}
