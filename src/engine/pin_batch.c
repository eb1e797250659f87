#include "pin_batch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/engine/copy.h"
#include "rowfs/engine/text.h"
#include "rowfs/model/json.h"
#include "rowfs/model/name.h"

/* What must stay free: Redis' own tables grow by doubling, and requests count, too. They do not for keys that were there
 * before. */
enum { ROOM_SHARE = 16, ROOM_LEAST = 1 << 19, ROOM_LEAST_FOR_KNOWN = 1 << 17 };

void pin_batch_begin(struct pin_batch *batch, size_t limit)
{
	buf_reset(&batch->names);
	buf_reset(&batch->keys);
	buf_reset(&batch->bytes);
	memset(batch->slots, 0, sizeof batch->slots);
	batch->n = 0;
	batch->limit = limit;
	batch->filled = batch->spare = 0;
	batch->waiting = 0;
	batch->piece = PIN_PIECE;
	batch->crowds = false;
}

void pin_batch_done(struct pin_batch *batch)
{
	buf_done(&batch->names);
	buf_done(&batch->keys);
	buf_done(&batch->bytes);
}

const char *pin_batch_name(const struct pin_batch *batch, size_t i)
{
	return batch->names.data + batch->at[i];
}

/* Where it is, or would be. */
static unsigned short *slot_of(struct pin_batch *batch, const char *name)
{
	size_t i = XXH64(name, strlen(name), 0) % PIN_SLOTS;

	while (batch->slots[i] && strcmp(pin_batch_name(batch, batch->slots[i] - 1u), name) != 0)
		i = (i + 1) % PIN_SLOTS;
	return &batch->slots[i];
}

void pin_batch_add(struct pin_batch *batch, const struct relation *relation, const char *name)
{
	unsigned short *slot = slot_of(batch, name);
	size_t at = batch->names.len;

	if (*slot)
		return;
	buf_add(&batch->names, name, strlen(name) + 1);
	copy_row_key(relation->oid, name, &batch->keys);
	buf_addc(&batch->keys, '\0');
	if (batch->names.failed || batch->keys.failed)
		return;
	batch->at[batch->n++] = at;
	*slot = (unsigned short)batch->n;
}

void pin_batch_filter(struct pin_batch *batch, const struct relation *relation, const bool *keep)
{
	struct buf names = batch->names;
	size_t n = batch->n, at = 0;

	batch->names = (struct buf){0};
	pin_batch_begin(batch, batch->limit);
	for (size_t i = 0; i < n; i++) {
		if (keep[i])
			pin_batch_add(batch, relation, names.data + at);
		at += strlen(names.data + at) + 1;
	}
	buf_done(&names);
}

void pin_batch_lend(struct pin_batch *batch, uint64_t bytes)
{
	batch->spare = bytes;
	if (bytes < 4 * PIN_PIECE)
		batch->piece = bytes / 4 > PIN_PIECE_LEAST ? (size_t)bytes / 4 : PIN_PIECE_LEAST;
}

static int no_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

int pin_batch_known(struct pin_batch *batch, struct pinner *pinner, uint32_t relation, bool *ret_known, struct error *e)
{
	const struct pinner_keys keys = {.relation = relation, .names = &batch->keys, .n = batch->n};

	return batch->names.failed || batch->keys.failed ? no_memory(e) : pinner_known(pinner, &keys, ret_known, e);
}

int pin_batch_lease(struct pin_batch *batch, struct pinner *pinner, const struct pin_target *target, struct error *e)
{
	if (batch->names.failed || batch->keys.failed)
		return no_memory(e);
	batch->leased = (struct pinner_keys){
		.relation = target->relation->oid,
		.names = &batch->keys,
		.n = batch->n,
		.valid = target->valid,
	};
	return pinner_lease(pinner, &batch->leased, e);
}

bool pin_room_for(const struct pinner_room *room, uint64_t bytes)
{
	return !room->max || room->used + bytes + room->max / ROOM_SHARE + ROOM_LEAST <= room->max;
}

uint64_t pin_room_spare(const struct pinner_room *room)
{
	uint64_t taken = room->used + ROOM_LEAST_FOR_KNOWN;
	uint64_t left = taken < room->max ? room->max - taken : 0;

	return room->max ? left + room->evictable / 2 : UINT64_MAX;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Key part by key part, {"a","b"}, of those that are leased. A hashed name has no key; such rows are not pinned. */
static size_t print_parts(struct pin_batch *batch, const struct relation *relation, struct buf *parts)
{
	size_t found = 0;

	for (size_t i = 0; i < batch->n; i++) {
		_cleanup_cells_ struct cells key = {0};
		char hash[NAME_HASH_HEX + 1];

		if (batch->found[i] != PIN_LEASED ||
		    name_parse(relation, pin_batch_name(batch, i), &key, hash) != NAME_ROW)
			continue;
		for (size_t part = 0; part < key.n; part++) {
			buf_adds(&parts[part], found ? ",\"" : "{\"");
			for (const char *p = key.at[part].data; *p; p++) {
				if (*p == '"' || *p == '\\')
					buf_addc(&parts[part], '\\');
				buf_addc(&parts[part], *p);
			}
			buf_addc(&parts[part], '"');
		}
		found++;
	}
	for (size_t part = 0; found && part < relation->n_parts; part++)
		buf_addc(&parts[part], '}');
	return found;
}

struct reading {
	struct pin_batch *batch;
	struct pinner *pinner;
	const struct pin_target *target;
	struct buf name, text; /* of the row at hand */
	struct error error;    /* why it was stopped, of the pinner's */
};

/* While a request is worked on, it is there twice: as it came, and as it is kept. */
int pin_batch_find_room(struct pin_batch *batch, const struct pinner *pinner, struct error *e)
{
	struct pinner_room room = pinner_room_left(pinner);
	uint64_t bytes = 2 * batch->bytes.len;

	if (pin_room_for(&room, bytes))
		return 0;
	if (bytes > batch->spare)
		return error_set(e, ENOSPC, "Redis has no room for them: %" PRIu64 " of %" PRIu64 " bytes are used",
				 room.used, room.max);
	batch->spare -= bytes;
	batch->crowds = true;
	return 0;
}

/* What has come so far. */
static int send_piece(struct pin_batch *batch, struct pinner *pinner, struct error *e)
{
	int r = batch->bytes.len ? pin_batch_find_room(batch, pinner, e) : 0;

	if (r == 0 && memchr(batch->todo, PIN_FILL, batch->n))
		r = pinner_settle(pinner, &batch->leased, batch->todo, batch->values, &batch->bytes, e);
	if (r < 0)
		return r;
	batch->filled += batch->bytes.len;
	memset(batch->todo, PIN_NONE, batch->n);
	buf_reset(&batch->bytes);
	batch->waiting = 0;
	return 0;
}

int pin_batch_print(struct pin_batch *batch, const struct pin_target *target, const struct row_view *view,
		    struct buf *text, struct pin_value *ret)
{
	const struct relation *relation = target->relation;
	const struct copy_terms terms = {.proof = target->proof};
	size_t at = batch->bytes.len;
	_cleanup_text_ struct text *copied = NULL;
	struct version version;

	*ret = (struct pin_value){at, 0};
	buf_reset(text);
	json_print(relation, view->cells, text);
	if (text->failed)
		return -ENOMEM;
	if (!copy_may_fit(relation, text->len))
		return 0;
	version = version_of(text->data, text->len, view->has_mtime ? &view->mtime : NULL);
	copied = text_new(text->data, text->len, &version, view->xid);
	if (!copied)
		return 0;
	copy_print(relation, copied, &terms, &batch->bytes);
	if (batch->bytes.failed)
		return -ENOMEM;
	if (batch->bytes.len - at > CACHE_VALUE_MAX)
		buf_resize(&batch->bytes, at);
	ret->len = batch->bytes.len - at;
	return 0;
}

static int add_value(struct reading *reading, const struct row_view *view, size_t i)
{
	struct pin_batch *batch = reading->batch;
	struct pin_value value;
	int r = pin_batch_print(batch, reading->target, view, &reading->text, &value);

	if (r < 0 || !value.len)
		return r;
	batch->values[i] = value;
	batch->actions[i] = batch->todo[i] = PIN_FILL;
	batch->waiting++;
	if (batch->bytes.len < batch->piece && batch->waiting < PINNER_PIECE)
		return 0;
	return send_piece(batch, reading->pinner, &reading->error);
}

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	struct reading *reading = arg;
	const struct relation *relation = reading->target->relation;
	struct cell key[KEY_PARTS_MAX];
	unsigned short *slot;
	struct row_view view;
	int r = row_view(relation, cells, n, &view);

	if (r < 0)
		return r;
	row_view_key(relation, &view, key);
	buf_reset(&reading->name);
	name_print(key, relation_key_len(relation), &reading->name);
	if (reading->name.failed)
		return -ENOMEM;
	/* `042` finds row 42, whose name it is not. */
	slot = slot_of(reading->batch, reading->name.data);
	return *slot && reading->batch->actions[*slot - 1u] == PIN_RELEASE ? add_value(reading, &view, *slot - 1u) : 0;
}

static int read_rows(struct pin_batch *batch, struct pinner *pinner, struct store *store,
		     const struct pin_target *target, const atomic_bool *abandoned, struct error *e)
{
	const struct relation *relation = target->relation;
	struct reading reading = {.batch = batch, .pinner = pinner, .target = target};
	struct buf parts[KEY_PARTS_MAX] = {{0}};
	struct cell values[KEY_PARTS_MAX];
	_cleanup_statement_ struct statement statement = {0};
	size_t found = print_parts(batch, relation, parts);
	int r = 0;

	for (size_t i = 0; i < relation->n_parts; i++) {
		values[i] = (struct cell){parts[i].data, parts[i].len};
		r = parts[i].failed ? no_memory(e) : r;
	}
	if (r == 0 && found)
		r = statement_pin_rows(target->schema, relation, relation->placement.hot, values, &statement);
	statement.abandoned = abandoned;
	statement.streamed = true;
	if (r == 0 && found)
		r = store_run(store, STORE_PINS, &statement, take_line, &reading, e);
	if (r < 0 && reading.error.err)
		*e = reading.error;
	for (size_t i = 0; i < relation->n_parts; i++)
		buf_done(&parts[i]);
	buf_done(&reading.name);
	buf_done(&reading.text);
	return r < 0 ? error_ensure(e, r) : 0;
}

/* --- Settling --------------------------------------------------------------------------------- */

/* Whatever is not filled. */
static void release_rest(struct pin_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		batch->todo[i] = batch->actions[i] == PIN_FILL ? PIN_NONE : batch->actions[i];
}

static void release_all(struct pin_batch *batch, enum pin_action action)
{
	for (size_t i = 0; i < batch->n; i++)
		batch->actions[i] = batch->found[i] == PIN_LEASED ? action : PIN_NONE;
}

/* What was not sent will not be. Where Redis is full, nobody comes back to these rows soon; else their turn comes again. */
static void take_back(struct pin_batch *batch, int r)
{
	for (size_t i = 0; i < batch->n; i++)
		if (batch->todo[i] == PIN_FILL || batch->actions[i] == PIN_RELEASE)
			batch->actions[i] = r == -ENOSPC ? PIN_RELEASE : PIN_POSTPONE;
	buf_reset(&batch->bytes);
}

static int settle_rest(struct pin_batch *batch, struct pinner *pinner, struct error *e)
{
	release_rest(batch);
	return pinner_settle(pinner, &batch->leased, batch->todo, batch->values, &batch->bytes, e);
}

int pin_batch_load(struct pin_batch *batch, struct pinner *pinner, struct store *store,
		   const struct pin_target *target, const atomic_bool *abandoned, struct error *e)
{
	struct error ignored;
	struct cache_proof proof;
	int r = pinner_await(pinner, &batch->leased, &proof, batch->found, e), settled;

	if (r < 0)
		return r;
	release_all(batch, PIN_RELEASE);
	memset(batch->todo, PIN_NONE, batch->n);
	if (!proof.fresh || !cache_proof_same(&proof, target->proof))
		r = error_set(e, ESTALE, "another epoch has begun");
	if (r == 0)
		r = read_rows(batch, pinner, store, target, abandoned, e);
	if (r == 0)
		r = send_piece(batch, pinner, e);
	if (r < 0)
		take_back(batch, r);
	settled = settle_rest(batch, pinner, r < 0 ? &ignored : e);
	return r < 0 ? r : settled;
}

void pin_batch_abandon(struct pin_batch *batch, struct pinner *pinner)
{
	struct cache_proof proof;
	struct error ignored;

	if (pinner_await(pinner, &batch->leased, &proof, batch->found, &ignored) < 0)
		return;
	release_all(batch, PIN_POSTPONE);
	if (settle_rest(batch, pinner, &ignored) < 0)
		return;
}
