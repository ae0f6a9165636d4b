/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent: what the host process and the agent of one pod say to each other over its control socket.
 *
 * Connected when the agent is known to be there or something is asked, and again after it was
 * started anew. The agent is the pod's: what it says counts for its pod only, and when it says
 * nothing its time runs out here.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "io/loop.h"
#include "ipc/channel.h"

struct agent;

enum {
	/* Beyond the time that the agent was given: what a busy machine needs to pass it on. */
	AGENT_SLACK_MS = 3000,
};

enum agent_answer {
	AGENT_WELL,
	AGENT_NOT_WELL,
	AGENT_SILENT, /* it could not be asked, or did not answer */
};

/* @text: why not; borrowed. */
typedef void agent_fn(void *user, enum agent_answer answer, const char *text);

/* The agent says something by itself; @message is looked at within the call only. */
typedef void agent_message_fn(void *user, const struct ipc_message *message);

/* @control_dir: where the agent listens. @said may be NULL. */
_must_use_ struct agent *agent_new(struct loop *loop, const char *control_dir,
				   agent_message_fn *said, void *user);
/* It is there: connect, unless connected. What cannot be is tried again when something is asked. */
void agent_connect(struct agent *agent);
/* Tell it something. 0, or a negative errno: it has not been told. */
_must_use_ int agent_tell(struct agent *agent, enum ipc_type type, const ProtobufCMessage *body);
/* What has been asked is not answered any more. NULL is accepted. */
void agent_free(struct agent *agent);

/* Ask; run->id is written. Answered once, never from within this call, unless forgotten: the
 * number returned, never 0, is for that. */
uint32_t agent_check(struct agent *agent, Magik__Ipc__CheckRun *run, agent_fn *done, void *user);
void agent_forget(struct agent *agent, uint32_t id);
