/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices: events on their way to an owner, sent again until it has them.
 *
 * An owner that misses an event waits in vain for a pod that failed. It returns each event as it
 * came, marked as seen; until then the event is repeated with doubling pauses, MARKET_EVENT_TRIES
 * times. An owner that is gone by then learns the rest from the presence records, if it returns.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "market/state.h"

struct notice {
	struct list link;
	struct node_id owner;
	struct addr addr;
	struct message message;
	struct mono resend_at;
	unsigned tries;
};

static void notice_free(struct market *market, struct notice *notice)
{
	list_remove(&notice->link);
	market->notice_count--;
	message_deinit(&notice->message);
	free(notice);
}

void notices_deinit(struct market *market)
{
	list_for_each_safe (it, &market->notices)
		notice_free(market, list_entry(it, struct notice, link));
}

static void notice_send(struct market *market, struct notice *notice)
{
	struct message copy;

	message_copy(&notice->message, &copy);
	effects_send(&market->effects, &notice->owner, &notice->addr, &copy);
	notice->resend_at =
		mono_add_ms(market->now, (int64_t)MARKET_EVENT_RESEND_MS << notice->tries);
	notice->tries++;
	market_due(market, notice->resend_at);
}

void notice_event(struct market *market, const struct hold *hold, struct message *event)
{
	struct notice *notice = mem_new(struct notice);

	if (market->notice_count == MARKET_NOTICES_MAX)
		notice_free(market, list_first(&market->notices, struct notice, link));
	notice->owner = hold->owner;
	notice->addr = hold->owner_addr;
	notice->message = *event;
	*event = (struct message){0};
	list_append(&market->notices, &notice->link);
	market->notice_count++;
	notice_send(market, notice);
}

int notice_seen(struct market *market, const struct node_id *from, const struct event *seen)
{
	list_for_each_safe (it, &market->notices) {
		struct notice *notice = list_entry(it, struct notice, link);
		const struct event *event = &notice->message.event;

		if (!node_id_equal(&notice->owner, from) || event->kind != seen->kind ||
		    !uid_equal(&event->pod_uid, &seen->pod_uid))
			continue;
		notice_free(market, notice);
		return 0;
	}
	return MARKET_E_UNKNOWN;
}

void notice_tick(struct market *market)
{
	list_for_each_safe (it, &market->notices) {
		struct notice *notice = list_entry(it, struct notice, link);

		if (!mono_reached(market->now, notice->resend_at))
			market_due(market, notice->resend_at);
		else if (notice->tries < MARKET_EVENT_TRIES)
			notice_send(market, notice);
		else
			notice_free(market, notice);
	}
}
