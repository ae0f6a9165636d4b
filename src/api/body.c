/* SPDX-License-Identifier: Apache-2.0 */
/* Body: what create, update and patch have in common before anything is stored. */
#include <string.h>

#include "api/gateway.h"
#include "kube/manifest.h"

void call_warn(struct call *call, const json_t *warnings)
{
	size_t i;
	const json_t *warning;

	json_array_foreach (warnings, i, warning)
		exchange_warning(call->exchange, json_string_value(warning));
}

bool call_dry_run(struct call *call, bool *ret_dry_run)
{
	const char *text = url_param(&call->url, "dryRun");

	*ret_dry_run = text && strcmp(text, "All") == 0;
	if (!text || !*text || *ret_dry_run)
		return true;
	call_fail(call, KUBE_REASON_BAD_REQUEST,
		  "dryRun: Unsupported value: supported values: \"All\"");
	return false;
}

bool call_body(struct call *call, struct kube_body *ret_body)
{
	*ret_body = (struct kube_body){
		.bytes = call->exchange->body,
		.content_type = http_request_header(&call->exchange->request, "content-type"),
	};
	if (kube_validation_parse(url_param(&call->url, "fieldValidation"), &ret_body->validation))
		return true;
	call_fail(call, KUBE_REASON_BAD_REQUEST, "fieldValidation must be Strict, Warn or Ignore");
	return false;
}

json_t *call_parse_body(struct call *call, enum kube_validation *ret_validation)
{
	json_t *warnings, *object = NULL;
	struct kube_body body;
	struct err err = {0};

	if (!call_body(call, &body))
		return NULL;
	*ret_validation = body.validation;
	warnings = json_array();
	if (kube_manifest_parse(&body, warnings, &object, &err)) {
		object = NULL;
		call_fail_err(call, &err);
	} else {
		call_warn(call, warnings);
	}
	json_decref(warnings);
	return object;
}

bool call_manager(struct call *call, struct call_manager *ret_manager)
{
	const struct api_backend *backend = &call->api->backend;
	const char *name = url_param(&call->url, "fieldManager");
	const char *agent = http_request_header(&call->exchange->request, "user-agent");
	size_t len;

	if (!name || !*name)
		name = agent && *agent ? agent : "unknown";
	len = name == agent ? strcspn(name, "/") : strlen(name);
	if (len > KUBE_MANAGER_MAX && name != agent) {
		call_fail(call, KUBE_REASON_BAD_REQUEST,
			  "fieldManager: may not be more than 128 bytes");
		return false;
	}
	if (len > KUBE_MANAGER_MAX)
		len = KUBE_MANAGER_MAX;
	memcpy(ret_manager->name, name, len);
	ret_manager->name[len] = 0;
	ret_manager->manager = (struct kube_manager){
		.name = ret_manager->name,
		.subresource = call->subresource ? call->subresource : "",
		.now = backend->ops->now(backend->self),
	};
	return true;
}
