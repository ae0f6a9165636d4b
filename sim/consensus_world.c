/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.h"

enum {
	PERMILLE = 1000,
	SLOT_BITS = 8, /* of a raft id: who routes messages knows the place from it */
	CLOCK_MAX_US = 1000 * 1000 * 1000,
};

uint64_t cw_random(struct cw *cw, uint64_t bound)
{
	return prng_below(&cw->prng, bound);
}

bool cw_chance(struct cw *cw, uint64_t permille)
{
	return permille > 0 && cw_random(cw, PERMILLE) < permille;
}

void cw_story(struct cw *cw, const char *format, ...)
{
	size_t at = cw->story_count++ % CW_STORY_MAX;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(cw->story[at], sizeof(cw->story[at]), format, args);
	va_end(args);
	cw->story_us[at] = cw->now_us;
}

void cw_violate(struct cw *cw, const char *format, ...)
{
	va_list args;

	if (cw->violation[0])
		return;
	va_start(args, format);
	(void)vsnprintf(cw->violation, sizeof(cw->violation), format, args);
	va_end(args);
}

void cw_push(struct cw *cw, int64_t delay_us, const struct cw_event *event)
{
	struct cw_event *copy = mem_new(struct cw_event);
	struct queue_entry entry = {cw->now_us + (delay_us > 0 ? delay_us : 0), cw->order++,
				    (uintptr_t)copy};

	*copy = *event;
	queue_push(cw->queue, &entry);
}

static uint64_t make_id(const struct cw_member *member)
{
	return (uint64_t)member->instance << SLOT_BITS | (member->slot + 1);
}

/* Where messages to @id go, whoever lives there now. */
static size_t slot_of(uint64_t id)
{
	return (size_t)(id & ((1U << SLOT_BITS) - 1)) - 1;
}

struct cw_member *cw_by_id(struct cw *cw, uint64_t id)
{
	size_t slot = slot_of(id);

	return slot < CW_SLOTS && cw->members[slot].id == id ? &cw->members[slot] : NULL;
}

void cw_init(struct cw *cw, uint64_t seed)
{
	*cw = (struct cw){.seed = seed, .prng = prng_seeded(seed), .queue = queue_new()};
	memset(cw->cluster.byte, 0x5a, UID_LEN);
	cw->history = mem_alloc(CW_OPS_MAX, sizeof(*cw->history));
	cw->agreed = mem_alloc(CW_INDEX_MAX, sizeof(*cw->agreed));
	cw->leaders = mem_alloc(CW_TERMS_MAX, sizeof(*cw->leaders));
	cw->term_born_us = mem_alloc(CW_TERMS_MAX, sizeof(*cw->term_born_us));
	cw->story = mem_alloc(CW_STORY_MAX, sizeof(*cw->story));
	cw->story_us = mem_alloc(CW_STORY_MAX, sizeof(*cw->story_us));
	cw->transfer_us = INT64_MIN / 2;
	cw->patience_ms = 400;
	cw->again_ms = 20;
	for (size_t i = 0; i < CW_SLOTS; i++) {
		struct cw_member *member = &cw->members[i];

		member->slot = i;
		member->instance = 1;
		member->id = make_id(member);
		member->rate_permille = PERMILLE;
		member->disk.latency_us = US_PER_MS;
	}
}

void cw_deinit(struct cw *cw)
{
	struct queue_entry entry;

	while (queue_pop(cw->queue, &entry)) {
		struct cw_event *event = (struct cw_event *)entry.what;

		buf_deinit(&event->bytes);
		free(event);
	}
	queue_free(cw->queue);
	for (size_t i = 0; i < CW_SLOTS; i++) {
		group_free(cw->members[i].group);
		cw_disk_wipe(&cw->members[i]);
	}
	cw_client_deinit(cw);
	free(cw->history);
	free(cw->agreed);
	free(cw->leaders);
	free(cw->term_born_us);
	free(cw->story);
	free(cw->story_us);
	free(cw->figures.writable_us);
}

struct mono cw_clock(const struct cw *cw, const struct cw_member *member)
{
	int64_t passed_us = cw->now_us - member->clock_at_us;

	return (struct mono){member->clock_us + passed_us * member->rate_permille / PERMILLE};
}

bool cw_is_paused(const struct cw *cw, const struct cw_member *member)
{
	return cw->now_us < member->paused_until_us;
}

/* The true time until @member's clock shows @at. */
static int64_t wait_us(const struct cw *cw, const struct cw_member *member, struct mono at)
{
	int64_t left_us = mono_since_us(at, cw_clock(cw, member));

	return left_us <= 0 ? 0 : left_us * PERMILLE / member->rate_permille + 1;
}

static void plan_tick(struct cw *cw, struct cw_member *member)
{
	struct cw_event event = {.type = CW_TICK, .slot = member->slot, .life = member->life};
	struct mono deadline = group_deadline(member->group);
	int64_t at_us;

	if (deadline.us == MONO_NEVER.us)
		return;
	at_us = cw->now_us + wait_us(cw, member, deadline);
	if (at_us == member->tick_us && at_us > cw->now_us)
		return;
	member->tick_us = at_us > cw->now_us ? at_us : cw->now_us + 1;
	cw_push(cw, member->tick_us - cw->now_us, &event);
}

static void transmit(struct cw *cw, const struct cw_member *member,
		     const struct raft_message *message)
{
	size_t to = slot_of(message->to);
	int copies = cw_chance(cw, cw->duplication) ? 2 : 1;

	cw->figures.messages++;
	cw->figures.installs += message->type == RAFT_INSTALL;
	if (to >= CW_SLOTS || member->cut[to])
		return;
	while (copies-- > 0) {
		struct cw_event event = {.type = CW_MESSAGE, .slot = to, .number = member->slot};

		if (cw_chance(cw, cw->loss))
			continue;
		raft_message_encode(message, &event.bytes);
		cw_push(cw, cw->latency_us + (int64_t)cw_random(cw, (uint64_t)cw->jitter_us + 1),
			&event);
	}
}

static void carry_out(struct cw *cw, struct cw_member *member, const struct group_effect *effect)
{
	switch (effect->type) {
	case GROUP_DISK:
		cw_disk_write(cw, member, effect->raft);
		return;
	case GROUP_SEND:
		transmit(cw, member, &effect->raft->message);
		return;
	case GROUP_ANSWER:
		cw_client_answer(cw, member, effect);
		return;
	case GROUP_ROLE:
		cw_story(cw, "%zu: %s in term %llu, leader %llx", member->slot,
			 raft_role_name(effect->raft->role), (unsigned long long)effect->raft->term,
			 (unsigned long long)effect->raft->leader);
		cw_check_role(cw, member);
		return;
	case GROUP_MEMBERS:
		cw_story(cw, "%zu: %zu members agreed", member->slot, effect->raft->members->count);
		return;
	}
}

static void drain(struct cw *cw, struct cw_member *member)
{
	const struct group_effect *effect;

	while ((effect = group_next_effect(member->group)) != NULL)
		carry_out(cw, member, effect);
	cw_check_step(cw, member);
	plan_tick(cw, member);
}

void cw_step(struct cw *cw, struct cw_member *member, struct raft_event *event)
{
	event->now = cw_clock(cw, member);
	event->random = prng_next(&cw->prng);
	group_step(member->group, event);
	drain(cw, member);
}

void cw_start(struct cw *cw, struct cw_member *member)
{
	struct raft_saved saved = cw_disk_saved(member);

	if (member->group)
		return;
	member->clock_at_us = cw->now_us;
	member->clock_us = (int64_t)cw_random(cw, CLOCK_MAX_US);
	member->calm_since_us = cw->now_us;
	member->tick_us = 0;
	member->role = RAFT_FOLLOWER;
	member->applied = saved.snapshot.index;
	member->group = group_new(member->id, CW_COMPACT, &saved, cw_clock(cw, member),
				  prng_next(&cw->prng));
	assert(member->group);
	cw_story(cw, "%zu: starts as %llx with %zu entries from %llu", member->slot,
		 (unsigned long long)member->id, saved.entry_count,
		 (unsigned long long)saved.first);
	plan_tick(cw, member);
}

void cw_crash(struct cw *cw, struct cw_member *member)
{
	if (!member->group)
		return;
	cw_story(cw, "%zu: crashes", member->slot);
	group_free(member->group);
	member->group = NULL;
	member->life++;
	member->paused_until_us = 0;
	cw_disk_crash(cw, member);
}

void cw_wipe(struct cw *cw, struct cw_member *member)
{
	cw_crash(cw, member);
	cw_story(cw, "%zu: loses its disk", member->slot);
	cw_disk_wipe(member);
	if (cw->bug == SIM_BUG_DISK_LOST_OFF) {
		/* It comes back under its id, and knows only what it is part of. */
		member->disk.meta.cluster = cw->cluster;
		member->disk.meta.epoch = 1;
		return;
	}
	member->instance++;
	member->id = make_id(member);
}

void cw_birth(struct cw *cw, struct cw_member *member)
{
	struct raft_event event = {
		.type = RAFT_EVENT_BOOTSTRAP,
		.cluster = cw->cluster,
		.member = {.id = member->id,
			   .ordinal = (uint32_t)member->slot,
			   .epoch = member->instance},
	};

	cw_step(cw, member, &event);
}

struct cw_member *cw_leader(struct cw *cw)
{
	struct cw_member *leader = NULL;

	for (size_t i = 0; i < CW_SLOTS; i++) {
		struct cw_member *member = &cw->members[i];

		if (member->group && member->role == RAFT_LEADER &&
		    (!leader || leader->role_term < member->role_term))
			leader = member;
	}
	return leader;
}

static void receive(struct cw *cw, struct cw_member *member, const struct cw_event *event)
{
	struct raft_message message;
	struct raft_event step = {.type = RAFT_EVENT_MESSAGE, .message = &message};

	if (cw->members[event->number].cut[member->slot])
		return;
	if (raft_message_decode(bytes_buf(&event->bytes), &message) != 0) {
		cw_violate(cw, "a message cannot be read");
		return;
	}
	cw_step(cw, member, &step);
	raft_message_deinit(&message);
}

static void disk_done(struct cw *cw, struct cw_member *member)
{
	struct raft_event event = {.type = RAFT_EVENT_DURABLE};

	event.write = cw_disk_done(cw, member);
	if (event.write > 0)
		cw_step(cw, member, &event);
}

/* What happens to a member that is up and not paused. */
static void handle_member(struct cw *cw, struct cw_member *member, const struct cw_event *event)
{
	struct raft_event tick = {.type = RAFT_EVENT_TICK};

	if (event->type == CW_MESSAGE)
		receive(cw, member, event);
	else if (event->type == CW_REQUEST)
		cw_client_request(cw, event);
	else if (event->type == CW_DISK_DONE)
		disk_done(cw, member);
	else
		cw_step(cw, member, &tick);
}

/* False: @event waits until its member goes on. */
static bool to_member(struct cw *cw, struct cw_event *event)
{
	struct cw_member *member = &cw->members[event->slot];

	if (!member->group)
		return true;
	if ((event->type == CW_TICK || event->type == CW_DISK_DONE) && event->life != member->life)
		return true;
	if (cw_is_paused(cw, member)) {
		struct queue_entry entry = {member->paused_until_us, cw->order++, (uintptr_t)event};

		if (event->type == CW_TICK)
			member->tick_us = member->paused_until_us;
		queue_push(cw->queue, &entry);
		return false;
	}
	if (event->type == CW_TICK && member->tick_us != cw->now_us)
		return true;
	handle_member(cw, member, event);
	return true;
}

/* False: it is not over. */
static bool handle(struct cw *cw, struct cw_event *event)
{
	switch (event->type) {
	case CW_TICK:
	case CW_MESSAGE:
	case CW_DISK_DONE:
	case CW_REQUEST:
		return to_member(cw, event);
	case CW_REPLY:
		cw_client_reply(cw, event);
		return true;
	case CW_CLIENT:
		cw_client_act(cw, event);
		return true;
	case CW_TROUBLE:
		cw_trouble(cw);
		return true;
	case CW_OPERATOR:
		cw_operator(cw);
		return true;
	case CW_RESTART:
		cw_start(cw, &cw->members[event->slot]);
		return true;
	case CW_ACTION:
		event->action(cw, event->slot);
		return true;
	}
	return true;
}

void cw_run(struct cw *cw)
{
	struct queue_entry entry;

	while (!cw->violation[0] && queue_peek(cw->queue, &entry) && entry.at_us <= cw->end_us) {
		struct cw_event *event = (struct cw_event *)entry.what;

		(void)queue_pop(cw->queue, &entry);
		cw->now_us = entry.at_us;
		if (handle(cw, event)) {
			buf_deinit(&event->bytes);
			free(event);
		}
	}
}
