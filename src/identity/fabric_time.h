/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fabric time: the machine's monotonic clock plus an offset that the machines agree on.
 *
 * At start it is an estimate: the system clock plus the offset kept from last time, never before
 * the last value kept; so a board that boots in 1970 and a machine whose clock runs a year ahead
 * both come close. It is *settled* once it was set by a join, by the making of a fabric, or by
 * hearing from peers. Then:
 *
 *	an unsettled machine that hears a settled one takes its time;
 *	two unsettled ones (after a power cut of everything) take the later and are settled;
 *	a settled one takes the median of itself and its settled peers, with three peers or more;
 *	with fewer, the latest of them, so that all agree and time does not run backwards;
 *	it ignores an unsettled one, whose clock may be anything.
 *
 * Steps below FABRIC_TIME_STEP_MIN_MS are left out: they are the network's jitter. Every step is
 * reported, for the log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"

enum {
	FABRIC_TIME_PEERS_MAX = 32,         /* a median over more tells nothing new */
	FABRIC_TIME_STEP_MIN_MS = 250,      /* well below the 30 s that envelopes allow */
	FABRIC_TIME_PERSIST_MS = 60 * 1000, /* how often the caller writes fabric_time_kept() */
};

/* What survives a restart: two integers for the caller to write down. */
struct fabric_time_kept {
	int64_t last_ms;          /* fabric time when it was written; never gone below */
	int64_t system_offset_ms; /* fabric time minus the system's clock */
};

struct fabric_time_peer {
	struct node_id id;
	int64_t offset_ms; /* its fabric time minus our monotonic clock */
	bool settled;
};

struct fabric_time {
	int64_t offset_ms; /* fabric time = monotonic ms + offset */
	int64_t floor_ms;
	bool settled;
	bool unanimous; /* all peers here are settled and agree with us */
	size_t peer_count;
	struct fabric_time_peer peers[FABRIC_TIME_PEERS_MAX];
};

/* @system: the system's clock now. @kept: zeroed at the first start. */
void fabric_time_init(struct fabric_time *time, struct mono now, struct wall system,
		      const struct fabric_time_kept *kept);

/* Set by a join reply, or by making a fabric (then with the estimate itself). */
void fabric_time_set(struct fabric_time *time, struct mono now, struct wall fabric);

/* What the fabric's clock shows; an estimate until it is settled. */
struct wall fabric_time_now(const struct fabric_time *time, struct mono now);

/* False while the value is an estimate: pass now_is_floor = !settled and the last kept value to
 * trust_verify(), and tell peers so. */
bool fabric_time_is_settled(const struct fabric_time *time);

/*
 * A connected peer said that its fabric time is @said: as it stood in the message, with nothing
 * added for the way here, since an estimate too high would make two machines push each other ahead
 * for ever, while one too low is within what is left out. Returns the step taken, in ms (0: none),
 * for the log. A peer beyond the table is ignored.
 */
int64_t fabric_time_hear(struct fabric_time *time, struct mono now, const struct node_id *peer,
			 struct wall said, bool peer_settled);

/* The connection to @peer is gone. */
void fabric_time_forget(struct fabric_time *time, const struct node_id *peer);

/* What to write down, every FABRIC_TIME_PERSIST_MS and after a step. */
struct fabric_time_kept fabric_time_keep(struct fabric_time *time, struct mono now,
					 struct wall system);
