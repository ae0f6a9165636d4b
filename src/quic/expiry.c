/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/expiry.h"

#include <stdlib.h>

#include "base/mem.h"

static void heap_place(struct expiry_heap *heap, size_t slot, struct expiry *expiry)
{
	heap->slots[slot] = expiry;
	expiry->slot = slot + 1;
}

static void heap_up(struct expiry_heap *heap, size_t slot)
{
	struct expiry *expiry = heap->slots[slot];

	while (slot > 0) {
		size_t parent = (slot - 1) / 2;

		if (heap->slots[parent]->at.us <= expiry->at.us)
			break;
		heap_place(heap, slot, heap->slots[parent]);
		slot = parent;
	}
	heap_place(heap, slot, expiry);
}

static void heap_down(struct expiry_heap *heap, size_t slot)
{
	struct expiry *expiry = heap->slots[slot];

	for (;;) {
		size_t child = 2 * slot + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    heap->slots[child + 1]->at.us < heap->slots[child]->at.us)
			child++;
		if (heap->slots[child]->at.us >= expiry->at.us)
			break;
		heap_place(heap, slot, heap->slots[child]);
		slot = child;
	}
	heap_place(heap, slot, expiry);
}

static void heap_remove(struct expiry_heap *heap, struct expiry *expiry)
{
	size_t slot = expiry->slot - 1;
	struct expiry *last = heap->slots[--heap->count];

	expiry->slot = 0;
	if (last == expiry)
		return;
	heap_place(heap, slot, last);
	heap_up(heap, slot);
	heap_down(heap, last->slot - 1);
}

void expiry_heap_deinit(struct expiry_heap *heap)
{
	free(heap->slots);
	*heap = (struct expiry_heap){0};
}

void expiry_set(struct expiry_heap *heap, struct expiry *expiry, struct mono at)
{
	if (at.us == MONO_NEVER.us) {
		if (expiry->slot)
			heap_remove(heap, expiry);
		return;
	}
	expiry->at = at;
	if (!expiry->slot) {
		if (heap->count == heap->cap) {
			heap->cap = heap->cap ? heap->cap * 2 : 64;
			heap->slots = mem_resize(heap->slots, heap->cap, sizeof(*heap->slots));
		}
		heap_place(heap, heap->count++, expiry);
	}
	heap_up(heap, expiry->slot - 1);
	heap_down(heap, expiry->slot - 1);
}

struct expiry *expiry_first(const struct expiry_heap *heap)
{
	return heap->count ? heap->slots[0] : NULL;
}
