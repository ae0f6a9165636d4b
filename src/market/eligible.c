/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine without the CPU, memory, engine, architecture or labels asked for does not bid. Here is
 * all but CPU and memory, which the ledger answers for.
 */
#include <string.h>

#include "market/state.h"

static bool has_label(const struct market_machine *machine, const struct label *term)
{
	for (size_t i = 0; i < machine->label_count; i++)
		if (strcmp(machine->labels[i].key, term->key) == 0 &&
		    strcmp(machine->labels[i].value, term->value) == 0)
			return true;
	return false;
}

static bool has_labels(const struct market_machine *machine, const struct requirements *needs)
{
	for (size_t i = 0; i < needs->label_count; i++)
		if (!has_label(machine, &needs->labels[i]))
			return false;
	return true;
}

/* "" asks for the machine's default engine: any will do, none will not. */
static bool has_engine(const struct market_machine *machine, const char *engine)
{
	for (size_t i = 0; i < machine->engine_count; i++)
		if (!engine || !*engine || strcmp(machine->engines[i], engine) == 0)
			return true;
	return false;
}

static bool has_architecture(const struct market_machine *machine, const char *architecture)
{
	return !architecture || !*architecture ||
	       (machine->architecture && strcmp(machine->architecture, architecture) == 0);
}

static bool is_excluded(const struct market *market, const struct tender *tender)
{
	for (size_t i = 0; i < tender->excluded_count; i++)
		if (node_id_equal(&tender->excluded[i], &market->config.self))
			return true;
	return false;
}

bool eligible(const struct market *market, const struct tender *tender)
{
	const struct market_machine *machine = &market->machine.about;
	const struct requirements *needs = &tender->needs;

	return machine->schedulable && !is_excluded(market, tender) &&
	       has_architecture(machine, needs->architecture) &&
	       has_engine(machine, needs->engine) && has_labels(machine, needs);
}

uint32_t eligible_images(const struct market *market, const struct tender *tender)
{
	uint32_t present = 0;

	for (size_t i = 0; i < tender->image_count; i++) {
		for (size_t j = 0; j < market->machine.image_count; j++) {
			if (strcmp(tender->images[i], market->machine.images[j]) != 0)
				continue;
			present++;
			break;
		}
	}
	return present;
}
