/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Misses: tenders that this machine would have taken, had there been room.
 *
 * Their owners back off for minutes. When room comes first to those who missed it, they need
 * neither ask often nor ask everybody: a machine that has room again tells the owners whose tenders
 * would fit now, each once, and an owner asks those machines first. A notice that is lost costs no
 * more than the rest of a back-off, so that none is repeated.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "market/state.h"

struct miss {
	struct list link;
	struct node_id owner;
	struct addr addr;
	struct digest tender_id;
	struct uid object_uid;
	struct amount need;
	struct mono until;
};

static void miss_free(struct market *market, struct miss *miss)
{
	list_remove(&miss->link);
	market->miss_count--;
	free(miss);
}

void misses_deinit(struct market *market)
{
	list_for_each_safe (it, &market->misses)
		miss_free(market, list_entry(it, struct miss, link));
}

static struct miss *miss_of(const struct market *market, const struct uid *object_uid)
{
	list_for_each (it, &market->misses) {
		struct miss *miss = list_entry(it, struct miss, link);

		if (uid_equal(&miss->object_uid, object_uid))
			return miss;
	}
	return NULL;
}

void market_missed(struct market *market, struct mono now, const struct node_id *owner,
		   const struct addr *addr, const struct tender *tender)
{
	struct miss *miss = miss_of(market, &tender->object.uid);

	market->now = now;
	if (!eligible(market, tender))
		return;
	if (miss)
		miss_free(market, miss);
	else if (market->miss_count == MARKET_MISSES_MAX)
		miss_free(market, list_first(&market->misses, struct miss, link));
	miss = mem_new(struct miss);
	miss->owner = *owner;
	miss->addr = *addr;
	miss->tender_id = tender->id;
	miss->object_uid = tender->object.uid;
	miss->need = ledger_amount(&market->ledger, &tender->needs);
	miss->until = mono_add_ms(now, MARKET_MISS_MS);
	list_append(&market->misses, &miss->link);
	market->miss_count++;
}

static void tell_room(struct market *market, const struct miss *miss)
{
	struct message message = {.type = MESSAGE_EVENT};

	message.event = (struct event){
		.tender_id = miss->tender_id,
		.pod_uid = miss->object_uid,
		.kind = EVENT_ROOM,
		.text = mem_strdup(""),
	};
	effects_send(&market->effects, &miss->owner, &miss->addr, &message);
}

/* The oldest first, and no more than fit together: the others would come in vain. */
void miss_freed(struct market *market)
{
	struct amount room = ledger_free(&market->ledger);

	list_for_each_safe (it, &market->misses) {
		struct miss *miss = list_entry(it, struct miss, link);

		if (mono_reached(market->now, miss->until)) {
			miss_free(market, miss);
			continue;
		}
		if (ledger_copies(room, miss->need, 1) == 0)
			continue;
		room = amount_less(room, miss->need);
		tell_room(market, miss);
		miss_free(market, miss);
	}
}

int miss_room(struct market *market, const struct node_id *from, const struct event *event,
	      const struct market_facts *facts)
{
	struct effect_item *item = effects_add(&market->effects, MARKET_ROOM);

	item->effect.to = *from;
	item->effect.addr = facts->addr;
	item->effect.tender_id = event->tender_id;
	item->effect.object_uid = event->pod_uid;
	return 0;
}
