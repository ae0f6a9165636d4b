/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/agent.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/local.h"
#include "ipc/link.h"

struct agent {
	struct loop *loop;
	char *control_dir;
	struct ipc_link *link; /* NULL: not connected */
	struct list questions;
	uint32_t last_id;
	agent_message_fn *said;
	void *user;
};

struct question {
	struct list link;
	struct agent *agent;
	struct loop_timer *timer;
	uint32_t id;
	bool unsent;
	agent_fn *done;
	void *user;
};

static void question_free(struct question *question)
{
	list_remove(&question->link);
	loop_timer_free(question->timer);
	free(question);
}

static void question_end(struct question *question, enum agent_answer answer, const char *text)
{
	agent_fn *done = question->done;
	void *user = question->user;

	question_free(question);
	done(user, answer, text);
}

static struct question *question_find(const struct agent *agent, uint32_t id)
{
	list_for_each (it, &agent->questions) {
		struct question *question = list_entry(it, struct question, link);

		if (question->id == id)
			return question;
	}
	return NULL;
}

static void on_time(void *user)
{
	struct question *question = user;

	question_end(question, AGENT_SILENT,
		     question->unsent ? "the pod's agent cannot be reached"
				      : "the pod's agent does not answer");
}

static void on_message(void *owner, struct ipc_message *message)
{
	struct agent *agent = owner;
	const Magik__Ipc__CheckDone *done = (const Magik__Ipc__CheckDone *)message->body;
	struct question *question;

	if (message->type != IPC_CHECK_DONE) {
		if (agent->said)
			agent->said(agent->user, message);
		return;
	}
	question = question_find(agent, done->id);
	if (question)
		question_end(question, done->ok ? AGENT_WELL : AGENT_NOT_WELL, done->text);
}

/* It is started again by whoever watches it; what it was asked is lost, and runs out. */
static void on_closed(void *owner, int why)
{
	struct agent *agent = owner;

	(void)why;
	ipc_link_close(agent->link);
	agent->link = NULL;
}

/* There is one connection at a time, so the agent's backlog has room and connecting does not wait.
 */
static int reach(struct agent *agent)
{
	struct ipc_handler handler = {
		.on_message = on_message, .on_closed = on_closed, .owner = agent};
	int fd, r;

	if (agent->link)
		return 0;
	fd = local_connect(agent->control_dir, "agent.sock");
	if (fd < 0)
		return fd;
	r = ipc_link_new(loop_uv(agent->loop), fd, IPC_HOST, IPC_AGENT, handler, &agent->link);
	if (r < 0)
		(void)close(fd);
	return r;
}

struct agent *agent_new(struct loop *loop, const char *control_dir, agent_message_fn *said,
			void *user)
{
	struct agent *agent = mem_new(struct agent);

	agent->loop = loop;
	agent->control_dir = mem_strdup(control_dir);
	list_init(&agent->questions);
	agent->said = said;
	agent->user = user;
	return agent;
}

void agent_connect(struct agent *agent)
{
	(void)!reach(agent);
}

int agent_tell(struct agent *agent, enum ipc_type type, const ProtobufCMessage *body)
{
	int r = reach(agent);

	return r == 0 ? ipc_link_send(agent->link, type, body, -1) : r;
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	list_for_each_safe (it, &agent->questions)
		question_free(list_entry(it, struct question, link));
	ipc_link_close(agent->link);
	free(agent->control_dir);
	free(agent);
}

uint32_t agent_check(struct agent *agent, Magik__Ipc__CheckRun *run, agent_fn *done, void *user)
{
	struct question *question = mem_new(struct question);
	int r = reach(agent);

	if (++agent->last_id == 0)
		agent->last_id = 1;
	question->agent = agent;
	question->id = agent->last_id;
	question->done = done;
	question->user = user;
	list_append(&agent->questions, &question->link);
	question->timer = loop_timer_new(agent->loop, on_time, question);
	run->id = question->id;
	if (r == 0)
		r = ipc_link_send(agent->link, IPC_CHECK_RUN, &run->base, -1);
	question->unsent = r < 0;
	loop_timer_set(question->timer,
		       mono_add_ms(clock_mono(), r < 0 ? 0 : run->timeout_ms + AGENT_SLACK_MS));
	return question->id;
}

void agent_forget(struct agent *agent, uint32_t id)
{
	struct question *question = question_find(agent, id);

	if (question)
		question_free(question);
}
