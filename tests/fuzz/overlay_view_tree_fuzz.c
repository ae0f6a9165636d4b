/* SPDX-License-Identifier: Apache-2.0 */
/*
 * View and tree of one machine, fed with messages of a few peers in any order, with time between
 * them. A step is one byte of operation, one that names a peer, and what the operation needs; ids,
 * names and contacts are few, so that they often meet what is known, or messages come as bytes to
 * be decoded.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "identity/sha256.h"
#include "overlay/tree.h"
#include "overlay/view.h"

enum {
	PEERS = 12,
	STEPS_MAX = 2000,
	CONTACTS = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script {
	const uint8_t *at;
	size_t left;
	struct view *view;
	struct tree *tree;
	struct mono now;
};

static uint8_t next_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

static struct contact peer(uint8_t n)
{
	const uint8_t ip[ADDR_V4_LEN] = {10, 0, 0, n};
	struct contact contact = {.incarnation = n / PEERS};
	bool valid = addr_from_ip(bytes_of(ip, sizeof(ip)), 7946, &contact.addr);

	assert(valid);
	memset(contact.id.byte, n % PEERS, sizeof(contact.id.byte));
	return contact;
}

/* The payload of one byte, and its name. */
static struct uid name_of(uint8_t payload)
{
	struct digest digest = sha256(bytes_of(&payload, 1));
	struct uid id;

	memcpy(id.byte, digest.byte, sizeof(id.byte));
	return id;
}

static void receive(struct script *script, const struct contact *from,
		    const struct message *message)
{
	if (message->type >= MESSAGE_GOSSIP && message->type <= MESSAGE_PRUNE) {
		view_traffic(script->view, script->now, from);
		tree_receive(script->tree, script->now, &from->id, message);
	} else if (message->type >= MESSAGE_JOIN && message->type <= MESSAGE_SHUFFLE_REPLY) {
		view_receive(script->view, script->now, from, message);
	}
}

static void receive_membership(struct script *script, const struct contact *from)
{
	struct contact list[CONTACTS];
	uint8_t what = next_byte(script);
	struct message message = {.type = MESSAGE_JOIN + what % 7};

	for (size_t i = 0; i < CONTACTS; i++)
		list[i] = peer(next_byte(script));
	switch ((int)message.type) {
	case MESSAGE_FORWARD_JOIN:
		message.forward_join = (struct forward_join){list[0], what % MESSAGE_TTL_MAX};
		break;
	case MESSAGE_NEIGHBOR:
		message.neighbor.urgent = what & 0x80;
		break;
	case MESSAGE_NEIGHBOR_REPLY:
		message.neighbor_reply.accepted = what & 0x80;
		break;
	case MESSAGE_DISCONNECT:
		message.disconnect.leaving = what & 0x80;
		break;
	case MESSAGE_SHUFFLE:
		message.shuffle.origin = list[0];
		message.shuffle.ttl = what % MESSAGE_TTL_MAX;
		message.shuffle.contacts = (struct contacts){list, CONTACTS};
		break;
	case MESSAGE_SHUFFLE_REPLY:
		message.shuffle_reply.contacts = (struct contacts){list, CONTACTS};
		break;
	default:
		break;
	}
	receive(script, from, &message);
}

static void receive_broadcast(struct script *script, const struct contact *from)
{
	uint8_t what = next_byte(script), payload = next_byte(script);
	struct uid ids[2] = {name_of(payload), name_of(what)};
	struct message message = {.type = MESSAGE_GOSSIP + what % 4};

	switch ((int)message.type) {
	case MESSAGE_GOSSIP:
		message.gossip.id = ids[what & 0x80 ? 1 : 0];
		message.gossip.hops = what;
		message.gossip.payload = (struct buf){&payload, 1, 1};
		break;
	case MESSAGE_IHAVE:
		message.ihave = (struct ihave){ids, 2};
		break;
	case MESSAGE_GRAFT:
		message.graft.id = what & 0x80 ? (struct uid){0} : ids[0];
		break;
	default:
		break;
	}
	receive(script, from, &message);
}

static void receive_bytes(struct script *script, const struct contact *from)
{
	size_t len = next_byte(script);
	struct message message;

	if (len > script->left)
		len = script->left;
	if (message_decode(bytes_of(script->at, len), &message) == 0) {
		receive(script, from, &message);
		message_deinit(&message);
	}
	script->at += len;
	script->left -= len;
}

static void step(struct script *script)
{
	uint8_t operation = next_byte(script), n = next_byte(script);
	struct contact from = peer(n);
	struct uid id = name_of(n);

	switch (operation % 16) {
	case 0:
		view_join(script->view, script->now, &from);
		break;
	case 1:
		view_remember(script->view, script->now, &from);
		break;
	case 2:
		view_lost(script->view, script->now, &from.id);
		break;
	case 3:
		view_unreachable(script->view, script->now, &from.id);
		break;
	case 4:
		view_doubt(script->view, script->now, &from.id, operation & 0x80);
		break;
	case 5:
		tree_broadcast(script->tree, script->now, bytes_of(&n, 1));
		break;
	case 6:
		tree_accept(script->tree, script->now, &id);
		break;
	case 7:
		receive_bytes(script, &from);
		break;
	case 8:
		if (n == 0xff)
			view_leave(script->view, script->now);
		script->now = mono_add_ms(script->now, (int64_t)n * n);
		break;
	case 9:
		view_tick(script->view, script->now);
		tree_tick(script->tree, script->now);
		break;
	case 10:
	case 11:
	case 12:
		receive_broadcast(script, &from);
		break;
	default:
		receive_membership(script, &from);
	}
}

/* What comes out must be within the limits of the wire; the tree follows the view. */
static void take_effects(struct script *script)
{
	const struct view_effect *view_effect;
	const struct tree_effect *tree_effect;
	struct buf encoded = {0};

	while ((view_effect = view_next_effect(script->view))) {
		buf_clear(&encoded);
		if (view_effect->type == VIEW_UP)
			tree_up(script->tree, script->now, &view_effect->to.id);
		else if (view_effect->type == VIEW_DOWN)
			tree_down(script->tree, script->now, &view_effect->to.id);
		else
			message_encode(&view_effect->message, &encoded);
	}
	while ((tree_effect = tree_next_effect(script->tree))) {
		buf_clear(&encoded);
		if (tree_effect->type == TREE_SEND)
			message_encode(&tree_effect->message, &encoded);
		else if (tree_effect->payload.ptr[0] & 1)
			tree_accept(script->tree, script->now, &tree_effect->id);
	}
	buf_deinit(&encoded);
}

static void check(const struct script *script)
{
	const struct view *view = script->view;
	struct contact self = peer(0);

	assert(view_active_count(view) <= VIEW_ACTIVE_MAX && view_passive_count(view) < PEERS);
	assert(!view_is_active(view, &self.id));
	for (size_t i = 0; i < view_passive_count(view); i++)
		assert(!view_is_active(view, &view_passive(view, i)->id));
	assert(tree_eager_count(script->tree) <= view_active_count(view));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script script = {.at = data, .left = len};
	struct contact self = peer(0);

	script.view = view_new(&self, 1, script.now);
	script.tree = tree_new(1);
	for (size_t i = 0; i < STEPS_MAX && script.left > 0; i++) {
		step(&script);
		if (i % 8 == 7)
			continue; /* a caller that takes several events at once */
		take_effects(&script);
		check(&script);
	}
	view_free(script.view);
	tree_free(script.tree);
	return 0;
}
