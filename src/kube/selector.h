/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selectors: which objects of a list a client wants.
 *
 * A label selector comes as a query string ("app=web,tier in (a,b),!old") or as a LabelSelector in
 * JSON; a field selector as "metadata.name=web,status.phase!=Running". A selector without terms
 * selects everything. Terms own their text.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/resource.h"

enum {
	KUBE_SELECTOR_TERMS_MAX = 64,   /* per selector; more is an attack, not a question */
	KUBE_SELECTOR_VALUES_MAX = 256, /* in one set */
};

enum kube_operator {
	KUBE_OPERATOR_IN,     /* also = and == */
	KUBE_OPERATOR_NOT_IN, /* also !=; true when the key is absent */
	KUBE_OPERATOR_EXISTS,
	KUBE_OPERATOR_ABSENT,
};

struct kube_term {
	char *key;
	enum kube_operator operator;
	char **values;
	size_t value_count;
};

struct kube_selector {
	struct kube_term *terms;
	size_t term_count;
};

/* Parse ?labelSelector=. NULL and "" select everything. 0, or -EINVAL with err->status 400. */
_must_use_ int kube_label_selector_parse(const char *text, struct kube_selector *ret_selector,
					 struct err *err);

/* Read a LabelSelector (matchLabels, matchExpressions). NULL selects everything. */
_must_use_ int kube_label_selector_from_json(const json_t *selector,
					     struct kube_selector *ret_selector, struct err *err);

/* Parse ?fieldSelector= for objects of @resource: only = == and !=, and only the fields of
 * field_label.h. An unknown one would select everything, or nothing, without a word. */
_must_use_ int kube_field_selector_parse(const char *text, const struct kube_resource *resource,
					 struct kube_selector *ret_selector, struct err *err);

void kube_selector_deinit(struct kube_selector *selector);

/* Whether an object of labels (a JSON object of strings, may be NULL) is selected. */
bool kube_selector_matches_labels(const struct kube_selector *selector, const json_t *labels);

/* As above for a whole object: metadata.labels. */
bool kube_label_selector_matches(const struct kube_selector *selector, const json_t *object);

/*
 * Whether @object's fields are selected. A path names a member by dots ("spec.nodeName"); a missing
 * one reads as "", a boolean as "true" or "false", a number as its decimal.
 */
bool kube_field_selector_matches(const struct kube_selector *selector, const json_t *object);

/* The value of the field @path when the selector pins it with "=", or NULL. Of metadata.name it
 * saves a whole list. */
const char *kube_field_selector_value(const struct kube_selector *selector, const char *path);
const char *kube_field_selector_name(const struct kube_selector *selector);
