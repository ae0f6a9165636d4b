/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sub_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "runtime/files.h"

/* DIR/volume, which is the volume, and DIR/secret, which is not in it. */
struct world {
	char dir[32];
	struct path root, secret;
	int volume;
};

static int setup(void **state)
{
	struct world *world = mem_new(struct world);

	*world = (struct world){.dir = "/tmp/sub-path-test-XXXXXX"};
	*state = world;
	if (!mkdtemp(world->dir))
		return -1;
	world->root = path_format("%s/volume", world->dir);
	world->secret = path_format("%s/secret", world->dir);
	assert_int_equal(mkdir(world->root.text, 0700), 0);
	assert_int_equal(chmod(world->root.text, 02777), 0);
	assert_int_equal(mkdir(world->secret.text, 0700), 0);
	world->volume = open(world->root.text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return world->volume < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	int r;

	(void)close(world->volume);
	r = tree_remove(world->dir);
	free(world);
	return r;
}

static struct path in_volume(const struct world *world, const char *name)
{
	return path_format("%s/%s", world->root.text, name);
}

static void expect_at(const struct world *world, const char *path, const char *where)
{
	struct stat found, wanted;
	struct err err = {0};
	int fd = sub_path_open(world->volume, path, &err);

	if (fd < 0)
		fail_msg("%s: %s", path, err.text);
	assert_int_equal(fstat(fd, &found), 0);
	assert_int_equal(stat(where, &wanted), 0);
	assert_true(found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino);
	(void)close(fd);
}

static void expect_refused(const struct world *world, const char *path, int code, const char *word)
{
	struct err err = {0};

	assert_int_equal(sub_path_open(world->volume, path, &err), code);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" does not say %s", err.text, word);
}

static void test_what_is_missing_is_made_as_the_volume_is(void **state)
{
	const struct world *world = *state;
	struct stat made;

	expect_at(world, "a//b/c/", path_format("%s/volume/a/b/c", world->dir).text);
	assert_int_equal(stat(in_volume(world, "a/b").text, &made), 0);
	assert_int_equal(made.st_mode & 07777, 02777);
	expect_at(world, "a/b", in_volume(world, "a/b").text);
	expect_at(world, ".", world->root.text);
}

static void test_files_and_links_that_stay_inside_are_followed(void **state)
{
	const struct world *world = *state;

	assert_int_equal(mkdir(in_volume(world, "real").text, 0755), 0);
	assert_int_equal(symlink("real", in_volume(world, "link").text), 0);
	assert_int_equal(symlink("../real", in_volume(world, "real/back").text), 0);
	assert_int_equal(file_replace(in_volume(world, "real/file").text, bytes_str("x"), 0644), 0);
	expect_at(world, "link", in_volume(world, "real").text);
	expect_at(world, "link/back/file", in_volume(world, "real/file").text);
	expect_at(world, "link/new", in_volume(world, "real/new").text);
}

static void test_nothing_leads_out(void **state)
{
	const struct world *world = *state;

	assert_int_equal(symlink("../secret", in_volume(world, "up").text), 0);
	assert_int_equal(symlink(world->secret.text, in_volume(world, "absolute").text), 0);
	assert_int_equal(symlink("/", in_volume(world, "root").text), 0);
	assert_int_equal(symlink("/proc/self/root", in_volume(world, "magic").text), 0);
	expect_refused(world, "up", -EXDEV, "out of its volume");
	expect_refused(world, "up/made", -EXDEV, "out of its volume");
	expect_refused(world, "absolute", -EXDEV, "out of its volume");
	expect_refused(world, "root/etc", -EXDEV, "out of its volume");
	expect_refused(world, "magic", -EXDEV, "out of its volume");
	expect_refused(world, "../secret", -EXDEV, "out of its volume");
	assert_false(path_exists(path_format("%s/made", world->secret.text).text));
}

static void test_what_cannot_be_mounted_is_refused(void **state)
{
	const struct world *world = *state;

	assert_int_equal(symlink("nowhere", in_volume(world, "dangling").text), 0);
	assert_int_equal(symlink("loop", in_volume(world, "loop").text), 0);
	assert_int_equal(mkfifo(in_volume(world, "fifo").text, 0600), 0);
	assert_int_equal(file_replace(in_volume(world, "file").text, bytes_str("x"), 0644), 0);
	expect_refused(world, "dangling", -ENOENT, "subPath dangling");
	expect_refused(world, "loop", -ELOOP, "subPath loop");
	expect_refused(world, "fifo", -EINVAL, "neither a directory nor a file");
	expect_refused(world, "file/below", -ENOTDIR, "subPath file/below");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_missing_is_made_as_the_volume_is,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_and_links_that_stay_inside_are_followed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_leads_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_mounted_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
