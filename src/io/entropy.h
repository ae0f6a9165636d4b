/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entropy: the only source of randomness. Cores take random bytes as arguments.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fill @out with random bytes fit for keys. Waits for the kernel's pool once after boot; aborts if
 * the kernel has none to give, for no later step would be safe. */
void entropy_fill(void *out, size_t len);

uint64_t entropy_u64(void);
