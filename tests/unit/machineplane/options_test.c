/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "io/file.h"

#define PEER "ababababababababababababababababababababababababababababababab00"

static struct options options;
static struct err err;

static int read_args(const char *const *args)
{
	char *argv[64] = {(char[]){"machineplane"}};
	int argc = 1;

	while (args && args[argc - 1]) {
		argv[argc] = strdup(args[argc - 1]);
		argc++;
	}
	int result = options_read(argc, argv, &options, &err);

	for (int i = 1; i < argc; i++)
		free(argv[i]);
	return result;
}

#define READ(...) read_args((const char *const[]){__VA_ARGS__, NULL})

static int clean(void **state)
{
	options_deinit(&options);
	err = (struct err){0};
	return 0;
}

static void without_options_a_machine_has_defaults(void **state)
{
	assert_int_equal(read_args((const char *const[]){NULL}), 0);
	assert_string_equal(options.state_dir, "/var/lib/magik");
	assert_string_equal(options.run_dir, "/run/magik");
	assert_string_equal(options.rest_host, "0.0.0.0");
	assert_string_equal(options.mesh_host, "0.0.0.0");
	assert_int_equal(options.rest_port, OPTIONS_REST_PORT);
	assert_int_equal(options.mesh_port, 0);
	assert_true(options.node_name[0] != 0);
	assert_null(options.join);
	assert_null(options.runtime);
	assert_int_equal(options.pool, OVERLAY_POOL_DEFAULT);
	assert_int_equal(options.null_delay_ms, OPTIONS_NULL_DELAY_MS);
	assert_int_equal(options.pods_max, 0);
	assert_false(options.rest_insecure || options.no_schedule || options.drain);
}

static void every_option_can_stand_on_the_command_line(void **state)
{
	assert_int_equal(READ("--node-name", "m1", "--state-dir", "/s", "--run-dir=/r", "--join",
			      "magik1.x", "--bootstrap-peer", PEER "@10.0.0.1:7000",
			      "--bootstrap-peer", PEER "@[::1]:7001", "--rest-api-host", "::1",
			      "--rest-api-port", "4000", "--rest-api-insecure", "--mesh-host",
			      "127.0.0.1", "--mesh-port", "7000", "--label", "disk=ssd", "--label",
			      "example.org/zone=a", "--reserve", "cpu=500m,memory=1Gi",
			      "--no-schedule", "--runtime", "crun", "--drain", "--ephemeral-keys",
			      "--pool", "16", "--records-stay", "--null-delay-ms", "0",
			      "--policy-file", "/p", "--workplane", "/w", "--log-format", "json"),
			 0);
	assert_string_equal(options.node_name, "m1");
	assert_string_equal(options.state_dir, "/s");
	assert_string_equal(options.run_dir, "/r");
	assert_string_equal(options.join, "magik1.x");
	assert_int_equal(options.bootstrap_count, 2);
	assert_int_equal(options.bootstrap[1].addr.port, 7001);
	assert_string_equal(options.rest_host, "::1");
	assert_int_equal(options.rest_port, 4000);
	assert_true(options.rest_insecure);
	assert_string_equal(options.mesh_host, "127.0.0.1");
	assert_int_equal(options.mesh_port, 7000);
	assert_int_equal(options.label_count, 2);
	assert_string_equal(options.labels[1].key, "example.org/zone");
	assert_string_equal(options.labels[1].value, "a");
	assert_int_equal(options.reserve_cpu_milli, 500);
	assert_int_equal(options.reserve_memory_bytes, INT64_C(1) << 30);
	assert_true(options.no_schedule && options.drain && options.ephemeral_keys);
	assert_string_equal(options.runtime, "crun");
	assert_string_equal(options.policy_file, "/p");
	assert_string_equal(options.workplane, "/w");
	assert_true(options.log_json);
	assert_int_equal(options.pool, 16);
	assert_true(options.records_stay);
	assert_int_equal(options.null_delay_ms, 0);
}

static void the_null_engine_has_to_be_asked_for(void **state)
{
	assert_int_equal(READ("--runtime", "null"), 0);
	assert_string_equal(options.runtime, "null");
}

static void a_machine_can_be_tainted_and_have_things(void **state)
{
	assert_int_equal(READ("--taint", "dedicated=db:NoSchedule", "--taint",
			      "example.org/old:PreferNoSchedule", "--taint", "a=:NoExecute",
			      "--resource", "vendor.example/gpu=2", "--overcommit", "1.5",
			      "--max-pods", "250"),
			 0);
	assert_int_equal(options.pods_max, 250);
	assert_int_equal(options.taint_count, 3);
	assert_string_equal(options.taints[0].key, "dedicated");
	assert_string_equal(options.taints[0].value, "db");
	assert_int_equal(options.taints[0].effect, TAINT_NO_SCHEDULE);
	assert_string_equal(options.taints[1].key, "example.org/old");
	assert_string_equal(options.taints[1].value, "");
	assert_int_equal(options.taints[1].effect, TAINT_PREFER_NO_SCHEDULE);
	assert_string_equal(options.taints[2].value, "");
	assert_int_equal(options.taints[2].effect, TAINT_NO_EXECUTE);
	assert_int_equal(options.resource_count, 1);
	assert_string_equal(options.resources[0].name, "vendor.example/gpu");
	assert_int_equal(options.resources[0].count, 2);
	assert_int_equal(options.overcommit, 1500);
}

static void the_documents_spellings_work_too(void **state)
{
	assert_int_equal(READ("--korium-host", "10.0.0.1", "--korium-port", "9", "--kem-ephemeral",
			      "--signing-ephemeral", "--dht-refresh-interval-secs", "60"),
			 0);
	assert_string_equal(options.mesh_host, "10.0.0.1");
	assert_int_equal(options.mesh_port, 9);
	assert_true(options.ephemeral_keys);
	assert_non_null(options.notice);
}

static void refused(const char *name, const char *value, const char *says)
{
	(void)clean(NULL);
	assert_int_equal(READ(name, value), -EINVAL);
	if (!strstr(err.text, says))
		fail_msg("%s %s: \"%s\" does not say \"%s\"", name, value, err.text, says);
}

static void a_bad_value_is_refused_with_a_sentence(void **state)
{
	refused("--node-name", "No_Label", "DNS label");
	refused("--rest-api-port", "70000", "port");
	refused("--rest-api-port", "-1", "port");
	refused("--rest-api-port", "12x", "port");
	refused("--mesh-port", "", "port");
	refused("--rest-api-host", "localhost", "IP address");
	refused("--mesh-host", "10.0.0", "IP address");
	refused("--bootstrap-peer", "10.0.0.1:7000", "hex");
	refused("--bootstrap-peer", "zz@10.0.0.1:7000", "hex");
	refused("--label", "disk", "key=value");
	refused("--label", "a b=c", "label");
	refused("--label", "=c", "label");
	refused("--taint", "dedicated=db", "NoSchedule");
	refused("--taint", "dedicated=db:Evict", "NoSchedule");
	refused("--taint", "dedicated:", "NoSchedule");
	refused("--taint", ":NoSchedule", "taint");
	refused("--taint", "a b=c:NoSchedule", "taint");
	refused("--taint", "a=b c:NoSchedule", "taint");
	refused("--resource", "gpu=2", "vendor/thing");
	refused("--resource", "vendor/gpu", "vendor/thing");
	refused("--resource", "vendor/gpu=many", "number");
	refused("--resource", "vendor/gpu=-1", "number");
	refused("--max-pods", "0", "from 1");
	refused("--max-pods", "20001", "20000");
	refused("--overcommit", "0.5", "ratio");
	refused("--overcommit", "17", "ratio");
	refused("--overcommit", "much", "ratio");
	refused("--reserve", "cpu=lots", "quantity");
	refused("--reserve", "disk=1Gi", "quantity");
	refused("--reserve", "cpu=-1", "quantity");
	refused("--runtime", "docker", "crun");
	refused("--pool", "7", "from 8 to 1024");
	refused("--pool", "1025", "from 8 to 1024");
	refused("--pool", "", "number");
	refused("--pool", "1e3", "number");
	refused("--null-delay-ms", "-1", "number");
	refused("--null-delay-ms", "99999999999999999999", "number");
	refused("--log-format", "xml", "json");
}

static void an_unknown_option_is_refused_wherever_it_stands(void **state)
{
	assert_int_equal(READ("--nonsense"), -EINVAL);
	assert_non_null(strstr(err.text, "--nonsense"));
	(void)clean(NULL);
	assert_int_equal(READ("word"), -EINVAL);
	(void)clean(NULL);
	assert_int_equal(READ("--node-name"), -EINVAL);
	assert_non_null(strstr(err.text, "needs a value"));
}

static void too_many_bootstrap_peers_are_refused(void **state)
{
	const char *args[2 * (OPTIONS_BOOTSTRAP_MAX + 1) + 1] = {0};

	for (size_t i = 0; i <= OPTIONS_BOOTSTRAP_MAX; i++) {
		args[2 * i] = "--bootstrap-peer";
		args[2 * i + 1] = PEER "@10.0.0.1:7000";
	}
	assert_int_equal(read_args(args), -EINVAL);
	assert_non_null(strstr(err.text, "too often"));
	assert_int_equal(options.bootstrap_count, OPTIONS_BOOTSTRAP_MAX);
}

static char file_path[] = "/tmp/options_test.XXXXXX";
static const char placeholder[] = "XXXXXX";

static void write_config(const char *text)
{
	assert_int_equal(file_write(file_path, bytes_str(text), 0600), 0);
}

static int make_file(void **state)
{
	int fd;

	memcpy(file_path + sizeof(file_path) - sizeof(placeholder), placeholder,
	       sizeof(placeholder));
	fd = mkstemp(file_path);
	assert_true(fd >= 0);
	(void)close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)unsetenv("MAGIK_REST_API_PORT");
	(void)unsetenv("MAGIK_MESH_PORT");
	(void)unsetenv("MAGIK_NO_SCHEDULE");
	(void)unsetenv("MAGIK_CONFIG");
	(void)clean(state);
	return unlink(file_path);
}

static void the_command_line_wins_over_the_environment_and_that_over_the_file(void **state)
{
	write_config("rest-api-port: 1001\nmesh-port: 1002\nnode-name: from-file\n"
		     "no-schedule: true\nlabel: [a=1, b=2]\n");
	assert_int_equal(setenv("MAGIK_REST_API_PORT", "2001", 1), 0);
	assert_int_equal(setenv("MAGIK_MESH_PORT", "2002", 1), 0);
	assert_int_equal(READ("--config", file_path, "--rest-api-port", "3001"), 0);
	assert_int_equal(options.rest_port, 3001);
	assert_int_equal(options.mesh_port, 2002);
	assert_string_equal(options.node_name, "from-file");
	assert_true(options.no_schedule);
	assert_int_equal(options.label_count, 2);
}

static void a_file_named_by_the_environment_is_read_as_json_too(void **state)
{
	write_config("{\"mesh-port\": 55, \"log-format\": \"json\"}");
	assert_int_equal(setenv("MAGIK_CONFIG", file_path, 1), 0);
	assert_int_equal(read_args((const char *const[]){NULL}), 0);
	assert_int_equal(options.mesh_port, 55);
	assert_true(options.log_json);
}

static void config_refused(const char *text, const char *says)
{
	(void)clean(NULL);
	write_config(text);
	assert_true(READ("--config", file_path) < 0);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void a_file_with_what_is_no_option_is_refused(void **state)
{
	config_refused("rest-api-prot: 1\n", "rest-api-prot");
	config_refused("mesh-port: {a: 1}\n", "mesh-port");
	config_refused("mesh-port: 1.5\n", "mesh-port");
	config_refused("mesh-port: 66000\n", "port number");
	config_refused("mesh-port: 1\nmesh-port: 2\n", "mesh-port");
	config_refused("- mesh-port\n", "--config");
	config_refused("a: [\n", "--config");
	(void)clean(NULL);
	assert_int_equal(READ("--config", "/does/not/exist"), -ENOENT);
}

static void a_bad_variable_is_refused_by_its_name(void **state)
{
	assert_int_equal(setenv("MAGIK_NO_SCHEDULE", "maybe", 1), 0);
	assert_int_equal(read_args((const char *const[]){NULL}), -EINVAL);
	assert_non_null(strstr(err.text, "MAGIK_NO_SCHEDULE"));
}

static void directories_become_absolute(void **state)
{
	assert_int_equal(READ("--state-dir", "s", "--run-dir", "r"), 0);
	assert_true(options.state_dir[0] == '/' && options.run_dir[0] == '/');
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(without_options_a_machine_has_defaults, clean),
		cmocka_unit_test_teardown(every_option_can_stand_on_the_command_line, clean),
		cmocka_unit_test_teardown(the_null_engine_has_to_be_asked_for, clean),
		cmocka_unit_test_teardown(a_machine_can_be_tainted_and_have_things, clean),
		cmocka_unit_test_teardown(the_documents_spellings_work_too, clean),
		cmocka_unit_test_teardown(a_bad_value_is_refused_with_a_sentence, clean),
		cmocka_unit_test_teardown(an_unknown_option_is_refused_wherever_it_stands, clean),
		cmocka_unit_test_teardown(too_many_bootstrap_peers_are_refused, clean),
		cmocka_unit_test_teardown(directories_become_absolute, clean),
		FILE_TEST(the_command_line_wins_over_the_environment_and_that_over_the_file),
		FILE_TEST(a_file_named_by_the_environment_is_read_as_json_too),
		FILE_TEST(a_file_with_what_is_no_option_is_refused),
		FILE_TEST(a_bad_variable_is_refused_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
