/* SPDX-License-Identifier: Apache-2.0 */
#include "market/precedence.h"

#include "base/fault.h"

static int64_t start_rank(const struct presence *presence)
{
	return presence->started_ms > 0 ? presence->started_ms : INT64_MAX;
}

bool precedence_keeps_slot(const struct presence *a, const struct presence *b, bool single)
{
	bool a_failed = !single && a->phase == POD_FAILED;
	bool b_failed = !single && b->phase == POD_FAILED;

	if (a_failed != b_failed)
		return b_failed;
	if (a->terminating != b->terminating)
		return b->terminating;
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	if (a->ready != b->ready)
		return a->ready;
	if (start_rank(a) != start_rank(b))
		return (start_rank(a) < start_rank(b)) != fault_is_planted(FAULT_YOUNGEST);
	return uid_compare(&a->pod_uid, &b->pod_uid) < 0;
}

int precedence_goes_first(const void *a, const void *b)
{
	const struct presence *const *left = a, *const *right = b;
	const struct presence *one = *left, *other = *right;

	if (one->ready != other->ready)
		return one->ready ? 1 : -1;
	if (start_rank(one) != start_rank(other))
		return start_rank(one) > start_rank(other) ? -1 : 1;
	if (one->created_ms != other->created_ms)
		return one->created_ms > other->created_ms ? -1 : 1;
	return -uid_compare(&one->pod_uid, &other->pod_uid);
}
