#include "report.h"

#include <string.h>

#include "rowfs/engine/hot_report.h"
#include "rowfs/engine/status.h"

static void print_status(struct engine *engine, uid_t reader, struct buf *out)
{
	status_print(engine, out);
}

static void print_metrics(struct engine *engine, uid_t reader, struct buf *out)
{
	status_print_metrics(engine, out);
}

static void print_last_error(struct engine *engine, uid_t reader, struct buf *out)
{
	refusals_print_last(engine->refusals, reader, out);
}

static void print_errors(struct engine *engine, uid_t reader, struct buf *out)
{
	refusals_print_all(engine->refusals, reader, out);
}

static void print_last_insert(struct engine *engine, uid_t reader, struct buf *out)
{
	engine_print_last_insert(engine, out);
}

static void print_hot(struct engine *engine, uid_t reader, struct buf *out)
{
	hot_report_print(engine, out);
}

const struct report reports[] = {
	{"status", print_status},
	{"metrics", print_metrics},
	{"last-error", print_last_error, .personal = true},
	{"errors", print_errors, .personal = true},
	{"hot", print_hot},
	{"last-insert", print_last_insert},
	{NULL, NULL},
};

const struct report *report_find(const char *name)
{
	for (const struct report *report = reports; report->name; report++)
		if (strcmp(report->name, name) == 0)
			return report;
	return NULL;
}
