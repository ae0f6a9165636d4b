/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/quorum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "workplane/raft_store.h"

/* A member that has sent us something: who is new knows no others. */
struct heard {
	uint64_t id;
	uint32_t ordinal;
};

struct request {
	struct list link;
	uint64_t number;
	quorum_fn *done;
	void *user;
};

/* An answer that waits for the next turn of the loop. */
struct reply {
	struct list link;
	uint64_t number;
	struct quorum_answer answer;
};

struct quorum {
	struct quorum_config config;
	struct raft_store *store;
	struct group *group; /* NULL: not running */
	struct loop_timer *tick, *seek, *answer, *renew;
	struct heard heard[RAFT_MEMBERS_MAX];
	size_t heard_count, heard_next;
	struct list requests, replies;
	size_t request_count;
	uint64_t next_request;
	int64_t seek_ms;
	struct list outbox; /* struct letter */
};

/* A message for another pod, until the next turn. */
struct letter {
	struct list link;
	uint32_t ordinal;
	struct buf bytes;
};

/* ---- who is who */

static const struct raft_member *member_by_id(const struct quorum *quorum, uint64_t id)
{
	struct raft_view view;

	if (!quorum->group)
		return NULL;
	view = raft_view(group_raft(quorum->group));
	for (size_t i = 0; i < view.members->count; i++)
		if (view.members->list[i].id == id)
			return &view.members->list[i];
	return NULL;
}

static int64_t ordinal_of(const struct quorum *quorum, uint64_t id)
{
	const struct raft_member *member = member_by_id(quorum, id);

	if (member)
		return member->ordinal;
	for (size_t i = 0; i < quorum->heard_count; i++)
		if (quorum->heard[i].id == id)
			return quorum->heard[i].ordinal;
	return QUORUM_NOBODY;
}

static void note_heard(struct quorum *quorum, uint64_t id, uint32_t ordinal)
{
	if (ordinal_of(quorum, id) != QUORUM_NOBODY)
		return;
	quorum->heard[quorum->heard_next] = (struct heard){id, ordinal};
	quorum->heard_next = (quorum->heard_next + 1) % RAFT_MEMBERS_MAX;
	if (quorum->heard_count < RAFT_MEMBERS_MAX)
		quorum->heard_count++;
}

struct raft_member quorum_self(const struct quorum *quorum)
{
	return (struct raft_member){
		.id = raft_store_id(quorum->store),
		.ordinal = quorum->config.ordinal,
		.epoch = quorum->config.epoch,
		.pod = quorum->config.pod,
	};
}

/* ---- what is handed out in the next turn of the loop */

static void wake(struct quorum *quorum)
{
	loop_timer_set(quorum->answer, clock_mono());
}

static struct request *request_find(struct quorum *quorum, uint64_t number)
{
	list_for_each (it, &quorum->requests) {
		struct request *request = list_entry(it, struct request, link);

		if (request->number == number)
			return request;
	}
	return NULL;
}

static void reply(struct quorum *quorum, uint64_t number, const struct quorum_answer *answer)
{
	struct reply *reply = mem_new(struct reply);

	reply->number = number;
	reply->answer = *answer;
	list_append(&quorum->replies, &reply->link);
	wake(quorum);
}

static void request_end(struct quorum *quorum, struct request *request)
{
	list_remove(&request->link);
	quorum->request_count--;
	free(request);
}

static void deliver_replies(struct quorum *quorum)
{
	struct reply *reply;

	while ((reply = list_first(&quorum->replies, struct reply, link))) {
		struct request *request = request_find(quorum, reply->number);
		struct quorum_answer answer = reply->answer;

		list_remove(&reply->link);
		free(reply);
		if (request) {
			quorum_fn *done = request->done;
			void *user = request->user;

			request_end(quorum, request);
			done(user, &answer);
		}
	}
}

static void deliver(void *user)
{
	struct quorum *quorum = user;
	struct letter *letter;

	while ((letter = list_first(&quorum->outbox, struct letter, link))) {
		list_remove(&letter->link);
		quorum->config.handler.send(quorum->config.handler.user, letter->ordinal,
					    bytes_buf(&letter->bytes));
		buf_deinit(&letter->bytes);
		free(letter);
	}
	deliver_replies(quorum);
}

/* ---- the group's effects */

static void send(struct quorum *quorum, const struct raft_message *message)
{
	int64_t ordinal = ordinal_of(quorum, message->to);
	struct letter *letter;

	if (ordinal == QUORUM_NOBODY)
		return;
	letter = mem_new(struct letter);
	letter->ordinal = (uint32_t)ordinal;
	raft_message_encode(message, &letter->bytes);
	list_append(&quorum->outbox, &letter->link);
	wake(quorum);
}

static void carry_out(struct quorum *quorum, const struct group_effect *effect)
{
	struct quorum_answer answer = {effect->answer, effect->result, effect->refused,
				       QUORUM_NOBODY};

	switch (effect->type) {
	case GROUP_DISK:
		raft_store_write(quorum->store, effect->raft);
		break;
	case GROUP_SEND:
		send(quorum, &effect->raft->message);
		break;
	case GROUP_ANSWER:
		if (effect->answer == GROUP_REFUSED && effect->leader != 0)
			answer.leader = ordinal_of(quorum, effect->leader);
		reply(quorum, effect->request, &answer);
		break;
	case GROUP_ROLE:
	case GROUP_MEMBERS:
		break;
	}
}

static bool is_over(enum raft_role role)
{
	return role == RAFT_REMOVED || role == RAFT_SUPERSEDED;
}

/* It was the member of an earlier pod that has left, or has been left behind. */
static void renew_if_over(struct quorum *quorum)
{
	const struct raft_member *self;

	if (!quorum->config.renew || !is_over(quorum_view(quorum).role))
		return;
	self = member_by_id(quorum, raft_store_id(quorum->store));
	if (self && !uid_equal(&self->pod, &quorum->config.pod))
		loop_timer_set(quorum->renew, clock_mono());
}

static void seek_later(struct quorum *quorum)
{
	struct quorum_view view = quorum_view(quorum);

	if (!view.running || view.member || is_over(view.role)) {
		quorum->seek_ms = QUORUM_SEEK_MIN_MS;
		loop_timer_set(quorum->seek, MONO_NEVER);
		return;
	}
	loop_timer_set(quorum->seek, mono_add_ms(clock_mono(), quorum->seek_ms));
}

static void set_tick(struct quorum *quorum, struct mono now)
{
	struct mono deadline = group_deadline(quorum->group);
	struct mono at = MONO_NEVER;

	/* Timers count another clock, which stands still while the machine sleeps. */
	if (deadline.us != INT64_MAX)
		at = mono_add_us(clock_mono(),
				 deadline.us > now.us ? mono_since_us(deadline, now) : 0);
	loop_timer_set(quorum->tick, at);
}

static void step(struct quorum *quorum, struct raft_event *event)
{
	const struct group_effect *effect;
	bool changed = false, was_member = quorum_view(quorum).member;
	uint64_t index = keys_index(group_keys(quorum->group));

	event->now = clock_boot();
	event->random = entropy_u64();
	group_step(quorum->group, event);
	while ((effect = group_next_effect(quorum->group))) {
		changed |= effect->type == GROUP_ROLE || effect->type == GROUP_MEMBERS;
		carry_out(quorum, effect);
	}
	set_tick(quorum, event->now);
	if (quorum_view(quorum).member != was_member) {
		changed = true;
		seek_later(quorum);
	}
	renew_if_over(quorum);
	if (changed)
		quorum->config.handler.changed(quorum->config.handler.user);
	if (quorum->config.handler.applied && keys_index(group_keys(quorum->group)) != index)
		quorum->config.handler.applied(quorum->config.handler.user);
}

/* ---- timers and the disk */

static void on_tick(void *user)
{
	struct raft_event event = {.type = RAFT_EVENT_TICK};

	step(user, &event);
}

static void on_seek(void *user)
{
	struct quorum *quorum = user;

	quorum->seek_ms *= 2;
	if (quorum->seek_ms > QUORUM_SEEK_MAX_MS)
		quorum->seek_ms = QUORUM_SEEK_MAX_MS;
	seek_later(quorum);
	quorum->config.handler.seek(quorum->config.handler.user);
}

static void on_durable(void *user, uint64_t write)
{
	struct quorum *quorum = user;
	struct raft_event event = {.type = RAFT_EVENT_DURABLE, .write = write};

	if (quorum->group)
		step(quorum, &event);
}

static void drop_outbox(struct quorum *quorum)
{
	list_for_each_safe (it, &quorum->outbox) {
		struct letter *letter = list_entry(it, struct letter, link);

		list_remove(it);
		buf_deinit(&letter->bytes);
		free(letter);
	}
}

/* Nobody knows what became of it. */
static void give_up_requests(struct quorum *quorum)
{
	const struct quorum_answer unknown = {.answer = GROUP_UNKNOWN, .leader = QUORUM_NOBODY};

	list_for_each (it, &quorum->requests)
		reply(quorum, list_entry(it, struct request, link)->number, &unknown);
}

static void start_again(void *user)
{
	struct quorum *quorum = user;
	struct err err = {0};

	loop_timer_free(quorum->tick);
	quorum->tick = loop_timer_new(quorum->config.loop, on_tick, quorum);
	if (quorum_start(quorum, &err) < 0)
		quorum->config.handler.lost(quorum->config.handler.user, err.text);
}

/* It begins again from what the disk has, after @pause_ms. */
static void stop_running(struct quorum *quorum, int64_t pause_ms)
{
	drop_outbox(quorum);
	group_free(quorum->group);
	quorum->group = NULL;
	give_up_requests(quorum);
	loop_timer_free(quorum->tick);
	quorum->tick = loop_timer_new(quorum->config.loop, start_again, quorum);
	loop_timer_set(quorum->tick, mono_add_ms(clock_mono(), pause_ms));
	seek_later(quorum);
	quorum->config.handler.changed(quorum->config.handler.user);
}

/* What depended on a write that failed must not be said. */
static void on_failed(void *user, const char *text)
{
	(void)text;
	stop_running(user, QUORUM_AGAIN_MS);
}

static void on_renew(void *user)
{
	struct quorum *quorum = user;
	struct err err = {0};
	int r = raft_store_renew(quorum->store, &err);

	if (r == -EBUSY)
		loop_timer_set(quorum->renew, mono_add_ms(clock_mono(), QUORUM_SEEK_MIN_MS));
	else if (r < 0)
		quorum->config.handler.lost(quorum->config.handler.user, err.text);
	else
		stop_running(quorum, 0);
}

/* ---- life */

int quorum_new(const struct quorum_config *config, struct quorum **ret_quorum, struct err *err)
{
	struct quorum *quorum = mem_new(struct quorum);
	struct raft_store_handler handler = {on_durable, on_failed, quorum};
	int r;

	quorum->config = *config;
	quorum->seek_ms = QUORUM_SEEK_MIN_MS;
	list_init(&quorum->requests);
	list_init(&quorum->replies);
	list_init(&quorum->outbox);
	r = raft_store_open(config->loop, config->dir, &handler, &quorum->store, err);
	if (r < 0) {
		quorum_free(quorum);
		return r;
	}
	quorum->tick = loop_timer_new(config->loop, on_tick, quorum);
	quorum->seek = loop_timer_new(config->loop, on_seek, quorum);
	quorum->answer = loop_timer_new(config->loop, deliver, quorum);
	quorum->renew = loop_timer_new(config->loop, on_renew, quorum);
	*ret_quorum = quorum;
	return 0;
}

static void found_group(struct quorum *quorum)
{
	struct raft_event event = {
		.type = RAFT_EVENT_BOOTSTRAP,
		.cluster = quorum->config.cluster,
		.member = quorum_self(quorum),
	};

	step(quorum, &event);
}

/* *ret_over: what it has is of no use to this member any more. */
static int load(struct quorum *quorum, struct mono now, bool *ret_empty, bool *ret_over,
		struct err *err)
{
	struct raft_saved saved;
	int r = raft_store_load(quorum->store, &saved, err);

	if (r < 0)
		return r;
	*ret_empty = uid_is_none(&saved.meta.cluster);
	quorum->group = group_new(raft_store_id(quorum->store), 0, &saved, now, entropy_u64());
	*ret_over = !*ret_empty &&
		    (saved.meta.superseded || !member_by_id(quorum, raft_store_id(quorum->store)));
	raft_store_release(quorum->store);
	return quorum->group
		       ? 0
		       : err_set(err, -EBADMSG, "what the disk has of the group makes no sense");
}

int quorum_start(struct quorum *quorum, struct err *err)
{
	struct mono now = clock_boot();
	bool empty, over;
	int r = load(quorum, now, &empty, &over, err);

	if (r == 0 && over && quorum->config.renew) {
		group_free(quorum->group);
		quorum->group = NULL;
		r = raft_store_renew(quorum->store, err);
		if (r == 0)
			r = load(quorum, now, &empty, &over, err);
	}
	if (r < 0)
		return r;
	if (quorum->config.birth && empty)
		found_group(quorum);
	else
		set_tick(quorum, now);
	seek_later(quorum);
	quorum->config.handler.changed(quorum->config.handler.user);
	return 0;
}

static void drop_replies(struct quorum *quorum)
{
	list_for_each_safe (it, &quorum->replies) {
		list_remove(it);
		free(list_entry(it, struct reply, link));
	}
}

void quorum_free(struct quorum *quorum)
{
	if (!quorum)
		return;
	raft_store_close(quorum->store);
	drop_outbox(quorum);
	drop_replies(quorum);
	give_up_requests(quorum);
	deliver_replies(quorum);
	loop_timer_free(quorum->tick);
	loop_timer_free(quorum->seek);
	loop_timer_free(quorum->answer);
	loop_timer_free(quorum->renew);
	group_free(quorum->group);
	free(quorum);
}

/* ---- what comes from outside */

void quorum_receive(struct quorum *quorum, uint32_t ordinal, struct bytes bytes)
{
	struct raft_event event = {.type = RAFT_EVENT_MESSAGE};
	struct raft_message message;
	int64_t known;

	if (!quorum->group || raft_message_decode(bytes, &message) != 0)
		return;
	known = ordinal_of(quorum, message.from);
	/* A pod speaks for itself only. */
	if (known == QUORUM_NOBODY || known == ordinal) {
		note_heard(quorum, message.from, ordinal);
		event.message = &message;
		step(quorum, &event);
	}
	raft_message_deinit(&message);
}

static uint64_t ask(struct quorum *quorum, struct raft_event *event, quorum_fn *done, void *user)
{
	const struct quorum_answer busy = {GROUP_REFUSED, {0}, RAFT_REFUSED_STATE, QUORUM_NOBODY};
	struct request *request;

	if (quorum->request_count >= QUORUM_REQUESTS_MAX)
		return 0;
	request = mem_new(struct request);
	request->number = event->request = ++quorum->next_request;
	request->done = done;
	request->user = user;
	list_append(&quorum->requests, &request->link);
	quorum->request_count++;
	if (quorum->group)
		step(quorum, event);
	else
		reply(quorum, request->number, &busy);
	return event->request;
}

uint64_t quorum_propose(struct quorum *quorum, struct bytes command, quorum_fn *done, void *user)
{
	return ask(quorum, &(struct raft_event){.type = RAFT_EVENT_PROPOSE, .data = command}, done,
		   user);
}

uint64_t quorum_read(struct quorum *quorum, quorum_fn *done, void *user)
{
	return ask(quorum, &(struct raft_event){.type = RAFT_EVENT_READ}, done, user);
}

uint64_t quorum_join(struct quorum *quorum, const struct raft_member *member, quorum_fn *done,
		     void *user)
{
	note_heard(quorum, member->id, member->ordinal);
	return ask(quorum, &(struct raft_event){.type = RAFT_EVENT_JOIN, .member = *member}, done,
		   user);
}

uint64_t quorum_leave(struct quorum *quorum, uint32_t ordinal, quorum_fn *done, void *user)
{
	struct raft_event event = {.type = RAFT_EVENT_LEAVE};
	struct quorum_view view = quorum_view(quorum);

	for (size_t i = 0; view.members && i < view.members->count; i++)
		if (view.members->list[i].ordinal == ordinal)
			event.member = view.members->list[i];
	return ask(quorum, &event, done, user);
}

uint64_t quorum_transfer(struct quorum *quorum, quorum_fn *done, void *user)
{
	return ask(quorum, &(struct raft_event){.type = RAFT_EVENT_TRANSFER}, done, user);
}

uint64_t quorum_recover(struct quorum *quorum, uint32_t epoch, quorum_fn *done, void *user)
{
	return ask(quorum, &(struct raft_event){.type = RAFT_EVENT_RECOVER, .epoch = epoch}, done,
		   user);
}

void quorum_forget(struct quorum *quorum, uint64_t number)
{
	struct request *request = request_find(quorum, number);

	if (request)
		request_end(quorum, request);
}

struct quorum_view quorum_view(const struct quorum *quorum)
{
	struct raft_view raft;

	if (!quorum->group)
		return (struct quorum_view){.leader = QUORUM_NOBODY};
	raft = raft_view(group_raft(quorum->group));
	return (struct quorum_view){
		.role = raft.role,
		.token = group_token(quorum->group),
		.leader = raft.leader ? ordinal_of(quorum, raft.leader) : QUORUM_NOBODY,
		.member = member_by_id(quorum, raft.id) != NULL,
		.running = true,
		.members = raft.members,
	};
}

bool quorum_serves(const struct quorum *quorum)
{
	return quorum->group && group_serves(quorum->group, clock_boot());
}

const struct keys *quorum_keys(const struct quorum *quorum)
{
	return quorum->group ? group_keys(quorum->group) : NULL;
}
