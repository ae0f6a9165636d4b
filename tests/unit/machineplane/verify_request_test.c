/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the host process lets into pods, and what it makes of revocations. */
#include "machineplane/verify.h"

#include <stdlib.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "identity/credentials.h"
#include "identity/issue.h"
#include "machineplane/pod_request.h"

/* Gateways: the fabric's maker, a steward of all and of one other namespace, and none. */
enum gateway_name { ALPHA, BETA, OTHER_STEWARD, WORKER, GATEWAYS };

struct machine {
	struct voucher *voucher;
	struct join_reply *reply;
	const struct credentials *credentials;
};

/* A user who runs a command in a pod, by way of a gateway; tests change one thing. */
struct scene {
	struct fabric_made *made;
	struct machine machines[GATEWAYS];
	struct verifier verifier;
	enum gateway_name gateway;
	struct wall at;
	uint32_t nonce; /* the next envelope's */
	struct user_credential user;
	struct api_credential credential;
	struct api_stream_request request;
	struct buf envelope;
	struct bytes chains[GATEWAYS];
	struct host_request asked;
	struct host_asker asker;
};

static const char *const words[] = {"sh", "-c", "id"};

static void join(struct scene *scene, enum gateway_name who, const char *name, struct grant grant)
{
	struct machine *machine = &scene->machines[who];

	machine->voucher = world_voucher(scene->made, grant, false, NOW);
	machine->reply =
		world_join(scene->made, machine->voucher, name, 10 * (uint32_t)who, NOW, false);
	machine->credentials = &machine->reply->credentials;
}

/* Certify @name anew, with @group. */
static void be_user(struct scene *scene, const char *name, const char *group, struct wall now)
{
	struct signer admit = credentials_admit(&scene->made->credentials, CERT_FAMILY_API);
	struct user_order order = {
		.name = name, .groups = &group, .group_count = group ? 1 : 0, .now = now};
	uint8_t random[USER_RANDOM_LEN];
	struct chain chain;
	struct err err = {0};

	buf_deinit(&scene->user.chain);
	world_random((uint32_t)now.ms, random, sizeof(random));
	assert_int_equal(user_issue(&order, &admit, random, &scene->user, &err), 0);
	chain = world_chain(&scene->user.chain);
	scene->credential.count = chain.count;
	for (size_t i = 0; i < chain.count; i++)
		scene->credential.certs[i] = chain.cert[i];
}

static int setup(void **state)
{
	struct scene *scene = mem_new(struct scene);
	struct node_id root[CERT_FAMILY_COUNT];
	struct grant other = {.roles = ROLE_STEWARD}, worker = {.roles = ROLE_WORKER};

	assert_true(grant_add_namespace(&other, bytes_str("other")));
	scene->made = world_fabric(1);
	scene->machines[ALPHA].credentials = &scene->made->credentials;
	join(scene, BETA, "beta", grant_plain());
	join(scene, OTHER_STEWARD, "gamma", other);
	join(scene, WORKER, "delta", worker);
	scene->gateway = BETA;
	scene->at = NOW;
	for (size_t i = 0; i < GATEWAYS; i++)
		scene->chains[i] = bytes_buf(&scene->machines[i].credentials->machine_chain);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		root[i] = scene->made->roots.key[i].public_key;
	verifier_init(&scene->verifier, root);
	be_user(scene, "jo", "magik:edit:default", NOW);
	scene->request = (struct api_stream_request){
		.kind = API_STREAM_EXEC,
		.machine = scene->machines[ALPHA].credentials->machine.key,
		.container = "web",
		.credential = &scene->credential,
		.command = words,
		.command_count = ARRAY_LEN(words),
	};
	memset(scene->request.pod.byte, 3, UID_LEN);
	scene->asked = (struct host_request){
		.node = scene->request.machine,
		.verb = POD_VERB_EXEC,
		.pod = scene->request.pod,
		.namespace = "default",
		.container = "web",
		.command = words,
		.command_count = ARRAY_LEN(words),
	};
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	verifier_deinit(&scene->verifier);
	for (size_t i = BETA; i < GATEWAYS; i++) {
		world_free_reply(scene->machines[i].reply);
		world_free_voucher(scene->machines[i].voucher);
	}
	world_free_fabric(scene->made);
	buf_deinit(&scene->user.chain);
	buf_deinit(&scene->envelope);
	free(scene);
	return 0;
}

static void seal(struct scene *scene, enum gateway_name by, struct bytes payload, struct buf *out)
{
	const struct credentials *credentials = scene->machines[by].credentials;
	struct envelope_seal with = {
		.key = &credentials->machine_key,
		.leaf = credentials->machine.hash,
		.at = scene->at,
	};

	scene->nonce++;
	memcpy(with.nonce, &scene->nonce, sizeof(scene->nonce));
	buf_clear(out);
	envelope_seal(&with, payload, out);
}

/* The gateway signs what the scene describes. */
static void sign(struct scene *scene)
{
	struct buf payload = {0};

	pod_request_encode(&scene->request, &payload);
	seal(scene, scene->gateway, bytes_buf(&payload), &scene->envelope);
	buf_deinit(&payload);
	scene->asked.signed_by_gateway =
		(struct host_envelope){bytes_buf(&scene->envelope), scene->chains, GATEWAYS};
}

static void accepted(struct scene *scene)
{
	struct err err = {0};

	if (verifier_request(&scene->verifier, &scene->asked, &scene->asker, &err) != 0)
		fail_msg("refused: %s", err.text);
}

static void refused(struct scene *scene, const char *says)
{
	struct err err = {0};

	assert_int_equal(verifier_request(&scene->verifier, &scene->asked, &scene->asker, &err),
			 -EACCES);
	assert_int_equal(err.status, 403);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void a_user_whom_a_steward_vouches_for_is_let_in_once(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	accepted(scene);
	assert_string_equal(scene->asker.name, "jo");
	assert_true(scene->asker.certified);
	refused(scene, "carried out already");
	sign(scene);
	accepted(scene);
}

static void a_request_is_good_for_what_it_says_alone(void **state)
{
	static const char *const others[] = {"sh", "-ci", "d"};
	struct scene *scene = *state;

	sign(scene);
	scene->asked.command = others;
	refused(scene, "something else");
	scene->asked.command = words;
	scene->asked.command_count--;
	refused(scene, "something else");
	scene->asked.command_count++;
	scene->asked.container = "db";
	refused(scene, "something else");
	scene->asked.container = "web";
	scene->asked.pod.byte[0] ^= 1;
	refused(scene, "something else");
	scene->asked.pod.byte[0] ^= 1;
	scene->asked.verb = POD_VERB_ATTACH;
	refused(scene, "something else");
	scene->asked.verb = POD_VERB_EXEC;
	scene->asked.node = scene->machines[BETA].credentials->machine.key;
	refused(scene, "another machine");
	scene->asked.node = scene->request.machine;
	accepted(scene);
}

static void a_port_is_that_port(void **state)
{
	struct scene *scene = *state;

	scene->request.kind = API_STREAM_PORT;
	scene->request.container = scene->asked.container = "";
	scene->request.command_count = scene->asked.command_count = 0;
	scene->request.port = 80;
	scene->asked.verb = POD_VERB_PORT;
	scene->asked.port = 81;
	sign(scene);
	refused(scene, "something else");
	scene->asked.port = 80;
	accepted(scene);
}

static void only_a_steward_of_the_namespace_lets_somebody_in(void **state)
{
	struct scene *scene = *state;

	scene->gateway = WORKER;
	sign(scene);
	refused(scene, "no steward");
	scene->gateway = OTHER_STEWARD;
	sign(scene);
	refused(scene, "no steward");
	be_user(scene, "jo", "magik:edit:*", NOW);
	scene->asked.namespace = "other";
	sign(scene);
	accepted(scene);
}

static void a_users_role_is_looked_at_again(void **state)
{
	struct scene *scene = *state;

	be_user(scene, "eve", "magik:view:default", NOW);
	sign(scene);
	refused(scene, "eve: the user may not");
	be_user(scene, "eve", "magik:edit:other", NOW);
	sign(scene);
	refused(scene, "eve: the user may not");
	be_user(scene, "eve", NULL, NOW);
	sign(scene);
	refused(scene, "eve: the user may not");

	be_user(scene, "eve", "magik:view:default", NOW);
	scene->request.kind = API_STREAM_LOG;
	scene->request.command_count = scene->asked.command_count = 0;
	scene->asked.verb = POD_VERB_LOGS;
	sign(scene);
	accepted(scene);
}

static void certificates_that_are_no_users_are_refused(void **state)
{
	struct scene *scene = *state;
	struct chain machine = world_chain(&scene->machines[BETA].credentials->machine_chain);
	struct fabric_made *other = world_fabric(8);
	struct chain stranger = world_chain(&other->admin.chain);

	memcpy(scene->credential.certs, machine.cert, sizeof(machine.cert));
	scene->credential.count = machine.count;
	sign(scene);
	refused(scene, "the user is refused");
	memcpy(scene->credential.certs, stranger.cert, sizeof(stranger.cert));
	scene->credential.count = stranger.count;
	sign(scene);
	refused(scene, "the user is refused");
	world_free_fabric(other);
}

static void the_administrator_of_a_gateway_is_named_by_it(void **state)
{
	struct scene *scene = *state;

	scene->credential.count = 0;
	sign(scene);
	accepted(scene);
	assert_false(scene->asker.certified);
	assert_string_equal(scene->asker.name, "beta");
}

static void a_request_that_was_kept_for_later_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	verifier_resume(&scene->verifier, (struct wall){NOW.ms + 2 * VERIFY_REQUEST_AGE_MAX_MS});
	refused(scene, "too old");
	scene->at.ms += 2 * VERIFY_REQUEST_AGE_MAX_MS;
	sign(scene);
	accepted(scene);
}

static void an_expired_user_is_refused(void **state)
{
	struct scene *scene = *state;

	scene->at.ms += CERT_MACHINE_LIFE_MS - CERT_DAY_MS;
	sign(scene);
	refused(scene, "expired");
}

static void every_flipped_byte_of_a_request_is_refused(void **state)
{
	struct scene *scene = *state;

	sign(scene);
	for (size_t i = 0; i < scene->envelope.len; i++) {
		scene->envelope.ptr[i] ^= 1;
		refused(scene, "");
		scene->envelope.ptr[i] ^= 1;
	}
	accepted(scene);
}

/* ---- revocations */

static int revoke(struct scene *scene, enum gateway_name by, struct revocation what)
{
	struct message message = {.type = MESSAGE_REVOCATION, .revocation = what};
	struct host_envelope revocation = {.chains = &scene->chains[by], .chain_count = 1};
	struct buf payload = {0}, sealed = {0};
	struct err err = {0};
	int result;

	message_encode(&message, &payload);
	seal(scene, by, bytes_buf(&payload), &sealed);
	revocation.envelope = bytes_buf(&sealed);
	result = verifier_revoke(&scene->verifier, &revocation, &err);
	if (result == 1) /* the same once more is not new */
		assert_int_equal(verifier_revoke(&scene->verifier, &revocation, &err), 0);
	buf_deinit(&payload);
	buf_deinit(&sealed);
	return result;
}

static struct revocation user_named(char *name)
{
	return (struct revocation){.kind = REVOCATION_USER, .user = name};
}

static void a_revoked_user_is_refused_whoever_vouches(void **state)
{
	struct scene *scene = *state;
	char jo[] = "jo";

	sign(scene);
	accepted(scene);
	assert_true(verifier_asker_stands(&scene->verifier, &scene->asker));
	scene->at.ms += 1000;
	assert_int_equal(revoke(scene, ALPHA, user_named(jo)), 1);
	assert_false(verifier_asker_stands(&scene->verifier, &scene->asker));
	sign(scene);
	refused(scene, "revoked");
	/* Also one signed before: it is carried out now. */
	scene->at = NOW;
	sign(scene);
	refused(scene, "revoked");
	scene->at.ms += 2000;
	be_user(scene, "jo", "magik:edit:default", scene->at);
	sign(scene);
	accepted(scene);
	assert_true(verifier_asker_stands(&scene->verifier, &scene->asker));
}

static void a_revoked_gateway_vouches_for_nobody(void **state)
{
	struct scene *scene = *state;
	struct revocation what = {
		.kind = REVOCATION_MACHINE,
		.machine = scene->machines[BETA].credentials->machine.key,
		.user = (char[]){""},
	};

	sign(scene);
	accepted(scene);
	assert_int_equal(revoke(scene, ALPHA, what), 1);
	assert_false(verifier_asker_stands(&scene->verifier, &scene->asker));
	sign(scene);
	refused(scene, "revoked");
	scene->gateway = ALPHA;
	sign(scene);
	accepted(scene);
}

static void only_an_admitter_revokes(void **state)
{
	struct scene *scene = *state;
	char jo[] = "jo";

	assert_int_equal(revoke(scene, BETA, user_named(jo)), -EACCES);
	assert_int_equal(revoke(scene, WORKER, user_named(jo)), -EACCES);
	sign(scene);
	accepted(scene);
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(a_user_whom_a_steward_vouches_for_is_let_in_once),
		SCENE_TEST(a_request_is_good_for_what_it_says_alone),
		SCENE_TEST(a_port_is_that_port),
		SCENE_TEST(only_a_steward_of_the_namespace_lets_somebody_in),
		SCENE_TEST(a_users_role_is_looked_at_again),
		SCENE_TEST(certificates_that_are_no_users_are_refused),
		SCENE_TEST(the_administrator_of_a_gateway_is_named_by_it),
		SCENE_TEST(a_request_that_was_kept_for_later_is_refused),
		SCENE_TEST(an_expired_user_is_refused),
		SCENE_TEST(every_flipped_byte_of_a_request_is_refused),
		SCENE_TEST(a_revoked_user_is_refused_whoever_vouches),
		SCENE_TEST(a_revoked_gateway_vouches_for_nobody),
		SCENE_TEST(only_an_admitter_revokes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
