/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score: how good a bid is, -SCORE_MAX..SCORE_MAX; higher is better. What a machine says about
 * itself is clamped, what weighs against a lie (the round-trip time) is measured by the owner.
 */
#pragma once

#include "wire/message.h"

enum {
	SCORE_MAX = 10000,
};

/* @image_count: images that the tender names. @rtt_us: to the bidder, 0 = unknown. */
int32_t score_bid(const struct bid *bid, size_t image_count, int64_t rtt_us);
