/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records by distance, in a fabric larger than the pool:
 *
 *   machines settle; records are written; machines come and go, while records are read, changed and
 *   deleted; quiet, until what is no longer theirs has been dropped by those who left; all of it is
 *   looked at, and read again
 */
#include "archive.h"
#include "scenario_large.h"
#include "steps.h"

enum {
	WRITE_MS_MIN = 20 * 1000,
	WRITES_PER_MS = 2, /* in the whole fabric */
	CALM_MS = 60 * 1000,            /* those who were away last are back, and repaired */
	DROPPED_MS = RECORDS_DROP_MS + 150 * 1000, /* the last of them, with the offers before it */
	READ_MS = 20 * 1000,
	END_MS = 5 * 1000,
};

static int64_t write_ms(const struct world *world)
{
	int64_t ms = world->params.records / WRITES_PER_MS;

	return ms > WRITE_MS_MIN ? ms : WRITE_MS_MIN;
}

static void check(struct world *world, uint64_t argument)
{
	(void)argument;
	archive_check(world);
}

void large_records(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t busy_ms = world->params.duration_s * MS_PER_S;

	archive_write(world, at_ms, write_ms(world));
	at_ms += write_ms(world);
	steps_churn(world, at_ms, at_ms + busy_ms);
	archive_read(world, at_ms, busy_ms, world->params.lookups, false);
	archive_change(world, at_ms, busy_ms);
	at_ms += busy_ms + CALM_MS + DROPPED_MS;
	archive_read(world, at_ms, READ_MS, world->params.lookups, true);
	world_action(world, at_ms + READ_MS + END_MS, check, 0);
	world->distinct = false;
}

int64_t large_records_ms(const struct world *world)
{
	return write_ms(world) + CALM_MS + DROPPED_MS + READ_MS + 2 * END_MS;
}

void large_records_end(struct world *world)
{
	if (!world->archive)
		world_violate(world, NULL, "nothing was written");
}
