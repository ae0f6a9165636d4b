/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/layer_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "base/mem.h"
#include "runtime/files.h"

/* A directory tree: the layer's root inside an outer directory that nothing may touch. */
struct place {
	char outer[64];
	struct path root;
	int root_fd;
	struct archive *archive;
	int archive_fd;
	struct err err;
};

static int setup(void **state)
{
	struct place *place = mem_new(struct place);

	(void)snprintf(place->outer, sizeof(place->outer), "/tmp/layer-test-XXXXXX");
	if (!mkdtemp(place->outer))
		return -1;
	place->root = path_format("%s/root", place->outer);
	if (mkdir(place->root.text, 0755) < 0)
		return -1;
	place->root_fd = open(place->root.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	place->archive_fd = memfd_create("layer", MFD_CLOEXEC);
	place->archive = archive_write_new();
	(void)archive_write_add_filter_gzip(place->archive);
	(void)archive_write_set_format_pax(place->archive);
	(void)archive_write_open_fd(place->archive, place->archive_fd);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	int r = tree_remove(place->outer);

	(void)close(place->root_fd);
	(void)close(place->archive_fd);
	free(place);
	return r;
}

static void add(struct place *place, unsigned type, const char *name, const char *target)
{
	struct archive_entry *entry = archive_entry_new();
	const char *content = type == AE_IFREG && target ? target : "";

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_size(entry, (la_int64_t)strlen(content));
	if (type == AE_IFLNK)
		archive_entry_set_symlink(entry, target);
	assert_int_equal(archive_write_header(place->archive, entry), ARCHIVE_OK);
	if (content[0])
		assert_true(archive_write_data(place->archive, content, strlen(content)) > 0);
	archive_entry_free(entry);
}

static void add_hardlink(struct place *place, const char *name, const char *target)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_hardlink(entry, target);
	assert_int_equal(archive_write_header(place->archive, entry), ARCHIVE_OK);
	archive_entry_free(entry);
}

static int extract(struct place *place, struct layer_limits limits)
{
	(void)archive_write_close(place->archive);
	(void)archive_write_free(place->archive);
	assert_int_equal(lseek(place->archive_fd, 0, SEEK_SET), 0);
	return layer_extract(place->archive_fd, place->root_fd, limits, &place->err);
}

static int extract_default(struct place *place)
{
	int r = extract(place, LAYER_LIMITS_DEFAULT);

	if (r < 0)
		print_message("refused: %s\n", place->err.text);
	return r;
}

static bool exists(const struct place *place, const char *name)
{
	struct stat info;

	return lstat(path_format("%s/%s", place->outer, name).text, &info) == 0;
}

static void expect_content(const struct place *place, const char *name, const char *content)
{
	struct buf text = {0};

	assert_int_equal(file_read(path_format("%s/%s", place->outer, name).text, 4096, &text), 0);
	assert_string_equal(buf_cstr(&text), content);
	buf_deinit(&text);
}

static void test_ordinary_files_arrive(void **state)
{
	struct place *place = *state;

	add(place, AE_IFDIR, "etc/", NULL);
	add(place, AE_IFREG, "etc/passwd", "root");
	add(place, AE_IFREG, "./usr/share/doc/x", "deep");
	add(place, AE_IFLNK, "bin", "usr/bin");
	add_hardlink(place, "etc/shadow", "etc/passwd");
	assert_int_equal(extract_default(place), 0);
	expect_content(place, "root/etc/passwd", "root");
	expect_content(place, "root/etc/shadow", "root");
	expect_content(place, "root/usr/share/doc/x", "deep");
	assert_true(exists(place, "root/bin"));
}

static void test_a_path_that_leads_upwards_is_refused(void **state)
{
	struct place *place = *state;

	add(place, AE_IFREG, "a/../../escaped", "x");
	assert_int_equal(extract_default(place), -EINVAL);
	assert_false(exists(place, "escaped"));
}

static void test_an_absolute_path_stays_inside(void **state)
{
	struct place *place = *state;

	add(place, AE_IFREG, "/etc/inside", "x");
	assert_int_equal(extract_default(place), 0);
	expect_content(place, "root/etc/inside", "x");
}

static void test_a_link_upwards_does_not_lead_out(void **state)
{
	struct place *place = *state;

	add(place, AE_IFLNK, "out", "../..");
	add(place, AE_IFREG, "out/escaped", "x");
	assert_int_equal(extract_default(place), 0);
	assert_false(exists(place, "../escaped"));
	assert_false(exists(place, "escaped"));
	expect_content(place, "root/escaped", "x");
}

static void test_an_absolute_link_does_not_lead_out(void **state)
{
	struct place *place = *state;

	add(place, AE_IFLNK, "out", place->outer);
	add(place, AE_IFREG, "out/escaped", "x");
	(void)extract_default(place);
	assert_false(exists(place, "escaped"));
}

static void test_a_file_replaces_a_link_instead_of_writing_through_it(void **state)
{
	struct place *place = *state;
	struct path victim = path_format("%s/victim", place->outer);

	assert_int_equal(file_replace(victim.text, bytes_str("untouched"), 0644), 0);
	add(place, AE_IFLNK, "target", victim.text);
	add(place, AE_IFREG, "target", "overwritten");
	assert_int_equal(extract_default(place), 0);
	expect_content(place, "victim", "untouched");
	expect_content(place, "root/target", "overwritten");
}

static void test_a_directory_does_not_change_what_a_link_points_to(void **state)
{
	struct place *place = *state;
	struct path victim = path_format("%s/victim", place->outer);
	struct stat info;

	assert_int_equal(mkdir(victim.text, 0700), 0);
	add(place, AE_IFLNK, "target", victim.text);
	add(place, AE_IFDIR, "target", NULL);
	assert_int_equal(extract_default(place), 0);
	assert_int_equal(stat(victim.text, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
}

static void test_a_hard_link_to_the_outside_is_refused(void **state)
{
	struct place *place = *state;
	struct path victim = path_format("%s/victim", place->outer);

	assert_int_equal(file_replace(victim.text, bytes_str("secret"), 0600), 0);
	add_hardlink(place, "stolen", "../victim");
	assert_int_equal(extract_default(place), -EINVAL);
	assert_false(exists(place, "root/stolen"));
}

static void test_a_hard_link_through_a_link_is_refused(void **state)
{
	struct place *place = *state;
	struct path victim = path_format("%s/victim", place->outer);

	assert_int_equal(file_replace(victim.text, bytes_str("secret"), 0600), 0);
	add(place, AE_IFLNK, "out", place->outer);
	add_hardlink(place, "stolen", "out/victim");
	assert_int_equal(extract_default(place), -EINVAL);
	assert_false(exists(place, "root/stolen"));
}

static void test_devices_are_left_out(void **state)
{
	struct place *place = *state;
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, "mem");
	archive_entry_set_filetype(entry, AE_IFCHR);
	archive_entry_set_rdev(entry, makedev(1, 1));
	assert_int_equal(archive_write_header(place->archive, entry), ARCHIVE_OK);
	archive_entry_free(entry);
	assert_int_equal(extract_default(place), 0);
	assert_false(exists(place, "root/mem"));
}

static void test_whiteouts_become_those_of_overlayfs(void **state)
{
	struct place *place = *state;
	struct stat info;
	char value[2] = {0};

	if (geteuid() != 0)
		skip();
	add(place, AE_IFREG, "etc/.wh.gone", NULL);
	add(place, AE_IFREG, "var/.wh..wh..opq", NULL);
	assert_int_equal(extract_default(place), 0);
	assert_int_equal(stat(path_format("%s/etc/gone", place->root.text).text, &info), 0);
	assert_true(S_ISCHR(info.st_mode));
	assert_int_equal(info.st_rdev, 0);
	assert_false(exists(place, "root/etc/.wh.gone"));
	assert_int_equal(getxattr(path_format("%s/var", place->root.text).text,
				  "trusted.overlay.opaque", value, 1),
			 1);
	assert_string_equal(value, "y");
}

static void test_a_whiteout_of_the_parent_is_refused(void **state)
{
	struct place *place = *state;

	add(place, AE_IFREG, "etc/.wh...", NULL);
	assert_int_equal(extract_default(place), -EINVAL);
}

static void test_attributes_that_overlayfs_obeys_are_left_out(void **state)
{
	struct place *place = *state;
	struct archive_entry *entry = archive_entry_new();
	char value[64];

	archive_entry_set_pathname(entry, "dir");
	archive_entry_set_filetype(entry, AE_IFDIR);
	archive_entry_set_perm(entry, 0755);
	archive_entry_xattr_add_entry(entry, "trusted.overlay.redirect", "/etc", 4);
	assert_int_equal(archive_write_header(place->archive, entry), ARCHIVE_OK);
	archive_entry_free(entry);
	assert_int_equal(extract_default(place), 0);
	assert_int_equal(getxattr(path_format("%s/dir", place->root.text).text,
				  "trusted.overlay.redirect", value, sizeof(value)),
			 -1);
}

static void test_a_bomb_of_bytes_is_refused(void **state)
{
	struct place *place = *state;

	add(place, AE_IFREG, "small", "0123456789");
	add(place, AE_IFREG, "more", "0123456789");
	assert_int_equal(extract(place, (struct layer_limits){.bytes_max = 15, .entries_max = 10}),
			 -EFBIG);
}

static void test_a_bomb_of_entries_is_refused(void **state)
{
	struct place *place = *state;
	char name[16];

	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		add(place, AE_IFDIR, name, NULL);
	}
	assert_int_equal(
		extract(place, (struct layer_limits){.bytes_max = 1000, .entries_max = 10}),
		-EFBIG);
}

static void test_too_deep_a_path_is_refused(void **state)
{
	struct place *place = *state;
	char name[2 * LAYER_DEPTH_MAX + 8] = {0};

	for (int i = 0; i <= LAYER_DEPTH_MAX; i++)
		memcpy(name + (size_t)(2 * i), "d/", 2);
	memcpy(name + strlen(name), "x", 1);
	add(place, AE_IFREG, name, "x");
	assert_int_equal(extract_default(place), -EINVAL);
}

static void test_a_root_that_is_no_directory_is_refused(void **state)
{
	struct place *place = *state;

	add(place, AE_IFLNK, "./", "/etc");
	assert_int_equal(extract_default(place), -EINVAL);
}

static void test_what_is_no_archive_is_refused(void **state)
{
	struct place *place = *state;

	(void)archive_write_free(place->archive);
	assert_int_equal(ftruncate(place->archive_fd, 0), 0);
	assert_int_equal(pwrite(place->archive_fd, "not a tar at all", 16, 0), 16);
	assert_int_equal(lseek(place->archive_fd, 0, SEEK_SET), 0);
	assert_int_equal(
		layer_extract(place->archive_fd, place->root_fd, LAYER_LIMITS_DEFAULT, &place->err),
		-EINVAL);
}

#define PLACE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_ordinary_files_arrive),
		PLACE_TEST(test_a_path_that_leads_upwards_is_refused),
		PLACE_TEST(test_an_absolute_path_stays_inside),
		PLACE_TEST(test_a_link_upwards_does_not_lead_out),
		PLACE_TEST(test_an_absolute_link_does_not_lead_out),
		PLACE_TEST(test_a_file_replaces_a_link_instead_of_writing_through_it),
		PLACE_TEST(test_a_directory_does_not_change_what_a_link_points_to),
		PLACE_TEST(test_a_hard_link_to_the_outside_is_refused),
		PLACE_TEST(test_a_hard_link_through_a_link_is_refused),
		PLACE_TEST(test_devices_are_left_out),
		PLACE_TEST(test_whiteouts_become_those_of_overlayfs),
		PLACE_TEST(test_a_whiteout_of_the_parent_is_refused),
		PLACE_TEST(test_attributes_that_overlayfs_obeys_are_left_out),
		PLACE_TEST(test_a_bomb_of_bytes_is_refused),
		PLACE_TEST(test_a_bomb_of_entries_is_refused),
		PLACE_TEST(test_too_deep_a_path_is_refused),
		PLACE_TEST(test_a_root_that_is_no_directory_is_refused),
		PLACE_TEST(test_what_is_no_archive_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
