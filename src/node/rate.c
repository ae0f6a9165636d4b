/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates: token buckets, one for each peer that sent something lately.
 *
 * A bucket that has filled up again is as good as none, so that only those who spent something are
 * remembered. When NODE_RATE_PEERS_MAX spend at a time the newcomer is refused: its own doing costs
 * it nothing then, but what came by way of so many peers in a second is a flood.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"

struct spender {
	struct node_id id;
	struct node_bucket bucket;
};

/* Tokens are counted in thousandths, so that a rate of few per second is exact. */
static void refill(struct node_bucket *bucket, struct mono now, const struct node_rate *rate)
{
	int64_t since_ms = mono_since_us(now, bucket->at) / (int64_t)US_PER_MS;
	int64_t full_ms = rate->burst * 1000 / rate->per_second + 1;

	if (since_ms > full_ms) {
		bucket->milli = rate->burst * 1000;
		bucket->at = now;
		return;
	}
	bucket->milli += since_ms * rate->per_second;
	if (bucket->milli > rate->burst * 1000)
		bucket->milli = rate->burst * 1000;
	bucket->at = mono_add_ms(bucket->at, since_ms);
}

bool node_bucket_take(struct node_bucket *bucket, struct mono now, const struct node_rate *rate,
		      int64_t cost)
{
	if (!bucket->used) {
		*bucket =
			(struct node_bucket){.used = true, .at = now, .milli = rate->burst * 1000};
	}
	refill(bucket, now, rate);
	if (bucket->milli < cost * 1000)
		return false;
	bucket->milli -= cost * 1000;
	return true;
}

static void forget_full(struct map *spenders, struct mono now, const struct node_rate *rate)
{
	map_for_each (entry, spenders) {
		struct spender *spender = entry->value;

		refill(&spender->bucket, now, rate);
		if (spender->bucket.milli < rate->burst * 1000)
			continue;
		(void)map_remove(spenders, bytes_of(spender->id.byte, ID_LEN));
		free(spender);
	}
}

bool node_rate_take(struct map *spenders, struct mono now, const struct node_id *id,
		    const struct node_rate *rate, int64_t cost)
{
	struct bytes key = bytes_of(id->byte, ID_LEN);
	struct spender *spender = map_get(spenders, key);

	if (!spender) {
		if (spenders->count >= NODE_RATE_PEERS_MAX)
			forget_full(spenders, now, rate);
		if (spenders->count >= NODE_RATE_PEERS_MAX)
			return false;
		spender = mem_new(struct spender);
		spender->id = *id;
		(void)map_put(spenders, key, spender);
	}
	return node_bucket_take(&spender->bucket, now, rate, cost);
}

void node_rates_deinit(struct map *spenders)
{
	map_for_each (entry, spenders)
		free(entry->value);
	map_deinit(spenders);
}
