/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of pods: a machine asks for its own, a steward is asked.
 *
 * What is signed follows from the warrant alone (warrant.c): it names the pod, and the machine that
 * may ask, which TLS says who asks. So any steward of the namespace can sign, at any time, and
 * needs to know nothing else of the pod. Whether that works out is the caller's to see: a machine
 * asks one after the other.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/pod_key.h"

_Static_assert((int)MESSAGE_PROOF_LEN == (int)KEY_SIGNATURE_LEN, "one signature, two headers");

/* What one machine may ask for: all agents of 110 pods start at once, twice. */
static const struct node_rate want_rate = {.per_minute = 240, .burst = 220};

static bool is_own_steward(const struct node *node, struct mono now, const char *namespace)
{
	return node->config.trust.ops->is_steward(node->config.trust.self,
						  node_fabric_time(node, now), &node->config.leaf,
						  namespace);
}

/* Ourselves, then who awarded the pod, then any steward that is connected. */
static bool choose(const struct node *node, struct mono now, const struct warrant *warrant,
		   const struct node_id *owner, unsigned attempt, struct node_id *ret)
{
	bool self = is_own_steward(node, now, warrant->object.namespace);
	size_t count = node->stewards.count + self + 1, at = attempt % count;

	if (self && at-- == 0) {
		*ret = node->config.self.id;
		return true;
	}
	if (at-- == 0) {
		*ret = *owner;
		return !node_id_equal(owner, &node->config.self.id);
	}
	map_for_each (entry, &node->stewards) {
		if (at-- == 0) {
			memcpy(ret->byte, entry->value, ID_LEN);
			return true;
		}
	}
	return false;
}

int node_pod_leaf_ask(struct node *node, struct mono now, const struct node_pod_leaf_ask *ask)
{
	const struct local_pod *pod = map_get(&node->pods, uid_bytes(&ask->pod_uid));
	struct message message = {.type = MESSAGE_POD_LEAF_WANT};
	struct node_destination to = {0};
	struct buf encoded = {0};
	struct warrant warrant;
	struct node_id owner;
	bool chosen;

	if (!pod ||
	    node_warrant_open(node, now, bytes_buf(&pod->presence.warrant), &owner, &warrant) != 0)
		return NODE_E_NOT_FOUND;
	chosen = choose(node, now, &warrant, &owner, ask->attempt, &to.id);
	warrant_deinit(&warrant);
	if (!chosen)
		return NODE_E_ROLE;
	(void)!overlay_find_addr(node->overlay, &to.id, &to.addr);
	message.pod_leaf_want = (struct pod_leaf_want){.request = ask->request,
						       .warrant = pod->presence.warrant,
						       .key = ask->key,
						       .application = ask->application};
	memcpy(message.pod_leaf_want.proof, ask->proof, MESSAGE_PROOF_LEN);
	message_encode(&message, &encoded); /* the warrant is borrowed */
	node_send_packet(node, &to, MESSAGE_POD_LEAF_WANT, bytes_buf(&encoded));
	buf_deinit(&encoded);
	node_pump(node, now);
	return 0;
}

void node_pod_leaf_answer(struct node *node, struct mono now, const struct node_id *to,
			  const struct pod_leaf *answer)
{
	struct message message = {.type = MESSAGE_POD_LEAF, .pod_leaf = *answer}; /* borrowed */
	struct buf encoded = {0};

	message_encode(&message, &encoded);
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_POD_LEAF,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
	node_pump(node, now);
}

static void refuse(struct node *node, const struct node_id *to, uint64_t request, const char *text)
{
	struct pod_leaf answer = {.request = request, .text = mem_strdup(text)};
	struct message message = {.type = MESSAGE_POD_LEAF, .pod_leaf = answer};
	struct buf encoded = {0};

	message_encode(&message, &encoded);
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_POD_LEAF,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
	message_deinit(&message);
}

static const char *misfit(const struct node *node, struct mono now, const struct node_id *from,
			  const struct warrant *warrant, const struct pod_leaf_want *want)
{
	const char *namespace = warrant->object.namespace;
	const struct pod_key_name pod = {namespace, warrant->pod_name};
	enum pod_key_use use = want->application ? POD_KEY_APPLICATION : POD_KEY_AGENT;

	if (!node_id_equal(&warrant->machine, from))
		return "the pod is awarded to another machine";
	if (!is_own_steward(node, now, namespace))
		return "this machine is no steward of the namespace";
	if (node_is_deleted(node, &warrant->object.uid, namespace) ||
	    node_is_deleted(node, &warrant->pod_uid, namespace))
		return "the pod is deleted";
	if (!pod_key_is_proved(&want->key, use, &pod, want->proof))
		return "nobody has proved to have that key";
	return NULL;
}

void node_pod_leaf_wanted(struct node *node, struct mono now, const struct node_id *from,
			  const struct pod_leaf_want *want)
{
	struct queued_effect *queued;
	struct warrant warrant;
	struct node_id owner;
	const char *wrong;
	int outcome;

	if (!node_id_equal(from, &node->config.self.id) &&
	    !node_rate_take(&node->leaf_wants, now, from, &want_rate, 1)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	outcome = node_warrant_open(node, now, bytes_buf(&want->warrant), &owner, &warrant);
	if (outcome == NODE_TRUST_E_LEAF) {
		node_leaf_want(node, from, &node->missing_leaf);
		refuse(node, from, want->request, "who awarded the pod is not known here yet");
		return;
	}
	if (outcome) {
		refuse(node, from, want->request, "the pod's warrant is not valid");
		return;
	}
	wrong = misfit(node, now, from, &warrant, want);
	if (wrong) {
		node_count(node, NODE_COUNT_ROLE);
		node_refuse(node, from, wrong);
		refuse(node, from, want->request, wrong);
		warrant_deinit(&warrant);
		return;
	}
	queued = node_queue(node, NODE_LEAF_WANTED);
	queued->effect.to = *from;
	queued->effect.token = want->request;
	queued->effect.key_of_pod = want->key;
	queued->effect.of_application = want->application;
	queued->award = (struct message){.type = MESSAGE_WARRANT, .warrant = warrant};
}

void node_pod_leaf_came(struct node *node, const struct node_id *from, const struct pod_leaf *leaf)
{
	struct queued_effect *queued = node_queue(node, NODE_LEAF_CAME);
	struct message message = {.type = MESSAGE_POD_LEAF, .pod_leaf = *leaf}; /* borrowed */

	queued->effect.to = *from;
	queued->effect.token = leaf->request;
	message_copy(&message, &queued->award);
}
