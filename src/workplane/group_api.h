/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group API: what an application may ask its agent about its group, and what comes of it. HTTP is
 * spoken in group_server.h; here a request is its method, path and body.
 *
 *   GET  /v1/status            role, term, epoch, leader, members
 *   GET  /v1/leader            200 where the leader is, 503 elsewhere
 *   POST /v1/rpc               {method, body, leader_only} -> {ok, error, body}
 *   POST /v1/sessions          a session, under which commands happen once
 *   GET, PUT, DELETE /v1/keys[/NAME]
 *   GET, POST, PUT, DELETE /apis/coordination.k8s.io/v1/namespaces/NS/leases[/NAME]
 *
 * What must be answered by the leader is passed on to its agent, by any other, and refused (503)
 * while there is none. Reads are linearizable, too. 504 means that nobody knows whether it
 * happened.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "wire/group_message.h"
#include "workplane/quorum.h"

enum {
	GROUP_API_OPEN_MAX = 512,    /* requests under way, with bodies of GROUP_BODY_MAX at most */
	GROUP_API_FORWARD_MS = 5000, /* the leader's agent says nothing: 504 */
};

struct group_api;

/* Strings may be NULL where there is nothing. All borrowed. */
struct group_request {
	const char *method, *path, *query;
	const char *if_match, *if_none_match; /* as in HTTP */
	struct bytes body;
};

struct group_reply {
	uint16_t status;
	const char *content_type;
	struct bytes body;
	uint64_t version; /* of what was asked for; 0: none */
};

typedef void group_reply_fn(void *user, const struct group_reply *reply);

struct group_api_config {
	struct loop *loop;
	struct quorum *quorum; /* NULL: the workload has none, and all about it is 404 */
	const char *namespace, *workload, *pod;
	/* Ask the agent of the pod with that ordinal. Answered once by group_api_forwarded(), with
	 * NULL if it could not be reached. Returns false if it cannot even be tried. */
	bool (*forward)(void *user, uint32_t ordinal, uint64_t number,
			const struct group_request *request);
	/* Its own readiness, for the method healthz. */
	bool (*healthy)(void *user);
	void *user;
};

struct group_api *group_api_new(const struct group_api_config *config);
/* What is open is not answered any more. NULL is accepted. */
void group_api_free(struct group_api *api);

/*
 * @done is called once, possibly from within this call. @forwarded: another agent of the group
 * asks; it is not passed on again.
 */
void group_api_handle(struct group_api *api, const struct group_request *request, bool forwarded,
		      group_reply_fn *done, void *user);
/* Nobody waits for this @user any more. */
void group_api_forget(struct group_api *api, const void *user);

/* From the agent of @ordinal, of which it was asked: nobody else may answer. */
void group_api_forwarded(struct group_api *api, uint32_t ordinal, uint64_t number,
			 const struct group_reply *reply);

/* The answer to GET /v1/status, appended. */
void group_api_status(const struct group_api *api, struct buf *out);
const struct group_api_config *group_api_config(const struct group_api *api);
