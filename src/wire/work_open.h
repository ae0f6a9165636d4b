/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream or a flow between agents is for. Private to src/wire. */
#pragma once

#include "wire/codec.h"
#include "wire/work.h"
#include "work.pb-c.h"

/* @to borrows from @from. */
void work_open_pack(const struct work_open *from, Work__Open *to);
void work_open_unpack(struct unpacker *unpacker, const Work__Open *from, struct work_open *to);
