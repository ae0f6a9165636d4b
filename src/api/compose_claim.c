/* SPDX-License-Identifier: Apache-2.0 */
/* Claims with their status, and what follows from them: their volumes, and the class they have. */
#include <string.h>

#include "api/compose_internal.h"
#include "kube/claim.h"

static void add_claim(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	json_t *json = composer_wants(composer, object) ? composer_parse(object) : NULL;

	if (!json)
		return;
	kube_claim_show(json);
	composer_add(composer, json, &object->uid, object->version);
}

void compose_claims(struct composer *composer)
{
	composer_objects(composer, KUBE_CLAIM, add_claim);
}

static void add_volume(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	json_t *claim = composer_parse(object);
	json_t *volume = claim ? kube_claim_volume(claim) : NULL;

	if (volume)
		composer_add(composer, volume, &object->uid, object->version);
	json_decref(claim);
}

void compose_volumes(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;

	compose_stored(composer);
	if (composer->query.workload)
		composer_objects(composer, KUBE_CLAIM, add_volume);
	else
		backend->ops->objects(backend->self, KUBE_CLAIM, NULL, add_volume, composer);
}

static void note_age(void *arg, const struct api_member *member)
{
	struct wall *oldest = arg;

	if (member->joined.ms && (!oldest->ms || member->joined.ms < oldest->ms))
		*oldest = member->joined;
}

void compose_classes(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct wall oldest = {0};

	compose_stored(composer);
	backend->ops->members(backend->self, note_age, &oldest);
	composer_add(composer, kube_claim_class(oldest), NULL, 1);
}
