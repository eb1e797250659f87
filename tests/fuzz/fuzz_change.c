/* Any bytes as a stream of messages, each behind its length in four bytes: what is understood can
 * be read whole, and what it told is in the batch. */
#include "rowfs/model/change.h"
#include "rowfs/model/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct feeding {
	struct change_decoder *decoder;
	struct transactions *transactions;
	struct batch batch;
	bool streamed;
};

static void read_tuple(const struct change_tuple *tuple)
{
	for (size_t i = 0; tuple->present && i < tuple->n; i++) {
		struct cell cell = tuple->cells[i];

		if (!cell.data)
			continue;
		if (tuple->unchanged[i] || cell.data[cell.len] != '\0')
			abort();
		if (!tuple->binary && strlen(cell.data) != cell.len)
			abort();
	}
}

/* The identity's columns are the key, last one first. */
static void set_key(struct feeding *f, const struct change *change)
{
	const char *columns[KEY_PARTS_MAX];
	size_t n = 0;

	for (size_t i = change->n_columns; i > 0 && n < KEY_PARTS_MAX; i--)
		if (change->columns[i - 1].key)
			columns[n++] = change->columns[i - 1].name;
	if (transactions_set_key(f->transactions, change->relation, columns, n) < 0)
		abort();
}

static bool read_message(struct feeding *f, const void *message, size_t len)
{
	struct change change;
	struct error e = {0};

	if (change_parse(f->decoder, message, len, f->streamed, &change, &e) < 0) {
		if (e.err != EPROTO || !e.message[0])
			abort();
		return false;
	}
	read_tuple(&change.before);
	read_tuple(&change.after);
	if (change.kind == CHANGE_RELATION)
		set_key(f, &change);
	if (change.kind == CHANGE_STREAM_START || change.kind == CHANGE_STREAM_STOP)
		f->streamed = change.kind == CHANGE_STREAM_START;
	return true;
}

/* False at the end of what can be followed. */
static bool feed(struct feeding *f, const unsigned char *bytes, size_t len)
{
	/* Its own allocation, so that reading behind its end is seen. */
	_cleanup_free_ void *message = malloc(len ? len : 1);
	struct error e = {0};
	bool understood;
	int r;

	memcpy(message, bytes, len);
	understood = read_message(f, message, len);
	r = transactions_take(f->transactions, message, len, &f->batch, NULL, &e);
	if ((r < 0 && (r != -EPROTO || !e.message[0])) || (r == 0 && !understood))
		abort();
	return r == 0;
}

static void check_told(const struct feeding *f)
{
	struct batch_change change;
	size_t at = 0, n = 0;

	while (batch_next(&f->batch, &at, &change)) {
		if ((change.op == BATCH_RELATION) != (change.name[0] == '\0'))
			abort();
		n++;
	}
	if (n != f->batch.n_changes || (n > 0 && f->batch.n_transactions == 0))
		abort();
	if (transactions_open(f->transactions) == 0 && transactions_bytes(f->transactions) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const unsigned char *at = data, *end = data + size;
	struct feeding f = {0};
	size_t len;

	if (change_decoder_new(&f.decoder) < 0 || transactions_new(&f.transactions) < 0)
		abort();
	do {
		if (end - at < 4)
			break;
		len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
		at += 4;
		if (len > (size_t)(end - at))
			len = (size_t)(end - at);
		at += len;
	} while (feed(&f, at - len, len));
	check_told(&f);
	batch_done(&f.batch);
	transactions_free(f.transactions);
	change_decoder_free(f.decoder);
	return 0;
}
