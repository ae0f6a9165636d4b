/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StatefulSets: one stored Pod for each ordinal, which the market places like any other, and a
 * ControllerRevision for each pod template.
 *
 * The Pod of an ordinal stays as long as the ordinal is wanted; its pods come and go. An update
 * writes the new template into it and stops the pod that runs. That an ordinal runs at most once is
 * for its machines and registrars to see to (market/tenure.h), whatever controllers do. Here it is
 * seen to that they need not refuse what had better not been tried:
 *  - nobody tenders it while anything is known of its old pod (market/controller.h: exclusive);
 *  - as soon as a machine reports it, its Pod is bound to that machine (spec.nodeName), so that
 *    while the machine is lost nobody else bids. `magik.io/on-lost: replace` leaves it unbound;
 *  - giving it up by hand (`kubectl delete pod --force`) takes the binding away and raises its
 *    epoch (magik.io/epoch): of two pods the one of the higher epoch stays.
 */
#include "control/control.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/claim.h"
#include "kube/deletion.h"
#include "kube/member.h"
#include "kube/statefulset.h"
#include "kube/workload.h"

struct ordinals {
	const struct control_view *view;
	struct control_verdict *verdict;
	int64_t first, count, min_ready_s, partition;
	bool parallel, on_delete, replace;
	bool claims_owned;        /* they are deleted with the set */
	bool claims_scaled;       /* they are deleted with their ordinal */
	struct kube_name update;  /* names of revisions */
	struct kube_name current; /* what ordinals below the partition have */
};

static int64_t ordinal_of(const struct control_object *pod)
{
	return kube_ordinal(pod->ref.name);
}

static const struct control_object *find(const struct control_view *view, const char *kind,
					 const char *name)
{
	for (size_t i = 0; i < view->derived_count; i++)
		if (strcmp(view->derived[i].ref.kind, kind) == 0 &&
		    strcmp(view->derived[i].ref.name, name) == 0)
			return &view->derived[i];
	return NULL;
}

static struct kube_name pod_name(const struct ordinals *on, int64_t ordinal)
{
	return kube_name_ordinal(on->view->root->ref.name, ordinal);
}

/* The pod of an ordinal that its machine reports, the best if there are several; NULL for none. */
static const struct presence *reported(const struct control_view *view, const struct uid *object)
{
	const struct presence *best = NULL;

	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;

		if (uid_equal(&presence->object.uid, object) && (!best || best->terminating))
			best = presence;
	}
	return best;
}

static bool has_ended(const struct presence *presence)
{
	return presence->phase == POD_FAILED || presence->phase == POD_SUCCEEDED;
}

/* Ready for long enough; else it is asked again when it will be. */
static bool is_available(const struct ordinals *on, const struct presence *presence)
{
	int64_t at_ms;

	if (!presence || presence->terminating || !presence->ready)
		return false;
	at_ms = kube_ready_since(presence) + on->min_ready_s * MS_PER_S;
	if (on->min_ready_s == 0 || at_ms <= on->view->now.ms)
		return true;
	control_call_at(on->verdict, (struct wall){.ms = at_ms});
	return false;
}

/* ---- the Pods ---- */

static const json_t *template_of(const struct ordinals *on, const char *revision)
{
	const struct control_object *stored = find(on->view, "ControllerRevision", revision);
	const json_t *template = stored ? kube_member(stored->json, "data.spec.template") : NULL;

	return template ? template : kube_member(on->view->root->json, "spec.template");
}

static void set_identity(const struct ordinals *on, json_t *pod, const char *revision,
			 int64_t ordinal)
{
	json_t *metadata = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
	json_t *labels = kube_object_at(metadata, "labels");
	struct kube_name name = pod_name(on, ordinal);
	const char *service = kube_member_string(on->view->root->json, "spec.serviceName");

	if (labels) {
		kube_set_string(labels, KUBE_REVISION_LABEL, revision);
		kube_set_string(labels, "statefulset.kubernetes.io/pod-name", name.text);
		kube_set(labels, "apps.kubernetes.io/pod-index", kube_text("%" PRId64, ordinal));
	}
	kube_set_string(spec, "hostname", name.text);
	if (*service)
		kube_set_string(spec, "subdomain", service);
}

/* A volume for each claim of this ordinal, in place of one of that name. */
static void set_volumes(const struct ordinals *on, json_t *spec, int64_t ordinal)
{
	const json_t *claims = kube_member(on->view->root->json, "spec.volumeClaimTemplates");
	json_t *volumes = json_array(), *volume;
	size_t index;

	for (size_t i = 0; i < json_array_size(claims); i++) {
		const char *claim = kube_member_string(json_array_get(claims, i), "metadata.name");
		struct kube_name name = kube_name_claim(claim, on->view->root->ref.name, ordinal);

		kube_push(volumes, json_pack("{s:s, s:{s:s}}", "name", claim,
					     "persistentVolumeClaim", "claimName", name.text));
	}
	json_array_foreach (json_object_get(spec, "volumes"), index, volume) {
		bool replaced = false;

		for (size_t i = 0; i < json_array_size(claims); i++)
			replaced |= strcmp(kube_member_string(volume, "name"),
					   kube_member_string(json_array_get(claims, i),
							      "metadata.name")) == 0;
		if (!replaced)
			kube_push(volumes, json_incref(volume));
	}
	if (json_array_size(volumes))
		kube_set(spec, "volumes", volumes);
	else
		json_decref(volumes);
}

/* What the set says of all its ordinals. */
static void hand_on(const struct ordinals *on, json_t *pod, const char *key)
{
	json_t *value =
		json_object_get(kube_member(on->view->root->json, "metadata.annotations"), key);

	if (value)
		control_annotate(pod, key, json_incref(value));
}

/* Write the template of @revision into @pod, which keeps what makes it this one. */
static void set_template(const struct ordinals *on, json_t *pod, const char *revision,
			 int64_t ordinal)
{
	const json_t *template = template_of(on, revision);
	const json_t *labels = kube_member(template, "metadata.labels");
	const json_t *annotations = kube_member(template, "metadata.annotations");
	json_t *metadata = json_object_get(pod, "metadata"), *spec;
	json_t *epoch =
		json_incref(json_object_get(kube_member(pod, "metadata.annotations"), KUBE_EPOCH));
	json_t *bound = json_incref(kube_member(pod, "spec.nodeName"));

	spec = json_deep_copy(kube_member(template, "spec"));
	kube_set(pod, "spec", spec ? spec : json_object());
	kube_set(metadata, "labels",
		 json_is_object(labels) ? json_deep_copy(labels) : json_object());
	kube_set(metadata, "annotations",
		 json_is_object(annotations) ? json_deep_copy(annotations) : json_object());
	if (epoch)
		control_annotate(pod, KUBE_EPOCH, epoch);
	hand_on(on, pod, KUBE_REGISTRARS);
	control_group_tell(on->view, ordinal, pod);
	if (on->replace)
		hand_on(on, pod, KUBE_ON_LOST);
	if (bound)
		kube_set(json_object_get(pod, "spec"), "nodeName", bound);
	set_volumes(on, json_object_get(pod, "spec"), ordinal);
	set_identity(on, pod, revision, ordinal);
}

/* ---- claims ---- */

/* A claim of our making; one that a user has made is not seen here, and takes the place of ours
 * when that is put (node/control.c). */
static const struct control_object *find_claim(const struct control_view *view, const char *name)
{
	for (size_t i = 0; i < view->family_count; i++)
		if (strcmp(view->family[i].ref.kind, KUBE_CLAIM) == 0 &&
		    strcmp(view->family[i].ref.name, name) == 0)
			return &view->family[i];
	return NULL;
}

static void create_claim(const struct ordinals *on, const json_t *template, const char *name)
{
	json_t *what = kube_text(KUBE_CLAIM "/%s", name);
	json_t *made =
		control_object_again(on->view, "v1", KUBE_CLAIM, name, json_string_value(what));
	json_t *metadata = json_object_get(made, "metadata");
	const json_t *labels = kube_member(on->view->root->json, "spec.selector.matchLabels");
	json_t *spec = json_deep_copy(json_object_get(template, "spec"));

	if (!on->claims_owned)
		(void)json_object_del(metadata, "ownerReferences"); /* it is there */
	if (json_is_object(labels))
		kube_set(metadata, "labels", json_deep_copy(labels));
	kube_default_claim_spec(spec);
	kube_set(made, "spec", spec ? spec : json_object());
	control_create(on->verdict, made);
	json_decref(what);
}

/* Whether it goes with the set is for the set to say, also later. */
static void own_claim(const struct ordinals *on, const struct control_object *claim)
{
	bool owned = kube_controller_of(claim->json) != NULL;
	json_t *json, *like;

	if (owned == on->claims_owned || kube_claim_read(claim->json).ending)
		return;
	json = json_deep_copy(claim->json);
	like = control_object_new(on->view, "v1", KUBE_CLAIM, claim->ref.name, claim->ref.name);
	if (on->claims_owned)
		kube_set(json_object_get(json, "metadata"), "ownerReferences",
			 json_incref(kube_member(like, "metadata.ownerReferences")));
	else
		(void)json_object_del(json_object_get(json, "metadata"), "ownerReferences");
	control_update(on->verdict, claim, json);
	json_decref(like);
}

/* The claims of an ordinal outlive it. One that is there stays, one that is missing is made. */
static void keep_claims(const struct ordinals *on, int64_t ordinal)
{
	const json_t *templates = kube_member(on->view->root->json, "spec.volumeClaimTemplates");
	size_t index;
	json_t *template;

	json_array_foreach (templates, index, template) {
		struct kube_name name =
			kube_name_claim(kube_member_string(template, "metadata.name"),
					on->view->root->ref.name, ordinal);
		const struct control_object *claim = find_claim(on->view, name.text);

		if (claim)
			own_claim(on, claim);
		else
			create_claim(on, template, name.text);
	}
}

/* Is the claim one of this set's, of an ordinal that is not wanted and of which nothing is left? */
static bool is_scaled_away(const struct ordinals *on, const struct control_object *claim)
{
	const json_t *templates = kube_member(on->view->root->json, "spec.volumeClaimTemplates");
	int64_t ordinal = kube_ordinal(claim->ref.name);
	struct kube_name pod = pod_name(on, ordinal);

	if (ordinal < 0 || (ordinal >= on->first && ordinal < on->first + on->count) ||
	    find(on->view, "Pod", pod.text))
		return false;
	for (size_t i = 0; i < json_array_size(templates); i++) {
		struct kube_name name = kube_name_claim(
			kube_member_string(json_array_get(templates, i), "metadata.name"),
			on->view->root->ref.name, ordinal);

		if (strcmp(name.text, claim->ref.name) == 0)
			return true;
	}
	return false;
}

/* As if a user had deleted them: the pod may still be ending. */
static void forget_claims(const struct ordinals *on)
{
	for (size_t i = 0; i < on->view->family_count && on->claims_scaled; i++) {
		const struct control_object *claim = &on->view->family[i];
		json_t *json;

		if (strcmp(claim->ref.kind, KUBE_CLAIM) != 0 || kube_is_dying(claim->json) ||
		    !is_scaled_away(on, claim))
			continue;
		json = json_deep_copy(claim->json);
		kube_condemn(json, NULL, on->view->now);
		control_update(on->verdict, claim, json);
	}
}

static void create_pod(const struct ordinals *on, int64_t ordinal)
{
	struct kube_name name = pod_name(on, ordinal);
	json_t *what = kube_text("Pod/%" PRId64, ordinal);
	json_t *pod =
		control_object_again(on->view, "v1", "Pod", name.text, json_string_value(what));
	const char *revision =
		ordinal - on->first < on->partition ? on->current.text : on->update.text;

	const char *home = on->replace ? NULL : control_group_home(on->view, ordinal);

	kube_set(pod, "spec", json_object());
	if (home)
		kube_set_string(json_object_get(pod, "spec"), "nodeName", home);
	set_template(on, pod, revision, ordinal);
	control_create(on->verdict, pod);
	json_decref(what);
}

static void bind_pod(const struct ordinals *on, const struct control_object *pod)
{
	const struct presence *presence = reported(on->view, &pod->ref.uid);
	json_t *json;

	if (strcmp(pod->ref.kind, "Pod") != 0 || !presence || presence->terminating ||
	    *kube_member_string(pod->json, "spec.nodeName"))
		return;
	json = json_deep_copy(pod->json);
	kube_set_string(json_object_get(json, "spec"), "nodeName", presence->node_name);
	control_update(on->verdict, pod, json);
}

/* From its first report on, an ordinal runs where it runs. */
static bool bind_pods(const struct ordinals *on)
{
	size_t before = on->verdict->count;

	for (size_t i = 0; i < on->view->derived_count && !on->replace; i++)
		bind_pod(on, &on->view->derived[i]);
	return on->verdict->count > before;
}

static const json_t *registrars_of(const json_t *object)
{
	return json_object_get(kube_member(object, "metadata.annotations"), KUBE_REGISTRARS);
}

/* There are others than when the Pods were made. */
static bool hand_on_registrars(const struct ordinals *on)
{
	const json_t *registrars = registrars_of(on->view->root->json);
	size_t before = on->verdict->count;

	for (size_t i = 0; i < on->view->derived_count && registrars; i++) {
		const struct control_object *pod = &on->view->derived[i];
		json_t *json;

		if (strcmp(pod->ref.kind, "Pod") != 0 ||
		    json_equal(registrars_of(pod->json), registrars))
			continue;
		json = json_deep_copy(pod->json);
		hand_on(on, json, KUBE_REGISTRARS);
		control_update(on->verdict, pod, json);
	}
	return on->verdict->count > before;
}

/* Who has founded the group does not do it again. */
static bool tell_parts(const struct ordinals *on)
{
	size_t before = on->verdict->count;

	for (size_t i = 0; i < on->view->derived_count; i++) {
		const struct control_object *pod = &on->view->derived[i];
		json_t *json;

		if (strcmp(pod->ref.kind, "Pod") != 0)
			continue;
		json = json_deep_copy(pod->json);
		control_group_tell(on->view, ordinal_of(pod), json);
		control_update(on->verdict, pod, json);
	}
	return on->verdict->count > before;
}

static void update_pod(const struct ordinals *on, const struct control_object *pod,
		       const struct presence *presence)
{
	json_t *json = json_deep_copy(pod->json);

	set_template(on, json, on->update.text, ordinal_of(pod));
	control_update(on->verdict, pod, json);
	if (presence && !presence->terminating)
		control_stop(on->verdict, presence, UINT32_MAX);
}

static bool is_updated(const struct ordinals *on, const struct control_object *pod)
{
	return strcmp(kube_revision_label(pod->json), on->update.text) == 0;
}

/* It was started from another template than its Pod has now: on the other side of a partition. */
static bool is_stale(const struct control_object *pod, const struct presence *presence)
{
	return presence && !presence->terminating && presence->revision &&
	       presence->revision != kube_revision_fold(pod->json);
}

/* ---- what is done in which order ---- */

/* Bring up the ordinals that are wanted, the lowest first. Returns whether all are available. */
static bool bring_up(const struct ordinals *on)
{
	bool all = true;

	for (int64_t i = on->first; i < on->first + on->count; i++) {
		struct kube_name name = pod_name(on, i);
		const struct control_object *pod = find(on->view, "Pod", name.text);
		const struct presence *presence = pod ? reported(on->view, &pod->ref.uid) : NULL;

		keep_claims(on, i);
		if (!pod)
			create_pod(on, i);
		else if (presence && has_ended(presence) && !presence->terminating)
			control_stop(on->verdict, presence, UINT32_MAX);
		if (is_available(on, presence))
			continue;
		all = false;
		if (!on->parallel)
			return false;
	}
	return all;
}

/* The highest ordinal that is not wanted, or of which something is left; -1 when there is none. */
static const struct control_object *highest_unwanted(const struct ordinals *on)
{
	const struct control_object *highest = NULL;

	for (size_t i = 0; i < on->view->derived_count; i++) {
		const struct control_object *one = &on->view->derived[i];
		int64_t ordinal;

		if (strcmp(one->ref.kind, "Pod") != 0)
			continue;
		ordinal = ordinal_of(one);
		if (ordinal >= on->first && ordinal < on->first + on->count)
			continue;
		if (!highest || ordinal > ordinal_of(highest))
			highest = one;
	}
	return highest;
}

/* Pods of Pods that have been deleted. */
static bool some_are_ending(const struct control_view *view)
{
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;

		if (strcmp(presence->object.kind, "Pod") == 0 &&
		    !find(view, "Pod", presence->object.name))
			return true;
	}
	return false;
}

/* Returns whether nothing was left to take down. */
static bool take_down(const struct ordinals *on)
{
	const struct control_object *pod = highest_unwanted(on);

	if (!on->parallel && some_are_ending(on->view))
		return false;
	if (!pod)
		return true;
	if (!on->parallel) {
		control_dispose(on->verdict, pod);
		return false;
	}
	for (size_t i = 0; i < on->view->derived_count; i++) {
		const struct control_object *one = &on->view->derived[i];
		int64_t ordinal = ordinal_of(one);

		if (strcmp(one->ref.kind, "Pod") == 0 &&
		    (ordinal < on->first || ordinal >= on->first + on->count))
			control_dispose(on->verdict, one);
	}
	return false;
}

/* From the highest ordinal to the partition, one after the other. As long as not all are @up, those
 * that are stay as they are, and the new template may mend the others. */
static void roll(const struct ordinals *on, bool up)
{
	for (int64_t i = on->first + on->count; i-- > on->first + on->partition;) {
		struct kube_name name = pod_name(on, i);
		const struct control_object *pod = find(on->view, "Pod", name.text);
		const struct presence *presence = pod ? reported(on->view, &pod->ref.uid) : NULL;

		if (!pod)
			return;
		if (!is_updated(on, pod) && !up && is_available(on, presence))
			continue;
		if (!is_updated(on, pod)) {
			update_pod(on, pod, presence);
			return;
		}
		if (is_stale(pod, presence)) {
			if (!up && is_available(on, presence))
				continue;
			control_stop(on->verdict, presence, UINT32_MAX);
			return;
		}
		if (!is_available(on, presence))
			return;
	}
}

/* Only what is being stopped anyway takes the new template. */
static void update_deleted(const struct ordinals *on)
{
	for (size_t i = 0; i < on->view->derived_count; i++) {
		const struct control_object *pod = &on->view->derived[i];
		const struct presence *presence = reported(on->view, &pod->ref.uid);

		if (strcmp(pod->ref.kind, "Pod") == 0 && !is_updated(on, pod) && presence &&
		    presence->terminating)
			update_pod(on, pod, presence);
	}
}

static bool is_delete(const json_t *root, const char *when)
{
	return strcmp(kube_member_string(
			      kube_member(root, "spec.persistentVolumeClaimRetentionPolicy"), when),
		      "Delete") == 0;
}

static struct ordinals read(const struct control_view *view, struct control_verdict *verdict)
{
	const json_t *root = view->root->json;
	const char *on_lost = json_string_value(
		json_object_get(kube_member(root, "metadata.annotations"), KUBE_ON_LOST));
	struct ordinals on = {
		.view = view,
		.verdict = verdict,
		.first = kube_member_int(root, "spec.ordinals.start", 0),
		.count = kube_member_int(root, "spec.replicas", 1),
		.min_ready_s = kube_member_int(root, "spec.minReadySeconds", 0),
		.partition =
			kube_member_int(root, "spec.updateStrategy.rollingUpdate.partition", 0),
		.parallel = strcmp(kube_member_string(root, "spec.podManagementPolicy"),
				   "Parallel") == 0,
		.on_delete = strcmp(kube_member_string(root, "spec.updateStrategy.type"),
				    "OnDelete") == 0,
		.replace = on_lost && strcmp(on_lost, "replace") == 0,
		.claims_owned = is_delete(root, "whenDeleted"),
		.claims_scaled = is_delete(root, "whenScaled"),
		.update = kube_revision_name(root),
	};
	/* Data are where they are. */
	if (json_array_size(kube_member(root, "spec.volumeClaimTemplates")))
		on.replace = false;
	return on;
}

/* The revision of the lowest ordinal is the last to change. */
static struct kube_name current_of(const struct ordinals *on)
{
	struct kube_name name = pod_name(on, on->first), current = on->update;
	const struct control_object *pod = find(on->view, "Pod", name.text);
	const char *label = pod ? kube_revision_label(pod->json) : "";

	if (*label && strlen(label) < sizeof(current.text))
		memcpy(current.text, label, strlen(label) + 1);
	return current;
}

void control_statefulset(const struct control_view *view, struct control_verdict *verdict)
{
	struct ordinals on = read(view, verdict);
	bool up;

	if (!json_is_object(kube_pod_spec(view->root->json)))
		return; /* not of our making: nothing could run */
	if (control_adopt(view, "Pod", verdict) ||
	    control_adopt(view, "ControllerRevision", verdict))
		return;
	on.current = current_of(&on);
	control_revision_keep(view, on.update.text, verdict);
	forget_claims(&on);
	if (!find(view, "ControllerRevision", on.update.text))
		return; /* the pods come with the next call */
	if (hand_on_registrars(&on) || bind_pods(&on) || control_group_remember(view, verdict) ||
	    tell_parts(&on))
		return;
	up = bring_up(&on);
	if ((up || on.parallel || on.count == 0) && !take_down(&on))
		return;
	if (on.on_delete)
		update_deleted(&on);
	else
		roll(&on, up);
	control_revisions_forget(view, on.update.text, verdict);
}
