/* SPDX-License-Identifier: Apache-2.0 */
#include "service/label.h"

#include <string.h>

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool label_is_valid(const char *text, size_t len)
{
	if (len == 0 || len > LABEL_MAX || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_lower(text[i]) && !is_digit(text[i]) && text[i] != '-')
			return false;
	return true;
}

bool label_is_subdomain(const char *text)
{
	if (strlen(text) > SUBDOMAIN_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(text, ".");

		if (!label_is_valid(text, len))
			return false;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

bool label_is_kind(const char *text)
{
	if (!is_lower(text[0]) && !(text[0] >= 'A' && text[0] <= 'Z'))
		return false;
	for (size_t i = 0; text[i]; i++)
		if (i >= LABEL_MAX || (!is_lower(text[i]) && !is_digit(text[i]) &&
				       !(text[i] >= 'A' && text[i] <= 'Z')))
			return false;
	return true;
}
