/* SPDX-License-Identifier: Apache-2.0 */
/* CronJobs: stored objects, what is remembered of them, and their Jobs that have not ended. */
#include "api/compose_internal.h"
#include "identity/derive.h"
#include "kube/cronjob.h"
#include "kube/job_progress.h"
#include "kube/member.h"
#include "kube/workload.h"

struct stored {
	json_t *json;
	uint64_t version;
};

static void take(void *arg, const struct api_object *object)
{
	struct stored *stored = arg;

	json_decref(stored->json);
	stored->json = composer_parse(object);
	stored->version = object->version;
}

/* What is remembered under the uid that follows from @owner's. */
static struct stored derived_of(const struct composer *composer, const char *kind,
				const char *namespace, const struct uid *owner)
{
	const struct api_backend *backend = composer->backend;
	struct uid uid = uid_derive(owner, kind);
	struct stored stored = {0};

	(void)backend->ops->object(backend->self, kind, namespace, uid_text(&uid).text, take,
				   &stored);
	return stored;
}

struct runs {
	struct composer *composer;
	const struct uid *owner;
	json_t *active;
	uint64_t version;
};

static bool has_ended(const struct stored *progress)
{
	return kube_member(progress->json, "spec.completionTime") ||
	       kube_member(progress->json, "spec.failedTime");
}

static void note_run(void *arg, const struct api_object *object)
{
	struct runs *runs = arg;
	json_t *json = strcmp(object->kind, "Job") == 0 ? composer_parse(object) : NULL;
	const json_t *owner = kube_controller_of(json);
	struct stored progress;
	struct uid uid;

	if (owner && uid_parse(kube_member_string(owner, "uid"), &uid) &&
	    uid_equal(&uid, runs->owner)) {
		progress = derived_of(runs->composer, KUBE_JOB_PROGRESS, object->namespace,
				      &object->uid);
		if (!has_ended(&progress))
			kube_push(runs->active,
				  json_pack("{s:s,s:s,s:s,s:s,s:s}", "kind", "Job", "apiVersion",
					    "batch/v1", "namespace", object->namespace, "name",
					    kube_member_string(json, "metadata.name"), "uid",
					    uid_text(&object->uid).text));
		if (progress.version > runs->version)
			runs->version = progress.version;
		if (object->version > runs->version)
			runs->version = object->version;
		json_decref(progress.json);
	}
	json_decref(json);
}

static void add_cronjob(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	const struct api_backend *backend = composer->backend;
	struct runs runs = {
		.composer = composer, .owner = &object->uid, .version = object->version};
	struct stored progress;
	json_t *json = composer_wants(composer, object) ? composer_parse(object) : NULL;

	if (!json)
		return;
	runs.active = json_array();
	backend->ops->family(backend->self, &object->uid, note_run, &runs);
	progress = derived_of(composer, KUBE_CRONJOB_PROGRESS, object->namespace, &object->uid);
	if (progress.version > runs.version)
		runs.version = progress.version;
	composer_add(composer, kube_cronjob(json, progress.json, runs.active), &object->uid,
		     runs.version);
	json_decref(progress.json);
	json_decref(runs.active);
	json_decref(json);
}

void compose_cronjobs(struct composer *composer)
{
	composer_objects(composer, "CronJob", add_cronjob);
}
