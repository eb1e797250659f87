#include "events.h"

#include <pthread.h>

#include "rowfs/base/buf.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf now, taken; /* [lock] */

void event_add(const char *word)
{
	pthread_mutex_lock(&lock);
	if (now.len)
		buf_addc(&now, ' ');
	buf_adds(&now, word);
	pthread_mutex_unlock(&lock);
}

const char *events_take(void)
{
	struct buf other;

	pthread_mutex_lock(&lock);
	other = taken;
	taken = now;
	now = other;
	buf_reset(&now);
	pthread_mutex_unlock(&lock);
	return taken.data ? taken.data : "";
}
