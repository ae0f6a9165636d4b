/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replicas miss each other: the agents of a workload's pods hear each other's heartbeats, and one
 * that hears none says so by its machine, which tells the keepers of the workload; one of them is
 * its controller.
 *
 * Nothing is done to a pod because somebody says that it is silent. A keeper believes it of
 * machines that run a replica themselves, and then asks the machine of the silent one, as if it had
 * been silent itself (overlay_accuse()): an answer ends it, and who does not answer is lost sooner
 * than by its own silence alone. All the rest follows from that verdict as ever, for an ordinal of
 * a StatefulSet what its registrars say. So a liar costs a question and its answer.
 */
#include <string.h>

#include "base/mem.h"
#include "node/internal.h"

/* Each machine that is lost is missed once by each pod here: 110 pods, a few of them at once. */
static const struct node_rate report_rate = {.per_minute = 240, .burst = 440};

static void report(struct node *node, struct mono now, const struct node_id *from,
		   const struct sibling_missing *missing);

void node_sibling_missing(struct node *node, struct mono now, const struct uid *reporter,
			  const char *pod)
{
	const struct local_pod *local = map_get(&node->pods, uid_bytes(reporter));
	struct contact keepers[RECORDS_KEEPERS];
	struct message message = {.type = MESSAGE_SIBLING_MISSING};
	struct buf encoded = {0};
	size_t count;

	if (!local || strlen(pod) == 0 || strlen(pod) > MESSAGE_NAME_MAX)
		return;
	message.sibling_missing = (struct sibling_missing){.object = local->presence.object.uid,
							   .pod = (char *)(uintptr_t)pod};
	message_encode(&message, &encoded);
	count = records_nearest(node->records, &local->presence.object.uid, keepers,
				ARRAY_LEN(keepers));
	for (size_t i = 0; i < count; i++) {
		struct node_destination to = {.id = keepers[i].id, .addr = keepers[i].addr};

		if (node_id_equal(&to.id, &node->config.self.id))
			report(node, now, &to.id, &message.sibling_missing);
		else
			node_send_packet(node, &to, MESSAGE_SIBLING_MISSING, bytes_buf(&encoded));
	}
	buf_deinit(&encoded);
	node_pump(node, now);
}

/* Who reports runs a replica, and who is reported is one. */
static void report(struct node *node, struct mono now, const struct node_id *from,
		   const struct sibling_missing *missing)
{
	struct node_id machine = {0};
	const struct record_item *item;
	bool is_sibling = false;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, &missing->object,
				    &position))) {
		struct presence presence;

		if (presence_decode(bytes_buf(&item->record.value), &presence) != 0)
			continue;
		is_sibling = is_sibling || node_id_equal(&presence.node, from);
		if (strcmp(presence.pod_name, missing->pod) == 0)
			machine = presence.node;
		presence_deinit(&presence);
	}
	if (!is_sibling || node_id_is_none(&machine) ||
	    node_id_equal(&machine, &node->config.self.id))
		return;
	node_count(node, NODE_COUNT_ACCUSED);
	overlay_accuse(node->overlay, now, &machine);
}

void node_sibling_reported(struct node *node, struct mono now, const struct node_id *from,
			   const struct sibling_missing *missing)
{
	if (node_rate_take(&node->sibling_words, now, from, &report_rate, 1))
		report(node, now, from, missing);
	else
		node_count(node, NODE_COUNT_RATE);
}
