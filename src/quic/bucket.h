/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket: a rate with a burst. It starts full; zeroed it is empty at time zero, so use
 * bucket_init(). */
#pragma once

#include <stdbool.h>

#include "base/time.h"

struct bucket {
	int64_t tokens, burst, rate_per_s;
	struct mono refilled;
};

static inline void bucket_init(struct bucket *bucket, struct mono now, int64_t burst,
			       int64_t rate_per_s)
{
	*bucket = (struct bucket){
		.tokens = burst, .burst = burst, .rate_per_s = rate_per_s, .refilled = now};
}

/* Earned by other means than time. */
static inline void bucket_add(struct bucket *bucket, int64_t tokens)
{
	bucket->tokens =
		bucket->tokens + tokens > bucket->burst ? bucket->burst : bucket->tokens + tokens;
}

/* Take @cost tokens; false, and nothing is taken, when there are fewer. */
static inline bool bucket_take(struct bucket *bucket, struct mono now, int64_t cost)
{
	int64_t us_per_token = US_PER_S / bucket->rate_per_s;
	int64_t earned = mono_since_us(now, bucket->refilled) / us_per_token;

	if (earned > 0) {
		bucket_add(bucket, earned > bucket->burst ? bucket->burst : earned);
		bucket->refilled = mono_add_us(bucket->refilled, earned * us_per_token);
	}
	if (bucket->tokens < cost)
		return false;
	bucket->tokens -= cost;
	return true;
}
