/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records stay with the machine that wrote them (node.h: records_stay), the machine that
 * awarded a pod still has to know its presence: it gets it, repeated until it is acknowledged.
 *
 * Where not everybody sees everybody, whoever controls a workload watches the machines that run its
 * pods, up to OVERLAY_WATCH_MAX.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	STAY_RESEND_MS = 1000, /* doubling */
	STAY_TRIES = 6,        /* half a minute: then its owner is not there */
	STAY_LETTERS_MAX = 256,
};

/* The last presence of a pod, on its way to who awarded it. */
struct letter {
	struct list link;
	struct node_destination to;
	struct uid pod_uid;
	struct record_version version;
	struct buf envelope;
	struct mono resend_at;
	unsigned tries;
};

/* A machine that runs a pod of ours. */
struct watch {
	struct uid pod_uid;
	struct node_id machine;
};

static void letter_free(struct node *node, struct letter *letter)
{
	list_remove(&letter->link);
	node->letter_count--;
	buf_deinit(&letter->envelope);
	free(letter);
}

static struct letter *letter_of(const struct node *node, const struct uid *pod_uid)
{
	list_for_each (it, &node->letters) {
		struct letter *letter = list_entry(it, struct letter, link);

		if (uid_equal(&letter->pod_uid, pod_uid))
			return letter;
	}
	return NULL;
}

static void letter_send(struct node *node, struct mono now, struct letter *letter)
{
	node_send_packet(node, &letter->to, MESSAGE_RECORD, bytes_buf(&letter->envelope));
	letter->resend_at = mono_add_ms(now, (int64_t)STAY_RESEND_MS << letter->tries);
	letter->tries++;
	node->letters_due = mono_min(node->letters_due, letter->resend_at);
}

void node_presence_tell(struct node *node, struct mono now, const struct node_destination *owner,
			const struct record *presence, struct bytes envelope)
{
	struct letter *letter = letter_of(node, &presence->key.sub);

	if (node_id_is_none(&owner->id) || node_id_equal(&owner->id, &node->config.self.id))
		return;
	if (letter)
		letter_free(node, letter);
	else if (node->letter_count == STAY_LETTERS_MAX)
		letter_free(node, list_first(&node->letters, struct letter, link));
	letter = mem_new(struct letter);
	letter->to = *owner;
	letter->pod_uid = presence->key.sub;
	letter->version = presence->version;
	buf_append_bytes(&letter->envelope, envelope);
	list_append(&node->letters, &letter->link);
	node->letter_count++;
	letter_send(node, now, letter);
}

void node_presence_seen(struct node *node, const struct node_id *from, const struct record_ack *ack)
{
	struct letter *letter = letter_of(node, &ack->key.sub);

	if (letter && node_id_equal(&letter->to.id, from) &&
	    record_version_compare(&ack->version, &letter->version) >= 0)
		letter_free(node, letter);
}

void node_presences_tick(struct node *node, struct mono now)
{
	if (!mono_reached(now, node->letters_due))
		return;
	node->letters_due = MONO_NEVER;
	list_for_each_safe (it, &node->letters) {
		struct letter *letter = list_entry(it, struct letter, link);

		if (!mono_reached(now, letter->resend_at))
			node->letters_due = mono_min(node->letters_due, letter->resend_at);
		else if (letter->tries < STAY_TRIES)
			letter_send(node, now, letter);
		else
			letter_free(node, letter);
	}
}

/* ---- the machine that wants it ---- */

static bool is_watched(const struct node *node, const struct node_id *machine)
{
	map_for_each (entry, &node->watches)
		if (node_id_equal(&((const struct watch *)entry->value)->machine, machine))
			return true;
	return false;
}

void node_watch(struct node *node, struct mono now, const struct uid *pod_uid,
		const struct contact *machine)
{
	struct watch *watch;

	if (node->watches.count >= OVERLAY_WATCH_MAX || addr_is_none(&machine->addr) ||
	    node_id_equal(&machine->id, &node->config.self.id) ||
	    map_get(&node->watches, uid_bytes(pod_uid)))
		return;
	if (!is_watched(node, &machine->id) && !overlay_watch(node->overlay, now, machine))
		return;
	watch = mem_new(struct watch);
	*watch = (struct watch){*pod_uid, machine->id};
	free(map_put(&node->watches, uid_bytes(&watch->pod_uid), watch));
}

void node_unwatch(struct node *node, const struct uid *pod_uid)
{
	struct watch *watch = map_remove(&node->watches, uid_bytes(pod_uid));

	if (watch && !is_watched(node, &watch->machine))
		overlay_unwatch(node->overlay, &watch->machine);
	free(watch);
}

void node_stay_deinit(struct node *node)
{
	list_for_each_safe (it, &node->letters)
		letter_free(node, list_entry(it, struct letter, link));
	map_for_each (entry, &node->watches)
		free(entry->value);
	map_deinit(&node->watches);
}
