/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/zone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A file with two types, UTC+1 and UTC+2, one transition to the second at @at, and @rule. */
static struct buf file_of(int64_t at, const char *rule)
{
	static const uint8_t types[] = {0, 0, 0x0e, 0x10, 0, 0, 0, 0, 0x1c, 0x20, 1, 0};
	uint8_t header[44] = "TZif2", time[8];
	struct buf file = {0};

	header[39] = 1; /* of types, in the old block: six bytes and one of text */
	header[43] = 1;
	buf_append_bytes(&file, bytes_of(header, sizeof(header)));
	buf_append_bytes(&file, bytes_of((const uint8_t[7]){0}, 7));
	header[35] = 1;
	header[39] = 2;
	buf_append_bytes(&file, bytes_of(header, sizeof(header)));
	for (int i = 0; i < 8; i++)
		time[i] = (uint8_t)((uint64_t)at >> (56 - 8 * i));
	buf_append_bytes(&file, bytes_of(time, sizeof(time)));
	buf_append_bytes(&file, bytes_of((const uint8_t[]){1}, 1));
	buf_append_bytes(&file, bytes_of(types, sizeof(types)));
	buf_append_bytes(&file, bytes_of((const uint8_t[]){0}, 1));
	buf_append_format(&file, "\n%s\n", rule);
	return file;
}

static void expect(const char *rule, int64_t second, int64_t offset_s)
{
	struct buf file = file_of(1000, rule);
	struct kube_zone zone;

	assert_int_equal(kube_zone_read(bytes_buf(&file), &zone), 0);
	assert_int_equal(kube_zone_offset(&zone, (struct wall){second * MS_PER_S}), offset_s);
	buf_deinit(&file);
}

static void test_transitions_are_looked_up(void **state)
{
	expect("", 999, 3600);
	expect("", 1000, 7200);
	expect("", INT64_C(4102444800), 7200); /* no rule: as it was last */
	expect("<+03>-3", 999, 3600);
	expect("<+03>-3", 1000, 10800);
}

/* The moments are those of the database's own files. */
static void test_rules_count_after_the_last_transition(void **state)
{
	static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";
	static const char new_york[] = "EST5EDT,M3.2.0,M11.1.0";
	static const char sydney[] = "AEST-10AEDT,M10.1.0,M4.1.0/3";
	static const char nuuk[] = "<-02>2<-01>,M3.5.0/-1,M10.5.0/0";

	expect(berlin, INT64_C(1774745999), 3600); /* 2026-03-29 00:59:59 UTC */
	expect(berlin, INT64_C(1774746000), 7200);
	expect(berlin, INT64_C(1792889999), 7200); /* 2026-10-25 00:59:59 UTC */
	expect(berlin, INT64_C(1792890000), 3600);
	expect(new_york, INT64_C(1772953199), -18000); /* 2026-03-08 06:59:59 UTC */
	expect(new_york, INT64_C(1772953200), -14400);
	expect(sydney, INT64_C(1767225600), 39600); /* the first of January is summer */
	expect(sydney, INT64_C(1782864000), 36000); /* the first of July is winter */
	expect(nuuk, INT64_C(1774745999), -7200);
	expect(nuuk, INT64_C(1774746000), -3600);
	expect("AAA-1BBB,J60,J300", INT64_C(1835400000), 3600); /* 2028-02-29: it does not count */
	expect("AAA-1BBB,59,300", INT64_C(1835438400), 7200);   /* 2028-02-29, day 59 from 0 */
}

static void refuse(struct bytes file)
{
	struct kube_zone zone;

	assert_int_equal(kube_zone_read(file, &zone), -EINVAL);
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const rules[] = {"CET",
					    "CET-200",
					    "CET-1CEST",
					    "CET-1CEST,M3.5.0",
					    "CET-1CEST,M13.5.0,M10.5.0",
					    "CET-1CEST,M3.0.0,M10.5.0",
					    "CET-1CEST,M3.5.0,M10.5.0/3x",
					    "<+03-3",
					    "CET-1CEST,366,3"};
	struct buf file = file_of(1000, "CET-1");

	for (size_t len = 0; len < file.len; len++)
		refuse(bytes_of(bytes_buf(&file).ptr, len));
	/* Any byte may be anything. */
	for (size_t i = 0; i < file.len; i++)
		for (int value = 0; value < 256; value++) {
			struct buf copy = {0};
			struct kube_zone zone;

			buf_append_bytes(&copy, bytes_buf(&file));
			((uint8_t *)(uintptr_t)bytes_buf(&copy).ptr)[i] = (uint8_t)value;
			if (kube_zone_read(bytes_buf(&copy), &zone) == 0)
				assert_in_range(kube_zone_offset(&zone, (struct wall){0}) +
							26 * 3600,
						0, 2 * 26 * 3600);
			buf_deinit(&copy);
		}
	buf_deinit(&file);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct buf wrong = file_of(1000, rules[i]);

		refuse(bytes_buf(&wrong));
		buf_deinit(&wrong);
	}
}

static void test_names_do_not_lead_out_of_the_database(void **state)
{
	assert_true(kube_zone_is_name("Europe/Berlin"));
	assert_true(kube_zone_is_name("America/Argentina/Buenos_Aires"));
	assert_true(kube_zone_is_name("Etc/GMT+3"));
	assert_false(kube_zone_is_name(""));
	assert_false(kube_zone_is_name("/etc/passwd"));
	assert_false(kube_zone_is_name("Europe/../../../etc/passwd"));
	assert_false(kube_zone_is_name("Europe Berlin"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transitions_are_looked_up),
		cmocka_unit_test(test_rules_count_after_the_last_transition),
		cmocka_unit_test(test_nonsense_is_refused),
		cmocka_unit_test(test_names_do_not_lead_out_of_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
