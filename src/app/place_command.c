#include "place_command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "rowfs/base/log.h"
#include "rowfs/base/options.h"
#include "rowfs/engine/placements.h"
#include "say.h"

/* What the words ask for, and what of them is the connection's. */
struct order {
	bool show, drop;
	const char *table;
	struct buf rule, predicate; /* the predicate only while words are taken */
	bool in_predicate;
	struct settings settings;
	struct store *store;
};

static void order_done(struct order *order)
{
	store_close(order->store);
	settings_done(&order->settings);
	buf_done(&order->rule);
}

static enum exit_code fail(const struct error *e, enum exit_code code)
{
	say_error(e);
	return e->err == ENOMEM ? EXIT_INTERNAL : code;
}

/* In the one text hot= comes last, and a predicate may be of several words. */
static void take_rule(struct order *order, const char *word)
{
	static const char *const settings[] = {"place=", "hash=", "columns="};
	bool other = false;
	struct buf *to;

	order->in_predicate = order->in_predicate || strncmp(word, "hot=", 4) == 0;
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		other = other || strncmp(word, settings[i], strlen(settings[i])) == 0;
	to = order->in_predicate && !other ? &order->predicate : &order->rule;
	buf_addf(to, "%s%s", to->len ? " " : "", word);
}

static void end_rule(struct order *order)
{
	if (order->predicate.len)
		buf_addf(&order->rule, "%s%s", order->rule.len ? " " : "", order->predicate.data);
	order->rule.failed = order->rule.failed || order->predicate.failed;
	buf_done(&order->predicate);
}

/* argv → what `rowfs sync` would get. The first word is SOURCE, the second TABLE; the others are the rule's. */
static void take_words(int argc, char **argv, struct order *order, int *ret_argc, char **ret_argv)
{
	unsigned places = 0;

	ret_argv[(*ret_argc)++] = argv[0];
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--show") == 0)
			order->show = true;
		else if (strcmp(argv[i], "--drop") == 0)
			order->drop = true;
		else if (strncmp(argv[i], "-o", 2) == 0) {
			ret_argv[(*ret_argc)++] = argv[i];
			if (!argv[i][2] && i + 1 < argc)
				ret_argv[(*ret_argc)++] = argv[++i];
		} else if (*argv[i] == '-' || places++ == 0)
			ret_argv[(*ret_argc)++] = argv[i];
		else if (places == 2)
			order->table = argv[i];
		else
			take_rule(order, argv[i]);
	}
	end_rule(order);
	ret_argv[*ret_argc] = NULL;
}

static bool makes_sense(const struct order *order)
{
	if (order->show)
		return !order->drop && !order->table;
	return order->table && order->drop == (order->rule.len == 0);
}

static enum exit_code parse(int argc, char **argv, struct order *order)
{
	_cleanup_free_ char **rest = calloc((size_t)argc + 1, sizeof(*rest));
	enum command command;
	struct error e = {0};
	int n = 0;

	if (!rest)
		return EXIT_INTERNAL;
	take_words(argc, argv, order, &n, rest);
	if (order->rule.failed)
		return EXIT_INTERNAL;
	if (!makes_sense(order)) {
		say("usage: rowfs place SOURCE TABLE RULE...; rowfs place SOURCE TABLE --drop; "
		    "rowfs place SOURCE --show. A RULE is place=lazy, place=off, hash=N/M, columns=A,B or hot=PREDICATE");
		return EXIT_USAGE;
	}
	if (command_line_parse(n, rest, PLACES_RULE, &command, &order->settings, &e))
		return fail(&e, EXIT_USAGE);
	if (command != COMMAND_MOUNT) {
		say("rowfs --help, --version, --manual and --show-config stand without a verb");
		return EXIT_USAGE;
	}
	return log_open(order->settings.log) < 0 ? EXIT_USAGE : EXIT_DONE;
}

static enum exit_code open_store(struct order *order)
{
	struct error e = {0};
	int r = store_open(&order->settings, &order->store, &e);

	if (r == 0)
		return EXIT_DONE;
	return fail(&e, r == -EACCES || r == -EPERM ? EXIT_AUTHENTICATION : EXIT_POSTGRES);
}

/* The words of a rule that is wrong are the command line's; what the database says against it is not. */
static enum exit_code set(struct order *order)
{
	_cleanup_placement_ struct placement placement = {0};
	struct error e = {0};

	if (placement_parse(order->rule.data, &placement, &e) < 0)
		return fail(&e, EXIT_USAGE);
	if (placements_set(order->store, order->table, &placement, &e) < 0)
		return fail(&e, e.err == EINVAL || e.err == ENOENT ? EXIT_USAGE : EXIT_POSTGRES);
	return EXIT_DONE;
}

static enum exit_code drop(struct order *order)
{
	struct error e = {0};

	if (placements_drop(order->store, order->table, &e) < 0)
		return fail(&e, e.err == ENOENT ? EXIT_USAGE : EXIT_POSTGRES);
	return EXIT_DONE;
}

static enum exit_code show(struct order *order)
{
	_cleanup_buf_ struct buf list = {0};
	struct error e = {0};

	if (placements_list(order->store, &list, &e) < 0)
		return fail(&e, EXIT_POSTGRES);
	if (list.len && fputs(list.data, stdout) < 0)
		return EXIT_INTERNAL;
	return fflush(stdout) < 0 ? EXIT_INTERNAL : EXIT_DONE;
}

enum exit_code place_command_run(int argc, char **argv)
{
	_cleanup_(order_done) struct order order = {0};
	enum exit_code code = parse(argc, argv, &order);

	if (!code)
		code = open_store(&order);
	if (code)
		return code;
	return order.show ? show(&order) : order.drop ? drop(&order) : set(&order);
}
