/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of group_api.h. */
#pragma once

#include <jansson.h>

#include "api/url.h"
#include "base/list.h"
#include "workplane/group_api.h"

struct group_call;

/* Once it may be read (or the command has been agreed): fill the answer. */
typedef void group_finish_fn(struct group_call *call, const struct keys_result *result);

/* One request under way. */
struct group_call {
	struct list link;
	struct group_api *api;
	uint64_t number, quorum_request; /* 0: none */
	struct loop_timer *timer;        /* while another agent is asked, */
	uint32_t asked;                  /* this one */
	bool forwarded;
	struct group_request request; /* points into @text and @body */
	char *text[5];
	struct buf body;
	struct url url;
	group_finish_fn *finish;
	struct keys_command command; /* names point into url, body or @value */
	struct buf value;
	group_reply_fn *done;
	void *user;
};

struct group_api {
	struct group_api_config config;
	struct list calls;
	size_t call_count;
	uint64_t next;
};

/* End with an answer; the call is gone afterwards. */
void group_call_reply(struct group_call *call, const struct group_reply *reply);
void group_call_json(struct group_call *call, uint16_t status, json_t *value, uint64_t version);
/* {"error": sentence}. */
void group_call_fail(struct group_call *call, uint16_t status, const char *sentence);
/* A Status of Kubernetes; taken over. */
void group_call_status(struct group_call *call, json_t *status);

/* Propose call->command, then call->finish. */
void group_call_propose(struct group_call *call, group_finish_fn *finish);
/* Make sure that what is here is not old, then call->finish. */
void group_call_read(struct group_call *call, group_finish_fn *finish);

/* group_api_keys.c: /v1/keys, /v1/sessions; group_api_lease.c: behind .../namespaces. The segments
 * of the path from @at on. */
void group_keys_handle(struct group_call *call, size_t at);
void group_sessions_handle(struct group_call *call);
void group_lease_handle(struct group_call *call, size_t at);

/* A Lease as Kubernetes has it, new; for watches as well. */
json_t *group_lease_json(const struct group_api *api, const struct keys_item *item);
