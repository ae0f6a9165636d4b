/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes of the simulated world: the shape of identity's, with a keyed hash in place of a
 * signature. Certificates are the machine's id itself; a machine knows those of its own connections
 * and some more (links.c), and has to ask for others, as in life.
 *
 *	issuer 32 | fabric ms 8 | nonce 16 | payload | mac 8
 */
#include "checker.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"

enum {
	AT_TIME = ID_LEN,
	AT_NONCE = AT_TIME + 8,
	AT_PAYLOAD = AT_NONCE + NODE_TRUST_NONCE_LEN,
	MAC_LEN = crypto_shorthash_BYTES,
	FRESH_MS = 30 * 1000, /* as much as clocks may differ */
	NONCES_MIN = 16,
	WORD_BITS = 64,
};

static void make_mac(struct bytes over, uint8_t mac[MAC_LEN])
{
	static const uint8_t key[crypto_shorthash_KEYBYTES] = "simulated world";

	crypto_shorthash(mac, over.ptr, over.len, key);
}

static void seal(void *self, struct wall now, struct bytes payload, struct buf *out)
{
	struct sim_machine *machine = self;
	uint8_t head[AT_PAYLOAD], mac[MAC_LEN];
	uint64_t nonce[2] = {prng_next(&machine->world->prng) | 1,
			     prng_next(&machine->world->prng)};
	size_t start = out->len;

	processors_seal(machine);
	memcpy(head, machine->id.byte, ID_LEN);
	memcpy(head + AT_TIME, &now.ms, 8);
	memcpy(head + AT_NONCE, nonce, sizeof(nonce));
	buf_append(out, head, sizeof(head));
	buf_append_bytes(out, payload);
	make_mac(bytes_of(out->ptr + start, out->len - start), mac);
	buf_append(out, mac, sizeof(mac));
}

static bool is_genuine(struct bytes envelope)
{
	uint8_t mac[MAC_LEN];

	make_mac(bytes_of(envelope.ptr, envelope.len - MAC_LEN), mac);
	return memcmp(mac, envelope.ptr + envelope.len - MAC_LEN, MAC_LEN) == 0;
}

static int parse(struct bytes envelope, struct node_signed *ret)
{
	if (envelope.len < AT_PAYLOAD + MAC_LEN)
		return NODE_TRUST_E_MALFORMED;
	memcpy(ret->issuer.byte, envelope.ptr, ID_LEN);
	memcpy(ret->leaf.byte, envelope.ptr, ID_LEN);
	memcpy(&ret->signed_at.ms, envelope.ptr + AT_TIME, 8);
	memcpy(ret->nonce, envelope.ptr + AT_NONCE, NODE_TRUST_NONCE_LEN);
	ret->payload = bytes_of(envelope.ptr + AT_PAYLOAD, envelope.len - AT_PAYLOAD - MAC_LEN);
	return 0;
}

static struct sim_machine *find_leaf(struct world *world, const struct digest *leaf)
{
	struct node_id id;

	memcpy(id.byte, leaf->byte, ID_LEN);
	return network_find(world, &id);
}

static bool knows_leaf(struct sim_machine *machine, const struct sim_machine *issuer)
{
	return machine == issuer || links_has_leaf(&machine->links, issuer->index) ||
	       (machine->writers &&
		machine->writers[issuer->index / WORD_BITS] >> issuer->index % WORD_BITS & 1);
}

/* Its certificate was at hand, or the record would not have been taken. */
void trust_keep_writer(struct sim_machine *machine, struct bytes envelope)
{
	size_t words = (machine->world->machine_count + WORD_BITS - 1) / WORD_BITS;
	const struct sim_machine *writer;
	struct digest leaf;

	memcpy(leaf.byte, envelope.ptr, ID_LEN);
	writer = find_leaf(machine->world, &leaf);
	if (!writer)
		return;
	if (!machine->writers)
		machine->writers = mem_alloc(words, sizeof(*machine->writers));
	machine->writers[writer->index / WORD_BITS] |= (uint64_t)1 << writer->index % WORD_BITS;
}

void trust_forget_writer(struct world *world, size_t index)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		uint64_t *writers = world->machines[i].writers;

		if (writers)
			writers[index / WORD_BITS] &= ~((uint64_t)1 << index % WORD_BITS);
	}
}

static int open_envelope(void *self, struct wall now, struct bytes envelope,
			 struct node_signed *ret)
{
	struct sim_machine *machine = self;
	struct sim_machine *issuer;
	int r = parse(envelope, ret);

	(void)now;
	if (r)
		return r;
	if (!is_genuine(envelope) && machine->world->bug != SIM_BUG_SIGNATURE_CHECK_OFF)
		return NODE_TRUST_E_SIGNATURE;
	issuer = find_leaf(machine->world, &ret->leaf);
	if (!issuer)
		return NODE_TRUST_E_REFUSED;
	if (!knows_leaf(machine, issuer))
		return NODE_TRUST_E_LEAF;
	processors_open(machine);
	return 0;
}

/* ---- the replay window ---- */

static uint64_t *nonce_place(const struct sim_nonces *nonces, uint64_t nonce)
{
	size_t at = nonce & (nonces->cap - 1);

	while (nonces->nonce[at] && nonces->nonce[at] != nonce)
		at = (at + 1) & (nonces->cap - 1);
	return &nonces->nonce[at];
}

static bool nonces_have(const struct sim_nonces *nonces, uint64_t nonce)
{
	return nonces->cap && *nonce_place(nonces, nonce) == nonce;
}

static void nonces_add(struct sim_nonces *nonces, uint64_t nonce)
{
	struct sim_nonces old = *nonces;

	if (2 * (nonces->count + 1) > nonces->cap) {
		nonces->cap = old.cap ? 2 * old.cap : NONCES_MIN;
		nonces->nonce = mem_alloc(nonces->cap, sizeof(*nonces->nonce));
		for (size_t i = 0; i < old.cap; i++)
			if (old.nonce[i])
				*nonce_place(nonces, old.nonce[i]) = old.nonce[i];
		free(old.nonce);
	}
	*nonce_place(nonces, nonce) = nonce;
	nonces->count++;
}

static void nonces_deinit(struct sim_nonces *nonces)
{
	free(nonces->nonce);
	*nonces = (struct sim_nonces){0};
}

/* Two sets of nonces take turns: together they reach back over the time that is fresh. */
static void turn_window(struct sim_machine *machine, struct wall now)
{
	if (now.ms - machine->seen_since_ms < 2 * FRESH_MS)
		return;
	nonces_deinit(&machine->seen[1]);
	machine->seen[1] = machine->seen[0];
	machine->seen[0] = (struct sim_nonces){0};
	machine->seen_since_ms = now.ms;
}

static int fresh(void *self, struct wall now, const struct node_signed *opened)
{
	struct sim_machine *machine = self;
	uint64_t nonce;

	/* Random, and never 0. */
	memcpy(&nonce, opened->nonce, sizeof(nonce));
	if (opened->signed_at.ms < now.ms - FRESH_MS || opened->signed_at.ms > now.ms + FRESH_MS)
		return NODE_TRUST_E_STALE;
	turn_window(machine, now);
	if (machine->world->bug == SIM_BUG_REPLAY_FILTER_OFF) {
		checker_fresh(machine->world, machine, opened);
		return 0;
	}
	if (nonces_have(&machine->seen[0], nonce) || nonces_have(&machine->seen[1], nonce))
		return NODE_TRUST_E_REPLAY;
	nonces_add(&machine->seen[0], nonce);
	checker_fresh(machine->world, machine, opened);
	return 0;
}

/* ---- certificates ---- */

static bool is_steward(void *self, struct wall at, const struct digest *leaf, const char *namespace)
{
	struct sim_machine *machine = self;
	const struct sim_machine *issuer = find_leaf(machine->world, leaf);

	(void)namespace;
	return issuer && knows_leaf(machine, issuer) &&
	       (issuer->steward || machine->world->bug == SIM_BUG_ROLE_CHECK_OFF);
}

/* The first machines of a fabric let the others in. */
static bool is_admitter(void *self, struct wall at, const struct digest *leaf)
{
	struct sim_machine *machine = self;
	const struct sim_machine *issuer = find_leaf(machine->world, leaf);

	(void)at;
	return issuer && knows_leaf(machine, issuer) && issuer->index < SIM_ADMITTERS;
}

static bool leaf_get(void *self, const struct digest *leaf, struct leaf *ret_leaf)
{
	struct sim_machine *machine = self;
	const struct sim_machine *issuer = find_leaf(machine->world, leaf);

	if (!issuer || !knows_leaf(machine, issuer))
		return false;
	*ret_leaf = (struct leaf){.cert_count = 1};
	buf_append(&ret_leaf->certs[0], leaf->byte, ID_LEN);
	return true;
}

static bool leaf_add(void *self, struct wall now, const struct leaf *leaf)
{
	struct sim_machine *machine = self;
	const struct sim_machine *issuer;
	struct digest digest;

	(void)now;
	if (leaf->cert_count != 1 || leaf->certs[0].len != ID_LEN)
		return false;
	memcpy(digest.byte, leaf->certs[0].ptr, ID_LEN);
	issuer = find_leaf(machine->world, &digest);
	if (!issuer)
		return false;
	links_leaf(&machine->links, issuer->index);
	return true;
}

struct node_trust trust_of(struct sim_machine *machine)
{
	static const struct node_trust_ops ops = {
		.seal = seal,
		.open = open_envelope,
		.fresh = fresh,
		.is_steward = is_steward,
		.is_admitter = is_admitter,
		.leaf_get = leaf_get,
		.leaf_add = leaf_add,
	};

	return (struct node_trust){.ops = &ops, .self = machine};
}

struct digest trust_leaf(const struct sim_machine *machine)
{
	struct digest leaf;

	memcpy(leaf.byte, machine->id.byte, ID_LEN);
	return leaf;
}

void trust_deinit(struct sim_machine *machine)
{
	nonces_deinit(&machine->seen[0]);
	nonces_deinit(&machine->seen[1]);
}

void trust_reset(struct sim_machine *machine)
{
	trust_deinit(machine);
	machine->seen_since_ms = 0;
}

void trust_seal_as(struct sim_machine *machine, struct bytes payload, struct buf *out)
{
	seal(machine, world_wall(machine->world), payload, out);
}

bool trust_peek(struct bytes packet, struct node_id *ret_issuer, struct message *ret_message)
{
	struct node_signed opened;
	struct packet parsed;

	if (packet_decode(packet, &parsed) != 0 || !parsed.is_envelope ||
	    parse(parsed.body, &opened) != 0)
		return false;
	*ret_issuer = opened.issuer;
	return message_decode(opened.payload, ret_message) == 0;
}
