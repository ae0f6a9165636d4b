/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: stored objects, with what is remembered of them and what their pods say. */
#include "api/compose_internal.h"
#include "identity/derive.h"
#include "kube/job.h"

struct progress {
	json_t *json;
	uint64_t version;
};

static void take_progress(void *arg, const struct api_object *object)
{
	struct progress *progress = arg;

	json_decref(progress->json);
	progress->json = composer_parse(object);
	progress->version = object->version;
}

static struct progress progress_of(const struct composer *composer, const struct api_object *job)
{
	const struct api_backend *backend = composer->backend;
	struct uid uid = uid_derive(&job->uid, KUBE_JOB_PROGRESS);
	struct progress progress = {0};

	(void)backend->ops->object(backend->self, KUBE_JOB_PROGRESS, job->namespace,
				   uid_text(&uid).text, take_progress, &progress);
	return progress;
}

static void add_job(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	uint64_t version = object->version;
	struct progress progress;
	struct roster_slice slice;
	struct kube_pods pods;
	json_t *json;

	if (!composer_wants(composer, object))
		return;
	json = composer_parse(object);
	if (!json)
		return;
	progress = progress_of(composer, object);
	slice = roster_of(&composer->roster, &object->uid);
	pods = (struct kube_pods){.pods = slice.presences, .count = slice.count};
	if (slice.version > version)
		version = slice.version;
	if (progress.version > version)
		version = progress.version;
	composer_add(composer, kube_job(json, progress.json, &pods), &object->uid, version);
	json_decref(progress.json);
	json_decref(json);
}

void compose_jobs(struct composer *composer)
{
	roster_load(&composer->roster, composer->backend, composer->query.workload);
	composer_objects(composer, "Job", add_job);
}
