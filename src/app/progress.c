#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "say.h"

/* How often a bar moves. Lines come seldom, and more seldom the longer it takes, since they stay. */
enum { BAR_MS = 100, FIRST_LINE_MS = 2000, LINES_MS = 60000 };

enum { BAR_MAX = 40, COLUMNS = 80 };

void progress_begin(struct progress *progress, const char *what, size_t total)
{
	*progress = (struct progress){
		.what = what,
		.total = total,
		.terminal = isatty(STDERR_FILENO),
		.began_ms = clock_monotonic_ms(),
	};
	progress->pause_ms = progress->terminal ? BAR_MS : FIRST_LINE_MS;
	progress->due_ms = progress->began_ms + (progress->terminal ? 0 : FIRST_LINE_MS);
}

static void print_time(double seconds, struct buf *out)
{
	if (seconds >= 3600)
		buf_addf(out, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
	else if (seconds >= 60)
		buf_addf(out, "%d min %02d s", (int)(seconds / 60), (int)seconds % 60);
	else
		buf_addf(out, "%.0f s", seconds);
}

/* "1200 of 4000 rows, 310 a second, 9 s left" */
static void print_figures(const struct progress *progress, int64_t now_ms, struct buf *out)
{
	double seconds = (double)(now_ms - progress->began_ms) / 1000;
	double rate = seconds > 0 ? (double)progress->done / seconds : 0;

	buf_addf(out, "%zu of %zu %s", progress->done, progress->total, progress->what);
	if (rate <= 0)
		return;
	buf_addf(out, ", %.0f a second, ", rate);
	if (progress->done < progress->total) {
		print_time((double)(progress->total - progress->done) / rate, out);
		buf_adds(out, " left");
	} else {
		print_time(seconds, out);
	}
}

static unsigned columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS;
}

/* The figures, and as much of a bar as there is room for. */
static void draw(const struct progress *progress, int64_t now_ms)
{
	_cleanup_buf_ struct buf figures = {0}, line = {0};
	size_t room, full;

	print_figures(progress, now_ms, &figures);
	room = columns() > figures.len + 5 ? columns() - figures.len - 5 : 0;
	room = room < BAR_MAX ? room : BAR_MAX;
	full = progress->total ? room * progress->done / progress->total : room;
	buf_adds(&line, "\r\033[K");
	if (room > 4) {
		buf_addc(&line, '[');
		for (size_t i = 0; i < room; i++)
			buf_addc(&line, i < full ? '#' : '-');
		buf_adds(&line, "] ");
	}
	buf_add(&line, figures.data, figures.len);
	if (!line.failed && !figures.failed)
		fputs(line.data, stderr);
}

void progress_step(struct progress *progress, size_t done)
{
	_cleanup_buf_ struct buf figures = {0};
	int64_t now_ms = clock_monotonic_ms();

	progress->done = done;
	if (now_ms < progress->due_ms)
		return;
	progress->due_ms = now_ms + progress->pause_ms;
	if (progress->terminal) {
		draw(progress, now_ms);
		return;
	}
	progress->pause_ms = progress->pause_ms * 2 < LINES_MS ? progress->pause_ms * 2 : LINES_MS;
	print_figures(progress, now_ms, &figures);
	if (!figures.failed)
		say("%s", figures.data);
}

void progress_end(struct progress *progress)
{
	if (!progress->terminal || !progress->total)
		return;
	draw(progress, clock_monotonic_ms());
	fputc('\n', stderr);
}
