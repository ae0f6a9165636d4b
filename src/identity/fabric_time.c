/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/fabric_time.h"

#include <stdlib.h>
#include <string.h>

enum {
	MEDIAN_PEERS_MIN = 3, /* with fewer, one that lies would decide a median anyway */
	AGREED_MS = FABRIC_TIME_STEP_MIN_MS / 5,
};

static int64_t mono_ms(struct mono now)
{
	return now.us / US_PER_MS;
}

void fabric_time_init(struct fabric_time *time, struct mono now, struct wall system,
		      const struct fabric_time_kept *kept)
{
	int64_t estimate_ms = system.ms + kept->system_offset_ms;

	*time = (struct fabric_time){.floor_ms = kept->last_ms};
	if (estimate_ms < kept->last_ms)
		estimate_ms = kept->last_ms;
	time->offset_ms = estimate_ms - mono_ms(now);
}

void fabric_time_set(struct fabric_time *time, struct mono now, struct wall fabric)
{
	time->offset_ms = fabric.ms - mono_ms(now);
	if (time->floor_ms > fabric.ms)
		time->floor_ms = fabric.ms;
	time->settled = true;
	time->unanimous = false;
}

struct wall fabric_time_now(const struct fabric_time *time, struct mono now)
{
	int64_t ms = mono_ms(now) + time->offset_ms;

	return (struct wall){.ms = ms > time->floor_ms ? ms : time->floor_ms};
}

bool fabric_time_is_settled(const struct fabric_time *time)
{
	return time->settled;
}

static struct fabric_time_peer *peer_find(struct fabric_time *time, const struct node_id *id)
{
	for (size_t i = 0; i < time->peer_count; i++) {
		if (node_id_equal(&time->peers[i].id, id))
			return &time->peers[i];
	}
	return NULL;
}

static int compare_offsets(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The offsets of settled peers, in order, into @offsets; how many. */
static size_t settled_offsets(const struct fabric_time *time,
			      int64_t offsets[FABRIC_TIME_PEERS_MAX + 1])
{
	size_t count = 0;

	for (size_t i = 0; i < time->peer_count; i++) {
		if (time->peers[i].settled)
			offsets[count++] = time->peers[i].offset_ms;
	}
	if (time->settled && count > 0)
		offsets[count++] = time->offset_ms;
	qsort(offsets, count, sizeof(*offsets), compare_offsets);
	return count;
}

static int64_t latest_unsettled(const struct fabric_time *time)
{
	int64_t latest = time->offset_ms;

	for (size_t i = 0; i < time->peer_count; i++) {
		if (time->peers[i].offset_ms > latest)
			latest = time->peers[i].offset_ms;
	}
	return latest;
}

/* The offset that what was heard so far speaks for. */
static int64_t agreed_offset(const struct fabric_time *time)
{
	int64_t offsets[FABRIC_TIME_PEERS_MAX + 1];
	size_t count = settled_offsets(time, offsets);
	size_t peers = count - (time->settled && count > 0 ? 1 : 0);

	if (peers == 0)
		return time->settled ? time->offset_ms : latest_unsettled(time);
	return peers >= MEDIAN_PEERS_MIN ? offsets[(count - 1) / 2] : offsets[count - 1];
}

static void peer_remember(struct fabric_time *time, const struct node_id *id, int64_t offset_ms,
			  bool settled)
{
	struct fabric_time_peer *peer = peer_find(time, id);

	if (!peer && time->peer_count < FABRIC_TIME_PEERS_MAX)
		peer = &time->peers[time->peer_count++];
	if (peer)
		*peer = (struct fabric_time_peer){*id, offset_ms, settled};
}

static bool agrees(const struct fabric_time *time, int64_t offset_ms)
{
	return llabs(offset_ms - time->offset_ms) <= AGREED_MS;
}

static bool is_unanimous(const struct fabric_time *time)
{
	for (size_t i = 0; i < time->peer_count; i++) {
		if (!time->peers[i].settled || !agrees(time, time->peers[i].offset_ms))
			return false;
	}
	return time->settled;
}

int64_t fabric_time_hear(struct fabric_time *time, struct mono now, const struct node_id *peer,
			 struct wall said, bool peer_settled)
{
	int64_t before_ms = fabric_time_now(time, now).ms, step_ms, agreed_ms;
	int64_t said_ms = said.ms - mono_ms(now);
	bool full = time->peer_count == FABRIC_TIME_PEERS_MAX;
	const struct fabric_time_peer *known;

	/* Whoever says it, it is what all say: the usual case, and found without a search. */
	if (full && time->unanimous && peer_settled && agrees(time, said_ms))
		return 0;
	known = peer_find(time, peer);
	/* No room for its word: the others have settled it. */
	if (!known && time->settled && full)
		return 0;
	/* It agrees with us now as it did before: nothing to settle anew. */
	if (known && time->settled && known->settled == peer_settled && agrees(time, said_ms) &&
	    agrees(time, known->offset_ms))
		return 0;
	peer_remember(time, peer, said_ms, peer_settled);
	agreed_ms = agreed_offset(time);
	step_ms = agreed_ms - time->offset_ms;
	time->settled = true;
	if (llabs(step_ms) >= FABRIC_TIME_STEP_MIN_MS)
		time->offset_ms = agreed_ms;
	time->unanimous = is_unanimous(time);
	return llabs(step_ms) >= FABRIC_TIME_STEP_MIN_MS ? fabric_time_now(time, now).ms - before_ms
							 : 0;
}

void fabric_time_forget(struct fabric_time *time, const struct node_id *peer)
{
	struct fabric_time_peer *found = peer_find(time, peer);

	if (found)
		*found = time->peers[--time->peer_count];
}

struct fabric_time_kept fabric_time_keep(struct fabric_time *time, struct mono now,
					 struct wall system)
{
	struct wall fabric = fabric_time_now(time, now);

	time->floor_ms = fabric.ms;
	return (struct fabric_time_kept){fabric.ms, fabric.ms - system.ms};
}
