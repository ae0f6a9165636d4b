/* SPDX-License-Identifier: Apache-2.0 */
/* What time brings: holes are filled, relations confirmed, neighbours exchanged, views shuffled. */
#include <assert.h>

#include "overlay/view_internal.h"

void view_ask(struct view *view, const struct contact *contact, enum view_purpose purpose)
{
	assert(view->request_count < VIEW_REQUESTS_MAX);
	view->requests[view->request_count++] = (struct view_request){
		.contact = *contact,
		.until = mono_add_ms(view->now, VIEW_ANSWER_MS),
		.purpose = purpose,
	};
	if (purpose == VIEW_FOR_JOIN)
		view_send(view, contact, MESSAGE_JOIN);
	else
		view_send(view, contact, MESSAGE_NEIGHBOR)->flag = view->active_count == 0;
}

static void seek_in(struct view *view, int64_t ms)
{
	view->seek_at = mono_min(view->seek_at, mono_add_ms(view->now, ms));
}

void view_seek_soon(struct view *view)
{
	seek_in(view, 0);
}

/* "doubles while none answers": each wait is jittered, for many lose the same neighbours. */
static int64_t next_backoff(struct view *view)
{
	int64_t ms = prng_jitter(&view->prng, view->backoff_ms);

	view->backoff_ms = view->backoff_ms * 2 > VIEW_REPLACE_MAX_MS ? VIEW_REPLACE_MAX_MS
								      : view->backoff_ms * 2;
	return ms;
}

void view_request_failed(struct view *view, bool answered)
{
	if (answered) {
		view->failures = 0;
		seek_in(view, prng_jitter(&view->prng, VIEW_REPLACE_MS));
	} else if (++view->failures <= VIEW_REPLACE_FREE) {
		seek_in(view, 0);
	} else {
		seek_in(view, next_backoff(view));
	}
}

/* A random passive member that was not asked in this round yet, nor is being asked. */
static const struct contact *next_candidate(struct view *view)
{
	while (view->passive_tried < view->passive_count) {
		size_t left = view->passive_count - view->passive_tried;
		size_t at = view->passive_tried + (size_t)prng_below(&view->prng, left);
		struct contact contact = view->passive[at];

		view->passive[at] = view->passive[view->passive_tried];
		view->passive[view->passive_tried++] = contact;
		if (!view_find_request(view, &contact.id))
			return &view->passive[view->passive_tried - 1];
	}
	return NULL;
}

/* Neighbours too few that no request of ours may bring. */
static size_t holes(const struct view *view)
{
	size_t sound = view->active_count - view_doubted_count(view) + view->request_count;

	return sound < VIEW_ACTIVE_MIN ? VIEW_ACTIVE_MIN - sound : 0;
}

bool view_has_hole(const struct view *view)
{
	return holes(view) > 0;
}

/* Once one has not answered, two are asked for each hole: there is room for both. */
static void seek(struct view *view)
{
	size_t want = holes(view) * (view->failures > 0 ? 2 : 1);

	view->seek_at = MONO_NEVER;
	for (; want > 0 && view->request_count < VIEW_REQUESTS_MAX; want--) {
		const struct contact *candidate = next_candidate(view);

		if (!candidate) {
			view->passive_tried = 0;
			view->exhausted = view->active_count == 0;
			if (view->passive_count > 0)
				seek_in(view, next_backoff(view));
			return;
		}
		view_ask(view, candidate, VIEW_FOR_HOLE);
	}
}

static void expire_requests(struct view *view)
{
	for (size_t i = 0; i < view->request_count;) {
		if (!mono_reached(view->now, view->requests[i].until)) {
			i++;
			continue;
		}
		view_remove_request(view, &view->requests[i]);
		view_request_failed(view, false);
	}
}

/* A relation of which only one end knows looks like this: no message that only neighbours send. */
static void check(struct view *view)
{
	view->check_at = mono_add_ms(view->now, prng_jitter(&view->prng, VIEW_CHECK_MS));
	for (size_t i = 0; i < view->active_count; i++) {
		const struct view_link *link = &view->active[i];

		if (mono_since_us(view->now, link->proven) >=
		    (int64_t)VIEW_CHECK_MS * US_PER_MS / 2)
			view_send(view, &link->contact, MESSAGE_NEIGHBOR);
	}
}

static void renew(struct view *view)
{
	const struct contact *candidate;

	view->renew_at = mono_add_ms(view->now, prng_jitter(&view->prng, VIEW_RENEW_MS));
	if (view->active_count < VIEW_ACTIVE_MIN || view->request_count > 0)
		return;
	if (view->passive_tried == view->passive_count)
		view->passive_tried = 0;
	candidate = next_candidate(view);
	if (candidate)
		view_ask(view, candidate, VIEW_FOR_RENEW);
}

static void remember_shuffled(struct view *view, const struct contact *contacts, size_t count)
{
	view->shuffled_count = 0;
	for (size_t i = 0; i < count && view->shuffled_count < VIEW_SHUFFLE_PASSIVE; i++)
		if (!view_find_link(view, &contacts[i].id))
			view->shuffled[view->shuffled_count++] = contacts[i].id;
}

static void shuffle(struct view *view)
{
	const struct view_link *link = view_random_link(view, NULL, NULL);
	struct view_note *note;

	view->shuffle_at = mono_add_ms(view->now, prng_jitter(&view->prng, view->shuffle_ms));
	view->shuffle_ms =
		view->shuffle_ms * 2 > VIEW_SHUFFLE_MS ? VIEW_SHUFFLE_MS : view->shuffle_ms * 2;
	if (!link || !addr_can_be_dialled(&view->self.addr))
		return;
	note = view_send(view, &link->contact, MESSAGE_SHUFFLE);
	note->subject = view->self;
	note->ttl = VIEW_SHUFFLE_TTL;
	note->contacts = view_sample(view, &link->contact.id, VIEW_SHUFFLE_ACTIVE,
				     VIEW_SHUFFLE_PASSIVE, &note->contact_count);
	remember_shuffled(view, note->contacts, note->contact_count);
	view->reply_until = mono_add_ms(view->now, VIEW_REPLY_MS);
}

void view_tick(struct view *view, struct mono now)
{
	view->now = now;
	if (!mono_reached(now, view->deadline))
		return;
	expire_requests(view);
	if (mono_reached(now, view->seek_at))
		seek(view);
	if (mono_reached(now, view->check_at))
		check(view);
	if (mono_reached(now, view->renew_at))
		renew(view);
	if (mono_reached(now, view->shuffle_at))
		shuffle(view);
	view_settle(view);
}

void view_settle(struct view *view)
{
	struct mono deadline = mono_min(view->seek_at, view->renew_at);

	if (view->active_count > 0)
		deadline = mono_min(deadline, mono_min(view->shuffle_at, view->check_at));
	for (size_t i = 0; i < view->request_count; i++)
		deadline = mono_min(deadline, view->requests[i].until);
	view->deadline = deadline;
}
