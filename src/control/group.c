/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The group of a StatefulSet's pods: which of them founds it, and where its disks are.
 *
 * A member's disk stays on its machine when its Pod is gone, and the ordinal that is scaled away
 * last has all that was agreed on. So it is written down where each has run last, in a
 * ControllerRevision that is no revision: as long as that is not there nothing can have been agreed
 * on, and the first ordinal founds the group; when all Pods are gone, those that come back go there
 * again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "kube/group.h"
#include "kube/member.h"
#include "kube/statefulset.h"

#define KIND "ControllerRevision"

enum {
	DIGITS_MAX = 24,
};

struct ordinal_text {
	char text[DIGITS_MAX];
};

static struct ordinal_text ordinal_text(int64_t ordinal)
{
	struct ordinal_text made;

	(void)snprintf(made.text, sizeof(made.text), "%" PRId64, ordinal);
	return made;
}

static const struct control_object *memory_of(const struct control_view *view)
{
	struct kube_name name = kube_group_memory_name(view->root->ref.name, &view->root->ref.uid);

	for (size_t i = 0; i < view->derived_count; i++)
		if (strcmp(view->derived[i].ref.kind, KIND) == 0 &&
		    strcmp(view->derived[i].ref.name, name.text) == 0)
			return &view->derived[i];
	return NULL;
}

static const char *known_home(const struct control_view *view, int64_t ordinal)
{
	const struct control_object *memory = memory_of(view);
	const json_t *homes = memory ? kube_member(memory->json, "data.homes") : NULL;

	return json_string_value(json_object_get(homes, ordinal_text(ordinal).text));
}

static bool is_member(int64_t ordinal)
{
	return ordinal >= 0 && ordinal < KUBE_GROUP_MEMBERS;
}

static const char *part_of(const struct control_view *view, int64_t ordinal)
{
	int64_t first = kube_member_int(view->root->json, "spec.ordinals.start", 0);

	if (!kube_group_is_wanted(view->root->json) || !is_member(ordinal))
		return KUBE_GROUP_NONE;
	return ordinal == first && !memory_of(view) ? KUBE_GROUP_BIRTH : KUBE_GROUP_MEMBER;
}

void control_group_tell(const struct control_view *view, int64_t ordinal, json_t *pod)
{
	uint32_t epoch =
		kube_group_recovery(view->root->json, kube_member_string(pod, "metadata.name"));

	control_annotate(pod, KUBE_GROUP, json_string(part_of(view, ordinal)));
	if (epoch > 0)
		control_annotate(pod, KUBE_GROUP_EPOCH, kube_text("%" PRIu32, epoch));
}

const char *control_group_home(const struct control_view *view, int64_t ordinal)
{
	if (!kube_group_is_wanted(view->root->json))
		return NULL;
	for (size_t i = 0; i < view->derived_count; i++)
		if (strcmp(view->derived[i].ref.kind, "Pod") == 0)
			return NULL;
	return known_home(view, ordinal);
}

/* Into @homes, which is empty or as it was written last. */
static void note_homes(const struct control_view *view, json_t *homes)
{
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;
		int64_t ordinal = kube_ordinal(presence->object.name);

		if (strcmp(presence->object.kind, "Pod") == 0 && !presence->terminating &&
		    is_member(ordinal))
			kube_set_string(homes, ordinal_text(ordinal).text, presence->node_name);
	}
}

bool control_group_remember(const struct control_view *view, struct control_verdict *verdict)
{
	const struct control_object *memory = memory_of(view);
	struct kube_name name = kube_group_memory_name(view->root->ref.name, &view->root->ref.uid);
	const json_t *known = memory ? kube_member(memory->json, "data.homes") : NULL;
	json_t *homes = known ? json_deep_copy(known) : json_object(), *made;

	if (kube_group_is_wanted(view->root->json))
		note_homes(view, homes);
	if (known ? json_equal(known, homes) : json_object_size(homes) == 0) {
		json_decref(homes);
		return false;
	}
	made = memory ? json_deep_copy(memory->json)
		      : control_object_again(view, "apps/v1", KIND, name.text, KIND "/group");
	kube_set(made, "data", json_pack("{s:o}", "homes", homes));
	kube_set_int(made, "revision", 0);
	if (memory)
		control_update(verdict, memory, made);
	else
		control_create(verdict, made);
	return true;
}
