/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node settings: what people say about a machine with kubectl cordon, taint, label, annotate.
 *
 * A machine announces its own labels and taints; what people add is a stored object of kind Node
 * with nothing but that in it. Both together are the Node that clients see, and by which the
 * machine decides what it bids for. What a machine says of itself cannot be taken away from
 * outside.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"

/* The object to store for a Node that is to look like @wanted, of a machine that says @own. */
_must_use_ json_t *kube_node_settings(const json_t *wanted, const json_t *own);

/* Add @settings to @node, which is what the machine says. */
void kube_node_merge(json_t *node, const json_t *settings);
