/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a replica needs. Terms and values are counted over all sets together: each list may be long
 * for itself, but not all of them in one tender.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/constraint.h"

/* How much of the common limits is used up. */
struct tally {
	size_t terms, values;
};

static void sets_count(const struct term_sets *sets, struct tally *tally)
{
	for (size_t i = 0; i < sets->count; i++) {
		tally->terms += sets->list[i].term_count;
		for (size_t j = 0; j < sets->list[i].term_count; j++)
			tally->values += sets->list[i].terms[j].value_count;
	}
}

bool requirements_within_limits(const struct requirements *needs)
{
	struct tally tally = {0};

	sets_count(&needs->selector, &tally);
	sets_count(&needs->preferred, &tally);
	sets_count(&needs->with, &tally);
	sets_count(&needs->apart, &tally);
	sets_count(&needs->pods_preferred, &tally);
	return tally.terms <= MESSAGE_TERMS_MAX && tally.values <= MESSAGE_VALUES_MAX;
}

static void term_pack(struct packer *packer, const struct label_term *from, Magik__LabelTerm *to)
{
	to->key = pack_name(from->key, MESSAGE_LABEL_KEY_MAX);
	to->operator_ = (uint32_t)from->operator;
	to->n_values = from->value_count;
	to->values = packer_alloc(packer, from->value_count, sizeof(*to->values));
	for (size_t i = 0; i < from->value_count; i++)
		to->values[i] = pack_name(from->values[i], MESSAGE_LABEL_VALUE_MAX);
}

static void set_pack(struct packer *packer, const struct term_set *from, Magik__TermSet *to)
{
	assert(from->weight >= -MESSAGE_WEIGHT_MAX && from->weight <= MESSAGE_WEIGHT_MAX);
	to->weight = from->weight;
	to->n_terms = from->term_count;
	pack_array(packer, Magik__LabelTerm, magik__label_term__init, from->term_count, &to->terms);
	for (size_t i = 0; i < from->term_count; i++)
		term_pack(packer, &from->terms[i], to->terms[i]);
}

static void sets_pack(struct packer *packer, const struct term_sets *from,
		      Magik__TermSet ***ret_sets, size_t *ret_count)
{
	assert(from->count <= MESSAGE_SETS_MAX);
	*ret_count = from->count;
	pack_array(packer, Magik__TermSet, magik__term_set__init, from->count, ret_sets);
	for (size_t i = 0; i < from->count; i++)
		set_pack(packer, &from->list[i], (*ret_sets)[i]);
}

void requirements_pack(struct packer *packer, const struct requirements *from,
		       Magik__Requirements *to)
{
	assert(requirements_within_limits(from));
	to->cpu_milli = pack_natural(from->cpu_milli);
	to->memory_bytes = pack_natural(from->memory_bytes);
	to->engine = pack_name(from->engine, CODEC_WORD_MAX);
	to->architecture = pack_name(from->architecture, CODEC_WORD_MAX);
	labels_pack(packer, from->labels, from->label_count, &to->labels, &to->n_labels);
	sets_pack(packer, &from->selector, &to->selector, &to->n_selector);
	sets_pack(packer, &from->preferred, &to->preferred, &to->n_preferred);
	sets_pack(packer, &from->with, &to->with, &to->n_with);
	sets_pack(packer, &from->apart, &to->apart, &to->n_apart);
	sets_pack(packer, &from->pods_preferred, &to->pods_preferred, &to->n_pods_preferred);
	tolerations_pack(packer, from, to);
	spreads_pack(packer, from, to);
	resources_pack(packer, from->resources, from->resource_count, &to->resources,
		       &to->n_resources);
	ports_pack(packer, from, to);
	labels_pack(packer, from->pod_labels, from->pod_label_count, &to->pod_labels,
		    &to->n_pod_labels);
}

/* Exists and its opposite take no value, a comparison takes one, membership at least one. */
static bool is_well_formed(const struct label_term *term)
{
	switch (term->operator) {
	case TERM_IN:
	case TERM_NOT_IN:
		return term->value_count > 0;
	case TERM_EXISTS:
	case TERM_ABSENT:
		return term->value_count == 0;
	case TERM_GREATER:
	case TERM_LESS:
		return term->value_count == 1;
	}
	return false;
}

static void term_unpack(struct unpacker *unpacker, const Magik__LabelTerm *from,
			struct label_term *to)
{
	to->key = unpack_name(unpacker, from->key, MESSAGE_LABEL_KEY_MAX);
	to->operator=(enum term_operator) unpack_u32(unpacker, from->operator_, TERM_LESS);
	to->value_count = unpack_count(unpacker, from->n_values, MESSAGE_VALUES_MAX);
	to->values = to->value_count > 0 ? mem_alloc(to->value_count, sizeof(*to->values)) : NULL;
	for (size_t i = 0; i < to->value_count; i++)
		to->values[i] = unpack_name(unpacker, from->values[i], MESSAGE_LABEL_VALUE_MAX);
	if (to->key[0] == '\0' || !is_well_formed(to))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

static void set_unpack(struct unpacker *unpacker, const Magik__TermSet *from, struct term_set *to)
{
	to->weight = from->weight;
	if (to->weight < -MESSAGE_WEIGHT_MAX || to->weight > MESSAGE_WEIGHT_MAX)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->term_count = unpack_count(unpacker, from->n_terms, MESSAGE_TERMS_MAX);
	to->terms = to->term_count > 0 ? mem_alloc(to->term_count, sizeof(*to->terms)) : NULL;
	for (size_t i = 0; i < to->term_count; i++)
		term_unpack(unpacker, from->terms[i], &to->terms[i]);
}

static void sets_unpack(struct unpacker *unpacker, Magik__TermSet *const *from, size_t count,
			struct term_sets *to)
{
	to->count = unpack_count(unpacker, count, MESSAGE_SETS_MAX);
	to->list = to->count > 0 ? mem_alloc(to->count, sizeof(*to->list)) : NULL;
	for (size_t i = 0; i < to->count; i++)
		set_unpack(unpacker, from[i], &to->list[i]);
}

void requirements_unpack(struct unpacker *unpacker, const Magik__Requirements *from,
			 struct requirements *to)
{
	if (!unpack_has(unpacker, from))
		return;
	to->cpu_milli = unpack_natural(unpacker, from->cpu_milli);
	to->memory_bytes = unpack_natural(unpacker, from->memory_bytes);
	to->engine = unpack_name(unpacker, from->engine, CODEC_WORD_MAX);
	to->architecture = unpack_name(unpacker, from->architecture, CODEC_WORD_MAX);
	labels_unpack(unpacker, from->labels, from->n_labels, &to->labels, &to->label_count);
	sets_unpack(unpacker, from->selector, from->n_selector, &to->selector);
	sets_unpack(unpacker, from->preferred, from->n_preferred, &to->preferred);
	sets_unpack(unpacker, from->with, from->n_with, &to->with);
	sets_unpack(unpacker, from->apart, from->n_apart, &to->apart);
	sets_unpack(unpacker, from->pods_preferred, from->n_pods_preferred, &to->pods_preferred);
	tolerations_unpack(unpacker, from, to);
	spreads_unpack(unpacker, from, to);
	resources_unpack(unpacker, from->resources, from->n_resources, &to->resources,
			 &to->resource_count);
	ports_unpack(unpacker, from, to);
	labels_unpack(unpacker, from->pod_labels, from->n_pod_labels, &to->pod_labels,
		      &to->pod_label_count);
	if (!requirements_within_limits(to))
		unpack_fail(unpacker, MESSAGE_E_TOO_BIG);
}

static void set_deinit(struct term_set *set)
{
	for (size_t i = 0; i < set->term_count; i++) {
		struct label_term *term = &set->terms[i];

		for (size_t j = 0; j < term->value_count; j++)
			free(term->values[j]);
		free(term->values);
		free(term->key);
	}
	free(set->terms);
}

static void sets_deinit(struct term_sets *sets)
{
	for (size_t i = 0; i < sets->count; i++)
		set_deinit(&sets->list[i]);
	free(sets->list);
}

void requirements_deinit(struct requirements *needs)
{
	free(needs->engine);
	free(needs->architecture);
	labels_deinit(needs->labels, needs->label_count);
	sets_deinit(&needs->selector);
	sets_deinit(&needs->preferred);
	sets_deinit(&needs->with);
	sets_deinit(&needs->apart);
	sets_deinit(&needs->pods_preferred);
	tolerations_deinit(needs);
	spreads_deinit(needs);
	resources_deinit(needs->resources, needs->resource_count);
	free(needs->ports);
	labels_deinit(needs->pod_labels, needs->pod_label_count);
	*needs = (struct requirements){0};
}

static void term_copy(const struct label_term *from, struct label_term *to)
{
	*to = *from;
	to->key = string_copy(from->key);
	to->values = array_copy(from->values, from->value_count, sizeof(*from->values));
	for (size_t i = 0; i < from->value_count; i++)
		to->values[i] = string_copy(from->values[i]);
}

static struct term_sets sets_copy(const struct term_sets *from)
{
	struct term_sets to = {
		.list = array_copy(from->list, from->count, sizeof(*from->list)),
		.count = from->count,
	};

	for (size_t i = 0; i < to.count; i++) {
		struct term_set *set = &to.list[i];

		set->terms = array_copy(from->list[i].terms, set->term_count, sizeof(*set->terms));
		for (size_t j = 0; j < set->term_count; j++)
			term_copy(&from->list[i].terms[j], &set->terms[j]);
	}
	return to;
}

void requirements_copy(const struct requirements *from, struct requirements *to)
{
	*to = *from;
	to->engine = string_copy(from->engine);
	to->architecture = string_copy(from->architecture);
	to->labels = labels_copy(from->labels, from->label_count);
	to->selector = sets_copy(&from->selector);
	to->preferred = sets_copy(&from->preferred);
	to->with = sets_copy(&from->with);
	to->apart = sets_copy(&from->apart);
	to->pods_preferred = sets_copy(&from->pods_preferred);
	tolerations_copy(from, to);
	spreads_copy(from, to);
	to->resources = resources_copy(from->resources, from->resource_count);
	to->ports = array_copy(from->ports, from->port_count, sizeof(*from->ports));
	to->pod_labels = labels_copy(from->pod_labels, from->pod_label_count);
}
