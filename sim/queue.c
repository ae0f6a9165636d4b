/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
	SLOT_BITS = 6,  /* a slot is 64 us: some dozens of events with 100,000 machines */
	SPAN_BITS = 14, /* slots of a span, which is 1.05 s: the first level */
	SLOTS = 1 << SPAN_BITS,
	SPANS = 1024, /* 18 minutes: the second level; few timers are longer */
	WORD_BITS = 64,
	LIST_MIN = 8,
};

/* Entries in no order, or as a heap. */
struct entries {
	struct queue_entry *entry;
	size_t count, cap;
};

struct queue {
	size_t count;
	int64_t slot;                     /* the current one, counted from the beginning of time */
	struct entries heap;              /* of the current slot */
	struct entries far;               /* a heap: beyond the spans */
	struct entries slots[SLOTS];      /* of the current span, later than the current slot */
	uint64_t used[SLOTS / WORD_BITS]; /* a bit for each slot that is not empty */
	struct entries spans[SPANS];      /* later than the current span */
};

static int64_t slot_of(int64_t at_us)
{
	return at_us >> SLOT_BITS;
}

static int64_t span_of_slot(int64_t slot)
{
	return slot >> SPAN_BITS;
}

static bool is_before(const struct queue_entry *a, const struct queue_entry *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void append(struct entries *list, const struct queue_entry *entry)
{
	if (list->count == list->cap) {
		list->cap = list->cap ? 2 * list->cap : LIST_MIN;
		list->entry = mem_resize(list->entry, list->cap, sizeof(*list->entry));
	}
	list->entry[list->count++] = *entry;
}

static void heap_push(struct entries *heap, const struct queue_entry *entry)
{
	size_t at = heap->count;

	append(heap, entry);
	for (; at > 0 && is_before(entry, &heap->entry[(at - 1) / 2]); at = (at - 1) / 2)
		heap->entry[at] = heap->entry[(at - 1) / 2];
	heap->entry[at] = *entry;
}

static void heap_sift_down(struct entries *heap, size_t at, struct queue_entry entry)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    is_before(&heap->entry[child + 1], &heap->entry[child]))
			child++;
		if (!is_before(&heap->entry[child], &entry))
			break;
		heap->entry[at] = heap->entry[child];
		at = child;
	}
	heap->entry[at] = entry;
}

static void heap_drop_first(struct entries *heap)
{
	heap->count--;
	if (heap->count)
		heap_sift_down(heap, 0, heap->entry[heap->count]);
}

static void heap_make(struct entries *heap)
{
	for (size_t i = heap->count / 2; i-- > 0;)
		heap_sift_down(heap, i, heap->entry[i]);
}

struct queue *queue_new(void)
{
	return mem_new(struct queue);
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		free(queue->slots[i].entry);
	for (size_t i = 0; i < SPANS; i++)
		free(queue->spans[i].entry);
	free(queue->heap.entry);
	free(queue->far.entry);
	free(queue);
}

static void slot_put(struct queue *queue, const struct queue_entry *entry)
{
	size_t at = (size_t)slot_of(entry->at_us) % SLOTS;

	append(&queue->slots[at], entry);
	queue->used[at / WORD_BITS] |= 1ULL << (at % WORD_BITS);
}

/* Where an entry belongs that is not of the current slot. */
static void put(struct queue *queue, const struct queue_entry *entry)
{
	int64_t ahead = span_of_slot(slot_of(entry->at_us)) - span_of_slot(queue->slot);

	if (ahead == 0)
		slot_put(queue, entry);
	else if (ahead < SPANS)
		append(&queue->spans[(size_t)span_of_slot(slot_of(entry->at_us)) % SPANS], entry);
	else
		heap_push(&queue->far, entry);
}

void queue_push(struct queue *queue, const struct queue_entry *entry)
{
	/* A look ahead may have made a later slot the current one already. */
	if (slot_of(entry->at_us) <= queue->slot)
		heap_push(&queue->heap, entry);
	else
		put(queue, entry);
	queue->count++;
}

/* The first used slot of the span at or after @at; SLOTS: none. */
static size_t next_used(const struct queue *queue, size_t at)
{
	uint64_t word;

	if (at >= SLOTS)
		return SLOTS;
	word = queue->used[at / WORD_BITS] & (UINT64_MAX << (at % WORD_BITS));
	for (at /= WORD_BITS; !word; word = queue->used[at])
		if (++at == SLOTS / WORD_BITS)
			return SLOTS;
	return at * WORD_BITS + (size_t)__builtin_ctzll(word);
}

/* Begin the next span: what waits for it is spread over its slots. */
static void enter_span(struct queue *queue, int64_t span)
{
	struct entries *list = &queue->spans[(size_t)span % SPANS];

	queue->slot = span << SPAN_BITS;
	for (size_t i = 0; i < list->count; i++)
		slot_put(queue, &list->entry[i]);
	/* A second of much may be followed by hours of little. */
	free(list->entry);
	*list = (struct entries){0};
	while (queue->far.count &&
	       span_of_slot(slot_of(queue->far.entry[0].at_us)) - span < SPANS) {
		struct queue_entry entry = queue->far.entry[0];

		heap_drop_first(&queue->far);
		put(queue, &entry);
	}
}

/* The next span with anything in it. */
static int64_t next_span(const struct queue *queue)
{
	int64_t now = span_of_slot(queue->slot);

	for (int64_t span = now + 1; span < now + SPANS; span++)
		if (queue->spans[(size_t)span % SPANS].count)
			return span;
	assert(queue->far.count);
	return span_of_slot(slot_of(queue->far.entry[0].at_us));
}

/* Make the slot of the next entry the current one. */
static void advance(struct queue *queue)
{
	size_t at = next_used(queue, (size_t)queue->slot % SLOTS);
	struct entries empty = queue->heap;

	while (at == SLOTS) {
		enter_span(queue, next_span(queue));
		at = next_used(queue, 0);
	}
	queue->slot = (span_of_slot(queue->slot) << SPAN_BITS) + (int64_t)at;
	queue->heap = queue->slots[at];
	queue->slots[at] = empty;
	queue->used[at / WORD_BITS] &= ~(1ULL << (at % WORD_BITS));
	heap_make(&queue->heap);
}

bool queue_peek(struct queue *queue, struct queue_entry *ret_entry)
{
	if (!queue->count)
		return false;
	if (!queue->heap.count)
		advance(queue);
	*ret_entry = queue->heap.entry[0];
	return true;
}

bool queue_pop(struct queue *queue, struct queue_entry *ret_entry)
{
	if (!queue_peek(queue, ret_entry))
		return false;
	heap_drop_first(&queue->heap);
	queue->count--;
	return true;
}

const struct queue_entry *queue_soon(const struct queue *queue, size_t place)
{
	return place < queue->heap.count ? &queue->heap.entry[place] : NULL;
}

size_t queue_count(const struct queue *queue)
{
	return queue->count;
}

size_t queue_memory(const struct queue *queue)
{
	size_t entries = queue->heap.cap + queue->far.cap;

	for (size_t i = 0; i < SLOTS; i++)
		entries += queue->slots[i].cap;
	for (size_t i = 0; i < SPANS; i++)
		entries += queue->spans[i].cap;
	return sizeof(*queue) + entries * sizeof(struct queue_entry);
}
