/* How much room there is in Redis. */
#include "pinner.h"

#include <stdlib.h>
#include <string.h>

#include "rowfs/base/clock.h"

/* Others use Redis' memory, too. */
enum { ROOM_LIFE_MS = 50 };

void pinner_add_info(struct pinner *pinner, const char *section)
{
	pinner_begin(pinner, 2);
	pinner_adds(pinner, "INFO");
	pinner_adds(pinner, section);
}

/* `name:value` of a line of INFO. */
static const char *info_value(const char *info, const char *name)
{
	const char *at = strstr(info, name);

	return at ? at + strlen(name) : "";
}

void pinner_read_room(const char *info, struct pinner_room *ret)
{
	*ret = (struct pinner_room){
	        .used = strtoull(info_value(info, "\nused_memory:"), NULL, 10),
	        .max = strtoull(info_value(info, "\nmaxmemory:"), NULL, 10),
	        .evicts_all = strncmp(info_value(info, "\nmaxmemory_policy:"), "allkeys-", 8) == 0,
	};
}

/* Bytes that Redis would let go for others, about: those of as many keys as may go, at what a key takes on the average. */
static uint64_t evictable(const char *policy, const char *keyspace, uint64_t used)
{
	uint64_t keys = 0, expire = 0;

	if (strncmp(policy, "allkeys-", 8) == 0)
		return used;
	if (strncmp(policy, "volatile-", 9) != 0)
		return 0;
	for (const char *at = keyspace; (at = strstr(at, ":keys=")); at++) {
		keys += strtoull(at + strlen(":keys="), NULL, 10);
		expire += strtoull(info_value(at, ",expires="), NULL, 10);
	}
	return keys ? (uint64_t)((double)used * (double)expire / (double)keys) : 0;
}

int pinner_room(struct pinner *pinner, struct pinner_room *ret, struct error *e)
{
	_cleanup_reply_ redisReply *memory = NULL;
	_cleanup_reply_ redisReply *keyspace = NULL;
	int r;

	pinner_add_info(pinner, "memory");
	pinner_add_info(pinner, "keyspace");
	r = pinner_send(pinner, 2, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_STRING, &memory, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_STRING, &keyspace, e);
	if (r < 0)
		return r;
	pinner_read_room(memory->str, ret);
	ret->evictable = evictable(info_value(memory->str, "\nmaxmemory_policy:"), keyspace->str, ret->used);
	pinner_note_room(pinner, ret, pinner->sent);
	return 0;
}

void pinner_note_room(struct pinner *pinner, const struct pinner_room *room, uint64_t sent_before)
{
	pinner->room = *room;
	pinner->room_before = sent_before;
	pinner->room_ms = clock_monotonic_ms();
}

int pinner_look_at_room(struct pinner *pinner, struct error *e)
{
	struct pinner_room room;

	return clock_monotonic_ms() - pinner->room_ms < ROOM_LIFE_MS ? 0 : pinner_room(pinner, &room, e);
}

struct pinner_room pinner_room_left(const struct pinner *pinner)
{
	struct pinner_room room = pinner->room;

	room.used += pinner->sent - pinner->room_before;
	return room;
}
