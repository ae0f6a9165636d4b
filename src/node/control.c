/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families: a root object, what is derived from it, and their pods, under one home
 * (identity/derive.h). The controller of a home has its roots reconciled (control/control.h)
 * whenever something of the family changed, and carries the verdicts out.
 *
 * A derived object is put like any other and acted upon at once, while its copies are on their way
 * to the keepers: a new Deployment's pods are tendered within the same call as its ReplicaSet is
 * written. Nothing is lost if this machine vanishes before they have arrived: the next controller
 * derives the same object, under the same uid, from the root, which a quorum has had before its
 * apply was answered; slots and pods already awarded then fit into it.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "control/control.h"
#include "kube/claim.h"
#include "kube/deletion.h"
#include "kube/member.h"

/* An object of a family, also a deleted one as long as pods of it are known. */
struct relative {
	struct uid uid;
	struct object_ref ref; /* of the version in @json */
	uint64_t hlc;
	json_t *json; /* that version, parsed; NULL until it is needed here */
};

struct family {
	struct list dirty; /* in node->families_dirty, or empty */
	uint8_t home[UID_HOME_LEN];
	struct relative *relatives;
	size_t relative_count;
	bool mine;           /* this machine was its controller when it was looked at last */
	struct mono settled; /* nothing is done before */
	struct mono due;     /* look at it again */
	struct mono seen_at; /* when it was looked at last */
	size_t pods;         /* then */
};

/* What a reconciler is shown; owns the arrays and what the presences hold. */
struct sight {
	struct control_object *objects; /* all live ones of the family */
	size_t object_count;
	struct presence *presences;
	struct control_pod *pods;
	size_t pod_count;
};

static struct bytes home_bytes(const struct uid *uid)
{
	return bytes_of(uid->byte, UID_HOME_LEN);
}

/* ---- relatives ---- */

static void relative_drop_json(struct relative *relative)
{
	object_ref_deinit(&relative->ref);
	json_decref(relative->json);
	relative->json = NULL;
	relative->hlc = 0;
}

static void family_free(struct family *family)
{
	if (!family)
		return;
	list_remove(&family->dirty);
	for (size_t i = 0; i < family->relative_count; i++)
		relative_drop_json(&family->relatives[i]);
	free(family->relatives);
	free(family);
}

void node_families_deinit(struct node *node)
{
	map_for_each (entry, &node->families)
		family_free(entry->value);
	map_deinit(&node->families);
}

static struct family *family_get(struct node *node, const struct uid *uid)
{
	struct family *family = map_get(&node->families, home_bytes(uid));

	if (family)
		return family;
	family = mem_new(struct family);
	list_init(&family->dirty);
	memcpy(family->home, uid->byte, UID_HOME_LEN);
	family->due = MONO_NEVER;
	family->settled = node->last;
	map_put(&node->families, home_bytes(uid), family);
	return family;
}

/* In order of uid. */
static void family_add(struct family *family, const struct uid *uid)
{
	size_t at = 0;

	while (at < family->relative_count && uid_compare(&family->relatives[at].uid, uid) < 0)
		at++;
	if (at < family->relative_count && uid_equal(&family->relatives[at].uid, uid))
		return;
	family->relatives = mem_resize(family->relatives, family->relative_count + 1,
				       sizeof(*family->relatives));
	memmove(&family->relatives[at + 1], &family->relatives[at],
		(family->relative_count - at) * sizeof(*family->relatives));
	family->relatives[at] = (struct relative){.uid = *uid};
	family->relative_count++;
}

static void family_remove(struct family *family, size_t at)
{
	relative_drop_json(&family->relatives[at]);
	family->relative_count--;
	memmove(&family->relatives[at], &family->relatives[at + 1],
		(family->relative_count - at) * sizeof(*family->relatives));
}

static void touch(struct node *node, struct family *family)
{
	if (list_is_empty(&family->dirty))
		list_append(&node->families_dirty, &family->dirty);
}

void node_families_touch_all(struct node *node)
{
	map_for_each (entry, &node->families)
		touch(node, entry->value);
}

enum {
	SEE_PODS_PER_MS = 4, /* a quarter of what looking at them takes */
	SEE_PAUSE_MS_MAX = 1000,
};

static void due_at(struct node *node, struct family *family, struct mono due)
{
	family->due = due;
	node->families_due = mono_min(node->families_due, due);
}

/* A pod of it has changed. Looking costs what all its pods cost: changes of many are gathered. */
static void touch_pod(struct node *node, struct family *family)
{
	int64_t pause_ms = (int64_t)family->pods / SEE_PODS_PER_MS;
	struct mono soonest = mono_add_ms(
		family->seen_at, pause_ms < SEE_PAUSE_MS_MAX ? pause_ms : SEE_PAUSE_MS_MAX);

	if (mono_reached(node->last, soonest))
		touch(node, family);
	else
		due_at(node, family, mono_min(family->due, soonest));
}

void node_families_changed(struct node *node, const struct record *record)
{
	struct family *family;

	if (record->key.kind == RECORD_NODE || record->key.kind == RECORD_NONE)
		return;
	family = map_get(&node->families, home_bytes(&record->key.uid));
	if (!family && !control_is_member(record->object.kind))
		return;
	family = family_get(node, &record->key.uid);
	/* Tombstones of single pods name pods, which are no relatives. */
	if (record->key.kind != RECORD_TOMBSTONE && control_is_member(record->object.kind))
		family_add(family, &record->key.uid);
	if (record->key.kind == RECORD_PRESENCE)
		touch_pod(node, family);
	else
		touch(node, family);
}

/* ---- what there is to see ---- */

static bool parse(struct relative *relative, const struct record *record)
{
	if (relative->json && relative->hlc == record->version.hlc)
		return true;
	relative_drop_json(relative);
	relative->json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
	if (!relative->json)
		return false; /* a steward's nonsense: nobody can act on it */
	relative->hlc = record->version.hlc;
	object_ref_copy(&record->object, &relative->ref);
	return true;
}

static void see_object(struct sight *sight, const struct relative *relative,
		       const struct record *record)
{
	sight->objects[sight->object_count++] = (struct control_object){
		.ref = relative->ref,
		.json = relative->json,
		.generation = record->version.generation,
		.hlc = record->version.hlc,
		.written_ms = record->written_ms,
	};
}

/* Returns how many pods of it there are. */
static size_t see_pods(const struct node *node, struct sight *sight, const struct uid *uid)
{
	const struct record_item *item;
	size_t position = 0, before = sight->pod_count;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, uid, &position))) {
		struct presence *presence;

		sight->presences = mem_resize(sight->presences, sight->pod_count + 1,
					      sizeof(*sight->presences));
		presence = &sight->presences[sight->pod_count];
		if (presence_decode(bytes_buf(&item->record.value), presence) != 0)
			continue;
		if (presence->phase == POD_GONE)
			presence_deinit(presence);
		else
			sight->pod_count++;
	}
	return sight->pod_count - before;
}

struct control_pod *node_control_pods(const struct node *node, const struct presence *presences,
				      size_t count)
{
	struct control_pod *pods = mem_alloc(count, sizeof(*pods));

	for (size_t i = 0; i < count; i++)
		pods[i] = (struct control_pod){
			.presence = &presences[i],
			.machine_alive = node_machine_alive(node, &presences[i].node),
		};
	return pods;
}

/* Look at all of the family; relatives of which nothing is left are forgotten. */
static void see(const struct node *node, struct family *family, struct sight *sight)
{
	*sight = (struct sight){
		.objects = mem_alloc(family->relative_count, sizeof(*sight->objects)),
	};
	for (size_t i = 0; i < family->relative_count;) {
		struct relative *relative = &family->relatives[i];
		struct record_key key = {.kind = RECORD_OBJECT, .uid = relative->uid};
		const struct record_item *item = records_get(node->records, &key);
		size_t pods = see_pods(node, sight, &relative->uid);

		if (item && parse(relative, &item->record))
			see_object(sight, relative, &item->record);
		if (item || pods > 0)
			i++;
		else
			family_remove(family, i);
	}
	sight->pods = node_control_pods(node, sight->presences, sight->pod_count);
}

static void sight_deinit(struct sight *sight)
{
	for (size_t i = 0; i < sight->pod_count; i++)
		presence_deinit(&sight->presences[i]);
	free(sight->presences);
	free(sight->pods);
	free(sight->objects);
}

/* ---- what is done ---- */

/* The bug of that name: two controllers that make the same run make two. */
static void plant_own_uid(const struct node *node, const struct control_step *step,
			  struct object_ref *ref)
{
	if (!fault_is_planted(FAULT_RUN_UID) || strcmp(ref->kind, "Job") != 0 ||
	    step->expected_hlc != 0)
		return;
	memcpy(ref->uid.byte + UID_HOME_LEN + 1, node->config.self.id.byte, 4);
	kube_set_string(json_object_get(step->json, "metadata"), "uid", uid_text(&ref->uid).text);
}

static void put(struct node *node, struct mono now, const struct control_step *step)
{
	struct object_ref ref = step->ref; /* borrows its strings */
	char *text;
	struct node_put put = {
		.object = &ref,
		.generation = step->generation,
		.expected_hlc = step->expected_hlc,
	};
	uint64_t token, hlc;
	bool taken = step->expected_hlc == 0 && strcmp(step->ref.kind, KUBE_CLAIM) == 0 &&
		     records_find(node->records, step->ref.namespace, KUBE_CLAIM, step->ref.name);

	/* A claim that a user has made is as good as one of a StatefulSet's making. */
	if (taken)
		return;
	plant_own_uid(node, step, &ref);
	text = json_dumps(step->json, JSON_COMPACT);
	put.json = bytes_str(text);
	/* Refused, because another version came first or there is no room: the view is not what it
	 * was, or will be looked at again with the next change. */
	(void)!node_object_put(node, now, &put, &token, &hlc);
	free(text);
}

void node_control_step(struct node *node, struct mono now, const struct control_step *step)
{
	uint64_t token;

	if (step->type == CONTROL_PUT)
		put(node, now, step);
	else
		(void)!node_object_dispose(node, now, &step->ref, &step->pod_uid, step->grace_s,
					   &token);
}

static void carry_out(struct node *node, struct mono now, const struct control_verdict *verdict)
{
	for (size_t i = 0; i < verdict->count; i++)
		node_control_step(node, now, &verdict->steps[i]);
}

/* The derived objects of @root, in @ret_derived. */
static size_t derived_of(const struct sight *sight, const struct control_object *root,
			 struct control_object *ret_derived)
{
	size_t count = 0;
	struct uid owner;

	for (size_t i = 0; i < sight->object_count; i++)
		if (control_owner(sight->objects[i].json, &owner) &&
		    uid_equal(&owner, &root->ref.uid))
			ret_derived[count++] = sight->objects[i];
	return count;
}

/* What the machines of the fabric say of themselves; the caller frees both arrays. */
static struct node_facts *see_nodes(const struct node *node, struct control_view *view)
{
	size_t cap = records_count(node->records, RECORD_NODE), position = 0, count = 0;
	struct node_facts *facts = mem_alloc(cap + 1, sizeof(*facts));
	struct control_node *nodes = mem_alloc(cap + 1, sizeof(*nodes));
	const struct record_item *item;

	while (count < cap &&
	       (item = records_next(node->records, RECORD_NODE, NULL, NULL, &position)))
		if (node_facts_decode(bytes_buf(&item->record.value), &facts[count]) == 0) {
			nodes[count].facts = &facts[count];
			count++;
		}
	view->nodes = nodes;
	view->node_count = count;
	return facts;
}

static bool is_deleted(const void *node, const struct uid *uid)
{
	return records_is_deleted(((const struct node *)node)->records, uid);
}

static void judge_root(const struct node *node, struct mono now, const struct sight *sight,
		       const struct control_object *root, struct control_verdict *verdict)
{
	control_reconcile_fn *reconcile = control_reconciler(root->ref.kind);
	struct control_object *derived;
	struct node_facts *nodes = NULL;
	struct control_view view = {
		.root = root,
		.family = sight->objects,
		.family_count = sight->object_count,
		.pods = sight->pods,
		.pod_count = sight->pod_count,
		.is_deleted = is_deleted,
		.deleted_arg = node,
		.now = node_fabric_time(node, now),
	};

	if (!reconcile || kube_is_dying(root->json)) /* that is collect.c's */
		return;
	if (strcmp(root->ref.kind, "DaemonSet") == 0)
		nodes = see_nodes(node, &view);
	derived = mem_alloc(sight->object_count, sizeof(*derived));
	view.derived = derived;
	view.derived_count = derived_of(sight, root, derived);
	reconcile(&view, verdict);
	free(derived);
	for (size_t i = 0; i < view.node_count; i++)
		node_facts_deinit(&nodes[i]);
	free(nodes);
	free((struct control_node *)(uintptr_t)view.nodes);
}

/* What belongs to a deleted owner ends with it. */
static void judge_orphans(const struct node *node, const struct sight *sight,
			  struct control_verdict *verdict)
{
	struct uid owner;

	for (size_t i = 0; i < sight->object_count; i++)
		if (control_owner(sight->objects[i].json, &owner) &&
		    records_is_deleted(node->records, &owner))
			control_dispose(verdict, &sight->objects[i]);
}

/* When fabric time will be @at. */
struct mono node_mono_of(const struct node *node, struct mono now, struct wall at)
{
	if (at.ms == INT64_MAX)
		return MONO_NEVER;
	return mono_add_ms(now, at.ms - node_fabric_time(node, now).ms);
}

static void reconcile(struct node *node, struct mono now, struct family *family)
{
	struct control_verdict verdict = {.due = CONTROL_NEVER};
	struct sight sight;

	see(node, family, &sight);
	family->seen_at = now;
	family->pods = sight.pod_count;
	judge_orphans(node, &sight, &verdict);
	for (size_t i = 0; i < sight.object_count; i++)
		judge_root(node, now, &sight, &sight.objects[i], &verdict);
	due_at(node, family, node_mono_of(node, now, verdict.due));
	sight_deinit(&sight);
	carry_out(node, now, &verdict);
	control_verdict_deinit(&verdict);
}

static int64_t family_age_ms(const struct node *node, struct mono now, const struct family *family)
{
	int64_t written_ms = 0;

	for (size_t i = 0; i < family->relative_count; i++) {
		struct record_key key = {.kind = RECORD_OBJECT, .uid = family->relatives[i].uid};
		const struct record_item *item = records_get(node->records, &key);

		if (item && item->record.written_ms > written_ms)
			written_ms = item->record.written_ms;
	}
	return node_fabric_time(node, now).ms - written_ms;
}

/* Is it ours to look at now? Whoever takes over what is old waits for what is on its way. */
static bool may_act(struct node *node, struct mono now, struct family *family)
{
	struct node_id controller = node_controller(node, &family->relatives[0].uid);

	/* After a power cut: all are touched when it is over. */
	if (node_is_holding(node, now) || !node_id_equal(&controller, &node->config.self.id)) {
		for (size_t i = 0; i < family->relative_count; i++)
			relative_drop_json(&family->relatives[i]);
		family->mine = false;
		family->due = MONO_NEVER;
		return false;
	}
	if (!family->mine) {
		family->mine = true;
		family->settled = family_age_ms(node, now, family) > CONTROL_SETTLE_MS
					  ? mono_add_ms(now, CONTROL_SETTLE_MS)
					  : now;
	}
	if (mono_reached(now, family->settled))
		return true;
	due_at(node, family, family->settled);
	return false;
}

/* One family at a time: what is put comes back here as a change. */
bool node_families_run(struct node *node, struct mono now)
{
	struct family *family = list_first(&node->families_dirty, struct family, dirty);

	if (!family)
		return false;
	list_remove(&family->dirty);
	if (family->relative_count > 0 && may_act(node, now, family))
		reconcile(node, now, family);
	else if (family->relative_count == 0)
		family_free(
			map_remove(&node->families, bytes_of(family->home, sizeof(family->home))));
	return true;
}

void node_families_tick(struct node *node, struct mono now)
{
	if (!mono_reached(now, node->families_due))
		return;
	node->families_due = MONO_NEVER;
	map_for_each (entry, &node->families) {
		struct family *family = entry->value;

		if (mono_reached(now, family->due)) {
			family->due = MONO_NEVER;
			touch(node, family);
		}
		node->families_due = mono_min(node->families_due, family->due);
	}
}
