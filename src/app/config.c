#include "config.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_text.h"
#include "rowfs/base/options.h"
#include "rowfs/model/placement.h"

/* libconfuse hands its callbacks no context. There is one thread when the configuration is read. */
static struct {
	const char *path;
	struct settings *settings;
	struct error *error;
} reading;

static const char NO_SUCH[] = "no such option '";

/* "no such option 'x'" in our words, with the name that was probably meant. */
static bool describe_unknown(const cfg_t *cfg, const char *text)
{
	_cleanup_free_ char *name = NULL;
	const char *nearest;

	if (strncmp(text, NO_SUCH, strlen(NO_SUCH)) != 0)
		return false;
	text += strlen(NO_SUCH);
	name = strndup(text, strcspn(text, "'"));
	nearest = name ? option_nearest(name) : NULL;
	if (cfg->title)
		error_set(reading.error, EINVAL,
		          "%s:%d: a table has a key, an mtime, place, hash, columns and hot, but no \"%s\"",
		          reading.path, cfg->line, name);
	else if (nearest)
		error_set(reading.error, EINVAL,
		          "%s:%d: unknown option \"%s\"; did you mean \"%s\"?", reading.path,
		          cfg->line, name, nearest);
	else
		error_set(reading.error, EINVAL,
		          "%s:%d: unknown option \"%s\"; rowfs --help lists them", reading.path,
		          cfg->line, name);
	return true;
}

static void on_error(cfg_t *cfg, const char *format, va_list arguments)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, arguments);
	if (!describe_unknown(cfg, text))
		error_set(reading.error, EINVAL, "%s:%d: %s", reading.path, cfg->line, text);
}

/* Each value is set as it is read, so that a bad one is reported with its line. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct error e = {0};

	if (strcmp(opt->name, "config") == 0) {
		cfg_error(cfg, "config= belongs to -o; a file cannot name another");
		return -1;
	}
	if (options_set(reading.settings, opt->name, value, &e)) {
		cfg_error(cfg, "%s", e.message);
		return -1;
	}
	*(const char **)result = value;
	return 0;
}

/* Each setting may be good, and the rule that they make none. */
static bool has_good_rule(cfg_t *table, struct error *e)
{
	_cleanup_placement_ struct placement rule = {0};

	return placement_of(cfg_getstr(table, "place"), cfg_getstr(table, "hot"), cfg_getstr(table, "hash"),
	                    cfg_getstr(table, "columns"), &rule, e) == 0;
}

static int on_table(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *table = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *dot = strchr(cfg_title(table), '.');
	struct error e;

	if (!dot || dot == cfg_title(table) || !dot[1]) {
		cfg_error(cfg, "table \"%s\": write \"schema.name\"", cfg_title(table));
		return -1;
	}
	if (has_good_rule(table, &e))
		return 0;
	cfg_error(cfg, "table \"%s\": %s", cfg_title(table), e.message);
	return -1;
}

static int copy_string(cfg_t *table, const char *name, char **ret)
{
	const char *value = cfg_getstr(table, name);

	if (!value)
		return 0;
	*ret = strdup(value);
	return *ret ? 0 : -ENOMEM;
}

static int copy_tables(cfg_t *cfg, struct settings *settings)
{
	unsigned n = cfg_size(cfg, "table");

	settings->tables = calloc(n + 1, sizeof(*settings->tables));
	if (!settings->tables)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		cfg_t *table = cfg_getnsec(cfg, "table", i);
		struct table_settings *to = &settings->tables[settings->n_tables++];

		to->relation = strdup(cfg_title(table));
		if (!to->relation || copy_string(table, "key", &to->key) ||
		    copy_string(table, "mtime", &to->mtime) || copy_string(table, "place", &to->place) ||
		    copy_string(table, "hot", &to->hot) || copy_string(table, "hash", &to->hash) ||
		    copy_string(table, "columns", &to->columns))
			return -ENOMEM;
	}
	return 0;
}

static int read_text(const char *path, struct buf *ret, struct error *e)
{
	char part[4096];
	FILE *file = fopen(path, "re");
	size_t n;
	int r = 0;

	if (!file)
		return error_set(e, errno, "config=%s: %s", path, strerror(errno));
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		buf_add(ret, part, n);
	if (ferror(file))
		r = error_set(e, errno, "config=%s: %s", path, strerror(errno));
	fclose(file);
	/* So that there is something to read in an empty file, too. */
	buf_addc(ret, '\n');
	return !r && ret->failed ? error_set(e, ENOMEM, "out of memory") : r;
}

enum { OPTIONS_MAX = 64 };

/* The option table as libconfuse wants it, and `table`. */
static cfg_t *make_parser(void)
{
	static cfg_opt_t columns[] = {CFG_STR("key", NULL, CFGF_NONE),   CFG_STR("mtime", NULL, CFGF_NONE),
	                              CFG_STR("place", NULL, CFGF_NONE), CFG_STR("hot", NULL, CFGF_NONE),
	                              CFG_STR("hash", NULL, CFGF_NONE),  CFG_STR("columns", NULL, CFGF_NONE),
	                              CFG_END()};
	const cfg_opt_t table =
	        CFG_SEC("table", columns, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	const cfg_opt_t end = CFG_END();
	cfg_opt_t list[OPTIONS_MAX];
	unsigned n = 0;
	cfg_t *cfg;

	for (const struct option_entry *o = options; o->name && n < OPTIONS_MAX - 2; o++) {
		const cfg_opt_t entry = CFG_STR_CB(o->name, NULL, CFGF_NONE, on_value);

		list[n++] = entry;
	}
	list[n++] = table;
	list[n] = end;
	cfg = cfg_init(list, CFGF_NONE);
	if (cfg) {
		cfg_set_error_function(cfg, on_error);
		cfg_set_validate_func(cfg, "table", on_table);
	}
	return cfg;
}

/* Through a FILE of our own: cfg_parse() ends the process over a file that it cannot read. */
static int parse(cfg_t *cfg, struct buf *text, struct error *e)
{
	FILE *file = fmemopen(text->data, text->len, "r");
	struct error error = {0};
	int status;

	if (!file)
		return error_set(e, ENOMEM, "out of memory");
	reading.error = &error;
	status = cfg_parse_fp(cfg, file);
	fclose(file);
	if (status == CFG_SUCCESS)
		return 0;
	return error_set(e, EINVAL, "%s", error.err ? error.message : reading.path);
}

int config_read(const char *path, struct settings *settings, struct error *e)
{
	_cleanup_buf_ struct buf text = {0};
	int r = read_text(path, &text, e);
	unsigned unclosed;
	cfg_t *cfg;
	char open;

	if (r)
		return r;
	unclosed = config_text_prepare(&text, &open);
	if (unclosed)
		return error_set(e, EINVAL, "%s:%u: the %s is never closed", path, unclosed,
		                 open == '{' ? "brace" : "quote");
	cfg = make_parser();
	if (!cfg)
		return error_set(e, ENOMEM, "out of memory");
	reading.path = path;
	reading.settings = settings;
	r = parse(cfg, &text, e);
	if (!r && copy_tables(cfg, settings))
		r = error_set(e, ENOMEM, "out of memory");
	cfg_free(cfg);
	return r;
}
