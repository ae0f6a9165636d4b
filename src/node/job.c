/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs as the market's controller sees them: which of their slots are to be filled now. */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/job.h"
#include "identity/derive.h"
#include "kube/job_progress.h"

/* A stored object, parsed; false: there is none. */
static bool object_read(const struct node *node, const struct uid *uid, struct control_object *ret)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *uid};
	const struct record_item *item = records_get(node->records, &key);
	json_t *json = item ? json_loadb((const char *)item->record.value.ptr,
					 item->record.value.len, 0, NULL)
			    : NULL;

	if (!json)
		return false;
	*ret = (struct control_object){
		.ref = item->record.object, /* borrowed */
		.json = json,
		.generation = item->record.version.generation,
		.hlc = item->record.version.hlc,
		.written_ms = item->record.written_ms,
	};
	return true;
}

static void object_free(struct control_object *object)
{
	json_decref((json_t *)(uintptr_t)object->json);
}

bool node_job_plan(const struct node *node, struct mono now, const struct object_ref *job,
		   const struct controller_view *seen, struct control_job_plan *ret_plan)
{
	struct uid progress_uid = uid_derive(&job->uid, KUBE_JOB_PROGRESS);
	struct control_object root, progress;
	struct control_pod *pods;
	struct control_view view = {
		.root = &root,
		.derived = &progress,
		.pod_count = seen->pod_count,
		.now = node_fabric_time(node, now),
	};

	if (strcmp(job->kind, "Job") != 0 || !object_read(node, &job->uid, &root))
		return false;
	view.derived_count = object_read(node, &progress_uid, &progress);
	pods = mem_alloc(seen->pod_count, sizeof(*pods));
	for (size_t i = 0; i < seen->pod_count; i++)
		pods[i] = (struct control_pod){seen->pods[i].presence, seen->pods[i].machine_alive};
	view.pods = pods;
	control_job_plan(&view, ret_plan);
	free(pods);
	object_free(&root);
	if (view.derived_count)
		object_free(&progress);
	return true;
}
