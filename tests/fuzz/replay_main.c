/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a corpus without libFuzzer, so that a fuzz target is an ordinary test.
 *
 * usage: TARGET_fuzz CORPUS-DIRECTORY
 *
 * Every file of the directory is given to the target as it is, then cut at each length, then with
 * each byte changed. So even an ordinary build walks a decoder's error paths, always the same ones
 * unless the target is so slow that a file's time runs out.
 * A directory that is missing or empty fails: then nothing would have been tested.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/mem.h"

enum {
	REPLAY_READ_LEN = 4096,
	/* Per file and kind of change: keeps a large input below a second. */
	REPLAY_CHANGES_MAX = 2048,
	REPLAY_SECONDS_MAX = 2, /* per file: a target that works on disk is slow */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The target sees an exact allocation, so that AddressSanitizer notices a read behind its end. */
static void replay_exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = mem_alloc(len, 1);

	if (len > 0)
		memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void replay_changed(struct buf *input)
{
	const size_t step = 1 + input->len / REPLAY_CHANGES_MAX;
	const time_t end = time(NULL) + REPLAY_SECONDS_MAX;

	for (size_t len = 0; len < input->len && time(NULL) <= end; len += step)
		replay_exact(input->ptr, len);
	for (size_t i = 0; i < input->len && time(NULL) <= end; i += step) {
		const uint8_t before = input->ptr[i];

		input->ptr[i] = (uint8_t)(before ^ (1U << (i % 8)));
		replay_exact(input->ptr, input->len);
		input->ptr[i] = 0xff;
		replay_exact(input->ptr, input->len);
		input->ptr[i] = before;
	}
}

static bool read_file(const char *directory, const char *name, struct buf *ret_input)
{
	struct buf path = {0};
	uint8_t chunk[REPLAY_READ_LEN];
	size_t len;
	bool ok;

	buf_append_format(&path, "%s/%s", directory, name);
	FILE *file = fopen(buf_cstr(&path), "rb");
	buf_deinit(&path);
	if (!file)
		return false;
	while ((len = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_append(ret_input, chunk, len);
	ok = !ferror(file);
	(void)fclose(file);
	return ok;
}

static int replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!directory) {
		perror(path);
		return -1;
	}
	while ((entry = readdir(directory))) {
		struct buf input = {0};

		if (entry->d_name[0] == '.')
			continue;
		if (!read_file(path, entry->d_name, &input)) {
			perror(entry->d_name);
			(void)closedir(directory);
			return -1;
		}
		(void)fprintf(stderr, "%s: %zu bytes\n", entry->d_name, input.len);
		replay_exact(input.ptr, input.len);
		replay_changed(&input);
		buf_deinit(&input);
		count++;
	}
	(void)closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	int count;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	replay_exact(NULL, 0);
	count = replay_directory(argv[1]);
	if (count == 0)
		(void)fprintf(stderr, "%s: no input\n", argv[1]);
	return count > 0 ? 0 : 1;
}
