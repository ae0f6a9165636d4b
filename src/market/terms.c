/* SPDX-License-Identifier: Apache-2.0 */
#include "market/terms.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	WISH_SHARE_MAX = 1000,
};

const char *terms_value(struct terms_labels labels, const char *key)
{
	for (size_t i = 0; i < labels.count; i++)
		if (strcmp(labels.list[i].key, key) == 0)
			return labels.list[i].value;
	return NULL;
}

static bool is_among(const struct label_term *term, const char *value)
{
	for (size_t i = 0; i < term->value_count; i++)
		if (strcmp(term->values[i], value) == 0)
			return true;
	return false;
}

/* A decimal integer and nothing else. */
static bool parse_integer(const char *text, long long *ret_number)
{
	char *end;

	if (!isdigit((unsigned char)text[text[0] == '-']))
		return false;
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool compares(const struct label_term *term, const char *value)
{
	long long bound, number;

	if (term->value_count != 1 || !parse_integer(term->values[0], &bound) ||
	    !parse_integer(value, &number))
		return false;
	return term->operator== TERM_GREATER ? number > bound : number<bound;
}

static bool term_holds(const struct label_term *term, struct terms_labels labels)
{
	const char *value = terms_value(labels, term->key);

	switch (term->operator) {
	case TERM_IN:
		return value && is_among(term, value);
	case TERM_NOT_IN:
		return !value || !is_among(term, value);
	case TERM_EXISTS:
		return value != NULL;
	case TERM_ABSENT:
		return value == NULL;
	case TERM_GREATER:
	case TERM_LESS:
		return value && compares(term, value);
	}
	return false;
}

bool terms_hold(const struct term_set *set, struct terms_labels labels)
{
	for (size_t i = 0; i < set->term_count; i++)
		if (!term_holds(&set->terms[i], labels))
			return false;
	return true;
}

bool terms_any_holds(const struct term_sets *sets, struct terms_labels labels)
{
	for (size_t i = 0; i < sets->count; i++)
		if (terms_hold(&sets->list[i], labels))
			return true;
	return sets->count == 0;
}

static bool tolerates(const struct toleration *toleration, const struct taint *taint)
{
	if (toleration->effect != TAINT_ANY && toleration->effect != taint->effect)
		return false;
	if (*toleration->key == '\0')
		return toleration->exists;
	return strcmp(toleration->key, taint->key) == 0 &&
	       (toleration->exists || strcmp(toleration->value, taint->value) == 0);
}

bool terms_tolerate(const struct requirements *needs, const struct taint *taint)
{
	for (size_t i = 0; i < needs->toleration_count; i++)
		if (tolerates(&needs->tolerations[i], taint))
			return true;
	return false;
}

int64_t terms_tolerated_s(const struct requirements *needs, const struct taint *taint)
{
	int64_t least = INT64_MAX;
	bool any = false;

	for (size_t i = 0; i < needs->toleration_count; i++) {
		const struct toleration *toleration = &needs->tolerations[i];

		if (!tolerates(toleration, taint))
			continue;
		any = true;
		if (toleration->limit_s && (int64_t)toleration->limit_s - 1 < least)
			least = (int64_t)toleration->limit_s - 1;
	}
	return any ? least : 0;
}

bool terms_tolerate_all(const struct requirements *needs, const struct taint *taints, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !terms_tolerate(needs, &taints[i]))
			return false;
	return true;
}

void terms_wish_add(struct terms_wish *wish, int32_t weight, bool holds)
{
	uint32_t size = (uint32_t)(weight < 0 ? -weight : weight);

	wish->wanted += size;
	if (holds == (weight >= 0))
		wish->met += size;
}

uint32_t terms_wish_penalty(const struct terms_wish *wish)
{
	if (wish->wanted == 0)
		return 0;
	return (wish->wanted - wish->met) * WISH_SHARE_MAX / wish->wanted;
}
