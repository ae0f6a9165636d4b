/* SPDX-License-Identifier: Apache-2.0 */
#include "api/upgrade.h"

#include <string.h>
#include <strings.h>

static const char websocket_word[] = "websocket", spdy_word[] = "SPDY/3.1";

/* Whether a comma-separated list holds @word. */
static bool list_has(const char *list, const char *word, bool any_case)
{
	size_t word_len = strlen(word);

	while (*list) {
		size_t len;

		list += strspn(list, " \t,");
		len = strcspn(list, " \t,");
		if (len == word_len &&
		    (any_case ? strncasecmp(list, word, len) : strncmp(list, word, len)) == 0)
			return true;
		list += len;
	}
	return false;
}

/* In one line or spread over several (RFC 9110 section 5.3). */
static bool headers_have(const struct http_request *request, const char *name, const char *word,
			 bool any_case)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcmp(request->headers[i].name, name) == 0 &&
		    list_has(request->headers[i].value, word, any_case))
			return true;
	return false;
}

static const char *offer_header(enum upgrade_kind kind)
{
	return kind == UPGRADE_WEBSOCKET ? "sec-websocket-protocol" : "x-stream-protocol-version";
}

static bool read_kind(const struct http_request *request, struct upgrade *ret, const char **ret_why)
{
	const char *key = http_request_header(request, "sec-websocket-key");
	const char *version = http_request_header(request, "sec-websocket-version");

	*ret_why = "this needs an upgrade to websocket or SPDY/3.1";
	if (!headers_have(request, "connection", "upgrade", true))
		return false;
	ret->kind = UPGRADE_SPDY;
	if (headers_have(request, "upgrade", spdy_word, true))
		return true;
	if (!headers_have(request, "upgrade", websocket_word, true))
		return false;
	ret->kind = UPGRADE_WEBSOCKET;
	*ret_why = "malformed websocket handshake";
	/* A key is sixteen bytes in base64. */
	if (strcmp(request->method, "GET") != 0 || !key || strlen(key) != 24 || !version ||
	    strcmp(version, "13") != 0)
		return false;
	websocket_accept(key, ret->accept);
	return true;
}

bool upgrade_choose(const struct http_request *request, const struct upgrade_protocol *spoken,
		    struct upgrade *ret_upgrade, const char **ret_why)
{
	if (!read_kind(request, ret_upgrade, ret_why))
		return false;
	for (; spoken->name; spoken++)
		if (spoken->kind == ret_upgrade->kind &&
		    headers_have(request, offer_header(spoken->kind), spoken->name, false)) {
			ret_upgrade->protocol = spoken->name;
			return true;
		}
	*ret_why = "none of the protocols that the client offers is spoken here";
	return false;
}

void upgrade_answer(struct exchange *exchange, const struct upgrade *upgrade,
		    size_t (*received)(struct exchange *exchange, struct bytes bytes, void *arg),
		    void (*writable)(struct exchange *exchange, void *arg),
		    void (*abort)(struct exchange *exchange, void *arg), void *arg)
{
	bool websocket = upgrade->kind == UPGRADE_WEBSOCKET;

	if (websocket)
		exchange_header(exchange, "Sec-WebSocket-Accept", upgrade->accept);
	exchange_header(exchange,
			websocket ? "Sec-WebSocket-Protocol" : "X-Stream-Protocol-Version",
			upgrade->protocol);
	exchange_upgrade(exchange, websocket ? websocket_word : spdy_word, received, writable,
			 abort, arg);
}
