/* SPDX-License-Identifier: Apache-2.0 */
/* A file of its own, so that a linker leaves it out of every program that does not call it. */
#include "base/fault_state.h"

void fault_plant(enum fault fault)
{
	fault_state[fault] = true;
}

void fault_pull(enum fault fault)
{
	fault_state[fault] = false;
}
