/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

enum {
	EFFECTS_CAP_MIN = 16,
};

struct records_effect *effect_queue(struct records *records, enum records_effect_type type,
				    struct item *item)
{
	struct queued *queued;

	if (records->effect_count == records->effect_cap) {
		records->effect_cap =
			records->effect_cap ? records->effect_cap * 2 : EFFECTS_CAP_MIN;
		records->effects = mem_resize(records->effects, records->effect_cap,
					      sizeof(*records->effects));
	}
	queued = &records->effects[records->effect_count++];
	*queued = (struct queued){.effect = {.type = type}};
	if (item) {
		queued->item = item_ref(item);
		queued->effect.item = &item->shown;
		queued->effect.key = item->shown.record.key;
	}
	return &queued->effect;
}

struct message *effect_send(struct records *records, const struct node_id *to,
			    enum message_type type)
{
	struct records_effect *effect = effect_queue(records, RECORDS_SEND, NULL);

	effect->to = *to;
	effect->message.type = type;
	return &effect->message;
}

void effect_send_item(struct records *records, const struct node_id *to, struct item *item)
{
	struct records_effect *effect = effect_queue(records, RECORDS_SEND, item);

	effect->to = *to;
	effect->is_envelope = true;
	effect->envelope = bytes_buf(&item->shown.envelope);
}

void effect_send_item_to(struct records *records, const struct contact *to, struct item *item)
{
	effect_send_item(records, &to->id, item);
	records->effects[records->effect_count - 1].effect.addr = to->addr;
}

void effect_located(struct records *records, const struct uid *home, uint64_t token,
		    const struct contact *keepers, size_t count)
{
	struct records_effect *effect = effect_queue(records, RECORDS_LOCATED, NULL);
	struct queued *queued = container_of(effect, struct queued, effect);

	queued->contacts = (struct contact *)mem_copy(keepers, count * sizeof(*keepers));
	effect->key.uid = *home;
	effect->token = token;
	effect->contacts = queued->contacts;
	effect->contact_count = count;
}

void effect_changed(struct records *records, struct item *item, enum records_change change)
{
	effect_queue(records, RECORDS_CHANGED, item)->change = change;
}

void effect_ended(struct records *records, struct item *old, struct item *end)
{
	struct records_effect *effect = effect_queue(records, RECORDS_CHANGED, old);
	struct queued *queued = container_of(effect, struct queued, effect);

	queued->rival = item_ref(end);
	effect->rival = &end->shown;
	effect->change = RECORDS_REMOVED;
}

void effect_rivals(struct records *records, struct item *item, struct item *rival)
{
	struct records_effect *effect = effect_queue(records, RECORDS_RIVALS, item);
	struct queued *queued = container_of(effect, struct queued, effect);

	queued->rival = item_ref(rival);
	effect->rival = &rival->shown;
}

static void queued_deinit(struct queued *queued)
{
	message_deinit(&queued->effect.message);
	item_unref(queued->item);
	item_unref(queued->rival);
	free(queued->contacts);
	queued->item = queued->rival = NULL;
	queued->contacts = NULL;
}

/* What was taken is freed when the next one is asked for, not before; with the last one the queue,
 * too: it is empty most of the time. */
const struct records_effect *records_next_effect(struct records *records)
{
	if (records->effect_next > 0)
		queued_deinit(&records->effects[records->effect_next - 1]);
	if (records->effect_next == records->effect_count) {
		free(records->effects);
		records->effects = NULL;
		records->effect_next = records->effect_count = records->effect_cap = 0;
		return NULL;
	}
	return &records->effects[records->effect_next++].effect;
}

void records_effects_deinit(struct records *records)
{
	for (size_t i = 0; i < records->effect_count; i++)
		queued_deinit(&records->effects[i]);
	free(records->effects);
}
