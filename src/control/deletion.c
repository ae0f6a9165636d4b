/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions that take a while: what the controller of an object does that is being deleted
 * (kube/deletion.h). Level-triggered, as every reconciler: it does what follows from what is seen
 * and deletes the object itself when nothing is left to be done before.
 *
 *  - Of a Namespace all that lies in it goes first, and all pods end.
 *  - `orphan`: its dependents lose their reference to it, and live on.
 *  - `foregroundDeletion`: its dependents go first, and all pods end.
 *  - A PersistentVolumeClaim stays as long as a pod has it mounted.
 *
 * Two controllers at once delete the same things; a reference is taken out by a write on the
 * version that was seen.
 */
#include "control/control.h"

#include <string.h>

#include "kube/deletion.h"

/* Own pods are stopped; those of deleted objects are told by the tombstones. */
static void stop_own_pods(const struct control_view *view, struct control_verdict *verdict)
{
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;

		if (uid_equal(&presence->object.uid, &view->root->ref.uid) &&
		    !presence->terminating)
			control_stop(verdict, presence, UINT32_MAX);
	}
}

/* Is nothing left of its dependents? */
static bool dependents_are_gone(const struct control_view *view, struct control_verdict *verdict)
{
	size_t left = 0;

	for (size_t i = 0; i < view->family_count; i++) {
		if (!kube_depends_on(view->family[i].json, &view->root->ref.uid))
			continue;
		control_dispose(verdict, &view->family[i]);
		left++;
	}
	stop_own_pods(view, verdict);
	return left == 0 && view->pod_count == 0;
}

/* Has none of them a reference to it any more? */
static bool dependents_are_free(const struct control_view *view, struct control_verdict *verdict)
{
	size_t left = 0;

	for (size_t i = 0; i < view->family_count; i++) {
		if (!kube_depends_on(view->family[i].json, &view->root->ref.uid))
			continue;
		control_update(verdict, &view->family[i],
			       kube_released(view->family[i].json, &view->root->ref.uid));
		left++;
	}
	return left == 0;
}

static bool namespace_is_empty(const struct control_view *view, struct control_verdict *verdict)
{
	for (size_t i = 0; i < view->family_count; i++)
		control_dispose(verdict, &view->family[i]);
	return view->family_count == 0 && view->pod_count == 0;
}

void control_deletion(const struct control_view *view, struct control_verdict *verdict)
{
	const json_t *root = view->root->json;
	bool done = true;

	if (strcmp(view->root->ref.kind, "Namespace") == 0)
		done = namespace_is_empty(view, verdict);
	else if (kube_has_finalizer(root, KUBE_FINALIZER_ORPHAN))
		done = dependents_are_free(view, verdict);
	else if (kube_has_finalizer(root, KUBE_FINALIZER_FOREGROUND))
		done = dependents_are_gone(view, verdict);
	if (done && !view->used)
		control_dispose(verdict, view->root);
}
