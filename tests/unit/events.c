#include "events.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "rowfs/base/buf.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t added = PTHREAD_COND_INITIALIZER;
static struct buf now, taken; /* [lock] */

void event_add(const char *word)
{
	pthread_mutex_lock(&lock);
	if (now.len)
		buf_addc(&now, ' ');
	buf_adds(&now, word);
	pthread_cond_broadcast(&added);
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

/* The word at *at, and *at after it; its length is 0 at the end. */
static size_t next_word(const char **at, const char **ret)
{
	*at += strspn(*at, " ");
	*ret = *at;
	*at += strcspn(*at, " ");
	return (size_t)(*at - *ret);
}

static bool tells(const char *words, const char *story)
{
	const char *wanted, *word;
	size_t want = next_word(&story, &wanted), len;

	while (want && (len = next_word(&words, &word)))
		if (len == want && memcmp(word, wanted, len) == 0)
			want = next_word(&story, &wanted);
	return want == 0;
}

void events_await(const char *story)
{
	pthread_mutex_lock(&lock);
	while (!tells(now.len ? now.data : "", story))
		pthread_cond_wait(&added, &lock);
	pthread_mutex_unlock(&lock);
}
