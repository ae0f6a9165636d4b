/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/envelope.h"
#include "identity/sha256.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "wire/message.h"

void verifier_init(struct verifier *verifier, const struct node_id root[CERT_FAMILY_COUNT])
{
	*verifier = (struct verifier){.ready = true};
	trust_init(&verifier->trust, root, TRUST_CACHE_DEFAULT, entropy_u64());
}

void verifier_deinit(struct verifier *verifier)
{
	if (verifier->ready)
		trust_deinit(&verifier->trust);
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
	struct wall at;
	struct message message;
};

/* Which time an envelope is judged by. */
enum judged_at {
	JUDGED_NOW, /* its own, or what it is known to be by now */
	JUDGED_THEN /* its own */
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
	if (judged_at == JUDGED_THEN)
		query.now = envelope.at;
	if (envelope_open(bytes, &verifier->trust, &query, &envelope, &leaf, err) != 0) {
		(void)err_prefix(err, "the %s does not verify", what);
		return -EACCES;
	}
	ret->issuer = *leaf;
	ret->at = envelope.at;
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
		wrong = misfit(asked, award, tender);
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
