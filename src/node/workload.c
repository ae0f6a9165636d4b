/* SPDX-License-Identifier: Apache-2.0 */
/* From a stored object to what the cores need of it. Foreign JSON: anything unreadable gives NULL.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "kube/deletion.h"
#include "kube/statefulset.h"
#include "kube/workload.h"
#include "wire/text.h"

enum {
	KIND_MAX = 63, /* as the wire has it (wire/codec.h) */
};

static void copy_images(const json_t *pod_spec, struct workload *workload)
{
	const json_t *containers = json_object_get(pod_spec, "containers");
	size_t count = json_array_size(containers);

	if (count > MESSAGE_IMAGES_MAX)
		count = MESSAGE_IMAGES_MAX;
	workload->images = mem_alloc(count, sizeof(*workload->images));
	for (size_t i = 0; i < count; i++) {
		const char *image =
			json_string_value(json_object_get(json_array_get(containers, i), "image"));

		if (image && strlen(image) < MESSAGE_REF_MAX &&
		    text_is_valid(bytes_str(image), TEXT_NAME))
			workload->images[workload->image_count++] = mem_strdup(image);
	}
}

/* References to owners are written by users, and may be anything. */
static void note_origin(const json_t *json, struct workload *workload)
{
	struct kube_origin origin = kube_origin_of(json);
	bool fits = strlen(origin.kind) <= KIND_MAX && strlen(origin.name) <= MESSAGE_NAME_MAX &&
		    text_is_valid(bytes_str(origin.kind), TEXT_NAME) &&
		    text_is_valid(bytes_str(origin.name), TEXT_NAME);

	workload->origin_kind = mem_strdup(fits ? origin.kind : workload->object.kind);
	workload->origin_name = mem_strdup(fits ? origin.name : workload->object.name);
}

/* Takes over @needs. */
static struct workload *workload_build(const struct record *record, const json_t *json,
				       const struct kube_workload *read,
				       const struct requirements *needs)
{
	struct workload *workload = mem_new(struct workload);

	object_ref_copy(&record->object, &workload->object);
	workload->generation = record->version.generation;
	workload->hlc = record->version.hlc;
	workload->written_ms = record->written_ms;
	workload->replicas = read->replicas;
	workload->single = strcmp(read->kind, "Pod") == 0;
	workload->exclusive = kube_is_ordinal(json);
	workload->dying = kube_is_dying(json);
	workload->epoch = kube_epoch(json);
	workload->manifest_digest = sha256(bytes_buf(&record->value));
	workload->needs = *needs;
	workload->priority = read->priority;
	note_origin(json, workload);
	copy_images(kube_pod_spec(json), workload);
	node_claims_note(workload, json);
	if (workload->single || strcmp(read->kind, "Job") == 0)
		workload->pod_name_base = mem_strdup(read->name);
	else
		workload->pod_name_base = mem_strdup(kube_name_pod_base(read->name).text);
	return workload;
}

struct workload *workload_read(const struct record *record)
{
	struct kube_workload read;
	struct requirements needs;
	struct workload *workload = NULL;
	json_t *json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);

	/* Names stand in the record too, where they were found to fit the wire. */
	if (json && kube_workload_read(json, &read, NULL) == 0 &&
	    uid_equal(&read.uid, &record->object.uid) &&
	    strcmp(read.kind, record->object.kind) == 0 &&
	    strcmp(read.namespace, record->object.namespace) == 0 &&
	    strcmp(read.name, record->object.name) == 0 && kube_needs_read(json, &needs, NULL) == 0)
		workload = workload_build(record, json, &read, &needs);
	json_decref(json);
	return workload;
}

void workload_free(struct workload *workload)
{
	if (!workload)
		return;
	object_ref_deinit(&workload->object);
	requirements_deinit(&workload->needs);
	for (size_t i = 0; i < workload->image_count; i++)
		free(workload->images[i]);
	free(workload->images);
	node_claims_deinit(workload);
	free(workload->hints);
	free(workload->pod_name_base);
	free(workload->origin_kind);
	free(workload->origin_name);
	free(workload);
}
