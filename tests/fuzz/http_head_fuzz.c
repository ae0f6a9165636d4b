/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request head. However the bytes are cut, the outcome is the same; what is accepted lies
 * within the limits and holds no control characters.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "api/http_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	for (; *text; text++)
		assert((unsigned char)*text >= ' ' || *text == '\t');
}

static void check_request(const struct http_request *request)
{
	assert(request->header_count <= HTTP_HEADERS_MAX);
	assert(request->content_length <= HTTP_BODY_MAX);
	assert(*request->path == '/');
	assert(strlen(request->path) + strlen(request->query) <= HTTP_TARGET_MAX);
	assert(!http_request_header(request, "transfer-encoding") ||
	       (request->chunked && request->content_length == 0));
	check_text(request->method);
	check_text(request->path);
	check_text(request->query);
	for (size_t i = 0; i < request->header_count; i++) {
		check_text(request->headers[i].name);
		check_text(request->headers[i].value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_parser whole = {0}, pieces = {0};
	struct http_request request, again;
	const char *why;
	size_t used = 0, used_again = 0, len = 0;
	int r = http_parse_head(&whole, bytes_of(data, size), &request, &used, &why);
	int r_again;

	do {
		len += 1 + size / 7;
		if (len > size)
			len = size;
		r_again = http_parse_head(&pieces, bytes_of(data, len), &again, &used_again, &why);
	} while (r_again == HTTP_E_MORE && len < size);
	if (r == 0) {
		assert(used <= size);
		check_request(&request);
		/* A prefix may be refused early for being hopeless, but then the whole is, too. */
		assert(r_again == 0 && used_again == used);
		assert(strcmp(request.path, again.path) == 0);
		http_request_deinit(&again);
		http_request_deinit(&request);
	} else {
		assert(r_again != 0);
	}
	return 0;
}
