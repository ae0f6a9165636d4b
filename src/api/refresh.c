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

void scope_select(struct api_scope *scope, const struct kube_selector *fields)
{
	bool events = strcmp(scope->kind, "Event") == 0;

	scope->name =
		kube_field_selector_value(fields, events ? "involvedObject.name" : "metadata.name");
	scope->about = events ? kube_field_selector_value(fields, "involvedObject.kind") : NULL;
}

/* What is created is not there yet. */
static bool needs_refresh(const struct call *call)
{
	return strcmp(call->verb, "create") != 0;
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

/* Of Events in question it matters whose they are. An Event is named NAME.HEX. */
static bool refresh_events(const struct call *call, struct waiting *waiting)
{
	const struct api_backend *backend = &call->api->backend;
	struct api_scope scope = call_scope(call);
	struct kube_selector fields = {0};
	struct err err = {0};
	char *name = mem_strdup(call->name), *dot = name ? strrchr(name, '.') : NULL;
	bool fresh;

	/* A selector that makes no sense is refused when the call is carried out. */
	if (!name && kube_field_selector_parse(url_param(&call->url, "fieldSelector"),
					       call->resource, &fields, &err) == 0)
		scope_select(&scope, &fields);
	if (dot)
		*dot = 0;
	if (name)
		scope.name = name;
	fresh = backend->ops->refresh(backend->self, &scope, refreshed, waiting);
	kube_selector_deinit(&fields);
	free(name);
	return fresh;
}

static bool refresh(const struct call *call, struct waiting *waiting)
{
	const struct api_backend *backend = &call->api->backend;
	struct api_scope scope = call_scope(call);

	if (call->resource->id == KUBE_EVENTS)
		return refresh_events(call, waiting);
	return backend->ops->refresh(backend->self, &scope, refreshed, waiting);
}

void refresh_then(struct call *call, void (*next)(struct call *call))
{
	struct waiting *waiting;

	if (!needs_refresh(call)) {
		next(call);
		return;
	}
	waiting = mem_new(struct waiting);
	waiting->call = call;
	waiting->next = next;
	call_hold(call);
	if (refresh(call, waiting))
		refreshed(waiting, true);
}
