/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include "base/fault_state.h"

bool fault_state[FAULT_COUNT];

bool fault_is_planted(enum fault fault)
{
	return fault_state[fault];
}
