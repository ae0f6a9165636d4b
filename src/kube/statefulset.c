/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/statefulset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"
#include "kube/workload.h"

enum {
	STATEFUL_NAME_MAX = KUBE_SUBDOMAIN_MAX - KUBE_HASH_LEN - 1,
};

struct kube_name kube_name_ordinal(const char *name, int64_t ordinal)
{
	struct kube_name made;
	(void)snprintf(made.text, sizeof(made.text), "%.*s-%" PRId64, (int)STATEFUL_NAME_MAX, name,
		       ordinal);
	return made;
}

int64_t kube_ordinal(const char *pod_name)
{
	const char *dash = strrchr(pod_name, '-');
	if (!dash || !dash[1] || strspn(dash + 1, "0123456789") != strlen(dash + 1))
		return -1;
	return strtoll(dash + 1, NULL, 10);
}

struct kube_name kube_name_claim(const char *claim, const char *name, int64_t ordinal)
{
	struct kube_name made;
	(void)snprintf(made.text, sizeof(made.text), "%.63s-%.160s-%" PRId64, claim, name, ordinal);
	return made;
}

struct kube_name kube_revision_name(const json_t *statefulset)
{
	const struct kube_hash hash = kube_template_hash(kube_member(statefulset, "spec.template"));
	return kube_name_replica_set(kube_member_string(statefulset, "metadata.name"), &hash);
}

const char *kube_revision_label(const json_t *pod)
{
	const char *label = json_string_value(
		json_object_get(kube_member(pod, "metadata.labels"), KUBE_REVISION_LABEL));
	return label ? label : "";
}

/* FNV-1a: nobody gains by two revisions that fold alike, but not to be updated. */
uint64_t kube_revision_fold(const json_t *pod)
{
	uint64_t fold = 0xcbf29ce484222325;
	for (const char *at = kube_revision_label(pod); *at; at++)
		fold = (fold ^ (uint8_t)*at) * 0x100000001b3;
	return fold ? fold : 1;
}

bool kube_is_ordinal(const json_t *pod)
{
	const json_t *owner = kube_controller_of(pod);
	return owner && strcmp(kube_member_string(pod, "kind"), "Pod") == 0 &&
	       strcmp(kube_member_string(owner, "kind"), "StatefulSet") == 0;
}

uint64_t kube_epoch(const json_t *pod)
{
	const char *text = json_string_value(
		json_object_get(kube_member(pod, "metadata.annotations"), KUBE_EPOCH));
	return text ? strtoull(text, NULL, 10) : 0;
}

void kube_release(json_t *pod, struct wall written)
{
	json_t *annotations = kube_object_at(kube_object_at(pod, "metadata"), "annotations");
	uint64_t epoch = kube_epoch(pod) + 1;
	if (written.ms > 0 && (uint64_t)written.ms > epoch)
		epoch = (uint64_t)written.ms;
	(void)json_object_del(json_object_get(pod, "spec"), "nodeName"); /* it may not be there */
	if (annotations)
		kube_set(annotations, KUBE_EPOCH, kube_text("%" PRIu64, epoch));
}

/* ---- registrars ---- */

static const char *annotation(const json_t *object, const char *key)
{
	const char *text = json_string_value(
		json_object_get(kube_member(object, "metadata.annotations"), key));
	return text ? text : "";
}

/* So it may be that nobody has most of them. */
static void list_read(const char *text, struct registrars *ret)
{
	while (*text && ret->count < MESSAGE_REGISTRARS_MAX) {
		char one[ADDR_PEER_TEXT_MAX];
		size_t len = strcspn(text, ",");
		(void)snprintf(one, sizeof(one), "%.*s", (int)len, text);
		if (len < sizeof(one) && addr_peer_parse(one, &ret->list[ret->count]) &&
		    addr_can_be_dialled(&ret->list[ret->count].addr))
			ret->count++;
		text += len + (text[len] == ',');
	}
}

struct registrars kube_registrars(const json_t *object)
{
	const char *text = annotation(object, KUBE_REGISTRARS), *slash = strchr(text, '/');
	struct registrars registrars = {.id = {.number = 1}};
	char *end;
	if (slash) {
		registrars.id.epoch = strtoull(text, &end, 10);
		registrars.id.number = *end == '.' ? strtoull(end + 1, &end, 10) : 0;
		if (end != slash || registrars.id.number == 0)
			return (struct registrars){0};
		text = slash + 1;
	}
	list_read(text, &registrars);
	return registrars.count ? registrars : (struct registrars){0};
}

void kube_set_registrars(json_t *object, const struct registrars *registrars)
{
	json_t *annotations = kube_object_at(kube_object_at(object, "metadata"), "annotations");
	struct buf text = {0};

	buf_append_format(&text, "%" PRIu64 ".%" PRIu64 "/", registrars->id.epoch,
			  registrars->id.number);
	for (size_t i = 0; i < registrars->count; i++)
		buf_append_format(&text, "%s%s", i ? "," : "",
				  addr_peer_text(&registrars->list[i]).text);
	if (annotations && registrars->count > 0)
		kube_set_string(annotations, KUBE_REGISTRARS, buf_cstr(&text));
	else if (annotations)
		(void)json_object_del(annotations, KUBE_REGISTRARS); /* it may not be there */
	buf_deinit(&text);
}

uint64_t kube_registrars_reset(const json_t *statefulset)
{
	return strtoull(annotation(statefulset, KUBE_REGISTRARS_RESET), NULL, 10);
}

bool kube_tenure_read(const json_t *pod, struct kube_tenure *ret_tenure)
{
	int64_t ordinal = kube_ordinal(kube_member_string(pod, "metadata.name"));
	struct kube_tenure tenure = {.epoch = kube_epoch(pod), .revision = kube_revision_fold(pod)};

	tenure.registrars = kube_registrars(pod);
	if (!kube_is_ordinal(pod) || tenure.registrars.count == 0 || ordinal < 0 ||
	    ordinal > UINT32_MAX ||
	    !uid_parse(kube_member_string(kube_controller_of(pod), "uid"), &tenure.set))
		return false;
	tenure.ordinal = (uint32_t)ordinal;
	tenure.replace = strcmp(annotation(pod, KUBE_ON_LOST), "replace") == 0;
	*ret_tenure = tenure;
	return true;
}

/* ---- status ---- */

struct counts {
	int64_t pods, ready, available, updated, current;
};

static struct counts count(const struct kube_ordinal_source *ordinals, size_t ordinal_count,
			   int64_t min_ready_s, const char *update, const char *current,
			   struct wall now)
{
	struct counts counts = {0};
	for (size_t i = 0; i < ordinal_count; i++) {
		const struct kube_counts pods =
			kube_pods_count(&ordinals[i].pods, min_ready_s, now);
		const char *label = kube_revision_label(ordinals[i].json);
		if (pods.pods == 0)
			continue;
		counts.pods++;
		counts.ready += pods.ready > 0;
		counts.available += pods.available > 0;
		counts.updated += strcmp(label, update) == 0;
		counts.current += strcmp(label, current) == 0;
	}
	return counts;
}

/* That of the lowest ordinal, which is updated last. */
static const char *current_of(const struct kube_ordinal_source *ordinals, size_t ordinal_count,
			      const char *update)
{
	const char *current = update;
	int64_t lowest = INT64_MAX;
	for (size_t i = 0; i < ordinal_count; i++) {
		int64_t ordinal =
			kube_ordinal(kube_member_string(ordinals[i].json, "metadata.name"));
		if (ordinal < lowest && *kube_revision_label(ordinals[i].json)) {
			lowest = ordinal;
			current = kube_revision_label(ordinals[i].json);
		}
	}
	return current;
}

json_t *kube_statefulset(const json_t *object, const json_t *revision,
			 const struct kube_ordinal_source *ordinals, size_t ordinal_count,
			 struct wall now)
{
	const struct kube_name update = kube_revision_name(object);
	const char *current = current_of(ordinals, ordinal_count, update.text);
	const struct counts counts =
		count(ordinals, ordinal_count, kube_member_int(object, "spec.minReadySeconds", 0),
		      update.text, current, now);
	const char *observed = json_string_value(
		json_object_get(kube_member(revision, "metadata.annotations"), KUBE_OBSERVED));
	int64_t generation = kube_member_int(object, "metadata.generation", 0);
	int64_t seen = observed ? strtoll(observed, NULL, 10) : generation - 1;
	json_t *set = json_deep_copy(object);
	json_t *status = json_object();
	kube_set_int(status, "observedGeneration", seen < generation ? seen : generation);
	kube_set_int(status, "replicas", counts.pods);
	kube_set_int(status, "readyReplicas", counts.ready);
	kube_set_int(status, "availableReplicas", counts.available);
	kube_set_int(status, "currentReplicas", counts.current);
	kube_set_int(status, "updatedReplicas", counts.updated);
	kube_set_string(status, "currentRevision", current);
	kube_set_string(status, "updateRevision", update.text);
	kube_set_int(status, "collisionCount", 0);
	kube_set(set, "status", status);
	return set;
}
