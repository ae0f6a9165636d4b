/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *nothing(const char *name)
{
	(void)name;
	return NULL;
}

static const char *environment(const char *name)
{
	if (strcmp(name, "BEE_WORKLOAD_NAME") == 0)
		return "web";
	if (strcmp(name, "BEE_POD_NAME") == 0)
		return "web-0";
	if (strcmp(name, "BEE_REPLICAS") == 0)
		return "3";
	if (strcmp(name, "BEE_ALLOW_CROSS_NAMESPACE") == 0)
		return "true";
	return NULL;
}

static int parse(const char *(*lookup)(const char *name), const char *const *words,
		 struct options *ret_options, struct err *err)
{
	char *argv[8] = {(char *)(uintptr_t) "workplane"};
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	return options_parse(argc, argv, lookup, ret_options, err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_what_is_not_given_has_its_default(void **state)
{
	struct options options;
	struct err err;

	(void)state;
	assert_int_equal(
		parse(nothing, WORDS("--workload", "web", "--pod", "web-0"), &options, &err), 0);
	assert_string_equal(options.namespace, "default");
	assert_string_equal(options.workload_kind, "Deployment");
	assert_int_equal(options.replicas, 1);
	assert_int_equal(options.dht_ttl_s, 15);
	assert_int_equal(options.dht_heartbeat_s, 5);
	assert_int_equal(options.health_interval_s, 10);
	assert_int_equal(options.health_timeout_s, 5);
	assert_int_equal(options.replica_check_interval_s, 30);
	assert_false(options.allow_cross_namespace);
	assert_int_equal(options.report_fd, OPTIONS_FD_NONE);
}

static void test_the_environment_serves_where_the_command_line_is_silent(void **state)
{
	struct options options;
	struct err err;

	(void)state;
	assert_int_equal(parse(environment, WORDS("--replicas=5"), &options, &err), 0);
	assert_string_equal(options.workload, "web");
	assert_string_equal(options.pod, "web-0");
	assert_int_equal(options.replicas, 5);
	assert_true(options.allow_cross_namespace);
}

static void test_a_missing_name_is_named(void **state)
{
	struct options options;
	struct err err;

	(void)state;
	assert_int_equal(parse(nothing, WORDS("--workload", "web"), &options, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--pod"));
	assert_non_null(strstr(err.text, "BEE_POD_NAME"));
}

static void test_values_of_the_wrong_kind_are_refused(void **state)
{
	static const char *const wrong[] = {
		"--replicas=many",
		"--replicas=-1",
		"--replicas=99999999999999999999",
		"--dht-ttl-secs=0",
		"--no-such=1",
		"stray",
		"--replicas=",
		"--allow-cross-namespace=perhaps",
	};
	struct options options;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (parse(environment, WORDS(wrong[i]), &options, &err) != -EINVAL)
			fail_msg("%s was accepted", wrong[i]);
	assert_int_equal(parse(environment, WORDS("--replicas"), &options, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_given_has_its_default),
		cmocka_unit_test(test_the_environment_serves_where_the_command_line_is_silent),
		cmocka_unit_test(test_a_missing_name_is_named),
		cmocka_unit_test(test_values_of_the_wrong_kind_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
