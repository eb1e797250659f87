#include "rowfs/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "rowfs/base/log.h"
#include "rowfs/engine/text.h"
#include "sample_engine.h"
#include "suite.h"

enum { ROOM = 1000 };

/* What is full is measured once a second. */
static _Atomic int seconds_later;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = __real_clock_gettime(clock, ret);

	ret->tv_sec += seconds_later;
	return r;
}

static const char identity[] = "7000000000000000001.5";
static struct sample sample; /* for its settings and directory; no engine */
static struct scratch *scratch;

static void open_scratch(void)
{
	struct error e = {0};

	ck_assert_msg(scratch_open(&sample.settings, identity, &scratch, &e) == 0, "%s", e.message);
}

static void open_all(void)
{
	sample_prepare(&sample);
	sample.settings.scratch_max = 1 << 20;
	open_scratch();
}

static void close_all(void)
{
	scratch_close(scratch);
	sample_close(&sample);
}

static int table(uint32_t relation)
{
	int dir = scratch_table(scratch, relation, true);

	ck_assert_int_ge(dir, 0);
	return dir;
}

/* Begin anew with room for so many names, and ROOM bytes in them. */
static void room_for(unsigned names)
{
	scratch_close(scratch);
	sample.settings.scratch_max = ROOM + names * (uint64_t)SCRATCH_NAME_BYTES;
	open_scratch();
}

static int table_with_room_for(unsigned names)
{
	room_for(names); /* which takes empty folders away */
	return table(1);
}

static void check_used(unsigned names, uint64_t bytes)
{
	ck_assert_uint_eq(scratch_used(scratch), names * (uint64_t)SCRATCH_NAME_BYTES + bytes);
}

static int create(int dir, const char *name)
{
	int fd;

	ck_assert_int_eq(scratch_add(scratch), 0);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static ssize_t write_bytes(int fd, size_t len, off_t offset)
{
	static const char bytes[4 * ROOM];

	ck_assert_uint_le(len, sizeof(bytes));
	return scratch_write(scratch, fd, bytes, len, offset);
}

static int put(int dir, const char *name, const char *text)
{
	return scratch_put(scratch, dir, name, text, strlen(text), getuid(), getgid());
}

/* Entries of a table's folder. */
static int files_of(unsigned relation)
{
	char path[64];

	snprintf(path, sizeof(path), "spool/%s/%u", identity, relation);
	return sample_files(&sample, path);
}

static void check_content(int dir, const char *name, const char *want)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf text = {0};

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(scratch_get(fd, &text), 0);
	ck_assert_uint_eq(text.len, strlen(want));
	ck_assert_str_eq(text.data, want);
}

/* --- Places ---------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path)
{
	char whole[400];
	struct stat st;

	snprintf(whole, sizeof(whole), "%s/%s", sample.dir, path);
	ck_assert_int_eq(stat(whole, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(each_table_has_a_folder_of_its_own)
{
	_cleanup_close_ int first = table(16422);
	_cleanup_close_ int second = table(16423);
	_cleanup_close_ int again = scratch_table(scratch, 16422, false);

	ck_assert_int_eq(put(first, "42.json~", "first"), 0);
	ck_assert_int_eq(put(second, "42.json~", "second"), 0);
	check_content(again, "42.json~", "first");
	check_content(second, "42.json~", "second");
	ck_assert_uint_eq(mode_of("spool"), 0700);
	ck_assert_uint_eq(mode_of("spool/7000000000000000001.5"), 0700);
	ck_assert_uint_eq(mode_of("spool/7000000000000000001.5/16422"), 0700);
	ck_assert_int_eq(sample_files(&sample, "spool/7000000000000000001.5"), 2);
}
END_TEST

START_TEST(a_folder_is_made_when_it_is_needed)
{
	ck_assert_int_eq(scratch_table(scratch, 16422, false), -ENOENT);
	ck_assert_int_eq(sample_files(&sample, "spool/7000000000000000001.5"), 0);
	close(table(16422));
	close(table(16422));
	ck_assert_int_eq(sample_files(&sample, "spool/7000000000000000001.5"), 1);
}
END_TEST

START_TEST(another_database_has_another_spool)
{
	struct scratch *other;
	_cleanup_close_ int dir = table(1);

	ck_assert_int_eq(put(dir, "x", "x"), 0);
	ck_assert_int_eq(scratch_open(&sample.settings, "7.6", &other, NULL), 0);
	ck_assert_int_eq(scratch_table(other, 1, false), -ENOENT);
	ck_assert_uint_eq(scratch_used(other), 0);
	scratch_close(other);
}
END_TEST

START_TEST(a_spool_that_cannot_be_made_is_named)
{
	struct settings settings = {.state_dir = (char *)"/nonexistent/state"};
	struct scratch *none = NULL;
	struct error e = {0};

	ck_assert_int_eq(scratch_open(&settings, identity, &none, &e), -ENOENT);
	ck_assert_ptr_null(none);
	ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent/state/spool"));
	scratch_close(NULL);
}
END_TEST

/* --- Files ----------------------------------------------------------------------------------- */

START_TEST(putting_replaces)
{
	_cleanup_close_ int dir = table(1);
	struct stat st;

	ck_assert_int_eq(put(dir, "a", "a long text"), 0);
	ck_assert_int_eq(put(dir, "a", "short"), 0);
	check_content(dir, "a", "short");
	ck_assert_int_eq(put(dir, "a", ""), 0);
	check_content(dir, "a", "");
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	if (geteuid() == 0) {
		ck_assert_int_eq(scratch_put(scratch, dir, "b", "x", 1, 1000, 1001), 0);
		ck_assert_int_eq(fstatat(dir, "b", &st, 0), 0);
		ck_assert_uint_eq(st.st_uid, 1000);
		ck_assert_uint_eq(st.st_gid, 1001);
	}
}
END_TEST

/* As rename(2) does: the name is replaced, not what it leads to. */
START_TEST(putting_follows_no_link)
{
	_cleanup_close_ int dir = table(1);

	ck_assert_int_eq(put(dir, "target", "mine"), 0);
	ck_assert_int_eq(symlinkat("target", dir, "link"), 0);
	ck_assert_int_eq(put(dir, "link", "yours"), 0);
	check_content(dir, "target", "mine");
	check_content(dir, "link", "yours");
	ck_assert_int_eq(put(dir, "no/such", "x"), -ENOENT);
	ck_assert_int_eq(mkdirat(dir, "folder", 0700), 0);
	ck_assert_int_eq(put(dir, "folder", "x"), -EISDIR);
	ck_assert_int_eq(files_of(1), 3);
}
END_TEST

START_TEST(what_is_too_long_for_a_row_is_not_read)
{
	_cleanup_close_ int dir = table(1);
	_cleanup_close_ int fd = create(dir, "big");
	_cleanup_buf_ struct buf text = {0};

	ck_assert_int_eq(ftruncate(fd, (off_t)TEXT_MAX + 1), 0);
	ck_assert_int_eq(scratch_get(fd, &text), -EFBIG);
	ck_assert_uint_eq(text.len, 0);
	ck_assert_int_eq(ftruncate(fd, 3), 0);
	ck_assert_int_eq(scratch_get(fd, &text), 0);
	ck_assert_uint_eq(text.len, 3);
	ck_assert_int_eq(scratch_get(-1, &text), -EBADF);
}
END_TEST

START_TEST(reading_does_not_depend_on_the_position)
{
	_cleanup_close_ int dir = table(1);
	_cleanup_close_ int fd = create(dir, "a");
	_cleanup_buf_ struct buf text = {0};

	ck_assert_int_eq(write(fd, "hello", 5), 5);
	ck_assert_int_eq(scratch_get(fd, &text), 0);
	ck_assert_str_eq(text.data, "hello");
}
END_TEST

/* --- Quota ----------------------------------------------------------------------------------- */

START_TEST(the_room_is_used_up_to_its_last_byte)
{
	_cleanup_close_ int dir = table_with_room_for(1);
	_cleanup_close_ int fd = -1;

	fd = create(dir, "a");
	ck_assert_int_eq(write_bytes(fd, ROOM - 1, 0), ROOM - 1);
	check_used(1, ROOM - 1);
	ck_assert_int_eq(write_bytes(fd, 2, ROOM - 1), -ENOSPC);
	ck_assert_int_eq(write_bytes(fd, 1, ROOM - 1), 1);
	ck_assert_int_eq(write_bytes(fd, 1, ROOM), -ENOSPC);
	check_used(1, ROOM);
}
END_TEST

START_TEST(overwriting_takes_no_room)
{
	_cleanup_close_ int dir = table_with_room_for(1);
	_cleanup_close_ int fd = -1;

	fd = create(dir, "a");
	ck_assert_int_eq(write_bytes(fd, ROOM, 0), ROOM);
	ck_assert_int_eq(write_bytes(fd, ROOM, 0), ROOM);
	ck_assert_int_eq(write_bytes(fd, ROOM, 1), -ENOSPC);
	check_used(1, ROOM);
}
END_TEST

START_TEST(a_hole_counts_as_written)
{
	_cleanup_close_ int dir = table_with_room_for(1);
	_cleanup_close_ int fd = -1;

	fd = create(dir, "a");
	ck_assert_int_eq(write_bytes(fd, 1, ROOM), -ENOSPC);
	ck_assert_int_eq(write_bytes(fd, 1, ROOM - 1), 1);
	check_used(1, ROOM);
}
END_TEST

static void remove_name(int dir, const char *name, int flags)
{
	struct stat st;

	ck_assert_int_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_eq(unlinkat(dir, name, flags), 0);
	scratch_removed(scratch, &st);
}

START_TEST(what_is_deleted_or_cut_makes_room_again)
{
	_cleanup_close_ int dir = table_with_room_for(2);
	_cleanup_close_ int first = -1;
	_cleanup_close_ int second = -1;
	struct stat st;

	first = create(dir, "a");
	second = create(dir, "b");
	ck_assert_int_eq(write_bytes(first, 600, 0), 600);
	ck_assert_int_eq(write_bytes(second, 400, 0), 400);
	ck_assert_int_eq(write_bytes(second, 1, 400), -ENOSPC);
	remove_name(dir, "a", 0);
	check_used(1, 400);
	ck_assert_int_eq(write_bytes(second, 600, 400), 600);
	ck_assert_int_eq(scratch_resize(scratch, second, 100), 0);
	check_used(1, 100);
	ck_assert_int_eq(write_bytes(second, 900, 100), 900);
	/* As O_TRUNC does. */
	ck_assert_int_eq(fstat(second, &st), 0);
	ck_assert_int_eq(ftruncate(second, 0), 0);
	scratch_cut(scratch, &st);
	check_used(1, 0);
}
END_TEST

/* The room was given back with the name, while the blocks were in use until the file was closed. */
START_TEST(an_open_file_without_a_name_takes_its_room)
{
	_cleanup_close_ int dir = table_with_room_for(1);
	_cleanup_close_ int first = -1;
	_cleanup_close_ int second = -1;

	first = create(dir, "a");
	second = openat(dir, "a", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(scratch_hold(scratch, first), 0);
	ck_assert_int_eq(scratch_hold(scratch, second), 0);
	ck_assert_int_eq(write_bytes(first, ROOM, 0), ROOM);
	remove_name(dir, "a", 0);
	check_used(0, ROOM);
	ck_assert_int_eq(write_bytes(first, 3 * ROOM, ROOM), 3 * ROOM);
	scratch_release(scratch, first);
	close(first);
	first = -1;
	/* There is no room, so it is measured what there is. */
	seconds_later = 2;
	ck_assert_int_eq(scratch_add(scratch), -ENOSPC);
	check_used(0, 4 * ROOM);
	scratch_release(scratch, second);
	check_used(0, 0);
}
END_TEST

/* What was closed before its name went, or is one of several, gives its room back once. */
START_TEST(room_comes_back_once)
{
	_cleanup_close_ int dir = table_with_room_for(2);
	_cleanup_close_ int first = -1;
	_cleanup_close_ int second = -1;

	first = create(dir, "a");
	second = create(dir, "b");
	ck_assert_int_eq(scratch_hold(scratch, first), 0);
	ck_assert_int_eq(write_bytes(first, 300, 0), 300);
	ck_assert_int_eq(write_bytes(second, 700, 0), 700);
	scratch_release(scratch, first);
	check_used(2, ROOM);
	remove_name(dir, "a", 0);
	check_used(1, 700);
	scratch_release(scratch, first);
	check_used(1, 700);
	ck_assert_int_eq(scratch_hold(scratch, -1), -EBADF);
}
END_TEST

/* truncate -s took any room. */
START_TEST(growing_by_truncation_takes_room)
{
	_cleanup_close_ int dir = table_with_room_for(1);
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int path = -1;
	struct stat st;

	fd = create(dir, "a");
	ck_assert_int_eq(scratch_resize(scratch, fd, ROOM + 1), -ENOSPC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	path = openat(dir, "a", O_PATH | O_CLOEXEC);
	ck_assert_int_eq(scratch_resize(scratch, path, ROOM), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, ROOM);
	check_used(1, ROOM);
	ck_assert_int_eq(write_bytes(fd, 1, ROOM), -ENOSPC);
	ck_assert_int_eq(scratch_resize(scratch, fd, 0), 0);
	check_used(1, 0);
	ck_assert_int_eq(scratch_resize(scratch, fd, -1), -EINVAL);
}
END_TEST

/* Empty files, links and directories cost nothing. */
START_TEST(every_name_takes_a_block)
{
	_cleanup_close_ int dir = table_with_room_for(3);

	close(create(dir, "a"));
	ck_assert_int_eq(scratch_add(scratch), 0);
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	ck_assert_int_eq(scratch_add(scratch), 0);
	ck_assert_int_eq(symlinkat("nowhere", dir, "l"), 0);
	check_used(3, 0);
	ck_assert_int_eq(scratch_add(scratch), -ENOSPC);
	/* Measured, it is the same. */
	room_for(3);
	check_used(3, 0);
	ck_assert_int_eq(scratch_add(scratch), -ENOSPC);
	remove_name(dir, "d", AT_REMOVEDIR);
	ck_assert_int_eq(scratch_add(scratch), 0);
}
END_TEST

/* Each name that the kernel knows is a descriptor: 320 empty files of a process that may have 300 left it none for
 * PostgreSQL. */
START_TEST(there_are_fewer_names_than_descriptors)
{
	struct rlimit limit = {300, 300};
	unsigned n = 0;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	room_for(1000);
	while (scratch_add(scratch) == 0)
		n++;
	ck_assert_uint_eq(n, 100);
}
END_TEST

/* The limit that was met is named: bytes, names, or the disk behind them. */
START_TEST(what_is_full_is_named)
{
	struct rlimit limit = {300, 300};
	struct error e;
	uint64_t left;

	room_for(2);
	ck_assert_int_eq(scratch_add(scratch), 0);
	left = SCRATCH_NAME_BYTES + ROOM;
	ck_assert_int_eq(scratch_full(scratch, left + 1, 0, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.message, "scratch_max=9192 together"));
	ck_assert_int_eq(scratch_full(scratch, left, 0, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.message, "the disk is full"));
	ck_assert_ptr_nonnull(strstr(e.message, identity));
	ck_assert_int_eq(scratch_full(scratch, UINT64_MAX, 0, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.message, "scratch_max"));

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	room_for(1000);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(scratch_add(scratch), 0);
	ck_assert_int_eq(scratch_full(scratch, SCRATCH_NAME_BYTES, 1, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.message, "100 temporary files, links and directories together"));
	ck_assert_ptr_nonnull(strstr(e.message, "descriptors"));
	ck_assert_int_eq(scratch_full(scratch, 1, 0, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.message, "the disk is full"));
}
END_TEST

/* With no room left every WRITE walked over all that was there. */
START_TEST(what_is_full_is_not_measured_again_and_again)
{
	_cleanup_close_ int dir = table_with_room_for(1);
	_cleanup_close_ int fd = -1;
	struct timespec begin, end;

	for (int i = 0; i < 2000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		close(openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	fd = create(dir, "a");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(write_bytes(fd, ROOM + 1, 0), -ENOSPC);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_lt((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000, 3000);
}
END_TEST

START_TEST(tables_and_folders_share_the_room)
{
	_cleanup_close_ int first = table_with_room_for(4);
	_cleanup_close_ int second = table(2);
	_cleanup_close_ int inner = -1;
	_cleanup_close_ int fd = -1;

	ck_assert_int_eq(scratch_add(scratch), 0);
	ck_assert_int_eq(mkdirat(first, ".~tmp~", 0700), 0);
	inner = openat(first, ".~tmp~", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = create(inner, "x");
	ck_assert_int_eq(write_bytes(fd, 700, 0), 700);
	ck_assert_int_eq(put(second, "y", "300 bytes would do, this does not take so many"), 0);
	close(fd);
	fd = create(second, "z");
	ck_assert_int_eq(write_bytes(fd, 300, 0), -ENOSPC);
}
END_TEST

START_TEST(putting_keeps_to_the_room)
{
	_cleanup_close_ int dir = table_with_room_for(3);
	_cleanup_close_ int fd = -1;

	fd = create(dir, "a");
	ck_assert_int_eq(write_bytes(fd, ROOM - 6, 0), ROOM - 6);
	ck_assert_int_eq(scratch_resize(scratch, fd, ROOM - 6 + SCRATCH_NAME_BYTES), 0);
	ck_assert_int_eq(put(dir, "b", "seven77"), -ENOSPC);
	check_used(2, ROOM - 6);
	ck_assert_int_eq(files_of(1), 1);
	ck_assert_int_eq(put(dir, "b", "333"), 0);
	check_used(3, ROOM - 3);
	/* What there is no room for does not cost what is there. */
	ck_assert_int_eq(put(dir, "b", "four"), -ENOSPC);
	check_content(dir, "b", "333");
	ck_assert_int_eq(files_of(1), 2);
	check_used(3, ROOM - 3);
	remove_name(dir, "a", 0);
	ck_assert_int_eq(put(dir, "b", "four"), 0);
	check_used(1, 4);
}
END_TEST

START_TEST(a_failed_write_says_why)
{
	_cleanup_close_ int dir = table(1);

	ck_assert_int_eq(write_bytes(-1, 1, 0), -EBADF);
	ck_assert_int_eq(write_bytes(dir, 1, 0), -EBADF);
	check_used(0, 0);
}
END_TEST

/* A signal ends the process in the middle of its write. */
START_TEST(half_of_what_was_put_is_nobodys_file)
{
	_cleanup_close_ int dir = table(1);
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){5, 5});
		_exit(put(dir, "a", "12345") < 0 || put(dir, "a", "123456"));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	check_content(dir, "a", "12345");
	scratch_close(scratch);
	open_scratch();
	check_content(dir, "a", "12345");
	ck_assert_int_eq(files_of(1), 1);
	ck_assert_int_eq(sample_files(&sample, "spool/7000000000000000001.5"), 1);
	check_used(1, 5);
}
END_TEST

/* --- From one mount to the next -------------------------------------------------------------- */

/* What the log says while the spool is closed and opened again, by mounts that show the tables 1 and 2. */
static const char *log_of_restart(void)
{
	static struct relation relations[] = {{.oid = 1}, {.oid = 2}};
	static struct space space = {.relations = relations, .n_relations = 2};
	static const struct schema schema = {.spaces = &space, .n_spaces = 1};
	static char text[4096];
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", sample.dir);
	unlink(path);
	ck_assert_int_eq(log_open(path), 0);
	scratch_report(scratch, &schema, true);
	scratch_close(scratch);
	open_scratch();
	scratch_report(scratch, &schema, false);
	ck_assert_int_eq(log_open("stderr"), 0);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

START_TEST(files_outlive_the_mount_and_are_told)
{
	_cleanup_close_ int dir = table(1);
	const char *text;

	ck_assert_int_eq(put(dir, "a", "12345"), 0);
	text = log_of_restart();
	ck_assert_ptr_nonnull(strstr(text, "1 temporary file remains"));
	ck_assert_ptr_nonnull(
	        strstr(text, "temporary files of an earlier mount are still in their places: "));
	ck_assert_ptr_nonnull(strstr(text, identity));
	check_used(1, 5);
	check_content(dir, "a", "12345");

	ck_assert_int_eq(put(dir, "b", "x"), 0);
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	text = log_of_restart();
	ck_assert_ptr_nonnull(strstr(text, "2 temporary files remain"));
	ck_assert_ptr_nonnull(strstr(text, " and more ("));
}
END_TEST

/* Their table was dropped: no mount will show them. */
START_TEST(files_that_no_table_shows_are_told_with_their_place)
{
	_cleanup_close_ int lost = table(3), shown = -1;
	const char *text;
	char place[200];

	snprintf(place, sizeof(place), "%s/spool/%s/3\n", sample.dir, identity);
	ck_assert_int_eq(put(lost, "draft", "x"), 0);
	text = log_of_restart();
	ck_assert_ptr_nonnull(strstr(text, "1 temporary file any more, the first is draft;"));
	ck_assert_ptr_nonnull(strstr(text, place));
	ck_assert_ptr_null(strstr(text, "next mount"));
	ck_assert_ptr_null(strstr(text, "in their places"));

	shown = table(1);
	ck_assert_int_eq(put(shown, "a", "x"), 0);
	text = log_of_restart();
	ck_assert_ptr_nonnull(strstr(text, "1 temporary file remains, the first is a; the next mount"));
	ck_assert_ptr_nonnull(strstr(text, place));
	check_content(lost, "draft", "x");
}
END_TEST

START_TEST(empty_folders_go_without_a_word)
{
	_cleanup_close_ int kept = table(2);

	close(table(1));
	ck_assert_int_eq(put(kept, "a", "x"), 0);
	log_of_restart();
	ck_assert_int_eq(scratch_table(scratch, 1, false), -ENOENT);
	check_content(kept, "a", "x");
	ck_assert_int_eq(unlinkat(kept, "a", 0), 0);
	ck_assert_str_eq(log_of_restart(), "");
	ck_assert_int_eq(sample_files(&sample, "spool/7000000000000000001.5"), 0);
}
END_TEST

/* --- All at once ----------------------------------------------------------------------------- */

enum { THREADS = 4, CHUNK = 100, BIG_ROOM = 200000 };

struct filler {
	int fd;
	off_t written;
};

static void *write_until_full(void *arg)
{
	struct filler *filler = arg;
	ssize_t n;

	while ((n = write_bytes(filler->fd, CHUNK, filler->written)) > 0 && filler->written < 2 * BIG_ROOM)
		filler->written += n;
	ck_assert_int_eq(n, -ENOSPC);
	return NULL;
}

START_TEST(threads_fill_the_room_and_no_more)
{
	pthread_t threads[THREADS];
	struct filler fillers[THREADS] = {0};
	off_t total = 0;

	scratch_close(scratch);
	sample.settings.scratch_max = BIG_ROOM + THREADS * SCRATCH_NAME_BYTES;
	open_scratch();
	for (unsigned t = 0; t < THREADS; t++) {
		_cleanup_close_ int dir = table(1 + t % 2);
		char name[16];

		snprintf(name, sizeof(name), "%u", t);
		fillers[t].fd = create(dir, name);
	}
	for (int t = 0; t < THREADS; t++)
		ck_assert_int_eq(pthread_create(&threads[t], NULL, write_until_full, &fillers[t]), 0);
	for (int t = 0; t < THREADS; t++) {
		pthread_join(threads[t], NULL);
		total += fillers[t].written;
		close(fillers[t].fd);
	}
	ck_assert_int_eq(total, BIG_ROOM);
	check_used(THREADS, BIG_ROOM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scratch");
	TCase *test = tcase_create("scratch");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_all, close_all);
	tcase_add_test(test, each_table_has_a_folder_of_its_own);
	tcase_add_test(test, a_folder_is_made_when_it_is_needed);
	tcase_add_test(test, another_database_has_another_spool);
	tcase_add_test(test, a_spool_that_cannot_be_made_is_named);
	tcase_add_test(test, putting_replaces);
	tcase_add_test(test, putting_follows_no_link);
	tcase_add_test(test, what_is_too_long_for_a_row_is_not_read);
	tcase_add_test(test, reading_does_not_depend_on_the_position);
	tcase_add_test(test, the_room_is_used_up_to_its_last_byte);
	tcase_add_test(test, overwriting_takes_no_room);
	tcase_add_test(test, a_hole_counts_as_written);
	tcase_add_test(test, what_is_deleted_or_cut_makes_room_again);
	tcase_add_test(test, an_open_file_without_a_name_takes_its_room);
	tcase_add_test(test, room_comes_back_once);
	tcase_add_test(test, growing_by_truncation_takes_room);
	tcase_add_test(test, every_name_takes_a_block);
	tcase_add_test(test, there_are_fewer_names_than_descriptors);
	tcase_add_test(test, what_is_full_is_named);
	tcase_add_test(test, what_is_full_is_not_measured_again_and_again);
	tcase_add_test(test, tables_and_folders_share_the_room);
	tcase_add_test(test, putting_keeps_to_the_room);
	tcase_add_test(test, a_failed_write_says_why);
	tcase_add_test(test, half_of_what_was_put_is_nobodys_file);
	tcase_add_test(test, files_outlive_the_mount_and_are_told);
	tcase_add_test(test, files_that_no_table_shows_are_told_with_their_place);
	tcase_add_test(test, empty_folders_go_without_a_word);
	tcase_add_test(test, threads_fill_the_room_and_no_more);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
