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

enum {
	PARTS = 60 * 1000, /* of a token: what a rate of one per minute brings in a millisecond */
};

struct spender {
	struct node_id id;
	struct node_bucket bucket;
};

static int64_t full(const struct node_rate *rate)
{
	return rate->burst * PARTS;
}

static void refill(struct node_bucket *bucket, struct mono now, const struct node_rate *rate)
{
	int64_t since_ms = mono_since_us(now, bucket->at) / (int64_t)US_PER_MS;

	if (since_ms > full(rate) / rate->per_minute) {
		bucket->parts = full(rate);
		bucket->at = now;
		return;
	}
	bucket->parts += since_ms * rate->per_minute;
	if (bucket->parts > full(rate))
		bucket->parts = full(rate);
	bucket->at = mono_add_ms(bucket->at, since_ms);
}

bool node_bucket_take(struct node_bucket *bucket, struct mono now, const struct node_rate *rate,
		      int64_t cost)
{
	if (!bucket->used)
		*bucket = (struct node_bucket){.used = true, .at = now, .parts = full(rate)};
	refill(bucket, now, rate);
	if (bucket->parts < cost * PARTS)
		return false;
	bucket->parts -= cost * PARTS;
	return true;
}

void node_bucket_owe(struct node_bucket *bucket, struct mono now, const struct node_rate *rate,
		     int64_t cost)
{
	if (node_bucket_take(bucket, now, rate, cost))
		return;
	bucket->parts -= cost * PARTS;
	if (bucket->parts < -cost * PARTS)
		bucket->parts = -cost * PARTS;
}

static void forget_full(struct map *spenders, struct mono now, const struct node_rate *rate)
{
	map_for_each (entry, spenders) {
		struct spender *spender = entry->value;

		refill(&spender->bucket, now, rate);
		if (spender->bucket.parts < full(rate))
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
		/* At powers of two: seldom, and little is kept that need not be. */
		if ((spenders->count & (spenders->count - 1)) == 0)
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
