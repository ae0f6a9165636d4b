/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This machine's own pods: from an award through what the host reports to the presence records that
 * everyone reads; and the machine's facts.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/derive.h"

static void local_pod_free(struct local_pod *pod)
{
	if (!pod)
		return;
	presence_deinit(&pod->presence);
	buf_deinit(&pod->written);
	buf_deinit(&pod->object);
	free(pod->seat);
	free(pod->recall);
	free(pod);
}

void node_pods_deinit(struct node *node)
{
	map_for_each (entry, &node->pods)
		local_pod_free(entry->value);
	map_deinit(&node->pods);
}

static void replace_text(char **text, const char *with)
{
	char *copy = mem_strdup(with ? with : "");

	free(*text);
	*text = copy;
}

/* Publish a pod's presence when it differs from what was published last. */
static void presence_publish(struct node *node, struct mono now, struct local_pod *pod)
{
	struct record record = {
		.key = {.kind = RECORD_PRESENCE,
			.uid = pod->presence.object.uid,
			.sub = pod->presence.pod_uid},
		.gone = pod->presence.phase == POD_GONE,
	};

	presence_encode(&pod->presence, &record.value);
	if (bytes_equal(bytes_buf(&record.value), bytes_buf(&pod->written))) {
		record_deinit(&record);
		return;
	}
	buf_clear(&pod->written);
	buf_append_bytes(&pod->written, bytes_buf(&record.value));
	record.version.generation = pod->presence.generation;
	object_ref_copy(&pod->presence.object, &record.object);
	if (node_put_presence(node, now, &record, &pod->owner) != 0)
		buf_clear(&pod->written); /* no room: the next status tries again */
	record_deinit(&record);
}

void node_presence_gone(struct node *node, struct mono now, const struct presence *presence)
{
	struct local_pod pod = {.presence = *presence}; /* borrowed */

	pod.presence.phase = POD_GONE;
	pod.presence.ready = false;
	presence_publish(node, now, &pod);
	buf_deinit(&pod.written);
}

static struct local_pod *local_pod_new(struct node *node, const struct presence *presence)
{
	struct local_pod *pod = mem_new(struct local_pod);
	struct bytes key = bytes_of(presence->pod_uid.byte, UID_LEN);

	presence_copy(presence, &pod->presence);
	pod->presence.node = node->config.self.id;
	pod->presence.addr = node->config.self.addr;
	replace_text(&pod->presence.node_name, node->name);
	local_pod_free(map_put(&node->pods, key, pod));
	return pod;
}

/* Of what was awarded to us. */
static bool open_tender(struct node *node, struct mono now, const struct award *award,
			struct message *ret_tender)
{
	struct node_signed opened;

	if (node_open(node, now, bytes_buf(&award->tender_envelope), &opened) == 0 &&
	    message_decode(opened.payload, ret_tender) == 0)
		return true;
	/* It was judged when the award came; its certificate has run out since. */
	for (size_t i = 0; i < award->assignment_count; i++)
		market_pod_failed(node->market, now, &award->assignments[i].pod_uid,
				  "its owner's certificate is not valid any more");
	return false;
}

static void take_seat(struct node *node, struct mono now, struct local_pod *pod,
		      struct bytes manifest)
{
	struct kube_tenure seat;

	if (!node_tenure_read(manifest, &seat))
		return;
	pod->seat = (struct kube_tenure *)mem_copy(&seat, sizeof(seat));
	pod->presence.revision = seat.revision;
	node_tenure_seated(node, now, pod);
}

/* The award binds us: its pods exist from now on, and the host is to start them; unless somebody
 * else may have the ordinal. */
void node_pods_start(struct node *node, struct mono now, const struct market_effect *start)
{
	struct message tender;

	if (!open_tender(node, now, &start->message->award, &tender))
		return;
	if (!node_tenure_ask(node, now, start, tender.tender.object.namespace))
		node_pods_begin(node, now, start, 0);
	message_deinit(&tender);
}

void node_pods_begin(struct node *node, struct mono now, const struct market_effect *start,
		     uint64_t epoch)
{
	const struct message *award = start->message;
	struct message tender;
	struct queued_effect *queued;
	struct local_pod *pod;

	if (!open_tender(node, now, &award->award, &tender))
		return;
	for (size_t i = 0; i < award->award.assignment_count; i++) {
		const struct assignment *assignment = &award->award.assignments[i];
		struct presence presence = {
			.pod_uid = assignment->pod_uid,
			.pod_name = assignment->pod_name,
			.object = tender.tender.object,
			.generation = tender.tender.generation,
			.slot = assignment->slot,
			.epoch = epoch ? epoch : assignment->epoch,
			.phase = POD_PENDING,
			.warrant = assignment->warrant,
			.created_ms = node_fabric_time(node, now).ms,
		};

		market_zones(node->market, &tender.tender.needs, presence.zones);
		pod = local_pod_new(node, &presence);
		pod->owner = (struct node_destination){start->to, start->addr};
		pod->of_this_life = true;
		take_seat(node, now, pod, bytes_buf(&award->award.manifest));
		presence_publish(node, now, pod);
	}
	node->vouch_due = mono_min(node->vouch_due, mono_add_ms(now, NODE_VOUCH_SOON_MS));
	queued = node_queue(node, NODE_START);
	message_copy(award, &queued->award);
	buf_append_bytes(&queued->packet, start->envelope);
	node->facts_due = mono_min(node->facts_due, mono_add_ms(now, NODE_FACTS_MS));
	message_deinit(&tender);
}

void node_pod_stop(struct node *node, const struct uid *pod_uid, uint32_t grace_s, const char *text)
{
	struct local_pod *pod = map_get(&node->pods, uid_bytes(pod_uid));
	struct queued_effect *queued;

	if (node_tenure_drop(node, node->last, pod_uid))
		return;
	/* Whoever asks again may only be less patient. */
	if (!pod || (pod->stopping && grace_s >= pod->stop_grace_s))
		return;
	pod->stopping = true;
	pod->stop_grace_s = grace_s;
	pod->presence.terminating = true;
	pod->presence.ready = false;
	presence_publish(node, node->last, pod);
	queued = node_queue(node, NODE_STOP);
	queued->effect.pod_uid = *pod_uid;
	queued->effect.grace_s = grace_s;
	queued->effect.for_good = pod->for_good;
	queued->text = mem_strdup(text);
	node_count(node, NODE_COUNT_PODS_STOPPED);
}

/* Ordinals of a StatefulSet are never there twice, the work of a Job is done once, and a bare pod
 * or one of a DaemonSet has no other. */
static bool may_be_doubled(const struct presence *presence)
{
	return strcmp(presence->object.kind, "ReplicaSet") == 0 ||
	       strcmp(presence->object.kind, "Deployment") == 0;
}

void node_pod_leave(struct node *node, struct mono now, const struct uid *pod_uid,
		    const char *namespace)
{
	struct local_pod *pod = map_get(&node->pods, uid_bytes(pod_uid));

	if (node_tenure_drop(node, now, pod_uid))
		return;
	if (!pod || pod->stopping || strcmp(pod->presence.object.namespace, namespace) != 0)
		return;
	if (!may_be_doubled(&pod->presence) || !pod->presence.ready) {
		node_pod_stop(node, pod_uid, NODE_GRACE_OF_MANIFEST, "evicted");
		return;
	}
	pod->presence.leaving = true;
	presence_publish(node, now, pod);
}

void node_leave_pods(struct node *node, struct mono now)
{
	node_tenures_drop_all(node, now);
	map_for_each (entry, &node->pods) {
		const struct presence *presence = &((struct local_pod *)entry->value)->presence;

		if (overlay_size(node->overlay) > 1)
			node_pod_leave(node, now, &presence->pod_uid, presence->object.namespace);
		else
			node_pod_stop(node, &presence->pod_uid, NODE_GRACE_OF_MANIFEST, "drained");
	}
	node_pump(node, now);
}

/* @uid is a workload's or a pod's. A steward of @namespace ends nothing outside of it. */
void node_pods_stop_matching(struct node *node, const struct uid *uid, const char *namespace,
			     uint32_t grace_s)
{
	node_tenures_drop_matching(node, node->last, uid, namespace);
	map_for_each (entry, &node->pods) {
		struct local_pod *local = entry->value;
		const struct presence *pod = &local->presence;

		if (strcmp(pod->object.namespace, namespace) != 0 ||
		    (!uid_equal(uid, &pod->object.uid) && !uid_equal(uid, &pod->pod_uid)))
			continue;
		local->for_good |= uid_equal(uid, &pod->object.uid);
		node_pod_stop(node, &pod->pod_uid, grace_s, "deleted");
	}
}

/* Has a steward of @namespace deleted the workload or pod @uid? */
bool node_is_deleted(const struct node *node, const struct uid *uid, const char *namespace)
{
	struct record_key key = {.kind = RECORD_TOMBSTONE, .uid = *uid};
	const struct record_item *item = records_get(node->records, &key);

	return item && strcmp(item->record.object.namespace, namespace) == 0;
}

/* The host's clock is turned into fabric time anew for each report: what was said before stands. */
static void keep_time(int64_t *time, int64_t before)
{
	if (*time && before)
		*time = before;
}

static void keep_times(struct presence *now, const struct presence *before)
{
	keep_time(&now->started_ms, before->started_ms);
	for (size_t i = 0; i < now->container_count && i < before->container_count; i++) {
		struct container_status *to = &now->containers[i];
		const struct container_status *from = &before->containers[i];

		if (strcmp(to->name, from->name) != 0)
			continue;
		if (strcmp(to->container_id, from->container_id) == 0) {
			keep_time(&to->started_ms, from->started_ms);
			keep_time(&to->finished_ms, from->finished_ms);
		}
		if (to->restarts == from->restarts) {
			keep_time(&to->last_started_ms, from->last_started_ms);
			keep_time(&to->last_finished_ms, from->last_finished_ms);
		}
	}
}

/* What the host knows better than we: how the pod does. The rest stands in its award. */
static void merge_status(struct local_pod *pod, const struct presence *status, struct wall now)
{
	struct presence *mine = &pod->presence, old = *mine, copy;

	presence_copy(status, &copy);
	keep_times(&copy, &old);
	copy.pod_uid = old.pod_uid;
	copy.generation = old.generation;
	copy.slot = old.slot;
	copy.epoch = old.epoch;
	copy.revision = old.revision;
	copy.node = old.node;
	copy.addr = old.addr;
	copy.created_ms = old.created_ms;
	memcpy(copy.zones, old.zones, sizeof(copy.zones));
	buf_clear(&copy.warrant);
	buf_append_bytes(&copy.warrant, bytes_buf(&old.warrant));
	copy.terminating = status->terminating || pod->stopping;
	copy.ready = status->ready && !copy.terminating;
	copy.leaving = old.leaving;
	copy.ready_ms = !copy.ready ? 0 : old.ready_ms ? old.ready_ms : now.ms;
	replace_text(&copy.pod_name, old.pod_name);
	replace_text(&copy.node_name, old.node_name);
	object_ref_deinit(&copy.object);
	object_ref_copy(&old.object, &copy.object);
	presence_deinit(mine);
	*mine = copy;
}

static void shift_time(int64_t *time, int64_t step_ms)
{
	if (*time)
		*time += step_ms;
}

/* Of two pods in one slot the one that was started first stays, whoever's clock was wrong. */
void node_pods_shift(struct node *node, struct mono now, int64_t step_ms)
{
	map_for_each (entry, &node->pods) {
		struct local_pod *pod = entry->value;
		struct presence *presence = &pod->presence;

		if (!pod->of_this_life)
			continue;
		shift_time(&presence->created_ms, step_ms);
		shift_time(&presence->started_ms, step_ms);
		shift_time(&presence->ready_ms, step_ms);
		for (size_t i = 0; i < presence->container_count; i++) {
			shift_time(&presence->containers[i].started_ms, step_ms);
			shift_time(&presence->containers[i].finished_ms, step_ms);
		}
		presence_publish(node, now, pod);
	}
}

static bool is_over(const struct presence *presence)
{
	return presence->phase == POD_SUCCEEDED || presence->phase == POD_FAILED;
}

static void tell_market(struct node *node, struct mono now, struct local_pod *pod)
{
	const struct presence *presence = &pod->presence;
	/* What has ended by itself holds nothing any more, although its logs are still here. */
	bool ended = presence->phase == POD_GONE || is_over(presence);

	if (!pod->deployed && presence->started_ms) {
		pod->deployed = true;
		node_count(node, NODE_COUNT_PODS_STARTED);
		market_pod_deployed(node->market, now, &presence->pod_uid);
	}
	if (!pod->deployed && !pod->stopping &&
	    (presence->phase == POD_GONE || presence->phase == POD_FAILED)) {
		pod->deployed = true; /* said once */
		node_count(node, NODE_COUNT_PODS_FAILED);
		market_pod_failed(node->market, now, &presence->pod_uid,
				  presence->message[0] ? presence->message : presence->reason);
	}
	if (ended)
		market_pod_ended(node->market, now, &presence->pod_uid);
}

void node_pod_status(struct node *node, struct mono now, const struct presence *presence)
{
	struct bytes key = bytes_of(presence->pod_uid.byte, UID_LEN);
	struct local_pod *pod = map_get(&node->pods, key);

	if (!pod)
		return; /* the end of a pod that ended before */
	merge_status(pod, presence, node_fabric_time(node, now));
	presence_publish(node, now, pod);
	tell_market(node, now, pod);
	if (pod->presence.phase == POD_GONE) {
		if (pod->noted_ms || pod->object.len) /* of this life or of the one before */
			node_queue(node, NODE_NOTE)->effect.pod_uid = pod->presence.pod_uid;
		if (pod->seat)
			node_tenure_release(node, now, pod->seat, &pod->presence.pod_uid);
		local_pod_free(map_remove(&node->pods, key));
	}
	node->facts_due = mono_min(node->facts_due, mono_add_ms(now, NODE_FACTS_MS));
	node_pump(node, now);
}

/* What an earlier process has seen get ready was so, at the latest, when it had started all of it.
 */
static int64_t latest_start(const struct presence *presence)
{
	int64_t latest = presence->started_ms;

	for (size_t i = 0; i < presence->container_count; i++)
		if (!presence->containers[i].init && presence->containers[i].started_ms > latest)
			latest = presence->containers[i].started_ms;
	return latest;
}

void node_pod_recovered(struct node *node, struct mono now, const struct presence *presence,
			struct bytes manifest)
{
	struct record record = {.version = {.generation = presence->generation}};
	struct local_pod *pod = local_pod_new(node, presence);
	struct workload *workload;

	take_seat(node, now, pod, manifest);
	object_ref_copy(&presence->object, &record.object);
	buf_append_bytes(&record.value, manifest);
	workload = workload_read(&record);
	record_deinit(&record);
	pod->deployed = presence->started_ms != 0;
	pod->presence.ready_ms = presence->ready ? latest_start(presence) : 0;
	if (workload && !is_over(presence)) {
		market_zones(node->market, &workload->needs, pod->presence.zones);
		market_pod_recovered(node->market, &presence->pod_uid, &presence->object,
				     &workload->needs);
	}
	workload_free(workload);
	presence_publish(node, now, pod);
	if (node_is_deleted(node, &presence->object.uid, presence->object.namespace) ||
	    node_is_deleted(node, &presence->pod_uid, presence->object.namespace))
		node_pod_stop(node, &presence->pod_uid, NODE_GRACE_OF_MANIFEST,
			      "deleted while it was not watched");
	/* Nobody would believe what we say of it. */
	else if (!uid_is_of_pod(&presence->pod_uid, &presence->object.uid, &node->config.self.id) ||
		 !presence->warrant.len)
		node_pod_stop(node, &presence->pod_uid, NODE_GRACE_OF_MANIFEST,
			      "not awarded to this machine under its present identity");
	node->facts_due = mono_min(node->facts_due, mono_add_ms(now, NODE_FACTS_MS));
	node_pump(node, now);
}

void node_pods_known(struct node *node)
{
	node->pods_known = true;
}

void node_pod_refused(struct node *node, struct mono now, const struct uid *pod_uid,
		      const char *text)
{
	struct local_pod *pod = map_get(&node->pods, uid_bytes(pod_uid));
	struct presence gone;

	if (!pod)
		return;
	presence_copy(&pod->presence, &gone);
	gone.phase = POD_GONE;
	replace_text(&gone.message, text);
	node_pod_status(node, now, &gone);
	presence_deinit(&gone);
}

void node_set_images(struct node *node, const char *const *images, size_t count)
{
	market_set_images(node->market, images, count);
}

void node_set_machine(struct node *node, struct mono now, const struct node_facts *facts,
		      const struct market_machine *machine)
{
	node_facts_deinit(&node->facts);
	node_facts_copy(facts, &node->facts);
	node->facts_known = true;
	market_set_machine(node->market, now, machine);
	node_provide(node, now, machine);
	node_facts_publish(node, now);
	node_pump(node, now);
}

uint64_t node_reserve(struct node *node, struct mono now, int64_t cpu_milli, int64_t memory_bytes,
		      int64_t ttl_ms)
{
	uint64_t id = market_reserve(node->market, now, cpu_milli, memory_bytes, ttl_ms);

	node->facts_due = mono_min(node->facts_due, mono_add_ms(now, NODE_FACTS_MS));
	node_pump(node, now);
	return id;
}

void node_unreserve(struct node *node, struct mono now, uint64_t reservation)
{
	market_unreserve(node->market, now, reservation);
	node->facts_due = mono_min(node->facts_due, mono_add_ms(now, NODE_FACTS_MS));
	node_pump(node, now);
}

/* A NODE record's key is the machine's id in two halves. */
static struct record_key facts_key(const struct node_id *id)
{
	struct record_key key = {.kind = RECORD_NODE};

	memcpy(key.uid.byte, id->byte, UID_LEN);
	memcpy(key.sub.byte, id->byte + UID_LEN, UID_LEN);
	return key;
}

bool node_facts_addr(const struct node *node, const struct node_id *machine, struct addr *ret_addr)
{
	struct record_key key = facts_key(machine);
	const struct record_item *item = records_get(node->records, &key);
	struct node_facts facts;

	if (!item || node_facts_decode(bytes_buf(&item->record.value), &facts) != 0)
		return false;
	*ret_addr = facts.addr;
	node_facts_deinit(&facts);
	return true;
}

void node_facts_publish(struct node *node, struct mono now)
{
	struct record record = {.key = facts_key(&node->config.self.id)};
	struct market_usage usage = market_usage(node->market);
	uint64_t token;

	node->facts_due = MONO_NEVER;
	if (!node->facts_known || node->config.records_stay)
		return;
	node->facts.cpu_milli_used = usage.cpu_milli;
	node->facts.memory_bytes_used = usage.memory_bytes;
	node->facts.pods_used = usage.pods;
	node_facts_encode(&node->facts, &record.value);
	if (!bytes_equal(bytes_buf(&record.value), bytes_buf(&node->facts_written))) {
		buf_clear(&node->facts_written);
		buf_append_bytes(&node->facts_written, bytes_buf(&record.value));
		(void)node_put_record(node, now, &record, UINT64_MAX, &token);
	}
	record_deinit(&record);
}

/* Everything this machine says of itself, although none of it has changed. */
void node_publish_again(struct node *node, struct mono now)
{
	buf_clear(&node->facts_written);
	node_facts_publish(node, now);
	map_for_each (entry, &node->pods) {
		struct local_pod *pod = entry->value;

		buf_clear(&pod->written);
		presence_publish(node, now, pod);
	}
}
