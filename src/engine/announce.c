#include "rowfs/engine/announce.h"

#include <errno.h>
#include <inttypes.h>
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

/* The line at *at, cut off its message; NULL at the end. One with a zero byte, after which something would not be
 * seen, is an empty one. */
static const char *next_line(struct buf *message, size_t *at)
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
	return line + strlen(line) == end ? line : "";
}

/* A number of digits only, which *line is moved past; false if there is none, or a greater one than `max`. scanf would
 * take signs and blanks, and the remainder of what is too large: another relation. */
static bool read_number(const char **line, uint64_t max, uint64_t *ret)
{
	const char *at = *line;
	uint64_t number = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');

		if (number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	if (at == *line)
		return false;
	*line = at;
	*ret = number;
	return true;
}

int announce_head(struct buf *message, char ret_epoch[EPOCH_SIZE], uint64_t *ret_number, size_t *ret_at)
{
	size_t at = 0;
	const char *line = next_line(message, &at);
	const char *space = line ? strchr(line, ' ') : NULL;
	const char *end = space ? space + 1 : NULL;
	uint64_t number;

	if (!space || space == line || space - line >= EPOCH_SIZE || !read_number(&end, UINT64_MAX, &number) || *end)
		return -EPROTO;
	memcpy(ret_epoch, line, (size_t)(space - line));
	ret_epoch[space - line] = '\0';
	*ret_number = number;
	*ret_at = at;
	return 0;
}

/* Whoever reckons with it need not fear that it overflows. */
#define DEADLINE_MAX (INT64_MAX / 2)

static bool read_heartbeat(const char *line, struct announcement *ret)
{
	uint64_t deadline_us;

	if (line[0] != 'h' || line[1] != ' ')
		return false;
	line += 2;
	if (!read_number(&line, DEADLINE_MAX, &deadline_us) || *line)
		return false;
	ret->kind = ANNOUNCE_HEARTBEAT;
	ret->deadline_us = (int64_t)deadline_us;
	return true;
}

static bool read_change(const char *line, struct announcement *ret)
{
	const char *letter = line[0] ? memchr(letters, line[0], sizeof letters) : NULL;
	uint64_t relation;

	if (!letter || line[1] != ' ')
		return false;
	line += 2;
	if (!read_number(&line, UINT32_MAX, &relation))
		return false;
	ret->kind = ANNOUNCE_CHANGE;
	ret->change.op = (enum batch_op)(letter - letters);
	ret->change.relation = (uint32_t)relation;
	ret->change.name = *line ? line + 1 : "";
	if (ret->change.op == BATCH_RELATION)
		return !*line;
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
