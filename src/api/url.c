/* SPDX-License-Identifier: Apache-2.0 */
#include "api/url.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/attr.h"
#include "base/mem.h"

/* Decode %XX (and '+' in a query) in place. False for a bad escape or a control character. */
static bool decode(char *text, bool plus_is_space)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		char c = *in;

		if (c == '+' && plus_is_space) {
			c = ' ';
		} else if (c == '%') {
			char hex[3] = {in[1], in[1] ? in[2] : (char)0, 0};
			uint8_t byte;

			if (!hex_decode(hex, &byte, 1))
				return false;
			c = (char)byte;
			in += 2;
		}
		if ((unsigned char)c < ' ' || c == 0x7f)
			return false;
		*out++ = c;
	}
	*out = 0;
	return true;
}

static int parse_path(struct url *url)
{
	char *rest = url->path_text + 1;

	while (rest && *rest) {
		char *segment = strsep(&rest, "/");

		if (url->segment_count == URL_SEGMENTS_MAX)
			return URL_E_TOO_LONG;
		if (!decode(segment, false) || !*segment || strcmp(segment, ".") == 0 ||
		    strcmp(segment, "..") == 0)
			return URL_E_MALFORMED;
		url->segments[url->segment_count++] = segment;
	}
	return 0;
}

static int parse_query(struct url *url)
{
	char *rest = url->query_text;

	while (rest && *rest) {
		char *name = strsep(&rest, "&");
		char *value = strchr(name, '=');

		if (!*name)
			continue;
		if (url->param_count == URL_PARAMS_MAX)
			return URL_E_TOO_LONG;
		if (value)
			*value++ = 0;
		if (!decode(name, true) || (value && !decode(value, true)))
			return URL_E_MALFORMED;
		url->params[url->param_count].name = name;
		url->params[url->param_count].value = value ? value : "";
		url->param_count++;
	}
	return 0;
}

int url_parse(const char *path, const char *query, struct url *ret_url)
{
	struct url url = {.path_text = mem_strdup(path), .query_text = mem_strdup(query)};
	int r = URL_E_MALFORMED;

	if (*path == '/')
		r = parse_path(&url);
	if (r == 0)
		r = parse_query(&url);
	if (r)
		url_deinit(&url);
	else
		*ret_url = url;
	return r;
}

void url_deinit(struct url *url)
{
	free(url->path_text);
	free(url->query_text);
	free(url->kept);
	*url = (struct url){0};
}

const char *url_param(const struct url *url, const char *name)
{
	for (size_t i = 0; i < url->param_count; i++) {
		if (strcmp(url->params[i].name, name) == 0)
			return url->params[i].value;
	}
	return NULL;
}

bool url_flag(const struct url *url, const char *name)
{
	static const char *const words[] = {"1", "t", "T", "true", "True", "TRUE"};
	const char *value = url_param(url, name);

	for (size_t i = 0; value && i < ARRAY_LEN(words); i++) {
		if (strcmp(value, words[i]) == 0)
			return true;
	}
	return false;
}

const char *url_keep(struct url *url, const char *text)
{
	free(url->kept);
	url->kept = mem_strdup(text);
	return url->kept;
}
