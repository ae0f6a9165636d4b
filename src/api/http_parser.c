/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http_parser.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What the header lines said about framing, until all have been seen. */
struct framing {
	unsigned hosts, lengths, encodings;
	bool close, keep_alive;
};

/* RFC 9110 section 5.6.2. */
static bool char_is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* RFC 9110 section 5.5: visible, space, tab, and obs-text, which is passed through unread. */
static bool char_is_value(unsigned char c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int refuse(const char **ret_why, enum http_outcome outcome, const char *why)
{
	*ret_why = why;
	return (int)outcome;
}

static int malformed(const char **ret_why, const char *why)
{
	return refuse(ret_why, HTTP_E_MALFORMED, why);
}

/* The length of the head including its empty line, or 0 while it has not arrived. */
static size_t head_end(struct http_parser *parser, struct bytes input)
{
	static const char end[] = "\r\n\r\n";
	size_t from = parser->scanned > 3 ? parser->scanned - 3 : 0;
	const uint8_t *found;

	if (input.len <= from)
		return 0;
	found = memmem(input.ptr + from, input.len - from, end, 4);
	parser->scanned = input.len;
	return found ? (size_t)(found - input.ptr) + 4 : 0;
}

/* What can be refused before the head is complete, so that a hopeless request is not waited for. */
static int check_incomplete(struct bytes input, const char **ret_why)
{
	size_t look = input.len < HTTP_METHOD_MAX + 1 ? input.len : HTTP_METHOD_MAX + 1;
	const uint8_t *line = memchr(input.ptr, '\n', input.len);
	size_t i = 0;

	while (i < look && char_is_token(input.ptr[i]))
		i++;
	if (i < look && (i == 0 || input.ptr[i] != ' '))
		return malformed(ret_why, "malformed request line");
	if (i > HTTP_METHOD_MAX)
		return malformed(ret_why, "method is too long");
	if (line && (line == input.ptr || line[-1] != '\r'))
		return malformed(ret_why, "line does not end with CRLF");
	if (!line && input.len > HTTP_TARGET_MAX + HTTP_METHOD_MAX + 16)
		return refuse(ret_why, HTTP_E_TARGET_LONG, "request target is too long");
	if (input.len >= HTTP_HEAD_MAX)
		return refuse(ret_why, HTTP_E_HEAD_LARGE, "request head is too large");
	return HTTP_E_MORE;
}

/* Cut the line at *@cursor (its CRLF becomes zeros) and move to the next. NULL if malformed. */
static char *next_line(char **cursor)
{
	char *line = *cursor;
	char *end = strchr(line, '\n');

	/* A zero byte ends strchr() early: then there is no line end in sight. */
	if (!end || end == line || end[-1] != '\r')
		return NULL;
	end[-1] = 0;
	*cursor = end + 1;
	return strchr(line, '\r') ? NULL : line;
}

static int parse_version(const char *version, struct http_request *request, const char **ret_why)
{
	if (strncmp(version, "HTTP/", 5) != 0)
		return malformed(ret_why, "malformed request line");
	if (strcmp(version + 5, "1.1") == 0 || strcmp(version + 5, "1.0") == 0) {
		request->minor_zero = version[7] == '0';
		return 0;
	}
	if (version[5] < '0' || version[5] > '9' || version[6] != '.' || version[7] < '0' ||
	    version[7] > '9' || version[8])
		return malformed(ret_why, "malformed HTTP version");
	return refuse(ret_why, HTTP_E_VERSION, "only HTTP/1.1 is spoken here");
}

static int parse_request_line(char *line, struct http_request *request, const char **ret_why)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	char *query;
	int r;

	if (!version)
		return malformed(ret_why, "malformed request line");
	*target++ = 0;
	*version++ = 0;
	for (const char *c = line; *c; c++) {
		if (!char_is_token((unsigned char)*c))
			return malformed(ret_why, "malformed method");
	}
	if (!*line || strlen(line) > HTTP_METHOD_MAX)
		return malformed(ret_why, "malformed method");
	r = parse_version(version, request, ret_why);
	if (r)
		return r;
	if (strlen(target) > HTTP_TARGET_MAX)
		return refuse(ret_why, HTTP_E_TARGET_LONG, "request target is too long");
	if (*target != '/')
		return malformed(ret_why, "request target is not a path");
	for (const char *c = target; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f || *c == '#')
			return malformed(ret_why, "request target has a forbidden character");
	}
	query = strchr(target, '?');
	if (query)
		*query++ = 0;
	request->method = line;
	request->path = target;
	request->query = query ? query : "";
	return 0;
}

/* Does the comma-separated list name @token, in any case? */
static bool list_has(const char *list, const char *token)
{
	size_t len = strlen(token);

	while (*list) {
		const char *end;

		list += strspn(list, ", \t");
		end = list + strcspn(list, ", \t");
		if ((size_t)(end - list) == len && strncasecmp(list, token, len) == 0)
			return true;
		list = end;
	}
	return false;
}

static int parse_length(const char *value, struct http_request *request, const char **ret_why)
{
	uint64_t length = 0;

	if (!*value)
		return malformed(ret_why, "malformed Content-Length");
	for (const char *c = value; *c; c++) {
		if (*c < '0' || *c > '9')
			return malformed(ret_why, "malformed Content-Length");
		if (length > UINT64_MAX / 10 - 10)
			return malformed(ret_why, "Content-Length overflows");
		length = length * 10 + (uint64_t)(*c - '0');
	}
	request->content_length = length;
	return 0;
}

/* RFC 9112 section 3.2: a Host that is not a host and port is answered 400. */
static bool host_is_valid(const char *host)
{
	for (const char *c = host; *c; c++) {
		if (!(*c >= '0' && *c <= '9') && !(*c >= 'A' && *c <= 'Z') &&
		    !(*c >= 'a' && *c <= 'z') && !strchr(".-_:[]%~", *c))
			return false;
	}
	return *host != 0;
}

/* Headers that decide about framing and about the connection. */
static int note_header(const struct http_header *header, struct http_request *request,
		       struct framing *framing, const char **ret_why)
{
	if (strcmp(header->name, "host") == 0) {
		if (!host_is_valid(header->value))
			return malformed(ret_why, "malformed Host");
		framing->hosts++;
	} else if (strcmp(header->name, "content-length") == 0) {
		framing->lengths++;
		return parse_length(header->value, request, ret_why);
	} else if (strcmp(header->name, "transfer-encoding") == 0) {
		framing->encodings++;
		request->chunked = strcasecmp(header->value, "chunked") == 0;
	} else if (strcmp(header->name, "connection") == 0) {
		framing->close |= list_has(header->value, "close");
		framing->keep_alive |= list_has(header->value, "keep-alive");
	} else if (strcmp(header->name, "expect") == 0) {
		if (strcasecmp(header->value, "100-continue") != 0)
			return refuse(ret_why, HTTP_E_EXPECTATION, "unknown expectation");
		request->expect_continue = true;
	}
	return 0;
}

static int parse_header(char *line, struct http_request *request, const char **ret_why)
{
	struct http_header *header = &request->headers[request->header_count];
	char *colon = strchr(line, ':');
	char *value, *end;

	if (*line == ' ' || *line == '\t')
		return malformed(ret_why, "folded header line");
	if (!colon || colon == line)
		return malformed(ret_why, "malformed header line");
	for (char *c = line; c < colon; c++) {
		if (!char_is_token((unsigned char)*c))
			return malformed(ret_why, "malformed header name");
		*c = char_lower(*c);
	}
	*colon = 0;
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	for (const char *c = value; *c; c++) {
		if (!char_is_value((unsigned char)*c))
			return malformed(ret_why, "header value has a forbidden character");
	}
	if (request->header_count == HTTP_HEADERS_MAX)
		return refuse(ret_why, HTTP_E_HEAD_LARGE, "too many header lines");
	header->name = line;
	header->value = value;
	request->header_count++;
	return 0;
}

/* RFC 9112 section 6.3 decides on the body; what it leaves open is refused. */
static int check_framing(const struct framing *framing, struct http_request *request,
			 const char **ret_why)
{
	if (framing->hosts > 1 || (framing->hosts == 0 && !request->minor_zero))
		return malformed(ret_why, "exactly one Host header is required");
	if (framing->lengths > 1)
		return malformed(ret_why, "repeated Content-Length");
	if (framing->encodings && (framing->lengths || request->minor_zero))
		return malformed(ret_why, "Transfer-Encoding contradicts the rest of the head");
	if (framing->encodings > 1 || (framing->encodings && !request->chunked))
		return refuse(ret_why, HTTP_E_LENGTH_REQUIRED,
			      "send the body with a Content-Length, or in chunks");
	if (request->content_length > HTTP_BODY_MAX)
		return refuse(ret_why, HTTP_E_BODY_LARGE, "request body is too large");
	request->keep_alive = !framing->close && (!request->minor_zero || framing->keep_alive);
	if (request->minor_zero)
		request->expect_continue = false;
	return 0;
}

static int parse_lines(char *cursor, struct http_request *request, const char **ret_why)
{
	struct framing framing = {0};
	char *line = next_line(&cursor);
	int r;

	if (!line)
		return malformed(ret_why, "malformed request line");
	r = parse_request_line(line, request, ret_why);
	while (r == 0) {
		line = next_line(&cursor);
		if (!line)
			return malformed(ret_why, "malformed header line");
		if (!*line)
			break;
		r = parse_header(line, request, ret_why);
		if (r == 0)
			r = note_header(&request->headers[request->header_count - 1], request,
					&framing, ret_why);
	}
	return r ? r : check_framing(&framing, request, ret_why);
}

int http_parse_head(struct http_parser *parser, struct bytes input,
		    struct http_request *ret_request, size_t *ret_used, const char **ret_why)
{
	struct http_request *request = ret_request;
	size_t skip = 0, len;
	int r;

	/* RFC 9112 section 2.2: one empty line before the request is ignored. */
	if (input.len >= 2 && input.ptr[0] == '\r' && input.ptr[1] == '\n')
		skip = 2;
	else if (input.len == 1 && input.ptr[0] == '\r')
		return HTTP_E_MORE;
	if (input.len == skip)
		return HTTP_E_MORE;
	if (parser->scanned < skip)
		parser->scanned = skip;
	len = head_end(parser, input);
	if (!len)
		return check_incomplete(bytes_of(input.ptr + skip, input.len - skip), ret_why);
	if (len > HTTP_HEAD_MAX)
		return refuse(ret_why, HTTP_E_HEAD_LARGE, "request head is too large");
	parser->scanned = 0;
	memset(request, 0, sizeof(*request));
	request->text = mem_copy(input.ptr + skip, len - skip);
	r = parse_lines(request->text, request, ret_why);
	if (r)
		http_request_deinit(request);
	else
		*ret_used = len;
	return r;
}

void http_request_deinit(struct http_request *request)
{
	free(request->text);
	request->text = NULL;
	request->header_count = 0;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	}
	return NULL;
}

uint16_t http_outcome_status(enum http_outcome outcome)
{
	static const uint16_t status[] = {
		[_HTTP_E_OK] = 200,        [HTTP_E_MORE] = 408,
		[HTTP_E_MALFORMED] = 400,  [HTTP_E_TARGET_LONG] = 414,
		[HTTP_E_HEAD_LARGE] = 431, [HTTP_E_LENGTH_REQUIRED] = 411,
		[HTTP_E_BODY_LARGE] = 413, [HTTP_E_EXPECTATION] = 417,
		[HTTP_E_VERSION] = 505,
	};

	assert((size_t)outcome < ARRAY_LEN(status));
	return status[outcome];
}
