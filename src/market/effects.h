/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects: the queue of what the market wants done. Every effect owns what it points to; the one
 * handed out last lives until the next is asked for.
 */
#pragma once

#include "base/list.h"
#include "market/market.h"

struct effect_item {
	struct list link;
	struct market_effect effect;
	struct message message;
	uint8_t *envelope;
	uint32_t *slots;
	char *text;
};

struct effects {
	struct list queue;
	struct effect_item *last; /* handed out, freed with the next call */
};

void effects_init(struct effects *effects);
void effects_deinit(struct effects *effects);

/* Queue an effect; the caller fills in plain values. Valid until it is handed out. */
struct effect_item *effects_add(struct effects *effects, enum market_effect_type type);

/* Queue @message for @to, who may be at @addr (NULL: unknown), and take over what it owns. */
void effects_send(struct effects *effects, const struct node_id *to, const struct addr *addr,
		  struct message *message);

/* Give an effect its own copy of what it points to. */
void effect_set_text(struct effect_item *item, const char *text);
void effect_set_slots(struct effect_item *item, const uint32_t *slots, size_t count);
void effect_set_envelope(struct effect_item *item, struct bytes envelope);

/* The next one, or NULL. Valid until the next call. */
const struct market_effect *effects_next(struct effects *effects);
