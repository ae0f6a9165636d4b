/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long absence: whether a machine's pods are still wanted is asked of those who keep the records of
 * their objects, and answered for other machines.
 *
 * A pod that was kept over a power cut waits for the answer of a steward, NODE_KEPT_MS at most:
 * wanted, it goes on; deleted or replaced, it ends. When nobody answers it goes on unasked, and
 * whoever comes later says what became of its object meanwhile. When a machine knows nobody it asks
 * nobody.
 *
 * A steward that has never heard of the object is not enough to end its pod: it may be new itself.
 * It is when it is complete since a time at which the object lived, and so long ago that the
 * tombstone may be gone (absence_means_deleted()). Otherwise the object is unknown to it, not gone,
 * and it gets our copy, which is as good as any: signed by the steward who wrote it.
 *
 * All pods are asked after every NODE_VOUCH_MS, which makes NODE_NOTE: when their objects were last
 * known to live, and the signed object, for the next boot.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"

/* So long that the tombstone of what was deleted since may be gone. */
static bool is_long_ago(int64_t confirmed_ms, int64_t now_ms)
{
	return confirmed_ms > 0 &&
	       now_ms - confirmed_ms > RECORDS_TOMBSTONE_MS - NODE_ABSENCE_MARGIN_MS;
}

bool absence_means_deleted(int64_t confirmed_ms, const struct vouch *vouch, int64_t now_ms)
{
	return vouch->complete && vouch->complete_since_ms <= confirmed_ms &&
	       is_long_ago(confirmed_ms, now_ms);
}

/* ---- answering */

/* The running pods of one object, read once for all that are asked after. */
struct occupants {
	struct uid object; /* none: of nothing yet */
	struct occupant {
		struct uid pod;
		uint32_t slot;
	} * list;
	size_t count;
};

static void occupants_load(struct occupants *occupants, const struct node *node,
			   const struct uid *object)
{
	const struct record_item *item;
	struct presence presence;
	size_t position = 0;

	occupants->object = *object;
	occupants->count = 0;
	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, object, &position))) {
		if (presence_decode(bytes_buf(&item->record.value), &presence) != 0)
			continue;
		if (presence.phase == POD_RUNNING && !presence.terminating &&
		    node_machine_alive(node, &presence.node)) {
			occupants->list = mem_resize(occupants->list, occupants->count + 1,
						     sizeof(*occupants->list));
			occupants->list[occupants->count++] =
				(struct occupant){presence.pod_uid, presence.slot};
		}
		presence_deinit(&presence);
	}
}

static bool is_replaced(const struct node *node, struct occupants *occupants,
			const struct vouch_pod *asked)
{
	if (uid_is_none(&asked->pod_uid))
		return false;
	if (!uid_equal(&occupants->object, &asked->object_uid))
		occupants_load(occupants, node, &asked->object_uid);
	for (size_t i = 0; i < occupants->count; i++)
		if (occupants->list[i].slot == asked->slot &&
		    !uid_equal(&occupants->list[i].pod, &asked->pod_uid))
			return true;
	return false;
}

static enum standing standing_of(const struct node *node, struct occupants *occupants,
				 const struct vouch_pod *asked)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = asked->object_uid};

	if (records_is_deleted(node->records, &asked->object_uid) ||
	    (!uid_is_none(&asked->pod_uid) && records_is_deleted(node->records, &asked->pod_uid)))
		return STANDING_DELETED;
	if (!records_get(node->records, &key) || records_doubted(node->records, &asked->object_uid))
		return STANDING_UNKNOWN;
	return is_replaced(node, occupants, asked) ? STANDING_REPLACED : STANDING_WANTED;
}

void node_vouch_wanted(struct node *node, struct mono now, const struct node_id *from,
		       const struct vouch_want *want)
{
	struct message answer = {.type = MESSAGE_VOUCH};
	struct vouch *vouch = &answer.vouch;
	struct occupants occupants = {0};

	if (!node->config.steward)
		return;
	vouch->complete = node_is_complete(node);
	vouch->complete_since_ms = vouch->complete ? node->complete_since_ms : 0;
	vouch->placing = !node_is_holding(node, now);
	vouch->count = want->count;
	vouch->verdicts = mem_alloc(want->count, sizeof(*vouch->verdicts));
	for (size_t i = 0; i < want->count; i++)
		vouch->verdicts[i] = (struct verdict){
			.object_uid = want->pods[i].object_uid,
			.pod_uid = want->pods[i].pod_uid,
			.standing = standing_of(node, &occupants, &want->pods[i]),
		};
	node_send_signed(node, now, &(struct node_destination){*from}, &answer);
	message_deinit(&answer);
	free(occupants.list);
}

/* ---- asking */

static int by_object(const void *a, const void *b)
{
	const struct vouch_pod *left = a, *right = b;
	int order = uid_compare(&left->object_uid, &right->object_uid);

	return order ? order : uid_compare(&left->pod_uid, &right->pod_uid);
}

void node_vouch_want(struct node *node, const struct node_id *to, struct vouch_pod *pods,
		     size_t count)
{
	struct message want = {.type = MESSAGE_VOUCH_WANT, .vouch_want = {pods, count}};
	struct buf encoded = {0};

	message_encode(&want, &encoded);
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_VOUCH_WANT,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
}

/* After all pods of this machine; and, without any, how complete @to is. Those of one object follow
 * each other: who is asked reads each object's pods once. */
static void ask(struct node *node, const struct node_id *to)
{
	struct vouch_pod *pods = mem_alloc(node->pods.count + 1, sizeof(*pods));
	size_t count = 0, at = 0;

	map_for_each (entry, &node->pods) {
		const struct local_pod *pod = entry->value;

		if (pod->stopping)
			continue;
		pods[count++] = (struct vouch_pod){
			.object_uid = pod->presence.object.uid,
			.pod_uid = pod->presence.pod_uid,
			.slot = pod->presence.slot,
		};
	}
	qsort(pods, count, sizeof(*pods), by_object);
	do {
		size_t part = count - at < MESSAGE_VOUCH_MAX ? count - at : MESSAGE_VOUCH_MAX;

		node_vouch_want(node, to, pods + at, part);
		at += part;
	} while (at < count);
	free(pods);
}

/* Any of the stewards that are there; none: ourselves, if nobody else keeps anything. */
static bool random_steward(struct node *node, struct node_id *ret_id)
{
	size_t chosen;

	if (node->stewards.count == 0) {
		*ret_id = node->config.self.id;
		return node->config.steward && !node->knows_peers;
	}
	chosen = prng_below(&node->prng, node->stewards.count);
	map_for_each (entry, &node->stewards)
		if (chosen-- == 0)
			*ret_id = *(const struct node_id *)entry->value;
	return true;
}

void node_vouch_joined(struct node *node, struct mono now, const struct node_id *id)
{
	if (!map_get(&node->stewards, bytes_of(id->byte, ID_LEN)))
		return;
	ask(node, id);
	node_doubt_ask(node, now, id);
}

/* ---- what follows from the answers */

void node_kept_resume(struct node *node, struct local_pod *pod, const char *text)
{
	struct queued_effect *queued = node_queue(node, NODE_RESUME);

	node_recall_end(pod);
	pod->kept = false;
	pod->of_this_life = true;
	queued->effect.pod_uid = pod->presence.pod_uid;
	queued->text = mem_strdup(text);
	node_count(node, NODE_COUNT_PODS_RESUMED);
}

void node_kept_end(struct node *node, struct local_pod *pod, const char *text)
{
	node_recall_end(pod);
	pod->kept = false;
	node_pod_stop(node, &pod->presence.pod_uid, 0, text);
}

/* It is wanted, for all we know. */
static void resume(struct node *node, struct mono now, struct local_pod *pod, const char *text)
{
	if (node_recall_is_needed(pod) && !fault_is_planted(FAULT_RECALL))
		node_recall_begin(node, now, pod);
	else
		node_kept_resume(node, pod, text);
}

/* The object as this machine has it: in its records, or as it was noted on its disk. */
static struct bytes own_copy(const struct node *node, const struct local_pod *pod)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = pod->presence.object.uid};
	const struct record_item *item = records_get(node->records, &key);

	return item ? bytes_buf(&item->envelope) : bytes_buf(&pod->object);
}

static void confirm(struct node *node, struct mono now, struct local_pod *pod)
{
	int64_t now_ms = node_fabric_time(node, now).ms;
	struct queued_effect *queued;

	pod->confirmed_ms = now_ms;
	if (now_ms - pod->noted_ms < NODE_NOTE_MS)
		return;
	pod->noted_ms = now_ms;
	queued = node_queue(node, NODE_NOTE);
	queued->effect.pod_uid = pod->presence.pod_uid;
	queued->effect.confirmed_ms = now_ms;
	buf_append_bytes(&queued->packet, own_copy(node, pod));
}

/* The steward does not know the object. */
static void unknown(struct node *node, struct mono now, const struct node_id *from,
		    const struct vouch *vouch, struct local_pod *pod)
{
	struct bytes copy = own_copy(node, pod);
	int64_t now_ms = node_fabric_time(node, now).ms;

	if (absence_means_deleted(pod->confirmed_ms, vouch, now_ms)) {
		node_kept_end(node, pod, "deleted while this machine was away");
		return;
	}
	/* It may have been away as we were: somebody else knows more, or NODE_DOUBT_MS ends. */
	if (!vouch->complete && is_long_ago(pod->confirmed_ms, now_ms))
		return;
	if (copy.len > 0)
		node_send_packet(node, &(struct node_destination){*from}, MESSAGE_RECORD, copy);
}

static void judge(struct node *node, struct mono now, const struct node_signed *opened,
		  const struct vouch *vouch, const struct verdict *verdict)
{
	struct local_pod *pod = map_get(&node->pods, uid_bytes(&verdict->pod_uid));

	if (!pod || pod->stopping || !uid_equal(&pod->presence.object.uid, &verdict->object_uid) ||
	    !node_signer_is_steward(node, opened, pod->presence.object.namespace))
		return;
	switch (verdict->standing) {
	case STANDING_UNKNOWN:
		unknown(node, now, &opened->issuer, vouch, pod);
		return;
	case STANDING_WANTED:
		confirm(node, now, pod);
		if (pod->kept)
			resume(node, now, pod, "still wanted");
		return;
	case STANDING_REPLACED:
		confirm(node, now, pod);
		if (pod->kept)
			node_kept_end(node, pod, "replaced while this machine was away");
		return;
	case STANDING_DELETED:
		/* A pod that runs ends by the tombstone itself, which is signed. */
		if (pod->kept)
			node_kept_end(node, pod, "deleted while this machine was away");
		return;
	}
}

/* ---- placing again */

bool node_is_holding(const struct node *node, struct mono now)
{
	return node->knows_peers && !mono_reached(now, node->hold_until) &&
	       !fault_is_planted(FAULT_REBOOT);
}

static void release(struct node *node, struct mono now)
{
	if (mono_reached(now, node->hold_until))
		return;
	node->hold_until = now;
	node_workloads_touch_all(node);
}

/* About an object of which no pod was asked after. */
static bool judge_doubted(struct node *node, struct mono now, const struct node_signed *opened,
			  const struct vouch *vouch, const struct verdict *verdict)
{
	const struct record_item *item = records_doubted(node->records, &verdict->object_uid);

	return item && uid_is_none(&verdict->pod_uid) &&
	       node_signer_is_steward(node, opened, item->record.object.namespace) &&
	       node_doubt_judge(node, now, vouch, verdict);
}

/* It counts for the namespaces of which its signer is a steward; how complete it is, only if that
 * is all of them. */
void node_vouched(struct node *node, struct mono now, const struct node_signed *opened,
		  const struct vouch *vouch)
{
	const struct node_id *from = &opened->issuer;
	size_t doubts = records_doubts(node->records);

	for (size_t i = 0; i < vouch->count; i++)
		if (!judge_doubted(node, now, opened, vouch, &vouch->verdicts[i]))
			judge(node, now, opened, vouch, &vouch->verdicts[i]);
	if (records_doubts(node->records) < doubts)
		node_doubt_ask(node, now, from);
	if (!node_signer_is_steward(node, opened, ""))
		return;
	node_complete_heard(node, from, vouch);
	/* A complete one, or one that does not wait, kept its power: not everything was cut off. */
	if (vouch->complete || vouch->placing)
		release(node, now);
}

/* ---- kept pods */

/* Nobody has told the fabric of these objects: whoever we meet will hear of them. */
static void republish(struct node *node, struct mono now, const struct local_pod *pod)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = pod->presence.object.uid};

	/* A machine that keeps nothing for others could not keep it to itself: doubt.c. */
	if (!node->config.steward && is_long_ago(pod->confirmed_ms, node_fabric_time(node, now).ms))
		return;
	if (!records_get(node->records, &key) && pod->object.len > 0)
		(void)!node_restore(node, now, bytes_buf(&pod->object));
}

static void resume_unasked(struct node *node, struct mono now)
{
	struct uid *uids = mem_alloc(node->pods.count, sizeof(*uids));
	size_t count = 0;

	map_for_each (entry, &node->pods)
		if (((const struct local_pod *)entry->value)->kept)
			uids[count++] = ((const struct local_pod *)entry->value)->presence.pod_uid;
	for (size_t i = 0; i < count; i++) {
		struct local_pod *pod = map_get(&node->pods, uid_bytes(&uids[i]));

		if (!pod || !pod->kept)
			continue;
		resume(node, now, pod, "nobody can be asked");
		republish(node, now, pod);
	}
	free(uids);
}

/* What was noted; or when our own records were last complete, for they had it. */
static int64_t confirmed_at(const struct node *node, const struct presence *presence,
			    const struct node_note *note)
{
	int64_t seen_ms = node->config.complete.seen_ms;

	return records_doubted(node->records, &presence->object.uid) && seen_ms > note->confirmed_ms
		       ? seen_ms
		       : note->confirmed_ms;
}

void node_pod_kept(struct node *node, struct mono now, const struct presence *presence,
		   struct bytes manifest, const struct node_note *note)
{
	struct local_pod *pod;

	node_pod_recovered(node, now, presence, manifest);
	pod = map_get(&node->pods, uid_bytes(&presence->pod_uid));
	if (!pod || pod->stopping)
		return;
	pod->kept = true;
	pod->confirmed_ms = confirmed_at(node, presence, note);
	buf_append_bytes(&pod->object, note->object);
	node->kept_due = mono_min(node->kept_due, mono_add_ms(now, NODE_ALONE_MS));
}

/* A machine that knows others waits for them a little longer. */
static void kept_tick(struct node *node, struct mono now)
{
	struct mono latest = mono_add_ms(node->started, NODE_KEPT_MS);

	if (!mono_reached(now, node->kept_due))
		return;
	node->kept_due = MONO_NEVER;
	if (node->knows_peers && !mono_reached(now, latest))
		node->kept_due = latest;
	else
		resume_unasked(node, now);
}

void node_vouch_tick(struct node *node, struct mono now)
{
	struct node_id steward;

	kept_tick(node, now);
	node_complete_tick(node, now);
	if (mono_reached(now, node->hold_due)) {
		node->hold_due = MONO_NEVER;
		node_workloads_touch_all(node);
	}
	if (!mono_reached(now, node->vouch_due))
		return;
	node->vouch_due = mono_add_ms(now, prng_jitter(&node->prng, NODE_VOUCH_MS));
	if (!random_steward(node, &steward))
		return;
	ask(node, &steward);
	node_doubt_ask(node, now, &steward);
}

struct mono node_vouch_deadline(const struct node *node)
{
	struct mono deadline = mono_min(node->kept_due, node->vouch_due);

	return mono_min(mono_min(deadline, node->complete_due), node->hold_due);
}
