/* Any bytes as a placement rule: what is taken for one prints as a text that is the same rule. */
#include "rowfs/model/placement.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	_cleanup_placement_ struct placement rule = {0}, again = {0};
	_cleanup_buf_ struct buf text = {0}, printed = {0};
	struct error e = {0};

	buf_adds(&text, "");
	buf_add(&text, data, size);
	if (placement_parse(text.data, &rule, &e) < 0) {
		if (!e.message[0] || rule.hot || rule.columns)
			abort();
		return 0;
	}
	placement_print(&rule, &printed);
	if (placement_parse(printed.data, &again, &e) < 0 || !placement_equal(&rule, &again))
		abort();
	if (rule.buckets && (rule.share < 1 || rule.share > rule.buckets))
		abort();
	if (rule.off && placement_pins(&rule))
		abort();
	return 0;
}
