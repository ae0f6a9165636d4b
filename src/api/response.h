/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchange: one request and the answer to it.
 *
 * The server hands a complete request to its handler as an exchange, which from then on belongs to
 * the handler until it calls exactly one of exchange_respond(), exchange_end() or exchange_break();
 * these free it. The handler may answer at once or later.
 *
 *   WAITING --exchange_respond()--> (freed)
 *   WAITING --exchange_stream()--> STREAMING --exchange_end(), exchange_break()--> (freed)
 *
 * When the client goes away, a STREAMING exchange is told by its abort callback (which must lead to
 * exchange_end() soon, best inside it); a WAITING one is told only if exchange_on_abort() asked for
 * it. Whatever is then still written is dropped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "api/backend.h"
#include "api/http_parser.h"
#include "base/bytes.h"
#include "base/err.h"
#include "kube/status.h"

enum {
	EXCHANGE_OUT_HIGH = 256 * 1024, /* above it a stream should wait for writable */
	EXCHANGE_OUT_MAX = 4 << 20,     /* a stream that ignores that is broken off */
};

struct conn;

struct exchange {
	struct conn *conn; /* NULL once the client is gone */
	struct http_request request;
	struct bytes body; /* borrowed from body_text */
	struct buf body_text;
	struct buf headers; /* of the answer, added by the handler */
	bool head;          /* a HEAD request: the answer has no body */
	bool streaming, chunked, aborted;
	bool upgraded; /* no longer HTTP: bytes both ways */

	/* Who asks. Without a certificate: anonymous. With an invalid one: auth_error says why. */
	struct api_user user;
	bool authenticated;
	char *auth_error; /* else NULL */

	void (*writable)(struct exchange *exchange, void *arg);
	void (*abort)(struct exchange *exchange, void *arg);
	size_t (*received)(struct exchange *exchange, struct bytes bytes, void *arg);
	void *arg;

	void (*answered)(void *arg, uint16_t status, struct bytes body); /* see below */
	void *answered_arg;
};

enum {
	API_SOURCE_MAX = 64, /* an IPv6 address with its zone */
};

/* With what @exchange's user came. NULL when the client has gone; else @ret. */
const struct api_credential *exchange_credential(const struct exchange *exchange,
						 struct api_credential *ret);

/* Where the request came from, as a numeric address; "" when that is not known. */
void exchange_source(const struct exchange *exchange, char ret_source[API_SOURCE_MAX]);

/* Call @answered once, when the answer begins, whether or not the client is still there: with all
 * of a complete body, with none of a stream. 0: there was no answer. */
void exchange_on_answer(struct exchange *exchange,
			void (*answered)(void *arg, uint16_t status, struct bytes body), void *arg);

/* Add a header to the answer. @value is cut at its first control character. */
void exchange_header(struct exchange *exchange, const char *name, const char *value);

/* A Warning header as Kubernetes sends them: 299 - "text". */
void exchange_warning(struct exchange *exchange, const char *text);

/* Answer with a complete body; @content_type NULL when there is none. */
void exchange_respond(struct exchange *exchange, uint16_t status, const char *content_type,
		      struct bytes body);

/* Answer with a JSON value, which is taken over. */
void exchange_respond_json(struct exchange *exchange, uint16_t status, json_t *value);

/* Answer with a Status object, which is taken over, under the HTTP code it names. */
void exchange_respond_status(struct exchange *exchange, json_t *status);

/* Call @abort when the client goes away while the answer is being prepared. */
void exchange_on_abort(struct exchange *exchange,
		       void (*abort)(struct exchange *exchange, void *arg), void *arg);

/*
 * Send the head of an answer of unknown length at once. @writable is called from the loop whenever
 * what waits has fallen below EXCHANGE_OUT_HIGH after having been above; it may write. @abort is
 * called once when the client goes away.
 */
void exchange_stream(struct exchange *exchange, uint16_t status, const char *content_type,
		     void (*writable)(struct exchange *exchange, void *arg),
		     void (*abort)(struct exchange *exchange, void *arg), void *arg);

/*
 * Leave HTTP for @protocol (RFC 9110 section 7.8): a stream in both directions. @received is given
 * what the client has sent and returns how much of that it took; the rest waits, and the client
 * with it, until exchange_receive(). @writable, @abort and exchange_write() are those of a stream.
 */
void exchange_upgrade(struct exchange *exchange, const char *protocol,
		      size_t (*received)(struct exchange *exchange, struct bytes bytes, void *arg),
		      void (*writable)(struct exchange *exchange, void *arg),
		      void (*abort)(struct exchange *exchange, void *arg), void *arg);

/* Take up what waits to be received; nothing inside received() itself. */
void exchange_receive(struct exchange *exchange);

/* Send a piece. False when enough is waiting: the next piece should wait for writable. */
bool exchange_write(struct exchange *exchange, struct bytes piece);

/* Bytes that wait to be sent to this client. */
size_t exchange_waiting(const struct exchange *exchange);

/* The stream is complete, or is broken off so that the client notices. */
void exchange_end(struct exchange *exchange);
void exchange_break(struct exchange *exchange);
