/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/node_offer.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "kube/member.h"

static void set_label(struct node_offer *offer, const char *key, const char *value)
{
	struct label *label = NULL;

	for (size_t i = 0; i < offer->label_count; i++)
		if (strcmp(offer->labels[i].key, key) == 0)
			label = &offer->labels[i];
	if (!label && offer->label_count == MESSAGE_LABELS_MAX)
		return;
	if (!label) {
		label = &offer->labels[offer->label_count++];
		label->key = mem_strdup(key);
	}
	free(label->value);
	label->value = mem_strdup(value);
}

static void add_taint(struct node_offer *offer, const char *key, const char *value,
		      enum taint_effect effect)
{
	if (offer->taint_count == MESSAGE_TAINTS_MAX)
		return;
	offer->taints[offer->taint_count++] = (struct taint){
		.key = mem_strdup(key),
		.value = mem_strdup(value),
		.effect = effect,
	};
}

static bool effect_parse(const char *text, enum taint_effect *ret_effect)
{
	static const char *const names[] = {
		[TAINT_NO_SCHEDULE] = "NoSchedule",
		[TAINT_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
		[TAINT_NO_EXECUTE] = "NoExecute",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] && strcmp(names[i], text) == 0) {
			*ret_effect = (enum taint_effect)i;
			return true;
		}
	return false;
}

static void add_settings(struct node_offer *offer, const json_t *settings)
{
	const json_t *taint;
	json_t *value;
	const char *key;
	size_t i;

	json_object_foreach (kube_member(settings, "metadata.labels"), key, value)
		if (json_is_string(value))
			set_label(offer, key, json_string_value(value));
	json_array_foreach (kube_member(settings, "spec.taints"), i, taint) {
		enum taint_effect effect;

		if (effect_parse(kube_member_string(taint, "effect"), &effect))
			add_taint(offer, kube_member_string(taint, "key"),
				  kube_member_string(taint, "value"), effect);
	}
	offer->unschedulable = kube_member_true(settings, "spec.unschedulable");
}

void node_offer_init(const struct node_facts *facts, struct bytes settings,
		     struct node_offer *ret_offer)
{
	json_t *json = json_loadb((const char *)settings.ptr, settings.len, 0, NULL);

	*ret_offer = (struct node_offer){
		.labels = mem_alloc(MESSAGE_LABELS_MAX, sizeof(*ret_offer->labels)),
		.taints = mem_alloc(MESSAGE_TAINTS_MAX, sizeof(*ret_offer->taints)),
	};
	for (size_t i = 0; i < facts->label_count; i++)
		set_label(ret_offer, facts->labels[i].key, facts->labels[i].value);
	for (size_t i = 0; i < facts->taint_count; i++)
		add_taint(ret_offer, facts->taints[i].key, facts->taints[i].value,
			  facts->taints[i].effect);
	if (json)
		add_settings(ret_offer, json);
	json_decref(json);
}

void node_offer_deinit(struct node_offer *offer)
{
	for (size_t i = 0; i < offer->label_count; i++) {
		free(offer->labels[i].key);
		free(offer->labels[i].value);
	}
	for (size_t i = 0; i < offer->taint_count; i++) {
		free(offer->taints[i].key);
		free(offer->taints[i].value);
	}
	free(offer->labels);
	free(offer->taints);
	*offer = (struct node_offer){0};
}
