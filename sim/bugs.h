/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs: known faults, built in on purpose, so that the checkers can be seen to find them.
 *
 * Where that is possible a bug is made around the nodes: messages that are dropped or altered on
 * their way, hosts that disobey, a trust table that believes everything. The others are places in
 * the cores that ask base/fault.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Made around the nodes. */
enum sim_bug {
	SIM_BUG_NONE, /* or one inside the cores */
	SIM_BUG_AWARD_WITHOUT_BID_CHECK,
	SIM_BUG_NO_CONFIRM,
	SIM_BUG_HOLD_LEAK,
	SIM_BUG_REPLAY_FILTER_OFF,
	SIM_BUG_SIGNATURE_CHECK_OFF,
	SIM_BUG_ROLE_CHECK_OFF,
	SIM_BUG_TREE_REPAIR_OFF,
	SIM_BUG_VIEW_REPAIR_OFF,
	SIM_BUG_RELEASE_OFF,
	SIM_BUG_LEAF_OFF,
	SIM_BUG_REFERRAL_SELF_BIAS,
	SIM_BUG_RESUME_OFF,
	SIM_BUG_STANDING_OFF,
	SIM_BUG_COMPARE_OFF,
	SIM_BUG_LINE_OFF,
	SIM_BUG_DISK_LOST_OFF,
};

struct bug {
	const char *name, *text;
	enum sim_bug bug;
	int fault;        /* enum fault to plant in the cores, or -1 */
	const char *run;  /* arguments of a run that finds it */
	const char *what; /* a part of the violation that it leads to */
};

const struct bug *bug_find(const char *name); /* NULL: no such bug */
const struct bug *bug_next(size_t *position); /* NULL at the end */

struct world;

/* Plant what has to be planted in the cores of this process. */
void bug_plant(const struct bug *bug);

/*
 * What the bug of @world does to a packet that is about to be received: it may be replaced by
 * @altered (empty before). False: it is lost.
 */
bool bug_packet(struct world *world, struct bytes packet, struct buf *altered);
