/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser's events build the document bottom up on a stack of open containers, so that nesting
 * costs no C stack and every value is counted as it is made. An alias copies its anchor's value and
 * is charged for all of it: nine levels of ten aliases hit the limit, not the machine.
 */
#include "kube/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "kube/manifest.h"
#include "kube/member.h"

enum {
	ANCHORS_MAX = 256, /* in one document */
};

struct frame {
	json_t *container; /* owned until it is closed */
	char *key;         /* of a mapping: the key whose value comes next; owned */
	char *anchor;      /* owned; NULL: none */
	json_t *merges;    /* owned: what "<<" named, applied at the end; NULL: nothing */
};

struct anchor {
	char *name;
	json_t *value;
};

struct builder {
	yaml_parser_t parser;
	struct frame frames[KUBE_MANIFEST_DEPTH_MAX];
	size_t depth;
	struct anchor anchors[ANCHORS_MAX];
	size_t anchor_count;
	size_t node_count;
	json_t *root; /* owned */
	bool strict;
	json_t *warnings;
	struct err *err;
};

static int refuse(const struct builder *builder, const char *what, const char *text)
{
	return err_set_status(builder->err, -EINVAL, 400,
			      "error converting YAML to JSON: yaml: line %zu: %s%s%.80s",
			      builder->parser.mark.line + 1, what, *text ? ": " : "", text);
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

/* An integer in any of YAML 1.1's bases: 0x, 0b, 0o, and a leading zero for octal. */
static json_t *scalar_integer(const char *text)
{
	char digits[72];
	size_t len = 0;
	int base = 10;
	bool negative = *text == '-';
	const char *at = text + (*text == '-' || *text == '+');
	if (*at < '0' || *at > '9')
		return NULL;
	if (at[0] == '0' && at[1]) {
		base = at[1] == 'x' ? 16 : at[1] == 'b' ? 2 : 8;
		at += strchr("xbo", at[1]) ? 2 : 1;
	}
	for (; *at; at++) {
		if (*at == '_')
			continue;
		if (len + 1 >= sizeof(digits))
			return NULL;
		digits[len++] = *at;
	}
	digits[len] = 0;
	if (len == 0 || strspn(digits, "0123456789abcdefABCDEF") != len)
		return NULL;
	char *end;
	errno = 0;
	unsigned long long value = strtoull(digits, &end, base);
	if (*end || errno || value > (unsigned long long)INT64_MAX)
		return NULL;
	return json_integer(negative ? -(json_int_t)value : (json_int_t)value);
}

/* A decimal fraction or exponent; nothing else that strtod() would take (inf, nan, hex). */
static json_t *scalar_real(const char *text)
{
	const char *at = text + (*text == '-' || *text == '+');
	size_t whole = strspn(at, "0123456789");
	at += whole;
	size_t fraction = 0;
	if (*at == '.') {
		fraction = strspn(at + 1, "0123456789");
		at += 1 + fraction;
	}
	if (whole + fraction == 0)
		return NULL;
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		size_t exponent = strspn(at, "0123456789");
		if (exponent == 0)
			return NULL;
		at += exponent;
	}
	double value = strtod(text, NULL);
	return *at || !isfinite(value) ? NULL : json_real(value);
}

json_t *kube_yaml_scalar(const char *text)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
					    "on",   "On",   "ON",   "y",   "Y",   NULL};
	static const char *const falses[] = {"false", "False", "FALSE", "no", "No", "NO",
					     "off",   "Off",   "OFF",   "n",  "N",  NULL};
	if (is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, trues))
		return json_true();
	if (is_one_of(text, falses))
		return json_false();
	json_t *value = scalar_integer(text);
	if (!value)
		value = scalar_real(text);
	if (!value)
		value = json_string(text);
	return value;
}

static int builder_charge(struct builder *builder, size_t count)
{
	builder->node_count += count;
	return builder->node_count <= KUBE_MANIFEST_NODES_MAX
		       ? 0
		       : refuse(builder, "document contains excessive aliasing or values", "");
}

static int frame_put(struct builder *builder, struct frame *frame, json_t *value)
{
	char *key = frame->key;
	frame->key = NULL;
	if (strcmp(key, "<<") == 0 && (json_is_object(value) || json_is_array(value))) {
		if (!frame->merges)
			frame->merges = json_array();
		if (json_is_array(value))
			(void)json_array_extend(frame->merges, value);
		else
			kube_push(frame->merges, json_incref(value));
		json_decref(value);
		free(key);
		return 0;
	}
	bool duplicate = json_object_get(frame->container, key) != NULL;
	int r = 0;
	if (duplicate && builder->strict)
		r = refuse(builder, "key already set in map", key);
	else if (duplicate && builder->warnings)
		kube_push(builder->warnings, kube_text("duplicate field \"%.120s\"", key));
	kube_set(frame->container, key, value);
	free(key);
	return r;
}

/* A finished value finds its place: in the open container, as its key, or as the document. */
static int builder_put(struct builder *builder, json_t *value)
{
	if (builder->depth == 0) {
		builder->root = value;
		return 0;
	}
	struct frame *frame = &builder->frames[builder->depth - 1];
	if (json_is_array(frame->container)) {
		kube_push(frame->container, value);
		return 0;
	}
	if (frame->key)
		return frame_put(builder, frame, value);
	json_decref(value);
	return refuse(builder, "a key must be a scalar", "");
}

static int builder_anchor(struct builder *builder, const char *name, json_t *value)
{
	for (size_t i = 0; i < builder->anchor_count; i++) {
		if (strcmp(builder->anchors[i].name, name) == 0) {
			json_decref(builder->anchors[i].value);
			builder->anchors[i].value = json_incref(value);
			return 0;
		}
	}
	if (builder->anchor_count >= ANCHORS_MAX)
		return refuse(builder, "too many anchors", "");
	builder->anchors[builder->anchor_count++] = (struct anchor){
		.name = mem_strdup(name),
		.value = json_incref(value),
	};
	return 0;
}

static int on_scalar(struct builder *builder, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	size_t len = event->data.scalar.length;
	if (strlen(text) != len)
		return refuse(builder, "a zero byte in a string", text);
	int r = builder_charge(builder, 1);
	if (r)
		return r;
	struct frame *frame = builder->depth ? &builder->frames[builder->depth - 1] : NULL;
	if (frame && json_is_object(frame->container) && !frame->key) {
		frame->key = mem_strdup(text);
		return 0;
	}
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	bool as_string = tag ? strcmp(tag, YAML_STR_TAG) == 0 || tag[0] == '!' : !plain;
	json_t *value = as_string ? json_stringn(text, len) : kube_yaml_scalar(text);
	if (!value)
		return refuse(builder, "a string that is not UTF-8", "");
	if (event->data.scalar.anchor)
		r = builder_anchor(builder, (const char *)event->data.scalar.anchor, value);
	if (r) {
		json_decref(value);
		return r;
	}
	return builder_put(builder, value);
}

static int on_alias(struct builder *builder, const char *name)
{
	for (size_t i = 0; i < builder->anchor_count; i++) {
		if (strcmp(builder->anchors[i].name, name) != 0)
			continue;
		json_t *value = builder->anchors[i].value;
		struct kube_size size;
		kube_measure(value, &size);
		int r = builder_charge(builder, size.nodes);
		if (r)
			return r;
		if (builder->depth + size.depth > KUBE_MANIFEST_DEPTH_MAX)
			return refuse(builder, "nested too deeply", "");
		return builder_put(builder, json_deep_copy(value));
	}
	return refuse(builder, "unknown anchor", name);
}

static int on_open(struct builder *builder, json_t *container, const yaml_char_t *anchor)
{
	int r = builder_charge(builder, 1);
	if (r == 0 && builder->depth >= KUBE_MANIFEST_DEPTH_MAX)
		r = refuse(builder, "nested too deeply", "");
	if (r) {
		json_decref(container);
		return r;
	}
	struct frame *frame = &builder->frames[builder->depth++];
	*frame = (struct frame){
		.container = container,
		.anchor = mem_strdup((const char *)anchor),
	};
	return 0;
}

static int on_close(struct builder *builder)
{
	struct frame frame = builder->frames[--builder->depth];
	size_t index;
	json_t *merge;
	int r = 0;
	json_array_foreach (frame.merges, index, merge) {
		/* The mapping's own keys win, then the earlier of several merged ones. */
		if (json_is_object(merge))
			(void)json_object_update_missing(frame.container, merge);
	}
	if (frame.anchor)
		r = builder_anchor(builder, frame.anchor, frame.container);
	free(frame.anchor);
	json_decref(frame.merges);
	if (r) {
		json_decref(frame.container);
		return r;
	}
	return builder_put(builder, frame.container);
}

static int on_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return builder->root ? refuse(builder, "more than one document", "") : 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(builder, event);
	case YAML_ALIAS_EVENT:
		return on_alias(builder, (const char *)event->data.alias.anchor);
	case YAML_MAPPING_START_EVENT:
		return on_open(builder, json_object(), event->data.mapping_start.anchor);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(builder, json_array(), event->data.sequence_start.anchor);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_close(builder);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

static int builder_run(struct builder *builder)
{
	yaml_event_t event;
	bool done = false;
	while (!done) {
		if (!yaml_parser_parse(&builder->parser, &event)) {
			const char *problem = builder->parser.problem;
			return refuse(builder, problem ? problem : "cannot be read", "");
		}
		done = event.type == YAML_STREAM_END_EVENT;
		int r = on_event(builder, &event);
		yaml_event_delete(&event);
		if (r)
			return r;
	}
	return builder->root ? 0 : refuse(builder, "no document", "");
}

static void builder_deinit(struct builder *builder)
{
	while (builder->depth) {
		struct frame *frame = &builder->frames[--builder->depth];
		json_decref(frame->container);
		json_decref(frame->merges);
		free(frame->key);
		free(frame->anchor);
	}
	for (size_t i = 0; i < builder->anchor_count; i++) {
		free(builder->anchors[i].name);
		json_decref(builder->anchors[i].value);
	}
	yaml_parser_delete(&builder->parser);
	json_decref(builder->root);
	free(builder);
}

int kube_yaml_parse(struct bytes text, bool strict, json_t *warnings, json_t **ret_value,
		    struct err *err)
{
	struct builder *builder = mem_new(struct builder);
	builder->strict = strict;
	builder->warnings = warnings;
	builder->err = err;
	if (!yaml_parser_initialize(&builder->parser))
		abort(); /* memory is out */
	yaml_parser_set_input_string(&builder->parser, text.len ? text.ptr : (const uint8_t *)"",
				     text.len);
	yaml_parser_set_encoding(&builder->parser, YAML_UTF8_ENCODING);
	int r = builder_run(builder);
	if (r == 0) {
		*ret_value = builder->root;
		builder->root = NULL;
	}
	builder_deinit(builder);
	return r;
}
