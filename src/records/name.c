/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: objects by (namespace, kind, name), and by kind in the order in which they are listed.
 *
 * Two stewards that do not hear each other can give one name twice. Then the objects of that name
 * form a chain, the oldest first: it keeps the name, and the others are reported until their
 * controllers have disposed of them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "records/internal.h"

static int name_compare(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	const struct object_ref *x = &left->shown.record.object, *y = &right->shown.record.object;
	int order = strcmp(x->namespace, y->namespace);

	if (order == 0)
		order = strcmp(x->name, y->name);
	return order ? order : uid_compare(&x->uid, &y->uid);
}

/* The parts cannot contain a zero, so it separates them. */
static struct buf name_key(const char *namespace, const char *kind, const char *name)
{
	struct buf key = {0};

	buf_append(&key, namespace, strlen(namespace) + 1);
	buf_append(&key, kind, strlen(kind) + 1);
	buf_append_str(&key, name);
	return key;
}

static struct buf item_name_key(const struct item *item)
{
	const struct object_ref *object = &item->shown.record.object;

	return name_key(object->namespace, object->kind, object->name);
}

static bool is_older(const struct item *a, const struct item *b)
{
	uint64_t x = item_created_hlc(a), y = item_created_hlc(b);

	if (x != y)
		return x < y;
	return uid_compare(&a->shown.record.object.uid, &b->shown.record.object.uid) < 0;
}

struct index *name_kind_index(const struct records *records, const char *kind)
{
	return map_get(&records->kinds, bytes_str(kind));
}

/* A bound is borrowed by the comparison only, which reads. */
static size_t lower_bound(const struct index *index, const char *namespace, const char *name)
{
	struct item bound = {
		.shown.record.object = {.namespace = (char *)(uintptr_t) namespace,
					.name = (char *)(uintptr_t)name},
	};

	return index_lower_bound(index, &bound);
}

size_t name_first_in(const struct index *index, const char *namespace)
{
	return lower_bound(index, namespace, "");
}

size_t name_first_behind(const struct index *index, const char *namespace)
{
	struct buf behind = {0};
	size_t position;

	buf_append_format(&behind, "%s\x01", namespace); /* before any longer name */
	position = lower_bound(index, buf_cstr(&behind), "");
	buf_deinit(&behind);
	return position;
}

static struct index *kind_index_get(struct records *records, const char *kind)
{
	struct index *index = name_kind_index(records, kind);

	if (!index) {
		index = mem_new(struct index);
		index_init(index, name_compare);
		(void)map_put(&records->kinds, bytes_str(kind), index);
	}
	return index;
}

struct item *name_find(const struct records *records, const char *namespace, const char *kind,
		       const char *name)
{
	struct buf key = name_key(namespace, kind, name);
	struct item *item = map_get(&records->names, bytes_buf(&key));

	buf_deinit(&key);
	return item;
}

void name_insert(struct records *records, struct item *item)
{
	struct buf key = item_name_key(item);
	struct item *first = map_get(&records->names, bytes_buf(&key)), **at = &first;

	index_insert(kind_index_get(records, item->shown.record.object.kind), item);
	if (first)
		records->clash_count++;
	while (*at && is_older(*at, item))
		at = &(*at)->same_name;
	item->same_name = *at;
	*at = item;
	(void)map_put(&records->names, bytes_buf(&key), first);
	buf_deinit(&key);
}

void name_remove(struct records *records, struct item *item)
{
	const char *kind = item->shown.record.object.kind;
	struct index *index = name_kind_index(records, kind);
	struct buf key = item_name_key(item);
	struct item *first = map_get(&records->names, bytes_buf(&key)), **at = &first;

	index_remove(index, item);
	if (index->count == 0) {
		(void)map_remove(&records->kinds, bytes_str(kind));
		index_deinit(index);
		free(index);
	}
	while (*at != item) {
		assert(*at);
		at = &(*at)->same_name;
	}
	*at = item->same_name;
	item->same_name = NULL;
	if (first) {
		records->clash_count--;
		(void)map_put(&records->names, bytes_buf(&key), first);
	} else {
		(void)map_remove(&records->names, bytes_buf(&key));
	}
	buf_deinit(&key);
}

void name_report_clashes(struct records *records)
{
	if (records->clash_count == 0)
		return;
	map_for_each (entry, &records->names) {
		struct item *first = entry->value;

		for (struct item *item = first->same_name; item; item = item->same_name)
			effect_queue(records, RECORDS_NAME_CLASH, item);
	}
}
