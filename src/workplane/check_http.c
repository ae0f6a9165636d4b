/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/check_http.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/version.h"

enum {
	STATUS_LINE_MIN = 12, /* "HTTP/1.1 200" */
	STATUS_FINAL = 200,
};

static bool is_set(const Magik__Ipc__CheckRun *run, const char *name)
{
	for (size_t i = 0; i < run->n_headers; i++)
		if (strcasecmp(run->headers[i]->name, name) == 0)
			return true;
	return false;
}

static bool is_line(const char *text)
{
	return !strpbrk(text, "\r\n");
}

void check_http_request(const Magik__Ipc__CheckRun *run, const char *host, struct buf *out)
{
	const char *path = *run->path && is_line(run->path) ? run->path : "/";
	bool is_six = strchr(host, ':') != NULL;

	buf_append_format(out, "GET %s%s HTTP/1.1\r\n", *path == '/' ? "" : "/", path);
	if (!is_set(run, "Host"))
		buf_append_format(out, "Host: %s%s%s:%u\r\n", is_six ? "[" : "", host,
				  is_six ? "]" : "", run->port);
	if (!is_set(run, "User-Agent"))
		/* The name that servers know to keep out of their logs. */
		buf_append_format(out, "User-Agent: kube-probe/1.32 magik/%s\r\n", MAGIK_VERSION);
	if (!is_set(run, "Accept"))
		buf_append_str(out, "Accept: */*\r\n");
	for (size_t i = 0; i < run->n_headers; i++)
		if (is_line(run->headers[i]->name) && is_line(run->headers[i]->value))
			buf_append_format(out, "%s: %s\r\n", run->headers[i]->name,
					  run->headers[i]->value);
	buf_append_str(out, "Connection: close\r\n\r\n");
}

/* The length of the head at the front, with the empty line that ends it; 0: not all is here. */
static size_t head_len(struct bytes reply)
{
	const uint8_t *end = memmem(reply.ptr, reply.len, "\r\n\r\n", 4);

	return end ? (size_t)(end - reply.ptr) + 4 : 0;
}

static int status_line(struct bytes reply, int *ret_status)
{
	const char *text = (const char *)reply.ptr;
	size_t known = reply.len < 7 ? reply.len : 7;

	if (memcmp(text, "HTTP/1.", known) != 0)
		return CHECK_HTTP_E_MALFORMED;
	if (reply.len < STATUS_LINE_MIN)
		return CHECK_HTTP_E_MORE;
	if (!isdigit((unsigned char)text[7]) || text[8] != ' ' ||
	    !isdigit((unsigned char)text[9]) || !isdigit((unsigned char)text[10]) ||
	    !isdigit((unsigned char)text[11]))
		return CHECK_HTTP_E_MALFORMED;
	*ret_status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
	return 0;
}

int check_http_status(struct bytes reply, int *ret_status)
{
	for (;;) {
		size_t skip;
		int r = reply.len == 0 ? CHECK_HTTP_E_MORE : status_line(reply, ret_status);

		if (r != 0 || *ret_status >= STATUS_FINAL)
			return r;
		skip = head_len(reply);
		if (skip == 0)
			return CHECK_HTTP_E_MORE;
		reply = bytes_of(reply.ptr + skip, reply.len - skip);
	}
}
