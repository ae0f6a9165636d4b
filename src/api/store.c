/* SPDX-License-Identifier: Apache-2.0 */
/* Storing: the common end of create, update and patch. */
#include <stdio.h>
#include <stdlib.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/admit.h"
#include "kube/lost.h"

struct store {
	struct call *call;
	struct store_request request;
	char *name;
};

static void store_free(struct store *store)
{
	json_decref(store->request.object);
	free(store->name);
	free(store);
}

/* What a get would show now; the stored object itself if it has been deleted again already. */
static void respond_stored(struct store *store)
{
	struct call *call = store->call;
	json_t *object =
		compose_one(&call->api->backend, call->resource->id, call->namespace, store->name);

	if (!object)
		object = json_incref(store->request.object);
	call_respond_stored(call, store->request.create ? 201 : 200, object);
}

static void warn_of_keepers(struct exchange *exchange, const struct api_result *result)
{
	char warning[96];

	if (result->stored >= result->wanted)
		return;
	(void)snprintf(warning, sizeof(warning), "stored on %u of %u keepers", result->stored,
		       result->wanted);
	exchange_warning(exchange, warning);
}

static void store_done(void *arg, const struct api_result *result)
{
	struct store *store = arg;
	struct call *call = store->call;
	struct api *api = call->api;
	enum kube_reason clash =
		store->request.create ? KUBE_REASON_ALREADY_EXISTS : KUBE_REASON_CONFLICT;

	if (result->err.code && result->err.status == 409) {
		call_respond_status(call,
				    kube_status_of_object(clash, call->resource, store->name));
	} else if (result->err.code) {
		call_fail_err(call, &result->err);
	} else {
		warn_of_keepers(call->exchange, result);
		kube_set_version(store->request.object, result->version);
		respond_stored(store);
	}
	store_free(store);
	call_unhold(api);
}

void store_object(struct call *call, const struct store_request *request, const char *name)
{
	const struct api_backend *backend = &call->api->backend;
	struct store *store = mem_new(struct store);
	char *text;
	struct api_put put = {
		.kind = call->resource->kind,
		.namespace = call->namespace ? call->namespace : "",
		.uid = request->uid,
		.generation = request->generation,
		.create = request->create,
		.expected_version = request->expected_version,
		.author = call->exchange->user.name,
	};

	store->call = call;
	store->request = *request;
	store->name = mem_strdup(name);
	put.name = store->name;
	/* The version is the record's, which does not exist yet: until then the object carries the
	 * ones it was made from, by which lost updates are told (kube/lost.h). */
	if (request->expected_version)
		kube_set_line(request->object, request->line, request->expected_version);
	else
		(void)json_object_del(json_object_get(request->object, "metadata"),
				      "resourceVersion");
	text = json_dumps(request->object, JSON_COMPACT);
	if (!text)
		abort(); /* only memory can be short */
	put.json = bytes_str(text);
	call_hold(call);
	backend->ops->put(backend->self, &put, store_done, store);
	free(text);
}
