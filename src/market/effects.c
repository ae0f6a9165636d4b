/* SPDX-License-Identifier: Apache-2.0 */
#include "market/effects.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void effects_init(struct effects *effects)
{
	list_init(&effects->queue);
	effects->last = NULL;
}

static void item_free(struct effect_item *item)
{
	if (!item)
		return;
	message_deinit(&item->message);
	free(item->envelope);
	free(item->slots);
	free(item->text);
	free(item);
}

void effects_deinit(struct effects *effects)
{
	while (effects_next(effects))
		continue;
}

struct effect_item *effects_add(struct effects *effects, enum market_effect_type type)
{
	struct effect_item *item = mem_new(struct effect_item);

	item->effect.type = type;
	item->effect.text = "";
	list_append(&effects->queue, &item->link);
	return item;
}

void effects_send(struct effects *effects, const struct node_id *to, const struct addr *addr,
		  struct message *message)
{
	struct effect_item *item = effects_add(effects, MARKET_SEND);

	item->message = *message;
	*message = (struct message){0};
	item->effect.message = &item->message;
	item->effect.to = *to;
	if (addr)
		item->effect.addr = *addr;
}

void effect_set_text(struct effect_item *item, const char *text)
{
	item->text = mem_strdup(text);
	item->effect.text = item->text;
}

void effect_set_slots(struct effect_item *item, const uint32_t *slots, size_t count)
{
	item->slots = mem_alloc(count, sizeof(*slots));
	if (count)
		memcpy(item->slots, slots, count * sizeof(*slots));
	item->effect.slots = item->slots;
	item->effect.slot_count = count;
}

void effect_set_envelope(struct effect_item *item, struct bytes envelope)
{
	item->envelope = (uint8_t *)mem_copy(envelope.ptr, envelope.len);
	item->effect.envelope = bytes_of(item->envelope, envelope.len);
}

const struct market_effect *effects_next(struct effects *effects)
{
	item_free(effects->last);
	effects->last = list_first(&effects->queue, struct effect_item, link);
	if (!effects->last)
		return NULL;
	list_remove(&effects->last->link);
	return &effects->last->effect;
}
