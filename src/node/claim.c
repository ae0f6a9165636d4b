/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims of workloads: where their pods must go, and to which machine a claim is bound.
 *
 *	unbound --the first pod is reported--> bound to its machine, which makes the directory when
 *	it has heard so from us (runtime/claims.h), and only then starts the containers
 *
 * Whoever controls the workload does both. A write is a compare-and-set: of two workloads that
 * share a claim one binds it, and the pod of the other, if it is elsewhere, is placed again.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/claim.h"
#include "kube/reference.h"
#include "kube/workload.h"

enum {
	CLAIMS_MAX = 64, /* of one pod, as it has volumes */
};

static void note_claim(void *ctx, const struct kube_reference *reference)
{
	struct workload *workload = ctx;

	if (strcmp(reference->kind, KUBE_CLAIM) != 0 || workload->claim_count == CLAIMS_MAX)
		return;
	workload->claims[workload->claim_count++] = mem_strdup(reference->name);
}

void node_claims_note(struct workload *workload, const json_t *object)
{
	workload->claims = mem_alloc(CLAIMS_MAX, sizeof(*workload->claims));
	kube_references(kube_pod_spec(object), note_claim, workload);
	workload->claims =
		mem_resize(workload->claims, workload->claim_count + 1, sizeof(*workload->claims));
}

void node_claims_deinit(struct workload *workload)
{
	for (size_t i = 0; i < workload->claim_count; i++)
		free(workload->claims[i]);
	free(workload->claims);
}

static bool has_claim(const struct workload *workload, const struct object_ref *claim)
{
	if (strcmp(workload->object.namespace, claim->namespace) != 0)
		return false;
	for (size_t i = 0; i < workload->claim_count; i++)
		if (strcmp(workload->claims[i], claim->name) == 0)
			return true;
	return false;
}

void node_claim_changed(struct node *node, struct mono now, const struct object_ref *claim)
{
	map_for_each (entry, &node->workloads) {
		const struct workload *workload = entry->value;

		if (has_claim(workload, claim))
			controller_wake_object(node->controller, now, &workload->object.uid);
	}
}

/* ---- where to */

/* The claim as it is stored, parsed; NULL when there is none. The caller's. */
static json_t *claim_json(struct node *node, struct mono now, const struct workload *workload,
			  size_t i, const struct record_item **ret_item)
{
	const struct object_ref *object = &workload->object;
	const struct node_scope scope = {KUBE_CLAIM, object->namespace, workload->claims[i]};
	uint64_t token;

	*ret_item = records_find(node->records, scope.namespace, scope.kind, scope.name);
	if (*ret_item)
		return json_loadb((const char *)(*ret_item)->record.value.ptr,
				  (*ret_item)->record.value.len, 0, NULL);
	/* Somebody else may keep it: when it has come, the workload is tried again. */
	if (node_index_is_used(node))
		node_refresh_begin(node, now, &scope, &token);
	return NULL;
}

bool node_claims_place(struct node *node, struct mono now, const struct workload *workload,
		       struct node_claims *ret_claims)
{
	struct node_claims claims = {0};
	bool placed = true;

	for (size_t i = 0; placed && i < workload->claim_count; i++) {
		const struct record_item *item;
		json_t *json = claim_json(node, now, workload, i, &item);
		const struct kube_claim claim = kube_claim_read(json);

		placed = json && claim.ours && !claim.ending &&
			 (!claims.machine || !*claim.machine ||
			  strcmp(claims.machine, claim.machine) == 0);
		if (placed && *claim.machine && !claims.machine)
			claims.machine = mem_strdup(claim.machine);
		claims.unbound |= placed && !*claim.machine;
		json_decref(json);
	}
	if (placed)
		*ret_claims = claims;
	else
		free(claims.machine);
	return placed;
}

/* ---- binding */

/* The pod whose machine an unbound claim is bound to: the first that is there to stay. */
static const struct presence *first_pod(const struct node *node, const struct presence *pods,
					size_t count)
{
	const struct presence *first = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct presence *pod = &pods[i];

		if (pod->phase >= POD_SUCCEEDED || pod->terminating || !*pod->node_name ||
		    !node_machine_alive(node, &pod->node))
			continue;
		if (!first || pod->created_ms < first->created_ms ||
		    (pod->created_ms == first->created_ms &&
		     uid_compare(&pod->pod_uid, &first->pod_uid) < 0))
			first = pod;
	}
	return first;
}

static void bind_claim(struct node *node, struct mono now, const struct record_item *item,
		       json_t *json, const char *machine)
{
	const struct record *record = &item->record;
	struct object_ref ref;
	struct node_put put = {
		.object = &ref,
		.generation = record->version.generation + 1,
		.expected_hlc = record->version.hlc,
	};
	uint64_t token, hlc;
	char *text;

	kube_claim_bind(json, machine);
	object_ref_copy(&record->object, &ref); /* the put may replace the record */
	text = json_dumps(json, JSON_COMPACT);
	put.json = bytes_str(text);
	/* Refused when another version came first: that one is looked at when it is here. */
	(void)!node_object_put(node, now, &put, &token, &hlc);
	free(text);
	object_ref_deinit(&ref);
}

/* A pod that waits on a machine where its claim is not is placed again. */
static void move_strays(struct node *node, struct mono now, const struct workload *workload,
			const struct presence *pods, size_t count, const char *machine)
{
	struct object_ref ref;
	uint64_t token;

	object_ref_copy(&workload->object, &ref);
	for (size_t i = 0; i < count; i++)
		if (pods[i].phase == POD_PENDING && !pods[i].terminating &&
		    strcmp(pods[i].node_name, machine) != 0)
			(void)!node_object_dispose(node, now, &ref, &pods[i].pod_uid, 0, &token);
	object_ref_deinit(&ref);
}

void node_claims_bind(struct node *node, struct mono now, const struct workload *workload,
		      const struct presence *pods, size_t count)
{
	const struct presence *first = first_pod(node, pods, count);
	size_t claim_count = workload->claim_count;

	for (size_t i = 0; first && i < claim_count; i++) {
		const struct record_item *item;
		json_t *json = claim_json(node, now, workload, i, &item);
		const struct kube_claim claim = kube_claim_read(json);

		if (json && claim.ours && *claim.machine)
			move_strays(node, now, workload, pods, count, claim.machine);
		else if (json && claim.ours && !claim.ending)
			bind_claim(node, now, item, json, first->node_name);
		json_decref(json);
	}
}

/* ---- whether it is used */

bool node_claim_is_used(const struct node *node, const struct object_ref *claim)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, NULL, &position))) {
		const struct object_ref *object = &item->record.object;
		const struct workload *workload =
			map_get(&node->workloads, uid_bytes(&object->uid));
		struct presence presence;
		bool ended;

		/* Of a pod whose object has been deleted nobody knows any more what it named. */
		if (workload ? !has_claim(workload, claim)
			     : strcmp(object->namespace, claim->namespace) != 0)
			continue;
		if (presence_decode(bytes_buf(&item->record.value), &presence) != 0)
			continue;
		ended = presence.phase >= POD_SUCCEEDED;
		presence_deinit(&presence);
		if (!ended)
			return true;
	}
	return false;
}
