/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/zone.h"

#include <errno.h>
#include <string.h>

enum {
	HEADER_LEN = 44,
	TYPE_LEN = 6,
	SECONDS_PER_HOUR = 3600,
	SECONDS_PER_DAY = 86400,
	HOURS_MAX = 167, /* of a rule's time: a week, less an hour */
	OFFSET_S_MAX = 26 * 3600,
	COUNT_MAX = KUBE_ZONE_BYTES_MAX,
};

bool kube_zone_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < KUBE_ZONE_NAME_MAX && *name != '/' && !strstr(name, "..") &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-") ==
		       len;
}

/* ---- the file ---- */

static uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t i64_at(const uint8_t *at)
{
	return (int64_t)((uint64_t)u32_at(at) << 32 | u32_at(at + 4));
}

struct counts {
	uint32_t isut, isstd, leap, time, type, text;
};

/* Take a header off @left. */
static bool take_header(struct bytes *left, struct counts *ret)
{
	const uint8_t *at = left->ptr;

	if (left->len < HEADER_LEN || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
		return false;
	*ret = (struct counts){u32_at(at + 20), u32_at(at + 24), u32_at(at + 28),
			       u32_at(at + 32), u32_at(at + 36), u32_at(at + 40)};
	*left = bytes_of(at + HEADER_LEN, left->len - HEADER_LEN);
	return ret->isut <= COUNT_MAX && ret->isstd <= COUNT_MAX && ret->leap <= COUNT_MAX &&
	       ret->time <= COUNT_MAX && ret->type <= COUNT_MAX && ret->text <= COUNT_MAX;
}

static bool take(struct bytes *left, size_t len, struct bytes *ret)
{
	if (left->len < len)
		return false;
	*ret = bytes_of(left->ptr, len);
	*left = bytes_of(left->ptr + len, left->len - len);
	return true;
}

/* What follows a header whose times have @width bytes. */
static bool take_block(struct bytes *left, const struct counts *counts, size_t width,
		       struct kube_zone *zone)
{
	struct bytes rest;

	zone->time_count = counts->time;
	zone->type_count = counts->type;
	return take(left, counts->time * width, &zone->times) &&
	       take(left, counts->time, &zone->indices) &&
	       take(left, counts->type * (size_t)TYPE_LEN, &zone->types) &&
	       take(left, counts->text, &rest) && take(left, counts->leap * (width + 4), &rest) &&
	       take(left, counts->isstd, &rest) && take(left, counts->isut, &rest);
}

static bool block_is_sound(const struct kube_zone *zone)
{
	if (zone->type_count == 0)
		return false;
	for (uint32_t i = 0; i < zone->time_count; i++)
		if (zone->indices.ptr[i] >= zone->type_count)
			return false;
	for (uint32_t i = 0; i < zone->type_count; i++) {
		int32_t offset_s = (int32_t)u32_at(zone->types.ptr + i * (size_t)TYPE_LEN);

		if (offset_s > OFFSET_S_MAX || offset_s < -OFFSET_S_MAX)
			return false;
	}
	return true;
}

/* ---- the rule ---- */

/* A cursor over the rule; NULL once it could not go on. */
struct cursor {
	const char *at, *end;
};

static bool next_is(struct cursor *cursor, char wanted)
{
	if (!cursor->at || cursor->at == cursor->end || *cursor->at != wanted)
		return false;
	cursor->at++;
	return true;
}

static int64_t number(struct cursor *cursor, int64_t max)
{
	const char *start = cursor->at;
	int64_t value = 0;

	while (cursor->at && cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' &&
	       value <= max)
		value = 10 * value + (*cursor->at++ - '0');
	if (cursor->at == start || value > max)
		cursor->at = NULL;
	return value;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static int64_t clock_time(struct cursor *cursor)
{
	bool minus = next_is(cursor, '-');
	int64_t seconds;

	if (!minus)
		(void)next_is(cursor, '+');
	seconds = number(cursor, HOURS_MAX) * SECONDS_PER_HOUR;
	if (next_is(cursor, ':'))
		seconds += number(cursor, 59) * 60;
	if (next_is(cursor, ':'))
		seconds += number(cursor, 59);
	return minus ? -seconds : seconds;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* CET, or <+03>. */
static void skip_name(struct cursor *cursor)
{
	bool quoted = next_is(cursor, '<');
	const char *start = cursor->at;

	while (cursor->at && cursor->at < cursor->end &&
	       (quoted ? *cursor->at != '>' : is_letter(*cursor->at)))
		cursor->at++;
	if (cursor->at == start || (quoted && !next_is(cursor, '>')))
		cursor->at = NULL;
}

static void read_change(struct cursor *cursor, struct kube_zone_change *ret)
{
	*ret = (struct kube_zone_change){.kind = ZONE_DAY_ZERO, .time_s = 2 * SECONDS_PER_HOUR};
	if (!next_is(cursor, ','))
		cursor->at = NULL;
	if (next_is(cursor, 'M')) {
		ret->kind = ZONE_DAY_WEEK;
		ret->month = (int)number(cursor, 12);
		if (!next_is(cursor, '.'))
			cursor->at = NULL;
		ret->week = (int)number(cursor, 5);
		if (!next_is(cursor, '.'))
			cursor->at = NULL;
		ret->day = (int)number(cursor, 6);
		if (ret->month < 1 || ret->week < 1)
			cursor->at = NULL;
	} else {
		if (next_is(cursor, 'J'))
			ret->kind = ZONE_DAY_JULIAN;
		ret->day = (int)number(cursor, 365);
	}
	if (next_is(cursor, '/'))
		ret->time_s = clock_time(cursor);
}

static bool read_rule(struct bytes rule, struct kube_zone *zone)
{
	struct cursor cursor = {(const char *)rule.ptr, (const char *)rule.ptr + rule.len};

	skip_name(&cursor);
	zone->standard_s = -clock_time(&cursor);
	zone->summer_s = zone->standard_s + SECONDS_PER_HOUR;
	if (cursor.at && cursor.at < cursor.end) {
		zone->has_summer = true;
		skip_name(&cursor);
		if (cursor.at && cursor.at < cursor.end && *cursor.at != ',')
			zone->summer_s = -clock_time(&cursor);
		read_change(&cursor, &zone->begin);
		read_change(&cursor, &zone->end);
	}
	return cursor.at == cursor.end && zone->standard_s <= OFFSET_S_MAX &&
	       zone->standard_s >= -OFFSET_S_MAX && zone->summer_s <= OFFSET_S_MAX &&
	       zone->summer_s >= -OFFSET_S_MAX;
}

int kube_zone_read(struct bytes file, struct kube_zone *ret_zone)
{
	struct kube_zone zone = {0};
	struct counts counts;
	struct bytes left = file;

	if (file.len > KUBE_ZONE_BYTES_MAX || !take_header(&left, &counts) ||
	    !take_block(&left, &counts, 4, &zone) || !take_header(&left, &counts) ||
	    !take_block(&left, &counts, 8, &zone) || !block_is_sound(&zone))
		return -EINVAL;
	if (left.len < 2 || left.ptr[0] != '\n' || left.ptr[left.len - 1] != '\n')
		return -EINVAL;
	if (left.len > 2) {
		zone.has_rule = true;
		if (!read_rule(bytes_of(left.ptr + 1, left.len - 2), &zone))
			return -EINVAL;
	}
	*ret_zone = zone;
	return 0;
}

/* ---- the time ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first of January. */
static int64_t days_to_year(int64_t year)
{
	int64_t before = year - 1;

	return 365 * (year - 1970) + floor_div(before, 4) - floor_div(before, 100) +
	       floor_div(before, 400) - 477;
}

static int64_t year_of(int64_t second)
{
	int64_t day = floor_div(second, SECONDS_PER_DAY);
	int64_t year = 1970 + floor_div(day * 400, 146097);

	while (days_to_year(year) > day)
		year--;
	while (days_to_year(year + 1) <= day)
		year++;
	return year;
}

/* Of the year, from 0. */
static int64_t day_of_week_rule(const struct kube_zone_change *change, int64_t year)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t first = 0, length, weekday, day;

	for (int i = 0; i < change->month - 1; i++)
		first += lengths[i] + (i == 1 && is_leap(year));
	length = lengths[change->month - 1] + (change->month == 2 && is_leap(year));
	weekday = ((days_to_year(year) + first + 4) % 7 + 7) % 7; /* 1970 began on a Thursday */
	day = (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
	while (day >= length)
		day -= 7;
	return first + day;
}

/* Local time of the change, in seconds since 1970. */
static int64_t change_in(const struct kube_zone_change *change, int64_t year)
{
	int64_t day = change->day;

	if (change->kind == ZONE_DAY_WEEK)
		day = day_of_week_rule(change, year);
	else if (change->kind == ZONE_DAY_JULIAN)
		day = change->day - 1 + (is_leap(year) && change->day > 59);
	return (days_to_year(year) + day) * SECONDS_PER_DAY + change->time_s;
}

static int64_t offset_by_rule(const struct kube_zone *zone, int64_t second)
{
	int64_t year = year_of(second + zone->standard_s);
	int64_t begin = change_in(&zone->begin, year) - zone->standard_s;
	int64_t end = change_in(&zone->end, year) - zone->summer_s;
	bool summer =
		begin < end ? second >= begin && second < end : second >= begin || second < end;

	return zone->has_summer && summer ? zone->summer_s : zone->standard_s;
}

int64_t kube_zone_offset(void *ctx, struct wall at)
{
	const struct kube_zone *zone = ctx;
	int64_t second = floor_div(at.ms, MS_PER_S);
	uint32_t low = 0, high = zone->time_count, type = 0;

	/* How many transitions there have been. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (i64_at(zone->times.ptr + middle * (size_t)8) <= second)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone->time_count && zone->has_rule)
		return offset_by_rule(zone, second);
	if (low > 0)
		type = zone->indices.ptr[low - 1];
	return (int32_t)u32_at(zone->types.ptr + type * (size_t)TYPE_LEN);
}
