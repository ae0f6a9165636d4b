/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/group_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"
#include "workplane/group_server.h"

struct group_part {
	struct group_part_config config;
	char *namespace, *workload, *pod, *dir;
	struct quorum *quorum;
	struct group_api *api;
	struct group_server *server;
	struct list asked; /* struct asked */
	size_t asked_count;
	struct loop_timer *leave; /* NULL: it stays */
};

/* A request of another agent that is being answered. */
struct asked {
	struct list link;
	struct group_part *part;
	uint32_t ordinal;
	uint64_t number;
};

static bool send(struct group_part *part, uint32_t ordinal, const struct group_message *message)
{
	struct buf bytes = {0};
	bool sent;

	group_message_encode(message, &bytes);
	sent = part->config.handler.send(part->config.handler.user, ordinal, bytes_buf(&bytes));
	buf_deinit(&bytes);
	return sent;
}

/* Lent to a message that is encoded at once, and nothing of it is changed or freed. */
static struct buf borrow(struct bytes bytes)
{
	return (struct buf){.ptr = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
}

static char *lend(const char *string)
{
	return (char *)(uintptr_t)(string ? string : "");
}

/* ---- of the member */

static void on_send(void *user, uint32_t ordinal, struct bytes raft)
{
	(void)send(user, ordinal,
		   &(struct group_message){.type = GROUP_RAFT, .raft = borrow(raft)});
}

/* Whoever leads takes it in; the others do not mind. */
static void on_seek(void *user)
{
	struct group_part *part = user;
	struct raft_member self = quorum_self(part->quorum);
	struct group_message join = {.type = GROUP_JOIN, .join = {self.id, self.epoch, self.pod}};

	if (part->config.handler.instance)
		join.join.epoch = part->config.handler.instance(part->config.handler.user);
	for (uint32_t i = 0; i < GROUP_PART_MEMBERS; i++)
		if (i != self.ordinal)
			(void)send(part, i, &join);
}

static void on_changed(void *user)
{
	struct group_part *part = user;

	if (part->server)
		group_server_changed(part->server);
	part->config.handler.changed(part->config.handler.user);
}

static void on_applied(void *user)
{
	struct group_part *part = user;

	if (part->server)
		group_server_applied(part->server);
}

static void on_lost(void *user, const char *why)
{
	struct group_part *part = user;

	part->config.handler.lost(part->config.handler.user, why);
}

/* ---- of the API */

static bool on_forward(void *user, uint32_t ordinal, uint64_t number,
		       const struct group_request *request)
{
	struct group_message ask = {
		.type = GROUP_ASK,
		.ask = {.number = number,
			.method = lend(request->method),
			.path = lend(request->path),
			.query = lend(request->query),
			.if_match = lend(request->if_match),
			.if_none_match = lend(request->if_none_match),
			.body = borrow(request->body)},
	};

	return send(user, ordinal, &ask);
}

static bool on_healthy(void *user)
{
	struct group_part *part = user;

	return part->config.handler.healthy(part->config.handler.user);
}

/* ---- what other agents say */

static void ignore(void *user, const struct quorum_answer *answer)
{
	(void)user; /* who was not taken in asks again */
	(void)answer;
}

static void take_join(struct group_part *part, uint32_t ordinal, const struct group_join *join)
{
	struct raft_member member = {
		.id = join->id, .ordinal = ordinal, .epoch = join->epoch, .pod = join->pod};

	(void)!quorum_join(part->quorum, &member, ignore, NULL);
}

static void take_leave(struct group_part *part, uint32_t ordinal, const struct group_leave *leave)
{
	struct quorum_view view = quorum_view(part->quorum);

	for (size_t i = 0; view.members && i < view.members->count; i++)
		if (view.members->list[i].ordinal == ordinal &&
		    view.members->list[i].id == leave->id)
			(void)!quorum_leave(part->quorum, ordinal, ignore, NULL);
}

static void asked_free(struct asked *asked)
{
	list_remove(&asked->link);
	asked->part->asked_count--;
	free(asked);
}

static void on_reply(void *user, const struct group_reply *reply)
{
	struct asked *asked = user;
	bool fits = reply->body.len <= GROUP_TOLD_MAX;
	struct group_message told = {
		.type = GROUP_TOLD,
		.told = {.number = asked->number,
			 .status = fits ? reply->status : 507,
			 .content_type = lend(reply->content_type),
			 .version = reply->version},
	};

	if (fits)
		told.told.body = borrow(reply->body);
	(void)send(asked->part, asked->ordinal, &told);
	asked_free(asked);
}

static const char *or_none(const char *text)
{
	return *text ? text : NULL;
}

static void take_ask(struct group_part *part, uint32_t ordinal, const struct group_ask *ask)
{
	struct group_request request = {
		.method = ask->method,
		.path = ask->path,
		.query = ask->query,
		.if_match = or_none(ask->if_match),
		.if_none_match = or_none(ask->if_none_match),
		.body = bytes_buf(&ask->body),
	};
	struct asked *asked;

	if (part->asked_count >= GROUP_PART_ASKED_MAX)
		return; /* it hears nothing, and says so */
	asked = mem_new(struct asked);
	asked->part = part;
	asked->ordinal = ordinal;
	asked->number = ask->number;
	list_append(&part->asked, &asked->link);
	part->asked_count++;
	group_api_handle(part->api, &request, true, on_reply, asked);
}

static void take_told(struct group_part *part, uint32_t ordinal, const struct group_told *told)
{
	struct group_reply reply = {.status = told->status,
				    .content_type = told->content_type,
				    .body = bytes_buf(&told->body),
				    .version = told->version};

	group_api_forwarded(part->api, ordinal, told->number, &reply);
}

void group_part_receive(struct group_part *part, uint32_t ordinal, struct bytes bytes)
{
	struct group_message message;

	if (ordinal >= GROUP_PART_MEMBERS || group_message_decode(bytes, &message) != 0)
		return;
	switch (message.type) {
	case GROUP_RAFT:
		quorum_receive(part->quorum, ordinal, bytes_buf(&message.raft));
		break;
	case GROUP_JOIN:
		take_join(part, ordinal, &message.join);
		break;
	case GROUP_ASK:
		take_ask(part, ordinal, &message.ask);
		break;
	case GROUP_TOLD:
		take_told(part, ordinal, &message.told);
		break;
	case GROUP_LEAVE:
		take_leave(part, ordinal, &message.leave);
		break;
	}
	group_message_deinit(&message);
}

/* ---- leaving */

static void on_leave(void *user)
{
	struct group_part *part = user;
	struct quorum_view view = quorum_view(part->quorum);
	uint32_t own = part->config.ordinal;
	struct group_message leave = {.type = GROUP_LEAVE, .leave = {quorum_self(part->quorum).id}};

	if (group_part_has_left(part))
		return;
	if (view.leader == (int64_t)own)
		(void)!quorum_leave(part->quorum, own, ignore, NULL);
	else if (view.leader != QUORUM_NOBODY)
		(void)send(part, (uint32_t)view.leader, &leave);
	loop_timer_set(part->leave, mono_add_ms(clock_mono(), GROUP_PART_LEAVE_MS));
}

void group_part_leave(struct group_part *part)
{
	if (part->leave)
		return;
	part->leave = loop_timer_new(part->config.loop, on_leave, part);
	on_leave(part);
}

bool group_part_has_left(const struct group_part *part)
{
	struct quorum_view view = quorum_view(part->quorum);

	return view.running && (view.role == RAFT_REMOVED || !view.member);
}

/* ---- life */

static int make_member(struct group_part *part, struct err *err)
{
	const struct group_part_config *config = &part->config;
	struct quorum_config member = {
		.loop = config->loop,
		.dir = part->dir,
		.ordinal = config->ordinal,
		.epoch = config->epoch,
		.pod = config->pod_uid,
		.birth = config->birth,
		.renew = config->renew,
		/* One birth for each workload. */
		.cluster = config->workload_uid,
		.handler = {on_send, on_seek, on_changed, on_applied, on_lost, part},
	};

	return quorum_new(&member, &part->quorum, err);
}

static int make_server(struct group_part *part, struct err *err)
{
	struct group_api_config api = {
		.loop = part->config.loop,
		.quorum = part->quorum,
		.namespace = part->namespace,
		.workload = part->workload,
		.pod = part->pod,
		.forward = on_forward,
		.healthy = on_healthy,
		.user = part,
	};

	part->api = group_api_new(&api);
	return group_server_new(part->config.loop, part->api, part->config.account, &part->server,
				err);
}

int group_part_new(const struct group_part_config *config, struct group_part **ret_part,
		   struct err *err)
{
	struct group_part *part;
	int r;

	if (config->ordinal >= GROUP_PART_MEMBERS)
		return err_set(err, -EINVAL, "only the first %d ordinals form a group",
			       GROUP_PART_MEMBERS);
	part = mem_new(struct group_part);
	part->config = *config;
	part->namespace = mem_strdup(config->namespace);
	part->workload = mem_strdup(config->workload);
	part->pod = mem_strdup(config->pod);
	part->dir = mem_strdup(config->dir);
	list_init(&part->asked);
	r = make_member(part, err);
	if (r == 0)
		r = make_server(part, err);
	if (r < 0) {
		group_part_free(part);
		return r;
	}
	*ret_part = part;
	return 0;
}

int group_part_start(struct group_part *part, struct err *err)
{
	int r = quorum_start(part->quorum, err);

	if (r == 0 && part->config.recover > quorum_view(part->quorum).token.epoch)
		(void)!quorum_recover(part->quorum, part->config.recover, ignore, NULL);
	return r;
}

void group_part_free(struct group_part *part)
{
	if (!part)
		return;
	loop_timer_free(part->leave);
	group_server_free(part->server);
	part->server = NULL;
	group_api_free(part->api);
	list_for_each_safe (it, &part->asked)
		asked_free(list_entry(it, struct asked, link));
	quorum_free(part->quorum);
	free(part->namespace);
	free(part->workload);
	free(part->pod);
	free(part->dir);
	free(part);
}

void group_part_adopt(struct group_part *part, int fd)
{
	group_server_adopt(part->server, fd);
}

struct quorum_view group_part_view(const struct group_part *part)
{
	return quorum_view(part->quorum);
}

bool group_part_votes(const struct group_part *part)
{
	struct quorum_view view = quorum_view(part->quorum);
	uint64_t id = quorum_self(part->quorum).id;

	for (size_t i = 0; view.members && i < view.members->count; i++)
		if (view.members->list[i].id == id)
			return view.members->list[i].voter;
	return false;
}
