/* SPDX-License-Identifier: Apache-2.0 */
/* Registrars: the stewards that give the ordinals of one StatefulSet (market/tenure.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
	MESSAGE_REGISTRARS_MAX = 5, /* as many as keep a record */
};

/* Which of those that a StatefulSet has one after another. */
struct registrars_id {
	uint64_t epoch;  /* raised by an operator */
	uint64_t number; /* of a decision of theirs, from 1 on */
};

struct registrars {
	struct registrars_id id;
	struct addr_peer list[MESSAGE_REGISTRARS_MAX];
	size_t count;
};
