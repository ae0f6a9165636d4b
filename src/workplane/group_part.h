/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group part: all of one pod's part in the group of its workload: its member (quorum.h), what its
 * application may ask (group_server.h), and what the agents of the workload say to each other about
 * it (wire/group_message.h), which the caller carries.
 *
 * The first GROUP_PART_MEMBERS ordinals form the group.
 */
#pragma once

#include "workplane/group_api.h"

enum {
	GROUP_PART_MEMBERS = RAFT_VOTERS_MAX,
	/* Asked by others at a time: each of them has GROUP_API_OPEN_MAX, and few are slow. */
	GROUP_PART_ASKED_MAX = 1024,
	GROUP_PART_LEAVE_MS = 100, /* who wants to leave asks again after */
};

struct group_part;

struct group_part_handler {
	/* To the agent of that ordinal. False: it is not known, or cannot be reached now. */
	bool (*send)(void *user, uint32_t ordinal, struct bytes message);
	/* group_part_view() has changed. */
	void (*changed)(void *user);
	/* As in quorum.h. */
	void (*lost)(void *user, const char *why);
	bool (*healthy)(void *user);
	/* The number of this instance of the replica, when it asks to be taken in: the later one's
	 * is higher. NULL: config.epoch. */
	uint32_t (*instance)(void *user);
	void *user;
};

struct group_part_config {
	struct loop *loop;
	const char *dir;
	uint32_t ordinal, epoch;
	struct uid pod_uid, workload_uid;
	bool birth;
	bool renew;       /* as in quorum.h */
	uint32_t recover; /* an operator: go on alone, under this epoch if it is higher; 0: no */
	/* By which the application knows it, and is known, over TLS; NULL or zeroed: without. */
	const struct account *account;
	/* Copied. */
	const char *namespace, *workload, *pod;
	struct group_part_handler handler;
};

/* Before the agent gives up its root directory. -EINVAL for an ordinal that is in no group. */
_must_use_ int group_part_new(const struct group_part_config *config, struct group_part **ret_part,
			      struct err *err);
_must_use_ int group_part_start(struct group_part *part, struct err *err);
/* Not from a callback; the loop must turn once more. NULL is accepted. */
void group_part_free(struct group_part *part);

/* From the agent of the pod of this workload with that ordinal; that is verified. */
void group_part_receive(struct group_part *part, uint32_t ordinal, struct bytes message);

/* A client of the pod's own on @fd, a connected socket, which is taken over. */
void group_part_adopt(struct group_part *part, int fd);

/* Its ordinal is not wanted any more: leave the group, and say so again and again until that has
 * happened. What the last one has, it keeps. */
void group_part_leave(struct group_part *part);
bool group_part_has_left(const struct group_part *part);

struct quorum_view group_part_view(const struct group_part *part);
/* Its pod may count as ready: it is a member with a vote, so that the next one may be replaced. */
bool group_part_votes(const struct group_part *part);
