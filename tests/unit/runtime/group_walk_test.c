/* SPDX-License-Identifier: Apache-2.0 */
/* Needs no root: a file may be given to any group that one is a member of; to one's own it stays.
 * So the modes show what was visited, and with root the group as well. */
#include "runtime/group_walk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "runtime/files.h"

enum {
	MODE_BITS = 07777,
	ROOTS_GROUP = 4711, /* given to by root */
};

struct world {
	char dir[32]; /* holds "volume" and "outside" */
	gid_t group;
};

static struct path at(const struct world *world, const char *name)
{
	return path_format("%s/%s", world->dir, name);
}

static void make_file(const struct world *world, const char *name, mode_t mode)
{
	assert_int_equal(file_replace(at(world, name).text, bytes_str("x"), mode), 0);
	assert_int_equal(chmod(at(world, name).text, mode), 0);
}

static void make_directory(const struct world *world, const char *name, mode_t mode)
{
	assert_int_equal(mkdir(at(world, name).text, 0700), 0);
	assert_int_equal(chmod(at(world, name).text, mode), 0);
}

static int setup(void **state)
{
	struct world *world = mem_new(struct world);

	*state = world;
	memcpy(world->dir, "/tmp/group-walk-XXXXXX", sizeof("/tmp/group-walk-XXXXXX"));
	world->group = geteuid() == 0 ? ROOTS_GROUP : getegid();
	assert_non_null(mkdtemp(world->dir));
	make_directory(world, "volume", 0755);
	make_directory(world, "volume/a", 0700);
	make_directory(world, "volume/a/b", 0700);
	make_file(world, "volume/a/b/private", 0600);
	make_file(world, "volume/run", 0755);
	make_file(world, "outside", 0600);
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	int r = tree_remove(world->dir);

	free(world);
	return r;
}

static void expect(const struct world *world, const char *name, mode_t mode)
{
	struct stat is;

	assert_int_equal(lstat(at(world, name).text, &is), 0);
	assert_int_equal(is.st_mode & MODE_BITS, mode);
	assert_int_equal(is.st_gid, world->group);
}

static void expect_untouched(const struct world *world, const char *name, mode_t mode)
{
	struct stat is;

	assert_int_equal(lstat(at(world, name).text, &is), 0);
	assert_int_equal(is.st_mode & MODE_BITS, mode);
	assert_int_equal(is.st_gid, getegid());
}

/* In steps of one entry; how many there were. */
static size_t walk_all(const struct world *world, bool on_mismatch)
{
	struct group_walk *walk =
		group_walk_new(at(world, "volume").text, world->group, on_mismatch);
	size_t steps = 1;
	struct err err;
	int r;

	while ((r = group_walk_step(walk, 1, &err)) == GROUP_E_MORE)
		steps++;
	assert_int_equal(r, 0);
	group_walk_free(walk);
	return steps;
}

static void test_all_of_it_belongs_to_the_group(void **state)
{
	const struct world *world = *state;

	(void)walk_all(world, false);
	expect(world, "volume", 02775);
	expect(world, "volume/a", 02770);
	expect(world, "volume/a/b", 02770);
	expect(world, "volume/a/b/private", 0660);
	expect(world, "volume/run", 0775);
}

/* Not what it points to, and no pipe is opened, which would wait for ever. */
static void test_no_link_is_followed(void **state)
{
	const struct world *world = *state;

	assert_int_equal(symlink(at(world, "outside").text, at(world, "volume/link").text), 0);
	assert_int_equal(symlink("..", at(world, "volume/up").text), 0);
	assert_int_equal(mkfifo(at(world, "volume/pipe").text, 0600), 0);
	(void)walk_all(world, false);
	expect_untouched(world, "outside", 0600);
	expect(world, "volume/link", 0777);
	expect(world, "volume/pipe", 0600);
	expect(world, "volume", 02775);
}

static void test_the_volume_itself_is_no_link(void **state)
{
	const struct world *world = *state;
	struct group_walk *walk;
	struct err err;

	assert_int_equal(symlink("volume", at(world, "alias").text), 0);
	walk = group_walk_new(at(world, "alias").text, world->group, false);
	assert_true(group_walk_step(walk, 1, &err) < 0);
	group_walk_free(walk);
	expect_untouched(world, "volume", 0755);
}

/* The root comes last: one that was cut off before is begun again. */
static void test_only_a_root_that_differs(void **state)
{
	const struct world *world = *state;
	struct group_walk *walk = group_walk_new(at(world, "volume").text, world->group, true);
	struct err err;

	assert_int_equal(group_walk_step(walk, 2, &err), GROUP_E_MORE);
	group_walk_free(walk);
	assert_true(walk_all(world, true) > 5);
	expect(world, "volume/a/b/private", 0660);
	assert_int_equal(chmod(at(world, "volume/run").text, 0600), 0);
	assert_int_equal(walk_all(world, true), 1);
	expect(world, "volume/run", 0600);
	(void)walk_all(world, false);
	expect(world, "volume/run", 0660);
}

static void test_a_tree_without_an_end_is_refused(void **state)
{
	const struct world *world = *state;
	int fd = open(at(world, "volume").text, O_RDONLY | O_DIRECTORY);
	struct group_walk *walk;
	struct err err;
	int r, next;

	for (size_t i = 0; i < GROUP_DEPTH_MAX; i++) {
		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);
	walk = group_walk_new(at(world, "volume").text, world->group, false);
	while ((r = group_walk_step(walk, 7, &err)) == GROUP_E_MORE)
		;
	assert_int_equal(r, -ELOOP);
	assert_non_null(strstr(err.text, "directories"));
	group_walk_free(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_it_belongs_to_the_group, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_link_is_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_volume_itself_is_no_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_a_root_that_differs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_tree_without_an_end_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
