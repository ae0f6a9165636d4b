/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turn: in which pace a machine tries again what fits nowhere, of all its objects together.
 */
#pragma once

#include <stdint.h>

#include "base/time.h"

/* Between two turns. The larger the fabric, the more owners may have something that fits nowhere.
 */
int64_t turn_interval_ms(uint64_t machines);

/* The next turn that has been promised to nobody: @at, but no more than a burst of turns are saved
 * up. */
struct mono turn_after(struct mono at, struct mono now, int64_t interval_ms);
