/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records by distance, in a fabric larger than the pool:
 *
 *   machines settle; some go; records are written; as many come, with empty disks; machines come
 * and go, while records are read, changed and deleted; quiet, until what is no longer theirs has
 * been dropped by those who left; all of it is looked at, and read again
 *
 * With params.placed they lie where they belong at the beginning, and the power comes back
 * everywhere; then a tenth of the machines goes at once, and comes back with empty disks.
 */
#include "archive.h"
#include "metrics.h"
#include "scenario_large.h"
#include "steps.h"

enum {
	WRITE_MS_MIN = 20 * 1000,
	AWAY_PART = 3, /* one machine in so many is new when all has been written: of many records
			* all keepers are others then */
	AWAY_MS = 40 * 1000, /* until nobody expects them any more */
	COME_MS = 5 * 1000,
	WAVE_PART = 10,      /* one machine in so many goes at once where records are placed */
	IDLE_MS = 10 * 1000, /* all is quiet, and measured */
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

static int64_t calm_ms(const struct world *world)
{
	return world->params.calm_s ? world->params.calm_s * MS_PER_S : CALM_MS + DROPPED_MS;
}

static void idle_begin(struct world *world, uint64_t argument)
{
	(void)argument;
	metrics_window_open(world, METRICS_IDLE);
	traffic_open(world, "idle");
}

static void idle_end(struct world *world, uint64_t argument)
{
	(void)argument;
	metrics_window_close(world, METRICS_IDLE);
	traffic_close(world);
}

/* Returns when the busy part begins. */
static int64_t write_all(struct world *world, int64_t at_ms)
{
	at_ms += away_begin(world, at_ms);
	archive_write(world, at_ms, write_ms(world));
	at_ms += write_ms(world);
	away_end(world, at_ms);
	return at_ms;
}

/* Random ones: neighbours by number are no neighbours by distance. */
static int64_t wave(struct world *world, int64_t at_ms)
{
	size_t first = world->machine_count - world->machine_count / WAVE_PART;

	for (size_t i = first; i < world->machine_count; i++) {
		world_action(world, at_ms, leave, i);
		world_action(world, at_ms + AWAY_MS + (int64_t)world_random(world, COME_MS), come,
			     i);
	}
	return at_ms + AWAY_MS;
}

void large_records(struct world *world)
{
	int64_t busy_ms = world->params.duration_s * MS_PER_S, at_ms;

	if (world->params.placed)
		archive_place(world);
	at_ms = steps_begin(world);
	if (world->params.placed)
		archive_place_index(world);
	at_ms = world->params.placed ? wave(world, at_ms) : write_all(world, at_ms);
	steps_churn(world, at_ms, at_ms + busy_ms);
	archive_read(world, at_ms, busy_ms, world->params.lookups, false);
	archive_change(world, at_ms, busy_ms);
	at_ms += busy_ms + calm_ms(world);
	world_action(world, at_ms - IDLE_MS, idle_begin, 0);
	world_action(world, at_ms, idle_end, 0);
	archive_read(world, at_ms, READ_MS, world->params.lookups, true);
	archive_look(world, at_ms, READ_MS, world->params.lookups);
	world_action(world, at_ms + READ_MS + LIST_MS + END_MS, check, 0);
	world->distinct = false;
}

int64_t large_records_ms(const struct world *world)
{
	int64_t busy_ms = AWAY_MS + (world->params.placed ? 0 : write_ms(world));

	return busy_ms + calm_ms(world) + READ_MS + LIST_MS + 2 * END_MS;
}

void large_records_end(struct world *world)
{
	if (!world->archive)
		world_violate(world, NULL, "nothing was written");
}
