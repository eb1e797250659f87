/* Run a fuzz target over the files of a directory: each is a text that once was, or might be,
 * trouble. */
#include <dirent.h>
#include <stdio.h>

#include "rowfs/base/buf.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int replay(const char *directory, const char *name)
{
	_cleanup_buf_ struct buf path = {0}, text = {0};
	char chunk[4096];
	size_t n;

	buf_addf(&path, "%s/%s", directory, name);

	FILE *file = fopen(path.data, "r");

	if (!file) {
		perror(path.data);
		return 1;
	}
	buf_adds(&text, "");
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(&text, chunk, n);
	fclose(file);
	LLVMFuzzerTestOneInput((const unsigned char *)text.data, text.len);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	int failed = 0, n = 0;

	if (!directory) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.') {
			failed |= replay(argv[1], entry->d_name);
			n++;
		}
	closedir(directory);
	printf("%d files\n", n);
	return failed || n == 0;
}
