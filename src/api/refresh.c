/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refresh: before a call is carried out, what it is about is brought here (api/backend.h). In a
 * fabric where every machine has everything that is so already, and the call goes on at once.
 */
#include <stdlib.h>
#include <string.h>

#include "api/gateway.h"
#include "base/mem.h"

static const char partial_text[] =
	"some machines did not answer in time: what only they keep is missing here";

struct waiting {
	struct call *call;
	void (*next)(struct call *call);
};

struct api_scope call_scope(const struct call *call)
{
	struct api_scope scope = {
		.kind = call->resource->kind,
		.namespace = call->resource->namespaced ? call->namespace : "",
		.name = call->name,
	};

	/* Leases stand for machines. */
	if (call->resource->id == KUBE_LEASES)
		scope = (struct api_scope){.kind = "Node", .namespace = ""};
	return scope;
}

/* Events are this machine's own, and what is created is not there yet. */
static bool needs_refresh(const struct call *call)
{
	return call->resource->id != KUBE_EVENTS && strcmp(call->verb, "create") != 0;
}

static void refreshed(void *arg, bool complete)
{
	struct waiting *waiting = arg;
	struct api *api = waiting->call->api;

	waiting->call->partial = !complete;
	if (!complete && !waiting->call->name)
		exchange_warning(waiting->call->exchange, partial_text);
	waiting->next(waiting->call);
	free(waiting);
	call_unhold(api);
}

void refresh_then(struct call *call, void (*next)(struct call *call))
{
	const struct api_backend *backend = &call->api->backend;
	struct api_scope scope = call_scope(call);
	struct waiting *waiting;

	if (!needs_refresh(call)) {
		next(call);
		return;
	}
	waiting = mem_new(struct waiting);
	waiting->call = call;
	waiting->next = next;
	call_hold(call);
	if (backend->ops->refresh(backend->self, &scope, refreshed, waiting))
		refreshed(waiting, true);
}
