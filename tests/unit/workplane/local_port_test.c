/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/local_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workplane/agent_mesh.h"
#include "workplane/mesh_internal.h"

static void a_forward_names_a_port_of_a_workload(void **state)
{
	struct local_port_spec spec;
	struct err err;

	(void)state;
	assert_int_equal(local_port_parse("127.0.0.2:8080=web:80", "shop", &spec, &err), 0);
	assert_string_equal(addr_text(&spec.local).text, "127.0.0.2:8080");
	assert_string_equal(spec.target.name, "web");
	assert_string_equal(spec.target.namespace, "shop");
	assert_int_equal(spec.port, 80);
	assert_int_equal(spec.protocol, SERVICE_TCP);
	assert_int_equal(local_port_parse("53=dns.infra:dns/udp", "shop", &spec, &err), 0);
	assert_string_equal(addr_text(&spec.local).text, "127.0.0.1:53");
	assert_string_equal(spec.target.namespace, "infra");
	assert_string_equal(spec.port_name, "dns");
	assert_int_equal(spec.port, 0);
	assert_int_equal(spec.protocol, SERVICE_UDP);
	assert_int_equal(local_port_parse("[::1]:1=web:2", "shop", &spec, &err), 0);
	assert_string_equal(addr_text(&spec.local).text, "[::1]:1");
}

static void what_is_no_forward_is_told(void **state)
{
	static const char *const bad[] = {
		"",           "8080",         "8080=",
		"8080=web",   "=web:80",      "0=web:80",
		"x=web:80",   "8080=:80",     "80=web:",
		"80=web.:80", "80=.a:80",     "80=web:80/sctp",
		"80=web:0",   "80=web:70000", "80=web:a-name-too-long-for-one"};
	struct local_port_spec spec;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		assert_int_equal(local_port_parse(bad[i], "shop", &spec, &err), -EINVAL);
		assert_non_null(strstr(err.text, "--forward"));
	}
}

static const char *nothing(const char *name)
{
	(void)name;
	return NULL;
}

static const char *environment(const char *name)
{
	return strcmp(name, "BEE_ALLOW_WORKLOADS") == 0 ? " a , b" : NULL;
}

static struct options parse(const char *(*lookup)(const char *name), char **words, int count)
{
	char *argv[32] = {(char *)(uintptr_t) "workplane", (char *)(uintptr_t) "--workload",
			  (char *)(uintptr_t) "web", (char *)(uintptr_t) "--pod",
			  (char *)(uintptr_t) "web-1"};
	struct options options;
	struct err err;

	memcpy(argv + 5, words, (size_t)count * sizeof(*words));
	assert_int_equal(options_parse(5 + count, argv, lookup, &options, &err), 0);
	return options;
}

#define WORDS(...) ((char *[]){__VA_ARGS__}), (int)ARRAY_LEN(((char *[]){__VA_ARGS__}))
#define WORD(text) ((char *)(uintptr_t)(text))

static void lists_have_commas_and_may_be_given_again(void **state)
{
	struct options options = parse(environment, WORDS(WORD("--forward"), WORD("1=a:1,2=b:2"),
							  WORD("--forward=3=c:3")));
	struct option_place at = {0};
	char text[OPTIONS_ITEM_MAX + 1];
	size_t count = 0;

	(void)state;
	while (options_next(&options.forward, &at, text))
		assert_int_equal(text[0], '1' + (int)count++);
	assert_int_equal(count, 3);
	at = (struct option_place){0};
	assert_true(options_next(&options.allow_workloads, &at, text));
	assert_string_equal(text, "a");
	assert_true(options_next(&options.allow_workloads, &at, text));
	assert_string_equal(text, "b");
	assert_false(options_next(&options.allow_workloads, &at, text));
	/* The command line takes the environment's place, and adds nothing to it. */
	options = parse(environment, WORDS(WORD("--allow-workloads"), WORD("c")));
	at = (struct option_place){0};
	assert_true(options_next(&options.allow_workloads, &at, text));
	assert_string_equal(text, "c");
	assert_false(options_next(&options.allow_workloads, &at, text));
}

static void options_that_mean_nothing_are_told(void **state)
{
	static const char *const bad[][2] = {
		{"--listen-addrs", "0.0.0.0:1"},
		{"--listen-addrs", "10.0.0.1"},
		{"--listen-addrs", "1.1.1.1:1,2.2.2.2:2"},
		{"--publish", "http=0"},
		{"--publish", "http=80/sctp"},
		{"--publish", "a_b=80"},
		{"--allow-workloads", "a/b/c"},
		{"--workload-uid", "x"},
		{"--machine", "z"},
	};
	struct loop *loop = loop_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct options options = parse(nothing, WORDS(WORD("--listen-addrs=127.0.0.1:7000"),
							      WORD(bad[i][0]), WORD(bad[i][1])));
		struct mesh *mesh;
		struct err err = {0};

		if (strcmp(bad[i][0], "--listen-addrs") == 0)
			options = parse(nothing, WORDS(WORD(bad[i][0]), WORD(bad[i][1])));
		assert_int_equal(agent_mesh_new(loop, &options, &err, &mesh), -EINVAL);
		assert_true(err.text[0]);
	}
	loop_free(loop);
}

static void what_options_say_is_in_the_record(void **state)
{
	struct options options =
		parse(nothing,
		      WORDS(WORD("--listen-addrs=127.0.0.1:7000"), WORD("--publish"),
			    WORD("http=80,53/udp"), WORD("--workload-kind"), WORD("StatefulSet")));
	struct loop *loop = loop_new();
	struct mesh *mesh;
	struct err err = {0};

	(void)state;
	assert_int_equal(agent_mesh_new(loop, &options, &err, &mesh), 0);
	assert_int_equal(mesh->record.ordinal, 1);
	assert_string_equal(mesh->record.kind, "statefulset");
	assert_int_equal(mesh->record.port_count, 2);
	assert_string_equal(mesh->record.ports[0].name, "http");
	assert_int_equal(mesh->record.ports[1].number, 53);
	assert_int_equal(mesh->record.ports[1].protocol, SERVICE_UDP);
	mesh_free(mesh);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forward_names_a_port_of_a_workload),
		cmocka_unit_test(what_is_no_forward_is_told),
		cmocka_unit_test(lists_have_commas_and_may_be_given_again),
		cmocka_unit_test(options_that_mean_nothing_are_told),
		cmocka_unit_test(what_options_say_is_in_the_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
