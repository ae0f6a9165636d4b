/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DaemonSet: one pod on every machine that its template fits.
 *
 * Each is a Pod of its own, derived from the DaemonSet and bound to its machine by the label
 * kubernetes.io/hostname, as in Kubernetes. So it is tendered and awarded as every pod is, and the
 * host process of its machine needs nothing new to believe. A Pod of a machine that is not known
 * at the moment stays: the machine may be back, and its pod with it.
 */
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
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
	struct kube_hash hash;     /* of the template */
	int64_t wanted, available; /* machines */
	int64_t doubled;           /* those that have two Pods */
	int64_t left, surge, surge_left;
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

/* The Pods of one machine: of the present template, and of an earlier one. */
struct pair {
	const struct control_object *current, *old;
};

/* Of two alike the available one stays, then the one with the smaller uid. */
static void keep_one(const struct sight *sight, const struct control_object **best,
		     const struct control_object *pod, struct control_verdict *verdict)
{
	if (!*best) {
		*best = pod;
	} else if (is_available(sight, pod) && !is_available(sight, *best)) {
		control_dispose(verdict, *best);
		*best = pod;
	} else {
		control_dispose(verdict, pod);
	}
}

static struct pair pair_of(const struct sight *sight, const char *node,
			   struct control_verdict *verdict)
{
	struct pair pair = {0};

	for (size_t i = 0; i < sight->view->derived_count; i++) {
		const struct control_object *pod = &sight->view->derived[i];

		if (is_pod_of(pod, node))
			keep_one(sight, is_current(sight, pod) ? &pair.current : &pair.old, pod,
				 verdict);
	}
	return pair;
}

/* Its uid follows from the machine and the template: two sides of a partition make the same one.
 * Its name follows from its uid. */
static void make_pod(const struct sight *sight, const struct node_facts *facts,
		     struct control_verdict *verdict)
{
	json_t *what = kube_text("Pod/%s/%s", facts->name, sight->hash.text);
	json_t *made = control_object_again(sight->view, "v1", "Pod", "", json_string_value(what));
	json_t *metadata = json_object_get(made, "metadata");
	json_t *pod = kube_daemon_pod(sight->set, facts->name, &sight->hash);
	json_t *prefix = kube_text("%s-", sight->view->root->ref.name);
	struct kube_name name;
	struct uid uid;

	if (!uid_parse(kube_member_string(made, "metadata.uid"), &uid))
		uid = sight->view->root->ref.uid; /* never: it has just been written */
	name = kube_name_generate(json_string_value(prefix),
				  (uint64_t)uid.byte[12] << 24 | (uint64_t)uid.byte[13] << 16 |
					  (uint64_t)uid.byte[14] << 8 | uid.byte[15]);
	kube_set_string(metadata, "name", name.text);
	(void)json_object_update_missing(metadata, json_object_get(pod, "metadata"));
	kube_set(made, "spec", json_incref(json_object_get(pod, "spec")));
	control_create(verdict, made);
	json_decref(pod);
	json_decref(prefix);
	json_decref(what);
}

/* A number of machines, or a part of those that are wanted, rounded up. */
static int64_t portion(const struct sight *sight, const char *path, int64_t missing)
{
	const json_t *value = kube_member(sight->set, path);

	if (json_is_string(value))
		return (sight->wanted * strtol(json_string_value(value), NULL, 10) + 99) / 100;
	return json_is_integer(value) ? json_integer_value(value) : missing;
}

/* While the template changes: how many may be missing at a time, or have two. */
static void read_budget(struct sight *sight)
{
	int64_t unavailable = portion(sight, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1);

	sight->surge = portion(sight, "spec.updateStrategy.rollingUpdate.maxSurge", 0);
	if (unavailable < 1 && sight->surge < 1)
		unavailable = 1;
	sight->left = unavailable - (sight->wanted - sight->available);
	sight->surge_left = sight->surge - sight->doubled;
}

/* An earlier Pod runs alone. What is not available may go at once. */
static void renew(struct sight *sight, const struct node_facts *facts,
		  const struct control_object *old, struct control_verdict *verdict)
{
	if (is_available(sight, old) && sight->surge > 0) {
		if (facts->schedulable && sight->surge_left-- > 0)
			make_pod(sight, facts, verdict);
		return;
	}
	if (is_available(sight, old) && sight->left-- <= 0)
		return;
	control_dispose(verdict, old);
}

static void judge_node(struct sight *sight, const struct control_node *node,
		       struct control_verdict *verdict)
{
	struct pair pair = pair_of(sight, node->facts->name, verdict);
	bool fits = kube_daemon_fits(sight->set, node->facts);
	bool on_delete =
		strcmp(kube_member_string(sight->set, "spec.updateStrategy.type"), "OnDelete") == 0;

	if (pair.current && (!fits || has_ended(sight, pair.current)))
		control_dispose(verdict, pair.current);
	if (pair.old && (!fits || has_ended(sight, pair.old)))
		control_dispose(verdict, pair.old);
	else if (pair.old && pair.current &&
		 (is_available(sight, pair.current) || !is_available(sight, pair.old)))
		control_dispose(verdict, pair.old); /* its successor is there */
	else if (pair.old && !pair.current && !on_delete)
		renew(sight, node->facts, pair.old, verdict);
	if (!pair.old && !pair.current && fits && node->facts->schedulable)
		make_pod(sight, node->facts, verdict);
}

static bool has_both(const struct sight *sight, const char *node)
{
	bool current = false, old = false;

	for (size_t i = 0; i < sight->view->derived_count; i++) {
		const struct control_object *pod = &sight->view->derived[i];

		if (!is_pod_of(pod, node))
			continue;
		current |= is_current(sight, pod);
		old |= !is_current(sight, pod);
	}
	return current && old;
}

/* Has @node an available Pod? */
static bool is_served(const struct sight *sight, const char *node)
{
	for (size_t i = 0; i < sight->view->derived_count; i++)
		if (is_pod_of(&sight->view->derived[i], node) &&
		    is_available(sight, &sight->view->derived[i]))
			return true;
	return false;
}

static void count(struct sight *sight)
{
	for (size_t i = 0; i < sight->view->node_count; i++) {
		const struct node_facts *facts = sight->view->nodes[i].facts;

		sight->wanted += facts->schedulable && kube_daemon_fits(sight->set, facts);
		sight->doubled += has_both(sight, facts->name);
		sight->available += is_served(sight, facts->name);
	}
}

void control_daemonset(const struct control_view *view, struct control_verdict *verdict)
{
	struct sight sight = {
		.view = view,
		.set = view->root->json,
		.hash = kube_template_hash(kube_member(view->root->json, "spec.template")),
	};
	struct kube_name revision = kube_name_replica_set(view->root->ref.name, &sight.hash);

	if (control_adopt(view, "ControllerRevision", verdict))
		return;
	control_revision_keep(view, revision.text, verdict);
	count(&sight);
	read_budget(&sight);
	for (size_t i = 0; i < view->node_count; i++)
		judge_node(&sight, &view->nodes[i], verdict);
	control_revisions_forget(view, revision.text, verdict);
	control_call_at(verdict, (struct wall){.ms = view->now.ms + LOOK_AGAIN_MS});
}
