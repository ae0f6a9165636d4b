/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "kube/field_label.h"
#include "kube/member.h"
#include "kube/name.h"

/* Reads a selector's text; a token is borrowed from it. */
struct cursor {
	const char *at;
};

static void cursor_skip_spaces(struct cursor *cursor)
{
	while (*cursor->at == ' ' || *cursor->at == '\t')
		cursor->at++;
}

/* A key, word or value: everything up to a character that means something. May be empty. */
static struct bytes cursor_word(struct cursor *cursor)
{
	cursor_skip_spaces(cursor);
	size_t len = strcspn(cursor->at, " \t=!,()<>");
	struct bytes word = bytes_of(cursor->at, len);
	cursor->at += len;
	cursor_skip_spaces(cursor);
	return word;
}

static bool cursor_take(struct cursor *cursor, const char *token)
{
	size_t len = strlen(token);
	if (strncmp(cursor->at, token, len) != 0)
		return false;
	cursor->at += len;
	return true;
}

static bool word_is(struct bytes word, const char *text)
{
	return bytes_equal(word, bytes_str(text));
}

static struct kube_term *selector_add(struct kube_selector *selector, char *key)
{
	selector->terms =
		mem_resize(selector->terms, selector->term_count + 1, sizeof(*selector->terms));
	struct kube_term *term = &selector->terms[selector->term_count++];
	*term = (struct kube_term){.key = key, .operator= KUBE_OPERATOR_EXISTS };
	return term;
}

static void term_add_value(struct kube_term *term, char *value)
{
	term->values = mem_resize(term->values, term->value_count + 1, sizeof(*term->values));
	term->values[term->value_count++] = value;
}

static int refuse(struct err *err, const char *what, const char *text)
{
	return err_set_status(err, -EINVAL, 400, "unable to parse selector: %s near \"%.60s\"",
			      what, text);
}

/* "(a,b)" after in and notin. */
static int values_parse(struct cursor *cursor, struct kube_term *term, struct err *err)
{
	if (!cursor_take(cursor, "("))
		return refuse(err, "expected '('", cursor->at);
	do {
		struct bytes value = cursor_word(cursor);
		if (term->value_count >= KUBE_SELECTOR_VALUES_MAX)
			return refuse(err, "too many values", cursor->at);
		term_add_value(term, mem_copy(value.ptr, value.len));
	} while (cursor_take(cursor, ","));
	return cursor_take(cursor, ")") ? 0 : refuse(err, "expected ')'", cursor->at);
}

/* What follows a key: an operator with its values, or nothing at all. */
static int operator_parse(struct cursor *cursor, struct kube_term *term, struct err *err)
{
	bool differs = cursor_take(cursor, "!=");
	if (differs || cursor_take(cursor, "==") || cursor_take(cursor, "=")) {
		term->operator= differs ? KUBE_OPERATOR_NOT_IN : KUBE_OPERATOR_IN;
		struct bytes value = cursor_word(cursor);
		term_add_value(term, mem_copy(value.ptr, value.len));
		return 0;
	}
	struct bytes word = cursor_word(cursor);
	if (word.len == 0)
		return 0;
	if (!word_is(word, "in") && !word_is(word, "notin"))
		return refuse(err, "unknown operator", (const char *)word.ptr);
	term->operator= word_is(word, "in") ? KUBE_OPERATOR_IN : KUBE_OPERATOR_NOT_IN;
	return values_parse(cursor, term, err);
}

static int label_term_parse(struct cursor *cursor, struct kube_selector *selector, struct err *err)
{
	cursor_skip_spaces(cursor);
	bool absent = cursor_take(cursor, "!");
	struct bytes key = cursor_word(cursor);
	struct kube_term *term = selector_add(selector, mem_copy(key.ptr, key.len));
	if (!kube_name_is_label_key(term->key))
		return refuse(err, "not a label key", term->key);
	if (absent) {
		term->operator= KUBE_OPERATOR_ABSENT;
		return 0;
	}
	/* Values are not judged: one that no label can have selects nothing. */
	return operator_parse(cursor, term, err);
}

static int field_term_parse(struct cursor *cursor, struct kube_selector *selector, struct err *err)
{
	struct bytes key = cursor_word(cursor);
	if (key.len == 0)
		return refuse(err, "expected a field", cursor->at);
	struct kube_term *term = selector_add(selector, mem_copy(key.ptr, key.len));
	bool differs = cursor_take(cursor, "!=");
	if (!differs && !cursor_take(cursor, "==") && !cursor_take(cursor, "="))
		return refuse(err, "expected =, == or !=", cursor->at);
	term->operator= differs ? KUBE_OPERATOR_NOT_IN : KUBE_OPERATOR_IN;
	/* A field's value is free text up to the next comma. */
	size_t len = strcspn(cursor->at, ",");
	term_add_value(term, mem_copy(cursor->at, len));
	cursor->at += len;
	return 0;
}

typedef int term_parse_fn(struct cursor *cursor, struct kube_selector *selector, struct err *err);

static int selector_parse(const char *text, term_parse_fn *term_parse,
			  struct kube_selector *ret_selector, struct err *err)
{
	struct cursor cursor = {.at = text ? text : ""};
	struct kube_selector selector = {0};
	int r = 0;
	cursor_skip_spaces(&cursor);
	while (r == 0 && *cursor.at) {
		if (selector.term_count >= KUBE_SELECTOR_TERMS_MAX) {
			r = refuse(err, "too many terms", cursor.at);
			break;
		}
		r = term_parse(&cursor, &selector, err);
		cursor_skip_spaces(&cursor);
		if (r == 0 && *cursor.at && !cursor_take(&cursor, ","))
			r = refuse(err, "expected ','", cursor.at);
	}
	if (r)
		kube_selector_deinit(&selector);
	else
		*ret_selector = selector;
	return r;
}

int kube_label_selector_parse(const char *text, struct kube_selector *ret_selector, struct err *err)
{
	return selector_parse(text, label_term_parse, ret_selector, err);
}

/* The term's label becomes the path of the member that it stands for. */
static int field_term_resolve(struct kube_term *term, const struct kube_resource *resource,
			      struct err *err)
{
	const char *path = kube_field_label(resource, term->key);
	if (!path)
		return err_set_status(err, -EINVAL, 400, "field label not supported: %.200s",
				      term->key);
	free(term->key);
	term->key = mem_strdup(path);
	return 0;
}

int kube_field_selector_parse(const char *text, const struct kube_resource *resource,
			      struct kube_selector *ret_selector, struct err *err)
{
	struct kube_selector selector = {0};
	int r = selector_parse(text, field_term_parse, &selector, err);
	for (size_t i = 0; r == 0 && i < selector.term_count; i++)
		r = field_term_resolve(&selector.terms[i], resource, err);
	if (r)
		kube_selector_deinit(&selector);
	else
		*ret_selector = selector;
	return r;
}

static int expression_from_json(const json_t *expression, struct kube_selector *selector,
				struct err *err)
{
	static const struct {
		const char *word;
		enum kube_operator operator;
		bool takes_values;
	} operators[] = {
		{"In", KUBE_OPERATOR_IN, true},
		{"NotIn", KUBE_OPERATOR_NOT_IN, true},
		{"Exists", KUBE_OPERATOR_EXISTS, false},
		{"DoesNotExist", KUBE_OPERATOR_ABSENT, false},
	};
	const char *word = kube_member_string(expression, "operator");
	const json_t *values = json_object_get(expression, "values");
	size_t row = 0, index;
	json_t *value;
	while (row < ARRAY_LEN(operators) && strcmp(operators[row].word, word) != 0)
		row++;
	if (row == ARRAY_LEN(operators))
		return refuse(err, "unknown operator", word);
	if ((json_array_size(values) != 0) != operators[row].takes_values ||
	    json_array_size(values) > KUBE_SELECTOR_VALUES_MAX)
		return refuse(err, "values do not fit the operator", word);
	struct kube_term *term =
		selector_add(selector, mem_strdup(kube_member_string(expression, "key")));
	term->operator= operators[row].operator;
	json_array_foreach (values, index, value) {
		const char *text = json_string_value(value);
		term_add_value(term, mem_strdup(text ? text : ""));
	}
	return kube_name_is_label_key(term->key) ? 0 : refuse(err, "not a label key", term->key);
}

int kube_label_selector_from_json(const json_t *selector, struct kube_selector *ret_selector,
				  struct err *err)
{
	struct kube_selector parsed = {0};
	const json_t *expressions = json_object_get(selector, "matchExpressions");
	json_t *labels = json_object_get(selector, "matchLabels");
	const char *key;
	json_t *value;
	size_t index;
	int r = 0;
	if (json_object_size(labels) + json_array_size(expressions) > KUBE_SELECTOR_TERMS_MAX)
		return refuse(err, "too many terms", "");
	json_object_foreach (labels, key, value) {
		const char *text = json_string_value(value);
		struct kube_term *term = selector_add(&parsed, mem_strdup(key));
		term->operator= KUBE_OPERATOR_IN;
		term_add_value(term, mem_strdup(text ? text : ""));
	}
	json_array_foreach (expressions, index, value) {
		r = expression_from_json(value, &parsed, err);
		if (r)
			break;
	}
	if (r)
		kube_selector_deinit(&parsed);
	else
		*ret_selector = parsed;
	return r;
}

void kube_selector_deinit(struct kube_selector *selector)
{
	for (size_t i = 0; i < selector->term_count; i++) {
		struct kube_term *term = &selector->terms[i];
		for (size_t k = 0; k < term->value_count; k++)
			free(term->values[k]);
		free(term->values);
		free(term->key);
	}
	free(selector->terms);
	*selector = (struct kube_selector){0};
}

/* @value NULL: the key is absent. */
static bool term_matches(const struct kube_term *term, const char *value)
{
	bool found = false;
	for (size_t i = 0; value && i < term->value_count; i++)
		found |= strcmp(term->values[i], value) == 0;
	switch (term->operator) {
	case KUBE_OPERATOR_IN:
		return found;
	case KUBE_OPERATOR_NOT_IN:
		return !found;
	case KUBE_OPERATOR_EXISTS:
		return value != NULL;
	case KUBE_OPERATOR_ABSENT:
		return value == NULL;
	}
	return false;
}

bool kube_selector_matches_labels(const struct kube_selector *selector, const json_t *labels)
{
	for (size_t i = 0; i < selector->term_count; i++) {
		const struct kube_term *term = &selector->terms[i];
		if (!term_matches(term, json_string_value(json_object_get(labels, term->key))))
			return false;
	}
	return true;
}

bool kube_label_selector_matches(const struct kube_selector *selector, const json_t *object)
{
	return kube_selector_matches_labels(selector, kube_member(object, "metadata.labels"));
}

bool kube_field_selector_matches(const struct kube_selector *selector, const json_t *object)
{
	for (size_t i = 0; i < selector->term_count; i++) {
		const struct kube_term *term = &selector->terms[i];
		const json_t *value = kube_member(object, term->key);
		const char *text = json_string_value(value);
		char number[32];
		if (json_is_boolean(value)) {
			text = json_is_true(value) ? "true" : "false";
		} else if (json_is_integer(value)) {
			(void)snprintf(number, sizeof(number), "%lld",
				       (long long)json_integer_value(value));
			text = number;
		} else if (!text && strcmp(term->key, "spec.unschedulable") == 0) {
			text = "false"; /* the one boolean that is asked for by its default */
		}
		if (!term_matches(term, text ? text : ""))
			return false;
	}
	return true;
}

const char *kube_field_selector_value(const struct kube_selector *selector, const char *path)
{
	for (size_t i = 0; i < selector->term_count; i++) {
		const struct kube_term *term = &selector->terms[i];
		if (term->operator== KUBE_OPERATOR_IN && strcmp(term->key, path) == 0)
			return term->values[0];
	}
	return NULL;
}

const char *kube_field_selector_name(const struct kube_selector *selector)
{
	return kube_field_selector_value(selector, "metadata.name");
}
