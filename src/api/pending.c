/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pending.h"

#include <string.h>

#include "kube/claim.h"
#include "kube/member.h"
#include "kube/reference.h"
#include "kube/workload.h"
#include "wire/presence.h"

struct explanation {
	const struct api_backend *backend;
	const char *namespace;
	struct buf *text;
	bool found;
};

struct machine_search {
	const char *name;
	bool alive;
};

static void match_machine(void *arg, const struct api_member *member)
{
	struct machine_search *search = arg;

	search->alive |= member->alive && strcmp(member->facts->name, search->name) == 0;
}

static void note_json(void *arg, const struct api_object *object)
{
	*(json_t **)arg = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
}

static void explain_bound(struct explanation *explanation, const char *name, const char *machine)
{
	const struct api_backend *backend = explanation->backend;
	struct machine_search search = {.name = machine};

	backend->ops->members(backend->self, match_machine, &search);
	buf_append_format(explanation->text,
			  search.alive ? "persistentvolumeclaim \"%s\" is bound to machine \"%s\", "
					 "which has not taken this pod"
				       : "persistentvolumeclaim \"%s\" is bound to machine \"%s\", "
					 "which is away",
			  name, machine);
	explanation->found = true;
}

static void explain_claim(void *ctx, const struct kube_reference *reference)
{
	struct explanation *explanation = ctx;
	const struct api_backend *backend = explanation->backend;
	const char *name = reference->name;
	struct kube_claim claim;
	json_t *json = NULL;

	if (explanation->found || strcmp(reference->kind, KUBE_CLAIM) != 0)
		return;
	(void)backend->ops->object(backend->self, KUBE_CLAIM, explanation->namespace, name,
				   note_json, &json);
	claim = kube_claim_read(json);
	explanation->found = true;
	if (!json)
		buf_append_format(explanation->text, "persistentvolumeclaim \"%s\" not found",
				  name);
	else if (!claim.ours)
		buf_append_format(explanation->text,
				  "persistentvolumeclaim \"%s\" is of storage class \"%s\": "
				  "machines have volumes of the class " KUBE_CLAIM_CLASS " only",
				  name, claim.class);
	else if (claim.ending)
		buf_append_format(explanation->text,
				  "persistentvolumeclaim \"%s\" is being deleted", name);
	else if (*claim.machine)
		explain_bound(explanation, name, claim.machine);
	else
		explanation->found = false;
	json_decref(json);
}

bool pending_explain(const struct api_backend *backend, const json_t *object, struct buf *ret)
{
	struct explanation explanation = {
		.backend = backend,
		.namespace = kube_member_string(object, "metadata.namespace"),
		.text = ret,
	};

	kube_references(kube_pod_spec(object), explain_claim, &explanation);
	return explanation.found;
}
