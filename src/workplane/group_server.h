/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group server: HTTP for group_api.h, and the watches that only HTTP has:
 *
 *   GET /v1/watch                        a line of JSON, as /v1/status, at each change
 *   GET /v1/keys?watch=1&after=VERSION   a line {version, name, deleted} for each change of a key
 *   GET .../leases?watch=1&resourceVersion=VERSION   as Kubernetes has it
 *
 * Watches tell what this replica has seen, which may be a moment behind the leader. 410 when the
 * changes since are not known any more.
 *
 * Whoever can connect is served: that it is the pod's own application is settled by whoever
 * accepts. Who speaks TLS, as clients of Kubernetes do, is served with a bearer token only.
 */
#pragma once

#include "workplane/account.h"
#include "workplane/group_api.h"

enum {
	GROUP_SERVER_CONNECTIONS_MAX = 256, /* a few for each of an application's threads */
	GROUP_SERVER_WATCHES_MAX = 64,
};

struct group_server;

/* @api is borrowed, and @account; NULL or zeroed: no TLS. */
_must_use_ int group_server_new(struct loop *loop, struct group_api *api,
				const struct account *account, struct group_server **ret_server,
				struct err *err);
/* At once. The loop must turn once more before it is freed. NULL is accepted. */
void group_server_free(struct group_server *server);

/* A client on @fd, a connected socket, which is taken over. */
void group_server_adopt(struct group_server *server, int fd);

/* The role or the members have changed; the keys have. */
void group_server_changed(struct group_server *server);
void group_server_applied(struct group_server *server);
