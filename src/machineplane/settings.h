/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: what the host process tells the fabric process of the operator's options, as one JSON
 * text inside the HELLO. Both come from one build: an unreadable one is a bug, and -EBADMSG.
 */
#pragma once

#include "base/bytes.h"
#include "machineplane/options.h"

struct settings {
	struct options options;
	bool made;          /* this start made the fabric: its clock is fabric time */
	struct wall joined; /* as in struct state */
	bool roots;         /* the fabric's root keys are on this machine */
};

void settings_encode(const struct settings *settings, struct buf *out);
_must_use_ int settings_decode(struct bytes bytes, struct settings *ret_settings);
