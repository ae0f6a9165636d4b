/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records by distance, in a fabric larger than the pool:
 *
 *   machines settle; some go; records are written; as many come, with empty disks; machines come
 * and go, while records are read, changed and deleted; quiet, until what is no longer theirs has
 * been dropped by those who left; all of it is looked at, and read again
 */
#include "archive.h"
#include "scenario_large.h"
#include "steps.h"

enum {
	WRITE_MS_MIN = 20 * 1000,
	AWAY_PART = 3, /* one machine in so many is new when all has been written: of many records
			* all keepers are others then */
	AWAY_MS = 40 * 1000, /* until nobody expects them any more */
	COME_MS = 5 * 1000,
	WRITES_PER_MS = 2,   /* in the whole fabric */
	CALM_MS = 60 * 1000, /* those who were away last are back, and repaired */
	DROPPED_MS = RECORDS_DROP_MS + 150 * 1000, /* the last of them, with the offers before it */
	READ_MS = 20 * 1000,
	LIST_MS = 10 * 1000, /* the last list and lookup have ended, or are given up */
	END_MS = 5 * 1000,
};

static int64_t write_ms(const struct world *world)
{
	int64_t ms = world->params.records / WRITES_PER_MS;

	return ms > WRITE_MS_MIN ? ms : WRITE_MS_MIN;
}

static void leave(struct world *world, uint64_t machine)
{
	world_power_off(world, machine);
}

static void come(struct world *world, uint64_t machine)
{
	world_power_on(world, machine, false);
}

/* The first machine of those that are not there while records are written. */
static size_t first_away(const struct world *world)
{
	return world->machine_count - world->machine_count / AWAY_PART;
}

static int64_t away_begin(struct world *world, int64_t at_ms)
{
	for (size_t i = first_away(world); i < world->machine_count; i++)
		world_action(world, at_ms, leave, i);
	return AWAY_MS;
}

static void away_end(struct world *world, int64_t at_ms)
{
	for (size_t i = first_away(world); i < world->machine_count; i++)
		world_action(world, at_ms + (int64_t)world_random(world, COME_MS), come, i);
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

	at_ms += away_begin(world, at_ms);
	archive_write(world, at_ms, write_ms(world));
	at_ms += write_ms(world);
	away_end(world, at_ms);
	steps_churn(world, at_ms, at_ms + busy_ms);
	archive_read(world, at_ms, busy_ms, world->params.lookups, false);
	archive_change(world, at_ms, busy_ms);
	at_ms += busy_ms + CALM_MS + DROPPED_MS;
	archive_read(world, at_ms, READ_MS, world->params.lookups, true);
	archive_look(world, at_ms, READ_MS, world->params.lookups);
	world_action(world, at_ms + READ_MS + LIST_MS + END_MS, check, 0);
	world->distinct = false;
}

int64_t large_records_ms(const struct world *world)
{
	return AWAY_MS + write_ms(world) + CALM_MS + DROPPED_MS + READ_MS + LIST_MS + 2 * END_MS;
}

void large_records_end(struct world *world)
{
	if (!world->archive)
		world_violate(world, NULL, "nothing was written");
}
