/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "runtime/pod_spec.h"

static const char uid_text_of_claim[] = "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01";

static int setup(void **state)
{
	char *dir = mem_strdup("/tmp/claims-test-XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	int r = tree_remove(*state);

	free(*state);
	return r;
}

static json_t *claim_of(const char *uid, const char *storage)
{
	return json_pack("{s:{s:s,s:s,s:s},s:{s:{s:{s:s}}}}", "metadata", "uid", uid, "namespace",
			 "ns", "name", "disk", "spec", "resources", "requests", "storage", storage);
}

static struct uid uid_of(const json_t *claim)
{
	struct uid uid;

	assert_true(uid_parse(
		json_string_value(json_object_get(json_object_get(claim, "metadata"), "uid")),
		&uid));
	return uid;
}

static void test_a_directory_is_made_once_and_found_again(void **state)
{
	const char *dir = *state;
	json_t *json = claim_of(uid_text_of_claim, "1Mi");
	struct uid uid = uid_of(json);
	struct claims claims;
	struct path data, file;
	struct stat stat_data;
	struct err err;

	assert_int_equal(claim_make(dir, json, &err), 0);
	assert_int_equal(claim_path(dir, json, &data), 0);
	assert_int_equal(stat(data.text, &stat_data), 0);
	assert_int_equal(stat_data.st_mode & 07777, 0777);
	file = path_format("%s/file", data.text);
	assert_int_equal(file_replace(file.text, bytes_str("x"), 0600), 0);
	assert_int_equal(chmod(data.text, 0700), 0); /* as a database would */
	assert_int_equal(claim_make(dir, json, &err), 0);
	assert_int_equal(stat(data.text, &stat_data), 0);
	assert_int_equal(stat_data.st_mode & 07777, 0700);
	assert_true(path_exists(file.text));
	claims_init(&claims, dir);
	claims_recover(&claims);
	assert_non_null(claims_find(&claims, &uid));
	assert_true(json_equal(claims_named(&claims, "ns", "disk"), json));
	assert_null(claims_named(&claims, "other", "disk"));
	assert_false(claims_note(&claims, json));
	claims_find(&claims, &uid)->doomed = true;
	assert_null(claims_named(&claims, "ns", "disk"));
	claims_deinit(&claims);
	assert_int_equal(claim_remove(dir, &uid, &err), 0);
	assert_false(path_exists(file.text));
	assert_int_equal(claim_remove(dir, &uid, &err), 0);
	json_decref(json);
}

/* What names no uid names no directory. */
static void test_no_claim_leads_out_of_its_directory(void **state)
{
	static const char *const uids[] = {"", "..", "../../etc", "/etc",
					   "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01/../../../etc"};
	struct path path;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(uids); i++) {
		json_t *json = claim_of(uids[i], "1Mi");

		assert_int_equal(claim_path(*state, json, &path), -EINVAL);
		assert_int_equal(claim_make(*state, json, &err), -EINVAL);
		json_decref(json);
	}
	assert_int_equal(claim_path(*state, NULL, &path), -EINVAL);
}

static void test_more_than_the_disk_has_is_not_promised(void **state)
{
	json_t *json = claim_of(uid_text_of_claim, "1000Pi");
	struct path data;
	struct err err;

	assert_int_equal(claim_make(*state, json, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "MiB"));
	assert_int_equal(claim_path(*state, json, &data), 0);
	assert_false(path_exists(data.text));
	json_decref(json);
}

/* A machine that lost power while it removed one goes on with that. */
static void test_what_was_half_removed_is_removed(void **state)
{
	const char *dir = *state;
	struct path away = path_format("%s/%s.gone", dir, uid_text_of_claim);
	struct path odd = path_format("%s/lost+found", dir);
	struct claims claims;

	assert_int_equal(dir_make(path_format("%s/data", away.text).text, 0700), 0);
	assert_int_equal(dir_make(odd.text, 0700), 0);
	claims_init(&claims, dir);
	claims_recover(&claims);
	assert_false(path_exists(away.text));
	assert_true(path_exists(odd.text));
	assert_true(list_is_empty(&claims.list));
	claims_deinit(&claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_directory_is_made_once_and_found_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_claim_leads_out_of_its_directory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_more_than_the_disk_has_is_not_promised, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_was_half_removed_is_removed, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
