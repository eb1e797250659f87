/* What Redis says of the feed, read from its replies. Anybody may have written these keys, so what
 * is not exactly as the worker writes it counts as missing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "rowfs/engine/cache.h"

/* An epoch is made of hexadecimal digits, '/' and '-'; so neither the ':' of the heartbeat nor the
 * blanks of a row's header line can be part of one. */
bool epoch_valid(const char *epoch, size_t len);

/* The epoch in a reply, or "" in `ret`. */
void epoch_of_reply(const redisReply *reply, char ret[EPOCH_SIZE]);

/* What a reply to MGET of the heartbeat, the epoch and a table's epoch, in this order, proves. */
void proof_of_reply(const redisReply *reply, struct cache_proof *ret);

/* The reply to TIME in microseconds; negative if it is none. */
int64_t time_of_reply(const redisReply *reply);
