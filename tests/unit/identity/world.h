/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of identity share: a fabric made from a seed, and machines that join it. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "identity/envelope.h"
#include "identity/fabric.h"
#include "identity/join.h"
#include "identity/trust.h"
#include "identity/voucher.h"

#define NOW ((struct wall){.ms = INT64_C(1795000000000)}) /* November 2026 */

/* @len bytes that look random and are the same for the same @seed. */
void world_random(uint32_t seed, uint8_t *ret_random, size_t len);

/* A fabric of one machine, "alpha". */
struct fabric_made *world_fabric(uint32_t seed);

/* Trust in @credentials' fabric, with a cache of 8. */
void world_trust(const struct credentials *credentials, struct trust *ret_trust);

/* The chain held by @concatenated, which must be sound. */
struct chain world_chain(const struct buf *concatenated);
struct cert world_leaf(const struct buf *concatenated);

/* A voucher of @fabric, good for a day from @now. */
struct voucher *world_voucher(const struct fabric_made *fabric, struct grant grant, bool plain,
			      struct wall now);

/* Let a machine in with @voucher, at alpha, at @now: the whole exchange. */
struct join_reply *world_join(const struct fabric_made *fabric, const struct voucher *voucher,
			      const char *node_name, uint32_t seed, struct wall now,
			      bool as_admitter);

/* A leaf of @kind under @signer, its chain concatenated. @order may be changed by the caller. */
struct cert_order world_order(enum cert_kind kind, const struct key *key);
struct key world_key(uint32_t seed);

void world_free_fabric(struct fabric_made *made);
void world_free_voucher(struct voucher *voucher);
void world_free_reply(struct join_reply *reply);
