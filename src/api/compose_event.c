/* SPDX-License-Identifier: Apache-2.0 */
/* Events, which machines keep for a while and nobody stores. */
#include <string.h>

#include "api/compose_internal.h"
#include "kube/event.h"

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
	uint8_t random[UID_LEN];
	struct kube_event view = {
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

	memcpy(random, &event->serial, sizeof(event->serial));
	memcpy(random + 8, &event->first.ms, 8);
	view.uid = uid_from_random(random);
	view.involved = involved;
	if (involved)
		composer_add(composer, kube_event(&view), NULL, view.resource_version);
	json_decref(involved);
}

void compose_events(struct composer *composer)
{
	composer->backend->ops->events(composer->backend->self, composer->query.namespace,
				       add_event, composer);
}
