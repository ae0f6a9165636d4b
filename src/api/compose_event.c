/* SPDX-License-Identifier: Apache-2.0 */
/* Events: what keepers have noted, and what follows from how things are now. */
#include <string.h>

#include "api/compose_internal.h"
#include "kube/claim.h"
#include "kube/event.h"
#include "kube/member.h"
#include "kube/time.h"

static void note_uid(void *arg, const struct api_object *object)
{
	*(struct uid *)arg = object->uid;
}

/* The uid that clients see: a bare Pod's is its object's, not that of one placement. */
static struct uid involved_uid(const struct api_backend *backend, const struct api_event *event)
{
	struct uid uid = event->uid;

	if (strcmp(event->kind, "Pod") == 0)
		(void)backend->ops->object(backend->self, "Pod", event->namespace, event->name,
					   note_uid, &uid);
	return uid;
}

/* The apiVersion of a kind, by the first resource that has it. */
static const char *version_of_kind(const char *kind)
{
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);

		if (strcmp(resource->kind, kind) == 0)
			return resource->api_version;
	}
	return "v1";
}

static void add_event(void *arg, const struct api_event *event)
{
	struct composer *composer = arg;
	struct uid about = involved_uid(composer->backend, event);
	struct id_text uid = uid_text(&about);
	const char *version = version_of_kind(event->kind);
	struct kube_event view = {
		.uid = event->id,
		.reason = event->reason,
		.message = event->message,
		.is_warning = strcmp(event->type, "Warning") == 0,
		.count = event->count ? event->count : 1,
		.first = event->first,
		.last = event->last,
		.component = event->source_component,
		.host = event->source_host,
		.resource_version = (uint64_t)event->last.ms << 16,
	};
	json_t *involved =
		json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "apiVersion", version, "kind",
			  event->kind, "metadata", "name", event->name, "namespace",
			  event->namespace, "uid", uid_is_none(&about) ? event->name : uid.text);

	view.involved = involved;
	if (involved)
		composer_add(composer, kube_event(&view), NULL, view.resource_version);
	json_decref(involved);
}

/* What follows from the state of things as they are now: the same on every machine. */
struct remark {
	const json_t *about;
	const char *type, *reason, *message;
	struct wall since;
};

static void add_remark(struct composer *composer, const struct remark *remark)
{
	struct api_event event = {
		.namespace = kube_member_string(remark->about, "metadata.namespace"),
		.kind = kube_member_string(remark->about, "kind"),
		.name = kube_member_string(remark->about, "metadata.name"),
		.type = remark->type,
		.reason = remark->reason,
		.message = remark->message,
		.source_component = "machineplane",
		.source_host = "",
		.first = remark->since,
		.last = remark->since,
		.count = 1,
	};
	uint8_t random[UID_LEN];

	if (!uid_parse(kube_member_string(remark->about, "metadata.uid"), &event.uid))
		return;
	memcpy(random, event.uid.byte, 8);
	memcpy(random + 8, &event.first.ms, 8);
	event.id = uid_from_random(random);
	add_event(composer, &event);
}

/* Pods that no machine has taken: at once when their claims are the reason, else after a while. */
static void add_failed_scheduling(struct composer *composer, const json_t *pod)
{
	static const char of_claims[] = "persistentvolumeclaim ";
	struct remark remark = {.about = pod, .type = "Warning", .reason = "FailedScheduling"};
	const struct api_backend *backend = composer->backend;
	const json_t *condition = json_array_get(kube_member(pod, "status.conditions"), 0);

	remark.message = kube_member_string(condition, "message");
	if (!kube_time_parse(kube_member_string(condition, "lastTransitionTime"), &remark.since))
		return;
	if (backend->ops->now(backend->self).ms - remark.since.ms >= COMPOSE_PENDING_MS ||
	    strncmp(remark.message, of_claims, strlen(of_claims)) == 0)
		add_remark(composer, &remark);
}

static void add_failure(void *arg, const struct composed_item *pod)
{
	add_failed_scheduling(arg, pod->object);
}

static void add_failures(struct composer *composer)
{
	struct composer pods = {
		.backend = composer->backend,
		.query = {.namespace = composer->query.namespace},
		.each = add_failure,
		.arg = composer,
		.id = KUBE_PODS,
	};

	compose_pending(&pods);
	roster_deinit(&pods.roster);
}

/* A claim that is not bound. */
static void add_claim(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	json_t *json = composer_wants_namespace(composer, object->namespace)
			       ? composer_parse(object)
			       : NULL;
	const struct kube_claim claim = kube_claim_read(json);
	struct buf text = {0};
	struct remark remark = {.about = json, .since = {(int64_t)(object->version >> 16)}};

	if (claim.ours) {
		remark.type = "Normal";
		remark.reason = "WaitForFirstConsumer";
		buf_append_format(&text, "waiting for first consumer to be created before binding");
	} else {
		remark.type = "Warning";
		remark.reason = "ProvisioningFailed";
		buf_append_format(&text,
				  "storage class \"%s\": machines have volumes of the "
				  "class " KUBE_CLAIM_CLASS " only",
				  claim.class);
	}
	remark.message = buf_cstr(&text);
	if (json && !*claim.machine)
		add_remark(composer, &remark);
	buf_deinit(&text);
	json_decref(json);
}

void compose_events(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	const char *namespace = composer->query.namespace;

	backend->ops->events(backend->self, namespace, add_event, composer);
	add_failures(composer);
	backend->ops->objects(backend->self, KUBE_CLAIM, namespace, add_claim, composer);
}
