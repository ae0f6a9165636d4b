/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/event.h"

#include <inttypes.h>

#include "kube/member.h"
#include "kube/time.h"

enum {
	MESSAGE_MAX = 1024, /* of an event, as Kubernetes */
};

static json_t *involved_new(const json_t *object)
{
	static const char *const kept[] = {"namespace", "name", "uid", "resourceVersion"};
	json_t *involved = json_object();
	kube_set_string(involved, "kind", kube_member_string(object, "kind"));
	kube_set_string(involved, "apiVersion", kube_member_string(object, "apiVersion"));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *value =
			kube_member_string(json_object_get(object, "metadata"), kept[i]);
		if (*value)
			kube_set_string(involved, kept[i], value);
	}
	return involved;
}

static json_t *metadata_new(const struct kube_event *event)
{
	json_t *metadata = json_object();
	const struct id_text uid = uid_text(&event->uid);
	const char *namespace = kube_member_string(event->involved, "metadata.namespace");
	kube_set(metadata, "name",
		 kube_text("%s.%.13s", kube_member_string(event->involved, "metadata.name"),
			   uid.text));
	kube_set_string(metadata, "namespace", *namespace ? namespace : "default");
	kube_set_string(metadata, "uid", uid.text);
	kube_set(metadata, "resourceVersion", kube_text("%" PRIu64, event->resource_version));
	kube_set_string(metadata, "creationTimestamp", kube_time_text(event->first).text);
	return metadata;
}

json_t *kube_event(const struct kube_event *event)
{
	json_t *json = json_object();
	json_t *source = json_object();
	kube_set_string(source, "component", event->component);
	if (event->host && *event->host)
		kube_set_string(source, "host", event->host);
	kube_set_string(json, "kind", "Event");
	kube_set_string(json, "apiVersion", "v1");
	kube_set(json, "metadata", metadata_new(event));
	kube_set(json, "involvedObject", involved_new(event->involved));
	kube_set_string(json, "reason", event->reason);
	kube_set(json, "message", kube_text("%.*s", MESSAGE_MAX, event->message));
	kube_set(json, "source", source);
	kube_set_string(json, "firstTimestamp", kube_time_text(event->first).text);
	kube_set_string(json, "lastTimestamp", kube_time_text(event->last).text);
	kube_set_int(json, "count", event->count ? event->count : 1);
	kube_set_string(json, "type", event->is_warning ? "Warning" : "Normal");
	kube_set(json, "eventTime", json_null());
	kube_set_string(json, "reportingComponent", event->component);
	kube_set_string(json, "reportingInstance", event->host ? event->host : "");
	return json;
}
