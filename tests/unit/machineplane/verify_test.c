/* SPDX-License-Identifier: Apache-2.0 */
/* What the host process makes of awards, of sound ones and of each way to forge one. */
#include "machineplane/verify.h"

#include <stdlib.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "wire/message.h"

#define MANIFEST "{\"kind\":\"Deployment\"}"

/* Who can sign: the fabric's maker, and machines that joined with vouchers of several roles. */
enum signer_name { ALPHA, BETA, OTHER_STEWARD, WORKER, SIGNERS };

struct machine {
	struct voucher *voucher;
	struct join_reply *reply;
	const struct credentials *credentials;
};

/* An award as it would come over IPC, and everything it is made from; tests change one thing. */
struct scene {
	struct fabric_made *made;
	struct machine machines[SIGNERS];
	struct verifier verifier;
	enum signer_name award_by, tender_by;
	struct wall at;
	struct message tender, award;
	struct assignment assignment;
	uint32_t slots[1];
	struct buf tender_envelope, award_envelope, manifest;
	struct bytes chains[SIGNERS];
	struct host_award asked;
};

static void join(struct scene *scene, enum signer_name who, const char *name, struct grant grant)
{
	struct machine *machine = &scene->machines[who];

	machine->voucher = world_voucher(scene->made, grant, false, NOW);
	machine->reply =
		world_join(scene->made, machine->voucher, name, 10 * (uint32_t)who, NOW, false);
	machine->credentials = &machine->reply->credentials;
}

static void describe(struct scene *scene)
{
	struct tender *tender = &scene->tender.tender;
	struct award *award = &scene->award.award;

	scene->tender.type = MESSAGE_TENDER;
	memset(tender->id.byte, 1, ID_LEN);
	memset(tender->object.uid.byte, 2, UID_LEN);
	tender->object.namespace = (char *)(uintptr_t) "default";
	tender->object.kind = (char *)(uintptr_t) "Deployment";
	tender->object.name = (char *)(uintptr_t) "web";
	tender->generation = 1;
	tender->slots = scene->slots;
	tender->slot_count = 1;
	tender->needs.engine = tender->needs.architecture = (char *)(uintptr_t) "";
	tender->manifest_digest = sha256(bytes_str(MANIFEST));
	scene->award.type = MESSAGE_AWARD;
	award->tender_id = tender->id;
	award->winner = scene->machines[ALPHA].credentials->machine.key;
	memset(scene->assignment.pod_uid.byte, 3, UID_LEN);
	scene->assignment.epoch = 4;
	scene->assignment.pod_name = (char *)(uintptr_t) "web-1";
	award->assignments = &scene->assignment;
	award->assignment_count = 1;
	buf_append_str(&award->manifest, MANIFEST);
	scene->asked = (struct host_award){
		.manifest = bytes_str(MANIFEST),
		.node = award->winner,
		.namespace = "default",
		.workload_uid = tender->object.uid,
		.pod_uid = scene->assignment.pod_uid,
		.epoch = 4,
	};
}

static int setup(void **state)
{
	struct scene *scene = mem_new(struct scene);
	struct node_id root[CERT_FAMILY_COUNT];
	struct grant steward = {.roles = ROLE_STEWARD}, worker = {.roles = ROLE_WORKER};

	assert_true(grant_add_namespace(&steward, bytes_str("other")));
	scene->made = world_fabric(1);
	scene->machines[ALPHA].credentials = &scene->made->credentials;
	join(scene, BETA, "beta", grant_plain());
	join(scene, OTHER_STEWARD, "gamma", steward);
	join(scene, WORKER, "delta", worker);
	scene->award_by = scene->tender_by = BETA;
	scene->at = NOW;
	for (size_t i = 0; i < SIGNERS; i++)
		scene->chains[i] = bytes_buf(&scene->machines[i].credentials->machine_chain);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		root[i] = scene->made->roots.key[i].public_key;
	verifier_init(&scene->verifier, root);
	describe(scene);
	scene->asked.chains = scene->chains;
	scene->asked.chain_count = SIGNERS;
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	verifier_deinit(&scene->verifier);
	for (size_t i = BETA; i < SIGNERS; i++) {
		world_free_reply(scene->machines[i].reply);
		world_free_voucher(scene->machines[i].voucher);
	}
	world_free_fabric(scene->made);
	buf_deinit(&scene->award.award.manifest);
	buf_deinit(&scene->award.award.tender_envelope);
	buf_deinit(&scene->tender_envelope);
	buf_deinit(&scene->award_envelope);
	free(scene);
	return 0;
}

static void seal(const struct scene *scene, enum signer_name by, const struct message *message,
		 struct buf *out)
{
	const struct credentials *credentials = scene->machines[by].credentials;
	struct envelope_seal with = {
		.key = &credentials->machine_key,
		.leaf = credentials->machine.hash,
		.at = scene->at,
	};
	struct buf payload = {0};

	buf_clear(out);
	message_encode(message, &payload);
	envelope_seal(&with, bytes_buf(&payload), out);
	buf_deinit(&payload);
}

/* Sign what the scene describes. */
static void sign(struct scene *scene)
{
	struct award *award = &scene->award.award;

	seal(scene, scene->tender_by, &scene->tender, &scene->tender_envelope);
	buf_clear(&award->tender_envelope);
	buf_append_bytes(&award->tender_envelope, bytes_buf(&scene->tender_envelope));
	seal(scene, scene->award_by, &scene->award, &scene->award_envelope);
	scene->asked.tender = bytes_buf(&scene->tender_envelope);
	scene->asked.award = bytes_buf(&scene->award_envelope);
}

static void accepted(struct scene *scene)
{
	struct err err = {0};

	if (verifier_award(&scene->verifier, &scene->asked, &err) != 0)
		fail_msg("refused: %s", err.text);
}

static void refused(struct scene *scene, const char *says)
{
	struct err err = {0};

	assert_int_equal(verifier_award(&scene->verifier, &scene->asked, &err), -EACCES);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void a_sound_award_is_accepted_again_and_again(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	accepted(scene);
	accepted(scene);
}

static void an_award_and_a_tender_of_different_machines_are_refused(void **state)
{
	struct scene *scene = *state;

	scene->award_by = ALPHA;
	sign(scene);
	refused(scene, "different machines");
}

static void an_award_for_another_machine_is_refused(void **state)
{
	struct scene *scene = *state;

	scene->award.award.winner = scene->machines[BETA].credentials->machine.key;
	sign(scene);
	refused(scene, "another machine");
}

static void a_manifest_that_was_not_announced_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	scene->asked.manifest = bytes_str("{\"kind\":\"Deployment\" }");
	refused(scene, "not the one that was announced");
}

static void a_pod_that_is_not_assigned_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	scene->asked.pod_uid.byte[0] ^= 1;
	refused(scene, "does not name this pod");
	scene->asked.pod_uid.byte[0] ^= 1;
	scene->asked.slot++;
	refused(scene, "does not name this pod");
	scene->asked.slot--;
	scene->asked.epoch++;
	refused(scene, "does not name this pod");
	scene->asked.epoch--;
	accepted(scene);
}

static void a_steward_of_another_namespace_is_refused(void **state)
{
	struct scene *scene = *state;

	scene->award_by = scene->tender_by = OTHER_STEWARD;
	sign(scene);
	refused(scene, "no steward of the namespace");
	scene->tender.tender.object.namespace = (char *)(uintptr_t) "other";
	scene->asked.namespace = "other";
	sign(scene);
	accepted(scene);
}

static void a_manifest_of_another_namespace_or_workload_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	scene->asked.namespace = "other";
	refused(scene, "another workload");
	scene->asked.namespace = "default";
	scene->asked.workload_uid.byte[0] ^= 1;
	refused(scene, "another workload");
}

static void a_worker_places_nothing(void **state)
{
	struct scene *scene = *state;

	scene->award_by = scene->tender_by = WORKER;
	sign(scene);
	refused(scene, "no steward");
}

static void an_issuer_whose_chain_is_missing_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	scene->asked.chains = &scene->chains[ALPHA];
	scene->asked.chain_count = 1;
	refused(scene, "not known");
}

static void a_chain_of_another_fabric_is_refused(void **state)
{
	struct scene *scene = *state;
	struct fabric_made *other = world_fabric(8);

	scene->machines[BETA].credentials = &other->credentials;
	scene->chains[BETA] = bytes_buf(&other->credentials.machine_chain);
	sign(scene);
	refused(scene, "not known");
	world_free_fabric(other);
}

static void other_messages_in_the_places_of_award_and_tender_are_refused(void **state)
{
	struct scene *scene = *state;
	struct bytes award;

	sign(scene);
	award = scene->asked.award;
	scene->asked.award = scene->asked.tender;
	refused(scene, "not a");
	scene->asked.award = award;
	scene->asked.tender = award;
	refused(scene, "not a");
}

static void an_award_that_answers_another_tender_is_refused(void **state)
{
	struct scene *scene = *state;
	struct buf twin = {0};

	sign(scene);
	/* The same words signed again: as good a tender, but not the one the award contains. */
	scene->at.ms++;
	seal(scene, BETA, &scene->tender, &twin);
	scene->asked.tender = bytes_buf(&twin);
	refused(scene, "another tender");
	scene->at.ms--;
	scene->award.award.tender_id.byte[0] ^= 1;
	sign(scene);
	refused(scene, "another tender");
	buf_deinit(&twin);
}

static void every_flipped_byte_of_an_award_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	for (size_t i = 0; i < scene->award_envelope.len; i++) {
		scene->award_envelope.ptr[i] ^= 1;
		refused(scene, "");
		scene->award_envelope.ptr[i] ^= 1;
	}
	accepted(scene);
}

/* A ConfigMap of namespace "default", signed by @by. */
static int judge_object(struct scene *scene, enum signer_name by, enum record_kind kind,
			struct record *ret, struct err *err)
{
	struct message message = {.type = MESSAGE_RECORD};
	struct host_envelope envelope = {.chains = scene->chains, .chain_count = SIGNERS};
	struct buf sealed = {0};
	int result;

	message.record.key.kind = kind;
	memset(message.record.key.uid.byte, 7, UID_LEN);
	message.record.object = (struct object_ref){
		.uid = message.record.key.uid,
		.namespace = (char *)(uintptr_t) "default",
		.kind = (char *)(uintptr_t) "ConfigMap",
		.name = (char *)(uintptr_t) "conf",
	};
	message.record.version.generation = 1;
	message.record.version.hlc = 1;
	message.record.written_ms = scene->at.ms;
	if (kind == RECORD_OBJECT)
		buf_append_str(&message.record.value, "{}");
	message.record.version.digest = sha256(bytes_buf(&message.record.value));
	seal(scene, by, &message, &sealed);
	envelope.envelope = bytes_buf(&sealed);
	result = verifier_object(&scene->verifier, &envelope, ret, err);
	buf_deinit(&sealed);
	buf_deinit(&message.record.value);
	return result;
}

static void an_object_counts_only_under_a_stewards_name(void **state)
{
	struct scene *scene = *state;
	struct record record = {0};
	struct err err = {0};

	if (judge_object(scene, BETA, RECORD_OBJECT, &record, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(record.object.name, "conf");
	record_deinit(&record);
	assert_int_equal(judge_object(scene, BETA, RECORD_TOMBSTONE, &record, &err), 0);
	record_deinit(&record);
	assert_int_equal(judge_object(scene, WORKER, RECORD_OBJECT, &record, &err), -EACCES);
	assert_int_equal(judge_object(scene, OTHER_STEWARD, RECORD_OBJECT, &record, &err), -EACCES);
}

/* An award of a year later does not make it void: it was in force when it was signed. */
static void an_object_outlives_its_writers_certificate(void **state)
{
	struct scene *scene = *state;
	struct record record = {0};
	struct err err = {0};

	verifier_resume(&scene->verifier, (struct wall){NOW.ms + 3ll * 365 * 24 * 3600 * 1000});
	assert_int_equal(judge_object(scene, BETA, RECORD_OBJECT, &record, &err), 0);
	record_deinit(&record);
	sign(scene);
	refused(scene, "");
}

static void what_is_no_envelope_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	scene->asked.award = (struct bytes){0};
	refused(scene, "no envelope");
	scene->asked.award = bytes_str("rubbish");
	refused(scene, "no envelope");
}

static void a_certificate_that_had_run_out_when_it_signed_is_refused(void **state)
{
	struct scene *scene = *state;

	scene->at = (struct wall){NOW.ms + CERT_MACHINE_LIFE_MS + CERT_DAY_MS};
	sign(scene);
	refused(scene, "expired");
}

/* It may be of a pod that was deleted long ago. */
static void an_award_that_was_kept_for_later_is_refused(void **state)
{
	struct scene *scene = *state;

	scene->at = NOW;
	sign(scene);
	verifier_resume(&scene->verifier, (struct wall){NOW.ms + VERIFY_AGE_MAX_MS / 2});
	accepted(scene);
	verifier_resume(&scene->verifier, (struct wall){NOW.ms + 2 * VERIFY_AGE_MAX_MS});
	refused(scene, "too old");
}

/* Another machine's award shows that time has moved on: dating back does not help any more. */
static void a_certificate_that_has_run_out_cannot_sign_with_an_old_date(void **state)
{
	struct scene *scene = *state;
	struct voucher *voucher;
	struct wall late = {NOW.ms + CERT_MACHINE_LIFE_MS + CERT_DAY_MS};
	struct join_reply *renewed;

	sign(scene);
	accepted(scene);

	voucher = world_voucher(scene->made, grant_plain(), false, late);
	renewed = world_join(scene->made, voucher, "epsilon", 99, late, false);
	scene->machines[OTHER_STEWARD].credentials = &renewed->credentials;
	scene->chains[OTHER_STEWARD] = bytes_buf(&renewed->credentials.machine_chain);
	scene->award_by = scene->tender_by = OTHER_STEWARD;
	scene->at = late;
	sign(scene);
	accepted(scene);

	scene->award_by = scene->tender_by = BETA;
	scene->at = NOW;
	sign(scene);
	refused(scene, "expired");
	world_free_reply(renewed);
	world_free_voucher(voucher);
}

static void revoke(struct scene *scene, enum signer_name who)
{
	struct revocation what = {.kind = REVOCATION_MACHINE,
				  .machine = scene->machines[who].credentials->machine.key};
	struct revocation_claim claim = {
		.what = &what,
		.signer = scene->machines[ALPHA].credentials->machine.key,
		.at = (struct wall){NOW.ms + 1000},
		.envelope = bytes_of(what.machine.byte, ID_LEN),
	};

	assert_int_equal(revocations_add(&scene->verifier.revocations, &claim, NOW), 0);
}

/* Signed while it was trusted still: it is carried out now. */
static void an_award_of_a_revoked_machine_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	accepted(scene);
	revoke(scene, BETA);
	refused(scene, "beta) is revoked");
	scene->award_by = scene->tender_by = ALPHA;
	sign(scene);
	accepted(scene);
}

static void a_revoked_machine_starts_nothing(void **state)
{
	struct scene *scene = *state;

	scene->asked.node = scene->award.award.winner =
		scene->machines[WORKER].credentials->machine.key;
	sign(scene);
	accepted(scene);
	revoke(scene, WORKER);
	refused(scene, "this machine has been revoked");
}

/* What a steward signs for the application in a pod, and ways in which it is not for that. */
struct signed_application {
	struct key key;
	struct buf chain;
	struct host_application application;
};

static void sign_application(const struct scene *scene, enum cert_kind kind,
			     struct signed_application *ret)
{
	const struct credentials *by = &scene->made->credentials;
	struct signer steward = credentials_steward(by);
	struct cert_order order = {.kind = kind,
				   .key = world_key(77).public_key,
				   .pod_path = "ns/shop/deployment/web/web-1",
				   .serial = {1},
				   .now = NOW};
	struct err err = {0};

	*ret = (struct signed_application){.key = world_key(77)};
	assert_int_equal(cert_issue(&order, &steward, &ret->chain, &err), 0);
	buf_append_bytes(&ret->chain, bytes_buf(&by->steward_chain));
	ret->application = (struct host_application){
		.chain = bytes_buf(&ret->chain),
		.root = bytes_buf(&by->root[CERT_FAMILY_WORKLOAD - 1]),
		.key = order.key,
		.namespace = "shop",
		.pod = "web-1",
	};
}

static int judge_application(struct scene *scene, const struct host_application *application)
{
	struct cert leaf;

	return verifier_application(&scene->verifier, application, &leaf, &(struct err){0});
}

static void an_application_has_the_certificate_of_its_pod_and_key(void **state)
{
	struct scene *scene = *state;
	struct fabric_made *foreign = world_fabric(9);
	struct signed_application made, of_agent;
	struct host_application changed;

	sign_application(scene, CERT_APPLICATION, &made);
	sign_application(scene, CERT_POD, &of_agent);
	assert_int_equal(judge_application(scene, &made.application), 0);
	changed = made.application;
	changed.pod = "web-2";
	assert_int_equal(judge_application(scene, &changed), -EACCES);
	changed = made.application;
	changed.namespace = "sho";
	assert_int_equal(judge_application(scene, &changed), -EACCES);
	changed = made.application;
	changed.key = world_key(78).public_key;
	assert_int_equal(judge_application(scene, &changed), -EACCES);
	changed = made.application;
	changed.root = bytes_buf(&foreign->credentials.root[CERT_FAMILY_WORKLOAD - 1]);
	assert_int_equal(judge_application(scene, &changed), -EACCES);
	changed.root = bytes_buf(&scene->made->credentials.root[CERT_FAMILY_API - 1]);
	assert_int_equal(judge_application(scene, &changed), -EACCES);
	assert_int_equal(judge_application(scene, &of_agent.application), -EACCES);
	world_free_fabric(foreign);
	buf_deinit(&made.chain);
	buf_deinit(&of_agent.chain);
}

/* What is known of time by an award that came later. */
static void an_application_is_given_nothing_that_has_run_out(void **state)
{
	struct scene *scene = *state;
	struct signed_application made;

	sign_application(scene, CERT_APPLICATION, &made);
	verifier_resume(&scene->verifier, (struct wall){NOW.ms + 31 * CERT_DAY_MS});
	assert_int_equal(judge_application(scene, &made.application), -EACCES);
	buf_deinit(&made.chain);
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(a_sound_award_is_accepted_again_and_again),
		SCENE_TEST(an_award_and_a_tender_of_different_machines_are_refused),
		SCENE_TEST(an_award_for_another_machine_is_refused),
		SCENE_TEST(a_manifest_that_was_not_announced_is_refused),
		SCENE_TEST(a_pod_that_is_not_assigned_is_refused),
		SCENE_TEST(a_steward_of_another_namespace_is_refused),
		SCENE_TEST(a_manifest_of_another_namespace_or_workload_is_refused),
		SCENE_TEST(a_worker_places_nothing),
		SCENE_TEST(an_issuer_whose_chain_is_missing_is_refused),
		SCENE_TEST(a_chain_of_another_fabric_is_refused),
		SCENE_TEST(other_messages_in_the_places_of_award_and_tender_are_refused),
		SCENE_TEST(an_award_that_answers_another_tender_is_refused),
		SCENE_TEST(every_flipped_byte_of_an_award_is_refused),
		SCENE_TEST(an_object_counts_only_under_a_stewards_name),
		SCENE_TEST(an_object_outlives_its_writers_certificate),
		SCENE_TEST(what_is_no_envelope_is_refused),
		SCENE_TEST(an_award_of_a_revoked_machine_is_refused),
		SCENE_TEST(a_revoked_machine_starts_nothing),
		SCENE_TEST(a_certificate_that_had_run_out_when_it_signed_is_refused),
		SCENE_TEST(an_award_that_was_kept_for_later_is_refused),
		SCENE_TEST(a_certificate_that_has_run_out_cannot_sign_with_an_old_date),
		SCENE_TEST(an_application_has_the_certificate_of_its_pod_and_key),
		SCENE_TEST(an_application_is_given_nothing_that_has_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
