/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong. Links, pauses and disks may fail at any time and everywhere; a disk is lost only
 * when all other members have theirs, because a majority lost for good is not to be survived.
 */
#include "consensus.h"

enum {
	TROUBLE_MIN_MS = 100,
	TROUBLE_MAX_MS = 900,
	STORM_MIN_MS = 5,
	STORM_MAX_MS = 150,
	STORM_DOWN_MAX_MS = 250,
	DOWN_MAX_MS = 3000,
	PAUSE_MAX_MS = 1500,
	OPERATOR_MS = 150,
	SLOW_DISK_MAX_US = 120 * 1000,
	FAST_DISK_MAX_US = 3000,
};

/* Is @id a member? */
static bool has(const struct raft_members *members, uint64_t id)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->list[i].id == id)
			return true;
	return false;
}

static struct cw_member *some_member(struct cw *cw)
{
	return &cw->members[cw_random(cw, CW_SLOTS)];
}

static void set_link(struct cw *cw, size_t from, size_t to, bool cut)
{
	if (cw->members[from].cut[to] == cut)
		return;
	cw->members[from].cut[to] = cut;
	cw->members[from].link_calm_since_us[to] = cut ? INT64_MAX : cw->now_us;
	cw_story(cw, "the way from %zu to %zu is %s", from, to, cut ? "cut" : "whole");
}

static void cut_one_way(struct cw *cw)
{
	size_t from = (size_t)cw_random(cw, CW_SLOTS), to = (size_t)cw_random(cw, CW_SLOTS);

	cw->figures.cuts++;
	if (from != to)
		set_link(cw, from, to, true);
}

static void divide(struct cw *cw)
{
	uint64_t side = 1 + cw_random(cw, (1U << CW_SLOTS) - 2);

	cw->figures.cuts++;
	for (size_t from = 0; from < CW_SLOTS; from++)
		for (size_t to = 0; to < CW_SLOTS; to++)
			if ((side >> from & 1) != (side >> to & 1))
				set_link(cw, from, to, true);
}

/* Both ways, or only those from it: then it believes for longer. */
static void isolate_leader(struct cw *cw)
{
	const struct cw_member *leader = cw_leader(cw);
	bool both = cw_random(cw, 3) > 0;

	cw->figures.cuts++;
	for (size_t i = 0; leader && i < CW_SLOTS; i++) {
		if (i == leader->slot)
			continue;
		set_link(cw, leader->slot, i, true);
		if (both)
			set_link(cw, i, leader->slot, true);
	}
}

static void heal(struct cw *cw)
{
	for (size_t from = 0; from < CW_SLOTS; from++)
		for (size_t to = 0; to < CW_SLOTS; to++)
			set_link(cw, from, to, false);
}

static void restart_later(struct cw *cw, struct cw_member *member)
{
	struct cw_event event = {.type = CW_RESTART, .slot = member->slot};

	cw_push(cw, (int64_t)cw_random(cw, cw->storm ? STORM_DOWN_MAX_MS : DOWN_MAX_MS) * US_PER_MS,
		&event);
}

static void crash(struct cw *cw, struct cw_member *member)
{
	if (!member->group)
		return;
	cw->figures.crashes++;
	cw_crash(cw, member);
	restart_later(cw, member);
}

/* All at once, as a power cut has it. */
static void crash_all(struct cw *cw)
{
	for (size_t i = 0; i < CW_SLOTS; i++)
		crash(cw, &cw->members[i]);
}

static void pause(struct cw *cw, struct cw_member *member)
{
	if (!member->group)
		return;
	cw->figures.pauses++;
	member->paused_until_us =
		cw->now_us + (int64_t)cw_random(cw, PAUSE_MAX_MS * (uint64_t)US_PER_MS);
	member->calm_since_us = member->paused_until_us;
	cw_story(cw, "%zu: is paused", member->slot);
}

static void change_disk(struct cw *cw, struct cw_member *member)
{
	bool slow = cw_random(cw, 3) == 0;

	member->disk.latency_us =
		1 + (int64_t)cw_random(cw, slow ? SLOW_DISK_MAX_US : FAST_DISK_MAX_US);
	member->calm_since_us = slow ? INT64_MAX : cw->now_us;
}

/* Are all voters there, each with the disk that it voted with, enough of them, and none about to
 * leave? */
static bool may_lose(struct cw *cw)
{
	const struct cw_member *leader = cw_leader(cw);
	struct raft_view view;
	size_t voters = 0;

	if (!leader)
		return false;
	view = raft_view(group_raft(leader->group));
	for (size_t i = 0; i < view.members->count; i++) {
		const struct cw_member *member = cw_by_id(cw, view.members->list[i].id);

		if (!member || !member->group || !cw->wanted[member->slot])
			return false;
		voters += view.members->list[i].voter;
	}
	return voters >= 3 && view.commit == view.last;
}

static void lose_disk(struct cw *cw)
{
	struct cw_member *member = some_member(cw);

	if (!cw->wanted[member->slot] || !member->group || !may_lose(cw))
		return;
	cw->figures.lost_disks++;
	cw_wipe(cw, member);
	restart_later(cw, member);
}

static void transfer(struct cw *cw)
{
	struct cw_member *leader = cw_leader(cw);
	struct raft_event event = {.type = RAFT_EVENT_TRANSFER};

	if (!leader || cw_is_paused(cw, leader))
		return;
	cw->figures.transfers++;
	cw->transfer_us = cw->now_us;
	cw_step(cw, leader, &event);
}

/* Does the group have @id, or may it still? */
static bool may_have(struct cw *cw, uint64_t id)
{
	struct cw_member *leader = cw_leader(cw);
	struct raft_view view;

	if (!leader)
		return true;
	view = raft_view(group_raft(leader->group));
	return view.commit != view.last || !group_serves(leader->group, cw_clock(cw, leader)) ||
	       has(view.members, id);
}

/* Three replicas become five, or five three: not always the same ones. */
static void resize(struct cw *cw)
{
	size_t count = 0, slot = (size_t)cw_random(cw, CW_SLOTS);
	bool more;

	for (size_t i = 0; i < CW_SLOTS; i++)
		count += cw->wanted[i];
	more = count < CW_SLOTS && (count == CW_REPLICAS || cw_random(cw, 2));
	while (cw->wanted[slot] == more)
		slot = (slot + 1) % CW_SLOTS;
	/* Who comes again is another than who went. */
	if (more ? may_have(cw, cw->members[slot].id) : !may_lose(cw))
		return;
	cw->wanted[slot] = more;
	cw->figures.changes++;
	cw_story(cw, "%zu: is %s", slot, more ? "wanted" : "not wanted any more");
	if (more) {
		cw_wipe(cw, &cw->members[slot]);
		cw_start(cw, &cw->members[slot]);
	}
}

static void do_harm(struct cw *cw)
{
	switch (cw_random(cw, 16)) {
	case 0:
	case 1:
	case 2:
		cut_one_way(cw);
		return;
	case 3:
		divide(cw);
		return;
	case 4:
	case 5:
	case 6:
		heal(cw);
		return;
	case 7:
		crash(cw, some_member(cw));
		return;
	case 8:
		if (cw_leader(cw))
			crash(cw, cw_leader(cw));
		return;
	case 9:
		pause(cw, cw_random(cw, 2) && cw_leader(cw) ? cw_leader(cw) : some_member(cw));
		return;
	case 10:
		change_disk(cw, some_member(cw));
		return;
	case 11:
		transfer(cw);
		return;
	case 12:
		resize(cw);
		return;
	case 13:
	case 14:
		isolate_leader(cw);
		return;
	default:
		if (cw_random(cw, 4) == 0)
			crash_all(cw);
		else
			lose_disk(cw);
	}
}

void cw_trouble_end(struct cw *cw)
{
	heal(cw);
	cw->loss = cw->duplication = 0;
	cw->jitter_us = US_PER_MS;
	for (size_t i = 0; i < CW_SLOTS; i++) {
		cw->members[i].paused_until_us = 0;
		cw->members[i].disk.latency_us = US_PER_MS;
		cw_start(cw, &cw->members[i]);
	}
}

void cw_trouble(struct cw *cw)
{
	struct cw_event event = {.type = CW_TROUBLE};
	int64_t delay_ms;

	if (cw->now_us >= cw->quiet_from_us) {
		cw_trouble_end(cw);
		return;
	}
	do_harm(cw);
	delay_ms = cw->storm ? STORM_MIN_MS + (int64_t)cw_random(cw, STORM_MAX_MS)
			     : TROUBLE_MIN_MS + (int64_t)cw_random(cw, TROUBLE_MAX_MS);
	cw_push(cw, delay_ms * US_PER_MS, &event);
}

static void tell(struct cw *cw, struct cw_member *leader, enum raft_event_type type,
		 const struct raft_member *member)
{
	struct raft_event event = {.type = type, .member = *member};

	cw_step(cw, leader, &event);
}

static void join_missing(struct cw *cw, struct cw_member *leader)
{
	for (size_t i = 0; i < CW_SLOTS; i++) {
		struct cw_member *member = &cw->members[i];
		struct raft_member self = {
			.id = member->id, .ordinal = (uint32_t)i, .epoch = member->instance};

		if (cw->wanted[i] && member->group && leader->group &&
		    !has(raft_view(group_raft(leader->group)).members, self.id))
			tell(cw, leader, RAFT_EVENT_JOIN, &self);
	}
}

static void leave_unwanted(struct cw *cw, struct cw_member *leader)
{
	struct raft_members members = *raft_view(group_raft(leader->group)).members;

	for (size_t i = 0; i < members.count; i++)
		if (!cw->wanted[members.list[i].ordinal])
			tell(cw, leader, RAFT_EVENT_LEAVE, &members.list[i]);
}

/* Whoever believes to lead is told what is wanted. */
void cw_operator(struct cw *cw)
{
	struct cw_event event = {.type = CW_OPERATOR};

	for (size_t i = 0; i < CW_SLOTS; i++) {
		struct cw_member *member = &cw->members[i];

		if (!member->group || member->role != RAFT_LEADER || cw_is_paused(cw, member))
			continue;
		join_missing(cw, member);
		leave_unwanted(cw, member);
	}
	cw_push(cw, OPERATOR_MS * US_PER_MS, &event);
}

static void restart_deaf(struct cw *cw, size_t slot)
{
	const struct cw_member *leader = cw_leader(cw);

	if (leader && leader->slot != slot)
		set_link(cw, leader->slot, slot, true);
	cw->figures.crashes++;
	cw_crash(cw, &cw->members[slot]);
	cw_start(cw, &cw->members[slot]);
}

/* One follower and the leader do not hear each other any more. As soon as it is looking for votes
 * the other one, which has just renewed its promise to the leader, restarts and hears nothing
 * either. */
static void tempt(struct cw *cw, const struct cw_member *leader)
{
	struct cw_event event = {.type = CW_ACTION, .action = restart_deaf};
	size_t deaf = (leader->slot + 1) % CW_REPLICAS;

	event.slot = (leader->slot + 2) % CW_REPLICAS;
	cw->figures.cuts++;
	set_link(cw, leader->slot, deaf, true);
	set_link(cw, deaf, leader->slot, true);
	cw_push(cw, (400 + (int64_t)cw_random(cw, 200)) * US_PER_MS, &event);
}

/* The leader of three is cut off at once, or its followers are tempted to break their promise. */
void cw_trouble_lease(struct cw *cw, size_t slot)
{
	struct cw_event event = {.type = CW_ACTION, .action = cw_trouble_lease, .slot = !slot};
	const struct cw_member *leader = cw_leader(cw);

	if (cw->now_us >= cw->quiet_from_us) {
		cw_trouble_end(cw);
		return;
	}
	if (slot == 0)
		heal(cw);
	else if (leader && cw_random(cw, 2))
		tempt(cw, leader);
	else
		isolate_leader(cw);
	cw_push(cw, (700 + (int64_t)cw_random(cw, 100)) * US_PER_MS, &event);
}
