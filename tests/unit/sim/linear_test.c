/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/prng.h"
#include "linear.h"

enum {
	STEPS_MAX = 1000000,
	OPS = 200,
};

static struct linear_op read_of(uint64_t value, int64_t call, int64_t end)
{
	return (struct linear_op){.kind = LINEAR_READ, .to = value, .call = call, .end = end};
}

static struct linear_op write_of(uint64_t value, int64_t call, int64_t end)
{
	return (struct linear_op){.kind = LINEAR_WRITE, .to = value, .call = call, .end = end};
}

static struct linear_op swap(uint64_t from, uint64_t to, bool swapped, int64_t call, int64_t end)
{
	return (struct linear_op){LINEAR_SWAP, from, to, swapped, call, end};
}

#define CHECK(verdict, ...)                                                                \
	do {                                                                               \
		const struct linear_op ops[] = {__VA_ARGS__};                              \
		assert_int_equal(linear_check(ops, ARRAY_LEN(ops), STEPS_MAX), (verdict)); \
	} while (0)

static void histories_that_have_an_order(void **state)
{
	(void)state;
	assert_int_equal(linear_check(NULL, 0, STEPS_MAX), LINEAR_YES);
	CHECK(LINEAR_YES, read_of(0, 1, 2));
	CHECK(LINEAR_YES, write_of(1, 1, 2), read_of(1, 3, 4));
	/* While a write is under way, reads may see it or not. */
	CHECK(LINEAR_YES, write_of(1, 1, 10), read_of(0, 2, 3), read_of(1, 4, 5));
	CHECK(LINEAR_YES, write_of(1, 1, 10), write_of(2, 2, 9), read_of(2, 11, 12));
	CHECK(LINEAR_YES, write_of(1, 1, 10), write_of(2, 2, 9), read_of(1, 11, 12));
	CHECK(LINEAR_YES, swap(0, 1, true, 1, 2), swap(0, 2, false, 3, 4), read_of(1, 5, 6));
	CHECK(LINEAR_YES, swap(1, 2, true, 1, 9), swap(0, 1, true, 2, 8), read_of(2, 10, 11));
	/* A call that touches another is not before it. */
	CHECK(LINEAR_YES, write_of(1, 1, 5), read_of(0, 5, 6));
}

static void histories_that_have_none(void **state)
{
	(void)state;
	CHECK(LINEAR_NO, read_of(1, 1, 2));
	CHECK(LINEAR_NO, write_of(1, 1, 2), read_of(0, 3, 4));
	/* Once seen, a write stays seen. */
	CHECK(LINEAR_NO, write_of(1, 1, 10), read_of(1, 2, 3), read_of(0, 4, 5));
	CHECK(LINEAR_NO, write_of(1, 1, 2), write_of(2, 3, 4), read_of(1, 5, 6));
	CHECK(LINEAR_NO, swap(0, 1, true, 1, 2), swap(0, 2, true, 3, 4));
	CHECK(LINEAR_NO, swap(0, 1, false, 1, 2));
	CHECK(LINEAR_NO, write_of(1, 1, 4), write_of(2, 1, 4), read_of(1, 5, 6), read_of(2, 7, 8));
	/* A write that happens twice. */
	CHECK(LINEAR_NO, write_of(1, 1, 2), write_of(2, 3, 4), read_of(2, 5, 6), read_of(1, 7, 8));
}

static void what_never_ended_may_have_happened_or_not(void **state)
{
	(void)state;
	CHECK(LINEAR_YES, write_of(1, 1, LINEAR_NEVER), read_of(0, 2, 3));
	CHECK(LINEAR_YES, write_of(1, 1, LINEAR_NEVER), read_of(1, 2, 3));
	CHECK(LINEAR_YES, write_of(1, 1, LINEAR_NEVER), read_of(0, 2, 3), read_of(1, 4, 5));
	CHECK(LINEAR_NO, write_of(1, 1, LINEAR_NEVER), read_of(1, 2, 3), read_of(0, 4, 5));
	CHECK(LINEAR_NO, write_of(1, 4, LINEAR_NEVER), read_of(1, 2, 3));
	CHECK(LINEAR_YES, swap(0, 1, false, 1, LINEAR_NEVER), read_of(1, 2, 3));
	CHECK(LINEAR_NO, swap(5, 1, true, 1, LINEAR_NEVER), read_of(1, 2, 3));
}

/* A register that is one: what @clients see of it, each call at a moment between its ends. */
static size_t simulate(struct prng *prng, struct linear_op *ops)
{
	int64_t free_at[4] = {0};
	int64_t moments[OPS];
	uint64_t value = 0;

	for (size_t i = 0; i < OPS; i++) {
		size_t client = i % ARRAY_LEN(free_at);

		ops[i] = (struct linear_op){.kind = (enum linear_kind)prng_below(prng, 3)};
		ops[i].call = free_at[client] + 1 + (int64_t)prng_below(prng, 20);
		moments[i] = ops[i].call + 1 + (int64_t)prng_below(prng, 50);
		ops[i].end = moments[i] + 1 + (int64_t)prng_below(prng, 50);
		free_at[client] = ops[i].end;
	}
	for (size_t done = 0; done < OPS; done++) {
		size_t next = 0;

		for (size_t i = 1; i < OPS; i++)
			if (moments[i] < moments[next])
				next = i;
		moments[next] = INT64_MAX;
		if (ops[next].kind == LINEAR_READ) {
			ops[next].to = value;
			continue;
		}
		ops[next].to = 1000 + next;
		ops[next].from = prng_below(prng, 2) ? value : 1;
		ops[next].swapped = ops[next].from == value;
		if (ops[next].kind == LINEAR_WRITE || ops[next].swapped)
			value = ops[next].to;
	}
	return OPS;
}

static void a_real_register_always_has_an_order_and_a_lie_has_none(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct prng prng = prng_seeded(seed);
		static struct linear_op ops[OPS];
		size_t count = simulate(&prng, ops), at = prng_below(&prng, OPS);

		assert_int_equal(linear_check(ops, count, STEPS_MAX), LINEAR_YES);
		while (ops[at].kind != LINEAR_READ)
			at = (at + 1) % OPS;
		ops[at].to = 5; /* which nobody wrote */
		assert_int_equal(linear_check(ops, count, STEPS_MAX), LINEAR_NO);
	}
}

static void a_search_that_takes_too_long_says_so(void **state)
{
	struct prng prng = prng_seeded(1);
	static struct linear_op ops[OPS];
	size_t count = simulate(&prng, ops);

	(void)state;
	assert_int_equal(linear_check(ops, count, 10), LINEAR_GIVEN_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories_that_have_an_order),
		cmocka_unit_test(histories_that_have_none),
		cmocka_unit_test(what_never_ended_may_have_happened_or_not),
		cmocka_unit_test(a_real_register_always_has_an_order_and_a_lie_has_none),
		cmocka_unit_test(a_search_that_takes_too_long_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
