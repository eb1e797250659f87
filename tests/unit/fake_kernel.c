#include "fake_kernel.h"

#include <pthread.h>
#include <string.h>

#include "events.h"
#include "rowfs/base/buf.h"
#include "rowfs/engine/kernel.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf told; /* [lock] "event/oid/name\n" for each */
static void (*listener)(void *arg, const char *event, uint32_t relation, const char *name); /* [lock] */
static void *listener_arg;                                                                  /* [lock] */

void fake_kernel_on(void (*fn)(void *arg, const char *event, uint32_t relation, const char *name), void *arg)
{
	pthread_mutex_lock(&lock);
	listener_arg = arg;
	listener = fn;
	pthread_mutex_unlock(&lock);
}

static void note(const char *event, uint32_t relation, const char *name)
{
	void (*fn)(void *arg, const char *event, uint32_t relation, const char *name);
	void *arg;

	event_add(event);
	pthread_mutex_lock(&lock);
	buf_addf(&told, "%s/%u/%s\n", event, relation, name);
	fn = listener;
	arg = listener_arg;
	pthread_mutex_unlock(&lock);
	if (fn)
		fn(arg, event, relation, name);
}

void kernel_row_changed(uint32_t relation, const char *name)
{
	note("tell", relation, name);
}

void kernel_listing_changed(uint32_t relation)
{
	note("list", relation, "");
}

void kernel_relation_changed(uint32_t relation)
{
	note("table", relation, "");
}

void kernel_everything_changed(void)
{
	note("all", 0, "");
}

static unsigned noted(const char *event, uint32_t relation, const char *name)
{
	_cleanup_buf_ struct buf line = {0};
	const char *at;
	unsigned n = 0;

	buf_addf(&line, "%s/%u/%s\n", event, relation, name);
	pthread_mutex_lock(&lock);
	for (at = told.data; at && (at = strstr(at, line.data)); at += line.len)
		n++;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned fake_kernel_told(uint32_t relation, const char *name)
{
	return noted("tell", relation, name);
}

unsigned fake_kernel_listed(uint32_t relation)
{
	return noted("list", relation, "");
}

unsigned fake_kernel_tables(uint32_t relation)
{
	return noted("table", relation, "");
}

unsigned fake_kernel_all(void)
{
	return noted("all", 0, "");
}
