#include "timed.h"

static _Thread_local struct timed served;

void timed_begin(enum timing timing)
{
	served = (struct timed){timing, timing_now_ns()};
}

struct timed timed_take(void)
{
	struct timed taken = served;

	served.began_ns = 0;
	return taken;
}

void timed_done(const struct timed *timed)
{
	if (timed->began_ns)
		timing_add(timed->timing, timed->began_ns);
}

void timed_end(void)
{
	struct timed taken = timed_take();

	timed_done(&taken);
}
