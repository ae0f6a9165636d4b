/* SPDX-License-Identifier: Apache-2.0 */
/* What containers read of ConfigMaps, Secrets and their own pod. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/config.h"
#include "runtime/files.h"
#include "runtime/projected.h"

static const char objects_json[] =
	"{\"ConfigMap/conf\":{\"kind\":\"ConfigMap\",\"data\":{\"a\":\"one\",\"../up\":\"no\"},"
	"\"binaryData\":{\"b\":\"AP8=\"}},"
	"\"Secret/keys\":{\"kind\":\"Secret\",\"data\":{\"k\":\"czNjcmV0\",\"bad\":\"!\"}}}";

struct kit {
	struct pod_spec *pod;
	json_t *objects;
	struct pod_facts facts;
	struct projected projected;
	struct err err;
	int result;
};

/* One volume with the JSON @source, built from the objects above. */
static struct kit build(const char *source)
{
	static const struct policy policy = {.any_registry = true};
	struct kit kit = {.objects = json_loads(objects_json, 0, NULL)};
	struct buf json = {0};

	buf_append_format(
		&json,
		"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\",\"labels\":{"
		"\"z\":\"last\",\"app\":\"a\\\"b\"},\"uid\":\"0f7e0e48-9d0b-4c53-8a4b-"
		"5b1c4d2f6a01\"},\"spec\":{\"volumes\":[{\"name\":\"v\",%s}],\"containers\":["
		"{\"name\":\"main\",\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":"
		"\"1500m\"}}}]}}",
		source);
	kit.result = pod_spec_parse(bytes_buf(&json), &policy, &kit.pod, &kit.err);
	buf_deinit(&json);
	if (kit.result < 0)
		return kit;
	kit.facts = (struct pod_facts){.spec = kit.pod,
				       .name = "web-0",
				       .uid = "u",
				       .labels = kit.pod->labels,
				       .memory_capacity_bytes = 1 << 30};
	kit.result = projected_build(&kit.facts, &kit.pod->volumes[0], kit.objects, &kit.projected,
				     &kit.err);
	return kit;
}

static void kit_deinit(struct kit *kit)
{
	projected_deinit(&kit->projected);
	(void)pod_spec_free(kit->pod);
	json_decref(kit->objects);
}

static void expect_file(const struct kit *kit, const char *path, const char *content, int mode)
{
	for (size_t i = 0; i < kit->projected.count; i++) {
		const struct projected_file *file = &kit->projected.files[i];

		if (strcmp(file->path, path) != 0)
			continue;
		assert_int_equal(file->mode, mode);
		assert_true(bytes_equal(bytes_buf(&file->content), bytes_str(content)));
		return;
	}
	fail_msg("there is no %s: %s", path, kit->err.text);
}

static void test_every_key_is_a_file_unless_it_is_no_name(void **state)
{
	struct kit kit = build("\"configMap\":{\"name\":\"conf\",\"defaultMode\":256}");

	(void)state;
	assert_int_equal(kit.result, 0);
	assert_int_equal(kit.projected.count, 2);
	expect_file(&kit, "a", "one", 0400);
	assert_false(kit.pod->volumes[0].in_memory);
	kit_deinit(&kit);
}

static void test_items_choose_keys_paths_and_modes(void **state)
{
	struct kit kit = build("\"secret\":{\"secretName\":\"keys\",\"items\":[{\"key\":\"k\","
			       "\"path\":\"deep/x\",\"mode\":288}]}");

	(void)state;
	assert_int_equal(kit.projected.count, 1);
	expect_file(&kit, "deep/x", "s3cret", 0440);
	assert_true(kit.pod->volumes[0].in_memory);
	kit_deinit(&kit);
}

static void expect_failure(const char *source, int code, const char *word)
{
	struct kit kit = build(source);

	assert_int_equal(kit.result, code);
	if (!strstr(kit.err.text, word))
		fail_msg("\"%s\" does not say %s", kit.err.text, word);
	kit_deinit(&kit);
}

static void test_what_is_missing_is_named(void **state)
{
	(void)state;
	expect_failure("\"configMap\":{\"name\":\"none\"}", -ENOENT,
		       "configmap \"none\" not found");
	expect_failure("\"secret\":{\"secretName\":\"keys\",\"items\":[{\"key\":\"q\",\"path\":"
		       "\"q\"}]}",
		       -ENOENT, "couldn't find key q in Secret ns/keys");
	expect_failure("\"secret\":{\"secretName\":\"keys\"}", -EINVAL, "cannot be read");
}

static void test_what_would_lead_out_is_refused(void **state)
{
	(void)state;
	expect_failure("\"configMap\":{\"name\":\"conf\",\"items\":[{\"key\":\"a\",\"path\":"
		       "\"x/../../y\"}]}",
		       -EINVAL, "items");
	expect_failure("\"configMap\":{\"name\":\"conf\",\"items\":[{\"key\":\"a\",\"path\":"
		       "\"..data\"}]}",
		       -EINVAL, "items");
	expect_failure("\"configMap\":{\"name\":\"../conf\"}", -EINVAL, "name");
	expect_failure("\"configMap\":{\"name\":\"conf\",\"defaultMode\":4095}", -EINVAL,
		       "defaultMode");
}

static void test_what_is_optional_may_be_missing(void **state)
{
	struct kit kit = build("\"projected\":{\"sources\":[{\"configMap\":{\"name\":\"none\","
			       "\"optional\":true}},{\"secret\":{\"name\":\"keys\",\"optional\":"
			       "true,\"items\":[{\"key\":\"k\",\"path\":\"k\"},{\"key\":\"q\","
			       "\"path\":\"q\"}]}}]}");

	(void)state;
	assert_int_equal(kit.result, 0);
	assert_int_equal(kit.projected.count, 1);
	expect_file(&kit, "k", "s3cret", 0644);
	kit_deinit(&kit);
}

static void test_a_pod_reads_what_is_known_of_it(void **state)
{
	struct kit kit = build(
		"\"downwardAPI\":{\"items\":[{\"path\":\"name\",\"fieldRef\":{\"fieldPath\":"
		"\"metadata.name\"}},{\"path\":\"labels\",\"fieldRef\":{\"fieldPath\":"
		"\"metadata.labels\"}},{\"path\":\"z\",\"fieldRef\":{\"fieldPath\":"
		"\"metadata.labels['z']\"}},{\"path\":\"cpu\",\"resourceFieldRef\":{"
		"\"containerName\":\"main\",\"resource\":\"limits.cpu\"}},{\"path\":\"milli\","
		"\"resourceFieldRef\":{\"containerName\":\"main\",\"resource\":\"limits.cpu\","
		"\"divisor\":\"1m\"}},{\"path\":\"memory\",\"resourceFieldRef\":{"
		"\"containerName\":\"main\",\"resource\":\"limits.memory\",\"divisor\":\"1Mi\"}}]"
		"}");

	(void)state;
	assert_int_equal(kit.result, 0);
	expect_file(&kit, "name", "web-0", 0644);
	expect_file(&kit, "labels", "app=\"a\\\"b\"\nz=\"last\"", 0644);
	expect_file(&kit, "z", "last", 0644);
	expect_file(&kit, "cpu", "2", 0644);
	expect_file(&kit, "milli", "1500", 0644);
	expect_file(&kit, "memory", "1024", 0644);
	kit_deinit(&kit);
}

static void expect_content(const char *dir, const char *name, const char *content)
{
	struct buf text = {0};

	assert_int_equal(file_read(path_format("%s/%s", dir, name).text, 1024, &text), 0);
	assert_string_equal(buf_cstr(&text), content);
	buf_deinit(&text);
}

static void test_a_volume_changes_at_once_and_keeps_nothing_old(void **state)
{
	char dir[] = "/tmp/config-test-XXXXXX", first[8] = {0}, second[8] = {0};
	struct kit kit = build("\"configMap\":{\"name\":\"conf\"}");
	struct projected_file other = {.path = (char *)(uintptr_t) "sub/c", .mode = 0600};
	struct projected changed = {.files = &other, .count = 1};

	(void)state;
	assert_non_null(mkdtemp(dir));
	buf_append_str(&other.content, "two");
	assert_int_equal(projected_write(dir, &kit.projected, POD_ID_UNSET, &kit.err), 0);
	expect_content(dir, "a", "one");
	assert_true(readlink(path_format("%s/..data", dir).text, first, sizeof(first) - 1) > 0);
	assert_int_equal(projected_write(dir, &changed, POD_ID_UNSET, &kit.err), 0);
	assert_true(readlink(path_format("%s/..data", dir).text, second, sizeof(second) - 1) > 0);
	assert_string_not_equal(first, second);
	expect_content(dir, "sub/c", "two");
	assert_false(path_exists(path_format("%s/a", dir).text));
	assert_int_equal(access(path_format("%s/%s", dir, first).text, F_OK), -1);
	assert_int_equal(tree_remove(dir), 0);
	buf_deinit(&other.content);
	kit_deinit(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_a_file_unless_it_is_no_name),
		cmocka_unit_test(test_items_choose_keys_paths_and_modes),
		cmocka_unit_test(test_what_is_missing_is_named),
		cmocka_unit_test(test_what_would_lead_out_is_refused),
		cmocka_unit_test(test_what_is_optional_may_be_missing),
		cmocka_unit_test(test_a_pod_reads_what_is_known_of_it),
		cmocka_unit_test(test_a_volume_changes_at_once_and_keeps_nothing_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
