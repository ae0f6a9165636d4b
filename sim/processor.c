/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors that all machines share: the machines are daemons of one computer, as those of
 * ./dev bench fabric. There is no way between them, but what they compute takes time. What comes
 * first is computed first; a daemon computes one thing at a time, on any processor that is free. A
 * message is paid for by who takes it, with sending it; the four steps of a handshake are taken to
 * be equally long. Timers wait for whole milliseconds, as those of the daemon's event loop.
 *
 * Where processors are not shared a machine computes in no time.
 */
#include "world.h"

enum {
	/* Measured with build/bench/quic_bench, of daemons that had to wake up for it ("cold"). */
	MESSAGE_US = 110,
	SEAL_US = 55,
	OPEN_US = 130,
	HANDSHAKE_STEP_US = 2600 / 4, /* hello, answer, proof, acceptance */
};

bool processors_are_shared(const struct world *world)
{
	return world->params.cores > 0;
}

/* The one that has been free for the shortest time at @us, so that none waits without need; else
 * the one that is free first. */
static int64_t *choose(struct world *world, int64_t us)
{
	int64_t *chosen = &world->processor_free_us[0];

	for (int64_t i = 1; i < world->params.cores; i++) {
		int64_t *other = &world->processor_free_us[i];
		bool later = *other > *chosen;

		if (*chosen > us ? !later : later && *other <= us)
			chosen = other;
	}
	return chosen;
}

static int64_t compute(struct world *world, struct sim_machine *machine, int64_t from_us,
		       int64_t cost_us)
{
	int64_t *processor, begin_us = from_us;

	if (!processors_are_shared(world))
		return from_us;
	if (machine->busy_until_us > begin_us)
		begin_us = machine->busy_until_us;
	processor = choose(world, begin_us);
	if (*processor > begin_us)
		begin_us = *processor;
	*processor = machine->busy_until_us = begin_us + cost_us;
	return begin_us + cost_us;
}

int64_t processors_message(struct world *world, struct sim_machine *machine)
{
	return compute(world, machine, world->now_us, MESSAGE_US);
}

void processors_seal(struct sim_machine *machine)
{
	(void)compute(machine->world, machine, machine->world->now_us, SEAL_US);
}

void processors_open(struct sim_machine *machine)
{
	(void)compute(machine->world, machine, machine->world->now_us, OPEN_US);
}

int64_t processors_handshake(struct world *world, struct sim_machine *machine, int64_t from_us)
{
	return compute(world, machine, from_us, HANDSHAKE_STEP_US);
}

int64_t processors_sent(const struct world *world, const struct sim_machine *machine)
{
	if (!processors_are_shared(world) || machine->busy_until_us < world->now_us)
		return 0;
	return machine->busy_until_us - world->now_us;
}

int64_t processors_timer(const struct world *world, int64_t at_us)
{
	int64_t wait_us = at_us - world->now_us;

	if (!processors_are_shared(world))
		return at_us;
	return world->now_us + (wait_us + US_PER_MS - 1) / US_PER_MS * US_PER_MS;
}
