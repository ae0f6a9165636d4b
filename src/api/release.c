/* SPDX-License-Identifier: Apache-2.0 */
#include "api/release.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kube/member.h"
#include "kube/statefulset.h"

struct release {
	struct api_put put;
	json_t *json;
	char *namespace, *name;
};

static void note_pod(void *arg, const struct api_object *object)
{
	struct release *release = arg;

	release->json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	release->namespace = mem_strdup(object->namespace);
	release->name = mem_strdup(object->name);
	release->put = (struct api_put){
		.kind = "Pod",
		.namespace = release->namespace,
		.name = release->name,
		.uid = object->uid,
		.generation = object->generation + 1,
		.expected_version = object->version,
	};
}

void release_ordinal(const struct api_backend *backend, const struct uid *uid, const char *author,
		     api_done_fn *done, void *arg)
{
	struct api_result result = {0};
	struct release release = {0};
	char *text;

	if (!backend->ops->object_by_uid(backend->self, uid, note_pod, &release) || !release.json) {
		(void)err_set_status(&result.err, -ENOENT, 404, "there is no such pod");
		done(arg, &result);
	} else {
		kube_release(release.json,
			     (struct wall){(int64_t)(release.put.expected_version >> 16)});
		kube_set_int(json_object_get(release.json, "metadata"), "generation",
			     (int64_t)release.put.generation);
		text = json_dumps(release.json, JSON_COMPACT);
		release.put.json = bytes_str(text);
		release.put.author = author;
		backend->ops->put(backend->self, &release.put, done, arg);
		free(text);
	}
	json_decref(release.json);
	free(release.namespace);
	free(release.name);
}
