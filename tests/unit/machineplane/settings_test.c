/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct settings sample(void)
{
	struct settings settings = {.made = true};
	struct options *options = &settings.options;

	options->node_name = mem_strdup("m1");
	options->state_dir = mem_strdup("/s");
	options->run_dir = mem_strdup("/r");
	options->rest_host = mem_strdup("::1");
	options->rest_port = 65535;
	options->rest_insecure = true;
	options->mesh_host = mem_strdup("10.0.0.1");
	options->mesh_port = 7000;
	options->pool = 16;
	options->records_stay = true;
	options->overcommit = 1500;
	options->pod_certificate_ms = 20000;
	options->taints[options->taint_count++] =
		(struct taint){mem_strdup("dedicated"), mem_strdup("db"), TAINT_NO_EXECUTE};
	options->resources[options->resource_count++] =
		(struct resource){mem_strdup("vendor.example/gpu"), 2};
	options->no_schedule = true;
	options->log_json = true;
	options->labels[options->label_count++] =
		(struct label){mem_strdup("disk"), mem_strdup("ssd")};
	memset(options->bootstrap[0].id.byte, 7, ID_LEN);
	assert_true(addr_parse_ip("10.0.0.2", 99, &options->bootstrap[0].addr));
	options->bootstrap_count = 1;
	return settings;
}

static void round_trip(const struct settings *settings, struct settings *ret_back)
{
	struct buf text = {0};

	settings_encode(settings, &text);
	assert_int_equal(settings_decode(bytes_buf(&text), ret_back), 0);
	buf_deinit(&text);
}

static void settings_come_back_as_they_were(void **state)
{
	struct settings settings = sample(), back;

	settings.options.join = mem_strdup("magik1.token");
	settings.joined.ms = INT64_C(1795000000000);
	round_trip(&settings, &back);
	assert_true(back.made);
	assert_false(back.roots);
	assert_int_equal(back.joined.ms, settings.joined.ms);
	assert_string_equal(back.options.node_name, "m1");
	assert_string_equal(back.options.state_dir, "/s");
	assert_string_equal(back.options.run_dir, "/r");
	assert_string_equal(back.options.rest_host, "::1");
	assert_int_equal(back.options.rest_port, 65535);
	assert_int_equal(back.options.pool, 16);
	assert_true(back.options.records_stay);
	assert_int_equal(back.options.overcommit, 1500);
	assert_int_equal(back.options.taint_count, 1);
	assert_string_equal(back.options.taints[0].key, "dedicated");
	assert_string_equal(back.options.taints[0].value, "db");
	assert_int_equal(back.options.taints[0].effect, TAINT_NO_EXECUTE);
	assert_int_equal(back.options.resource_count, 1);
	assert_string_equal(back.options.resources[0].name, "vendor.example/gpu");
	assert_int_equal(back.options.resources[0].count, 2);
	assert_true(back.options.rest_insecure);
	assert_string_equal(back.options.mesh_host, "10.0.0.1");
	assert_int_equal(back.options.mesh_port, 7000);
	assert_true(back.options.no_schedule);
	assert_true(back.options.log_json);
	assert_string_equal(back.options.join, "magik1.token");
	assert_int_equal(back.options.label_count, 1);
	assert_string_equal(back.options.labels[0].key, "disk");
	assert_string_equal(back.options.labels[0].value, "ssd");
	assert_int_equal(back.options.bootstrap_count, 1);
	assert_memory_equal(&back.options.bootstrap[0].id, &settings.options.bootstrap[0].id,
			    sizeof(struct node_id));
	assert_int_equal(back.options.bootstrap[0].addr.port, 99);
	options_deinit(&settings.options);
	options_deinit(&back.options);
}

static void a_machine_without_a_token_has_none_afterwards(void **state)
{
	struct settings settings = sample(), back;

	settings.made = false;
	settings.roots = true;
	round_trip(&settings, &back);
	assert_null(back.options.join);
	assert_false(back.made);
	assert_true(back.roots);
	options_deinit(&settings.options);
	options_deinit(&back.options);
}

static void what_is_no_settings_is_refused(void **state)
{
	static const char *const texts[] = {"", "{}", "[]", "{\"node\":\"m1\"}", "not json"};
	struct settings back = {0};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(settings_decode(bytes_str(texts[i]), &back), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_come_back_as_they_were),
		cmocka_unit_test(a_machine_without_a_token_has_none_afterwards),
		cmocka_unit_test(what_is_no_settings_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
