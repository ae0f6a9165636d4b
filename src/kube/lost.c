/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lost.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "kube/admit.h"
#include "kube/member.h"

/* metadata that is the server's, or says who wrote what. */
static const char *const unsaid[] = {"managedFields", "resourceVersion", "generation"};

static json_t *parse(const struct kube_version *version)
{
	return json_loadb((const char *)version->json.ptr, version->json.len, 0, NULL);
}

/* The version from which an object was made; 0 when it does not say. */
static uint64_t base_of(const json_t *object)
{
	return strtoull(kube_member_string(object, "metadata.resourceVersion"), NULL, 10);
}

/*
 * Versions between the two may have been missed: then a base later than the loser says that it was
 * known, unless both are the same generation with different contents, which no chain of changes
 * has.
 */
static bool is_lost(const json_t *winner, uint64_t winner_generation, const json_t *loser,
		    const struct kube_version *lost)
{
	uint64_t base = base_of(winner);

	if (!base || base == lost->hlc)
		return false;
	return base < lost->hlc ||
	       (winner_generation == lost->generation && kube_spec_differs(winner, loser));
}

/* RFC 7386: the patch that makes @to of @from. NULL when they are the same. */
static json_t *merge_patch(const json_t *from, const json_t *to)
{
	json_t *patch = json_object(), *value;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)to, key, value) {
		json_t *old = json_object_get(from, key), *inner;

		if (json_equal(old, value))
			continue;
		inner = json_is_object(old) && json_is_object(value) ? merge_patch(old, value)
								     : json_deep_copy(value);
		if (inner)
			kube_set(patch, key, inner);
	}
	json_object_foreach ((json_t *)(uintptr_t)from, key, value) {
		if (!json_object_get(to, key))
			kube_set(patch, key, json_null());
	}
	if (json_object_size(patch))
		return patch;
	json_decref(patch);
	return NULL;
}

static void drop_unsaid(json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata");

	for (size_t i = 0; i < ARRAY_LEN(unsaid); i++)
		(void)json_object_del(metadata, unsaid[i]); /* it may not be there */
}

/* What a Secret holds stands in no message. */
static char *sentence(const json_t *patch, bool secret)
{
	char *text = secret ? NULL : json_dumps(patch, JSON_COMPACT);
	struct buf out = {0};

	buf_append_str(&out, "a change made at the same time as another one was lost to it");
	if (text && strlen(text) <= KUBE_LOST_PATCH_MAX)
		buf_append_format(&out, "; kubectl patch --type=merge brings it back: %s", text);
	free(text);
	return buf_steal(&out);
}

char *kube_lost_update(const struct kube_version *winner, const struct kube_version *loser)
{
	json_t *won = parse(winner), *lost = parse(loser), *patch = NULL;
	char *text = NULL;

	if (won && lost && is_lost(won, winner->generation, lost, loser)) {
		drop_unsaid(won);
		drop_unsaid(lost);
		patch = merge_patch(won, lost);
		if (patch)
			text = sentence(patch,
					strcmp(kube_member_string(lost, "kind"), "Secret") == 0);
	}
	json_decref(patch);
	json_decref(won);
	json_decref(lost);
	return text;
}
