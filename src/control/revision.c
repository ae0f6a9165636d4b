/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ControllerRevisions, as Kubernetes has them: `kubectl rollout history` lists them, `rollout undo`
 * patches one of them into the object.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "control/control.h"
#include "kube/member.h"
#include "kube/statefulset.h"

#define KIND "ControllerRevision"

enum {
	HISTORY_DEFAULT = 10, /* as Kubernetes */
};

static int64_t highest_revision(const struct control_view *view)
{
	int64_t highest = 0;

	for (size_t i = 0; i < view->derived_count; i++) {
		int64_t revision = kube_member_int(view->derived[i].json, "revision", 0);

		if (strcmp(view->derived[i].ref.kind, KIND) == 0 && revision > highest)
			highest = revision;
	}
	return highest;
}

/* What `kubectl rollout history` shows beside it. */
static void annotate_cause(json_t *revision, const json_t *root)
{
	static const char cause[] = "kubernetes.io/change-cause";
	json_t *value = json_object_get(kube_member(root, "metadata.annotations"), cause);

	if (json_is_string(value))
		control_annotate(revision, cause, json_incref(value));
}

/* A strategic merge patch that brings the template back. */
static json_t *revision_data(const json_t *root)
{
	json_t *template = json_deep_copy(kube_member(root, "spec.template"));

	kube_set_string(template, "$patch", "replace");
	return json_pack("{s:{s:o}}", "spec", "template", template);
}

static void revision_create(const struct control_view *view, const char *name,
			    struct control_verdict *verdict)
{
	json_t *what = kube_text(KIND "/%s", name);
	json_t *revision =
		control_object_again(view, "apps/v1", KIND, name, json_string_value(what));
	const json_t *labels = kube_member(view->root->json, "spec.template.metadata.labels");

	kube_set(json_object_get(revision, "metadata"), "labels",
		 json_is_object(labels) ? json_deep_copy(labels) : json_object());
	kube_set(revision, "data", revision_data(view->root->json));
	kube_set_int(revision, "revision", highest_revision(view) + 1);
	control_annotate(revision, KUBE_OBSERVED, kube_text("%" PRIu64, view->root->generation));
	annotate_cause(revision, view->root->json);
	control_create(verdict, revision);
	json_decref(what);
}

static const struct control_object *revision_find(const struct control_view *view, const char *name)
{
	for (size_t i = 0; i < view->derived_count; i++)
		if (strcmp(view->derived[i].ref.kind, KIND) == 0 &&
		    strcmp(view->derived[i].ref.name, name) == 0)
			return &view->derived[i];
	return NULL;
}

void control_revision_keep(const struct control_view *view, const char *name,
			   struct control_verdict *verdict)
{
	const struct control_object *revision = revision_find(view, name);
	int64_t highest = highest_revision(view);
	json_t *json;

	if (!revision) {
		revision_create(view, name, verdict);
		return;
	}
	json = json_deep_copy(revision->json);
	if (kube_member_int(json, "revision", 0) < highest) {
		kube_set_int(json, "revision", highest + 1);
		annotate_cause(json, view->root->json);
	}
	control_annotate(json, KUBE_OBSERVED, kube_text("%" PRIu64, view->root->generation));
	control_update(verdict, revision, json);
}

/* Pods of a StatefulSet name their revision, those of a DaemonSet what it ends with. */
static bool is_used(const struct control_view *view, const char *revision)
{
	size_t len = strlen(revision);

	for (size_t i = 0; i < view->derived_count; i++) {
		const char *label = kube_revision_label(view->derived[i].json);
		size_t label_len = strlen(label);

		if (strcmp(view->derived[i].ref.kind, "Pod") == 0 && label_len > 0 &&
		    label_len <= len && strcmp(revision + len - label_len, label) == 0)
			return true;
	}
	return false;
}

void control_revisions_forget(const struct control_view *view, const char *name,
			      struct control_verdict *verdict)
{
	int64_t limit =
		kube_member_int(view->root->json, "spec.revisionHistoryLimit", HISTORY_DEFAULT);
	const struct control_object *lowest = NULL;
	int64_t old = 0;

	for (size_t i = 0; i < view->derived_count; i++) {
		const struct control_object *one = &view->derived[i];

		/* What has no number is none (group.c). */
		if (strcmp(one->ref.kind, KIND) != 0 || strcmp(one->ref.name, name) == 0 ||
		    kube_member_int(one->json, "revision", 0) == 0 || is_used(view, one->ref.name))
			continue;
		old++;
		if (!lowest || kube_member_int(one->json, "revision", 0) <
				       kube_member_int(lowest->json, "revision", 0))
			lowest = one;
	}
	if (lowest && old > limit)
		control_dispose(verdict, lowest);
}
