/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quorum: a pod's part in the consensus of its workload: consensus/group.h, run on the loop, with
 * its disk (raft_store.h).
 *
 * Pods are told apart by their ordinals here, which their certificates carry; which of a workload's
 * pods has which ordinal is the caller's to know. Messages may be lost.
 *
 * It begins as nobody's member, unless its disk knows better or it is the first of all (@birth),
 * and asks to be taken in (seek) until a leader has done so (quorum_join()). When its disk cannot
 * be written it stops at once, answers nothing, and begins again from what the disk has.
 *
 * Handlers are never called from within a call to here, but for changed() and applied().
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "consensus/group.h"
#include "io/loop.h"

enum {
	QUORUM_REQUESTS_MAX = 1024, /* open at a time: a few for each of an application's threads */
	QUORUM_SEEK_MIN_MS = 100,   /* a new member asks to be taken in again after, */
	QUORUM_SEEK_MAX_MS = 5000,  /* ever longer up to this */
	QUORUM_AGAIN_MS = 1000,     /* the disk failed: tried again after */
	QUORUM_NOBODY = -1,         /* no ordinal */
};

struct quorum;

struct quorum_answer {
	enum group_answer answer;
	struct keys_result result; /* DONE */
	enum raft_refused refused; /* REFUSED */
	int64_t leader;            /* REFUSED: the ordinal of who should be asked, if it is known */
};

/* @answer is borrowed. Of a read: quorum_keys() may be read now. */
typedef void quorum_fn(void *user, const struct quorum_answer *answer);

struct quorum_handler {
	void (*send)(void *user, uint32_t ordinal, struct bytes message);
	/* Ask the other pods of the workload until one of them leads, and has quorum_join() take us
	 * in: quorum_self(). Asked again until then. */
	void (*seek)(void *user);
	/* Something in quorum_view() is new. */
	void (*changed)(void *user);
	/* quorum_keys() has changed. May be NULL. */
	void (*applied)(void *user);
	/* The disk has failed for good: only a new process can begin again. */
	void (*lost)(void *user, const char *why);
	void *user;
};

struct quorum_config {
	struct loop *loop;
	const char *dir; /* of raft_store_open() */
	uint32_t ordinal, epoch;
	struct uid pod;
	bool birth; /* the birth award of ordinal 0: with an empty disk it founds the group, */
	struct uid cluster; /* under this name */
	/* The disk is the ordinal's, not the pod's: when it turns out that the member on it has
	 * left, or that the group has gone on without it, and it was not this pod's, it is made
	 * empty and the pod becomes a new member. */
	bool renew;
	struct quorum_handler handler;
};

/* Before the agent gives up its root directory; starts nothing yet. */
_must_use_ int quorum_new(const struct quorum_config *config, struct quorum **ret_quorum,
			  struct err *err);
_must_use_ int quorum_start(struct quorum *quorum, struct err *err);
/* What is open is answered with GROUP_UNKNOWN. NULL is accepted. Not from a callback. */
void quorum_free(struct quorum *quorum);

/* From the pod of this workload with that ordinal; that is verified. */
void quorum_receive(struct quorum *quorum, uint32_t ordinal, struct bytes message);

/* Each is answered once, later; 0: too many are open. The number returned is for quorum_forget().
 */
_must_use_ uint64_t quorum_propose(struct quorum *quorum, struct bytes command, quorum_fn *done,
				   void *user);
_must_use_ uint64_t quorum_read(struct quorum *quorum, quorum_fn *done, void *user);
_must_use_ uint64_t quorum_join(struct quorum *quorum, const struct raft_member *member,
				quorum_fn *done, void *user);
_must_use_ uint64_t quorum_leave(struct quorum *quorum, uint32_t ordinal, quorum_fn *done,
				 void *user);
/* To the best of the others. */
_must_use_ uint64_t quorum_transfer(struct quorum *quorum, quorum_fn *done, void *user);
/* An operator has given a lost majority up: go on alone, under a higher epoch. */
_must_use_ uint64_t quorum_recover(struct quorum *quorum, uint32_t epoch, quorum_fn *done,
				   void *user);
void quorum_forget(struct quorum *quorum, uint64_t request);

struct quorum_view {
	enum raft_role role;
	struct group_token token;           /* epoch and term */
	int64_t leader;                     /* an ordinal, or QUORUM_NOBODY */
	bool member;                        /* in the list of members, as voter or learner */
	bool running;                       /* false: its disk has failed */
	const struct raft_members *members; /* valid until the next call */
};
struct quorum_view quorum_view(const struct quorum *quorum);
struct raft_member quorum_self(const struct quorum *quorum);

/* May this pod answer now what only the leader may answer? */
bool quorum_serves(const struct quorum *quorum);
/* NULL while it is not running. */
const struct keys *quorum_keys(const struct quorum *quorum);
