/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All beginnings and ends stand in a list in order of time. The search takes a call whose beginning
 * is before the first end in the list, tries whether the register allows it, and takes beginning
 * and end out; where the list begins with an end, that call should have been taken before: the last
 * one taken goes back, and the next one is tried. What has been tried is remembered: the same calls
 * taken, with the same number in the register, lead to the same failure.
 */
#include "linear.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	WORD_BITS = 64,
	TABLE_MIN = 1024,
};

struct node {
	struct node *prev, *next;
	struct node *end; /* of a beginning; NULL: this is an end */
	size_t op;
	int64_t at;
};

struct taken {
	struct node *node;
	uint64_t value; /* before */
};

struct search {
	const struct linear_op *ops;
	size_t count, words;
	struct node *nodes;
	struct node head;
	uint64_t *set;  /* of calls that are taken, and room for a value behind it */
	uint64_t value; /* of the register */
	size_t open;    /* calls that ended and are not taken */
	struct taken *stack;
	size_t depth;
	uint64_t *table; /* open addressing: a row of value and set; used[] tells which are */
	bool *used;
	size_t rows, row_count;
};

static uint64_t *row(const struct search *search, size_t at)
{
	return &search->table[at * (search->words + 1)];
}

static uint64_t hash(const uint64_t *words, size_t count)
{
	uint64_t sum = 0x9e3779b97f4a7c15U;

	for (size_t i = 0; i < count; i++) {
		sum ^= words[i];
		sum *= 0xff51afd7ed558ccdU;
		sum ^= sum >> 32;
	}
	return sum;
}

static size_t find_row(const struct search *search, const uint64_t *key)
{
	size_t at = hash(key, search->words + 1) & (search->rows - 1);

	while (search->used[at] &&
	       memcmp(row(search, at), key, (search->words + 1) * sizeof(*key)) != 0)
		at = (at + 1) & (search->rows - 1);
	return at;
}

static void grow(struct search *search)
{
	struct search before = *search;

	search->rows = before.rows ? 2 * before.rows : TABLE_MIN;
	search->table = mem_alloc(search->rows * (search->words + 1), sizeof(*search->table));
	search->used = mem_alloc(search->rows, sizeof(*search->used));
	for (size_t i = 0; i < before.rows; i++) {
		size_t at;

		if (!before.used[i])
			continue;
		at = find_row(search, row(&before, i));
		search->used[at] = true;
		memcpy(row(search, at), row(&before, i),
		       (search->words + 1) * sizeof(*search->table));
	}
	free(before.table);
	free(before.used);
}

/* Is it the first time that just these calls are taken and @value is what they leave? */
static bool is_new(struct search *search, uint64_t value)
{
	size_t at;

	if (2 * search->row_count >= search->rows)
		grow(search);
	search->set[search->words] = value;
	at = find_row(search, search->set);
	if (search->used[at])
		return false;
	search->used[at] = true;
	memcpy(row(search, at), search->set, (search->words + 1) * sizeof(*search->set));
	search->row_count++;
	return true;
}

/* False: the register cannot have done that. */
static bool happens(const struct linear_op *op, uint64_t value, uint64_t *ret_value)
{
	bool known = op->end != LINEAR_NEVER;

	*ret_value = value;
	switch (op->kind) {
	case LINEAR_READ:
		return !known || op->to == value;
	case LINEAR_WRITE:
		*ret_value = op->to;
		return true;
	case LINEAR_SWAP:
		if (value == op->from)
			*ret_value = op->to;
		return !known || op->swapped == (value == op->from);
	}
	return false;
}

static void flip(struct search *search, size_t op)
{
	search->set[op / WORD_BITS] ^= 1ULL << (op % WORD_BITS);
}

static void unlink_node(struct node *node)
{
	node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
}

static void relink_node(struct node *node)
{
	node->prev->next = node;
	if (node->next)
		node->next->prev = node;
}

static void take(struct search *search, struct node *node, uint64_t value)
{
	search->stack[search->depth++] = (struct taken){node, search->value};
	search->value = value;
	search->open -= search->ops[node->op].end != LINEAR_NEVER;
	unlink_node(node);
	unlink_node(node->end);
}

static struct node *put_back(struct search *search)
{
	struct taken *last = &search->stack[--search->depth];

	search->value = last->value;
	search->open += search->ops[last->node->op].end != LINEAR_NEVER;
	flip(search, last->node->op);
	relink_node(last->node->end);
	relink_node(last->node);
	return last->node;
}

static enum linear_verdict run(struct search *search, uint64_t steps_max)
{
	struct node *node = search->head.next;

	for (uint64_t steps = 0; search->open > 0; steps++) {
		uint64_t value;

		if (steps == steps_max)
			return LINEAR_GIVEN_UP;
		assert(node);
		if (!node->end) {
			if (search->depth == 0)
				return LINEAR_NO;
			node = put_back(search)->next;
			continue;
		}
		if (happens(&search->ops[node->op], search->value, &value)) {
			flip(search, node->op);
			if (is_new(search, value)) {
				take(search, node, value);
				node = search->head.next;
				continue;
			}
			flip(search, node->op);
		}
		node = node->next;
	}
	return LINEAR_YES;
}

/* In order of time; of the same moment beginnings first, for then they may overlap. */
static int compare(const void *left, const void *right)
{
	const struct node *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (!a->end != !b->end)
		return a->end ? -1 : 1;
	return a->op < b->op ? -1 : a->op > b->op;
}

static void make_list(struct search *search)
{
	size_t count = 2 * search->count;
	struct node *last = &search->head;
	struct node **begins = mem_alloc(search->count + 1, sizeof(*begins));

	for (size_t i = 0; i < search->count; i++) {
		struct node *begin = &search->nodes[2 * i];

		*begin = (struct node){.op = i, .at = search->ops[i].call, .end = begin};
		*(begin + 1) = (struct node){.op = i, .at = search->ops[i].end};
		search->open += search->ops[i].end != LINEAR_NEVER;
	}
	qsort(search->nodes, count, sizeof(*search->nodes), compare);
	for (size_t i = 0; i < count; i++) {
		struct node *node = &search->nodes[i];

		if (node->end)
			begins[node->op] = node;
		else
			begins[node->op]->end = node;
		node->prev = last;
		last->next = node;
		last = node;
	}
	free(begins);
}

enum linear_verdict linear_check(const struct linear_op *ops, size_t count, uint64_t steps_max)
{
	struct search search = {
		.ops = ops,
		.count = count,
		.words = (count + WORD_BITS - 1) / WORD_BITS,
	};
	enum linear_verdict verdict;

	search.nodes = mem_alloc(2 * count + 1, sizeof(*search.nodes));
	search.stack = mem_alloc(count + 1, sizeof(*search.stack));
	search.set = mem_alloc(search.words + 1, sizeof(*search.set));
	make_list(&search);
	verdict = run(&search, steps_max);
	free(search.nodes);
	free(search.stack);
	free(search.set);
	free(search.table);
	free(search.used);
	return verdict;
}
