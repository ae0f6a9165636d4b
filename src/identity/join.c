/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/join.h"

#include <assert.h>
#include <string.h>

#include "identity.pb-c.h"

enum {
	JOIN_VERSION = 1,
	DOMAIN_LEN = sizeof(JOIN_PROOF_DOMAIN),
};

/* Which key a proof is for: part of what is signed, so that proofs cannot change places. */
enum proof_use {
	PROOF_MACHINE = 1,
	PROOF_REST = 2,
	PROOF_STEWARD = 3,
	PROOF_ADMIT = 4, /* + family - 1 */
};

enum {
	PROOFS = 3 + CERT_FAMILY_COUNT,
	PROOF_TEXT_LEN = DOMAIN_LEN + 1 + ID_LEN + ID_LEN,
};

static ProtobufCBinaryData binary(const void *ptr, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)ptr};
}

void join_keys_make(struct join_keys *keys, const uint8_t random[JOIN_RANDOM_LEN])
{
	keys->machine = key_from_seed(random);
	keys->rest = key_from_seed(random + KEY_SEED_LEN);
	keys->steward = key_from_seed(random + 2 * KEY_SEED_LEN);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		keys->admit[i] = key_from_seed(random + (3 + i) * KEY_SEED_LEN);
}

void join_keys_wipe(struct join_keys *keys)
{
	secret_wipe(keys, sizeof(*keys));
}

static void proof_text(enum proof_use use, const struct node_id *machine,
		       const struct digest *audience, uint8_t text[PROOF_TEXT_LEN])
{
	memcpy(text, JOIN_PROOF_DOMAIN, DOMAIN_LEN);
	text[DOMAIN_LEN] = (uint8_t)use;
	memcpy(text + DOMAIN_LEN + 1, machine->byte, ID_LEN);
	memcpy(text + DOMAIN_LEN + 1 + ID_LEN, audience->byte, ID_LEN);
}

static Identity__KeyProof proof_make(const struct key *key, enum proof_use use,
				     const struct node_id *machine, const struct digest *audience,
				     uint8_t signature[KEY_SIGNATURE_LEN])
{
	Identity__KeyProof proof = IDENTITY__KEY_PROOF__INIT;
	uint8_t text[PROOF_TEXT_LEN];

	proof_text(use, machine, audience, text);
	key_sign(key, bytes_of(text, sizeof(text)), signature);
	proof.key = binary(key->public_key.byte, ID_LEN);
	proof.signature = binary(signature, KEY_SIGNATURE_LEN);
	return proof;
}

void join_request_build(const struct join_keys *keys, const char *node_name,
			const struct digest *audience, struct buf *ret_bytes)
{
	const struct node_id *id = &keys->machine.public_key;
	uint8_t signature[PROOFS][KEY_SIGNATURE_LEN];
	Identity__KeyProof proof[PROOFS], *admit[CERT_FAMILY_COUNT];
	Identity__JoinRequest request = IDENTITY__JOIN_REQUEST__INIT;

	proof[0] = proof_make(&keys->machine, PROOF_MACHINE, id, audience, signature[0]);
	proof[1] = proof_make(&keys->rest, PROOF_REST, id, audience, signature[1]);
	proof[2] = proof_make(&keys->steward, PROOF_STEWARD, id, audience, signature[2]);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		proof[3 + i] = proof_make(&keys->admit[i], (enum proof_use)(PROOF_ADMIT + i), id,
					  audience, signature[3 + i]);
		admit[i] = &proof[3 + i];
	}
	request.version = JOIN_VERSION;
	request.node_name = binary(node_name, strlen(node_name));
	request.machine = &proof[0];
	request.rest = &proof[1];
	request.steward = &proof[2];
	request.n_admit = CERT_FAMILY_COUNT;
	request.admit = admit;
	buf_reserve(ret_bytes, identity__join_request__get_packed_size(&request));
	ret_bytes->len += identity__join_request__pack(&request, ret_bytes->ptr + ret_bytes->len);
}

static bool proof_key(const Identity__KeyProof *proof, struct node_id *ret_key)
{
	if (!proof || proof->key.len != ID_LEN || proof->signature.len != KEY_SIGNATURE_LEN)
		return false;
	memcpy(ret_key->byte, proof->key.data, ID_LEN);
	return true;
}

static bool proof_holds(const Identity__KeyProof *proof, enum proof_use use,
			const struct node_id *machine, const struct digest *audience)
{
	uint8_t text[PROOF_TEXT_LEN];
	struct node_id key;

	proof_text(use, machine, audience, text);
	return proof_key(proof, &key) && key_is_sound(&key) &&
	       key_verify(&key, bytes_of(text, sizeof(text)), proof->signature.data);
}

/* The public keys; each key for one use only, or a family could not be revoked by itself. */
static bool request_read_keys(const Identity__JoinRequest *message, struct join_request *request)
{
	struct node_id key[PROOFS];
	bool sound = proof_key(message->machine, &key[0]) && proof_key(message->rest, &key[1]) &&
		     proof_key(message->steward, &key[2]) && message->n_admit == CERT_FAMILY_COUNT;

	for (size_t i = 0; sound && i < CERT_FAMILY_COUNT; i++)
		sound = proof_key(message->admit[i], &key[3 + i]);
	for (size_t i = 0; sound && i < PROOFS; i++) {
		for (size_t k = 0; k < i; k++)
			sound = sound && !node_id_equal(&key[i], &key[k]);
	}
	if (!sound)
		return false;
	request->machine = key[0];
	request->rest = key[1];
	request->steward = key[2];
	memcpy(request->admit, key + 3, sizeof(request->admit));
	return true;
}

static bool request_proofs_hold(const Identity__JoinRequest *message,
				const struct join_request *request, const struct digest *audience)
{
	const struct node_id *id = &request->machine;
	bool held = proof_holds(message->machine, PROOF_MACHINE, id, audience) &&
		    proof_holds(message->rest, PROOF_REST, id, audience) &&
		    proof_holds(message->steward, PROOF_STEWARD, id, audience);

	for (size_t i = 0; held && i < CERT_FAMILY_COUNT; i++)
		held = proof_holds(message->admit[i], (enum proof_use)(PROOF_ADMIT + i), id,
				   audience);
	return held;
}

static int request_read_name(const Identity__JoinRequest *message, struct join_request *request,
			     struct err *err)
{
	struct bytes name = bytes_of(message->node_name.data, message->node_name.len);

	if (!name_is_dns_label(name)) {
		(void)err_set(err, -EINVAL, "the node name is not a DNS label");
		return JOIN_E_NAME;
	}
	memcpy(request->node_name, name.ptr, name.len);
	request->node_name[name.len] = 0;
	return 0;
}

/* What the credential shown in TLS entitles to. */
static int request_entitle(const struct cert *shown, struct join_request *request, struct err *err)
{
	request->grant = shown->grant;
	if (shown->kind == CERT_VOUCHER) {
		request->may_be_admitter = shown->plain || grant_has(&shown->grant, ROLE_ADMIT);
		/* Whether it becomes one is for the holder of the roots. */
		request->grant.roles &= ~(uint32_t)ROLE_ADMIT;
		return 0;
	}
	if (shown->kind == CERT_MACHINE && node_id_equal(&shown->key, &request->machine)) {
		request->renewal = true;
		memcpy(request->salt, shown->salt, sizeof(request->salt));
		return 0;
	}
	(void)err_set(err, -EACCES, "%s (%s) does not allow to join as another machine",
		      cert_kind_text(shown->kind), shown->name);
	return JOIN_E_CREDENTIAL;
}

static int request_read(const Identity__JoinRequest *message, const struct cert *shown,
			const struct digest *audience, struct join_request *request,
			struct err *err)
{
	int r;

	if (message->version != JOIN_VERSION || !request_read_keys(message, request)) {
		(void)err_set(err, -EBADMSG, "malformed join request");
		return JOIN_E_MALFORMED;
	}
	r = request_read_name(message, request, err);
	if (r == 0)
		r = request_entitle(shown, request, err);
	if (r)
		return r;
	if (!request_proofs_hold(message, request, audience)) {
		(void)err_set(err, -EACCES, "%s asks for keys that it does not prove to hold",
			      request->node_name);
		return JOIN_E_PROOF;
	}
	return 0;
}

int join_request_open(struct bytes bytes, const struct cert *shown, const struct digest *audience,
		      struct join_request *ret_request, struct err *err)
{
	struct join_request request = {0};
	Identity__JoinRequest *message;
	int r = JOIN_E_MALFORMED;

	if (bytes.len > JOIN_REQUEST_LEN_MAX)
		return err_set(err, r, "join request too long");
	message = identity__join_request__unpack(NULL, bytes.len, bytes.ptr);
	if (!message)
		return err_set(err, r, "malformed join request");
	r = request_read(message, shown, audience, &request, err);
	identity__join_request__free_unpacked(message, NULL);
	if (r == 0)
		*ret_request = request;
	return r;
}

int join_issue_intermediates(const struct join_roots *roots,
			     const struct node_id admit[CERT_FAMILY_COUNT],
			     struct join_intermediates *ret_intermediates, struct err *err)
{
	struct join_intermediates made = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < CERT_FAMILY_COUNT; i++) {
		struct signer root = {&roots->keys->key[i], roots->cert[i]};
		struct cert_order order = {
			.kind = CERT_ADMIT,
			.family = (enum cert_family)(i + 1),
			.key = admit[i],
			.holder = roots->holder,
			.grant = grant_all(),
			.now = roots->now,
		};

		memcpy(order.serial, roots->serials[i], CERT_SERIAL_LEN);
		r = cert_issue(&order, &root, &made.cert[i], err);
	}
	if (r)
		join_intermediates_deinit(&made);
	else
		*ret_intermediates = made;
	return r;
}

void join_intermediates_deinit(struct join_intermediates *intermediates)
{
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		buf_deinit(&intermediates->cert[i]);
}

/* The leaves of a new member, each with the intermediate that signed it behind it. */
struct issued {
	struct buf machine, rest, steward;
};

static int issue_one(const struct join_answer *answer, enum cert_family family,
		     struct cert_order *order, struct buf *chain, struct err *err)
{
	struct signer admit = credentials_admit(answer->admitter, family);
	int r;

	order->now = answer->now;
	r = cert_issue(order, &admit, chain, err);
	if (r == 0)
		buf_append_bytes(chain, admit.cert);
	return r;
}

static int issue_machine(const struct join_request *request, const struct join_answer *answer,
			 struct buf *chain, struct err *err)
{
	const struct key *key = &answer->admitter->admit_key[CERT_FAMILY_MACHINE - 1];
	struct cert_order order = {
		.kind = CERT_MACHINE,
		.key = request->machine,
		.name = request->node_name,
		.grant = request->grant,
	};

	if (answer->intermediates)
		order.grant.roles |= ROLE_ADMIT;
	if (request->renewal)
		memcpy(order.salt, request->salt, sizeof(order.salt));
	else
		issue_salt(key, &request->machine, order.salt);
	memcpy(order.serial, answer->serials, CERT_SERIAL_LEN);
	return issue_one(answer, CERT_FAMILY_MACHINE, &order, chain, err);
}

static int issue_steward(const struct join_request *request, const struct join_answer *answer,
			 struct buf *chain, struct err *err)
{
	struct cert_order order = {
		.kind = CERT_STEWARD,
		.key = request->steward,
		.holder = request->machine,
		.grant = request->grant,
	};

	if (!grant_has(&request->grant, ROLE_STEWARD))
		return 0;
	order.grant.roles = ROLE_STEWARD;
	memcpy(order.serial, answer->serials + 2 * CERT_SERIAL_LEN, CERT_SERIAL_LEN);
	return issue_one(answer, CERT_FAMILY_WORKLOAD, &order, chain, err);
}

static int issue_all(const struct join_request *request, const struct join_answer *answer,
		     struct issued *issued, struct err *err)
{
	struct cert_order rest = {.kind = CERT_REST, .key = request->rest};
	int r = issue_machine(request, answer, &issued->machine, err);

	memcpy(rest.serial, answer->serials + CERT_SERIAL_LEN, CERT_SERIAL_LEN);
	if (r == 0)
		r = issue_one(answer, CERT_FAMILY_API, &rest, &issued->rest, err);
	if (r == 0)
		r = issue_steward(request, answer, &issued->steward, err);
	return r;
}

static void reply_pack(const Identity__JoinReply *reply, struct buf *out)
{
	buf_reserve(out, identity__join_reply__get_packed_size(reply));
	out->len += identity__join_reply__pack(reply, out->ptr + out->len);
}

static void reply_build(const struct issued *issued, const struct join_answer *answer,
			struct buf *out)
{
	Identity__JoinReply reply = IDENTITY__JOIN_REPLY__INIT;
	ProtobufCBinaryData roots[CERT_FAMILY_COUNT], admit[CERT_FAMILY_COUNT];
	ProtobufCBinaryData members[JOIN_MEMBERS_MAX];

	reply.version = JOIN_VERSION;
	reply.n_roots = CERT_FAMILY_COUNT;
	reply.roots = roots;
	reply.admit = admit;
	reply.n_admit = answer->intermediates ? CERT_FAMILY_COUNT : 0;
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		const struct buf *root = &answer->admitter->root[i];

		roots[i] = binary(root->ptr, root->len);
		if (answer->intermediates)
			admit[i] = binary(answer->intermediates->cert[i].ptr,
					  answer->intermediates->cert[i].len);
	}
	reply.machine_chain = binary(issued->machine.ptr, issued->machine.len);
	reply.rest_chain = binary(issued->rest.ptr, issued->rest.len);
	reply.steward_chain = binary(issued->steward.ptr, issued->steward.len);
	reply.now_ms = answer->now.ms;
	reply.members = members;
	while (reply.n_members < answer->member_count && reply.n_members < JOIN_MEMBERS_MAX) {
		const char *member = answer->members[reply.n_members];

		assert(strlen(member) <= JOIN_ADDRESS_LEN_MAX);
		members[reply.n_members++] = binary(member, strlen(member));
	}
	reply_pack(&reply, out);
}

int join_reply_build(const struct join_request *request, const struct join_answer *answer,
		     struct buf *ret_bytes, struct err *err)
{
	struct issued issued = {0};
	int r = issue_all(request, answer, &issued, err);

	if (r == 0)
		reply_build(&issued, answer, ret_bytes);
	buf_deinit(&issued.machine);
	buf_deinit(&issued.rest);
	buf_deinit(&issued.steward);
	return r;
}

void join_refusal_build(const char *reason, struct buf *ret_bytes)
{
	Identity__JoinReply reply = IDENTITY__JOIN_REPLY__INIT;

	assert(reason[0]);
	reply.version = JOIN_VERSION;
	reply.refusal = binary(reason, strlen(reason));
	reply_pack(&reply, ret_bytes);
}
