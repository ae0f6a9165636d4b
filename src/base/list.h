/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List: an intrusive, doubly linked, circular list. A link is part of its object; an object is on
 * at most one list per link. The list owns nothing.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *list)
{
	list->prev = list->next = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

static inline void list_append(struct list *list, struct list *link)
{
	link->prev = list->prev;
	link->next = list;
	list->prev->next = link;
	list->prev = link;
}

/* Unlink; the link is then an empty list, so unlinking twice is harmless. */
static inline void list_remove(struct list *link)
{
	assert(link); /* as of list_first() on an empty list */
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#define list_entry(link, type, member) container_of(link, type, member)
#define list_first(list, type, member) \
	(list_is_empty(list) ? NULL : list_entry((list)->next, type, member))
#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define list_for_each_safe(it, head)                                              \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
	     it = it##_next, it##_next = it->next)
