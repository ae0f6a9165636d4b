/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/schedule.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum {
	YEARS_MAX = 5, /* 29 February on a weekday may be that far away */
	FIELD_MAX = 128,
	SECONDS_PER_DAY = 24 * 3600,
};

struct field {
	const char *name;
	int min, max;
	const char *const *words; /* of @min and what follows; NULL: numbers only */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
				     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[] = {
	{"minute", 0, 59, NULL},  {"hour", 0, 23, NULL},           {"day of month", 1, 31, NULL},
	{"month", 1, 12, months}, {"day of week", 0, 7, weekdays},
};

static const struct {
	const char *name, *fields;
} shorthands[] = {
	{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"},
};

static int wrong(struct err *err, const struct field *field, const char *text)
{
	return err_set_status(err, -EINVAL, 422, "%s field \"%.40s\" is no cron expression",
			      field->name, text);
}

/* A number or a word at *@at, which moves past it. */
static bool read_value(const struct field *field, const char **at, int *ret)
{
	int value = 0, digits = 0;

	for (int i = 0; field->words && field->words[i]; i++)
		if (strncasecmp(*at, field->words[i], 3) == 0) {
			*at += 3;
			*ret = field->min + i;
			return true;
		}
	while (isdigit((unsigned char)**at) && digits++ < 3)
		value = value * 10 + *(*at)++ - '0';
	*ret = value;
	return digits > 0 && value >= field->min && value <= field->max;
}

static bool read_step(const char **at, int *ret)
{
	int digits = 0;

	*ret = 0;
	while (isdigit((unsigned char)**at) && digits++ < 3)
		*ret = *ret * 10 + *(*at)++ - '0';
	return *ret > 0;
}

/* One element of a list: where it ends, or NULL. */
static const char *read_range(const struct field *field, const char *at, uint64_t *bits, bool *any)
{
	int first = field->min, last = field->max, step = 1;
	bool is_star = *at == '*' || *at == '?';

	if (is_star)
		at++;
	else if (!read_value(field, &at, &first))
		return NULL;
	else if (*at == '-') {
		at++;
		if (!read_value(field, &at, &last) || last < first)
			return NULL;
	} else if (*at != '/')
		last = first;
	if (*at == '/') {
		at++;
		if (!read_step(&at, &step))
			return NULL;
	} else if (is_star)
		*any = true;
	/* Seven days, although Sunday has two numbers. */
	if (is_star && field->words == weekdays)
		last = 6;
	for (int value = first; value <= last; value += step)
		*bits |= UINT64_C(1) << (field->words == weekdays ? value % 7 : value);
	return at;
}

static int read_field(const struct field *field, const char *text, uint64_t *bits, bool *any,
		      struct err *err)
{
	const char *at = text;

	*bits = 0;
	*any = false;
	for (;;) {
		at = read_range(field, at, bits, any);
		if (!at || (*at != ',' && *at != '\0'))
			return wrong(err, field, text);
		if (*at == '\0')
			return 0;
		at++;
	}
}

static const char *expand(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(shorthands); i++)
		if (strcmp(shorthands[i].name, text) == 0)
			return shorthands[i].fields;
	return text;
}

int kube_schedule_parse(const char *text, struct kube_schedule *ret_schedule, struct err *err)
{
	struct kube_schedule schedule = {0};
	uint64_t *const bits[] = {&schedule.minutes, &schedule.hours, &schedule.days,
				  &schedule.months, &schedule.weekdays};
	bool any[ARRAY_LEN(bits)];
	const char *at = expand(text);
	char word[FIELD_MAX];

	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		size_t len;
		int r;

		at += strspn(at, " \t");
		len = strcspn(at, " \t");
		if (len == 0 || len >= sizeof(word))
			return err_set_status(err, -EINVAL, 422,
					      "expected exactly 5 fields: \"%.60s\"", text);
		memcpy(word, at, len);
		word[len] = '\0';
		at += len;
		r = read_field(&fields[i], word, bits[i], &any[i], err);
		if (r < 0)
			return r;
	}
	if (at[strspn(at, " \t")] != '\0')
		return err_set_status(err, -EINVAL, 422, "expected exactly 5 fields: \"%.60s\"",
				      text);
	schedule.any_day = any[2];
	schedule.any_weekday = any[4];
	*ret_schedule = schedule;
	return 0;
}

/* ---- time ---- */

struct date {
	int64_t year;
	int month, day, weekday; /* 1-12, 1-31, 0-6 */
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01 as a date of the Gregorian calendar: years begin in March, so that the leap
 * day is the last one. */
static struct date date_of(int64_t days)
{
	int64_t shifted = days + 719468, era = floor_div(shifted, 146097);
	int64_t of_era = shifted - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	return (struct date){
		.year = year + era * 400 + (month >= 10),
		.month = (int)(month < 10 ? month + 3 : month - 9),
		.day = (int)(of_year - (153 * month + 2) / 5 + 1),
		.weekday = (int)(((days + 4) % 7 + 7) % 7),
	};
}

static bool has(uint64_t bits, int64_t value)
{
	return bits >> value & 1;
}

static bool day_matches(const struct kube_schedule *schedule, const struct date *date)
{
	bool day = has(schedule->days, date->day);
	bool weekday = has(schedule->weekdays, date->weekday);

	if (!has(schedule->months, date->month))
		return false;
	return schedule->any_day || schedule->any_weekday ? day && weekday : day || weekday;
}

/* The first matching minute of local day @day from @from (minutes) on; -1: none. */
static int64_t minute_of_day(const struct kube_schedule *schedule, int64_t from)
{
	for (int64_t minute = from; minute < 24 * 60; minute++)
		if (has(schedule->hours, minute / 60) && has(schedule->minutes, minute % 60))
			return minute;
	return -1;
}

bool kube_schedule_next(const struct kube_schedule *schedule, struct wall after,
			kube_offset_fn *offset, void *ctx, struct wall *ret_at)
{
	struct wall at = {.ms = (floor_div(after.ms, 60000) + 1) * 60000};
	int64_t ahead = offset(ctx, at);
	int64_t local = floor_div(at.ms, 1000) + ahead;
	int64_t day = floor_div(local, SECONDS_PER_DAY);
	int64_t from = (local - day * SECONDS_PER_DAY) / 60;

	for (int64_t last = day + YEARS_MAX * 366; day <= last; day++, from = 0) {
		struct date date = date_of(day);
		int64_t minute = from;

		if (!day_matches(schedule, &date))
			continue;
		/* Where clocks are put forward a local time does not exist: the next one counts. */
		for (; (minute = minute_of_day(schedule, minute)) >= 0; minute++) {
			int64_t wanted = day * SECONDS_PER_DAY + minute * 60;
			struct wall guess = {.ms = (wanted - ahead) * 1000};

			guess.ms = (wanted - offset(ctx, guess)) * 1000;
			if (guess.ms <= after.ms || guess.ms / 1000 + offset(ctx, guess) != wanted)
				continue;
			*ret_at = guess;
			return true;
		}
	}
	return false;
}
