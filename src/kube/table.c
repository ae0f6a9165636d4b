/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table is a list of columns and one function that fills the cells of a row; the generic one
 * serves every kind without its own.
 */
#include "kube/table.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "kube/member.h"
#include "kube/table_row.h"
#include "kube/time.h"

struct column {
	const char *name;
	bool wide; /* only with -o wide */
};

struct table {
	enum kube_resource_id id;
	const struct column *columns;
	size_t column_count;
	kube_row_fn *row;
};

static const struct column pod_columns[] = {
	{"Name", false},     {"Ready", false},         {"Status", false},
	{"Restarts", false}, {"Age", false},           {"IP", true},
	{"Node", true},      {"Nominated Node", true}, {"Readiness Gates", true},
};
static const struct column node_columns[] = {
	{"Name", false},          {"Status", false},
	{"Roles", false},         {"Age", false},
	{"Version", false},       {"Internal-IP", true},
	{"External-IP", true},    {"OS-Image", true},
	{"Kernel-Version", true}, {"Container-Runtime", true},
};
static const struct column deployment_columns[] = {
	{"Name", false}, {"Ready", false},     {"Up-to-date", false}, {"Available", false},
	{"Age", false},  {"Containers", true}, {"Images", true},      {"Selector", true},
};
static const struct column replica_set_columns[] = {
	{"Name", false}, {"Desired", false},   {"Current", false}, {"Ready", false},
	{"Age", false},  {"Containers", true}, {"Images", true},   {"Selector", true},
};
static const struct column namespace_columns[] = {
	{"Name", false},
	{"Status", false},
	{"Age", false},
};
static const struct column event_columns[] = {
	{"Last Seen", false}, {"Type", false},  {"Reason", false},  {"Object", false},
	{"Subobject", true},  {"Source", true}, {"Message", false}, {"First Seen", true},
	{"Count", true},      {"Name", true},
};
static const struct column generic_columns[] = {
	{"Name", false},
	{"Age", false},
};

static void generic_row(json_t *cells, const json_t *object, struct wall now)
{
	kube_push(cells, json_string(kube_member_string(object, "metadata.name")));
	kube_row_age(cells, object, now);
}

static void namespace_row(json_t *cells, const json_t *object, struct wall now)
{
	kube_push(cells, json_string(kube_member_string(object, "metadata.name")));
	kube_push(cells, json_string(kube_member_string(object, "status.phase")));
	kube_row_age(cells, object, now);
}

static void event_row(json_t *cells, const json_t *object, struct wall now)
{
	const json_t *involved = json_object_get(object, "involvedObject");
	const char *host = kube_member_string(object, "source.host");
	const char *last = kube_member_string(object, "lastTimestamp");
	const char *first = kube_member_string(object, "firstTimestamp");
	char kind[64];
	kube_row_lower(kube_member_string(involved, "kind"), kind, sizeof(kind));
	kube_push(cells, json_string(kube_age_of(last, now).text));
	kube_push(cells, json_string(kube_member_string(object, "type")));
	kube_push(cells, json_string(kube_member_string(object, "reason")));
	kube_push(cells, kube_text("%s/%s", kind, kube_member_string(involved, "name")));
	kube_push(cells, json_string(kube_member_string(involved, "fieldPath")));
	kube_push(cells, kube_text("%s%s%s", kube_member_string(object, "source.component"),
				   *host ? ", " : "", host));
	kube_push(cells, json_string(kube_member_string(object, "message")));
	kube_push(cells, json_string(kube_age_of(first, now).text));
	kube_push(cells, json_integer(kube_member_int(object, "count", 1)));
	kube_push(cells, json_string(kube_member_string(object, "metadata.name")));
}

#define TABLE(id_, columns_, row_)                                                                \
	{                                                                                         \
		.id = id_, .columns = columns_, .column_count = ARRAY_LEN(columns_), .row = row_, \
	}
static const struct table tables[] = {
	TABLE(KUBE_PODS, pod_columns, kube_pod_row),
	TABLE(KUBE_NODES, node_columns, kube_node_row),
	TABLE(KUBE_DEPLOYMENTS, deployment_columns, kube_deployment_row),
	TABLE(KUBE_REPLICASETS, replica_set_columns, kube_replica_set_row),
	TABLE(KUBE_NAMESPACES, namespace_columns, namespace_row),
	TABLE(KUBE_EVENTS, event_columns, event_row),
};
static const struct table generic = TABLE(KUBE_RESOURCE_COUNT, generic_columns, generic_row);

static const struct table *table_of(const struct kube_resource *resource)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		if (tables[i].id == resource->id)
			return &tables[i];
	}
	return &generic;
}

bool kube_include_parse(const char *text, enum kube_include *ret_include)
{
	static const char *const words[] = {
		[KUBE_INCLUDE_METADATA] = "Metadata",
		[KUBE_INCLUDE_OBJECT] = "Object",
		[KUBE_INCLUDE_NONE] = "None",
	};
	if (!text || !*text) {
		*ret_include = KUBE_INCLUDE_METADATA;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], text) == 0) {
			*ret_include = (enum kube_include)i;
			return true;
		}
	}
	return false;
}

bool kube_table_is_wanted(const char *accept)
{
	return accept && strstr(accept, "as=Table");
}

static json_t *columns_json(const struct table *table)
{
	json_t *columns = json_array();
	for (size_t i = 0; i < table->column_count; i++) {
		json_t *column = json_object();
		bool is_name = strcmp(table->columns[i].name, "Name") == 0;
		kube_set_string(column, "name", table->columns[i].name);
		kube_set_string(column, "type", "string");
		kube_set_string(column, "format", is_name ? "name" : "");
		kube_set_string(column, "description", "");
		kube_set_int(column, "priority", table->columns[i].wide);
		kube_push(columns, column);
	}
	return columns;
}

/* What a row carries beside its cells. An item of a list need not name its kind; a row must. */
static json_t *row_object(const struct kube_resource *resource, const json_t *object,
			  enum kube_include include)
{
	json_t *carried = json_object();
	if (include == KUBE_INCLUDE_OBJECT) {
		kube_set_string(carried, "kind", resource->kind);
		kube_set_string(carried, "apiVersion", resource->api_version);
		(void)json_object_update_missing(carried, (json_t *)(uintptr_t)object);
		return carried;
	}
	json_t *metadata = json_object_get(object, "metadata");
	kube_set_string(carried, "kind", "PartialObjectMetadata");
	kube_set_string(carried, "apiVersion", "meta.k8s.io/v1");
	kube_set(carried, "metadata", metadata ? json_incref(metadata) : json_object());
	return carried;
}

static void row_push(json_t *rows, const struct kube_resource *resource, const json_t *object,
		     const struct kube_table_view *view)
{
	const struct table *table = table_of(resource);
	json_t *row = json_object();
	json_t *cells = json_array();
	table->row(cells, object, view->now);
	assert(json_array_size(cells) == table->column_count);
	kube_set(row, "cells", cells);
	if (view->include != KUBE_INCLUDE_NONE)
		kube_set(row, "object", row_object(resource, object, view->include));
	kube_push(rows, row);
}

/* A Table's own metadata is the list's, or for one object its resourceVersion. */
static json_t *table_metadata(const json_t *object)
{
	json_t *metadata = json_object();
	const json_t *from = json_object_get(object, "metadata");
	static const char *const kept[] = {"resourceVersion", "continue", "remainingItemCount"};
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *value = json_object_get(from, kept[i]);
		if (value)
			kube_set(metadata, kept[i], json_incref(value));
	}
	return metadata;
}

json_t *kube_table(const struct kube_resource *resource, const json_t *object,
		   const struct kube_table_view *view)
{
	const json_t *items = json_is_array(object) ? object : json_object_get(object, "items");
	json_t *table = json_object();
	json_t *rows = json_array();
	size_t index;
	json_t *item;
	if (json_is_array(items)) {
		json_array_foreach (items, index, item) {
			row_push(rows, resource, item, view);
		}
	} else {
		row_push(rows, resource, object, view);
	}
	kube_set_string(table, "kind", "Table");
	kube_set_string(table, "apiVersion", "meta.k8s.io/v1");
	kube_set(table, "metadata", table_metadata(object));
	kube_set(table, "columnDefinitions",
		 view->without_columns ? json_null() : columns_json(table_of(resource)));
	kube_set(table, "rows", rows);
	return table;
}

json_t *kube_list_new(const struct kube_resource *resource, uint64_t resource_version)
{
	json_t *list = json_object();
	json_t *metadata = json_object();
	kube_set(metadata, "resourceVersion", kube_text("%" PRIu64, resource_version));
	kube_set(list, "kind", kube_text("%sList", resource->kind));
	kube_set_string(list, "apiVersion", resource->api_version);
	kube_set(list, "metadata", metadata);
	kube_set(list, "items", json_array());
	return list;
}

json_t *kube_watch_event(const char *type, json_t *object)
{
	json_t *event = json_object();
	kube_set_string(event, "type", type);
	kube_set(event, "object", object);
	return event;
}

json_t *kube_bookmark(const struct kube_resource *resource, uint64_t resource_version,
		      bool initial_end)
{
	json_t *object = json_object();
	json_t *metadata = json_object();
	kube_set(metadata, "resourceVersion", kube_text("%" PRIu64, resource_version));
	if (initial_end) {
		json_t *annotations = json_object();
		kube_set_string(annotations, "k8s.io/initial-events-end", "true");
		kube_set(metadata, "annotations", annotations);
	}
	kube_set_string(object, "kind", resource->kind);
	kube_set_string(object, "apiVersion", resource->api_version);
	kube_set(object, "metadata", metadata);
	return object;
}
