#include "fake_pinner.h"

#include <errno.h>

#include "events.h"
#include "fake_cache.h"

/* All of the thread that pins, but for fake_pinner_on(), which comes before it begins. */
static fake_sweep_fn *sweep;
static uint32_t relation_marked; /* 0: none */

struct pinner {
	char nothing;
};

static struct pinner pinner_open_now;

void fake_pinner_on(fake_sweep_fn *fn, uint32_t marked)
{
	sweep = fn;
	relation_marked = marked;
}

int pinner_open(struct cache *cache, struct pinner **ret, struct error *e)
{
	if (!sweep)
		return error_set(e, EOPNOTSUPP, "no pins here");
	*ret = &pinner_open_now;
	return 0;
}

void pinner_close(struct pinner *pinner)
{
}

int pinner_lease(struct pinner *pinner, struct pinner_keys *keys, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}

int pinner_await(struct pinner *pinner, const struct pinner_keys *keys, struct cache_proof *ret_proof,
                 char *ret_found, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}

int pinner_settle(struct pinner *pinner, const struct pinner_keys *keys, const char *actions,
                  const struct pin_value *values, const struct buf *bytes, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}

int pinner_take(struct pinner *pinner, uint32_t relation, struct cache_proof *ret_proof, struct error *e)
{
	struct buf none = {0};

	cache_read(fake_cache(), relation, NULL, 0, ret_proof, &none);
	return 0;
}

int pinner_put(struct pinner *pinner, const struct pinner_keys *keys, const struct pin_value *values,
               const struct buf *bytes, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}

int pinner_await_put(struct pinner *pinner, bool *ret_put, bool *ret_stands, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}

int pinner_leave(struct pinner *pinner, uint32_t relation, struct error *e)
{
	return 0;
}

int pinner_finish(struct pinner *pinner, struct error *e)
{
	return 0;
}

int pinner_room(struct pinner *pinner, struct pinner_room *ret, struct error *e)
{
	*ret = (struct pinner_room){0};
	return 0;
}

int pinner_look_at_room(struct pinner *pinner, struct error *e)
{
	return 0;
}

struct pinner_room pinner_room_left(const struct pinner *pinner)
{
	return (struct pinner_room){0};
}

bool pinner_clean(const struct pinner *pinner)
{
	return true;
}

void pinner_disown(struct pinner *pinner)
{
}

int pinner_known(struct pinner *pinner, const struct pinner_keys *keys, bool *ret_known, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}

int pinner_names(struct pinner *pinner, uint32_t relation, uint64_t *cursor, struct buf *ret, size_t *ret_n,
                 struct error *e)
{
	*ret_n = 0;
	*cursor = 0;
	return 0;
}

uint64_t pinner_pinned(const struct pinner *pinner)
{
	return 0;
}

int pinner_mark(struct pinner *pinner, uint32_t relation, struct error *e)
{
	event_add("mark");
	relation_marked = relation;
	return 0;
}

int pinner_unmark(struct pinner *pinner, uint32_t relation, struct error *e)
{
	event_add("unmark");
	relation_marked = 0;
	return 0;
}

int pinner_count(struct pinner *pinner, uint32_t relation, uint64_t *ret, struct error *e)
{
	*ret = 0;
	return 0;
}

int pinner_marked(struct pinner *pinner, struct buf *ret, struct error *e)
{
	if (relation_marked)
		buf_add(ret, &relation_marked, sizeof(relation_marked));
	return 0;
}

int pinner_sweep(struct pinner *pinner, uint32_t relation, const char *valid, uint64_t *cursor, struct error *e)
{
	sweep(relation, valid, cursor);
	return 0;
}

int pinner_drop(struct pinner *pinner, const struct buf *names, size_t n, struct error *e)
{
	return error_set(e, ENOTCONN, "no pins here");
}
