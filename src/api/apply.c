/* SPDX-License-Identifier: Apache-2.0 */
/* Applying: a configuration of its manager's, merged into what is stored, or creating it. */
#include <string.h>

#include "api/update.h"
#include "kube/managed.h"
#include "kube/member.h"
#include "kube/patch.h"

/* NULL, or why this configuration cannot be applied. */
static json_t *check_config(struct call *call, const json_t *config)
{
	const struct kube_resource *resource = call->resource;
	const char *manager = url_param(&call->url, "fieldManager");

	if (!manager || !*manager)
		return kube_status(KUBE_REASON_BAD_REQUEST,
				   "fieldManager is required for an apply patch");
	if (strcmp(kube_member_string(config, "kind"), resource->kind) != 0 ||
	    strcmp(kube_member_string(config, "apiVersion"), resource->api_version) != 0)
		return kube_status(KUBE_REASON_BAD_REQUEST,
				   "what is applied must say that it is a %s of %s", resource->kind,
				   resource->api_version);
	if (kube_member(config, "metadata.managedFields"))
		return kube_status(KUBE_REASON_BAD_REQUEST, "metadata.managedFields must be nil");
	return NULL;
}

/* True and the result; else it was answered with a failure. */
static bool apply(struct call *call, const struct current *current, const json_t *config,
		  struct kube_applied *ret_applied)
{
	struct call_manager manager;
	struct err err = {0};

	if (!call_manager(call, &manager))
		return false;
	if (kube_apply(current->json, config, call->resource, &manager.manager,
		       url_flag(&call->url, "force"), ret_applied, &err)) {
		call_fail_err(call, &err);
		return false;
	}
	if (!ret_applied->conflicts)
		return true;
	call_respond_status(call,
			    kube_status_conflicts(ret_applied->sentence, ret_applied->conflicts));
	return false;
}

static void store_applied(struct call *call, const struct current *current,
			  const struct kube_applied *applied, enum kube_validation validation)
{
	struct update update = {
		.object = json_incref(applied->object),
		.managed = json_incref(applied->managed),
		.validation = validation,
	};

	if (current->json)
		update_object(call, current, &update);
	else
		create_object(call, update.object, validation, update.managed);
}

void apply_configuration(struct call *call, const struct kube_body *body)
{
	struct kube_applied applied = {0};
	struct current current = {0};
	struct err err = {0};
	json_t *config, *refused;

	if (kube_patch_config(body, &config, &err)) {
		call_fail_err(call, &err);
		return;
	}
	refused = check_config(call, config);
	if (refused) {
		call_respond_status(call, refused);
	} else {
		current_load(call, &current);
		if (apply(call, &current, config, &applied))
			store_applied(call, &current, &applied, body->validation);
	}
	kube_applied_deinit(&applied);
	current_deinit(&current);
	json_decref(config);
}
