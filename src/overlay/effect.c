/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "overlay/internal.h"

enum {
	EFFECTS_CAP_MIN = 4, /* most events have one or two; each takes half a KiB */
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

/* Payload and contacts of an effect are the overlay's own copies, shown as const outside. */
static void effect_deinit(struct overlay_effect *effect)
{
	message_deinit(&effect->message);
	free((void *)(uintptr_t)effect->payload.ptr);
	free((void *)(uintptr_t)effect->contacts);
}

void effect_deinit_all(struct overlay *overlay)
{
	for (size_t i = overlay->effect_next > 0 ? overlay->effect_next - 1 : 0;
	     i < overlay->effect_count; i++)
		effect_deinit(&overlay->effects[i]);
	free(overlay->effects);
}

/* Effects that were taken are freed when the next one is asked for, not before. */
const struct overlay_effect *overlay_next_effect(struct overlay *overlay)
{
	if (overlay->effect_next > 0)
		effect_deinit(&overlay->effects[overlay->effect_next - 1]);
	if (overlay->effect_next < overlay->effect_count)
		return &overlay->effects[overlay->effect_next++];
	overlay->effect_next = overlay->effect_count = overlay->effect_cap = 0;
	free(overlay->effects);
	overlay->effects = NULL;
	return NULL;
}

struct wall effect_fabric(const struct overlay *overlay)
{
	int64_t since_us = mono_since_us(overlay->real, overlay->fabric_at);

	return (struct wall){.ms = overlay->fabric.ms + since_us / US_PER_MS};
}

struct message *effect_to_contact(struct overlay *overlay, const struct contact *contact)
{
	struct overlay_effect *effect = effect_add(overlay, OVERLAY_SEND, &contact->id);

	effect->addr = contact->addr;
	return &effect->message;
}

struct message *effect_to_peer(struct overlay *overlay, const struct peer *peer,
			       enum message_type type)
{
	struct contact contact = peer_contact(peer);
	struct message *message = effect_to_contact(overlay, &contact);

	message->type = type;
	return message;
}

void effect_send_hello(struct overlay *overlay, struct peer *peer)
{
	struct message *message = effect_to_peer(overlay, peer, MESSAGE_HELLO);

	peer->said_hello = true;
	member_copy(&overlay->config.self, &message->hello.self);
	message->hello.fabric_ms = effect_fabric(overlay).ms;
	message->hello.version_min = MESSAGE_VERSION;
	message->hello.version_max = MESSAGE_VERSION;
	message->hello.leaf = overlay->config.leaf;
}

void effect_send_ping(struct overlay *overlay, struct message *message, enum message_type type,
		      uint64_t sequence)
{
	message->type = type;
	message->ping.sequence = sequence;
	message->ping.fabric_ms = effect_fabric(overlay).ms;
}

void effect_send_to_all(struct overlay *overlay, struct message *message)
{
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];

		if (peer->connected && (peer->greeted || peer->wanted))
			message_copy(message, effect_to_peer(overlay, peer, message->type));
	}
	message_deinit(message);
}
