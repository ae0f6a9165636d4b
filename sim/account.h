/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Account: how much heap the nodes hold, as distinct from the world around them.
 *
 * The program is linked so that malloc() and its kin pass through here. What is allocated or freed
 * between account_enter() and account_leave() is the machine's; a node frees within its own
 * functions what it allocated there, so the sum is what is held.
 */
#pragma once

#include <stdint.h>

/* Allocations from here on are charged to *@bytes. */
void account_enter(int64_t *bytes);
void account_leave(void);
