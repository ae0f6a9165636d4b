/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployments, as Kubernetes' controller moves them: a ReplicaSet for each pod template, scaled so
 * that there are never more than replicas + maxSurge pods, nor fewer than replicas - maxUnavailable
 * available ones, until only the set of the present template has pods.
 *
 * One call makes one move, or a few that do not depend on each other; what it writes calls it
 * again. All limits are kept by what is *wanted* of the sets: a pod that has been asked for counts
 * as there, and one that is about to be stopped as gone, however old the news of them are.
 *
 * revision: the newest set has the highest number; a template that comes back gets its old set with
 * a new number.
 */
#include "control/control.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "kube/member.h"
#include "kube/rollout.h"
#include "kube/workload.h"

/* A set, and what becomes of it. */
struct plan {
	const struct control_object *object;
	const struct kube_set *set;
	int64_t replicas; /* to be wanted */
	json_t *json;     /* the changed copy */
};

struct rollout_move {
	const struct control_view *view;
	struct control_verdict *verdict;
	struct kube_rollout rollout;
	struct plan *plans; /* as the sets, the oldest first */
	size_t count;
	struct plan *new_plan; /* of the present template, or NULL */
};

/* Annotations of the Deployment that its sets do not take over. */
static const char *const own_annotations[] = {
	KUBE_LAST_APPLIED,     KUBE_REVISION,     KUBE_REVISION_HISTORY,
	KUBE_DESIRED_REPLICAS, KUBE_MAX_REPLICAS, KUBE_OBSERVED,
	KUBE_SCALED_AT,        KUBE_ROLLED_OUT,   KUBE_NOTED,
};

static json_t *annotations_of(json_t *object)
{
	return kube_object_at(kube_object_at(object, "metadata"), "annotations");
}

static void annotate_int(json_t *object, const char *key, int64_t value)
{
	json_t *annotations = annotations_of(object);

	if (annotations)
		kube_set(annotations, key, kube_text("%" PRId64, value));
}

static int64_t annotation_int(const json_t *object, const char *key)
{
	const char *text = json_string_value(
		json_object_get(kube_member(object, "metadata.annotations"), key));

	return text ? strtoll(text, NULL, 10) : -1;
}

/* ---- the plan ---- */

static const char *created(const struct control_object *object)
{
	return kube_member_string(object->json, "metadata.creationTimestamp");
}

static int older_first(const void *a, const void *b)
{
	const struct control_object *const *left = a, *const *right = b;
	int order = strcmp(created(*left), created(*right));

	return order ? order : uid_compare(&(*left)->ref.uid, &(*right)->ref.uid);
}

/* The live pods of one set; borrowed by the caller, who frees the list. */
static struct kube_pods pods_of(const struct control_view *view, const struct uid *set)
{
	const struct presence **list = mem_alloc(view->pod_count, sizeof(*list));
	struct kube_pods pods = {.pods = list};

	for (size_t i = 0; i < view->pod_count; i++)
		if (view->pods[i].machine_alive &&
		    uid_equal(&view->pods[i].presence->object.uid, set))
			list[pods.count++] = view->pods[i].presence;
	return pods;
}

/* The ReplicaSets, the oldest first. */
static const struct control_object **sets_of(const struct control_view *view, size_t *ret_count)
{
	const struct control_object **sets = mem_alloc(view->derived_count, sizeof(*sets));
	size_t count = 0;

	for (size_t i = 0; i < view->derived_count; i++)
		if (strcmp(view->derived[i].ref.kind, "ReplicaSet") == 0)
			sets[count++] = &view->derived[i];
	if (count)
		qsort(sets, count, sizeof(*sets), older_first);
	*ret_count = count;
	return sets;
}

static void move_init(struct rollout_move *move, const struct control_view *view,
		      struct control_verdict *verdict)
{
	const struct control_object **sets;
	struct kube_set_source *sources;

	*move = (struct rollout_move){.view = view, .verdict = verdict};
	sets = sets_of(view, &move->count);
	sources = mem_alloc(move->count, sizeof(*sources));
	for (size_t i = 0; i < move->count; i++)
		sources[i] = (struct kube_set_source){
			.json = sets[i]->json,
			.pods = pods_of(view, &sets[i]->ref.uid),
		};
	kube_rollout_read(view->root->json, sources, move->count, view->now, &move->rollout);
	move->plans = mem_alloc(move->count, sizeof(*move->plans));
	for (size_t i = 0; i < move->count; i++) {
		const struct kube_set *set = &move->rollout.sets[i];

		move->plans[i] = (struct plan){
			.object = sets[i],
			.set = set,
			.replicas = set->replicas,
			.json = json_deep_copy(sets[i]->json),
		};
		if (set == move->rollout.new_set)
			move->new_plan = &move->plans[i];
		free((void *)(uintptr_t)sources[i].pods.pods);
	}
	free(sources);
	free(sets);
}

static void move_deinit(struct rollout_move *move)
{
	for (size_t i = 0; i < move->count; i++)
		json_decref(move->plans[i].json);
	free(move->plans);
	kube_rollout_deinit(&move->rollout);
}

/* The sum of what is wanted, after this move so far. */
static int64_t planned(const struct rollout_move *move, bool old_only)
{
	int64_t sum = 0;

	for (size_t i = 0; i < move->count; i++)
		if (!old_only || &move->plans[i] != move->new_plan)
			sum += move->plans[i].replicas;
	return sum;
}

/* Available pods of a set that will stay: those beyond what is wanted of it are about to go. */
static int64_t available(const struct plan *plan)
{
	int64_t count = plan->set->counts.available;

	if (fault_is_planted(FAULT_ROLLOUT_STALE))
		return count;
	return count < plan->replicas ? count : plan->replicas;
}

static int64_t available_in_all(const struct rollout_move *move)
{
	int64_t sum = 0;

	for (size_t i = 0; i < move->count; i++)
		sum += available(&move->plans[i]);
	return sum;
}

/* ---- a new set ---- */

static bool is_own_annotation(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(own_annotations); i++)
		if (strcmp(key, own_annotations[i]) == 0)
			return true;
	return false;
}

/* A set takes over what its Deployment is annotated with: users write there what pods shall be
 * like (magik.io/priority). */
static void annotate_set(const struct rollout_move *move, json_t *set)
{
	const json_t *from = kube_member(move->view->root->json, "metadata.annotations");
	json_t *to = annotations_of(set), *value;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)from, key, value)
		if (to && !is_own_annotation(key))
			kube_set(to, key, json_incref(value));
}

static void annotate_scale(const struct rollout_move *move, json_t *set)
{
	annotate_int(set, KUBE_DESIRED_REPLICAS, move->rollout.replicas);
	annotate_int(set, KUBE_MAX_REPLICAS, move->rollout.replicas + move->rollout.surge);
}

static void hash_label(json_t *parent, const char *hash)
{
	json_t *labels = kube_object_at(parent, "labels");

	if (labels)
		kube_set_string(labels, KUBE_TEMPLATE_HASH, hash);
}

static json_t *set_spec(const struct rollout_move *move)
{
	const json_t *root = move->view->root->json;
	const json_t *selector = kube_member(root, "spec.selector");
	const json_t *template = kube_member(root, "spec.template");
	const char *hash = move->rollout.hash.text;
	json_t *spec = json_object(), *labels;

	kube_set_int(spec, "replicas", 0);
	kube_set(spec, "selector",
		 json_is_object(selector) ? json_deep_copy(selector) : json_object());
	kube_set(spec, "template",
		 json_is_object(template) ? json_deep_copy(template) : json_object());
	labels = kube_object_at(json_object_get(spec, "selector"), "matchLabels");
	if (labels)
		kube_set_string(labels, KUBE_TEMPLATE_HASH, hash);
	hash_label(kube_object_at(json_object_get(spec, "template"), "metadata"), hash);
	return spec;
}

/* As many more as the surge allows. */
static int64_t new_replicas(const struct rollout_move *move, int64_t present)
{
	const struct kube_rollout *rollout = &move->rollout;
	int64_t room = rollout->replicas + rollout->surge - planned(move, false);
	int64_t missing = rollout->replicas - present;

	if (rollout->recreate)
		return rollout->replicas;
	if (fault_is_planted(FAULT_ROLLOUT_SURGE))
		room += rollout->replicas;
	if (room <= 0)
		return present;
	return present + (room < missing ? room : missing);
}

static int64_t highest_revision(const struct rollout_move *move)
{
	int64_t highest = 0;

	for (size_t i = 0; i < move->count; i++)
		if (&move->plans[i] != move->new_plan && move->plans[i].set->revision > highest)
			highest = move->plans[i].set->revision;
	return highest;
}

static void create_set(struct rollout_move *move)
{
	const struct control_view *view = move->view;
	const struct kube_rollout *rollout = &move->rollout;
	struct kube_name name = kube_name_replica_set(view->root->ref.name, &rollout->hash);
	json_t *what = kube_text("ReplicaSet/%s", rollout->hash.text), *set, *labels, *spec;

	set = control_object_again(view, "apps/v1", "ReplicaSet", name.text,
				   json_string_value(what));
	labels = kube_member(view->root->json, "spec.template.metadata.labels");
	kube_set(json_object_get(set, "metadata"), "labels",
		 json_is_object(labels) ? json_deep_copy(labels) : json_object());
	hash_label(json_object_get(set, "metadata"), rollout->hash.text);
	spec = set_spec(move);
	kube_set_int(spec, "replicas", new_replicas(move, 0));
	if (rollout->min_ready_s)
		kube_set_int(spec, "minReadySeconds", rollout->min_ready_s);
	kube_set(set, "spec", spec);
	annotate_set(move, set);
	annotate_scale(move, set);
	annotate_int(set, KUBE_REVISION, highest_revision(move) + 1);
	annotate_int(set, KUBE_OBSERVED, rollout->generation);
	annotate_int(set, KUBE_SCALED_AT, view->now.ms);
	control_create(move->verdict, set);
	json_decref(what);
}

/* Its number must be the highest: a set that is used again gets a new one. */
static void renumber(struct rollout_move *move)
{
	struct plan *plan = move->new_plan;
	int64_t highest = highest_revision(move);
	const char *before;
	json_t *annotations;

	if (plan->set->revision > highest)
		return;
	annotations = annotations_of(plan->json);
	before = json_string_value(json_object_get(annotations, KUBE_REVISION_HISTORY));
	if (annotations && plan->set->revision)
		kube_set(annotations, KUBE_REVISION_HISTORY,
			 kube_text("%s%s%" PRId64, before ? before : "", before ? "," : "",
				   plan->set->revision));
	annotate_int(plan->json, KUBE_REVISION, highest + 1);
	annotate_int(plan->json, KUBE_SCALED_AT, move->view->now.ms);
}

/* What the set of the present template says of its Deployment, and that it does. */
static void keep_new_set(struct rollout_move *move)
{
	struct plan *plan = move->new_plan;
	json_t *spec = json_object_get(plan->json, "spec");

	annotate_set(move, plan->json);
	renumber(move);
	if (move->rollout.min_ready_s)
		kube_set_int(spec, "minReadySeconds", move->rollout.min_ready_s);
	else
		(void)json_object_del(spec, "minReadySeconds"); /* it may not be there */
	annotate_int(plan->json, KUBE_OBSERVED, move->rollout.generation);
}

/* ---- scaling ---- */

static bool is_active(const struct plan *plan)
{
	return plan->replicas > 0;
}

/* Has the number of replicas been changed since the sets were scaled? */
static bool is_rescaled(const struct rollout_move *move)
{
	for (size_t i = 0; i < move->count; i++)
		if (is_active(&move->plans[i]) &&
		    annotation_int(move->plans[i].set->json, KUBE_DESIRED_REPLICAS) !=
			    move->rollout.replicas)
			return true;
	return false;
}

/* The only set with pods, or without any the present one; NULL when there are several. */
static struct plan *only_active(struct rollout_move *move)
{
	struct plan *only = move->new_plan;
	size_t active = 0;

	for (size_t i = 0; i < move->count; i++)
		if (is_active(&move->plans[i])) {
			only = &move->plans[i];
			active++;
		}
	return active > 1 ? NULL : only;
}

/* How much of a change of the whole falls on one set, in proportion to its share so far. */
static int64_t share(const struct rollout_move *move, const struct plan *plan)
{
	const struct kube_rollout *rollout = &move->rollout;
	int64_t before = annotation_int(plan->set->json, KUBE_MAX_REPLICAS);
	int64_t after = rollout->replicas + rollout->surge;

	if (rollout->replicas == 0)
		return -plan->replicas;
	if (before <= 0)
		before = kube_rollout_counts(rollout).pods;
	if (before <= 0)
		return 0;
	/* Rounded to the nearest. */
	return (2 * plan->replicas * after + before) / (2 * before) - plan->replicas;
}

/* The largest first; of equals the newest first when there are more to be, else the oldest. */
static int larger_first(const void *a, const void *b)
{
	const struct plan *const *left = a, *const *right = b;

	if ((*left)->replicas != (*right)->replicas)
		return (*left)->replicas > (*right)->replicas ? -1 : 1;
	return *left < *right ? -1 : 1;
}

static int larger_newer_first(const void *a, const void *b)
{
	const struct plan *const *left = a, *const *right = b;

	if ((*left)->replicas != (*right)->replicas)
		return larger_first(a, b);
	return *left > *right ? -1 : 1;
}

static int64_t clamp_share(int64_t part, int64_t left)
{
	if (left > 0)
		return part < 0 ? 0 : part > left ? left : part;
	return part > 0 ? 0 : part < left ? left : part;
}

/* Spread a change of the number of replicas over the sets of a rollout that is under way. */
static void scale_in_proportion(struct rollout_move *move)
{
	const struct kube_rollout *rollout = &move->rollout;
	int64_t allowed = rollout->replicas ? rollout->replicas + rollout->surge : 0;
	int64_t left = allowed - planned(move, false);
	struct plan **order = mem_alloc(move->count, sizeof(struct plan *));
	size_t count = 0;

	for (size_t i = 0; i < move->count; i++)
		if (is_active(&move->plans[i]))
			order[count++] = &move->plans[i];
	if (count)
		qsort(order, count, sizeof(*order), left > 0 ? larger_newer_first : larger_first);
	for (size_t i = 0; i < count; i++) {
		int64_t part = left ? clamp_share(share(move, order[i]), left) : 0;

		order[i]->replicas += part;
		left -= part;
		annotate_scale(move, order[i]->json);
	}
	if (count && left) {
		order[0]->replicas += left;
		if (order[0]->replicas < 0)
			order[0]->replicas = 0;
	}
	free(order);
}

static bool is_saturated(const struct rollout_move *move)
{
	const struct plan *plan = move->new_plan;

	return plan && plan->replicas == move->rollout.replicas &&
	       annotation_int(plan->set->json, KUBE_DESIRED_REPLICAS) == move->rollout.replicas &&
	       plan->set->counts.available == move->rollout.replicas;
}

/* The number of replicas has changed, or nothing else may: no rollout, only the numbers. */
static void scale(struct rollout_move *move)
{
	struct plan *only = only_active(move);

	if (only) {
		only->replicas = move->rollout.replicas;
		annotate_scale(move, only->json);
	} else if (is_saturated(move)) {
		for (size_t i = 0; i < move->count; i++)
			if (&move->plans[i] != move->new_plan)
				move->plans[i].replicas = 0;
	} else if (!move->rollout.recreate) {
		scale_in_proportion(move);
	}
}

/* ---- rolling ---- */

/* Old pods that are not available anyway go first, for nothing. Returns how many went. */
static int64_t drop_unhealthy(struct rollout_move *move, int64_t most)
{
	int64_t dropped = 0;

	for (size_t i = 0; i < move->count && dropped < most; i++) {
		struct plan *plan = &move->plans[i];
		int64_t part = plan->replicas - available(plan);

		if (plan == move->new_plan || part <= 0)
			continue;
		part = part < most - dropped ? part : most - dropped;
		plan->replicas -= part;
		dropped += part;
	}
	return dropped;
}

/* Then available ones, as many as may be missing. */
static void drop_available(struct rollout_move *move)
{
	int64_t least = move->rollout.replicas - move->rollout.unavailable;
	int64_t spare = available_in_all(move) - least;

	for (size_t i = 0; i < move->count && spare > 0; i++) {
		struct plan *plan = &move->plans[i];
		int64_t part = plan->replicas < spare ? plan->replicas : spare;

		if (plan == move->new_plan)
			continue;
		plan->replicas -= part;
		spare -= part;
	}
}

static void shrink_old(struct rollout_move *move)
{
	int64_t least = move->rollout.replicas - move->rollout.unavailable;
	int64_t starting = move->new_plan->replicas - available(move->new_plan);
	int64_t most = planned(move, false) - least - starting;

	if (fault_is_planted(FAULT_ROLLOUT_UNAVAILABLE))
		most = planned(move, true);
	if (planned(move, true) == 0 || most <= 0)
		return;
	(void)drop_unhealthy(move, most);
	if (fault_is_planted(FAULT_ROLLOUT_UNAVAILABLE))
		move->rollout.unavailable = move->rollout.replicas;
	drop_available(move);
}

static void roll(struct rollout_move *move)
{
	struct plan *plan = move->new_plan;

	if (!plan) {
		create_set(move);
		return;
	}
	annotate_scale(move, plan->json);
	if (plan->replicas > move->rollout.replicas)
		plan->replicas = move->rollout.replicas;
	else
		plan->replicas = new_replicas(move, plan->replicas);
	/* One at a time, as Kubernetes: what has just been asked for is not available yet. */
	if (plan->replicas == plan->set->replicas)
		shrink_old(move);
}

/* Is anything left of a pod with an old template? */
static bool old_pods_are_left(const struct rollout_move *move)
{
	const struct control_view *view = move->view;

	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;
		bool ended = presence->phase == POD_SUCCEEDED || presence->phase == POD_FAILED;

		if (!ended && (!move->new_plan ||
			       !uid_equal(&presence->object.uid, &move->new_plan->object->ref.uid)))
			return true;
	}
	return false;
}

static void recreate(struct rollout_move *move)
{
	for (size_t i = 0; i < move->count; i++)
		if (&move->plans[i] != move->new_plan)
			move->plans[i].replicas = 0;
	if (old_pods_are_left(move))
		return;
	if (!move->new_plan) {
		create_set(move);
		return;
	}
	annotate_scale(move, move->new_plan->json);
	move->new_plan->replicas = move->rollout.replicas;
}

/* ---- afterwards ---- */

static int lower_revision_first(const void *a, const void *b)
{
	const struct plan *const *left = a, *const *right = b;
	int64_t difference = (*left)->set->revision - (*right)->set->revision;

	return difference < 0 ? -1 : difference > 0;
}

/* Old sets beyond the limit go once the rollout is over: nothing can be undone to them. */
static void forget_old_sets(struct rollout_move *move)
{
	int64_t limit = kube_member_int(move->view->root->json, "spec.revisionHistoryLimit", 10);
	struct plan **old = mem_alloc(move->count, sizeof(struct plan *));
	size_t count = 0;

	for (size_t i = 0; i < move->count; i++)
		if (&move->plans[i] != move->new_plan && move->plans[i].replicas == 0 &&
		    move->plans[i].set->counts.pods == 0)
			old[count++] = &move->plans[i];
	if (count)
		qsort(old, count, sizeof(*old), lower_revision_first);
	for (size_t i = 0; limit < KUBE_KEEP_ALL && i + (size_t)limit < count; i++)
		control_dispose(move->verdict, old[i]->object);
	free(old);
}

/* Time alone changes what clients see: they hear of it by this. */
static void note_time(struct rollout_move *move)
{
	const struct kube_rollout *rollout = &move->rollout;
	struct kube_counts counts = kube_rollout_counts(rollout);
	int64_t deadline_ms = kube_rollout_deadline(rollout);
	bool stuck = deadline_ms <= rollout->now.ms;
	json_t *annotations;

	if (counts.next_ms < INT64_MAX)
		control_call_at(move->verdict, (struct wall){.ms = counts.next_ms});
	if (deadline_ms < INT64_MAX && !stuck)
		control_call_at(move->verdict, (struct wall){.ms = deadline_ms});
	if (!move->new_plan || (!stuck && !rollout->min_ready_s))
		return;
	annotations = annotations_of(move->new_plan->json);
	if (annotations)
		kube_set(annotations, KUBE_NOTED,
			 kube_text("%s%" PRId64, stuck ? "stuck," : "", counts.available));
}

static void finish(struct rollout_move *move)
{
	json_t *annotations;

	note_time(move);
	if (!move->new_plan || !kube_rollout_is_complete(&move->rollout))
		return;
	annotations = annotations_of(move->new_plan->json);
	if (annotations)
		kube_set(annotations, KUBE_ROLLED_OUT,
			 json_incref(json_object_get(annotations, KUBE_REVISION)));
	forget_old_sets(move);
}

static void write_plans(struct rollout_move *move)
{
	for (size_t i = 0; i < move->count; i++) {
		struct plan *plan = &move->plans[i];

		if (plan->replicas != plan->set->replicas) {
			kube_set_int(json_object_get(plan->json, "spec"), "replicas",
				     plan->replicas);
			annotate_int(plan->json, KUBE_SCALED_AT, move->view->now.ms);
		}
		control_update(move->verdict, plan->object, json_incref(plan->json));
	}
}

/* A set that has the latest number says that a change which rolls nothing out has been seen. */
static void note_observed(struct rollout_move *move)
{
	struct plan *latest = NULL;

	for (size_t i = 0; i < move->count; i++)
		if (!latest || move->plans[i].set->revision > latest->set->revision)
			latest = &move->plans[i];
	if (latest)
		annotate_int(latest->json, KUBE_OBSERVED, move->rollout.generation);
}

void control_deployment(const struct control_view *view, struct control_verdict *verdict)
{
	struct rollout_move move;

	if (!json_is_object(kube_pod_spec(view->root->json)))
		return; /* not of our making: nothing could run */
	if (control_adopt(view, "ReplicaSet", verdict))
		return;
	move_init(&move, view, verdict);
	if (move.new_plan)
		keep_new_set(&move);
	else if (move.rollout.paused)
		note_observed(&move);
	if (move.rollout.paused || (is_rescaled(&move) && !move.rollout.recreate))
		scale(&move);
	else if (move.rollout.recreate)
		recreate(&move);
	else
		roll(&move);
	finish(&move);
	write_plans(&move);
	move_deinit(&move);
}
