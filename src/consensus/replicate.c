/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leader's side of replication (3.5). "The leader maintains a nextIndex for each follower".
 * A peer whose log is not known yet is probed, one message at a time; then messages stream, within
 * what may be on its way; who needs entries that are gone gets the snapshot in chunks. What was
 * lost shows at the next heartbeat, which names the entry that should be there by now.
 */
#include <assert.h>
#include <string.h>

#include "consensus/internal.h"

struct progress *raft_replicate_peer(struct raft *raft, uint64_t id)
{
	for (size_t i = 0; i < raft->peer_count; i++)
		if (raft->peers[i].id == id)
			return &raft->peers[i];
	return NULL;
}

/* "When a leader first comes to power, it initializes all nextIndex values to the index just after
 * the last one in its log" (3.5). */
static void add_peer(struct raft *raft, uint64_t id)
{
	assert(raft->peer_count < RAFT_MEMBERS_MAX);
	raft->peers[raft->peer_count++] = (struct progress){
		.id = id,
		.next = raft_log_last(&raft->log) + 1,
		.heard = raft->now,
	};
}

void raft_replicate_members(struct raft *raft)
{
	size_t kept = 0;

	for (size_t i = 0; i < raft->peer_count; i++)
		if (raft_member_find(&raft->members, raft->peers[i].id))
			raft->peers[kept++] = raft->peers[i];
	raft->peer_count = kept;
	for (size_t i = 0; i < raft->members.count; i++) {
		uint64_t id = raft->members.list[i].id;

		if (id != raft->id && !raft_replicate_peer(raft, id))
			add_peer(raft, id);
	}
}

void raft_replicate_begin(struct raft *raft)
{
	raft->peer_count = 0;
	raft->led_since = raft->now;
	raft->heartbeat_at = raft->now;
	raft_replicate_members(raft);
}

static void probe(struct progress *peer, uint64_t next)
{
	peer->state = PROGRESS_PROBE;
	peer->next = next;
	peer->waiting = false;
	peer->inflight_count = peer->inflight_bytes = 0;
}

static void send_append(struct raft *raft, struct progress *peer, size_t count)
{
	struct raft_message message = {
		.type = RAFT_APPEND,
		.to = peer->id,
		.term = raft->meta.term,
		.round = raft->round,
		.timeout_ms = raft->timeout_ms,
		.index = peer->next - 1,
		.index_term = raft_log_term(&raft->log, peer->next - 1),
		.commit = raft->commit,
		.entry_count = count,
	};

	peer->told_round = raft->round;
	raft_send_now(raft, &message);
}

static void send_chunk(struct raft *raft, struct progress *peer)
{
	const struct raft_snapshot *snapshot = &raft->snapshot;
	size_t left;
	struct raft_message message = {
		.type = RAFT_INSTALL,
		.to = peer->id,
		.term = raft->meta.term,
		.round = raft->round,
		.timeout_ms = raft->timeout_ms,
		.index = snapshot->index,
		.index_term = snapshot->term,
		.total = snapshot->data.len,
	};

	if (peer->snapshot_index != snapshot->index) {
		peer->snapshot_index = snapshot->index;
		peer->snapshot_offset = 0;
	}
	left = snapshot->data.len - (size_t)peer->snapshot_offset;
	message.offset = peer->snapshot_offset;
	/* The chunk's length, until effect.c makes a view of it. */
	message.commit = left < RAFT_CHUNK_MAX ? left : RAFT_CHUNK_MAX;
	peer->waiting = true;
	raft_send_now(raft, &message);
}

/* How many of the entries from @next on one message takes, and their bytes. */
static size_t batch(const struct raft *raft, uint64_t next, size_t *ret_bytes)
{
	size_t count = 0, bytes = 0;

	while (count < RAFT_BATCH_ENTRIES_MAX && raft_log_has(&raft->log, next + count)) {
		size_t len = raft_log_at(&raft->log, next + count)->len;

		if (bytes + len > RAFT_BATCH_BYTES_MAX)
			break;
		bytes += len;
		count++;
	}
	*ret_bytes = bytes;
	return count;
}

/* Who has been silent for long is not sent entries, only asked. */
bool raft_replicate_is_silent(const struct raft *raft, const struct progress *peer)
{
	return mono_since_us(raft->now, peer->heard) > 2 * (int64_t)raft->timeout_ms * US_PER_MS;
}

static void send_probe(struct raft *raft, struct progress *peer)
{
	size_t bytes,
		count = raft_replicate_is_silent(raft, peer) ? 0 : batch(raft, peer->next, &bytes);

	send_append(raft, peer, count);
	peer->waiting = true;
}

static void stream(struct raft *raft, struct progress *peer)
{
	while (peer->inflight_count < RAFT_INFLIGHT_MAX &&
	       peer->inflight_bytes < RAFT_INFLIGHT_BYTES) {
		size_t bytes, count = batch(raft, peer->next, &bytes);

		if (count == 0)
			return;
		send_append(raft, peer, count);
		peer->next += count;
		peer->inflight[peer->inflight_count].last = peer->next - 1;
		peer->inflight[peer->inflight_count++].bytes = bytes;
		peer->inflight_bytes += bytes;
	}
}

/* What may be sent to @peer now. False: nothing was. */
static bool replicate_to(struct raft *raft, struct progress *peer)
{
	uint64_t next = peer->next;

	if (peer->state != PROGRESS_SNAPSHOT && peer->next <= raft->log.base_index) {
		peer->state = PROGRESS_SNAPSHOT;
		peer->waiting = false;
	}
	if (peer->state == PROGRESS_STREAM) {
		stream(raft, peer);
		return peer->next != next;
	}
	if (peer->waiting)
		return false;
	if (peer->state == PROGRESS_SNAPSHOT)
		send_chunk(raft, peer);
	else
		send_probe(raft, peer);
	return true;
}

/* Also tells each of the current round. */
void raft_replicate_all(struct raft *raft)
{
	for (size_t i = 0; i < raft->peer_count; i++)
		if (!replicate_to(raft, &raft->peers[i]) &&
		    raft->peers[i].told_round < raft->round &&
		    raft->peers[i].state == PROGRESS_STREAM)
			send_append(raft, &raft->peers[i], 0);
}

/* The round trip to the farthest member of the nearest majority decides how patient we are. */
static uint32_t choose_timeout(const struct raft *raft)
{
	int64_t rtts[RAFT_MEMBERS_MAX];
	size_t count = 0, others = raft_member_quorum(raft) - 1;
	int64_t timeout_ms;

	for (size_t i = 0; i < raft->peer_count; i++) {
		size_t at = count;

		if (raft->peers[i].rtt_us == 0 || !raft_member_votes(raft, raft->peers[i].id))
			continue;
		for (count++; at > 0 && rtts[at - 1] > raft->peers[i].rtt_us; at--)
			rtts[at] = rtts[at - 1];
		rtts[at] = raft->peers[i].rtt_us;
	}
	if (others == 0 || count < others)
		return raft->timeout_ms;
	timeout_ms = RAFT_TIMEOUT_ROUNDS * rtts[others - 1] / US_PER_MS;
	if (timeout_ms < RAFT_TIMEOUT_MS)
		return RAFT_TIMEOUT_MS;
	return timeout_ms < RAFT_TIMEOUT_MAX_MS ? (uint32_t)timeout_ms : RAFT_TIMEOUT_MAX_MS;
}

/* Each is told again, also where nothing has changed. */
static void told_nothing(struct progress *peer)
{
	peer->told_round = 0;
	peer->waiting = false;
}

void raft_replicate_heartbeat(struct raft *raft)
{
	raft->timeout_ms = choose_timeout(raft);
	raft->heartbeat_at = mono_add_ms(raft->now, raft->timeout_ms / RAFT_HEARTBEATS);
	raft_lease_begin_round(raft);
	raft->heartbeat_round = raft->round;
	for (size_t i = 0; i < raft->peer_count; i++)
		told_nothing(&raft->peers[i]);
	raft_replicate_all(raft);
	raft_lease_progress(raft);
}

static void measure(struct raft *raft, struct progress *peer, uint64_t round)
{
	int64_t rtt_us;

	if (round != raft->heartbeat_round || peer->acked_round >= round)
		return;
	rtt_us = mono_since_us(raft->now, raft->rounds[round % RAFT_ROUNDS_MAX].at);
	/* RFC 6298: an eighth of the news. */
	peer->rtt_us = peer->rtt_us ? peer->rtt_us + (rtt_us - peer->rtt_us) / 8 : rtt_us + 1;
}

/* False: the answer is none to us as we are now. */
static bool hear(struct raft *raft, const struct raft_message *message, struct progress **ret_peer)
{
	struct progress *peer;

	if (message->term > raft->meta.term) {
		raft_become_follower(raft, message->term, 0);
		return false;
	}
	if (raft->role != RAFT_LEADER || message->term != raft->meta.term)
		return false;
	peer = raft_replicate_peer(raft, message->from);
	if (!peer || message->round > raft->round)
		return false;
	measure(raft, peer, message->round);
	peer->heard = raft->now;
	if (message->round > peer->acked_round)
		peer->acked_round = message->round;
	*ret_peer = peer;
	return true;
}

static void arrived(struct progress *peer, uint64_t match)
{
	size_t gone = 0;

	if (match > peer->match)
		peer->match = match;
	if (peer->next <= match)
		peer->next = match + 1;
	while (gone < peer->inflight_count && peer->inflight[gone].last <= match)
		peer->inflight_bytes -= peer->inflight[gone++].bytes;
	peer->inflight_count -= gone;
	memmove(peer->inflight, peer->inflight + gone,
		peer->inflight_count * sizeof(peer->inflight[0]));
	if (peer->state == PROGRESS_PROBE || peer->match >= peer->snapshot_index) {
		if (peer->state != PROGRESS_STREAM)
			probe(peer, peer->match + 1);
		peer->state = PROGRESS_STREAM;
		peer->waiting = false;
	}
}

/* "the follower can include the term of the conflicting entry and the first index it stores for
 * that term" (3.5): go behind our own last entry of that term, or there. */
static void refused(struct raft *raft, struct progress *peer, const struct raft_message *message)
{
	uint64_t at = message->commit, next = message->index;

	if (at <= peer->match || at >= peer->next || peer->state == PROGRESS_SNAPSHOT)
		return; /* an answer to what has been settled since */
	if (message->index_term != 0) {
		uint64_t index = at < raft_log_last(&raft->log) ? at : raft_log_last(&raft->log);

		while (index > next && raft_log_has(&raft->log, index) &&
		       raft_log_at(&raft->log, index)->term > message->index_term)
			index--;
		if (raft_log_has(&raft->log, index) &&
		    raft_log_at(&raft->log, index)->term == message->index_term)
			next = index + 1;
	}
	if (next > at)
		next = at;
	probe(peer, next > peer->match ? next : peer->match + 1);
}

/* After each answer: what does it make possible? */
static void go_on(struct raft *raft, struct progress *peer)
{
	uint64_t id = peer->id;

	raft_commit_advance(raft);
	if (raft->role != RAFT_LEADER)
		return;
	raft_lease_progress(raft);
	peer = raft_replicate_peer(raft, id);
	if (!peer)
		return;
	(void)replicate_to(raft, peer);
	raft_transfer_progress(raft);
	if (raft->role == RAFT_LEADER)
		raft_reconfigure_promote(raft, peer);
}

void raft_replicate_reply(struct raft *raft, const struct raft_message *message)
{
	struct progress *peer;

	if (!hear(raft, message, &peer))
		return;
	if (!message->granted)
		refused(raft, peer, message);
	else if (message->index <= raft_log_last(&raft->log))
		arrived(peer, message->index);
	go_on(raft, peer);
}

void raft_replicate_installed(struct raft *raft, const struct raft_message *message)
{
	struct progress *peer;

	if (!hear(raft, message, &peer))
		return;
	if (message->granted) {
		if (message->index <= raft_log_last(&raft->log))
			arrived(peer, message->index);
	} else if (peer->state == PROGRESS_SNAPSHOT && message->index == peer->snapshot_index &&
		   message->offset <= raft->snapshot.data.len &&
		   message->index == raft->snapshot.index) {
		peer->snapshot_offset = message->offset;
		peer->waiting = false;
	}
	go_on(raft, peer);
}
