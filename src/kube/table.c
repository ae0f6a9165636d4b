/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table is a list of columns. Most kinds have a function for each cell (columns.def); where cells
 * depend on each other, one function fills the row.
 */
#include "kube/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/table_cell.h"
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
static const struct column event_columns[] = {
	{"Last Seen", false}, {"Type", false},  {"Reason", false},  {"Object", false},
	{"Subobject", true},  {"Source", true}, {"Message", false}, {"First Seen", true},
	{"Count", true},      {"Name", true},
};
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
	TABLE(KUBE_EVENTS, event_columns, event_row),
};

/* The columns of all other kinds, each with its own cell; those of a kind stand together. */
enum { ALWAYS, WIDE };

static const struct cell {
	struct column column;
	enum kube_resource_id id;
	kube_cell_fn *fill;
	const char *path;
} cells_of_kinds[] = {
#define COLUMN(id_, name_, shown_, cell_, path_)     \
	{                                            \
		.column = {name_, (shown_) == WIDE}, \
		.id = KUBE_##id_,                    \
		.fill = kube_cell_##cell_,           \
		.path = path_,                       \
	},
#include "kube/columns.def"
#undef COLUMN
};

static const struct cell generic[] = {
	{.column = {"Name", false}, .fill = kube_cell_text, .path = "metadata.name"},
	{.column = {"Age", false}, .fill = kube_cell_age, .path = "metadata.creationTimestamp"},
};

/* How one resource is printed: by rows, or by cells. */
struct layout {
	const struct table *table; /* NULL: by cells */
	const struct cell *cells;
	size_t count; /* of columns */
};

static struct layout layout_of(const struct kube_resource *resource)
{
	struct layout layout = {0};
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		if (tables[i].id == resource->id)
			return (struct layout){&tables[i], NULL, tables[i].column_count};
	}
	for (size_t i = 0; i < ARRAY_LEN(cells_of_kinds); i++) {
		if (cells_of_kinds[i].id != resource->id)
			continue;
		if (!layout.cells)
			layout.cells = &cells_of_kinds[i];
		layout.count++;
	}
	if (!layout.count) /* what nobody lists has no columns of its own */
		return (struct layout){NULL, generic, ARRAY_LEN(generic)};
	return layout;
}

static const struct column *layout_column(const struct layout *layout, size_t i)
{
	return layout->table ? &layout->table->columns[i] : &layout->cells[i].column;
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

static json_t *columns_json(const struct layout *layout)
{
	json_t *columns = json_array();
	for (size_t i = 0; i < layout->count; i++) {
		const struct column *own = layout_column(layout, i);
		json_t *column = json_object();
		bool is_name = strcmp(own->name, "Name") == 0;
		kube_set_string(column, "name", own->name);
		kube_set_string(column, "type", "string");
		kube_set_string(column, "format", is_name ? "name" : "");
		kube_set_string(column, "description", "");
		kube_set_int(column, "priority", own->wide);
		kube_push(columns, column);
	}
	return columns;
}

static json_t *partial_object(const json_t *object)
{
	json_t *partial = json_object();
	json_t *metadata = json_object_get(object, "metadata");
	kube_set_string(partial, "kind", "PartialObjectMetadata");
	kube_set_string(partial, "apiVersion", "meta.k8s.io/v1");
	kube_set(partial, "metadata", metadata ? json_incref(metadata) : json_object());
	return partial;
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
	json_decref(carried);
	return partial_object(object);
}

static json_t *cells_json(const struct layout *layout, const json_t *object, struct wall now)
{
	json_t *cells = json_array();
	if (layout->table)
		layout->table->row(cells, object, now);
	for (size_t i = 0; !layout->table && i < layout->count; i++)
		kube_push(cells, layout->cells[i].fill(object, layout->cells[i].path, now));
	assert(json_array_size(cells) == layout->count);
	return cells;
}

static void row_push(json_t *rows, const struct kube_resource *resource, const json_t *object,
		     const struct kube_table_view *view)
{
	const struct layout layout = layout_of(resource);
	json_t *row = json_object();
	json_t *cells = cells_json(&layout, object, view->now);
	kube_set(row, "cells", cells);
	if (view->include != KUBE_INCLUDE_NONE)
		kube_set(row, "object", row_object(resource, object, view->include));
	kube_push(rows, row);
}

void kube_cells(const struct kube_resource *resource, const json_t *object, struct buf *out)
{
	const struct layout layout = layout_of(resource);
	json_t *cells = cells_json(&layout, object, KUBE_AGE_OPEN);
	char *text = json_dumps(cells, JSON_COMPACT);
	if (!text)
		abort(); /* only memory can be short */
	buf_append_str(out, text);
	free(text);
	json_decref(cells);
}

void kube_partial_text(struct bytes metadata, struct buf *out)
{
	buf_append_str(out, "{\"kind\":\"PartialObjectMetadata\","
			    "\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":");
	buf_append_bytes(out, metadata);
	buf_append_str(out, "}");
}

void kube_row(struct bytes cells, struct bytes metadata, const struct kube_table_view *view,
	      struct buf *out)
{
	assert(view->include != KUBE_INCLUDE_OBJECT);
	buf_append_str(out, "{\"cells\":");
	kube_age_fill(cells, view->now, out);
	if (view->include == KUBE_INCLUDE_METADATA) {
		buf_append_str(out, ",\"object\":");
		kube_partial_text(metadata, out);
	}
	buf_append_str(out, "}");
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
	const struct layout layout = layout_of(resource);
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
		 view->without_columns ? json_null() : columns_json(&layout));
	kube_set(table, "rows", rows);
	return table;
}

bool kube_partial_is_wanted(const char *accept)
{
	return accept && strstr(accept, "as=PartialObjectMetadata");
}

json_t *kube_partial(const json_t *object)
{
	const json_t *items = json_object_get(object, "items");
	json_t *list, *partials;
	size_t index;
	json_t *item;
	if (!json_is_array(items))
		return partial_object(object);
	list = partial_object(object);
	partials = json_array();
	json_array_foreach (items, index, item) {
		kube_push(partials, partial_object(item));
	}
	kube_set_string(list, "kind", "PartialObjectMetadataList");
	kube_set(list, "items", partials);
	return list;
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
