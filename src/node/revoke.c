/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocations, as machines tell each other of them (identity/revocation.h).
 *
 * A new one is flooded: whoever did not have it hands it to its neighbours. Besides, both ends of a
 * new connection compare what they have, so that it crosses from one half of a fabric to another
 * with the first connection after a partition; who has none says nothing, as there are none nearly
 * always:
 *
 *	REVOKED digest  -->  it differs  -->  REVOKED list  -->  REVOCATION each that is missing
 *	                                                    <--  REVOKED answer, when we miss some
 *
 * A revoked machine is told nothing and hears nothing: its connections are closed, and what it
 * signs from then on is refused. Its pods are placed again elsewhere, for to us it has left.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "overlay/view.h"

enum {
	AHEAD_MS =
		30 * 1000, /* as much as clocks may differ: a time to come would revoke nothing */
};

bool node_is_revoked(const struct node *node, const struct node_id *id)
{
	return node->revocations.count &&
	       revocations_hit_machine(&node->revocations, id, WALL_NEVER);
}

int node_open(struct node *node, struct mono now, struct bytes envelope, struct node_signed *ret)
{
	const struct node_trust *trust = &node->config.trust;
	int outcome = trust->ops->open(trust->self, node_fabric_time(node, now), envelope, ret);

	if (outcome == 0 && node->revocations.count &&
	    revocations_hit_machine(&node->revocations, &ret->issuer, ret->signed_at))
		return NODE_TRUST_E_REFUSED;
	return outcome;
}

/* ---- telling ---- */

static void tell(struct node *node, const struct node_id *to, enum revoked_stage stage)
{
	struct message message = {.type = MESSAGE_REVOKED};
	struct revoked *revoked = &message.revoked;
	struct buf encoded = {0};

	revoked->stage = stage;
	revoked->fold = revocations_fold(&node->revocations);
	if (stage != REVOKED_DIGEST && node->revocations.count) {
		revoked->id_count = node->revocations.count;
		revoked->ids = mem_alloc(revoked->id_count, sizeof(*revoked->ids));
		revocations_ids(&node->revocations, revoked->ids);
	}
	message_encode(&message, &encoded);
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_REVOKED,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
	message_deinit(&message);
}

static void hand_over(struct node *node, const struct node_id *to,
		      const struct revocation_entry *entry)
{
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_REVOCATION,
			 bytes_buf(&entry->envelope));
}

/* To those we broadcast to; in a small fabric that is everybody. */
static void flood(struct node *node, const struct node_id *except,
		  const struct revocation_entry *entry)
{
	bool large = overlay_is_large(node->overlay);
	struct overlay_peer peer;
	size_t position = 0;

	while (overlay_next_peer(node->overlay, &position, &peer)) {
		const struct node_id *id = &peer.member->id;

		if (!peer.connected || (except && node_id_equal(id, except)) ||
		    (large && !view_is_active(overlay_view(node->overlay), id)))
			continue;
		hand_over(node, id, entry);
	}
}

void node_revocations_greet(struct node *node, const struct node_id *id)
{
	if (node->revocations.count)
		tell(node, id, REVOKED_DIGEST);
}

/* ---- what follows from one ---- */

static void shut_out(struct node *node, struct mono now, const struct node_id *id)
{
	node_queue(node, NODE_CUT)->effect.to = *id;
	overlay_expel(node->overlay, now, id);
}

void node_expel(struct node *node, struct mono now, const struct node_id *id)
{
	node->last = now;
	shut_out(node, now, id);
	node_pump(node, now);
}

/* A member that is revoked and has not been shut out yet. */
static bool next_revoked(const struct node *node, struct node_id *ret_id)
{
	struct overlay_peer peer;
	size_t position = 0;

	while (overlay_next_peer(node->overlay, &position, &peer)) {
		if (peer.state == MEMBER_LEFT || !node_is_revoked(node, &peer.member->id))
			continue;
		*ret_id = peer.member->id;
		return true;
	}
	return false;
}

static void carry_out(struct node *node, struct mono now)
{
	struct node_id id;

	while (next_revoked(node, &id))
		shut_out(node, now, &id);
	node_queue(node, NODE_REVOKED);
}

/* The chain of who signed @opened: it is kept beside the entry. */
static void append_chain(struct node *node, const struct digest *leaf, struct buf *out)
{
	struct message chain = {.type = MESSAGE_LEAF};

	if (node->config.trust.ops->leaf_get(node->config.trust.self, leaf, &chain.leaf)) {
		for (size_t i = 0; i < chain.leaf.cert_count; i++)
			buf_append_bytes(out, bytes_buf(&chain.leaf.certs[i]));
	}
	message_deinit(&chain);
}

static const struct revocation_entry *entry_of(const struct node *node, struct bytes envelope)
{
	struct digest id = sha256(envelope);
	const struct revocation_entry *entry = NULL;

	while ((entry = revocations_next(&node->revocations, entry)) != NULL)
		if (digest_equal(&entry->id, &id))
			return entry;
	return NULL;
}

/* 0 when it is one that we did not have. */
static int add(struct node *node, struct mono now, const struct node_signed *opened,
	       const struct revocation *what, struct bytes envelope)
{
	struct wall fabric = node_fabric_time(node, now);
	bool settled = node_fabric_time_is_settled(node);
	struct buf chain = {0};
	struct revocation_claim claim = {
		.what = what,
		.signer = opened->issuer,
		.at = opened->signed_at,
		.envelope = envelope,
	};
	int outcome;

	if (settled && opened->signed_at.ms > fabric.ms + AHEAD_MS)
		return REVOCATION_E_VOID;
	append_chain(node, &opened->leaf, &chain);
	claim.chain = bytes_buf(&chain);
	outcome = revocations_add(&node->revocations, &claim, settled ? fabric : (struct wall){0});
	buf_deinit(&chain);
	return outcome;
}

static bool is_admitters(const struct node *node, const struct node_signed *opened)
{
	return node->config.trust.ops->is_admitter(node->config.trust.self, opened->signed_at,
						   &opened->leaf);
}

void node_revocation_arrived(struct node *node, struct mono now, const struct node_id *from,
			     const struct node_signed *opened, const struct revocation *what,
			     struct bytes envelope)
{
	const struct revocation_entry *entry;

	if (!is_admitters(node, opened)) {
		node_count(node, NODE_COUNT_ROLE);
		node_refuse(node, &opened->issuer, "it may not revoke");
		return;
	}
	if (add(node, now, opened, what, envelope) != 0)
		return;
	/* First to everybody, for some of them are about to be cut off. */
	entry = entry_of(node, envelope);
	if (entry)
		flood(node, from, entry);
	carry_out(node, now);
}

/* ---- comparing ---- */

static bool names(const struct revoked *revoked, const struct digest *id)
{
	for (size_t i = 0; i < revoked->id_count; i++)
		if (digest_equal(&revoked->ids[i], id))
			return true;
	return false;
}

/* Hand over what @revoked lacks. Returns how many of its ids we have too. */
static size_t supply(struct node *node, const struct node_id *to, const struct revoked *revoked)
{
	const struct revocation_entry *entry = NULL;
	size_t common = 0;

	while ((entry = revocations_next(&node->revocations, entry)) != NULL) {
		if (names(revoked, &entry->id))
			common++;
		else
			hand_over(node, to, entry);
	}
	return common;
}

void node_revoked_arrived(struct node *node, const struct node_id *from,
			  const struct revoked *revoked)
{
	struct digest own = revocations_fold(&node->revocations);

	if (digest_equal(&own, &revoked->fold))
		return;
	if (revoked->stage == REVOKED_DIGEST)
		tell(node, from, REVOKED_LIST);
	else if (supply(node, from, revoked) < revoked->id_count && revoked->stage == REVOKED_LIST)
		tell(node, from, REVOKED_ANSWER);
}

/* ---- the caller's ---- */

int node_revoke(struct node *node, struct mono now, const struct revocation *what)
{
	struct message message = {.type = MESSAGE_REVOCATION, .revocation = *what}; /* borrowed */
	struct node_signed opened;
	struct buf envelope = {0};
	const struct revocation_entry *entry;
	int outcome;

	node->last = now;
	node_seal(node, now, &message, &envelope);
	outcome = node_open(node, now, bytes_buf(&envelope), &opened);
	if (outcome || !is_admitters(node, &opened))
		outcome = NODE_E_ROLE;
	else if (add(node, now, &opened, what, bytes_buf(&envelope)) != 0)
		outcome = NODE_E_FULL;
	entry = outcome ? NULL : entry_of(node, bytes_buf(&envelope));
	if (entry) {
		flood(node, NULL, entry);
		carry_out(node, now);
	}
	buf_deinit(&envelope);
	node_pump(node, now);
	return outcome;
}

int node_restore_revocation(struct node *node, struct mono now, const struct leaf *chain,
			    struct bytes envelope)
{
	const struct node_trust *trust = &node->config.trust;
	struct node_signed opened = {0};
	struct message message;
	int outcome;

	(void)trust->ops->leaf_add(trust->self, node_fabric_time(node, now), chain);
	outcome = node_open(node, now, envelope, &opened);
	if (outcome == 0)
		outcome = message_decode(opened.payload, &message);
	if (outcome)
		return outcome;
	if (message.type != MESSAGE_REVOCATION || !is_admitters(node, &opened))
		outcome = NODE_TRUST_E_MALFORMED;
	else
		outcome = add(node, now, &opened, &message.revocation, envelope);
	message_deinit(&message);
	return outcome;
}

const struct revocations *node_revocations(const struct node *node)
{
	return &node->revocations;
}
