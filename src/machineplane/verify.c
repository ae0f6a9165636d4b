/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/verify.h"

#include <string.h>

#include "identity/envelope.h"
#include "identity/sha256.h"
#include "io/entropy.h"
#include "wire/message.h"

void verifier_init(struct verifier *verifier, const struct node_id root[CERT_FAMILY_COUNT])
{
	trust_init(&verifier->trust, root, TRUST_CACHE_DEFAULT, entropy_u64());
	verifier->ready = true;
}

void verifier_deinit(struct verifier *verifier)
{
	if (verifier->ready)
		trust_deinit(&verifier->trust);
	verifier->ready = false;
}

/*
 * The host process follows no clock of the fabric: a certificate counts as valid from its issue on,
 * and what is expired is refused by the fabric process and by every peer before it comes here.
 */
static const struct trust_query query = {.purpose = TRUST_MESH, .now_is_floor = true};

static void learn_chains(struct verifier *verifier, const struct host_award *award)
{
	for (size_t i = 0; i < award->chain_count; i++) {
		struct chain chain;

		if (chain_split(award->chains[i], &chain))
			(void)!trust_verify(&verifier->trust, &query, &chain, NULL, NULL);
	}
}

/* Open an envelope that must contain a message of @type. */
static int open_message(struct verifier *verifier, struct bytes bytes, enum message_type type,
			struct cert *ret_issuer, struct message *ret_message, struct err *err)
{
	const struct cert *leaf;
	struct envelope envelope;
	const char *what = message_type_name(type);

	if (envelope_open(bytes, &verifier->trust, &query, &envelope, &leaf, err) != 0)
		return err_set(err, -EACCES, "the %s's signature does not verify", what);
	*ret_issuer = *leaf;
	if (message_decode(envelope.payload, ret_message) != 0)
		return err_set(err, -EACCES, "the %s is malformed", what);
	if (ret_message->type == type)
		return 0;
	message_deinit(ret_message);
	return err_set(err, -EACCES, "not a %s", what);
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

static int check(const struct host_award *asked, const struct cert *issuer,
		 const struct award *award, const struct cert *owner, const struct tender *tender,
		 struct err *err)
{
	struct digest manifest = sha256(asked->manifest);
	const char *wrong = NULL;

	if (!node_id_equal(&issuer->key, &owner->key))
		wrong = "award and tender are of different machines";
	else if (!digest_equal(&award->tender_id, &tender->id) ||
		 !bytes_equal(bytes_buf(&award->tender_envelope), asked->tender))
		wrong = "the award answers another tender";
	else if (!node_id_equal(&award->winner, &asked->node))
		wrong = "the award is for another machine";
	else if (!digest_equal(&manifest, &tender->manifest_digest))
		wrong = "the manifest is not the one that was announced";
	else if (!assigns(award, asked))
		wrong = "the award does not name this pod";
	else if (!uid_equal(&tender->object.uid, &asked->workload_uid) ||
		 strcmp(tender->object.namespace, asked->namespace) != 0)
		wrong = "the manifest is of another workload";
	else if (!grant_stewards(&issuer->grant, bytes_str(tender->object.namespace)))
		wrong = "the owner is no steward of the namespace";
	return wrong ? err_set(err, -EACCES, "%s", wrong) : 0;
}

int verifier_award(void *ctx, const struct host_award *asked, struct err *err)
{
	struct verifier *verifier = ctx;
	struct message award = {0}, tender = {0};
	struct cert issuer, owner;
	int result;

	learn_chains(verifier, asked);
	result = open_message(verifier, asked->award, MESSAGE_AWARD, &issuer, &award, err);
	if (result == 0)
		result =
			open_message(verifier, asked->tender, MESSAGE_TENDER, &owner, &tender, err);
	if (result == 0)
		result = check(asked, &issuer, &award.award, &owner, &tender.tender, err);
	message_deinit(&award);
	message_deinit(&tender);
	return result;
}
