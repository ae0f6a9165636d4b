/* SPDX-License-Identifier: Apache-2.0 */
/* Leadership transfer (3.10), for a machine that is about to be drained. */
#include "base/fault.h"
#include "consensus/internal.h"

static void finish(struct raft *raft)
{
	raft->transfer_to = 0;
	raft->transfer_asked = false;
}

void raft_transfer_event(struct raft *raft, const struct raft_event *event)
{
	const struct progress *best = NULL;

	if (raft->role != RAFT_LEADER) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_NOT_LEADER);
		return;
	}
	for (size_t i = 0; i < raft->peer_count; i++) {
		const struct progress *peer = &raft->peers[i];

		if (!raft_member_votes(raft, peer->id) ||
		    (event->member.id != 0 && event->member.id != peer->id))
			continue;
		if (!best || peer->match > best->match ||
		    (peer->match == best->match && peer->heard.us > best->heard.us))
			best = peer;
	}
	if (!best || raft->transfer_to != 0) {
		raft_effect_refuse(raft, event->request,
				   best ? RAFT_REFUSED_BUSY : RAFT_REFUSED_MEMBER);
		return;
	}
	/* "The prior leader stops accepting new client requests." */
	raft->transfer_to = best->id;
	raft->transfer_until = mono_add_ms(raft->now, raft->timeout_ms);
	if (event->request)
		raft_effect_add(raft, RAFT_DONE)->request = event->request;
	raft_transfer_progress(raft);
}

/* "The prior leader fully updates the target server's log to match its own ... [and] sends a
 * TimeoutNow request." From then on another leader may be there at any moment: voters are free of
 * what they promised up to this round. No new round begins before the transfer is over, and only a
 * later one makes a lease again. */
void raft_transfer_progress(struct raft *raft)
{
	const struct progress *peer = raft_replicate_peer(raft, raft->transfer_to);
	struct raft_message message = {
		.type = RAFT_CAMPAIGN,
		.to = raft->transfer_to,
		.term = raft->meta.term,
		.round = raft->round,
	};

	if (raft->transfer_to == 0 || raft->transfer_asked || !peer ||
	    peer->match < raft_log_last(&raft->log))
		return;
	raft->transfer_asked = true;
	if (!fault_is_planted(FAULT_RAFT_TRANSFER_LEASE))
		raft->lease_after = raft->round;
	raft_send_now(raft, &message);
}

/* "If leadership transfer does not complete after about an election timeout, the prior leader
 * aborts the transfer and resumes accepting client requests." */
void raft_transfer_tick(struct raft *raft)
{
	if (raft->transfer_to != 0 && (mono_reached(raft->now, raft->transfer_until) ||
				       !raft_replicate_peer(raft, raft->transfer_to)))
		finish(raft);
}
