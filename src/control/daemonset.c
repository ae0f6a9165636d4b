/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DaemonSet: one pod on every machine that its template fits.
 *
 * Each is a Pod of its own, derived from the DaemonSet and bound to its machine by the label
 * kubernetes.io/hostname, as in Kubernetes. So it is tendered and awarded as every pod is, and the
 * host process of its machine needs nothing new to believe. A Pod of a machine that is not known
 * at the moment stays: the machine may be back, and its pod with it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/control.h"
#include "identity/derive.h"
#include "kube/daemonset.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/rollout.h"

enum {
	/* Machines come, go and change their labels without a word to the family. */
	LOOK_AGAIN_MS = 5000,
};

struct sight {
	const struct control_view *view;
	const json_t *set;
	struct kube_hash hash; /* of the template */
	int64_t wanted, available;
};

static const struct presence *presence_of(const struct sight *sight,
					  const struct control_object *pod)
{
	for (size_t i = 0; i < sight->view->pod_count; i++)
		if (uid_equal(&sight->view->pods[i].presence->object.uid, &pod->ref.uid))
			return sight->view->pods[i].presence;
	return NULL;
}

static bool is_pod_of(const struct control_object *object, const char *node)
{
	return strcmp(object->ref.kind, "Pod") == 0 &&
	       strcmp(kube_daemon_node(object->json), node) == 0;
}

static bool is_available(const struct sight *sight, const struct control_object *pod)
{
	const struct presence *presence = presence_of(sight, pod);
	int64_t min_ms = kube_member_int(sight->set, "spec.minReadySeconds", 0) * MS_PER_S;

	return presence && presence->ready && !presence->terminating &&
	       sight->view->now.ms - kube_ready_since(presence) >= min_ms;
}

static bool has_ended(const struct sight *sight, const struct control_object *pod)
{
	const struct presence *presence = presence_of(sight, pod);

	return presence && (presence->phase == POD_FAILED || presence->phase == POD_SUCCEEDED);
}

static bool is_current(const struct sight *sight, const struct control_object *pod)
{
	return strcmp(json_string_value(json_object_get(kube_member(pod->json, "metadata.labels"),
							KUBE_DAEMON_HASH))
			      ?: "",
		      sight->hash.text) == 0;
}

/* Of two Pods of one machine the available one stays, then the one with the smaller uid. */
static const struct control_object *choose(const struct sight *sight, const char *node,
					   struct control_verdict *verdict)
{
	const struct control_object *best = NULL;

	for (size_t i = 0; i < sight->view->derived_count; i++) {
		const struct control_object *pod = &sight->view->derived[i];

		if (!is_pod_of(pod, node))
			continue;
		if (!best) {
			best = pod;
		} else if (is_available(sight, pod) && !is_available(sight, best)) {
			control_dispose(verdict, best);
			best = pod;
		} else {
			control_dispose(verdict, pod);
		}
	}
	return best;
}

static void make_pod(const struct sight *sight, const struct node_facts *facts,
		     struct control_verdict *verdict)
{
	struct buf what = {0}, prefix = {0};
	struct kube_name name;
	json_t *pod, *made;
	struct uid uid;

	/* A Pod that was deleted leaves its uid behind: the next one needs another. */
	buf_append_format(&what, "Pod/%s/%" PRId64, facts->name, sight->view->now.ms);
	uid = uid_derive(&sight->view->root->ref.uid, buf_cstr(&what));
	buf_append_format(&prefix, "%s-", sight->view->root->ref.name);
	name = kube_name_generate(buf_cstr(&prefix),
				  (uint64_t)uid.byte[12] << 24 | (uint64_t)uid.byte[13] << 16 |
					  (uint64_t)uid.byte[14] << 8 | uid.byte[15]);
	made = control_object_new(sight->view, "v1", "Pod", name.text, buf_cstr(&what));
	pod = kube_daemon_pod(sight->set, facts->name, &sight->hash);
	(void)json_object_update_missing(json_object_get(made, "metadata"),
					 json_object_get(pod, "metadata"));
	kube_set(made, "spec", json_incref(json_object_get(pod, "spec")));
	control_create(verdict, made);
	json_decref(pod);
	buf_deinit(&what);
	buf_deinit(&prefix);
}

/* How many may be missing at a time while the template changes. */
static int64_t budget(const struct sight *sight)
{
	const json_t *value =
		kube_member(sight->set, "spec.updateStrategy.rollingUpdate.maxUnavailable");
	int64_t allowed = json_is_integer(value) ? json_integer_value(value) : 1;

	if (json_is_string(value))
		allowed = (sight->wanted * strtol(json_string_value(value), NULL, 10) + 99) / 100;
	if (allowed < 1)
		allowed = 1;
	return allowed - (sight->wanted - sight->available);
}

static void judge_node(struct sight *sight, const struct control_node *node, int64_t *left,
		       struct control_verdict *verdict)
{
	const struct control_object *pod = choose(sight, node->facts->name, verdict);
	bool on_delete =
		strcmp(kube_member_string(sight->set, "spec.updateStrategy.type"), "OnDelete") == 0;

	if (!kube_daemon_fits(sight->set, node->facts)) {
		if (pod)
			control_dispose(verdict, pod);
		return;
	}
	if (!pod) {
		if (node->facts->schedulable)
			make_pod(sight, node->facts, verdict);
		return;
	}
	if (has_ended(sight, pod)) {
		control_dispose(verdict, pod);
		return;
	}
	if (is_current(sight, pod) || on_delete)
		return;
	/* What is not available may go at once. */
	if (is_available(sight, pod) && (*left)-- <= 0)
		return;
	control_dispose(verdict, pod);
}

static void count(struct sight *sight)
{
	for (size_t i = 0; i < sight->view->node_count; i++)
		sight->wanted += sight->view->nodes[i].facts->schedulable &&
				 kube_daemon_fits(sight->set, sight->view->nodes[i].facts);
	for (size_t i = 0; i < sight->view->derived_count; i++)
		sight->available += strcmp(sight->view->derived[i].ref.kind, "Pod") == 0 &&
				    is_available(sight, &sight->view->derived[i]);
}

void control_daemonset(const struct control_view *view, struct control_verdict *verdict)
{
	struct sight sight = {
		.view = view,
		.set = view->root->json,
		.hash = kube_template_hash(kube_member(view->root->json, "spec.template")),
	};
	int64_t left;

	count(&sight);
	left = budget(&sight);
	for (size_t i = 0; i < view->node_count; i++)
		judge_node(&sight, &view->nodes[i], &left, verdict);
	control_call_at(verdict, (struct wall){.ms = view->now.ms + LOOK_AGAIN_MS});
}
