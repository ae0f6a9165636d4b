/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zone: how far local time is from UTC, from the bytes of a TZif file (RFC 8536, version 2 and
 * later), which may come from a peer.
 *
 *   "TZif" version ... counts | block with 32-bit times | "TZif" counts | block with 64-bit times
 *   | \n rule \n
 *
 * Transitions are looked up; after the last one the rule counts, such as
 * CET-1CEST,M3.5.0,M10.5.0/3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"

enum {
	KUBE_ZONE_BYTES_MAX = 16 * 1024, /* the longest of the database has 4 KiB */
	KUBE_ZONE_NAME_MAX = 64,
};

/* One of the two days of the year on which clocks change. */
struct kube_zone_change {
	enum {
		ZONE_DAY_JULIAN, /* @day 1 to 365; there is no 29th of February */
		ZONE_DAY_ZERO,   /* @day 0 to 365 */
		ZONE_DAY_WEEK,   /* @day of @week of @month; week 5 is the last */
	} kind;
	int day, week, month;
	int64_t time_s; /* local, after midnight; may be negative */
};

struct kube_zone {
	struct bytes times, indices, types; /* borrowed from the file */
	uint32_t time_count, type_count;
	bool has_rule, has_summer;
	int64_t standard_s, summer_s; /* ahead of UTC */
	struct kube_zone_change begin, end;
};

/* "Europe/Berlin": a path below the database's directory that cannot leave it. */
bool kube_zone_is_name(const char *name);

/* 0, or -EINVAL. @file must live as long as the zone. */
_must_use_ int kube_zone_read(struct bytes file, struct kube_zone *ret_zone);

/* As kube_offset_fn (schedule.h); @zone: struct kube_zone. */
int64_t kube_zone_offset(void *zone, struct wall at);
