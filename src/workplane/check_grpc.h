/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's part of a check (check.h): one call of grpc.health.v1.Health/Check over HTTP/2 without TLS
 * (prior knowledge). No sockets here: bytes in, bytes out.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"

enum check_grpc_outcome {
	_CHECK_GRPC_E_OK,       /* SERVING */
	CHECK_GRPC_E_MORE,      /* no answer yet */
	CHECK_GRPC_E_UNHEALTHY, /* an answer, but another one */
	CHECK_GRPC_E_MALFORMED, /* this is not gRPC */
};

struct check_grpc;

/* Ask about @service ("": the server itself) with @authority as its name. */
_must_use_ struct check_grpc *check_grpc_new(const char *authority, const char *service);
void check_grpc_free(struct check_grpc *grpc);

/* What is to be sent; the caller takes it out. */
struct buf *check_grpc_wire(struct check_grpc *grpc);

/* Bytes from the server. An enum check_grpc_outcome; *@ret_text says why not, for people, valid as
 * long as @grpc. */
_must_use_ int check_grpc_feed(struct check_grpc *grpc, struct bytes bytes, const char **ret_text);
