/* SPDX-License-Identifier: Apache-2.0 */
/* What fault.c and fault_plant.c share; nobody else includes this. */
#pragma once

#include "base/fault.h"

extern bool fault_state[FAULT_COUNT];
