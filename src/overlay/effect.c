/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "overlay/internal.h"

enum {
	EFFECTS_CAP_MIN = 16,
};

struct overlay_effect *effect_add(struct overlay *overlay, enum overlay_effect_type type,
				  const struct node_id *to)
{
	struct overlay_effect *effect;

	if (overlay->effect_count == overlay->effect_cap) {
		overlay->effect_cap =
			overlay->effect_cap ? overlay->effect_cap * 2 : EFFECTS_CAP_MIN;
		overlay->effects = mem_resize(overlay->effects, overlay->effect_cap,
					      sizeof(*overlay->effects));
	}
	effect = &overlay->effects[overlay->effect_count++];
	*effect = (struct overlay_effect){.type = type};
	if (to)
		effect->to = *to;
	return effect;
}

/* Effects that were taken are freed when the next one is asked for, not before. */
const struct overlay_effect *overlay_next_effect(struct overlay *overlay)
{
	if (overlay->effect_next > 0)
		message_deinit(&overlay->effects[overlay->effect_next - 1].message);
	if (overlay->effect_next == overlay->effect_count) {
		overlay->effect_next = overlay->effect_count = 0;
		return NULL;
	}
	return &overlay->effects[overlay->effect_next++];
}

struct wall effect_fabric(const struct overlay *overlay)
{
	int64_t since_us = mono_since_us(overlay->now, overlay->fabric_at);

	return (struct wall){.ms = overlay->fabric.ms + since_us / US_PER_MS};
}

void effect_send_hello(struct overlay *overlay, const struct node_id *to)
{
	struct message *message = &effect_add(overlay, OVERLAY_SEND, to)->message;

	message->type = MESSAGE_HELLO;
	member_copy(&overlay->config.self, &message->hello.self);
	message->hello.fabric_ms = effect_fabric(overlay).ms;
	message->hello.version_min = MESSAGE_VERSION;
	message->hello.version_max = MESSAGE_VERSION;
	message->hello.leaf = overlay->config.leaf;
}

void effect_send_to_all(struct overlay *overlay, struct message *message)
{
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];

		if (peer->connected)
			message_copy(message,
				     &effect_add(overlay, OVERLAY_SEND, &peer->member.id)->message);
	}
	message_deinit(message);
}
