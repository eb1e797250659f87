#include "rowfs/engine/preload.h"

#include <errno.h>

/* A row that is being loaded, and the thread that waits for that. */
struct load {
	struct read_request request;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done; /* [lock], as is what follows */
	int err;   /* as preload() returns it */
	size_t len;
	struct error *e;
};

void preloader_init(struct preloader *preloader, struct reader *reader)
{
	*preloader = (struct preloader){.reader = reader};
	pthread_mutex_init(&preloader->lock, NULL);
}

void preloader_done(struct preloader *preloader)
{
	pthread_mutex_destroy(&preloader->lock);
}

bool preloader_stopped(struct preloader *preloader)
{
	bool stopped;

	pthread_mutex_lock(&preloader->lock);
	stopped = preloader->stopped;
	pthread_mutex_unlock(&preloader->lock);
	return stopped;
}

static void end(struct load *load, int err, size_t len, const struct error *e)
{
	pthread_mutex_lock(&load->lock);
	load->done = true;
	load->err = err;
	load->len = len;
	if (e)
		*load->e = *e;
	pthread_cond_signal(&load->ended);
	pthread_mutex_unlock(&load->lock);
}

static void load_done(struct read_request *request, struct text *text, const struct error *e)
{
	struct load *load = container_of(request, struct load, request);

	end(load, text ? 0 : -(e->err ? e->err : EIO), text ? text->version.size : 0, e);
}

void preloader_stop(struct preloader *preloader)
{
	struct load *load;

	pthread_mutex_lock(&preloader->lock);
	preloader->stopped = true;
	load = preloader->load;
	if (load && reader_abandon(preloader->reader, &load->request))
		end(load, -EINTR, 0, NULL);
	pthread_mutex_unlock(&preloader->lock);
}

void preloaders_init(struct preloaders *all)
{
	pthread_mutex_init(&all->lock, NULL);
}

void preloaders_done(struct preloaders *all)
{
	pthread_mutex_destroy(&all->lock);
}

void preloaders_add(struct preloaders *all, struct preloader *preloader)
{
	bool stopped;

	pthread_mutex_lock(&all->lock);
	preloader->next = all->first;
	all->first = preloader;
	stopped = all->stopped;
	pthread_mutex_unlock(&all->lock);
	if (stopped)
		preloader_stop(preloader);
}

void preloaders_remove(struct preloaders *all, struct preloader *preloader)
{
	struct preloader **at;

	pthread_mutex_lock(&all->lock);
	for (at = &all->first; *at != preloader; at = &(*at)->next)
		;
	*at = preloader->next;
	pthread_mutex_unlock(&all->lock);
}

void preloaders_stop(struct preloaders *all)
{
	pthread_mutex_lock(&all->lock);
	all->stopped = true;
	for (struct preloader *preloader = all->first; preloader; preloader = preloader->next)
		preloader_stop(preloader);
	pthread_mutex_unlock(&all->lock);
}

/* False: it was stopped. */
static bool take_off(struct preloader *preloader, struct load *load)
{
	bool stopped;

	pthread_mutex_lock(&preloader->lock);
	stopped = preloader->stopped;
	preloader->load = stopped ? NULL : load;
	pthread_mutex_unlock(&preloader->lock);
	return !stopped;
}

static void land(struct preloader *preloader)
{
	pthread_mutex_lock(&preloader->lock);
	preloader->load = NULL;
	pthread_mutex_unlock(&preloader->lock);
}

static void await(struct load *load)
{
	pthread_mutex_lock(&load->lock);
	while (!load->done)
		pthread_cond_wait(&load->ended, &load->lock);
	pthread_mutex_unlock(&load->lock);
}

int preload(struct preloader *preloader, const struct rowref *ref, size_t *ret_len, struct error *e)
{
	struct load load = {.request = {.done = load_done, .load = true}, .e = e};

	pthread_mutex_init(&load.lock, NULL);
	pthread_cond_init(&load.ended, NULL);
	load.err = -EINTR;
	if (take_off(preloader, &load)) {
		reader_get(preloader->reader, ref, &load.request);
		await(&load);
		land(preloader);
	}
	pthread_cond_destroy(&load.ended);
	pthread_mutex_destroy(&load.lock);
	*ret_len = load.len;
	return load.err;
}
