/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liars: byzantine machines. They run the same node as the others, offer no room and are no
 * stewards; on top of that they lose and alter some of what they send, keep what they hear and say
 * it again to others, forge disposals in the name of stewards and in their own, call the living
 * dead, push broadcasts that nobody made, and claim to provide what they do not have.
 */
#pragma once

#include "world.h"

/* Before the machines are booted: which of them will lie: the first that own nothing. */
void liars_choose(struct world *world, size_t count);

/* They act, from @at_ms to @until_ms. */
void liars_act(struct world *world, int64_t at_ms, int64_t until_ms);

/* They remember pods of others that they hear of, and say to everybody, from @at_ms to @until_ms,
 * that these are gone, or run on them. */
void liars_claim(struct world *world, int64_t at_ms, int64_t until_ms);
void liars_free(struct world *world);
