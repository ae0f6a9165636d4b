/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quantity is mantissa * 10^ten * 2^two. With at most 19 digits of mantissa and 2^60 the product
 * fits 128 bits, so that all arithmetic is exact until the one rounding at the end.
 */
#include "kube/quantity.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIGITS_MAX = 19,   /* of the mantissa; later digits of a fraction only round up */
	EXPONENT_MAX = 40, /* beyond this every number is zero-ish or out of range */
};

struct number {
	unsigned __int128 mantissa;
	int ten, two;
	bool is_negative;
	bool is_inexact; /* digits were dropped: round up */
};

static const struct suffix {
	const char *text;
	int ten, two;
} suffixes[] = {
	{"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"k", 3, 0},   {"M", 6, 0},
	{"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
	{"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Read "12.5" at *@text: at least one digit. False for anything else or too many whole digits. */
static int number_read_digits(struct number *number, const char **text)
{
	const char *at = *text;
	int significant = 0;
	bool any = false, fraction = false;
	for (; is_digit(*at) || (*at == '.' && !fraction); at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		any = true;
		if (significant >= DIGITS_MAX) {
			if (!fraction)
				return KUBE_QUANTITY_E_RANGE;
			number->is_inexact |= *at != '0';
			continue;
		}
		number->mantissa = number->mantissa * 10 + (unsigned)(*at - '0');
		significant += number->mantissa != 0;
		number->ten -= fraction;
	}
	*text = at;
	return any ? 0 : KUBE_QUANTITY_E_SYNTAX;
}

/* Read "e-3": false when it is no exponent. */
static bool number_read_exponent(struct number *number, const char *text)
{
	char *end;
	const char *digits = text + 1 + (text[1] == '+' || text[1] == '-');
	if ((*text != 'e' && *text != 'E') || !is_digit(*digits))
		return false;
	long exponent = strtol(text + 1, &end, 10);
	if (*end)
		return false;
	if (exponent > EXPONENT_MAX)
		exponent = EXPONENT_MAX;
	if (exponent < -EXPONENT_MAX)
		exponent = -EXPONENT_MAX;
	number->ten += (int)exponent;
	return true;
}

static bool number_read_suffix(struct number *number, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (strcmp(suffixes[i].text, text) == 0) {
			number->ten += suffixes[i].ten;
			number->two = suffixes[i].two;
			return true;
		}
	}
	return number_read_exponent(number, text);
}

/* @number * 10^@more, rounded up to an integer. */
static int number_integer(const struct number *number, int more, int64_t *ret)
{
	unsigned __int128 value = number->mantissa << number->two;
	int ten = number->ten + more;
	bool up = number->is_inexact;
	for (; ten > 0 && value; ten--) {
		if (__builtin_mul_overflow(value, (unsigned __int128)10, &value))
			return KUBE_QUANTITY_E_RANGE;
	}
	for (; ten < 0 && value; ten++) {
		up |= value % 10 != 0;
		value /= 10;
	}
	value += up;
	if (value > INT64_MAX)
		return KUBE_QUANTITY_E_RANGE;
	if (number->is_negative && value)
		return KUBE_QUANTITY_E_NEGATIVE;
	*ret = (int64_t)value;
	return 0;
}

static int quantity_parse(const char *text, int more, int64_t *ret)
{
	struct number number = {0};
	if (*text == '+' || *text == '-')
		number.is_negative = *text++ == '-';
	int r = number_read_digits(&number, &text);
	if (r)
		return r;
	if (!number_read_suffix(&number, text))
		return KUBE_QUANTITY_E_SYNTAX;
	return number_integer(&number, more, ret);
}

int kube_quantity_milli(const char *text, int64_t *ret_milli)
{
	return quantity_parse(text, 3, ret_milli);
}

int kube_quantity_units(const char *text, int64_t *ret_units)
{
	return quantity_parse(text, 0, ret_units);
}

struct kube_quantity_text kube_quantity_from_json(const json_t *value)
{
	struct kube_quantity_text out = {0};
	if (json_is_integer(value)) {
		(void)snprintf(out.text, sizeof(out.text), "%lld",
			       (long long)json_integer_value(value));
	} else if (json_is_real(value)) {
		/* The shortest text that reads back as the same number, so that 0.1 stays 0.1. */
		for (int digits = 15; digits <= 17; digits++) {
			(void)snprintf(out.text, sizeof(out.text), "%.*g", digits,
				       json_real_value(value));
			if (strtod(out.text, NULL) == json_real_value(value))
				break;
		}
	}
	return out;
}

static int quantity_json(const json_t *value, int more, int64_t *ret)
{
	if (json_is_string(value))
		return quantity_parse(json_string_value(value), more, ret);
	const struct kube_quantity_text text = kube_quantity_from_json(value);
	return quantity_parse(text.text, more, ret);
}

int kube_quantity_json_milli(const json_t *value, int64_t *ret_milli)
{
	return quantity_json(value, 3, ret_milli);
}

int kube_quantity_json_units(const json_t *value, int64_t *ret_units)
{
	return quantity_json(value, 0, ret_units);
}

struct kube_quantity_text kube_quantity_from_milli(int64_t milli)
{
	struct kube_quantity_text out;
	if (milli % 1000 == 0)
		(void)snprintf(out.text, sizeof(out.text), "%lld", (long long)(milli / 1000));
	else
		(void)snprintf(out.text, sizeof(out.text), "%lldm", (long long)milli);
	return out;
}

struct kube_quantity_text kube_quantity_from_bytes(int64_t bytes)
{
	struct kube_quantity_text out;
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	size_t unit = 0;
	while (bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_LEN(units)) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(out.text, sizeof(out.text), "%lld%s", (long long)bytes, units[unit]);
	return out;
}
