/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rare: what distinguishes a machine, as texts under which it can be found (overlay/kad.h: provider
 * sets), and which of them a tender should be looked up by.
 *
 *   "resource example.org/gpu"   an extended resource
 *   "label disk=nvme"            a label, unless it is one that most machines have, or only one
 *   "arch arm64"                 an architecture other than amd64
 *   "engine krun"                an engine other than crun
 */
#pragma once

#include "base/bytes.h"
#include "market/market.h"

enum {
	RARE_TEXTS_MAX = 24, /* of one machine: each costs a lookup every few minutes */
};

/* The texts of @machine, at most RARE_TEXTS_MAX; the caller frees each. */
size_t rare_texts(const struct market_machine *machine, char **ret_texts);

/* The rarest thing in @needs, by kind as listed above; the caller frees it. NULL if nothing is. */
_must_use_ char *rare_term(const struct requirements *needs);
