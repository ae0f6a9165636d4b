/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score: resource fit, locality (round-trip time measured by the owner; image present),
 * reliability; self-reported parts are clamped. From that the penalty is taken, for what the
 * manifest prefers and the machine has not: it weighs as much as all of the other parts together,
 * because a user has asked for it.
 *
 * The weights, in tenths: fit 4 (spread load), images 3 (a pull costs seconds), round-trip time 2,
 * reliability 1. The round-trip time counts in coarse classes, so that its noise does not reorder
 * machines that are equally near.
 */
#include "market/score.h"

#include "base/attr.h"

enum {
	SCORE_PART_MAX = 1000,
	SCORE_WEIGHT_FIT = 4,
	SCORE_WEIGHT_IMAGES = 3,
	SCORE_WEIGHT_NEAR = 2,
	SCORE_WEIGHT_RELIABILITY = 1,
	SCORE_WEIGHT_WISHES = SCORE_WEIGHT_FIT + SCORE_WEIGHT_IMAGES + SCORE_WEIGHT_NEAR +
			      SCORE_WEIGHT_RELIABILITY,
};

/* Same host or rack, same site, same region, same continent, farther. */
static const struct {
	int64_t rtt_us_max;
	int32_t part;
} nearness[] = {
	{2 * 1000, 1000},
	{10 * 1000, 800},
	{40 * 1000, 500},
	{150 * 1000, 200},
};

static int32_t clamp(uint32_t part)
{
	return part < SCORE_PART_MAX ? (int32_t)part : SCORE_PART_MAX;
}

static int32_t near_part(int64_t rtt_us)
{
	if (rtt_us <= 0)
		return SCORE_PART_MAX / 2; /* unknown: neither good nor bad */
	for (size_t i = 0; i < ARRAY_LEN(nearness); i++)
		if (rtt_us <= nearness[i].rtt_us_max)
			return nearness[i].part;
	return 0;
}

static int32_t image_part(const struct bid *bid, size_t image_count)
{
	if (!image_count || bid->images >= image_count)
		return SCORE_PART_MAX;
	return (int32_t)((size_t)bid->images * SCORE_PART_MAX / image_count);
}

int32_t score_bid(const struct bid *bid, size_t image_count, int64_t rtt_us)
{
	return SCORE_WEIGHT_FIT * clamp(bid->fit) +
	       SCORE_WEIGHT_IMAGES * image_part(bid, image_count) +
	       SCORE_WEIGHT_NEAR * near_part(rtt_us) +
	       SCORE_WEIGHT_RELIABILITY * clamp(bid->reliability) -
	       SCORE_WEIGHT_WISHES * clamp(bid->penalty);
}
