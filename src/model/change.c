#include "rowfs/model/change.h"

#include <errno.h>
#include <stdlib.h>

#include "message.h"

enum {
	ROOM_FIRST = 4096,
	ROOM_KEPT = 1 << 20, /* what one large value needed is given back */
};

struct change_decoder {
	struct change_column columns[CHANGE_COLUMNS_MAX];
	/* [0]: before, [1]: after */
	struct cell cells[2][CHANGE_COLUMNS_MAX];
	bool unchanged[2][CHANGE_COLUMNS_MAX];
	/* Values with their NULs, or the relations of a TRUNCATE. A value has five bytes in front
	 * of it, so all that a message can ask for fits into as many bytes as it has itself. */
	char *room;
	size_t room_size, room_used;
};

int change_decoder_new(struct change_decoder **ret)
{
	/* Not cleared: of the arrays, only what a message filled is ever looked at. */
	struct change_decoder *decoder = malloc(sizeof(*decoder));

	if (!decoder)
		return -ENOMEM;
	decoder->room = NULL;
	decoder->room_size = decoder->room_used = 0;
	*ret = decoder;
	return 0;
}

void change_decoder_free(struct change_decoder *decoder)
{
	if (!decoder)
		return;
	free(decoder->room);
	free(decoder);
}

/* Room for what a message of `len` bytes can hold; what the last one held is gone. */
static bool make_room(struct change_decoder *decoder, size_t len)
{
	size_t size = ROOM_FIRST;

	decoder->room_used = 0;
	if (decoder->room_size >= len && decoder->room_size <= ROOM_KEPT && decoder->room)
		return true;
	while (size < len && size <= ROOM_KEPT / 2)
		size *= 2;
	if (size < len)
		size = len;
	free(decoder->room);
	decoder->room = malloc(size);
	decoder->room_size = decoder->room ? size : 0;
	return decoder->room;
}

/* --- Tuples ---------------------------------------------------------------------------------- */

/* Text without a NUL inside, as struct cell promises; what is binary may have some. */
static struct cell take_value(struct change_decoder *decoder, struct message *m, bool binary)
{
	uint32_t len = message_u32(m);
	const unsigned char *bytes = message_bytes(m, len);
	char *to = decoder->room + decoder->room_used;

	if (!bytes || (!binary && memchr(bytes, '\0', len))) {
		m->bad = true;
		return (struct cell){0};
	}
	memcpy(to, bytes, len);
	to[len] = '\0';
	decoder->room_used += (size_t)len + 1;
	return (struct cell){to, len};
}

static void take_column(struct change_decoder *decoder, struct message *m,
                        struct change_tuple *tuple, size_t i)
{
	char kind = (char)message_u8(m);

	tuple->cells[i] = (struct cell){0};
	tuple->unchanged[i] = kind == 'u';
	switch (kind) {
	case 'n':
	case 'u':
		break;
	case 'b':
		tuple->binary = true;
		tuple->cells[i] = take_value(decoder, m, true);
		break;
	case 't':
		tuple->cells[i] = take_value(decoder, m, false);
		break;
	default:
		m->bad = true;
	}
}

static size_t take_column_count(struct message *m)
{
	size_t n = message_u16(m);

	if (n > CHANGE_COLUMNS_MAX)
		m->bad = true;
	return m->bad ? 0 : n;
}

static struct change_tuple take_tuple(struct change_decoder *decoder, struct message *m, int which)
{
	struct change_tuple tuple = {
	        .present = true,
	        .n = take_column_count(m),
	        .cells = decoder->cells[which],
	        .unchanged = decoder->unchanged[which],
	};

	for (size_t i = 0; !m->bad && i < tuple.n; i++)
		take_column(decoder, m, &tuple, i);
	return tuple;
}

/* The letter says how much of the row there is: all (O) or the identity's columns (K). */
static void take_before(struct change_decoder *decoder, struct message *m, char letter,
                        struct change *change)
{
	if (letter != 'K' && letter != 'O')
		m->bad = true;
	change->before = take_tuple(decoder, m, 0);
	change->before_is_key = letter == 'K';
}

static void take_after(struct change_decoder *decoder, struct message *m, char letter,
                       struct change *change)
{
	if (letter != 'N')
		m->bad = true;
	change->after = take_tuple(decoder, m, 1);
}

/* --- Messages -------------------------------------------------------------------------------- */

static void parse_begin(struct change_decoder *decoder, struct message *m, struct change *change)
{
	message_u64(m); /* LSN of the commit, which COMMIT tells again */
	message_u64(m); /* its time */
	change->xid = message_u32(m);
}

static void parse_commit(struct change_decoder *decoder, struct message *m, struct change *change)
{
	/* No flag has a meaning yet; PostgreSQL's own reader refuses them too. */
	if (message_u8(m) != 0)
		m->bad = true;
	change->lsn = message_u64(m);
	change->end_lsn = message_u64(m);
	message_u64(m); /* time */
}

static void parse_stream_start(struct change_decoder *decoder, struct message *m,
                               struct change *change)
{
	change->xid = message_u32(m);
	change->first = message_u8(m) != 0;
}

static void parse_stream_stop(struct change_decoder *decoder, struct message *m,
                              struct change *change)
{
}

static void parse_stream_commit(struct change_decoder *decoder, struct message *m,
                                struct change *change)
{
	change->xid = message_u32(m);
	parse_commit(decoder, m, change);
}

static void parse_stream_abort(struct change_decoder *decoder, struct message *m,
                               struct change *change)
{
	change->xid = message_u32(m);
	change->subxid = message_u32(m);
}

static void parse_relation(struct change_decoder *decoder, struct message *m, struct change *change)
{
	change->relation = message_u32(m);
	change->name_space = message_string(m);
	change->name = message_string(m);
	change->identity = (char)message_u8(m);
	change->n_columns = take_column_count(m);
	change->columns = decoder->columns;
	for (size_t i = 0; !m->bad && i < change->n_columns; i++) {
		decoder->columns[i].key = message_u8(m) & 1;
		decoder->columns[i].name = message_string(m);
		message_u32(m); /* type */
		message_u32(m); /* its modifier */
	}
}

static void parse_insert(struct change_decoder *decoder, struct message *m, struct change *change)
{
	change->relation = message_u32(m);
	take_after(decoder, m, (char)message_u8(m), change);
}

static void parse_update(struct change_decoder *decoder, struct message *m, struct change *change)
{
	char letter;

	change->relation = message_u32(m);
	letter = (char)message_u8(m);
	if (letter != 'N') {
		take_before(decoder, m, letter, change);
		letter = (char)message_u8(m);
	}
	take_after(decoder, m, letter, change);
}

static void parse_delete(struct change_decoder *decoder, struct message *m, struct change *change)
{
	change->relation = message_u32(m);
	take_before(decoder, m, (char)message_u8(m), change);
}

static void parse_truncate(struct change_decoder *decoder, struct message *m, struct change *change)
{
	uint32_t *relations = (uint32_t *)(void *)decoder->room;
	size_t n = message_u32(m);

	message_u8(m); /* CASCADE, RESTART IDENTITY: all the relations are named here anyway */
	if (m->bad || n > (size_t)(m->end - m->at) / sizeof(*relations)) {
		m->bad = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		relations[i] = message_u32(m);
	change->relations = relations;
	change->n_relations = n;
}

static void parse_type(struct change_decoder *decoder, struct message *m, struct change *change)
{
	message_u32(m);
	message_string(m); /* schema */
	message_string(m); /* name */
}

static void parse_origin(struct change_decoder *decoder, struct message *m, struct change *change)
{
	message_u64(m);
	message_string(m);
}

static void parse_message(struct change_decoder *decoder, struct message *m, struct change *change)
{
	message_u8(m);     /* transactional? */
	message_u64(m);    /* LSN */
	message_string(m); /* prefix */
	message_bytes(m, message_u32(m));
}

static const struct message_type {
	void (*parse)(struct change_decoder *decoder, struct message *m, struct change *change);
	enum change_kind kind;
	bool tells_part; /* in a streamed block, the id of the (sub)transaction comes first */
} types[256] = {
        ['B'] = {parse_begin, CHANGE_BEGIN, false},
        ['C'] = {parse_commit, CHANGE_COMMIT, false},
        ['S'] = {parse_stream_start, CHANGE_STREAM_START, false},
        ['E'] = {parse_stream_stop, CHANGE_STREAM_STOP, false},
        ['c'] = {parse_stream_commit, CHANGE_STREAM_COMMIT, false},
        ['A'] = {parse_stream_abort, CHANGE_STREAM_ABORT, false},
        ['R'] = {parse_relation, CHANGE_RELATION, true},
        ['I'] = {parse_insert, CHANGE_INSERT, true},
        ['U'] = {parse_update, CHANGE_UPDATE, true},
        ['D'] = {parse_delete, CHANGE_DELETE, true},
        ['T'] = {parse_truncate, CHANGE_TRUNCATE, true},
        ['Y'] = {parse_type, CHANGE_OTHER, true},
        ['O'] = {parse_origin, CHANGE_OTHER, false},
        ['M'] = {parse_message, CHANGE_OTHER, true},
};

int change_parse(struct change_decoder *decoder, const void *message, size_t len, bool streamed,
                 struct change *ret, struct error *e)
{
	const unsigned char *bytes = message;
	const struct message_type *type = len > 0 ? &types[bytes[0]] : NULL;

	if (!type)
		return error_set(e, EPROTO, "the change stream holds an empty message");
	if (!type->parse)
		return error_set(e, EPROTO,
		                 "the change stream holds a message of unknown type 0x%02x",
		                 bytes[0]);
	if (!make_room(decoder, len))
		return error_set(e, ENOMEM, "out of memory");

	struct message m = {bytes + 1, bytes + len, false};
	struct change change = {.kind = type->kind};

	if (streamed && type->tells_part)
		change.xid = message_u32(&m);
	type->parse(decoder, &m, &change);
	if (m.bad || m.at != m.end)
		return error_set(e, EPROTO,
		                 "the change stream holds a malformed message '%c' of %zu bytes",
		                 bytes[0], len);
	*ret = change;
	return 0;
}
