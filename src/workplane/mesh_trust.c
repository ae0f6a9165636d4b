/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are, and whom we believe: pods of this fabric, each for its own name and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "identity/envelope.h"
#include "identity/sha256.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "workplane/mesh_internal.h"

enum {
	STEP_MS = 1000, /* clocks of machines run apart by less */
};

struct trust_query mesh_query(const struct mesh *mesh)
{
	return (struct trust_query){
		.purpose = TRUST_POD,
		.now = mesh_time(mesh),
		.now_is_floor = !mesh->has_time,
	};
}

/* ---- ourselves ---- */

static int make_credential(const struct mesh_identity *identity, const struct chain *chain,
			   struct quic_credential **ret_credential, struct err *err)
{
	return quic_credential_new(chain->cert, chain->count, identity->key->seed, err,
				   ret_credential);
}

static bool name_is_ours(const struct mesh *mesh, const struct service_name *name)
{
	return strcmp(name->namespace, mesh->record.namespace) == 0 &&
	       strcmp(name->kind, mesh->record.kind) == 0 &&
	       strcmp(name->name, mesh->record.name) == 0 &&
	       strcmp(name->pod, mesh->record.pod) == 0;
}

static int check_leaf(struct mesh *mesh, const struct mesh_identity *identity,
		      const struct cert *leaf, struct err *err)
{
	struct service_name name;

	if (!node_id_equal(&leaf->key, &identity->key->public_key))
		return err_set(err, -EACCES, "the certificate is of another key");
	if (mesh->identified && !node_id_equal(&leaf->key, &mesh->key.public_key))
		return err_set(err, -EACCES, "an agent keeps its key");
	if (!service_name_parse(leaf->uri, mesh->trust.fabric, &name) || !name_is_ours(mesh, &name))
		return err_set(err, -EACCES,
			       "the certificate is of %.300s, not of ns/%s/%s/%s/%.100s", leaf->uri,
			       mesh->record.namespace, mesh->record.kind, mesh->record.name,
			       mesh->record.pod);
	mesh->name = name;
	return 0;
}

int mesh_trust_set(struct mesh *mesh, const struct mesh_identity *identity, struct err *err)
{
	struct quic_credential *credential = NULL;
	struct trust_query query = mesh_query(mesh);
	struct chain chain;
	struct cert leaf;
	int r = 0;

	if (!mesh->identified &&
	    trust_init_family(&mesh->trust, CERT_FAMILY_WORKLOAD, identity->root, MESH_TRUST_CACHE,
			      entropy_u64(), err) != 0)
		return -EACCES;
	mesh->trust.revocations = &mesh->revocations;
	if (!chain_split(identity->chain, &chain))
		r = err_set(err, -EACCES, "this is no chain of certificates");
	else if (trust_verify(&mesh->trust, &query, &chain, &leaf, err) != 0)
		r = -EACCES;
	if (r == 0)
		r = check_leaf(mesh, identity, &leaf, err);
	if (r == 0)
		r = make_credential(identity, &chain, &credential, err);
	if (r < 0) {
		if (!mesh->identified)
			trust_deinit(&mesh->trust);
		return r;
	}
	mesh->key = *identity->key;
	mesh->leaf = leaf.hash;
	buf_clear(&mesh->chain);
	buf_append_bytes(&mesh->chain, identity->chain);
	quic_credential_unref(mesh->credential);
	mesh->credential = credential;
	mesh->identified = true;
	return 0;
}

void mesh_trust_deinit(struct mesh *mesh)
{
	if (mesh->identified)
		trust_deinit(&mesh->trust);
	revocations_deinit(&mesh->revocations);
	quic_credential_unref(mesh->credential);
	buf_deinit(&mesh->chain);
	key_wipe(&mesh->key);
}

/* ---- others ---- */

int mesh_trust_judge(struct mesh *mesh, const struct bytes *list, size_t count,
		     const struct node_id *expected, struct err *err)
{
	struct trust_query query = mesh_query(mesh);
	struct service_name name;
	struct chain chain = {0};
	struct cert leaf;
	int r;

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		chain.cert[chain.count++] = list[i];
	r = trust_verify(&mesh->trust, &query, &chain, &leaf, err);
	if (r)
		return r;
	if (expected && !node_id_equal(expected, &leaf.key))
		return err_set(err, -EACCES, "another agent answers at that address");
	if (!service_name_parse(leaf.uri, mesh->trust.fabric, &name))
		return err_set(err, -EACCES, "a certificate without the name of a pod");
	return 0;
}

void mesh_revoke(struct mesh *mesh, const struct revocation_claim *claim)
{
	struct revocation_claim unsigned_claim = *claim;
	struct buf text = {0};

	/* What tells it from others, since there is no envelope. */
	buf_append(&text, &(uint8_t){(uint8_t)claim->what->kind}, 1);
	buf_append(&text, claim->what->machine.byte, ID_LEN);
	buf_append(&text, claim->what->serial.byte, UID_LEN);
	buf_append(&text, claim->signer.byte, ID_LEN);
	buf_append(&text, &claim->at.ms, sizeof(claim->at.ms));
	unsigned_claim.envelope = bytes_buf(&text);
	unsigned_claim.chain = (struct bytes){0};
	/* Known, void or old: nothing is to be done. One too many cannot be: the machine keeps no
	 * more. */
	(void)!revocations_add(&mesh->revocations, &unsigned_claim, (struct wall){0});
	buf_deinit(&text);
}

bool mesh_trust_name(struct mesh *mesh, struct bytes der, struct node_id *ret_id,
		     struct service_name *ret_name)
{
	struct cert leaf;

	if (cert_parse(der, &leaf, NULL) != 0)
		return false;
	*ret_id = leaf.key;
	return service_name_parse(leaf.uri, mesh->trust.fabric, ret_name);
}

/* ---- envelopes, for the directory ---- */

static void seal(void *self, struct wall now, struct bytes payload, struct buf *out)
{
	const struct mesh *mesh = self;
	struct envelope_seal seal = {.key = &mesh->key, .leaf = mesh->leaf, .at = now};

	entropy_fill(seal.nonce, sizeof(seal.nonce));
	envelope_seal(&seal, payload, out);
}

static bool open_envelope(void *self, struct wall now, struct bytes bytes,
			  struct service_name *ret_signer, struct node_id *ret_key,
			  struct bytes *ret_payload)
{
	struct mesh *mesh = self;
	struct trust_query query = mesh_query(mesh);
	struct envelope envelope;
	const struct cert *leaf;

	(void)now; /* what the record says of its time is the directory's to judge */
	if (envelope_open(bytes, &mesh->trust, &query, &envelope, &leaf, NULL) != 0 ||
	    !service_name_parse(leaf->uri, mesh->trust.fabric, ret_signer))
		return false;
	*ret_key = leaf->key;
	*ret_payload = envelope.payload;
	return true;
}

const struct directory_trust_ops mesh_trust_ops = {.seal = seal, .open = open_envelope};

void mesh_set_time(struct mesh *mesh, int64_t offset_ms)
{
	int64_t step_ms = offset_ms - mesh->offset_ms;
	bool steps = mesh->has_time && (step_ms > STEP_MS || step_ms < -STEP_MS);

	mesh->offset_ms = offset_ms;
	mesh->has_time = true;
	if (steps)
		mesh_judge_peers(mesh);
}

struct wall mesh_time(const struct mesh *mesh)
{
	int64_t ms = clock_mono().us / US_PER_MS + mesh->offset_ms;

	return (struct wall){ms > 0 ? ms : 0};
}
