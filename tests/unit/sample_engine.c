#include "sample_engine.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "fake_cache.h"
#include "fake_store.h"
#include "rowfs/base/options.h"

/* --- The catalog ----------------------------------------------------------------------------- */

enum { ID, NAME, PRICE, TOTAL, COLUMNS };

static const struct {
	const char *name;
	size_t key;
	bool readonly, row_security, partial, by_search_path, loose;
} relations[] = {
        {"items", ID},
        {"named", NAME},
        {"priced", PRICE},
        {"guarded", ID, .row_security = true},
        {"partial", ID, .partial = true},
        {"readonly", ID, .readonly = true},
        {"pathed", ID, .by_search_path = true},
        {"loose", NAME, .readonly = true, .loose = true},
};

enum { RELATIONS = sizeof(relations) / sizeof(*relations) };

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	ck_assert_ptr_nonnull(p);
	return p;
}

static struct type *make_types(void)
{
	static const struct type types[] = {
	        {.oid = 23, .kind = TYPE_INTEGER, .delimiter = ','},
	        {.oid = 25, .kind = TYPE_TEXT, .delimiter = ','},
	        {.oid = 1700, .kind = TYPE_NUMERIC, .delimiter = ','},
	};
	struct type *copy = allocate(3, sizeof(*copy));

	memcpy(copy, types, sizeof(types));
	for (int i = 0; i < 3; i++)
		copy[i].equal_schema = strdup("pg_catalog");
	return copy;
}

static struct column *make_columns(const struct type *types)
{
	static const char *const names[COLUMNS] = {"id", "name", "price", "total"};
	static const size_t type_of[COLUMNS] = {0, 1, 2, 2};
	struct column *columns = allocate(COLUMNS, sizeof(*columns));

	for (int i = 0; i < COLUMNS; i++)
		columns[i] = (struct column){
		        .name = strdup(names[i]),
		        .number = (int16_t)(i + 1),
		        .type = &types[type_of[i]],
		        .generated = i == TOTAL,
		        .can_update = true,
		        .can_insert = true,
		};
	return columns;
}

static void make_relation(struct schema *schema, size_t i)
{
	bool readonly = relations[i].readonly;
	struct relation *relation = &schema->spaces[0].relations[i];

	*relation = (struct relation){
	        .oid = (uint32_t)(ITEMS + i),
	        .kind = relations[i].loose ? RELATION_MATVIEW : RELATION_TABLE,
	        .space = schema->spaces[0].name,
	        .name = strdup(relations[i].name),
	        .dir_name = strdup(relations[i].name),
	        .columns = make_columns(schema->types),
	        .n_columns = COLUMNS,
	        .key_kind = KEY_COLUMNS,
	        .parts = allocate(1, sizeof(struct key_part)),
	        .n_parts = 1,
	        .mtime_column = SIZE_MAX,
	        .has_xmin = true,
	        .row_security = relations[i].row_security,
	        .partial = relations[i].partial,
	        .by_search_path = relations[i].by_search_path,
	        .can_insert = !readonly,
	        .can_update = !readonly,
	        .can_delete = !readonly,
	        .fingerprint = schema->fingerprint,
	};
	relation->parts[0] = (struct key_part){
	        .column = relations[i].key,
	        .operator_schema = strdup("pg_catalog"),
	        .sql_type = strdup("numeric(6,2)"),
	        .nullable = relations[i].loose,
	};
}

static int compare_dir_names(const void *a, const void *b)
{
	return strcmp(((const struct relation *)a)->dir_name,
	              ((const struct relation *)b)->dir_name);
}

struct schema *sample_schema(uint64_t fingerprint)
{
	struct schema *schema = allocate(1, sizeof(*schema));

	atomic_init(&schema->refs, 1);
	schema->fingerprint = fingerprint;
	schema->types = make_types();
	schema->n_types = 3;
	schema->spaces = allocate(1, sizeof(*schema->spaces));
	schema->n_spaces = 1;
	schema->spaces[0] = (struct space){
	        .name = strdup("public"),
	        .dir_name = strdup("public"),
	        .relations = allocate(RELATIONS, sizeof(struct relation)),
	        .n_relations = RELATIONS,
	};
	for (size_t i = 0; i < RELATIONS; i++)
		make_relation(schema, i);
	qsort(schema->spaces[0].relations, RELATIONS, sizeof(struct relation), compare_dir_names);
	return schema;
}

/* --- The engine ------------------------------------------------------------------------------ */

void sample_prepare(struct sample *sample)
{
	struct schema *schema = sample_schema(0x8c1f0e55a3b2d417);
	const char *parent = getenv("TMPDIR");

	memset(sample, 0, sizeof(*sample));
	snprintf(sample->dir, sizeof(sample->dir), "%s/rowfs-unit.XXXXXX",
	         parent && strlen(parent) < 40 ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(sample->dir));
	ck_assert_int_eq(settings_init(&sample->settings), 0);
	free(sample->settings.state_dir);
	sample->settings.state_dir = strdup(sample->dir);
	sample->settings.ttl = 60;
	sample->settings.changes = CHANGES_TTL;
	sample->settings.admit = ADMIT_ON_FIRST; /* most tests are of what then becomes of a row */
	fake_store_schema(schema);
	schema_unref(schema);
}

void sample_start(struct sample *sample)
{
	struct error e = {0};
	int r = engine_open(&sample->settings, fake_store(), fake_cache(), &sample->engine, &e);

	ck_assert_msg(r == 0, "%s", e.message);
	sample->started = true;
}

void sample_open(struct sample *sample)
{
	sample_prepare(sample);
	sample_start(sample);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void sample_close(struct sample *sample)
{
	if (sample->started)
		engine_close(&sample->engine);
	fake_store_schema(NULL);
	nftw(sample->dir, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
	settings_done(&sample->settings);
}

struct rowref sample_ref(struct sample *sample, uint32_t oid, const char *name)
{
	struct rowref ref = {0};

	ck_assert_int_eq(rowref_of_name(sample->engine.catalog, oid, name, &ref, NULL), 0);
	return ref;
}

bool sample_is_text(const char *name)
{
	const char *end = strrchr(name, '.');

	return name[0] != '.' && !(end && (strcmp(end, ".base") == 0 || strcmp(end, ".error") == 0 ||
	                                   strcmp(end, ".theirs") == 0));
}

static bool is_name(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* -1 without a directory. */
static int count_names(const struct sample *sample, const char *directory, bool (*counts)(const char *name))
{
	char path[256];
	struct dirent *entry;
	DIR *stream;
	int n = 0;

	snprintf(path, sizeof(path), "%s/%s", sample->dir, directory);
	stream = opendir(path);
	if (!stream)
		return -1;
	while ((entry = readdir(stream)))
		n += counts(entry->d_name);
	closedir(stream);
	return n;
}

int sample_files(const struct sample *sample, const char *directory)
{
	return count_names(sample, directory, is_name);
}

int sample_texts(const struct sample *sample, const char *directory)
{
	return count_names(sample, directory, sample_is_text);
}
