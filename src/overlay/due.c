/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When each peer needs attention next: a binary heap, lazily kept. An entry may be too early, never
 * too late: what moves a peer's turn back (it was heard) changes nothing here, and its entry finds
 * that out when it comes up. So a message costs no work on the heap.
 */
#include "overlay/internal.h"

/* On our own grid of turns, so that neighbours do not act in step. */
static struct mono due_gathered(const struct overlay *overlay, struct mono at)
{
	int64_t grid_us = OVERLAY_GRID_MS * (int64_t)US_PER_MS, over_us;

	if (at.us == MONO_NEVER.us)
		return at;
	over_us = (at.us - overlay->grid_us) % grid_us;
	return mono_add_us(at, over_us ? grid_us - over_us : 0);
}

/* What is pressing keeps its time: dials, and members in doubt. */
static struct mono peer_due(const struct overlay *overlay, const struct peer *peer)
{
	struct mono at = liveness_due(overlay, peer);

	if (!peer->doubt && peer->greeted)
		at = due_gathered(overlay, at);
	return mono_min(at, dial_peer_due(overlay, peer));
}

static void due_place(struct overlay *overlay, size_t place, struct due due)
{
	overlay->dues[place] = due;
	due.peer->due_place = (uint32_t)place;
}

static void due_up(struct overlay *overlay, size_t place, struct due due)
{
	while (place > 0 && overlay->dues[(place - 1) / 2].at.us > due.at.us) {
		due_place(overlay, place, overlay->dues[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	due_place(overlay, place, due);
}

static void due_down(struct overlay *overlay, size_t place, struct due due, size_t count)
{
	for (;;) {
		size_t child = 2 * place + 1;

		if (child >= count)
			break;
		if (child + 1 < count &&
		    overlay->dues[child + 1].at.us < overlay->dues[child].at.us)
			child++;
		if (overlay->dues[child].at.us >= due.at.us)
			break;
		due_place(overlay, place, overlay->dues[child]);
		place = child;
	}
	due_place(overlay, place, due);
}

/* The heap has as many entries as there are peers: @peer is the last of them already. */
void due_add(struct overlay *overlay, struct peer *peer)
{
	due_up(overlay, overlay->peer_count - 1, (struct due){MONO_NEVER, peer});
}

/* Before @peer leaves the table. */
void due_remove(struct overlay *overlay, struct peer *peer)
{
	size_t last = overlay->peer_count - 1, place = peer->due_place;
	struct due moved = overlay->dues[last];

	if (place == last)
		return;
	due_down(overlay, place, moved, last);
	due_up(overlay, moved.peer->due_place, moved);
}

void due_touch(struct overlay *overlay, struct peer *peer)
{
	struct mono at = peer_due(overlay, peer);

	/* What has just become overdue is no sign that we were stalled. */
	if (at.us < overlay->now.us)
		at = overlay->now;
	if (at.us < overlay->dues[peer->due_place].at.us)
		due_up(overlay, peer->due_place, (struct due){at, peer});
}

void due_touch_all(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->peer_count; i++)
		due_touch(overlay, overlay->peers[i]);
}

void due_run(struct overlay *overlay)
{
	while (overlay->peer_count > 0 && mono_reached(overlay->now, overlay->dues[0].at)) {
		struct peer *peer = overlay->dues[0].peer;
		struct mono at;

		if (!liveness_tick(overlay, peer) || !dial_peer_tick(overlay, peer))
			continue;
		at = peer_due(overlay, peer);
		if (at.us <= overlay->now.us) /* whatever it waits for is not ours to hurry */
			at = mono_add_ms(overlay->now, 1);
		due_down(overlay, peer->due_place, (struct due){at, peer}, overlay->peer_count);
		due_up(overlay, peer->due_place, (struct due){at, peer});
	}
}

struct mono due_first(const struct overlay *overlay)
{
	return overlay->peer_count > 0 ? overlay->dues[0].at : MONO_NEVER;
}
