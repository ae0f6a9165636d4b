/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/envelope.h"
#include "identity/sha256.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "kube/access.h"
#include "machineplane/pod_request.h"
#include "wire/message.h"

void verifier_init(struct verifier *verifier, const struct node_id root[CERT_FAMILY_COUNT])
{
	uint8_t seed[REPLAY_SEED_LEN];

	*verifier = (struct verifier){.ready = true};
	trust_init(&verifier->trust, root, TRUST_CACHE_DEFAULT, entropy_u64());
	revocations_init(&verifier->revocations, entropy_u64());
	verifier->trust.revocations = &verifier->revocations;
	entropy_fill(seed, sizeof(seed));
	replay_init(&verifier->replay, seed, VERIFY_REQUESTS_MAX);
}

void verifier_deinit(struct verifier *verifier)
{
	if (verifier->ready) {
		trust_deinit(&verifier->trust);
		revocations_deinit(&verifier->revocations);
		replay_deinit(&verifier->replay);
	}
	verifier->ready = false;
}

/* Fabric time is not before what this returns. */
static struct wall time_floor(const struct verifier *verifier)
{
	struct wall floor = verifier->latest;

	if (floor.ms)
		floor.ms += (clock_mono().us - verifier->latest_seen.us) / US_PER_MS;
	return floor;
}

void verifier_resume(struct verifier *verifier, struct wall latest)
{
	verifier->latest = latest;
	verifier->latest_seen = clock_mono();
}

/* The time to judge by: the envelope's own, unless more has passed already. */
static struct trust_query query_for(const struct verifier *verifier, struct wall at)
{
	struct trust_query query = {.purpose = TRUST_MESH, .now = at, .now_is_floor = true};
	struct wall floor = time_floor(verifier);

	if (query.now.ms < floor.ms)
		query.now = floor;
	return query;
}

static void learn_time(struct verifier *verifier, struct wall at)
{
	if (at.ms <= time_floor(verifier).ms)
		return;
	verifier->latest = at;
	verifier->latest_seen = clock_mono();
}

/* Sound chains are remembered; their time is judged when an envelope is opened. */
static void learn_chains(struct verifier *verifier, const struct bytes *chains, size_t count)
{
	struct trust_query query = query_for(verifier, (struct wall){0});

	for (size_t i = 0; i < count; i++) {
		struct chain chain;

		if (chain_split(chains[i], &chain))
			(void)!trust_verify(&verifier->trust, &query, &chain, NULL, NULL);
	}
}

/* An envelope of ours that verified. */
struct opened {
	struct cert issuer;
	struct envelope envelope; /* borrows from the bytes */
	struct wall at;
	struct message message;
};

/* Which time an envelope is judged by. */
enum judged_at {
	JUDGED_NOW, /* its own, or what it is known to be by now */
	JUDGED_THEN /* its own; what was revoked later counts for nothing */
};

/* Open an envelope that must contain a message of @type; @ret is to be deinitialised in any case.
 */
static int open_message(struct verifier *verifier, struct bytes bytes, enum message_type type,
			enum judged_at judged_at, struct opened *ret, struct err *err)
{
	const struct cert *leaf;
	struct trust_query query;
	struct envelope envelope;
	const char *what = message_type_name(type);

	*ret = (struct opened){0};
	if (envelope_parse(bytes, &envelope) != 0)
		return err_set(err, -EACCES, "the %s is no envelope", what);
	query = query_for(verifier, envelope.at);
	if (judged_at == JUDGED_THEN) {
		query.now = envelope.at;
		query.signed_then = true;
	}
	if (envelope_open(bytes, &verifier->trust, &query, &envelope, &leaf, err) != 0) {
		(void)err_prefix(err, "the %s does not verify", what);
		return -EACCES;
	}
	ret->issuer = *leaf;
	ret->at = envelope.at;
	ret->envelope = envelope;
	if (message_decode(envelope.payload, &ret->message) != 0)
		return err_set(err, -EACCES, "the %s is malformed", what);
	if (ret->message.type != type)
		return err_set(err, -EACCES, "not a %s", what);
	return 0;
}

static bool assigns(const struct award *award, const struct host_award *asked)
{
	for (size_t i = 0; i < award->assignment_count; i++) {
		const struct assignment *assignment = &award->assignments[i];

		if (uid_equal(&assignment->pod_uid, &asked->pod_uid) &&
		    assignment->slot == asked->slot && assignment->epoch == asked->epoch)
			return true;
	}
	return false;
}

static const char *misfit(const struct host_award *asked, const struct opened *awarded,
			  const struct opened *tendered)
{
	const struct award *award = &awarded->message.award;
	const struct tender *tender = &tendered->message.tender;
	struct digest manifest = sha256(asked->manifest);

	if (!node_id_equal(&awarded->issuer.key, &tendered->issuer.key))
		return "award and tender are of different machines";
	if (!digest_equal(&award->tender_id, &tender->id) ||
	    !bytes_equal(bytes_buf(&award->tender_envelope), asked->tender))
		return "the award answers another tender";
	if (!node_id_equal(&award->winner, &asked->node))
		return "the award is for another machine";
	if (!digest_equal(&manifest, &tender->manifest_digest))
		return "the manifest is not the one that was announced";
	if (!assigns(award, asked))
		return "the award does not name this pod";
	if (!uid_equal(&tender->object.uid, &asked->workload_uid) ||
	    strcmp(tender->object.namespace, asked->namespace) != 0)
		return "the manifest is of another workload";
	if (!grant_stewards(&awarded->issuer.grant, bytes_str(tender->object.namespace)))
		return "the owner is no steward of the namespace";
	return NULL;
}

int verifier_award(void *ctx, const struct host_award *asked, struct err *err)
{
	struct verifier *verifier = ctx;
	struct opened *award = mem_new(struct opened), *tender = mem_new(struct opened);
	const char *wrong;
	int result;

	learn_chains(verifier, asked->chains, asked->chain_count);
	result = open_message(verifier, asked->award, MESSAGE_AWARD, JUDGED_NOW, award, err);
	if (result == 0)
		result = open_message(verifier, asked->tender, MESSAGE_TENDER, JUDGED_NOW, tender,
				      err);
	if (result == 0) {
		wrong = revocations_hit_machine(&verifier->revocations, &asked->node, WALL_NEVER)
				? "this machine has been revoked"
				: misfit(asked, award, tender);
		if (!wrong && award->at.ms < time_floor(verifier).ms - VERIFY_AGE_MAX_MS)
			wrong = "the award is too old";
		if (wrong)
			result = err_set(err, -EACCES, "%s", wrong);
		else
			learn_time(verifier, award->at);
	}
	message_deinit(&award->message);
	message_deinit(&tender->message);
	free(award);
	free(tender);
	return result;
}

static const char *object_misfit(const struct opened *opened)
{
	const struct record *record = &opened->message.record;

	if (record->key.kind != RECORD_OBJECT && record->key.kind != RECORD_TOMBSTONE)
		return "the record is no object";
	if (!record->object.namespace ||
	    !grant_stewards(&opened->issuer.grant, bytes_str(record->object.namespace)))
		return "its writer is no steward of the namespace";
	return NULL;
}

int verifier_object(void *ctx, const struct host_envelope *envelope, struct record *ret_record,
		    struct err *err)
{
	struct verifier *verifier = ctx;
	struct opened *opened = mem_new(struct opened);
	const char *wrong;
	int result;

	learn_chains(verifier, envelope->chains, envelope->chain_count);
	result = open_message(verifier, envelope->envelope, MESSAGE_RECORD, JUDGED_THEN, opened,
			      err);
	if (result == 0) {
		wrong = object_misfit(opened);
		if (wrong)
			result = err_set(err, -EACCES, "%s", wrong);
	}
	if (result == 0)
		record_copy(&opened->message.record, ret_record);
	message_deinit(&opened->message);
	free(opened);
	return result;
}

/* ---- requests of pods ---- */

static bool same_command(const struct pod_request *request, const struct host_request *asked)
{
	struct digest command = pod_request_command(asked->command, asked->command_count);

	return digest_equal(&request->command, &command);
}

static const char *request_misfit(const struct host_request *asked, const struct opened *opened)
{
	const struct pod_request *request = &opened->message.pod_request;

	if (!node_id_equal(&request->machine, &asked->node))
		return "the request is for another machine";
	if (request->verb != asked->verb || !uid_equal(&request->pod, &asked->pod) ||
	    strcmp(request->container, asked->container) != 0 || request->port != asked->port ||
	    !same_command(request, asked))
		return "the request is for something else";
	if (!grant_stewards(&opened->issuer.grant, bytes_str(asked->namespace)))
		return "the gateway is no steward of the pod's namespace";
	return NULL;
}

/* Not too old, and not seen before. */
static const char *request_stale(struct verifier *verifier, const struct opened *opened)
{
	struct wall floor = time_floor(verifier);

	if (opened->at.ms < floor.ms - VERIFY_REQUEST_AGE_MAX_MS)
		return "the request is too old";
	/* Older ones were refused above: by its own time none is out of the window. */
	switch (replay_admit(&verifier->replay, &opened->envelope.issuer, opened->envelope.nonce,
			     opened->at, opened->at)) {
	case 0:
		return NULL;
	case REPLAY_E_SEEN:
		return "the request has been carried out already";
	case REPLAY_E_FULL:
		return "too many requests at once";
	default:
		return "the request is too old";
	}
}

/* The user's certificates are sound and let them do that in @namespace. */
static const char *user_refused(const struct cert *user, const struct host_request *asked)
{
	static const char *const subresources[] = {
		[POD_VERB_LOGS] = "log",
		[POD_VERB_EXEC] = "exec",
		[POD_VERB_ATTACH] = "attach",
		[POD_VERB_PORT] = "portforward",
	};
	const char *names[CERT_GROUPS_MAX];
	struct kube_groups groups = {.names = names, .count = user->group_count};
	struct kube_access access = {
		.verb = asked->verb == POD_VERB_LOGS ? "get" : "create",
		.group = "",
		.resource = "pods",
		.subresource = subresources[asked->verb],
		.namespace = asked->namespace,
	};

	for (size_t i = 0; i < user->group_count; i++)
		names[i] = user->groups[i];
	return kube_access_allows(&groups, &access) ? NULL : "the user may not do that";
}

static int user_verify(struct verifier *verifier, const struct opened *opened,
		       struct cert *ret_user, struct err *err)
{
	const struct leaf *leaf = &opened->message.pod_request.user;
	struct trust_query query = query_for(verifier, opened->at);
	struct chain chain = {0};

	query.purpose = TRUST_REST_USER;
	for (size_t i = 0; i < leaf->cert_count && i < CHAIN_CERTS_MAX; i++)
		chain.cert[chain.count++] = bytes_buf(&leaf->certs[i]);
	if (trust_verify(&verifier->trust, &query, &chain, ret_user, err) == 0)
		return 0;
	(void)err_prefix(err, "the user is refused");
	return -EACCES;
}

static int asker_read(struct verifier *verifier, const struct host_request *asked,
		      const struct opened *opened, struct host_asker *ret, struct err *err)
{
	struct cert *user = mem_new(struct cert);
	const char *wrong;
	int result = 0;

	*ret = (struct host_asker){.gateway = opened->issuer.key};
	if (!opened->message.pod_request.user.cert_count) {
		memcpy(ret->name, opened->issuer.name, sizeof(ret->name));
	} else {
		ret->certified = true;
		result = user_verify(verifier, opened, user, err);
		wrong = result ? NULL : user_refused(user, asked);
		if (wrong)
			result = err_set(err, -EACCES, "%s: %s", user->name, wrong);
		memcpy(ret->name, user->name, sizeof(ret->name));
		memcpy(ret->serial, user->serial, sizeof(ret->serial));
		ret->key = user->key;
		ret->not_before = user->not_before;
	}
	free(user);
	return result;
}

int verifier_request(void *ctx, const struct host_request *asked, struct host_asker *ret_asker,
		     struct err *err)
{
	struct verifier *verifier = ctx;
	struct opened *opened = mem_new(struct opened);
	const struct host_envelope *envelope = &asked->signed_by_gateway;
	const char *wrong;
	int result;

	learn_chains(verifier, envelope->chains, envelope->chain_count);
	result = open_message(verifier, envelope->envelope, MESSAGE_POD_REQUEST, JUDGED_NOW, opened,
			      err);
	if (result == 0) {
		wrong = request_misfit(asked, opened);
		if (!wrong)
			wrong = request_stale(verifier, opened);
		if (wrong)
			result = err_set(err, -EACCES, "%s", wrong);
	}
	if (result == 0)
		result = asker_read(verifier, asked, opened, ret_asker, err);
	if (result == 0)
		learn_time(verifier, opened->at);
	err->status = result == 0 ? err->status : 403;
	message_deinit(&opened->message);
	free(opened);
	return result;
}

/* ---- revocations ---- */

bool verifier_asker_stands(void *ctx, const struct host_asker *asker)
{
	const struct verifier *verifier = ctx;
	struct revocation_subject user = {
		.kind = CERT_USER,
		.key = asker->key,
		.name = asker->name,
		.serial = asker->serial,
		.not_before = asker->not_before,
	};

	return !revocations_hit_machine(&verifier->revocations, &asker->gateway, WALL_NEVER) &&
	       !(asker->certified && revocations_hit(&verifier->revocations, &user, WALL_NEVER));
}

const struct revocation_entry *verifier_next_revocation(void *ctx,
							const struct revocation_entry *before)
{
	return revocations_next(&((const struct verifier *)ctx)->revocations, before);
}

int verifier_revoke(void *ctx, const struct host_envelope *envelope, struct err *err)
{
	struct verifier *verifier = ctx;
	struct digest id = sha256(envelope->envelope);
	struct revocation_claim claim = {.envelope = envelope->envelope};
	struct opened *opened;
	int result;

	if (revocations_has(&verifier->revocations, &id))
		return 0;
	opened = mem_new(struct opened);
	learn_chains(verifier, envelope->chains, envelope->chain_count);
	result = open_message(verifier, envelope->envelope, MESSAGE_REVOCATION, JUDGED_THEN, opened,
			      err);
	if (result == 0 && !grant_has(&opened->issuer.grant, ROLE_ADMIT))
		result = err_set(err, -EACCES, "its signer may not revoke");
	if (result == 0) {
		claim.what = &opened->message.revocation;
		claim.signer = opened->issuer.key;
		claim.at = opened->at;
		if (envelope->chain_count)
			claim.chain = envelope->chains[0];
		/* Nothing is dropped for its age here: no fabric time is known for sure. */
		result = revocations_add(&verifier->revocations, &claim, (struct wall){0}) == 0;
	}
	message_deinit(&opened->message);
	free(opened);
	return result;
}

/* "spiffe://FABRIC/ns/NAMESPACE/KIND/NAME/POD", of which we know all but kind and name. */
static bool is_of_pod(const struct cert *leaf, const struct host_application *application)
{
	const char *last = strrchr(leaf->uri, '/');
	struct buf prefix = {0};
	bool fits;

	buf_append_format(&prefix, "spiffe://%s/ns/%s/", leaf->fabric, application->namespace);
	fits = strncmp(leaf->uri, buf_cstr(&prefix), prefix.len) == 0 && last &&
	       strcmp(last + 1, application->pod) == 0;
	buf_deinit(&prefix);
	return fits;
}

static bool is_pinned(const struct verifier *verifier, struct bytes root)
{
	struct cert cert;

	return cert_parse(root, &cert, NULL) == 0 && cert.kind == CERT_ROOT &&
	       node_id_equal(&cert.key, &verifier->trust.root[CERT_FAMILY_WORKLOAD - 1]) &&
	       cert_signed_by(root, &cert.key);
}

int verifier_application(void *self, const struct host_application *application,
			 struct cert *ret_leaf, struct err *err)
{
	struct verifier *verifier = self;
	struct trust_query query = query_for(verifier, (struct wall){0});
	struct chain chain;

	query.purpose = TRUST_APPLICATION;
	if (!is_pinned(verifier, application->root))
		return err_set(err, -EACCES, "not the workload root of this fabric");
	if (!chain_split(application->chain, &chain))
		return err_set(err, -EACCES, "no chain of certificates");
	if (trust_verify(&verifier->trust, &query, &chain, ret_leaf, err) != 0)
		return -EACCES;
	if (!node_id_equal(&ret_leaf->key, &application->key) || !is_of_pod(ret_leaf, application))
		return err_set(err, -EACCES, "the certificate is of another key or pod");
	return 0;
}
