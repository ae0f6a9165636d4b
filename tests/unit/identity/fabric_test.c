/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>

static void test_a_new_fabric_has_chains_that_verify_for_their_purpose(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct trust trust;
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain chain = world_chain(&made->credentials.machine_chain);
	struct cert leaf;
	struct err err = {0};

	world_trust(&made->credentials, &trust);
	assert_int_equal(trust_verify(&trust, &query, &chain, &leaf, &err), 0);
	assert_string_equal(leaf.name, "alpha");
	assert_true(node_id_equal(&leaf.key, &made->credentials.machine_key.public_key));
	query.purpose = TRUST_ADMITTER;
	assert_int_equal(trust_verify(&trust, &query, &chain, &leaf, &err), 0);
	query.purpose = TRUST_REST_SERVER;
	chain = world_chain(&made->credentials.rest_chain);
	assert_int_equal(trust_verify(&trust, &query, &chain, &leaf, &err), 0);
	query.purpose = TRUST_REST_USER;
	chain = world_chain(&made->admin.chain);
	assert_int_equal(trust_verify(&trust, &query, &chain, &leaf, &err), 0);
	assert_string_equal(leaf.name, "admin");
	assert_int_equal(leaf.group_count, 1);
	assert_string_equal(leaf.groups[0], "system:masters");
	trust_deinit(&trust);
	world_free_fabric(made);
}

static void test_the_same_random_bytes_make_the_same_fabric(void **state)
{
	struct fabric_made *a = world_fabric(1), *b = world_fabric(1), *c = world_fabric(2);

	assert_true(bytes_equal(bytes_buf(&a->credentials.machine_chain),
				bytes_buf(&b->credentials.machine_chain)));
	assert_false(bytes_equal(bytes_buf(&a->credentials.machine_chain),
				 bytes_buf(&c->credentials.machine_chain)));
	assert_string_not_equal(a->credentials.machine.fabric, c->credentials.machine.fabric);
	world_free_fabric(a);
	world_free_fabric(b);
	world_free_fabric(c);
}

static void test_credentials_come_back_from_their_files(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct credentials_files files;
	struct credentials back;
	struct err err = {0};

	credentials_save(&made->credentials, &files);
	assert_string_equal(files.file[files.count - 1].name, "machine.pem");
	for (size_t i = 0; i < files.count; i++)
		assert_int_equal(files.file[i].secret, strstr(files.file[i].name, ".key") != NULL);
	assert_int_equal(credentials_load(&files, &back, &err), 0);
	assert_memory_equal(&back.machine_key, &made->credentials.machine_key,
			    sizeof(back.machine_key));
	assert_true(bytes_equal(bytes_buf(&back.steward_chain),
				bytes_buf(&made->credentials.steward_chain)));
	assert_true(credentials_is_admitter(&back));
	assert_true(credentials_is_steward(&back));
	credentials_deinit(&back);
	credentials_files_deinit(&files);
	world_free_fabric(made);
}

static void test_a_missing_or_damaged_file_is_named(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct credentials_files files;
	struct credentials back;
	struct err err = {0};

	credentials_save(&made->credentials, &files);
	files.count--;
	assert_int_equal(credentials_load(&files, &back, &err), -EBADMSG);
	assert_string_equal(err.text, "machine.pem is missing");
	files.count++;
	files.file[0].content.ptr[40] ^= 1;
	assert_int_equal(credentials_load(&files, &back, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "root-machine.pem"));
	credentials_files_deinit(&files);
	world_free_fabric(made);
}

static void test_a_key_of_another_certificate_is_refused(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct credentials_files files;
	struct credentials back;
	struct err err = {0};

	made->credentials.rest_key = world_key(9);
	credentials_save(&made->credentials, &files);
	assert_int_equal(credentials_load(&files, &back, &err), -EBADMSG);
	assert_string_equal(err.text, "rest.pem is not for rest.key");
	credentials_files_deinit(&files);
	world_free_fabric(made);
}

static void test_root_keys_come_back_from_their_files(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct credentials_files files;
	struct root_keys back;
	struct err err = {0};

	root_keys_save(&made->roots, &files);
	assert_int_equal(root_keys_load(&files, &back, &err), 0);
	assert_memory_equal(&back, &made->roots, sizeof(back));
	files.count--;
	assert_int_equal(root_keys_load(&files, &back, &err), -EBADMSG);
	files.count++;
	credentials_files_deinit(&files);
	world_free_fabric(made);
}

static void test_a_node_name_must_be_a_dns_label(void **state)
{
	static const char *const names[] = {
		"",
		"Alpha",
		"a.b",
		"-a",
		"a-",
		("x23456789012345678901234567890123456789012345678901234"
		 "5678901234")};
	uint8_t random[FABRIC_RANDOM_LEN];
	struct fabric_made made;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		world_random(1, random, sizeof(random));
		assert_int_equal(fabric_make(names[i], NOW, random, &made, &err), ISSUE_E_FORM);
	}
}

static void test_a_kubeconfig_carries_the_root_the_name_and_the_user(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct kubeconfig config = {.server = "10.0.0.1:6443", .namespace = "prod"};
	struct buf yaml = {0}, pem = {0}, data = {0};
	char expected[128];

	config.user = &made->admin;
	config.api_root_der = bytes_buf(&made->credentials.root[CERT_FAMILY_API - 1]);
	kubeconfig_render(&config, &yaml);
	(void)snprintf(expected, sizeof(expected), "tls-server-name: api.%s.magik\n",
		       made->credentials.machine.fabric);
	assert_non_null(strstr(buf_cstr(&yaml), expected));
	assert_non_null(strstr(buf_cstr(&yaml), "server: https://10.0.0.1:6443\n"));
	assert_non_null(strstr(buf_cstr(&yaml), "    namespace: prod\ncurrent-context:"));
	key_export_pem(&made->admin.key, &pem);
	base64_encode(bytes_buf(&pem), &data);
	assert_non_null(strstr(buf_cstr(&yaml), buf_cstr(&data)));
	buf_deinit(&yaml);
	buf_deinit(&pem);
	buf_deinit(&data);
	world_free_fabric(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_fabric_has_chains_that_verify_for_their_purpose),
		cmocka_unit_test(test_the_same_random_bytes_make_the_same_fabric),
		cmocka_unit_test(test_credentials_come_back_from_their_files),
		cmocka_unit_test(test_a_missing_or_damaged_file_is_named),
		cmocka_unit_test(test_a_key_of_another_certificate_is_refused),
		cmocka_unit_test(test_root_keys_come_back_from_their_files),
		cmocka_unit_test(test_a_node_name_must_be_a_dns_label),
		cmocka_unit_test(test_a_kubeconfig_carries_the_root_the_name_and_the_user),
	};

	return cmocka_run_group_tests_name("fabric", tests, NULL, NULL);
}
