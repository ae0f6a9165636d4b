/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schema: the fields of every message that the kinds served here reach, as a constant table.
 *
 * The table is generated from schema.txt at build time. It drives the decoding of protobuf bodies
 * and the search for unknown and ill-typed fields; the merge keys are those of strategic merge.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum kube_type {
	KUBE_TYPE_STRING,
	KUBE_TYPE_INT,
	KUBE_TYPE_BOOL,
	KUBE_TYPE_BYTES,    /* base64 in JSON */
	KUBE_TYPE_RAW,      /* any JSON */
	KUBE_TYPE_TIME,     /* RFC 3339 in JSON */
	KUBE_TYPE_QUANTITY, /* string or number in JSON */
	KUBE_TYPE_INTSTR,   /* integer or string */
	KUBE_TYPE_MESSAGE,
};

enum {
	KUBE_FIELD_LIST = 1 << 0,
	KUBE_FIELD_MAP = 1 << 1,
	KUBE_FIELD_OPTIONAL = 1 << 2, /* on the wire only when set; zero is a value */
	KUBE_FIELD_INLINE = 1 << 3,   /* its fields belong to the parent's JSON object */
	KUBE_FIELD_MERGE = 1 << 4,    /* strategic merge by merge_key */
	KUBE_FIELD_RETAIN_KEYS = 1 << 5,
	KUBE_FIELD_REPLACE = 1 << 6,
};

struct kube_field {
	const char *name;
	const char *merge_key; /* may be NULL */
	uint16_t number;       /* in protobuf */
	uint16_t message;      /* index of kube_messages, for KUBE_TYPE_MESSAGE */
	uint8_t type;          /* enum kube_type */
	uint8_t flags;
};

struct kube_message {
	const char *name; /* "core/v1.Container" */
	const struct kube_field *fields;
	size_t field_count;
};

struct kube_schema_kind {
	const char *api_version;
	const char *kind;
	size_t message;
};

extern const struct kube_message kube_messages[];
extern const size_t kube_message_count;
extern const struct kube_schema_kind kube_schema_kinds[];
extern const size_t kube_schema_kind_count;

/* The message of a kind, or NULL when the table has none. */
const struct kube_message *kube_schema_of(const char *api_version, const char *kind);

/* A message by its name, which must be one of the table's. */
const struct kube_message *kube_schema_message(const char *name);

/* A field by its JSON name, inline messages included; *@ret_owner is the message it belongs to. */
const struct kube_field *kube_schema_field(const struct kube_message *message, const char *name,
					   const struct kube_message **ret_owner);

/* A field by its protobuf number; an inline field is returned as itself. NULL: unknown. */
const struct kube_field *kube_schema_number(const struct kube_message *message, uint64_t number);

/* What a walk meets. @field is NULL for a member that the schema does not know. */
struct kube_visit {
	const char *path; /* "spec.containers[0].image"; valid during the call */
	const struct kube_message *message;
	const struct kube_field *field;
	json_t *value; /* the member itself: a list or map as a whole; borrowed */
};

enum kube_visit_answer {
	KUBE_VISIT_DESCEND, /* go on into the member's messages, if its type allows */
	KUBE_VISIT_SKIP,
	KUBE_VISIT_REMOVE, /* take the member out of its object */
};

typedef enum kube_visit_answer kube_visit_fn(void *arg, const struct kube_visit *visit);

/* Call @visit for every member of every message in @object, parents first. "apiVersion" and "kind"
 * at the top are not visited. Depth follows the JSON's own, which is bounded at parsing. */
void kube_schema_walk(json_t *object, const struct kube_message *message, kube_visit_fn *visit,
		      void *arg);
