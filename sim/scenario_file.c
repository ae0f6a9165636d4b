/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios from files: the steps of the small ones, line by line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "scenario.h"

enum {
	LINES_MAX = 1024,
	LINE_MAX_LEN = 200,
	ARGUMENTS_MAX = 2,
	ERROR_LEN = 128,
};

struct step {
	int64_t at_ms;
	void (*action)(struct world *world, const uint64_t *arguments);
	uint64_t arguments[ARGUMENTS_MAX];
};

/* One file a run: what it says outlives the run. */
static struct {
	struct scenario scenario;
	struct step steps[LINES_MAX];
	size_t step_count;
} file;

/* ---- actions ---- */

static void apply(struct world *world, const uint64_t *arguments)
{
	(void)world_apply(world, (uint32_t)arguments[0], (int64_t)arguments[1]);
}

static void scale(struct world *world, const uint64_t *arguments)
{
	if (arguments[0] < world->workload_count)
		world_scale(world, arguments[0], (uint32_t)arguments[1]);
}

static void delete_workload(struct world *world, const uint64_t *arguments)
{
	if (arguments[0] < world->workload_count)
		world_delete(world, arguments[0]);
}

static void power_off(struct world *world, const uint64_t *arguments)
{
	world_power_off(world, arguments[0] % world->machine_count);
}

static void kill_daemon(struct world *world, const uint64_t *arguments)
{
	world_kill_daemon(world, arguments[0] % world->machine_count);
}

static void power_on(struct world *world, const uint64_t *arguments)
{
	world_power_on(world, arguments[0] % world->machine_count, true);
}

static void partition(struct world *world, const uint64_t *arguments)
{
	if (arguments[0] > 0 && arguments[0] < world->machine_count)
		world_partition(world, arguments[0]);
}

static void heal(struct world *world, const uint64_t *arguments)
{
	(void)arguments;
	world_heal(world);
}

static void loss(struct world *world, const uint64_t *arguments)
{
	world->network.loss = (uint32_t)arguments[0];
}

static void vanish(struct world *world, const uint64_t *arguments)
{
	world->network.vanish = (uint32_t)arguments[0];
}

static const struct {
	const char *name;
	int arguments;
	void (*action)(struct world *world, const uint64_t *arguments);
} actions[] = {
	{"apply", 2, apply},            /* replicas, thousandths of a core */
	{"scale", 2, scale},            /* workload, replicas */
	{"delete", 1, delete_workload}, /* workload */
	{"power-off", 1, power_off},    /* machine */
	{"kill", 1, kill_daemon},       /* machine */
	{"power-on", 1, power_on},      /* machine */
	{"partition", 1, partition},    /* first machine of the other side */
	{"heal", 0, heal},
	{"loss", 1, loss},     /* per thousand */
	{"vanish", 1, vanish}, /* per thousand */
};

static void act(struct world *world, uint64_t number)
{
	file.steps[number].action(world, file.steps[number].arguments);
}

static void prepare(struct world *world)
{
	world_boot_all(world);
	for (size_t i = 0; i < file.step_count; i++)
		world_action(world, file.steps[i].at_ms, act, i);
	world->distinct = false;
}

/* ---- reading ---- */

/* "at MS ACTION [NUMBER...]" */
static bool read_step(const char *line)
{
	struct step *step = &file.steps[file.step_count];
	unsigned long long arguments[ARGUMENTS_MAX] = {0};
	char name[LINE_MAX_LEN];
	long long at_ms;
	int read =
		sscanf(line, "at %lld %199s %llu %llu", &at_ms, name, &arguments[0], &arguments[1]);

	if (read < 2 || at_ms < 0 || file.step_count == LINES_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, name) != 0 || actions[i].arguments != read - 2)
			continue;
		*step = (struct step){at_ms, actions[i].action, {arguments[0], arguments[1]}};
		file.step_count++;
		return true;
	}
	return false;
}

static bool read_line(const char *line)
{
	struct scenario *scenario = &file.scenario;
	char assignment[LINE_MAX_LEN];
	unsigned long long number;
	char end;

	if (line[0] == '#' || line[strspn(line, " \t\r\n")] == 0)
		return true;
	if (sscanf(line, "machines %llu %c", &number, &end) == 1) {
		scenario->machines = (size_t)number;
		return number > 0 && number <= SCENARIO_SMALL_MAX;
	}
	if (sscanf(line, "length %llu %c", &number, &end) == 1) {
		scenario->length_ms = (int64_t)number;
		return true;
	}
	if (sscanf(line, "set %199s", assignment) == 1)
		return params_set(&scenario->params, assignment);
	return read_step(line);
}

const struct scenario *scenario_read(const char *path, char ret_error[ERROR_LEN])
{
	FILE *stream = fopen(path, "re");
	char line[LINE_MAX_LEN];
	int number = 0;
	bool good = true;

	if (!stream) {
		(void)snprintf(ret_error, ERROR_LEN, "no scenario and no file");
		return NULL;
	}
	file.scenario = (struct scenario){
		.name = path, .text = "from a file", .machines = 5, .prepare = prepare};
	while (good && fgets(line, sizeof(line), stream)) {
		number++;
		good = read_line(line);
	}
	(void)fclose(stream);
	if (good && file.scenario.length_ms > 0)
		return &file.scenario;
	(void)snprintf(ret_error, ERROR_LEN, good ? "it has no length" : "line %d makes no sense",
		       number);
	return NULL;
}
