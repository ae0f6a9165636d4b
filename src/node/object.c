/* SPDX-License-Identifier: Apache-2.0 */
/* Records: writing them under our name, and carrying out what the records core asks for. */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "kube/lost.h"

struct node_id node_controller(const struct node *node, const struct uid *uid)
{
	if (fault_is_planted(FAULT_CONTROLLERS) && node->config.steward)
		return node->config.self.id;
	return records_controller(node->records, uid);
}

/* Stamp, sign and store @record; it is complete but for its clock and digest. */
static int put_record(struct node *node, struct mono now, struct record *record,
		      uint64_t expected_hlc, uint64_t *ret_token, struct buf *ret_envelope)
{
	struct wall fabric = node_fabric_time(node, now);
	struct message message = {.type = MESSAGE_RECORD};

	record->version.hlc = records_clock_next(node->records, fabric);
	record->version.digest = sha256(bytes_buf(&record->value));
	record->written_ms = fabric.ms;
	message.record = *record; /* borrowed: not deinitialised */
	node_seal(node, now, &message, ret_envelope);
	return records_put(node->records, now, fabric, record, bytes_buf(ret_envelope),
			   expected_hlc, ret_token);
}

int node_put_record(struct node *node, struct mono now, struct record *record,
		    uint64_t expected_hlc, uint64_t *ret_token)
{
	struct buf envelope = {0};
	int outcome = put_record(node, now, record, expected_hlc, ret_token, &envelope);

	buf_deinit(&envelope);
	return outcome;
}

/* Where records stay, the pod's owner has no other way to learn of it. */
int node_put_presence(struct node *node, struct mono now, struct record *record,
		      const struct node_destination *owner)
{
	struct buf envelope = {0};
	uint64_t token;
	int outcome = put_record(node, now, record, UINT64_MAX, &token, &envelope);

	if (outcome == 0 && node->config.records_stay)
		node_presence_tell(node, now, owner, record, bytes_buf(&envelope));
	buf_deinit(&envelope);
	return outcome;
}

static int put_outcome(int outcome, const struct node_put *put)
{
	if (outcome == RECORDS_E_CONFLICT)
		return put->expected_hlc ? NODE_E_CONFLICT : NODE_E_EXISTS;
	if (outcome == RECORDS_E_FULL)
		return NODE_E_FULL;
	if (outcome == RECORDS_E_WRITER)
		return NODE_E_ROLE;
	if (outcome == RECORDS_E_DELETED)
		return NODE_E_NOT_FOUND;
	return outcome > 0 ? NODE_E_CONFLICT : outcome;
}

static bool may_write(const struct node *node, struct mono now, const char *namespace)
{
	return node->config.trust.ops->is_steward(node->config.trust.self,
						  node_fabric_time(node, now), &node->config.leaf,
						  namespace);
}

/* Takes @json over. */
static void append_json(json_t *json, struct buf *out)
{
	char *text = json_dumps(json, JSON_COMPACT);

	buf_append_str(out, text);
	free(text);
	json_decref(json);
}

int node_object_put(struct node *node, struct mono now, const struct node_put *put,
		    uint64_t *ret_token, uint64_t *ret_hlc)
{
	struct record record = {
		.key = {.kind = RECORD_OBJECT, .uid = put->object->uid},
		.version = {.generation = put->generation},
	};
	const struct record_item *known = records_get(node->records, &record.key);
	json_t *changed;
	int outcome;

	if (!may_write(node, now, put->object->namespace))
		return NODE_E_ROLE;
	if (known) /* its age decides between two objects of one name */
		record.created_hlc = known->record.created_hlc ? known->record.created_hlc
							       : known->record.version.hlc;
	if (put->json.len > MESSAGE_MANIFEST_MAX)
		return NODE_E_FULL;
	object_ref_copy(put->object, &record.object);
	changed = node_with_registrars(node, put, known);
	if (changed)
		append_json(changed, &record.value);
	else
		buf_append_bytes(&record.value, put->json);
	outcome =
		put_outcome(node_put_record(node, now, &record, put->expected_hlc, ret_token), put);
	if (outcome == 0)
		*ret_hlc = record.version.hlc;
	record_deinit(&record);
	return outcome;
}

int node_put(struct node *node, struct mono now, const struct node_put *put, uint64_t *ret_token,
	     uint64_t *ret_hlc)
{
	int outcome = node_object_put(node, now, put, ret_token, ret_hlc);

	node_pump(node, now);
	return outcome;
}

/* Tell everyone at once; the tombstone tells those who are away. */
static void broadcast_disposal(struct node *node, struct mono now, const struct object_ref *object,
			       const struct uid *pod_uid, uint32_t grace_s)
{
	struct message message = {.type = MESSAGE_DISPOSAL};
	struct node_destination to = {0};
	struct buf envelope = {0};

	object_ref_copy(object, &message.disposal.object);
	message.disposal.pod_uid = *pod_uid;
	message.disposal.grace_s = grace_s;
	node_seal(node, now, &message, &envelope);
	if (!overlay_is_large(node->overlay)) {
		(void)node_broadcast(node, MESSAGE_DISPOSAL, bytes_buf(&envelope));
	} else {
		/* Its controller first, or it would replace the pods that it sees ending. */
		to.id = node_controller(node, &object->uid);
		(void)!overlay_find_addr(node->overlay, &to.id, &to.addr);
		if (!node_id_is_none(&to.id) && !node_id_equal(&to.id, &node->config.self.id))
			node_send_packet(node, &to, MESSAGE_DISPOSAL, bytes_buf(&envelope));
		node_gossip_envelope(node, now, bytes_buf(&envelope));
		node_send_packet(node, &(struct node_destination){.id = node->config.self.id},
				 MESSAGE_DISPOSAL, bytes_buf(&envelope));
	}
	buf_deinit(&envelope);
	message_deinit(&message);
}

static const struct record_item *find_presence(const struct node *node, const struct uid *pod_uid)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, NULL, &position)))
		if (uid_equal(&item->record.key.sub, pod_uid) && !item->record.gone)
			return item;
	return NULL;
}

/* Only its machine is told: whoever controls its workload sees what it says of itself then. */
int node_evict(struct node *node, struct mono now, const struct uid *pod_uid)
{
	const struct record_item *item = find_presence(node, pod_uid);
	struct message message = {.type = MESSAGE_DISPOSAL};
	struct node_destination to = {0};

	if (!item)
		return NODE_E_NOT_FOUND;
	if (!may_write(node, now, item->record.object.namespace))
		return NODE_E_ROLE;
	to.id = item->writer;
	if (!overlay_find_addr(node->overlay, &to.id, &to.addr))
		(void)!node_facts_addr(node, &to.id, &to.addr);
	object_ref_copy(&item->record.object, &message.disposal.object);
	message.disposal.pod_uid = *pod_uid;
	message.disposal.grace_s = NODE_GRACE_OF_MANIFEST;
	message.disposal.evict = true;
	node_send_signed(node, now, &to, &message);
	message_deinit(&message);
	node_pump(node, now);
	return 0;
}

int node_object_dispose(struct node *node, struct mono now, const struct object_ref *object,
			const struct uid *pod_uid, uint32_t grace_s, uint64_t *ret_token)
{
	bool whole = uid_is_none(pod_uid);
	struct record record = {
		.key = {.kind = RECORD_TOMBSTONE, .uid = whole ? object->uid : *pod_uid},
	};
	int outcome;

	if (!may_write(node, now, object->namespace))
		return NODE_E_ROLE;
	object_ref_copy(object, &record.object);
	outcome = node_put_record(node, now, &record, UINT64_MAX, ret_token);
	record_deinit(&record);
	if (outcome == RECORDS_E_OLD || outcome == RECORDS_E_DELETED)
		outcome = NODE_E_NOT_FOUND;
	else if (outcome > 0)
		outcome = NODE_E_FULL;
	if (outcome == 0)
		broadcast_disposal(node, now, object, pod_uid, grace_s);
	return outcome;
}

int node_dispose(struct node *node, struct mono now, const struct object_ref *object,
		 const struct uid *pod_uid, uint32_t grace_s, uint64_t *ret_token)
{
	int outcome = node_object_dispose(node, now, object, pod_uid, grace_s, ret_token);

	node_pump(node, now);
	return outcome;
}

int node_fetch(struct node *node, struct mono now, const struct uid *uid, uint64_t *ret_token)
{
	int outcome = records_fetch(node->records, now, uid, ret_token);

	node_pump(node, now);
	return outcome;
}

int node_restore(struct node *node, struct mono now, struct bytes envelope)
{
	struct node_signed opened;
	struct record_writer writer;
	struct message message;
	int outcome = node_open(node, now, envelope, &opened);

	if (outcome)
		return outcome;
	if (message_decode(opened.payload, &message) != 0)
		return NODE_TRUST_E_MALFORMED;
	if (message.type == MESSAGE_TENURE &&
	    node_id_equal(&opened.issuer, &node->config.self.id) &&
	    message.tenure.word == TENURE_WRITTEN) {
		node_tenure_restore(node, &message.tenure);
		message_deinit(&message);
		return 0;
	}
	if (message.type == MESSAGE_COLLEGE &&
	    node_id_equal(&opened.issuer, &node->config.self.id)) {
		node_college_restore(node, now, &message.college);
		message_deinit(&message);
		return 0;
	}
	if (message.type != MESSAGE_RECORD) {
		message_deinit(&message);
		return NODE_TRUST_E_MALFORMED;
	}
	writer = (struct record_writer){
		.id = opened.issuer,
		.steward = node_signer_is_steward(node, &opened, message.record.object.namespace),
	};
	outcome = records_restore(node->records, &message.record, envelope, &writer);
	message_deinit(&message);
	node_pump(node, now);
	return outcome;
}

void node_persisted(struct node *node, struct mono now, const struct record_key *key,
		    const struct record_version *version, bool stored)
{
	if (key->kind == RECORD_NONE)
		node_tenure_written(node, now, key, version, stored);
	else
		records_persisted(node->records, now, key, version, stored);
	node_pump(node, now);
}

/* Why a pod is gone, where its machine had not been told to end it. A new string, or NULL. */
static char *last_words(const struct record_item *end)
{
	struct presence presence;
	char *text = NULL;

	if (end && end->record.gone &&
	    presence_decode(bytes_buf(&end->record.value), &presence) == 0) {
		text = mem_strdup(presence.message);
		presence_deinit(&presence);
	}
	return text;
}

static void record_changed(struct node *node, const struct record *record,
			   enum records_change change, const struct record_item *end)
{
	struct queued_effect *queued;

	if (change == RECORDS_DROPPED) {
		if (record->key.kind == RECORD_OBJECT)
			node_workload_changed(node, record, true);
		node_families_changed(node, record);
	}
	node_collect_changed(node, record, change);
	queued = node_queue(node, NODE_CHANGED);
	record_copy(record, &queued->record);
	queued->effect.key = record->key;
	queued->effect.change = change;
	queued->text = last_words(end);
	if (change == RECORDS_DROPPED)
		return;
	node_workload_changed(node, record, change == RECORDS_REMOVED);
	node_families_changed(node, record);
	if (change != RECORDS_REMOVED) {
		node_college_record(node, record);
		node_disown_check(node, record);
		node_capacity_changed(node, node->last, record);
	}
	if (record->key.kind == RECORD_TOMBSTONE) {
		node_tenures_forget(node, &queued->record.key.uid);
		/* By the copy: stopping writes records. */
		node_pods_stop_matching(node, &queued->record.key.uid,
					queued->record.object.namespace, NODE_GRACE_OF_MANIFEST);
	}
}

/* Was the older version lost, or did the newer one come of it? */
static void rivals_met(struct node *node, const struct record *winner,
		       const struct record_item *lost_item)
{
	const struct record *loser = &lost_item->record;
	const struct kube_version won = {
		.json = bytes_buf(&winner->value),
		.generation = winner->version.generation,
		.hlc = winner->version.hlc,
	};
	const struct kube_version lost = {
		.json = bytes_buf(&loser->value),
		.generation = loser->version.generation,
		.hlc = loser->version.hlc,
	};
	char *text = kube_lost_update(&won, &lost);
	struct queued_effect *queued;

	if (!text)
		return;
	node_witness_lost(node, lost_item, text);
	queued = node_queue(node, NODE_LOST);
	record_copy(loser, &queued->record);
	queued->effect.key = loser->key;
	queued->text = text;
}

static void fetched(struct node *node, struct mono now, const struct records_effect *effect)
{
	struct queued_effect *queued;

	if (node_refresh_fetched(node, now, effect) || node_doubt_fetched(node, now, effect))
		return;
	queued = node_queue(node, NODE_FETCHED);
	queued->effect.token = effect->token;
	queued->effect.key = effect->key;
	queued->effect.stored = effect->stored;
	queued->effect.keepers = effect->keepers;
	queued->effect.complete_since = effect->complete_since;
}

/* Who was cut off for long has brought it back. */
static void dispose_again(struct node *node, struct mono now, const struct object_ref *object)
{
	uint64_t token;

	if (!records_is_deleted(node->records, &object->uid))
		(void)!node_object_dispose(node, now, object, &(struct uid){0},
					   NODE_GRACE_OF_MANIFEST, &token);
}

static void records_effect_apply(struct node *node, struct mono now,
				 const struct records_effect *effect)
{
	struct node_destination to = {effect->to, effect->addr};
	struct queued_effect *queued;
	struct buf encoded = {0};

	switch (effect->type) {
	case RECORDS_SEND:
		if (effect->is_envelope) {
			node_send_packet(node, &to, MESSAGE_RECORD, effect->envelope);
			return;
		}
		message_encode(&effect->message, &encoded);
		node_send_packet(node, &to, effect->message.type, bytes_buf(&encoded));
		buf_deinit(&encoded);
		return;
	case RECORDS_PERSIST:
		queued = node_queue(node, NODE_PERSIST);
		queued->effect.key = effect->item->record.key;
		queued->effect.version = effect->item->record.version;
		buf_append_bytes(&queued->packet, bytes_buf(&effect->item->envelope));
		return;
	case RECORDS_FORGET:
		node_queue(node, NODE_FORGET)->effect.key = effect->key;
		return;
	case RECORDS_CHANGED:
		node_index_changed(node, now, effect->item, effect->change);
		node_witness(node, effect->item, effect->change, effect->rival);
		record_changed(node, &effect->item->record, effect->change, effect->rival);
		return;
	case RECORDS_PUT_DONE:
		queued = node_queue(node, NODE_PUT_DONE);
		queued->effect.token = effect->token;
		queued->effect.stored = effect->stored;
		queued->effect.keepers = effect->keepers;
		queued->effect.quorum = effect->quorum;
		queued->effect.conflict = effect->conflict;
		return;
	case RECORDS_LOCATE:
		node_locate_home(node, now, &effect->key.uid, &effect->target);
		return;
	case RECORDS_LOCATED:
		if (node_index_located(node, now, effect) ||
		    node_reading_located(node, now, effect))
			return;
		queued = node_queue_contacts(node, NODE_LOCATED, effect->contacts,
					     effect->contact_count);
		queued->effect.token = effect->token;
		queued->effect.key = effect->key;
		return;
	case RECORDS_NEAR:
		node_partner(node, now, &(struct contact){.id = effect->to, .addr = effect->addr},
			     effect->near);
		return;
	case RECORDS_FETCHED:
		fetched(node, now, effect);
		return;
	case RECORDS_RIVALS:
		rivals_met(node, &effect->item->record, effect->rival);
		return;
	case RECORDS_ABSENT:
		dispose_again(node, now, &effect->item->record.object);
		return;
	case RECORDS_NAME_CLASH:
		node_collect_clash(node, &effect->item->record.key.uid);
		return;
	}
}

bool node_drain_records(struct node *node, struct mono now)
{
	const struct records_effect *effect;
	bool any = false;

	while ((effect = records_next_effect(node->records)) != NULL) {
		records_effect_apply(node, now, effect);
		any = true;
	}
	return any;
}
