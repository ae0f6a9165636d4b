/* SPDX-License-Identifier: Apache-2.0 */
/* Every refusal by its own test: its code, and the sentence that the log will carry. */
#include "world.h"

#include "identity/sha256.h"

/* One fabric, and trust in it; each test starts afresh. */
static struct fabric_made *fabric;
static struct trust trust;
static struct err err;

static int setup(void **state)
{
	fabric = world_fabric(1);
	world_trust(&fabric->credentials, &trust);
	err = (struct err){0};
	return 0;
}

static int teardown(void **state)
{
	trust_deinit(&trust);
	world_free_fabric(fabric);
	return 0;
}

static struct wall after(int64_t ms)
{
	return (struct wall){.ms = NOW.ms + ms};
}

static int verify_at(enum trust_purpose purpose, const struct buf *concatenated, struct wall now)
{
	struct trust_query query = {.purpose = purpose, .now = now};
	struct chain chain = world_chain(concatenated);

	return trust_verify(&trust, &query, &chain, NULL, &err);
}

static int verify(enum trust_purpose purpose, const struct buf *concatenated)
{
	return verify_at(purpose, concatenated, NOW);
}

static void assert_says(const char *part)
{
	if (!strstr(err.text, part))
		fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

/* The chain of a certificate as ordered under @signer, followed by @above (may be NULL). */
static struct buf issued(const struct cert_order *order, const struct signer *signer,
			 const struct buf *above)
{
	struct buf chain = {0};

	assert_int_equal(cert_issue(order, signer, &chain, &err), 0);
	if (above)
		buf_append_bytes(&chain, bytes_buf(above));
	return chain;
}

static struct signer root_signer(enum cert_family family)
{
	return (struct signer){&fabric->roots.key[family - 1],
			       bytes_buf(&fabric->credentials.root[family - 1])};
}

static void test_no_certificate_is_refused(void **state)
{
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain none = {0};

	assert_int_equal(trust_verify(&trust, &query, &none, NULL, &err), TRUST_E_NO_CREDENTIAL);
	assert_says("no certificate was shown");
	assert_int_equal(trust.refused[TRUST_E_NO_CREDENTIAL], 1);
}

static void test_rubbish_is_refused(void **state)
{
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain chain = {.count = 1};

	chain.cert[0] = bytes_str("0 this is not DER");
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_MALFORMED);
	chain.cert[0] = bytes_of(NULL, 0);
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_MALFORMED);
	chain.count = CHAIN_CERTS_MAX + 1;
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_MALFORMED);
}

static void test_a_certificate_of_another_fabric_is_refused_by_name(void **state)
{
	struct fabric_made *other = world_fabric(2);

	assert_int_equal(verify(TRUST_MESH, &other->credentials.machine_chain),
			 TRUST_E_OTHER_FABRIC);
	assert_says("of another fabric");
	assert_says(other->credentials.machine.fabric);
	world_free_fabric(other);
}

static void test_a_fabric_that_claims_our_id_is_untrusted(void **state)
{
	struct fabric_made *other = world_fabric(2);
	const struct key *false_root = &other->roots.key[0];
	struct cert_order order = world_order(CERT_ROOT, false_root);
	struct key key = world_key(3);
	struct buf root, chain;
	struct signer signer = {.key = false_root};

	order.family = CERT_FAMILY_MACHINE;
	order.fabric = fabric->credentials.machine.fabric;
	order.grant = grant_all();
	root = issued(&order, &signer, NULL);
	signer.cert = bytes_buf(&root);
	order = world_order(CERT_MACHINE, &key);
	order.name = "mallory";
	order.grant = grant_all();
	chain = issued(&order, &signer, &root);
	assert_int_equal(verify(TRUST_MESH, &chain), TRUST_E_UNTRUSTED);
	assert_says("not signed by root certificate of this fabric");
	buf_deinit(&root);
	buf_deinit(&chain);
	world_free_fabric(other);
}

static void test_a_user_certificate_is_refused_on_the_mesh(void **state)
{
	assert_int_equal(verify(TRUST_MESH, &fabric->admin.chain), TRUST_E_WRONG_KIND);
	assert_says("user certificate (admin) on the mesh");
	assert_int_equal(verify(TRUST_JOINER, &fabric->admin.chain), TRUST_E_WRONG_KIND);
	assert_int_equal(verify(TRUST_POD, &fabric->admin.chain), TRUST_E_WRONG_KIND);
}

static void test_a_machine_certificate_is_refused_at_rest(void **state)
{
	assert_int_equal(verify(TRUST_REST_USER, &fabric->credentials.machine_chain),
			 TRUST_E_WRONG_KIND);
	assert_says("machine certificate (alpha) on REST");
	assert_int_equal(verify(TRUST_REST_USER, &fabric->credentials.rest_chain),
			 TRUST_E_WRONG_KIND);
}

static void test_the_cache_does_not_lend_a_chain_to_another_purpose(void **state)
{
	assert_int_equal(verify(TRUST_MESH, &fabric->credentials.machine_chain), 0);
	assert_int_equal(verify(TRUST_REST_USER, &fabric->credentials.machine_chain),
			 TRUST_E_WRONG_KIND);
	assert_int_equal(verify(TRUST_POD, &fabric->credentials.machine_chain), TRUST_E_WRONG_KIND);
}

static void test_a_voucher_is_good_for_joining_and_nothing_else(void **state)
{
	struct voucher *voucher = world_voucher(fabric, grant_plain(), true, NOW);

	assert_int_equal(verify(TRUST_JOINER, &voucher->chain), 0);
	assert_int_equal(verify(TRUST_MESH, &voucher->chain), TRUST_E_WRONG_KIND);
	assert_says("voucher");
	assert_int_equal(verify(TRUST_ADMITTER, &voucher->chain), TRUST_E_WRONG_KIND);
	assert_int_equal(verify(TRUST_REST_USER, &voucher->chain), TRUST_E_WRONG_KIND);
	assert_int_equal(verify(TRUST_POD, &voucher->chain), TRUST_E_WRONG_KIND);
	world_free_voucher(voucher);
}

static void test_an_expired_voucher_is_refused_and_its_age_named(void **state)
{
	struct voucher *voucher = world_voucher(fabric, grant_plain(), true, NOW);

	assert_int_equal(verify_at(TRUST_JOINER, &voucher->chain, after(27 * CERT_HOUR_MS)),
			 TRUST_E_EXPIRED);
	assert_says("expired 3 h ago");
	assert_says("voucher");
	world_free_voucher(voucher);
}

static void test_an_expired_machine_may_only_renew_for_one_more_lifetime(void **state)
{
	const struct buf *chain = &fabric->credentials.machine_chain;
	struct trust_query query = {.purpose = TRUST_MESH,
				    .now = after(CERT_MACHINE_LIFE_MS + CERT_DAY_MS)};
	struct chain split = world_chain(chain);
	struct cert leaf;

	assert_int_equal(trust_verify(&trust, &query, &split, &leaf, &err), TRUST_E_RENEW_ONLY);
	assert_string_equal(leaf.name, "alpha");
	assert_int_equal(verify_at(TRUST_JOINER, chain, query.now), 0);
	query.now = after(2 * CERT_MACHINE_LIFE_MS + CERT_DAY_MS);
	assert_int_equal(verify_at(TRUST_JOINER, chain, query.now), TRUST_E_EXPIRED);
	assert_int_equal(verify_at(TRUST_MESH, chain, query.now), TRUST_E_EXPIRED);
}

static void test_expired_users_servers_and_pods_are_refused(void **state)
{
	assert_int_equal(verify_at(TRUST_REST_USER, &fabric->admin.chain, after(91 * CERT_DAY_MS)),
			 TRUST_E_EXPIRED);
	assert_int_equal(verify_at(TRUST_REST_SERVER, &fabric->credentials.rest_chain,
				   after(366 * CERT_DAY_MS)),
			 TRUST_E_EXPIRED);
}

static void test_a_machine_certificate_from_the_future_is_refused(void **state)
{
	assert_int_equal(verify_at(TRUST_MESH, &fabric->credentials.machine_chain,
				   after(-365 * CERT_DAY_MS)),
			 TRUST_E_NOT_YET);
	assert_says("valid only in 364 days");
}

static void test_who_does_not_know_the_time_can_still_tell_an_admitter(void **state)
{
	struct trust_query query = {.purpose = TRUST_ADMITTER, .now_is_floor = true};
	struct chain chain = world_chain(&fabric->credentials.machine_chain);

	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), 0);
	query.now = after(400 * CERT_DAY_MS);
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_RENEW_ONLY);
}

/* A steward's chain for @grant under alpha's own intermediate; the key is @key. */
static struct buf steward_chain(const struct key *key, const struct grant *grant)
{
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_WORKLOAD);
	struct cert_order order = world_order(CERT_STEWARD, key);

	order.grant = *grant;
	return issued(&order, &admit, &fabric->credentials.admit_cert[CERT_FAMILY_WORKLOAD - 1]);
}

static void test_a_pod_is_trusted_under_a_steward_of_its_namespace(void **state)
{
	struct key steward = world_key(4), pod = world_key(5);
	struct grant shop = {.roles = ROLE_STEWARD};
	struct cert_order order = world_order(CERT_POD, &pod);
	struct buf above, chain;
	struct signer signer;
	struct cert leaf;

	assert_true(grant_add_namespace(&shop, bytes_str("shop")));
	above = steward_chain(&steward, &shop);
	signer = (struct signer){&steward, world_chain(&above).cert[0]};
	order.pod_path = "ns/shop/deployment/web/web-0";
	chain = issued(&order, &signer, &above);
	assert_int_equal(verify(TRUST_POD, &chain), 0);
	leaf = world_leaf(&chain);
	assert_non_null(strstr(leaf.uri, "/ns/shop/deployment/web/web-0"));
	assert_int_equal(verify_at(TRUST_POD, &chain, after(31 * CERT_DAY_MS)), TRUST_E_EXPIRED);
	order.pod_path = "ns/bank/deployment/web/web-0";
	buf_clear(&chain);
	assert_int_equal(cert_issue(&order, &signer, &chain, &err), ISSUE_E_WIDENS);
	buf_deinit(&above);
	buf_deinit(&chain);
}

/* It has the pod's name, and opens no connection of the mesh; the reverse holds too. */
static void test_an_application_is_no_agent(void **state)
{
	struct key steward = world_key(4), application = world_key(5);
	struct grant shop = {.roles = ROLE_STEWARD};
	struct cert_order order = world_order(CERT_APPLICATION, &application);
	struct buf above, chain;
	struct signer signer;

	assert_true(grant_add_namespace(&shop, bytes_str("shop")));
	above = steward_chain(&steward, &shop);
	signer = (struct signer){&steward, world_chain(&above).cert[0]};
	order.pod_path = "ns/shop/deployment/web/web-0";
	chain = issued(&order, &signer, &above);
	assert_int_equal(verify(TRUST_APPLICATION, &chain), 0);
	assert_non_null(strstr(world_leaf(&chain).uri, "/ns/shop/deployment/web/web-0"));
	assert_int_equal(verify(TRUST_POD, &chain), TRUST_E_WRONG_KIND);
	assert_int_equal(verify(TRUST_MESH, &chain), TRUST_E_WRONG_KIND);
	buf_deinit(&chain);
	order.kind = CERT_POD;
	chain = issued(&order, &signer, &above);
	assert_int_equal(verify(TRUST_APPLICATION, &chain), TRUST_E_WRONG_KIND);
	order.kind = CERT_APPLICATION;
	order.pod_path = "ns/bank/deployment/web/web-0";
	buf_clear(&chain);
	assert_int_equal(cert_issue(&order, &signer, &chain, &err), ISSUE_E_WIDENS);
	buf_deinit(&above);
	buf_deinit(&chain);
}

static void revoke_machine(struct revocations *set, const struct node_id *machine)
{
	static char nothing[] = "";
	const struct revocation what = {.kind = REVOCATION_MACHINE,
					.machine = *machine,
					.user = nothing,
					.reason = nothing};
	const struct revocation_claim claim = {
		.what = &what, .at = NOW, .envelope = bytes_of(machine->byte, ID_LEN)};

	assert_int_equal(revocations_add(set, &claim, NOW), 0);
}

/* The pods of a machine go with it, and those that a steward has signed for with the steward. */
static void test_pods_of_a_revoked_machine_are_refused(void **state)
{
	struct key pod = world_key(5), other = world_key(7);
	struct signer steward = credentials_steward(&fabric->credentials);
	struct cert_order order = world_order(CERT_POD, &pod);
	struct revocations set, of_steward;
	struct buf above = {0}, chain;
	struct cert leaf;

	revocations_init(&set, 1);
	revocations_init(&of_steward, 1);
	buf_append_bytes(&above, bytes_buf(&fabric->credentials.steward_chain));
	order.pod_path = "ns/shop/deployment/web/web-0";
	order.machine = world_key(6).public_key;
	chain = issued(&order, &steward, &above);
	leaf = world_leaf(&chain);
	assert_true(node_id_equal(&leaf.machine, &order.machine));
	revoke_machine(&set, &other.public_key);
	trust.revocations = &set;
	assert_int_equal(verify(TRUST_POD, &chain), 0);
	revoke_machine(&set, &order.machine);
	assert_int_equal(verify(TRUST_POD, &chain), TRUST_E_REVOKED);
	assert_says("is revoked");
	revoke_machine(&of_steward, &fabric->credentials.machine.key);
	trust.revocations = &of_steward;
	assert_int_equal(verify(TRUST_POD, &chain), TRUST_E_REVOKED);
	trust.revocations = NULL;
	revocations_deinit(&set);
	revocations_deinit(&of_steward);
	buf_deinit(&above);
	buf_deinit(&chain);
}

static void test_a_steward_of_one_namespace_cannot_sign_for_another(void **state)
{
	struct key steward = world_key(4), pod = world_key(5);
	struct grant shop = {.roles = ROLE_STEWARD}, all = {ROLE_STEWARD, true};
	struct cert_order order = world_order(CERT_POD, &pod);
	struct buf narrow, broad, chain;
	struct signer signer;

	/* The steward's own tools would refuse, so it signs as if it held a broader certificate. */
	assert_true(grant_add_namespace(&shop, bytes_str("shop")));
	narrow = steward_chain(&steward, &shop);
	broad = steward_chain(&steward, &all);
	signer = (struct signer){&steward, world_chain(&broad).cert[0]};
	order.pod_path = "ns/bank/deployment/web/web-0";
	chain = issued(&order, &signer, &narrow);
	assert_int_equal(verify(TRUST_POD, &chain), TRUST_E_WIDENS);
	assert_says("pod of namespace bank outside its steward's");
	buf_deinit(&narrow);
	buf_deinit(&broad);
	buf_deinit(&chain);
}

static void test_a_leaf_with_more_roles_than_its_admitter_is_refused(void **state)
{
	const struct key *admit_key = &fabric->credentials.admit_key[0];
	struct signer root = root_signer(CERT_FAMILY_MACHINE);
	struct cert_order order = world_order(CERT_ADMIT, admit_key);
	struct buf narrow, chain;
	struct signer broad = credentials_admit(&fabric->credentials, CERT_FAMILY_MACHINE);
	struct key key = world_key(6);

	order.family = CERT_FAMILY_MACHINE;
	order.grant = (struct grant){.roles = ROLE_WORKER};
	narrow = issued(&order, &root, NULL);
	order = world_order(CERT_MACHINE, &key);
	order.name = "beta";
	order.grant = grant_plain();
	chain = issued(&order, &broad, &narrow);
	assert_int_equal(verify(TRUST_MESH, &chain), TRUST_E_WIDENS);
	assert_says("machine certificate of beta allows more than its issuer may");
	buf_deinit(&narrow);
	buf_deinit(&chain);
}

static void test_a_machine_cannot_act_as_an_admitter(void **state)
{
	struct key key = world_key(7);
	struct cert_order order = world_order(CERT_MACHINE, &key);
	struct signer self = {&fabric->credentials.machine_key,
			      world_chain(&fabric->credentials.machine_chain).cert[0]};
	struct buf none = {0};

	order.name = "beta";
	order.grant = grant_plain();
	assert_int_equal(cert_issue(&order, &self, &none, &err), ISSUE_E_KIND);
	assert_int_equal(none.len, 0);
}

static void test_an_intermediate_of_one_family_signs_nothing_in_another(void **state)
{
	struct signer api = credentials_admit(&fabric->credentials, CERT_FAMILY_API);
	struct key key = world_key(7);
	struct cert_order order = world_order(CERT_MACHINE, &key);
	struct buf none = {0};

	order.name = "beta";
	order.grant = grant_plain();
	assert_int_equal(cert_issue(&order, &api, &none, &err), ISSUE_E_KIND);
	assert_int_equal(none.len, 0);
}

static void test_a_worker_is_no_admitter(void **state)
{
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_MACHINE);
	struct key key = world_key(6);
	struct cert_order order = world_order(CERT_MACHINE, &key);
	struct buf chain;

	order.name = "beta";
	order.grant = (struct grant){.roles = ROLE_WORKER};
	chain = issued(&order, &admit, &fabric->credentials.admit_cert[0]);
	assert_int_equal(verify(TRUST_MESH, &chain), 0);
	assert_int_equal(verify(TRUST_ADMITTER, &chain), TRUST_E_NO_ROLE);
	assert_says("beta has not the role admit");
	buf_deinit(&chain);
}

static struct revocations revoked;

/* Somebody revokes @what at @at. */
static void revoke(struct revocation what, struct wall at)
{
	const struct revocation_claim claim = {
		.what = &what,
		.at = at,
		.signer = fabric->credentials.rest_key.public_key,
		.envelope = bytes_of((uint8_t *)&what, sizeof(what)),
	};

	if (!trust.revocations)
		revocations_init(&revoked, 1);
	trust.revocations = &revoked;
	assert_int_equal(revocations_add(&revoked, &claim, NOW), 0);
}

static struct revocation machine_named(const struct key *key)
{
	return (struct revocation){.kind = REVOCATION_MACHINE, .machine = key->public_key};
}

static void test_a_revoked_machine_is_refused_though_cached(void **state)
{
	assert_int_equal(verify(TRUST_MESH, &fabric->credentials.machine_chain), 0);
	revoke(machine_named(&fabric->credentials.machine_key), after(CERT_HOUR_MS));
	assert_int_equal(verify(TRUST_MESH, &fabric->credentials.machine_chain), TRUST_E_REVOKED);
	assert_int_equal(verify(TRUST_JOINER, &fabric->credentials.machine_chain), TRUST_E_REVOKED);
	assert_says("alpha) is revoked");
	revocations_deinit(&revoked);
}

static void test_what_was_signed_before_a_revocation_stays_valid(void **state)
{
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW, .signed_then = true};
	struct chain chain = world_chain(&fabric->credentials.machine_chain);

	revoke(machine_named(&fabric->credentials.machine_key), NOW);
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), 0);
	query.now = after(1);
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_REVOKED);
	revocations_deinit(&revoked);
}

/* A machine that alpha let in, and what alpha's intermediates have signed otherwise. */
static void test_leaves_of_a_revoked_admitter_may_only_renew(void **state)
{
	struct voucher *voucher = world_voucher(fabric, grant_plain(), false, NOW);
	struct join_reply *beta = world_join(fabric, voucher, "beta", 7, NOW, false);

	revoke(machine_named(&fabric->credentials.machine_key), NOW);
	assert_int_equal(verify(TRUST_MESH, &beta->credentials.machine_chain), TRUST_E_RENEW_ONLY);
	assert_int_equal(verify(TRUST_JOINER, &beta->credentials.machine_chain), 0);
	assert_int_equal(verify(TRUST_REST_USER, &fabric->admin.chain), TRUST_E_REVOKED);
	revocations_deinit(&revoked);
	world_free_reply(beta);
	world_free_voucher(voucher);
}

static void test_a_revoked_member_leaves_others_alone(void **state)
{
	struct voucher *voucher = world_voucher(fabric, grant_plain(), false, NOW);
	struct join_reply *beta = world_join(fabric, voucher, "beta", 7, NOW, true);

	revoke(machine_named(&beta->credentials.machine_key), NOW);
	assert_int_equal(verify(TRUST_MESH, &beta->credentials.machine_chain), TRUST_E_REVOKED);
	assert_int_equal(verify(TRUST_MESH, &fabric->credentials.machine_chain), 0);
	assert_int_equal(verify(TRUST_REST_USER, &fabric->admin.chain), 0);
	revocations_deinit(&revoked);
	world_free_reply(beta);
	world_free_voucher(voucher);
}

/* A user's credential, issued at @now. */
static struct buf user_chain(const char *name, struct wall now)
{
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_API);
	struct user_order order = {.name = name, .now = now};
	struct user_credential user;
	uint8_t random[USER_RANDOM_LEN];

	world_random((uint32_t)now.ms, random, sizeof(random));
	assert_int_equal(user_issue(&order, &admit, random, &user, &err), 0);
	return user.chain;
}

static void test_a_revoked_user_may_be_certified_anew(void **state)
{
	struct buf old = user_chain("jo", NOW), new = user_chain("jo", after(2000));
	struct buf other = user_chain("jim", NOW);

	revoke((struct revocation){.kind = REVOCATION_USER, .user = (char[]){"jo"}}, after(1000));
	assert_int_equal(verify_at(TRUST_REST_USER, &old, after(3000)), TRUST_E_REVOKED);
	assert_says("jo) is revoked");
	assert_int_equal(verify_at(TRUST_REST_USER, &new, after(3000)), 0);
	assert_int_equal(verify_at(TRUST_REST_USER, &other, after(3000)), 0);
	revocations_deinit(&revoked);
	buf_deinit(&old);
	buf_deinit(&new);
	buf_deinit(&other);
}

static void test_one_certificate_is_revoked_by_its_serial(void **state)
{
	struct buf one = user_chain("jo", NOW), another = user_chain("jo", after(1000));
	struct revocation what = {.kind = REVOCATION_SERIAL};
	struct cert leaf = world_leaf(&one);

	memcpy(what.serial.byte, leaf.serial, CERT_SERIAL_LEN);
	revoke(what, after(2000));
	assert_int_equal(verify_at(TRUST_REST_USER, &one, after(3000)), TRUST_E_REVOKED);
	assert_int_equal(verify_at(TRUST_REST_USER, &another, after(3000)), 0);
	revocations_deinit(&revoked);
	buf_deinit(&one);
	buf_deinit(&another);
}

static void test_a_chain_without_its_intermediate_is_untrusted(void **state)
{
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain chain = world_chain(&fabric->credentials.machine_chain);
	struct bytes leaf = chain.cert[0];

	chain.count = 1;
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_UNTRUSTED);
	chain.cert[0] = chain.cert[1];
	chain.cert[1] = leaf;
	chain.count = 2;
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), TRUST_E_WRONG_KIND);
}

static void test_a_chain_may_bring_its_root_along(void **state)
{
	struct buf whole = {0};

	buf_append_bytes(&whole, bytes_buf(&fabric->credentials.machine_chain));
	buf_append_bytes(&whole, bytes_buf(&fabric->credentials.root[0]));
	assert_int_equal(verify(TRUST_MESH, &whole), 0);
	buf_deinit(&whole);
}

static void test_the_cache_is_bounded_and_forgets_the_least_recently_used(void **state)
{
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_MACHINE);
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct digest first = fabric->credentials.machine.hash;
	const struct cert *leaf = NULL;

	assert_int_equal(verify(TRUST_MESH, &fabric->credentials.machine_chain), 0);
	for (uint32_t i = 0; i < 2 * trust.cache_max; i++) {
		struct key key = world_key(100 + i);
		struct cert_order order = world_order(CERT_MACHINE, &key);
		struct buf chain;

		order.name = "beta";
		order.grant = grant_plain();
		chain = issued(&order, &admit, &fabric->credentials.admit_cert[0]);
		assert_int_equal(verify(TRUST_MESH, &chain), 0);
		buf_deinit(&chain);
		assert_true(trust.cache.count <= trust.cache_max);
		/* Used each time, so it stays. */
		assert_int_equal(trust_leaf(&trust, &query, &first, &leaf, &err), 0);
	}
	assert_int_equal(trust.cache_evicted, trust.cache_max + 1);
	assert_string_equal(leaf->name, "alpha");
}

static void test_a_cached_chain_can_be_handed_on(void **state)
{
	struct digest unknown = sha256(bytes_str("unknown"));

	assert_int_equal(verify(TRUST_MESH, &fabric->credentials.machine_chain), 0);
	assert_true(bytes_equal(trust_chain(&trust, &fabric->credentials.machine.hash),
				bytes_buf(&fabric->credentials.machine_chain)));
	assert_int_equal(trust_chain(&trust, &unknown).len, 0);
}

static void test_a_leaf_under_a_renewed_intermediate_is_judged_by_the_new_one(void **state)
{
	struct signer root = root_signer(CERT_FAMILY_MACHINE);
	struct cert_order order = world_order(CERT_ADMIT, &fabric->credentials.admit_key[0]);
	struct chain old = world_chain(&fabric->credentials.machine_chain);
	struct buf short_lived, renewed;

	order.family = CERT_FAMILY_MACHINE;
	order.grant = grant_all();
	order.life_ms = CERT_DAY_MS;
	short_lived = issued(&order, &root, NULL);
	renewed = (struct buf){0};
	buf_append_bytes(&renewed, old.cert[0]);
	buf_append_bytes(&renewed, bytes_buf(&short_lived));
	assert_int_equal(verify(TRUST_MESH, &renewed), 0);
	assert_int_equal(verify_at(TRUST_MESH, &renewed, after(2 * CERT_DAY_MS)),
			 TRUST_E_RENEW_ONLY);
	assert_says("its issuer expired 24 h ago");
	assert_int_equal(
		verify_at(TRUST_MESH, &fabric->credentials.machine_chain, after(2 * CERT_DAY_MS)),
		0);
	buf_deinit(&short_lived);
	buf_deinit(&renewed);
}

static void test_each_changed_byte_of_a_chain_is_refused(void **state)
{
	struct buf *chain = &fabric->credentials.machine_chain;

	for (size_t i = 0; i < chain->len; i++) {
		struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
		struct chain split;

		chain->ptr[i] ^= 0x20;
		if (chain_split(bytes_buf(chain), &split))
			assert_int_not_equal(trust_verify(&trust, &query, &split, NULL, NULL), 0);
		chain->ptr[i] ^= 0x20;
	}
	assert_int_equal(verify(TRUST_MESH, chain), 0);
}

static void test_purposes_follow_from_the_alpn(void **state)
{
	assert_int_equal(trust_purpose_of("magik-machine/1", true), TRUST_MESH);
	assert_int_equal(trust_purpose_of("magik-machine/1", false), TRUST_MESH);
	assert_int_equal(trust_purpose_of("magik-join/1", true), TRUST_ADMITTER);
	assert_int_equal(trust_purpose_of("magik-join/1", false), TRUST_JOINER);
	assert_int_equal(trust_purpose_of("magik-work/1", false), TRUST_POD);
	assert_int_equal(trust_purpose_of("h3", false), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_certificate_is_refused),
		TEST(test_rubbish_is_refused),
		TEST(test_a_certificate_of_another_fabric_is_refused_by_name),
		TEST(test_a_fabric_that_claims_our_id_is_untrusted),
		TEST(test_a_user_certificate_is_refused_on_the_mesh),
		TEST(test_a_machine_certificate_is_refused_at_rest),
		TEST(test_the_cache_does_not_lend_a_chain_to_another_purpose),
		TEST(test_a_voucher_is_good_for_joining_and_nothing_else),
		TEST(test_an_expired_voucher_is_refused_and_its_age_named),
		TEST(test_an_expired_machine_may_only_renew_for_one_more_lifetime),
		TEST(test_expired_users_servers_and_pods_are_refused),
		TEST(test_a_machine_certificate_from_the_future_is_refused),
		TEST(test_who_does_not_know_the_time_can_still_tell_an_admitter),
		TEST(test_a_pod_is_trusted_under_a_steward_of_its_namespace),
		TEST(test_an_application_is_no_agent),
		TEST(test_pods_of_a_revoked_machine_are_refused),
		TEST(test_a_steward_of_one_namespace_cannot_sign_for_another),
		TEST(test_a_leaf_with_more_roles_than_its_admitter_is_refused),
		TEST(test_a_machine_cannot_act_as_an_admitter),
		TEST(test_an_intermediate_of_one_family_signs_nothing_in_another),
		TEST(test_a_worker_is_no_admitter),
		TEST(test_a_revoked_machine_is_refused_though_cached),
		TEST(test_what_was_signed_before_a_revocation_stays_valid),
		TEST(test_leaves_of_a_revoked_admitter_may_only_renew),
		TEST(test_a_revoked_member_leaves_others_alone),
		TEST(test_a_revoked_user_may_be_certified_anew),
		TEST(test_one_certificate_is_revoked_by_its_serial),
		TEST(test_a_chain_without_its_intermediate_is_untrusted),
		TEST(test_a_chain_may_bring_its_root_along),
		TEST(test_the_cache_is_bounded_and_forgets_the_least_recently_used),
		TEST(test_a_cached_chain_can_be_handed_on),
		TEST(test_a_leaf_under_a_renewed_intermediate_is_judged_by_the_new_one),
		TEST(test_each_changed_byte_of_a_chain_is_refused),
		TEST(test_purposes_follow_from_the_alpn),
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
