/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod request: what a user asks of a running pod (its log, a process in it, a connection to it), as
 * the gateway that let them in signs it and the host process of the pod's machine judges it
 * (verifier_request()). It carries the user's certificates, so that a machine which knows of a
 * revocation refuses whatever a gateway that does not has let through.
 */
#pragma once

#include "api/backend.h"
#include "wire/message.h"

/* The digest of a command: of its words, each with a 0 behind it. Zeroes when there are none. */
struct digest pod_request_command(const char *const *words, size_t count);

/* The verb of a stream that has to be signed for; POD_VERB_NONE: it has not. */
enum pod_verb pod_request_verb(enum api_stream_kind kind);

/* Encode what @request asks; its credential must be there. */
void pod_request_encode(const struct api_stream_request *request, struct buf *ret_payload);
