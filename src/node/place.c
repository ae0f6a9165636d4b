/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placing: objects are shown to the controller, its tenders go to the market, and the market's
 * word comes back to the controller.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "control/job.h"
#include "kube/claim.h"
#include "kube/job_progress.h"
#include "market/tender.h"
#include "market/terms.h"

enum {
	SHOW_PODS_PER_MS = 4, /* a quarter of what showing them takes */
	SHOW_PAUSE_MS_MAX = 1000,
	STAND_IN_MS = 20 * 1000, /* longer than who takes over needs to notice and to settle */
};

static void make_dirty(struct node *node, struct workload *workload, struct mono show_at)
{
	if (!workload->dirty || show_at.us < workload->show_at.us)
		workload->show_at = show_at;
	workload->dirty = true;
	node->workloads_dirty = true;
}

/* To be shown at once. */
static void workload_touch(struct node *node, const struct uid *uid)
{
	struct workload *workload = map_get(&node->workloads, uid_bytes(uid));

	if (workload)
		make_dirty(node, workload, node->last);
}

/* A pod of it has changed. Showing costs what all its pods cost, so that of large workloads the
 * changes are gathered for a while. */
static void workload_touch_pod(struct node *node, const struct uid *uid)
{
	struct workload *workload = map_get(&node->workloads, uid_bytes(uid));
	int64_t pause_ms;

	if (!workload)
		return;
	pause_ms = (int64_t)workload->pods / SHOW_PODS_PER_MS;
	make_dirty(node, workload,
		   mono_add_ms(workload->shown_at,
			       pause_ms < SHOW_PAUSE_MS_MAX ? pause_ms : SHOW_PAUSE_MS_MAX));
}

void node_workloads_touch_all(struct node *node)
{
	node_families_touch_all(node);
	map_for_each (entry, &node->workloads)
		make_dirty(node, entry->value, node->last);
}

void node_workloads_recheck(struct node *node)
{
	map_for_each (entry, &node->workloads) {
		struct workload *workload = entry->value;
		struct node_id controller = node_controller(node, &workload->object.uid);

		if (!node_id_equal(&controller, &workload->controller))
			make_dirty(node, workload, node->last);
	}
}

void node_workloads_deinit(struct node *node)
{
	map_for_each (entry, &node->workloads)
		workload_free(entry->value);
	map_deinit(&node->workloads);
}

void node_workload_forget(struct node *node, struct mono now, const struct uid *uid)
{
	controller_forget(node->controller, uid);
	market_abandon(node->market, now, uid);
	workload_free(map_remove(&node->workloads, uid_bytes(uid)));
}

/* What is remembered of a Job decides which of its slots are to be filled. */
static void touch_owner(struct node *node, const struct record *record)
{
	json_t *json;
	struct uid owner;

	if (strcmp(record->object.kind, KUBE_JOB_PROGRESS) != 0)
		return;
	json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
	if (control_owner(json, &owner))
		workload_touch(node, &owner);
	json_decref(json);
}

void node_workload_changed(struct node *node, const struct record *record, bool removed)
{
	const struct uid *uid = &record->object.uid;
	struct workload *workload;

	if (record->key.kind == RECORD_PRESENCE) {
		if (removed)
			node_unwatch(node, &record->key.sub);
		else
			node_watched_seen(node, &record->key.sub);
		workload_touch_pod(node, uid);
		return;
	}
	if (record->key.kind == RECORD_TOMBSTONE)
		uid = &record->key.uid;
	else if (record->key.kind != RECORD_OBJECT)
		return;
	if (removed || record->key.kind == RECORD_TOMBSTONE) {
		node_workload_forget(node, node->last, uid);
		return;
	}
	touch_owner(node, record);
	if (strcmp(record->object.kind, KUBE_CLAIM) == 0)
		node_claim_changed(node, node->last, &record->object);
	workload = workload_read(record);
	if (!workload)
		return; /* a kind without pods */
	if (workload->dying) {
		workload_free(workload);
		node_workload_forget(node, node->last, uid);
		return;
	}
	workload_free(map_put(&node->workloads, uid_bytes(uid), workload));
	workload_touch(node, uid);
}

bool node_machine_alive(const struct node *node, const struct node_id *id)
{
	struct overlay_peer peer;

	if (node_id_equal(id, &node->config.self.id))
		return true;
	if (!overlay_find_peer(node->overlay, id, &peer))
		/* In a large fabric nobody knows all: nobody said that it is lost. */
		return node->config.records_stay || overlay_is_large(node->overlay);
	if (fault_is_planted(FAULT_LOSS))
		return true;
	return peer.state != MEMBER_DEAD && peer.state != MEMBER_LEFT;
}

/* Whether it lives is not known first-hand. Of a workload with more machines than can be watched
 * some are never heard, and taken for what they are said to be. */
static bool is_silent(const struct node *node, const struct node_id *id)
{
	struct overlay_peer peer;

	if (node_id_equal(id, &node->config.self.id) || node->config.records_stay)
		return false;
	if (!overlay_find_peer(node->overlay, id, &peer))
		return node->watches.count < OVERLAY_WATCH_MAX;
	return !peer.connected || peer.silence_us > OVERLAY_SUSPECT_MS * (int64_t)US_PER_MS;
}

/* All presences of a workload, decoded; the caller frees them with pods_free(). */
static struct presence *pods_read(const struct node *node, const struct uid *uid, size_t *ret_count)
{
	const struct record_item *item;
	struct presence *pods = NULL;
	size_t position = 0, count = 0;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, uid, &position))) {
		pods = mem_resize(pods, count + 1, sizeof(*pods));
		if (presence_decode(bytes_buf(&item->record.value), &pods[count]) == 0)
			count++;
	}
	*ret_count = count;
	return pods;
}

static void pods_free(struct presence *pods, size_t count)
{
	for (size_t i = 0; i < count; i++)
		presence_deinit(&pods[i]);
	free(pods);
}

/* Where it said itself that it is, if nobody knows better. */
static bool find_machine(const struct node *node, const struct presence *pod,
			 struct contact *ret_contact)
{
	*ret_contact = (struct contact){.id = pod->node, .addr = pod->addr};
	return overlay_find_addr(node->overlay, &pod->node, &ret_contact->addr) ||
	       node_facts_addr(node, &pod->node, &ret_contact->addr) ||
	       addr_can_be_dialled(&pod->addr);
}

/* Of a workload that we have taken over: its pods were awarded by others. */
static void watch_machines(struct node *node, struct mono now, const struct presence *pods,
			   size_t count)
{
	struct contact contact;

	if (!overlay_is_large(node->overlay))
		return;
	for (size_t i = 0; i < count && node->watches.count < OVERLAY_WATCH_MAX; i++)
		if (find_machine(node, &pods[i], &contact))
			node_watch(node, now, &pods[i].object.uid, &pods[i].pod_uid, &contact);
}

/* ---- when the controller does nothing ---- */

static bool is_counted(const struct node *node, const struct presence *pod)
{
	return !pod->terminating && !pod->leaving && pod->phase != POD_GONE &&
	       pod->phase != POD_FAILED && node_machine_alive(node, &pod->node);
}

static bool has_gap(const struct node *node, const struct workload *workload)
{
	size_t pod_count, counted = 0;
	struct presence *pods = pods_read(node, &workload->object.uid, &pod_count);

	for (size_t i = 0; i < pod_count; i++)
		counted += is_counted(node, &pods[i]);
	pods_free(pods, pod_count);
	return counted < workload->replicas;
}

/*
 * In a large fabric two keepers may each take the other for the first one: their neighbourhoods
 * differ for as long as one of them has not noticed who is lost. So the second of them fills what
 * has been missing for STAND_IN_MS. When both do, slots and tender ids collapse as in a partition.
 * Which slots of a Job are missing only its controller knows.
 */
static bool stands_in(struct node *node, struct mono now, struct workload *workload)
{
	struct contact keepers[2];
	struct mono due;

	if (node->config.records_stay || !overlay_is_large(node->overlay) ||
	    strcmp(workload->object.kind, "Job") == 0 ||
	    records_nearest(node->records, &workload->object.uid, keepers, 2) < 2 ||
	    !node_id_equal(&keepers[1].id, &node->config.self.id) || !has_gap(node, workload)) {
		workload->gap_since = (struct mono){0};
		return false;
	}
	if (workload->gap_since.us == 0)
		workload->gap_since = now;
	due = mono_add_ms(workload->gap_since, STAND_IN_MS);
	if (mono_reached(now, due))
		return true;
	make_dirty(node, workload, due);
	return false;
}

static void show(struct node *node, struct mono now, struct workload *workload)
{
	struct node_id owner = node_controller(node, &workload->object.uid);
	struct controller_view view = {
		.object = workload->object,
		.generation = workload->generation,
		.replicas = workload->replicas,
		.single = workload->single,
		.exclusive = workload->exclusive,
		.age_ms = node_fabric_time(node, now).ms - workload->written_ms,
		.machines = overlay_size(node->overlay),
	};
	struct control_job_plan plan = {0};
	struct controller_pod *shown;
	struct presence *pods;

	workload->controller = owner;
	/* After a power cut: all are shown when it is over. */
	if (node_is_holding(node, now) ||
	    (!node_id_equal(&owner, &node->config.self.id) && !stands_in(node, now, workload))) {
		controller_forget(node->controller, &workload->object.uid);
		return;
	}
	pods = pods_read(node, &workload->object.uid, &view.pod_count);
	watch_machines(node, now, pods, view.pod_count);
	shown = mem_alloc(view.pod_count, sizeof(*shown));
	for (size_t i = 0; i < view.pod_count; i++)
		shown[i] = (struct controller_pod){
			.presence = &pods[i],
			.machine_alive = node_machine_alive(node, &pods[i].node),
			.machine_silent = is_silent(node, &pods[i].node),
		};
	view.pods = shown;
	if (workload->claim_count)
		node_claims_bind(node, now, workload, pods, view.pod_count);
	if (node_job_plan(node, now, &workload->object, &view, &plan)) {
		view.open = plan.open;
		view.replicas = plan.slots;
		if (plan.due.ms != INT64_MAX)
			make_dirty(node, workload, node_mono_of(node, now, plan.due));
	}
	controller_show(node->controller, now, &view);
	control_job_plan_deinit(&plan);
	workload->shown_at = now;
	workload->pods = view.pod_count;
	free(shown);
	pods_free(pods, view.pod_count);
}

bool node_show_dirty(struct node *node, struct mono now)
{
	bool any = false;

	if (!node->workloads_dirty && !mono_reached(now, node->shows_due))
		return false;
	node->workloads_dirty = false;
	node->shows_due = MONO_NEVER;
	map_for_each (entry, &node->workloads) {
		struct workload *workload = entry->value;

		if (!workload->dirty)
			continue;
		if (!mono_reached(now, workload->show_at)) {
			node->shows_due = mono_min(node->shows_due, workload->show_at);
			continue;
		}
		workload->dirty = false;
		show(node, now, workload);
		any = true;
	}
	return any;
}

void node_workloads_due(struct node *node, struct mono now)
{
	struct uid uid;
	size_t position = 0;

	while (controller_due(node->controller, now, &position, &uid))
		workload_touch(node, &uid);
}

static void tender_fill(struct tender *tender, const struct workload *workload,
			const struct controller_effect *effect)
{
	*tender = (struct tender){
		.object = workload->object,
		.generation = workload->generation,
		.attempt = effect->attempt,
		.slot_count = effect->slot_count,
		.needs = workload->needs,
		.priority = workload->priority.value,
		.preemptible = workload->priority.preemptible,
		.modest = !workload->priority.preempts,
		.manifest_digest = workload->manifest_digest,
		.images = workload->images,
		.image_count = workload->image_count,
		.excluded_count = effect->excluded_count < MESSAGE_NODES_MAX
					  ? effect->excluded_count
					  : MESSAGE_NODES_MAX,
	};
	tender->slots =
		(uint32_t *)mem_copy(effect->slots, effect->slot_count * sizeof(*effect->slots));
	tender->excluded = (struct node_id *)mem_copy(
		effect->excluded, tender->excluded_count * sizeof(*effect->excluded));
	tender->id = tender_id(&workload->object.uid, workload->generation, effect->attempt,
			       tender->slots, tender->slot_count);
}

/*
 * OUR rule for replicas that require each other's company: of a workload without any, the first
 * ones need not find themselves, but go to one machine together.
 */
static bool waive_own_company(const struct node *node, const struct workload *workload,
			      struct requirements *needs)
{
	const struct terms_labels labels = {needs->pod_labels, needs->pod_label_count};
	struct term_sets kept = {0};
	size_t pod_count, counted = 0;
	struct presence *pods;

	kept.list = mem_alloc(needs->with.count, sizeof(*kept.list));
	for (size_t i = 0; i < needs->with.count; i++)
		if (!terms_hold(&needs->with.list[i], labels))
			kept.list[kept.count++] = needs->with.list[i];
	if (kept.count < needs->with.count) {
		pods = pods_read(node, &workload->object.uid, &pod_count);
		for (size_t i = 0; i < pod_count; i++)
			counted += is_counted(node, &pods[i]);
		pods_free(pods, pod_count);
	}
	if (kept.count == needs->with.count || counted > 0) {
		free(kept.list);
		return false;
	}
	needs->with = kept; /* borrows the terms */
	return true;
}

/* Where the workload's replicas run, for what it spreads over. The market adds equal ones up. */
static struct market_domain *domains_of(const struct node *node, const struct workload *workload,
					size_t *ret_count)
{
	size_t spreads = workload->needs.spread_count, pod_count;
	struct market_domain *domains;
	struct presence *pods;

	*ret_count = 0;
	if (spreads == 0)
		return NULL;
	pods = pods_read(node, &workload->object.uid, &pod_count);
	domains = mem_alloc(pod_count * spreads, sizeof(*domains));
	for (size_t i = 0; i < pod_count * spreads; i++)
		if (is_counted(node, &pods[i / spreads]))
			domains[(*ret_count)++] = (struct market_domain){
				.spread = i % spreads,
				.zone = pods[i / spreads].zones[i % spreads],
				.count = 1,
			};
	pods_free(pods, pod_count);
	return domains;
}

/* Only this machine will do: its claims are there. Borrows the labels and @machine. */
static void require_machine(struct requirements *needs, char *machine)
{
	struct label *labels;

	if (!machine)
		return;
	labels = mem_alloc(needs->label_count + 1, sizeof(*labels));
	for (size_t i = 0; i < needs->label_count; i++)
		labels[i] = needs->labels[i];
	labels[needs->label_count++] = (struct label){
		.key = (char *)(uintptr_t) "kubernetes.io/hostname", .value = machine};
	needs->labels = labels;
}

/* Open a tender for the object as it is stored now; its bytes are the manifest. */
static void open_tender(struct node *node, struct mono now, const struct controller_effect *effect)
{
	struct workload *workload = map_get(&node->workloads, uid_bytes(&effect->object_uid));
	struct record_key key = {.kind = RECORD_OBJECT, .uid = effect->object_uid};
	const struct record_item *item = records_get(node->records, &key);
	struct message message = {.type = MESSAGE_TENDER};
	struct market_domain *domains;
	struct node_claims claims;
	struct buf envelope = {0};
	size_t domain_count;
	bool waived;
	int outcome;

	if (!workload || !item)
		return;
	if (!node_claims_place(node, now, workload, &claims)) {
		controller_closed(node->controller, now, &effect->object_uid, effect->slots,
				  effect->slot_count);
		return;
	}
	domains = domains_of(node, workload, &domain_count);
	tender_fill(&message.tender, workload, effect);
	waived = waive_own_company(node, workload, &message.tender.needs);
	require_machine(&message.tender.needs, claims.machine);
	node_seal(node, now, &message, &envelope);
	outcome = market_open(node->market, now,
			      &(struct market_request){
				      .tender = &message.tender,
				      .tender_envelope = bytes_buf(&envelope),
				      .manifest = bytes_buf(&item->record.value),
				      .pod_name_base = workload->pod_name_base,
				      .pod_name = workload->single ? workload->pod_name_base : NULL,
				      .epoch = workload->epoch,
				      .domains = domains,
				      .domain_count = domain_count,
				      .together = waived || claims.unbound,
			      });
	if (outcome == 0)
		node_count(node, NODE_COUNT_TENDERS_OPENED);
	else if (outcome == MARKET_E_FULL)
		controller_closed(node->controller, now, &effect->object_uid, message.tender.slots,
				  message.tender.slot_count);
	free(message.tender.slots);
	free(message.tender.excluded);
	free(domains);
	if (waived)
		free(message.tender.needs.with.list);
	if (claims.machine)
		free(message.tender.needs.labels);
	free(claims.machine);
	buf_deinit(&envelope);
}

/* A pod too many: the same way as if a user had deleted it. */
static void stop_surplus(struct node *node, struct mono now, const struct controller_effect *effect)
{
	struct workload *workload = map_get(&node->workloads, uid_bytes(&effect->object_uid));
	struct uid pod_uid = effect->pod_uid;
	uint64_t token;

	if (workload)
		(void)!node_dispose(node, now, &workload->object, &pod_uid, NODE_GRACE_OF_MANIFEST,
				    &token);
}

bool node_drain_controller(struct node *node, struct mono now)
{
	const struct controller_effect *effect;
	bool any = false;

	while ((effect = controller_next_effect(node->controller)) != NULL) {
		if (effect->type == CONTROLLER_TENDER)
			open_tender(node, now, effect);
		else
			stop_surplus(node, now, effect);
		any = true;
	}
	return any;
}

/* With warrants, which the market knows nothing of. */
static void send_award(struct node *node, struct mono now, const struct market_effect *effect)
{
	const struct object_ref *object =
		market_object(node->market, &effect->message->award.tender_id);
	const struct workload *workload =
		object ? map_get(&node->workloads, uid_bytes(&object->uid)) : NULL;
	struct message award;

	if (!workload)
		return; /* it was deleted a moment ago */
	message_copy(effect->message, &award);
	node_warrants_write(node, now, workload, &award.award);
	node_count(node, NODE_COUNT_AWARDS_SENT);
	node_send_signed(node, now, &(struct node_destination){effect->to, effect->addr}, &award);
	message_deinit(&award);
}

static void market_send(struct node *node, struct mono now, const struct market_effect *effect)
{
	const struct message *message = effect->message;

	if (message->type == MESSAGE_AWARD) {
		send_award(node, now, effect);
		return;
	}
	if (message->type == MESSAGE_BID && message->bid.copies)
		node_count(node, NODE_COUNT_BIDS_SENT);
	node_send_signed(node, now, &(struct node_destination){effect->to, effect->addr}, message);
}

static void market_effect_apply(struct node *node, struct mono now,
				const struct market_effect *effect)
{
	switch (effect->type) {
	case MARKET_ASK:
		node_ask(node, now, effect);
		return;
	case MARKET_SEND:
		market_send(node, now, effect);
		return;
	case MARKET_START:
		node_count(node, NODE_COUNT_AWARDS_ACCEPTED);
		node_pods_start(node, now, effect);
		return;
	case MARKET_STOP:
		node_pod_stop(node, &effect->pod_uid, effect->at_once ? 0 : NODE_GRACE_OF_MANIFEST,
			      effect->text);
		return;
	case MARKET_PLACED:
		controller_placed(node->controller, now, &effect->object_uid, effect->slot,
				  &effect->pod_uid);
		if (node->config.records_stay || overlay_is_large(node->overlay))
			node_watch(node, now, &effect->object_uid, &effect->pod_uid,
				   &(struct contact){.id = effect->to, .addr = effect->addr});
		return;
	case MARKET_FAILED:
		controller_failed(node->controller, now, &effect->object_uid, effect->slot,
				  &effect->to);
		return;
	case MARKET_CLOSED:
		controller_closed(node->controller, now, &effect->object_uid, effect->slots,
				  effect->slot_count);
		workload_touch(node, &effect->object_uid);
		return;
	case MARKET_FREED:
		controller_wake(node->controller, now, &node->config.self.id);
		return;
	case MARKET_ROOM:
		node_hint(node, effect);
		controller_wake_object(node->controller, now, &effect->object_uid);
		return;
	}
}

bool node_drain_market(struct node *node, struct mono now)
{
	const struct market_effect *effect;
	bool any = false;

	while ((effect = market_next_effect(node->market)) != NULL) {
		market_effect_apply(node, now, effect);
		any = true;
	}
	return any;
}
