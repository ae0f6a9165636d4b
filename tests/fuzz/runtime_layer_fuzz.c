/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's archive, unpacked into a directory of its own; beside that directory lies a file that
 * must never change, and nothing else may appear there.
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/files.h"
#include "runtime/layer_extract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char outer[] = "/tmp/layer-fuzz-XXXXXX";
	struct layer_limits limits = {.bytes_max = 1 << 20, .entries_max = 100};
	struct path root, victim;
	struct stat info;
	struct err err;
	int root_fd, archive_fd = memfd_create("layer", MFD_CLOEXEC), r;

	assert(archive_fd >= 0 && mkdtemp(outer));
	root = path_format("%s/root", outer);
	victim = path_format("%s/victim", outer);
	r = dir_make(root.text, 0755);
	assert(r == 0);
	r = file_replace(victim.text, bytes_str("untouched"), 0640);
	assert(r == 0);
	root_fd = open(root.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(root_fd >= 0);
	assert(len == 0 || pwrite(archive_fd, data, len, 0) == (ssize_t)len);
	(void)!layer_extract(archive_fd, root_fd, limits, &err);
	assert(stat(victim.text, &info) == 0);
	assert(info.st_size == 9 && (info.st_mode & 07777) == 0640 && info.st_nlink == 1);
	assert(count_entries(outer) == 4);
	(void)close(root_fd);
	(void)close(archive_fd);
	r = tree_remove(outer);
	assert(r == 0);
	return 0;
}
