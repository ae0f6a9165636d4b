/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Affinity as sets of label terms.
 *
 * matchFields knows one field, metadata.name, and a machine's label kubernetes.io/hostname always
 * is its name: so a field becomes a term on that label. Pods are looked at per machine: a
 * preference for another topology is passed over, a requirement refused.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/needs.h"
#include "kube/selector.h"
#include "wire/message.h"

static const char hostname_label[] = "kubernetes.io/hostname";

static int refuse(struct err *err, const char *what)
{
	return err_set_status(err, -EINVAL, 422, "affinity: %s", what);
}

static bool read_operator(const char *name, enum term_operator *ret_operator)
{
	static const char *const names[] = {
		[TERM_IN] = "In",         [TERM_NOT_IN] = "NotIn",
		[TERM_EXISTS] = "Exists", [TERM_ABSENT] = "DoesNotExist",
		[TERM_GREATER] = "Gt",    [TERM_LESS] = "Lt",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret_operator = (enum term_operator)i;
		return true;
	}
	return false;
}

static bool value_count_fits(enum term_operator operator, size_t count)
{
	switch (operator) {
	case TERM_IN:
	case TERM_NOT_IN:
		return count > 0 && count <= MESSAGE_VALUES_MAX;
	case TERM_EXISTS:
	case TERM_ABSENT:
		return count == 0;
	case TERM_GREATER:
	case TERM_LESS:
		return count == 1;
	}
	return false;
}

/* What a label may be, or what it is compared with: a number, which may be negative. */
static bool is_value(enum term_operator operator, const char * value)
{
	if (operator== TERM_GREATER || operator== TERM_LESS)
		return *value && strspn(value, "-0123456789") == strlen(value) &&
		       strlen(value) <= MESSAGE_LABEL_VALUE_MAX;
	return kube_name_is_label_value(value);
}

static struct label_term *set_add(struct term_set *set)
{
	set->terms = mem_resize(set->terms, set->term_count + 1, sizeof(*set->terms));
	set->terms[set->term_count] = (struct label_term){0};
	return &set->terms[set->term_count++];
}

static struct term_set *sets_add(struct term_sets *sets, int64_t weight)
{
	sets->list = mem_resize(sets->list, sets->count + 1, sizeof(*sets->list));
	sets->list[sets->count] = (struct term_set){.weight = (int32_t)weight};
	return &sets->list[sets->count++];
}

/* One NodeSelectorRequirement; @key NULL: its own. */
static int term_read(const json_t *from, const char *key, struct term_set *set, struct err *err)
{
	const json_t *values = json_object_get(from, "values");
	size_t count = json_array_size(values);
	struct label_term *term;
	enum term_operator operator;
	if (!key)
		key = kube_member_string(from, "key");
	if (!kube_name_is_label_key(key))
		return refuse(err, "not a label key");
	if (!read_operator(kube_member_string(from, "operator"), &operator) ||
	    !value_count_fits(operator, count) || set->term_count >= MESSAGE_TERMS_MAX)
		return refuse(err, "not an expression");
	term = set_add(set);
	term->key = mem_strdup(key);
	term->operator= operator;
	term->values = mem_alloc(count, sizeof(*term->values));
	for (size_t i = 0; i < count; i++) {
		const char *value = json_string_value(json_array_get(values, i));
		if (!value || !is_value(operator, value))
			return refuse(err, "not a label value");
		term->values[term->value_count++] = mem_strdup(value);
	}
	return 0;
}

/* A NodeSelectorTerm. It must say something: an empty one would match no machine. */
static int node_set_read(const json_t *from, struct term_set *set, struct err *err)
{
	json_t *expression;
	size_t index;
	int r = 0;
	json_array_foreach (json_object_get(from, "matchExpressions"), index, expression) {
		r = r ? r : term_read(expression, NULL, set, err);
	}
	json_array_foreach (json_object_get(from, "matchFields"), index, expression) {
		if (r == 0 && strcmp(kube_member_string(expression, "key"), "metadata.name") != 0)
			r = refuse(err, "a field that is not metadata.name");
		r = r ? r : term_read(expression, hostname_label, set, err);
	}
	if (r == 0 && set->term_count == 0)
		r = refuse(err, "a term without expressions");
	return r;
}

static int weight_read(const json_t *from, int64_t *ret_weight, struct err *err)
{
	*ret_weight = kube_member_int(from, "weight", 0);
	if (*ret_weight < 1 || *ret_weight > MESSAGE_WEIGHT_MAX)
		return refuse(err, "a weight is not in the range 1-100");
	return 0;
}

static int node_affinity_read(const json_t *from, struct requirements *needs, struct err *err)
{
	const json_t *required =
		json_object_get(from, "requiredDuringSchedulingIgnoredDuringExecution");
	json_t *term;
	size_t index;
	int64_t weight = 0;
	int r = 0;
	if (required && json_array_size(json_object_get(required, "nodeSelectorTerms")) == 0)
		return refuse(err, "nodeSelectorTerms is empty");
	json_array_foreach (json_object_get(required, "nodeSelectorTerms"), index, term) {
		if (needs->selector.count >= MESSAGE_SETS_MAX)
			return refuse(err, "too many terms");
		r = r ? r : node_set_read(term, sets_add(&needs->selector, 0), err);
	}
	json_array_foreach (
		json_object_get(from, "preferredDuringSchedulingIgnoredDuringExecution"), index,
		term) {
		if (needs->preferred.count >= MESSAGE_SETS_MAX)
			return refuse(err, "too many terms");
		r = r ? r : weight_read(term, &weight, err);
		r = r ? r
		      : node_set_read(json_object_get(term, "preference"),
				      sets_add(&needs->preferred, weight), err);
	}
	return r;
}

/* A label selector over pods; both kinds of operators come in the same order. */
static int pod_set_read(const json_t *term, struct term_set *set, struct err *err)
{
	struct kube_selector selector;
	int r = kube_label_selector_from_json(json_object_get(term, "labelSelector"), &selector,
					      err);
	if (r)
		return refuse(err, "not a label selector");
	for (size_t i = 0; i < selector.term_count && r == 0; i++) {
		struct kube_term *from = &selector.terms[i];
		struct label_term *to;
		if (!kube_name_is_label_key(from->key) ||
		    !value_count_fits((enum term_operator)from->operator, from->value_count)) {
			r = refuse(err, "not a label selector");
			break;
		}
		to = set_add(set);
		to->operator=(enum term_operator) from->operator;
		to->key = mem_strdup(from->key);
		to->values = mem_alloc(from->value_count, sizeof(*to->values));
		for (size_t k = 0; k < from->value_count && r == 0; k++) {
			to->values[to->value_count++] = mem_strdup(from->values[k]);
			if (!kube_name_is_label_value(from->values[k]))
				r = refuse(err, "not a label value");
		}
	}
	kube_selector_deinit(&selector);
	return r;
}

static bool is_by_host(const json_t *term)
{
	return strcmp(kube_member_string(term, "topologyKey"), hostname_label) == 0;
}

/* One PodAffinityTerm; without a selector it matches no pod. */
static int pod_term_read(const json_t *term, struct term_sets *sets, int64_t weight,
			 struct err *err)
{
	if (sets->count >= MESSAGE_SETS_MAX)
		return refuse(err, "too many terms");
	return pod_set_read(term, sets_add(sets, weight), err);
}

static int pods_required_read(const json_t *from, struct term_sets *sets, bool is_anti,
			      struct err *err)
{
	json_t *term;
	size_t index;
	json_array_foreach (json_object_get(from, "requiredDuringSchedulingIgnoredDuringExecution"),
			    index, term) {
		bool has_selector = json_is_object(json_object_get(term, "labelSelector"));
		int r;
		if (!is_by_host(term))
			return refuse(err, "pods are kept together or apart by machine only");
		if (!has_selector && is_anti)
			continue;
		if (!has_selector)
			return refuse(err, "without a labelSelector no pod matches");
		r = pod_term_read(term, sets, 0, err);
		if (r)
			return r;
	}
	return 0;
}

static int pods_preferred_read(const json_t *from, struct term_sets *sets, bool is_anti,
			       struct err *err)
{
	json_t *weighted;
	size_t index;
	json_array_foreach (
		json_object_get(from, "preferredDuringSchedulingIgnoredDuringExecution"), index,
		weighted) {
		const json_t *term = json_object_get(weighted, "podAffinityTerm");
		int64_t weight;
		int r = weight_read(weighted, &weight, err);
		if (r == 0 && is_by_host(term) &&
		    json_is_object(json_object_get(term, "labelSelector")))
			r = pod_term_read(term, sets, is_anti ? -weight : weight, err);
		if (r)
			return r;
	}
	return 0;
}

int kube_affinity_read(const json_t *affinity, struct requirements *needs, struct err *err)
{
	const json_t *with = json_object_get(affinity, "podAffinity");
	const json_t *apart = json_object_get(affinity, "podAntiAffinity");
	int r = node_affinity_read(json_object_get(affinity, "nodeAffinity"), needs, err);
	if (r == 0)
		r = pods_required_read(with, &needs->with, false, err);
	if (r == 0)
		r = pods_required_read(apart, &needs->apart, true, err);
	if (r == 0)
		r = pods_preferred_read(with, &needs->pods_preferred, false, err);
	if (r == 0)
		r = pods_preferred_read(apart, &needs->pods_preferred, true, err);
	return r;
}
