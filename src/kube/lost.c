/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lost.h"

#include <inttypes.h>
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

/* The versions that an object comes of, the newest first; none when it does not say. */
struct line {
	uint64_t versions[KUBE_LINE_MAX];
	size_t count;
};

static struct line line_read(const char *text)
{
	struct line line = {.count = 0};
	char *end = NULL;

	while (line.count < KUBE_LINE_MAX && *text >= '0' && *text <= '9') {
		line.versions[line.count++] = strtoull(text, &end, 10);
		text = *end == ',' ? end + 1 : end;
	}
	return line;
}

static bool line_has(const struct line *line, uint64_t version)
{
	for (size_t i = 0; i < line->count; i++)
		if (line->versions[i] == version)
			return true;
	return false;
}

void kube_set_line(json_t *object, const char *line, uint64_t version)
{
	struct line before = line_read(line ? line : "");
	struct buf text = {0};

	buf_append_format(&text, "%" PRIu64, version);
	for (size_t i = 0; i < before.count && i + 1 < KUBE_LINE_MAX; i++)
		buf_append_format(&text, ",%" PRIu64, before.versions[i]);
	kube_set_string(kube_object_at(object, "metadata"), "resourceVersion", buf_cstr(&text));
	buf_deinit(&text);
}

/*
 * What is not in the line, although the line goes back to before it, was not known to who made the
 * winner. Of what is older than the whole line nothing is known; but two contents of one generation
 * are in no line together.
 */
static bool is_lost(const json_t *winner, uint64_t winner_generation, const json_t *loser,
		    const struct kube_version *lost)
{
	struct line line = line_read(kube_member_string(winner, "metadata.resourceVersion"));

	if (!line.count || line_has(&line, lost->hlc))
		return false;
	return line.versions[line.count - 1] < lost->hlc ||
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
