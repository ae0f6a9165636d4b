/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control: asking a running daemon, over a Unix socket in its run directory.
 *
 * D/run is a link to the run directory. control.sock there is the fabric process's, host.sock the
 * host process's. A request is one line of JSON with the member "verb"; the answer is one or more
 * lines, each an object, of which the last has "done": true and, when it failed, "error" with a
 * sentence. Lines are at most CONTROL_LINE_MAX bytes.
 *
 * control.sock
 *	status  -> "node", "identity" (64 hex), "fabric" (16 hex), "fabric_time_ms", "roles",
 *	           "addresses" (where this machine, then others, can be reached on the mesh:
 *	           "<id>@<ip>:<port>"), "rest" ("<ip>:<port>"), "machines" (array of objects with
 *	           "name", "identity", "state"), "pods", "root_here"
 *
 *	revoke      {"machine"|"user"|"serial", "reason"}
 *	revocations -> "revocations": array of objects with "kind", "subject", "at_ms", "by" and
 *	           "reason"
 *
 * host.sock
 *	image-load {"source"} -> "image" (its name) when done; an absolute path or a reference
 *	image-ls              -> "images": array of objects with "name", "digest", "size" (bytes)
 *	image-rm {"source"}
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"

#define CONTROL_SOCKET "control.sock"
#define CONTROL_HOST_SOCKET "host.sock"

enum {
	CONTROL_LINE_MAX = 1024 * 1024, /* the longest answer: every image or machine */
	CONTROL_STATUS_TIMEOUT_S = 10,
	CONTROL_IMAGE_TIMEOUT_S = 1800, /* a large image from a slow registry */
};

/*
 * Send @request (borrowed) to @socket of the daemon with @state_dir and wait at most @timeout_s
 * for each line. 0 with the last line in @ret_answer (the caller's), or -errno with a sentence:
 * -ECONNREFUSED when no daemon answers, -EREMOTEIO when it answered with an error.
 */
_must_use_ int control_ask(const char *state_dir, const char *socket, json_t *request,
			   int timeout_s, json_t **ret_answer, struct err *err);

/* The answer to the verb "status". */
_must_use_ int control_status(const char *state_dir, json_t **ret_status, struct err *err);

/* A member that must be a string; "" when it is not there. Borrowed. */
const char *control_text(const json_t *object, const char *member);
