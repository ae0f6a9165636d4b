/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What agents pass on is signed by others, whose certificates need not be known here. A message
 * with such envelopes waits while its sender is asked for them, each once; it is handed on when all
 * are there, or after LEAF_WAIT_MS with those that are, for the directory drops what it cannot
 * open.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/envelope.h"
#include "identity/sha256.h"
#include "io/clock.h"
#include "workplane/mesh_internal.h"

enum {
	LEAF_WAIT_MS = 1000,
	LEAF_WANTS_MAX = 64,           /* certificates that one message may wait for */
	LEAF_HELD_MAX = 64,            /* messages that wait */
	LEAF_HELD_BYTES_MAX = 4 << 20, /* of these: two answers at all their limits */
};

struct held_message {
	struct list link;
	struct mesh_link *from;
	struct work_message message;
	size_t bytes;
	struct mono until;
	struct digest missing[LEAF_WANTS_MAX];
	size_t missing_count;
};

static bool is_known(struct mesh *mesh, const struct digest *issuer)
{
	return digest_equal(issuer, &mesh->leaf) || trust_chain(&mesh->trust, issuer).len > 0;
}

static void look_at(struct mesh *mesh, const struct buf *bytes, struct held_message *held)
{
	struct envelope envelope;

	held->bytes += bytes->len;
	if (bytes->len == 0 || envelope_parse(bytes_buf(bytes), &envelope) != 0 ||
	    is_known(mesh, &envelope.issuer) || held->missing_count == LEAF_WANTS_MAX)
		return;
	for (size_t i = 0; i < held->missing_count; i++)
		if (digest_equal(&held->missing[i], &envelope.issuer))
			return;
	held->missing[held->missing_count++] = envelope.issuer;
}

static void look_through(struct mesh *mesh, const struct work_message *message,
			 struct held_message *held)
{
	held->bytes = held->missing_count = 0;
	if (message->type == WORK_STORE) {
		look_at(mesh, &message->store.record, held);
		look_at(mesh, &message->store.renewal, held);
	} else if (message->type == WORK_RENEW) {
		look_at(mesh, &message->renew.renewal, held);
	} else if (message->type == WORK_HEARTBEAT) {
		look_at(mesh, &message->heartbeat.renewal, held);
	} else if (message->type == WORK_RECORDS) {
		for (size_t i = 0; i < message->records.count; i++) {
			look_at(mesh, &message->records.list[i].record, held);
			look_at(mesh, &message->records.list[i].renewal, held);
		}
	}
}

static void held_free(struct mesh *mesh, struct held_message *held)
{
	list_remove(&held->link);
	mesh->held_count--;
	mesh->held_bytes -= held->bytes;
	work_message_deinit(&held->message);
	free(held);
}

static void hand_on(struct mesh *mesh, struct held_message *held)
{
	struct work_message message = held->message;
	struct mesh_link *from = held->from;

	held->message = (struct work_message){.type = WORK_LEAF_WANT}; /* owns nothing */
	held_free(mesh, held);
	mesh_received(mesh, from, &message);
	work_message_deinit(&message);
}

static void on_time(void *user)
{
	struct mesh *mesh = user;
	struct mono now = clock_mono();

	while (!list_is_empty(&mesh->held)) {
		struct held_message *held = list_first(&mesh->held, struct held_message, link);

		if (!mono_reached(now, held->until)) {
			loop_timer_set(mesh->leaf_timer, held->until);
			return;
		}
		hand_on(mesh, held);
	}
}

static void hold(struct mesh *mesh, struct held_message *held)
{
	list_append(&mesh->held, &held->link);
	mesh->held_count++;
	mesh->held_bytes += held->bytes;
	held->until = mono_add_ms(clock_mono(), LEAF_WAIT_MS);
	if (!mesh->leaf_timer)
		mesh->leaf_timer = loop_timer_new(mesh->loop, on_time, mesh);
	if (mesh->held_count == 1)
		loop_timer_set(mesh->leaf_timer, held->until);
	for (size_t i = 0; i < held->missing_count; i++) {
		const struct work_message want = {.type = WORK_LEAF_WANT,
						  .leaf_want = held->missing[i]};

		(void)mesh_link_send(held->from, &want); /* or it waits in vain */
	}
}

/* Packets may be the bulk of what comes, and are none of the directory's. */
static bool is_our_own(struct mesh *mesh, struct mesh_link *link, struct work_message *message)
{
	switch (message->type) {
	case WORK_PACKET:
		mesh_flow_packet(mesh, link, &message->packet);
		return true;
	case WORK_PACKET_END:
		mesh_flow_ended(mesh, link, &message->packet_end);
		return true;
	case WORK_GROUP:
		mesh_group_take(mesh, link, bytes_buf(&message->group));
		return true;
	case WORK_LEAF_WANT:
		mesh_leaf_want(mesh, link, &message->leaf_want);
		return true;
	case WORK_LEAF:
		mesh_leaf_came(mesh, bytes_buf(&message->leaf));
		return true;
	case WORK_OVERLAY:
	case WORK_STORE:
	case WORK_STORED:
	case WORK_RENEW:
	case WORK_LOOKUP:
	case WORK_RECORDS:
	case WORK_HEARTBEAT:
	case WORK_SUMMARY:
		break;
	}
	return false;
}

void mesh_leaf_take(struct mesh *mesh, struct mesh_link *link, struct work_message *message)
{
	struct held_message *held;

	if (is_our_own(mesh, link, message)) {
		work_message_deinit(message);
		return;
	}
	held = mem_new(struct held_message);
	list_init(&held->link);
	held->from = link;
	look_through(mesh, message, held);
	if (held->missing_count > 0 && mesh->held_count < LEAF_HELD_MAX &&
	    mesh->held_bytes + held->bytes <= LEAF_HELD_BYTES_MAX) {
		held->message = *message;
		hold(mesh, held);
		return;
	}
	free(held);
	mesh_received(mesh, link, message);
	work_message_deinit(message);
}

void mesh_leaf_want(struct mesh *mesh, struct mesh_link *link, const struct digest *hash)
{
	struct work_message answer = {.type = WORK_LEAF};
	bool own = digest_equal(hash, &mesh->leaf);
	struct bytes chain = own ? bytes_buf(&mesh->chain) : trust_chain(&mesh->trust, hash);

	if (chain.len == 0)
		return;
	buf_append_bytes(&answer.leaf, chain);
	(void)mesh_link_send(link, &answer);
	work_message_deinit(&answer);
}

static bool is_wanted(const struct mesh *mesh, const struct digest *hash)
{
	list_for_each (it, &mesh->held) {
		const struct held_message *held = list_entry(it, struct held_message, link);

		for (size_t i = 0; i < held->missing_count; i++)
			if (digest_equal(&held->missing[i], hash))
				return true;
	}
	return false;
}

/* The first message that has all it needs; handing it on may change the list. */
static struct held_message *find_complete(struct mesh *mesh)
{
	list_for_each (it, &mesh->held) {
		struct held_message *held = list_entry(it, struct held_message, link);
		size_t left = 0;

		for (size_t i = 0; i < held->missing_count; i++)
			if (!is_known(mesh, &held->missing[i]))
				held->missing[left++] = held->missing[i];
		held->missing_count = left;
		if (left == 0)
			return held;
	}
	return NULL;
}

void mesh_leaf_came(struct mesh *mesh, struct bytes bytes)
{
	struct trust_query query = mesh_query(mesh);
	struct held_message *held;
	struct digest hash;
	struct chain chain;

	/* Only what was asked for: to verify a chain takes three signatures. */
	if (!chain_split(bytes, &chain))
		return;
	hash = sha256(chain.cert[0]);
	if (!is_wanted(mesh, &hash) || trust_verify(&mesh->trust, &query, &chain, NULL, NULL) != 0)
		return;
	while ((held = find_complete(mesh)))
		hand_on(mesh, held);
}

void mesh_leaf_forget(struct mesh *mesh, const struct mesh_link *link)
{
	list_for_each_safe (it, &mesh->held) {
		struct held_message *held = list_entry(it, struct held_message, link);

		if (held->from == link)
			held_free(mesh, held);
	}
}

void mesh_leaves_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->held)
		held_free(mesh, list_entry(it, struct held_message, link));
	loop_timer_free(mesh->leaf_timer);
}
