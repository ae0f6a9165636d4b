/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What identifies a tender: the same gap, seen by two owners, gives the same id.
 */
#pragma once

#include "wire/message.h"

/* SHA-256 over (uid, generation, attempt, slots), all integers big-endian, 64 bits wide. */
struct digest tender_id(const struct uid *uid, uint64_t generation, uint32_t attempt,
			const uint32_t *slots, size_t slot_count);
