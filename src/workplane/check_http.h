/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP's part of a check (check.h): the request, and what is read of the answer. Pure. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "ipc/channel.h"

enum check_http_outcome {
	_CHECK_HTTP_E_OK,
	CHECK_HTTP_E_MORE,      /* no whole status line yet */
	CHECK_HTTP_E_MALFORMED, /* this is not HTTP/1 */
};

/* The request to @host. Headers of the manifest take the place of ours. */
void check_http_request(const Magik__Ipc__CheckRun *run, const char *host, struct buf *out);

/* The status of the final answer at the front of @reply: what is sent before it (100 to 199) is
 * passed over. */
_must_use_ int check_http_status(struct bytes reply, int *ret_status);
