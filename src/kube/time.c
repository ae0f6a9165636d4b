/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/time.h"

#include <stdio.h>
#include <string.h>

enum {
	SECONDS_PER_DAY = 86400,
	MONTHS = 12,
};

/* Years 0 and 10000 in seconds since 1970: what RFC 3339 can write. */
static const int64_t seconds_min = -62167219200;
static const int64_t seconds_max = 253402300799;

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
};

/* Days since 1970 to a date. A year is counted from March, so that a leap day comes last. */
static struct civil civil_from_days(int64_t days)
{
	days += 719468; /* days from 0000-03-01 to 1970-01-01 */
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153; /* from March */
	struct civil civil = {
		.year = year_of_era + era * 400 + (month >= 10),
		.month = (unsigned)(month < 10 ? month + 3 : month - 9),
		.day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
	};
	return civil;
}

static int64_t days_from_civil(const struct civil *civil)
{
	int64_t year = civil->year - (civil->month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t month = civil->month > 2 ? civil->month - 3 : civil->month + 9;
	int64_t day_of_year = (153 * month + 2) / 5 + civil->day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static int64_t floor_div(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

struct kube_time kube_time_text(struct wall at)
{
	struct kube_time out;
	int64_t seconds = floor_div(at.ms, MS_PER_S);
	if (seconds < seconds_min)
		seconds = seconds_min;
	if (seconds > seconds_max)
		seconds = seconds_max;
	int64_t days = floor_div(seconds, SECONDS_PER_DAY);
	int rest = (int)(seconds - days * SECONDS_PER_DAY);
	struct civil civil = civil_from_days(days);
	(void)snprintf(out.text, sizeof(out.text), "%04d-%02u-%02uT%02d:%02d:%02dZ",
		       (int)civil.year, civil.month, civil.day, rest / 3600, rest / 60 % 60,
		       rest % 60);
	return out;
}

/* Exactly @count digits at *@text, then @after unless that is 0. */
static bool digits_read(const char **text, int count, char after, unsigned *ret)
{
	unsigned value = 0;
	for (; count; count--, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (unsigned)(**text - '0');
	}
	if (after && *(*text)++ != after)
		return false;
	*ret = value;
	return true;
}

/* The milliseconds of an optional ".123456"; false for a dot without digits. */
static bool fraction_read(const char **text, int64_t *ret_ms)
{
	int64_t weight = 100;
	*ret_ms = 0;
	if (**text != '.')
		return true;
	for ((*text)++; **text >= '0' && **text <= '9'; (*text)++, weight /= 10)
		*ret_ms += (**text - '0') * weight;
	return (*text)[-1] != '.';
}

/* "Z" or "+02:00" to the end of the text, in seconds to subtract. */
static bool offset_read(const char *text, int64_t *ret_s)
{
	unsigned hours, minutes;
	*ret_s = 0;
	if (*text == 'Z' || *text == 'z')
		return !text[1];
	if (*text != '+' && *text != '-')
		return false;
	int sign = *text++ == '+' ? 1 : -1;
	if (!digits_read(&text, 2, ':', &hours) || !digits_read(&text, 2, 0, &minutes) || *text ||
	    hours > 23 || minutes > 59)
		return false;
	*ret_s = sign * (int64_t)(hours * 3600 + minutes * 60);
	return true;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

bool kube_time_parse(const char *text, struct wall *ret_at)
{
	unsigned year, month, day, hour, minute, second;
	int64_t ms, offset_s;
	if (!digits_read(&text, 4, '-', &year) || !digits_read(&text, 2, '-', &month) ||
	    !digits_read(&text, 2, 0, &day) || (*text != 'T' && *text != 't'))
		return false;
	text++;
	if (!digits_read(&text, 2, ':', &hour) || !digits_read(&text, 2, ':', &minute) ||
	    !digits_read(&text, 2, 0, &second) || !fraction_read(&text, &ms) ||
	    !offset_read(text, &offset_s))
		return false;
	if (month < 1 || month > MONTHS || day < 1 || day > month_days(year, month) || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	struct civil civil = {.year = year, .month = month, .day = day};
	int64_t seconds = days_from_civil(&civil) * SECONDS_PER_DAY + hour * 3600 + minute * 60 +
			  second - offset_s;
	ret_at->ms = seconds * MS_PER_S + ms;
	return true;
}

/* "3h20m", or "3h" when the smaller unit is zero. */
static struct kube_time pair(int64_t large, char large_unit, int64_t small, char small_unit)
{
	struct kube_time out;
	if (small)
		(void)snprintf(out.text, sizeof(out.text), "%lld%c%lld%c", (long long)large,
			       large_unit, (long long)small, small_unit);
	else
		(void)snprintf(out.text, sizeof(out.text), "%lld%c", (long long)large, large_unit);
	return out;
}

/* An open age is the moment between two of these characters, which no name may have. */
#define OPEN_MARK "\x1a"
#define OPEN_MARK_JSON "\\u001A"

static struct kube_time age_open(struct wall since)
{
	struct kube_time out;
	(void)snprintf(out.text, sizeof(out.text), OPEN_MARK "%lld" OPEN_MARK, (long long)since.ms);
	return out;
}

struct kube_time kube_age(struct wall since, struct wall now)
{
	if (now.ms == KUBE_AGE_OPEN.ms)
		return age_open(since);
	int64_t seconds = (now.ms - since.ms) / MS_PER_S;
	int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
	if (seconds < -1)
		return (struct kube_time){.text = "<invalid>"};
	if (seconds < 120)
		return pair(seconds < 0 ? 0 : seconds, 's', 0, 0);
	if (minutes < 10)
		return pair(minutes, 'm', seconds % 60, 's');
	if (minutes < 180)
		return pair(minutes, 'm', 0, 0);
	if (hours < 8)
		return pair(hours, 'h', minutes % 60, 'm');
	if (hours < 48)
		return pair(hours, 'h', 0, 0);
	if (days < 8)
		return pair(days, 'd', hours % 24, 'h');
	if (days < 365 * 2)
		return pair(days, 'd', 0, 0);
	if (days < 365 * 8)
		return pair(days / 365, 'y', days % 365, 'd');
	return pair(days / 365, 'y', 0, 0);
}

struct kube_time kube_age_of(const char *since, struct wall now)
{
	struct wall at;
	if (!since || !kube_time_parse(since, &at))
		return (struct kube_time){.text = "<unknown>"};
	return kube_age(at, now);
}

/* The moment of the open age that @text begins with; NULL when it does not, else where it ends. */
static const char *open_read(const char *text, const char *end, struct wall *ret_since)
{
	const size_t mark = sizeof(OPEN_MARK_JSON) - 1;
	bool negative = false;
	const char *at = text + mark;
	if ((size_t)(end - text) < 2 * mark || memcmp(text, OPEN_MARK_JSON, mark) != 0)
		return NULL;
	if (*at == '-') {
		negative = true;
		at++;
	}
	ret_since->ms = 0;
	for (; at < end && *at >= '0' && *at <= '9' && ret_since->ms < INT64_MAX / 100; at++)
		ret_since->ms = 10 * ret_since->ms + (*at - '0');
	if (negative)
		ret_since->ms = -ret_since->ms;
	if ((size_t)(end - at) < mark || memcmp(at, OPEN_MARK_JSON, mark) != 0)
		return NULL;
	return at + mark;
}

void kube_age_fill(struct bytes json, struct wall now, struct buf *out)
{
	const char *at = (const char *)json.ptr, *end = at + json.len;
	while (at < end) {
		const char *mark = memchr(at, '\\', (size_t)(end - at)), *behind;
		struct wall since;
		if (!mark)
			mark = end;
		buf_append(out, at, (size_t)(mark - at));
		if (mark == end)
			return;
		behind = open_read(mark, end, &since);
		if (behind) {
			buf_append_str(out, kube_age(since, now).text);
			at = behind;
			continue;
		}
		/* What is escaped goes with its backslash: it may be one itself. */
		at = end - mark < 2 ? end : mark + 2;
		buf_append(out, mark, (size_t)(at - mark));
	}
}
