#include "command_line.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "config.h"
#include "rowfs/base/options.h"

/* What stands on the command line, before any of it is looked at. */
struct words {
	enum command command;
	enum places places;
	bool foreground, debug;
	struct buf list; /* all -o, one after the other */
	const char *positional[2];
	unsigned n_positional;
};

static void words_done(struct words *words)
{
	buf_done(&words->list);
}

enum { FLAG_POSITIONAL = 1, FLAG_SHOW_CONFIG = 256, FLAG_MANUAL };

static const struct option long_flags[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"foreground", no_argument, NULL, 'f'},
        {"debug", no_argument, NULL, 'd'},
        {"show-config", no_argument, NULL, FLAG_SHOW_CONFIG},
        {"manual", no_argument, NULL, FLAG_MANUAL},
        {NULL, 0, NULL, 0},
};

static const char *const shapes[] = {
        [PLACES_SOURCE_AND_MOUNTPOINT] = "rowfs SOURCE MOUNTPOINT -o OPTION,…",
        [PLACES_SOURCE] = "rowfs sync [install|uninstall|status] SOURCE -o OPTION,…",
        [PLACES_RULE] = "rowfs place SOURCE TABLE RULE..., or TABLE --drop, or --show",
};

static unsigned expected(const struct words *words)
{
	return words->places == PLACES_SOURCE_AND_MOUNTPOINT ? 2 : 1;
}

static int add_positional(struct words *words, const char *word, struct error *e)
{
	if (words->n_positional == expected(words))
		return error_set(e, EINVAL, "one argument too many: \"%s\"; %s", word,
		                 shapes[words->places]);
	words->positional[words->n_positional++] = word;
	return 0;
}

static int read_flag(int flag, const char *word, struct words *words, struct error *e)
{
	switch (flag) {
	case FLAG_POSITIONAL:
		return add_positional(words, optarg, e);
	case 'o':
		buf_adds(&words->list, optarg);
		buf_addc(&words->list, ',');
		return 0;
	case 'd':
		words->debug = true;
		/* fallthrough */
	case 'f':
		words->foreground = true;
		return 0;
	case 'h':
		words->command = COMMAND_HELP;
		return 0;
	case 'V':
		words->command = COMMAND_VERSION;
		return 0;
	case FLAG_SHOW_CONFIG:
		words->command = COMMAND_SHOW_CONFIG;
		return 0;
	case FLAG_MANUAL:
		words->command = COMMAND_MANUAL;
		return 0;
	case ':':
		return error_set(e, EINVAL, "-o needs a list of options after it");
	default:
		return error_set(e, EINVAL, "unknown argument \"%s\"; rowfs --help lists all",
		                 word);
	}
}

static int read_words(int argc, char **argv, struct words *words, struct error *e)
{
	int flag, r = 0;

	/* '-' gives positional words in their turn, whatever POSIXLY_CORRECT says; ':' leaves the
	 * messages to us. */
	opterr = 0;
	optind = 1;
	for (;;) {
		int at = optind;

		flag = getopt_long(argc, argv, "-:o:fdhV", long_flags, NULL);
		if (flag < 0 || r)
			break;
		r = read_flag(flag, argv[at], words, e);
	}
	/* What follows "--". */
	while (!r && optind < argc)
		r = add_positional(words, argv[optind++], e);
	if (!r && words->list.failed)
		r = error_set(e, ENOMEM, "out of memory");
	return r;
}

static const char *list_of(const struct words *words)
{
	return words->list.data ? words->list.data : "";
}

/* Defaults, then the configuration file, then -o. */
static int read_options(const struct words *words, struct settings *settings, struct error *e)
{
	_cleanup_free_ char *config = NULL;
	int r = options_parse(settings, list_of(words), e);

	if (r || !settings->config)
		return r;
	config = strdup(settings->config);
	settings_done(settings);
	if (!config || settings_init(settings))
		return error_set(e, ENOMEM, "out of memory");
	r = config_read(config, settings, e);
	return r ? r : options_parse(settings, list_of(words), e);
}

/* The log goes where somebody can see it: to the terminal as long as there is one. */
static int choose_log(const struct words *words, struct settings *settings, struct error *e)
{
	const char *log = settings->log;

	if (!log) {
		log = words->debug ? "stderr:debug" : words->foreground ? "stderr" : "syslog";
		settings->log = strdup(log);
		return settings->log ? 0 : error_set(e, ENOMEM, "out of memory");
	}
	if (!words->foreground && strncmp(log, "stderr", 6) == 0 && (!log[6] || log[6] == ':'))
		return error_set(e, EINVAL,
		                 "log=stderr needs -f: without it rowfs leaves the terminal");
	return 0;
}

static int set_places(const struct words *words, struct settings *settings, struct error *e)
{
	if (words->n_positional < expected(words))
		return error_set(e, EINVAL, "%s is missing; %s",
		                 words->n_positional ? "the mount point" : "the database",
		                 shapes[words->places]);
	settings->foreground = words->foreground;
	settings->source = strdup(words->positional[0]);
	if (words->positional[1])
		settings->mountpoint = path_absolute(words->positional[1]);
	if (!settings->source || (words->positional[1] && !settings->mountpoint))
		return error_set(e, ENOMEM, "out of memory");
	return choose_log(words, settings, e);
}

int command_line_parse(int argc, char **argv, enum places places, enum command *ret_command,
                       struct settings *ret, struct error *e)
{
	_cleanup_(words_done) struct words words = {
	        .command = COMMAND_MOUNT,
	        .places = places,
	        .foreground = places != PLACES_SOURCE_AND_MOUNTPOINT,
	};
	_cleanup_settings_ struct settings settings = {0};
	int r = read_words(argc, argv, &words, e);

	if (!r && settings_init(&settings))
		r = error_set(e, ENOMEM, "out of memory");
	if (!r && (words.command == COMMAND_MOUNT || words.command == COMMAND_SHOW_CONFIG))
		r = read_options(&words, &settings, e);
	if (!r && words.command == COMMAND_MOUNT)
		r = set_places(&words, &settings, e);
	if (r)
		return r;
	*ret_command = words.command;
	*ret = settings;
	settings = (struct settings){0};
	return 0;
}
