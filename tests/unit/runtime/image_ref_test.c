/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_ref.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void expect(const char *text, const char *full)
{
	struct image_ref ref;
	struct err err = {0};

	if (image_ref_parse(text, &ref, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(ref.text, full);
}

static void test_short_names_become_full_ones(void **state)
{
	(void)state;
	expect("nginx", "docker.io/library/nginx:latest");
	expect("nginx:1.27", "docker.io/library/nginx:1.27");
	expect("me/app", "docker.io/me/app:latest");
	expect("docker.io/library/nginx", "docker.io/library/nginx:latest");
	expect("localhost/app", "localhost/app:latest");
	expect("localhost:5000/app:2", "localhost:5000/app:2");
	expect("127.0.0.1:5000/t/app:1", "127.0.0.1:5000/t/app:1");
	expect("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest");
	expect("nginx@" DIGEST, "docker.io/library/nginx@" DIGEST);
	expect("nginx:1@" DIGEST, "docker.io/library/nginx@" DIGEST);
}

static void test_a_full_name_stays_as_it_is(void **state)
{
	static const char *const names[] = {"nginx", "a/b:2", "reg.example:1/x", ("x@" DIGEST)};
	struct image_ref once, twice;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(image_ref_parse(names[i], &once, &err), 0);
		assert_int_equal(image_ref_parse(once.text, &twice, &err), 0);
		assert_string_equal(once.text, twice.text);
		assert_string_equal(once.domain, twice.domain);
	}
}

static void test_what_is_no_reference_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",        "Nginx",  "nginx:",       "nginx:-x", "nginx@sha256:12",
		"a//b",    "/a",     "a/",           "../a",     "a b",
		"nginx\n", "a/../b", "reg.example/", "--all",    "docker.io/x;y",
	};
	struct image_ref ref;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (image_ref_parse(wrong[i], &ref, &err) != -EINVAL)
			fail_msg("\"%s\" was taken for %s", wrong[i], ref.text);
}

static void test_too_long_a_reference_is_refused(void **state)
{
	char text[2 * IMAGE_REF_MAX];
	struct image_ref ref;
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t len = IMAGE_REF_MAX - 64; len < sizeof(text); len++) {
		char saved = text[len];

		text[len] = '\0';
		if (image_ref_parse(text, &ref, &err) == 0)
			assert_true(strlen(ref.text) < IMAGE_REF_MAX);
		text[len] = saved;
	}
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(image_ref_parse(text, &ref, &err), -EINVAL);
}

static void test_registries_of_this_machine_are_known(void **state)
{
	struct image_ref ref;
	struct err err;

	(void)state;
	assert_int_equal(image_ref_parse("127.0.0.1:5000/a", &ref, &err), 0);
	assert_true(image_ref_is_loopback(&ref));
	assert_int_equal(image_ref_parse("localhost/a", &ref, &err), 0);
	assert_true(image_ref_is_loopback(&ref));
	assert_int_equal(image_ref_parse("localhost.example/a", &ref, &err), 0);
	assert_false(image_ref_is_loopback(&ref));
	assert_int_equal(image_ref_parse("nginx", &ref, &err), 0);
	assert_false(image_ref_is_loopback(&ref));
	assert_true(ref.is_latest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_names_become_full_ones),
		cmocka_unit_test(test_a_full_name_stays_as_it_is),
		cmocka_unit_test(test_what_is_no_reference_is_refused),
		cmocka_unit_test(test_too_long_a_reference_is_refused),
		cmocka_unit_test(test_registries_of_this_machine_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
