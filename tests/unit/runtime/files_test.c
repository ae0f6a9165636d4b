/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "runtime/image_user.h"
#include "runtime/pod_net.h"

static int setup(void **state)
{
	char *dir = mem_strdup("/tmp/files-test-XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	int r = tree_remove(*state);

	free(*state);
	return r;
}

static void test_a_tree_is_removed_without_following_links(void **state)
{
	const char *dir = *state;
	struct path tree = path_format("%s/tree", dir);
	struct path kept = path_format("%s/kept", dir);

	assert_int_equal(dir_make(path_format("%s/a/b/c", tree.text).text, 0700), 0);
	assert_int_equal(dir_make(kept.text, 0755), 0);
	assert_int_equal(file_replace(path_format("%s/file", kept.text).text, bytes_str("x"), 0600),
			 0);
	assert_int_equal(symlink(kept.text, path_format("%s/a/link", tree.text).text), 0);
	assert_int_equal(tree_remove(tree.text), 0);
	assert_false(path_exists(tree.text));
	assert_true(path_exists(path_format("%s/file", kept.text).text));
	assert_int_equal(tree_remove(tree.text), 0);
}

/* A container may have made it, and the host process has other use for its descriptors. */
static void test_a_tree_deeper_than_there_are_descriptors_is_removed(void **state)
{
	struct path tree = path_format("%s/deep", (const char *)*state);
	struct rlimit before, few = {0};
	int at, next;

	assert_int_equal(dir_make(tree.text, 0700), 0);
	at = open(tree.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(mkdirat(at, "d", 0700), 0);
		assert_int_equal(mkdirat(at, "beside", 0700), 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(at);
		at = next;
	}
	(void)close(at);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_cur = 128;
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	at = tree_remove(tree.text);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(at, 0);
	assert_false(path_exists(tree.text));
}

static void test_a_replaced_file_has_the_mode_asked_for_whatever_the_umask(void **state)
{
	struct path path = path_format("%s/file", (const char *)*state);
	struct stat info;
	mode_t mask = umask(0177);

	assert_int_equal(file_replace(path.text, bytes_str("one"), 0644), 0);
	(void)umask(mask);
	assert_int_equal(stat(path.text, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0644);
	assert_false(path_exists(path_format("%s.new", path.text).text));
}

static void write_inside(const char *root, const char *name, const char *content)
{
	assert_int_equal(
		file_replace(path_format("%s/%s", root, name).text, bytes_str(content), 0644), 0);
}

static void test_users_are_found_in_the_image_only(void **state)
{
	const char *root = *state;
	struct image_user user;
	struct err err;

	assert_int_equal(dir_make(path_format("%s/etc", root).text, 0755), 0);
	write_inside(root, "etc/passwd", "root:x:0:0::/:\nweb:x:1000:1001::/:\nbroken\n");
	write_inside(root, "etc/group", "root:x:0:\nlogs:x:44:mail,web\nwebber:x:45:webber\n");
	assert_int_equal(image_user_resolve(root, "", &user, &err), 0);
	assert_int_equal(user.uid, 0);
	assert_int_equal(image_user_resolve(root, "web", &user, &err), 0);
	assert_int_equal(user.uid, 1000);
	assert_int_equal(user.gid, 1001);
	assert_int_equal(user.group_count, 1);
	assert_int_equal(user.groups[0], 44);
	assert_int_equal(image_user_resolve(root, "web:logs", &user, &err), 0);
	assert_int_equal(user.gid, 44);
	assert_int_equal(image_user_resolve(root, "4711:4712", &user, &err), 0);
	assert_int_equal(user.uid, 4711);
	assert_int_equal(user.gid, 4712);
	assert_int_equal(image_user_resolve(root, "nobody", &user, &err), -ENOENT);
	assert_int_equal(image_user_resolve(root, "web:nogroup", &user, &err), -ENOENT);
}

static void test_a_passwd_that_links_out_of_the_image_is_not_read(void **state)
{
	struct path root = path_format("%s/root", (const char *)*state);
	struct image_user user;
	struct err err;

	assert_int_equal(dir_make(path_format("%s/etc", root.text).text, 0755), 0);
	write_inside(*state, "passwd", "stolen:x:1:1::/:\n");
	assert_int_equal(symlink("../../passwd", path_format("%s/etc/passwd", root.text).text), 0);
	assert_int_equal(image_user_resolve(root.text, "stolen", &user, &err), -ENOENT);
}

static void test_addresses_of_a_pod_follow_from_its_uid(void **state)
{
	struct uid one = {.byte = {1}}, two = {.byte = {2}};
	struct pod_net first = pod_net_plan(&one, 0), again = pod_net_plan(&one, 0);
	struct pod_net other = pod_net_plan(&two, 0), collided = pod_net_plan(&one, 1);

	(void)state;
	assert_memory_equal(first.ip6, again.ip6, strlen(first.ip6) + 1);
	assert_string_not_equal(first.ip6, other.ip6);
	assert_string_not_equal(first.link, other.link);
	assert_string_not_equal(first.ip4, collided.ip4);
	assert_string_equal(first.ip6, collided.ip6);
	assert_int_equal(strncmp(first.ip6, "fd6d:6167:696b:", 15), 0);
	assert_int_equal(strncmp(first.ip4, "169.254.", 8), 0);
	assert_true(strlen(first.link) < POD_LINK_NAME_MAX);
	for (unsigned attempt = 0; attempt < 1000; attempt++) {
		struct pod_net net = pod_net_plan(&one, attempt);

		assert_string_not_equal(net.ip4, "169.254.169.254");
		assert_int_not_equal(strncmp(net.ip4, "169.254.0.", 10), 0);
		assert_int_not_equal(strncmp(net.ip4, "169.254.255.", 12), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_tree_is_removed_without_following_links,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_tree_deeper_than_there_are_descriptors_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_replaced_file_has_the_mode_asked_for_whatever_the_umask, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_users_are_found_in_the_image_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_a_passwd_that_links_out_of_the_image_is_not_read, setup, teardown),
		cmocka_unit_test(test_addresses_of_a_pod_follow_from_its_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
