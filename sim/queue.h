/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue: tens of millions of things to come, in order of time and then of scheduling.
 *
 * A calendar of two levels: seconds (QUEUE_SECONDS of them), and within the current one slots of
 * QUEUE_SLOT_US. Only the current slot is kept in order, as a small heap, so that a push costs an
 * append and a pop a heap of some dozens, whatever waits behind. What is farther away than the
 * seconds reach waits in a heap of its own.
 *
 * An entry is a plain value; what it stands for belongs to the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_entry {
	int64_t at_us;
	uint64_t order; /* ties are broken by it; unique */
	uintptr_t what;
};

struct queue;

struct queue *queue_new(void);
void queue_free(struct queue *queue);

/* @entry must not lie before the last one popped. */
void queue_push(struct queue *queue, const struct queue_entry *entry);

/* The first entry, left where it is. False: there is none. */
bool queue_peek(struct queue *queue, struct queue_entry *ret_entry);
bool queue_pop(struct queue *queue, struct queue_entry *ret_entry);
/* One of the entries that will come soon, most likely the @place-th from now; NULL: not known. */
const struct queue_entry *queue_soon(const struct queue *queue, size_t place);
size_t queue_count(const struct queue *queue);

/* Bytes of memory that the queue holds. */
size_t queue_memory(const struct queue *queue);
