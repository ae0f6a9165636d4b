/* SPDX-License-Identifier: Apache-2.0 */
/* What a steward signs for pods, and that it counts on the workplane only. */
#include "../identity/world.h"

#include <stdio.h>

#include "machineplane/pod_leaf.h"

static char namespace[] = "shop", kind[] = "Deployment", name[] = "web", pod[] = "web-5d59-x2k4c";

static struct warrant sound_warrant(void)
{
	return (struct warrant){.object = {.namespace = namespace},
				.pod_name = pod,
				.kind = kind,
				.name = name,
				.machine = {{7}}};
}

static int judge(const struct credentials *credentials, enum trust_purpose purpose,
		 const struct pod_leaf *leaf, struct cert *ret_cert)
{
	struct trust_query query = {.purpose = purpose, .now = NOW};
	struct chain chain = {0};
	struct trust trust;
	int outcome;

	for (size_t i = 0; i < leaf->chain.cert_count; i++)
		chain.cert[chain.count++] = bytes_buf(&leaf->chain.certs[i]);
	world_trust(credentials, &trust);
	outcome = trust_verify(&trust, &query, &chain, ret_cert, NULL);
	trust_deinit(&trust);
	return outcome;
}

static void leaf_free(struct pod_leaf *leaf)
{
	for (size_t i = 0; i < leaf->chain.cert_count; i++)
		buf_deinit(&leaf->chain.certs[i]);
}

static void test_a_pod_has_its_own_name_for_thirty_days(void **state)
{
	struct fabric_made *fabric = world_fabric(1);
	struct warrant warrant = sound_warrant();
	struct pod_leaf_terms terms = {.key = world_key(2).public_key, .now = NOW};
	struct pod_leaf leaf;
	struct cert cert;
	char uri[CERT_URI_MAX];

	(void)state;
	assert_int_equal(
		pod_leaf_issue(&fabric->credentials, &warrant, &terms, &leaf, &(struct err){0}), 0);
	assert_int_equal(judge(&fabric->credentials, TRUST_POD, &leaf, &cert), 0);
	(void)snprintf(uri, sizeof(uri), "spiffe://%s/ns/shop/deployment/web/web-5d59-x2k4c",
		       cert.fabric);
	assert_string_equal(cert.uri, uri);
	assert_true(node_id_equal(&cert.key, &terms.key));
	assert_true(node_id_equal(&cert.machine, &warrant.machine));
	assert_true(cert.not_after.ms - NOW.ms == CERT_POD_LIFE_MS);
	/* And it opens nothing else. */
	assert_int_not_equal(judge(&fabric->credentials, TRUST_MESH, &leaf, NULL), 0);
	assert_int_not_equal(judge(&fabric->credentials, TRUST_REST_USER, &leaf, NULL), 0);
	leaf_free(&leaf);
	world_free_fabric(fabric);
}

static void test_a_name_that_is_none_is_not_signed(void **state)
{
	static char slash[] = "web/../../bank", upper[] = "WEB";
	char *const bad[] = {slash, upper, (char[]){""}};
	struct fabric_made *fabric = world_fabric(1);
	struct pod_leaf_terms terms = {.key = world_key(2).public_key, .now = NOW};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct warrant warrant = sound_warrant();
		struct pod_leaf leaf;

		warrant.name = bad[i];
		assert_int_equal(pod_leaf_issue(&fabric->credentials, &warrant, &terms, &leaf,
						&(struct err){0}),
				 ISSUE_E_FORM);
	}
	world_free_fabric(fabric);
}

/* Whatever its node believes: its own certificate says for what it may sign. */
static void test_a_steward_signs_for_its_namespaces_only(void **state)
{
	struct fabric_made *fabric = world_fabric(1);
	struct grant grant = {.roles = ROLE_WORKER | ROLE_STEWARD};
	struct warrant warrant = sound_warrant();
	struct pod_leaf_terms terms = {.key = world_key(2).public_key, .now = NOW};
	struct voucher *voucher;
	struct join_reply *reply;
	struct pod_leaf leaf;

	(void)state;
	assert_true(grant_add_namespace(&grant, bytes_str("bank")));
	voucher = world_voucher(fabric, grant, false, NOW);
	reply = world_join(fabric, voucher, "beta", 3, NOW, false);
	assert_int_equal(
		pod_leaf_issue(&reply->credentials, &warrant, &terms, &leaf, &(struct err){0}),
		ISSUE_E_WIDENS);
	warrant.object.namespace = (char[]){"bank"};
	assert_int_equal(
		pod_leaf_issue(&reply->credentials, &warrant, &terms, &leaf, &(struct err){0}), 0);
	assert_int_equal(judge(&fabric->credentials, TRUST_POD, &leaf, NULL), 0);
	leaf_free(&leaf);
	world_free_reply(reply);
	world_free_voucher(voucher);
	world_free_fabric(fabric);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_has_its_own_name_for_thirty_days),
		cmocka_unit_test(test_a_name_that_is_none_is_not_signed),
		cmocka_unit_test(test_a_steward_signs_for_its_namespaces_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
