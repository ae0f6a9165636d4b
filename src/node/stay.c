/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records stay with the machine that wrote them (node.h: records_stay), the machine that
 * awarded a pod still has to know its presence: it gets it, repeated until it is acknowledged.
 *
 * Where not everybody sees everybody, whoever controls a workload watches the machines that run its
 * pods, up to OVERLAY_WATCH_MAX. A machine that is lost stays watched, so that it is dialled, and
 * what it ran is remembered: when it comes back it is asked for just those presences. For it may
 * never have noticed that it was lost, and has nothing new to say. Live ones go before lost ones.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	STAY_RESEND_MS = 1000, /* doubling */
	STAY_TRIES = 6,        /* half a minute: then its owner is not there */
	STAY_LETTERS_MAX = 256,
	STAY_ASKS = 4, /* a quarter of a minute: then what ran there does not run any more */
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

/* A machine that runs a pod of ours, or ran it when it was lost. */
struct watch {
	struct record_key presence;
	struct node_id machine;
	bool lost;
	unsigned asks;      /* since the machine is back */
	struct mono ask_at; /* never, while it is lost, and when its presence is here */
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
	node->stay_due = mono_min(node->stay_due, letter->resend_at);
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

static void letters_tick(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->letters) {
		struct letter *letter = list_entry(it, struct letter, link);

		if (!mono_reached(now, letter->resend_at))
			node->stay_due = mono_min(node->stay_due, letter->resend_at);
		else if (letter->tries < STAY_TRIES)
			letter_send(node, now, letter);
		else
			letter_free(node, letter);
	}
}

/* ---- the machine that wants it ---- */

bool node_watches(const struct node *node, const struct node_id *machine)
{
	map_for_each (entry, &node->watches)
		if (node_id_equal(&((const struct watch *)entry->value)->machine, machine))
			return true;
	return false;
}

static void watch_end(struct node *node, struct watch *watch)
{
	(void)map_remove(&node->watches, uid_bytes(&watch->presence.sub));
	if (!node_watches(node, &watch->machine) && !node_is_partner(node, &watch->machine))
		overlay_unwatch(node->overlay, &watch->machine);
	free(watch);
}

static struct watch *lost_watch(const struct node *node)
{
	map_for_each (entry, &node->watches)
		if (((const struct watch *)entry->value)->lost)
			return entry->value;
	return NULL;
}

static bool watches_make_room(struct node *node)
{
	struct watch *lost;

	if (node->watches.count < OVERLAY_WATCH_MAX)
		return true;
	lost = lost_watch(node);
	if (lost)
		watch_end(node, lost);
	return lost != NULL;
}

void node_watch(struct node *node, struct mono now, const struct uid *object_uid,
		const struct uid *pod_uid, const struct contact *machine)
{
	struct watch *watch;

	if (addr_is_none(&machine->addr) || node_id_equal(&machine->id, &node->config.self.id) ||
	    map_get(&node->watches, uid_bytes(pod_uid)) || !watches_make_room(node))
		return;
	if (!overlay_watch(node->overlay, now, machine))
		return;
	watch = mem_new(struct watch);
	*watch = (struct watch){
		.presence = {.kind = RECORD_PRESENCE, .uid = *object_uid, .sub = *pod_uid},
		.machine = machine->id,
		.ask_at = MONO_NEVER,
	};
	free(map_put(&node->watches, uid_bytes(pod_uid), watch));
}

/* The presences of a machine that is lost are forgotten, but not that there were any. */
void node_unwatch(struct node *node, const struct uid *pod_uid)
{
	struct watch *watch = map_get(&node->watches, uid_bytes(pod_uid));

	if (watch && !watch->lost)
		watch_end(node, watch);
}

void node_watched_lost(struct node *node, const struct node_id *machine)
{
	map_for_each (entry, &node->watches) {
		struct watch *watch = entry->value;

		if (!node_id_equal(&watch->machine, machine))
			continue;
		watch->lost = true;
		watch->ask_at = MONO_NEVER;
	}
}

/* It is back: what of ours runs there? */
void node_watched_joined(struct node *node, struct mono now, const struct node_id *machine)
{
	map_for_each (entry, &node->watches) {
		struct watch *watch = entry->value;

		if (!watch->lost || !node_id_equal(&watch->machine, machine))
			continue;
		watch->asks = 0;
		watch->ask_at = now;
		node->stay_due = mono_min(node->stay_due, now);
	}
}

void node_watched_seen(struct node *node, const struct uid *pod_uid)
{
	struct watch *watch = map_get(&node->watches, uid_bytes(pod_uid));

	if (!watch)
		return;
	watch->lost = false;
	watch->ask_at = MONO_NEVER;
}

static void watch_ask(struct node *node, struct mono now, struct watch *watch)
{
	struct message want = {.type = MESSAGE_SYNC_WANT,
			       .sync_want = {.keys = &watch->presence, .key_count = 1}};
	struct buf encoded = {0};

	message_encode(&want, &encoded);
	node_send_packet(node, &(struct node_destination){watch->machine}, MESSAGE_SYNC_WANT,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
	watch->ask_at = mono_add_ms(now, (int64_t)STAY_RESEND_MS << watch->asks);
	watch->asks++;
}

static struct watch *unanswered_watch(const struct node *node, struct mono now)
{
	map_for_each (entry, &node->watches) {
		struct watch *watch = entry->value;

		if (watch->asks == STAY_ASKS && mono_reached(now, watch->ask_at))
			return watch;
	}
	return NULL;
}

static void watches_tick(struct node *node, struct mono now)
{
	struct watch *unanswered;

	while ((unanswered = unanswered_watch(node, now)) != NULL)
		watch_end(node, unanswered);
	map_for_each (entry, &node->watches) {
		struct watch *watch = entry->value;

		if (mono_reached(now, watch->ask_at))
			watch_ask(node, now, watch);
		node->stay_due = mono_min(node->stay_due, watch->ask_at);
	}
}

void node_stay_tick(struct node *node, struct mono now)
{
	if (!mono_reached(now, node->stay_due))
		return;
	node->stay_due = MONO_NEVER;
	letters_tick(node, now);
	watches_tick(node, now);
}

void node_stay_deinit(struct node *node)
{
	list_for_each_safe (it, &node->letters)
		letter_free(node, list_entry(it, struct letter, link));
	map_for_each (entry, &node->watches)
		free(entry->value);
	map_deinit(&node->watches);
}
