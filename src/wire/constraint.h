/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constraint: the flat lists of requirements, for requirements.c. Private to src/wire; what the
 * functions do and who owns what is said in codec.h.
 */
#pragma once

#include "wire/codec.h"

#define LIST(list)                                                                     \
	void list##_pack(struct packer *packer, const struct requirements *from,       \
			 Magik__Requirements *to);                                     \
	void list##_unpack(struct unpacker *unpacker, const Magik__Requirements *from, \
			   struct requirements *to)

LIST(tolerations);
LIST(spreads);
LIST(ports);
#undef LIST

void tolerations_deinit(struct requirements *needs);
void tolerations_copy(const struct requirements *from, struct requirements *to);
void spreads_deinit(struct requirements *needs);
void spreads_copy(const struct requirements *from, struct requirements *to);
