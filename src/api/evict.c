/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eviction: what `kubectl drain` asks for, pod by pod. The pod stays until another one is ready in
 * its place, so nothing that has replicas notices; kubectl waits until it is gone. No budget is
 * respected but that one.
 */
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/member.h"

static void evicted(void *arg, const struct api_result *result)
{
	struct call *call = arg;
	struct api *api = call->api;

	/* Gone already is what was asked for. */
	if (result->err.code && result->err.status != 404)
		call_fail_err(call, &result->err);
	else
		call_respond_json(call, 201,
				  json_pack("{s:s, s:s, s:{}, s:s, s:i}", "kind", "Status",
					    "apiVersion", "v1", "metadata", "status", "Success",
					    "code", 201));
	call_unhold(api);
}

/* Without any patience it is a deletion, as in Kubernetes. */
static bool is_hasty(const json_t *body)
{
	const json_t *grace = kube_member(body, "deleteOptions.gracePeriodSeconds");

	return json_is_integer(grace) && json_integer_value(grace) == 0;
}

static bool is_dry(const json_t *body)
{
	const char *first =
		json_string_value(json_array_get(kube_member(body, "deleteOptions.dryRun"), 0));

	return first && strcmp(first, "All") == 0;
}

void verb_evict(struct call *call)
{
	const struct api_backend *backend = &call->api->backend;
	enum kube_validation validation;
	json_t *body = call_parse_body(call, &validation);
	struct api_result done = {0};
	struct pod_place place;

	if (!body)
		return;
	if (!compose_find_pod(backend, call->namespace, call->name, &place)) {
		call_not_found(call);
		json_decref(body);
		return;
	}
	call_hold(call);
	if (is_dry(body) || !place.placed)
		evicted(call, &done);
	else if (is_hasty(body))
		backend->ops->pod_stop(backend->self, &place.pod, 0, call->exchange->user.name,
				       evicted, call);
	else
		backend->ops->pod_evict(backend->self, &place.pod, call->exchange->user.name,
					evicted, call);
	json_decref(body);
}
