#include "rowfs/engine/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = {
	[BATCH_INSERT] = 'i',
	[BATCH_UPDATE] = 'u',
	[BATCH_DELETE] = 'd',
	[BATCH_RELATION] = 't',
};

void announce_begin(struct buf *message, const char *epoch, uint64_t number)
{
	buf_addf(message, "%s %" PRIu64 "\n", epoch, number);
}

void announce_change(struct buf *message, const struct batch_change *change)
{
	buf_addf(message, "%c %" PRIu32, letters[change->op], change->relation);
	if (change->op != BATCH_RELATION)
		buf_addf(message, " %s", change->name);
	buf_addc(message, '\n');
}

void announce_heartbeat(struct buf *message, int64_t deadline_us)
{
	buf_addf(message, "h %" PRId64 "\n", deadline_us);
}

void announce_everything(struct buf *message)
{
	buf_adds(message, "e\n");
}

/* The line at *at, cut off its message; NULL at the end. */
static char *next_line(struct buf *message, size_t *at)
{
	char *line, *end;

	if (*at >= message->len)
		return NULL;
	line = message->data + *at;
	end = memchr(line, '\n', message->len - *at);
	if (!end)
		end = message->data + message->len; /* the NUL that every buffer ends with */
	*end = '\0';
	*at = (size_t)(end - message->data) + 1;
	return line;
}

int announce_head(struct buf *message, char ret_epoch[EPOCH_SIZE], uint64_t *ret_number, size_t *ret_at)
{
	size_t at = 0;
	char *line = next_line(message, &at);
	char *space = line ? strchr(line, ' ') : NULL;
	uint64_t number;
	int used = 0;

	if (!space || space == line || space - line >= EPOCH_SIZE ||
	    sscanf(space, " %" SCNu64 "%n", &number, &used) != 1 || space[used])
		return -EPROTO;
	memcpy(ret_epoch, line, (size_t)(space - line));
	ret_epoch[space - line] = '\0';
	*ret_number = number;
	*ret_at = at;
	return 0;
}

static bool read_heartbeat(const char *line, struct announcement *ret)
{
	int used = 0;

	ret->kind = ANNOUNCE_HEARTBEAT;
	return sscanf(line, "h %" SCNd64 "%n", &ret->deadline_us, &used) == 1 && !line[used];
}

static bool read_change(const char *line, struct announcement *ret)
{
	const char *letter = line[0] ? memchr(letters, line[0], sizeof letters) : NULL;
	int used = 0;

	if (!letter)
		return false;
	ret->kind = ANNOUNCE_CHANGE;
	ret->change.op = (enum batch_op)(letter - letters);
	if (sscanf(line + 1, " %" SCNu32 "%n", &ret->change.relation, &used) != 1)
		return false;
	line += 1 + used;
	if (ret->change.op == BATCH_RELATION) {
		ret->change.name = "";
		return !*line;
	}
	ret->change.name = line + 1;
	return *line == ' ' && line[1];
}

bool announce_next(struct buf *message, size_t *at, struct announcement *ret)
{
	const char *line = next_line(message, at);

	if (!line)
		return false;
	*ret = (struct announcement){0};
	if (!read_heartbeat(line, ret) && !read_change(line, ret))
		*ret = (struct announcement){.kind = ANNOUNCE_EVERYTHING};
	return true;
}
