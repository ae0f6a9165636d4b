/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "make.h"

#include "service/policy.h"

static const struct wall now = {MAKE_NOW_MS};

static void a_name_is_taken_apart(void **state)
{
	struct service_name name;

	(void)state;
	assert_true(service_name_parse("spiffe://0123456789abcdef/ns/shop/Deployment/web/web-1",
				       "0123456789abcdef", &name));
	assert_string_equal(name.namespace, "shop");
	assert_string_equal(name.kind, "Deployment");
	assert_string_equal(name.name, "web");
	assert_string_equal(name.pod, "web-1");
}

static void other_names_are_not_of_pods(void **state)
{
	static const char *const bad[] = {
		"",
		"spiffe://",
		"magik://f/ns/shop/Deployment/web/web-1",
		"spiffe://other/ns/shop/Deployment/web/web-1",
		"spiffe://f/ns/shop/Deployment/web",
		"spiffe://f/ns/shop/Deployment/web/",
		"spiffe://f/ns/shop/Deployment//web-1",
		"spiffe://f/ns/shop/Deployment/web/web-1/more",
		"spiffe://f/ns/Shop/Deployment/web/web-1",
		"spiffe://f/ns/shop/Deploy-ment/web/web-1",
		"spiffe://f/xx/shop/Deployment/web/web-1",
		"spiffe://ff/ns/shop/Deployment/web/web-1",
	};
	struct service_name name;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(service_name_parse(bad[i], "f", &name));
}

static struct service_name signer(void)
{
	struct service_name name;
	bool parsed = service_name_parse("spiffe://f/ns/shop/Deployment/web/web-1", "f", &name);

	assert_true(parsed);
	return name;
}

static void a_record_counts_under_exactly_its_pods_name(void **state)
{
	struct service_record record = make_record(1);
	struct service_name right = signer(), wrong;
	struct node_id key = make_peer(1), other = make_peer(2);
	char *const fields[] = {wrong.namespace, wrong.kind, wrong.name, wrong.pod};

	(void)state;
	assert_int_equal(service_record_admit(&record, &right, &key, record.ts, now), 0);
	assert_int_equal(service_record_admit(&record, &right, &other, record.ts, now),
			 SERVICE_E_FOREIGN);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		wrong = right;
		fields[i][0]++;
		assert_int_equal(service_record_admit(&record, &wrong, &key, record.ts, now),
				 SERVICE_E_FOREIGN);
		wrong = right;
		fields[i][strlen(fields[i]) - 1] = '\0';
		assert_int_equal(service_record_admit(&record, &wrong, &key, record.ts, now),
				 SERVICE_E_FOREIGN);
	}
	service_record_deinit(&record);
}

static int admit_at(const struct service_record *record, int64_t said_ms)
{
	struct service_name name = signer();
	struct node_id key = make_peer(1);

	return service_record_admit(record, &name, &key, (struct wall){said_ms}, now);
}

static void only_what_is_of_now_counts(void **state)
{
	struct service_record record = make_record(1);

	(void)state;
	assert_int_equal(admit_at(&record, now.ms - SERVICE_SKEW_MS), 0);
	assert_int_equal(admit_at(&record, now.ms - SERVICE_SKEW_MS - 1), SERVICE_E_STALE);
	assert_int_equal(admit_at(&record, now.ms + SERVICE_SKEW_MS), 0);
	assert_int_equal(admit_at(&record, now.ms + SERVICE_SKEW_MS + 1), SERVICE_E_STALE);
	record.ts.ms = 5; /* written long ago, renewed just now */
	assert_int_equal(admit_at(&record, now.ms), 0);
	record.ts.ms = now.ms + SERVICE_SKEW_MS + 1;
	assert_int_equal(admit_at(&record, now.ms), SERVICE_E_STALE);
	service_record_deinit(&record);
}

static void the_higher_version_then_the_newer_then_the_higher_peer_holds(void **state)
{
	struct service_record a = make_record(1), b = make_record(2);

	(void)state;
	assert_true(service_record_compare(&a, &b) < 0);
	assert_true(service_record_compare(&b, &a) > 0);
	a.ts.ms++;
	assert_true(service_record_compare(&a, &b) > 0);
	b.version++;
	assert_true(service_record_compare(&a, &b) < 0);
	assert_int_equal(service_record_compare(&a, &a), 0);
	service_record_deinit(&a);
	service_record_deinit(&b);
}

static void what_is_malformed_is_found(void **state)
{
	(void)state;
	for (unsigned spoil = 0; spoil < 12; spoil++) {
		struct service_record record = make_record(1);
		int expected = spoil == 0 ? 0 : SERVICE_E_MALFORMED;

		if (spoil == 1)
			make_text(&record.namespace, "Shop");
		if (spoil == 2)
			make_text(&record.kind, "");
		if (spoil == 3)
			make_text(&record.name, "-web");
		if (spoil == 4)
			make_text(&record.pod, "web..1");
		if (spoil == 5)
			record.addresses[0].port = 0;
		if (spoil == 6)
			record.address_count = 0;
		if (spoil == 7)
			make_text(&record.ports[0].name, "HTTP");
		if (spoil == 8)
			record.load = WORK_LOAD_MAX + 1;
		if (spoil == 9)
			record.leaving = true; /* and ready */
		if (spoil == 10)
			make_text(&record.policy.allow[0], "a/b/c");
		if (spoil == 11)
			make_text(&record.policy.deny[0], "SHOP/*");
		if (expected == 0)
			assert_int_equal(service_record_check(&record), 0);
		else
			assert_int_equal(admit_at(&record, now.ms), SERVICE_E_MALFORMED);
		service_record_deinit(&record);
	}
}

static void a_port_is_named_once_for_each_protocol(void **state)
{
	struct service_record record = make_record(1);

	(void)state;
	record.ports = mem_resize(record.ports, 2, sizeof(*record.ports));
	record.ports[1] = (struct service_port){mem_strdup("http"), 8081, SERVICE_UDP};
	record.port_count = 2;
	assert_int_equal(service_record_check(&record), 0);
	record.ports[1].protocol = SERVICE_TCP;
	assert_int_equal(service_record_check(&record), SERVICE_E_MALFORMED);
	make_text(&record.ports[1].name, "admin");
	assert_int_equal(service_record_check(&record), 0);
	service_record_deinit(&record);
}

static void what_is_too_large_to_send_is_found(void **state)
{
	struct service_record record = make_record(1);
	char value[MESSAGE_LABEL_VALUE_MAX + 1], key[MESSAGE_LABEL_KEY_MAX + 1];

	(void)state;
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	record.labels = mem_resize(record.labels, WORK_LABELS_MAX, sizeof(*record.labels));
	while (record.label_count < WORK_LABELS_MAX)
		record.labels[record.label_count++] =
			(struct label){mem_strdup(key), mem_strdup(value)};
	assert_int_equal(service_record_check(&record), SERVICE_E_MALFORMED);
	service_record_deinit(&record);
}

/* ---- policy ---- */

struct admission {
	const char *allow, *deny; /* one pattern each */
	bool cross;
	const char *namespace, *name;
	bool admitted;
};

static void a_policy_admits_whom_it_should(void **state)
{
	static const struct admission cases[] = {
		{NULL, NULL, false, "shop", "web", true},
		{NULL, NULL, false, "other", "web", false},
		{NULL, NULL, true, "other", "web", true},
		{"web", NULL, false, "shop", "web", true},
		{"web", NULL, false, "shop", "db", false},
		{"web", NULL, true, "other", "web", false}, /* of the own namespace is meant */
		{"other/*", NULL, false, "other", "web", false},
		{"other/*", NULL, true, "other", "web", true},
		{"other/*", NULL, true, "another", "web", false},
		{"*/web", NULL, true, "another", "web", true},
		{"*/w?b", NULL, true, "another", "web", true},
		{"*/w?b", NULL, true, "another", "wb", false},
		{"*/*-api-*", NULL, true, "a", "x-api-api-y", true},
		{"*", "web", false, "shop", "web", false}, /* deny beats allow */
		{"*", "*/web", false, "shop", "web", false},
		{NULL, "shop/w*", false, "shop", "web", false},
		{NULL, "shop/w*", false, "shop", "db", true},
		{NULL, "other/*", true, "other", "web", false},
		{"sh*p", NULL, false, "shop", "shop", true},
		{"a/b/c", NULL, true, "a", "b", false},   /* malformed: matches nobody */
		{"*", NULL, true, "other", "web", false}, /* '*' is not for the '/' */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct admission *admission = &cases[i];
		char *allow = mem_strdup(admission->allow), *deny = mem_strdup(admission->deny);
		struct service_policy policy = {
			.allow = &allow,
			.allow_count = allow != NULL,
			.deny = &deny,
			.deny_count = deny != NULL,
			.cross_namespace = admission->cross,
		};

		if (policy_admits(&policy, "shop", admission->namespace, admission->name) !=
		    admission->admitted)
			fail_msg("case %zu", i);
		free(allow);
		free(deny);
	}
}

static void a_glob_takes_no_exponential_time(void **state)
{
	char text[MESSAGE_NAME_MAX + 1],
		*pattern = mem_strdup("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
	struct service_policy policy = {.allow = &pattern, .allow_count = 1};

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_false(policy_admits(&policy, "shop", "shop", text));
	free(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_taken_apart),
		cmocka_unit_test(other_names_are_not_of_pods),
		cmocka_unit_test(a_record_counts_under_exactly_its_pods_name),
		cmocka_unit_test(only_what_is_of_now_counts),
		cmocka_unit_test(the_higher_version_then_the_newer_then_the_higher_peer_holds),
		cmocka_unit_test(what_is_malformed_is_found),
		cmocka_unit_test(a_port_is_named_once_for_each_protocol),
		cmocka_unit_test(what_is_too_large_to_send_is_found),
		cmocka_unit_test(a_policy_admits_whom_it_should),
		cmocka_unit_test(a_glob_takes_no_exponential_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
