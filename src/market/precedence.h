/* SPDX-License-Identifier: Apache-2.0 */
/* Precedence: which of several pods of a workload stays. Every controller decides alike. */
#pragma once

#include "wire/presence.h"

/*
 * Of two pods in one slot: does @a keep it? The one of the higher epoch, then the ready one, then
 * the one started first, then the smaller pod uid; a failed one never before one that is not,
 * unless it is @single (kind Pod).
 */
bool precedence_keeps_slot(const struct presence *a, const struct presence *b, bool single);

/* For qsort(), of struct presence *: of pods that are too many those go first that are not ready,
 * then the youngest. */
int precedence_goes_first(const void *a, const void *b);
