/* SPDX-License-Identifier: Apache-2.0 */
/* Node offer: by which labels and taints a machine bids: its own, and those that people set. */
#pragma once

#include "base/bytes.h"
#include "wire/presence.h"

struct node_offer {
	struct label *labels; /* <= MESSAGE_LABELS_MAX; beyond: left out */
	size_t label_count;
	struct taint *taints; /* <= MESSAGE_TAINTS_MAX */
	size_t taint_count;
	bool unschedulable; /* people say so */
};

/* @settings: the stored object of kube/node_settings.h as JSON; empty: there is none. */
void node_offer_init(const struct node_facts *facts, struct bytes settings,
		     struct node_offer *ret_offer);
void node_offer_deinit(struct node_offer *offer);
