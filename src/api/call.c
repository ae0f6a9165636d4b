/* SPDX-License-Identifier: Apache-2.0 */
/* Call: answering a routed request, in the form its client asked for. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/gateway.h"
#include "kube/deployment.h"

void call_free(struct call *call)
{
	assert(!call->exchange);
	url_deinit(&call->url);
	free(call);
}

/* Take the exchange out, so that it is answered once. */
static struct exchange *take_exchange(struct call *call)
{
	struct exchange *exchange = call->exchange;

	assert(exchange);
	call->exchange = NULL;
	return exchange;
}

void call_respond_json(struct call *call, uint16_t status, json_t *value)
{
	exchange_respond_json(take_exchange(call), status, value);
	call_free(call);
}

/* Nobody may say that it does not exist who could not ask all that would know. */
static json_t *not_found_for_sure(const struct call *call, json_t *status)
{
	if (!call->partial || !call->name ||
	    kube_status_code(status) != kube_reason_code(KUBE_REASON_NOT_FOUND))
		return status;
	json_decref(status);
	return kube_status(KUBE_REASON_UNAVAILABLE,
			   "%s \"%s\" was not found, but some machines that may know it did not "
			   "answer in time; try again",
			   call->resource->plural, call->name);
}

void call_respond_status(struct call *call, json_t *status)
{
	status = not_found_for_sure(call, status);
	exchange_respond_status(take_exchange(call), status);
	call_free(call);
}

void call_respond_text(struct call *call, uint16_t status, const char *text)
{
	exchange_respond(take_exchange(call), status, "text/plain; charset=utf-8", bytes_str(text));
	call_free(call);
}

void call_fail(struct call *call, enum kube_reason reason, const char *sentence)
{
	call_respond_status(call, kube_status(reason, "%s", sentence));
}

void call_fail_err(struct call *call, const struct err *err)
{
	call_respond_status(call, kube_status_of_err(err));
}

void call_not_found(struct call *call)
{
	call_respond_status(
		call, kube_status_of_object(KUBE_REASON_NOT_FOUND, call->resource, call->name));
}

void call_respond_object(struct call *call, uint16_t status, json_t *object)
{
	const char *accept = http_request_header(&call->exchange->request, "accept");
	struct kube_table_view view = {
		.now = call->api->backend.ops->now(call->api->backend.self),
	};

	if (kube_table_is_wanted(accept)) {
		json_t *table;

		if (!kube_include_parse(url_param(&call->url, "includeObject"), &view.include)) {
			json_decref(object);
			call_fail(call, KUBE_REASON_BAD_REQUEST,
				  "includeObject must be None, Metadata or Object");
			return;
		}
		table = kube_table(call->resource, object, &view);
		json_decref(object);
		object = table;
	} else if (kube_partial_is_wanted(accept)) {
		json_t *partial = kube_partial(object);

		json_decref(object);
		object = partial;
	}
	call_respond_json(call, status, object);
}

void call_respond_stored(struct call *call, uint16_t status, json_t *object)
{
	json_t *scale;

	if (!call->subresource || strcmp(call->subresource, "scale") != 0) {
		call_respond_object(call, status, object);
		return;
	}
	scale = kube_scale(object, json_integer_value(json_object_get(
					   json_object_get(object, "status"), "replicas")));
	json_decref(object);
	call_respond_json(call, status, scale);
}

void call_hold(struct call *call)
{
	call->api->calls++;
}
