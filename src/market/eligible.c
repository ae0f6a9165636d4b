/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine on which a tender's pods may not run does not bid. Here is all but the amounts, which
 * the ledger answers for, and pods that are in the way (cohabit.c): that is room, which may come.
 */
#include <string.h>

#include "market/state.h"
#include "market/terms.h"

enum {
	ELIGIBLE_TAINT_WEIGHT = MESSAGE_WEIGHT_MAX, /* PreferNoSchedule is as good as the strongest
						     * preference */
};

static struct terms_labels labels_of(const struct market_machine *machine)
{
	return (struct terms_labels){machine->labels, machine->label_count};
}

static bool has_labels(const struct market_machine *machine, const struct requirements *needs)
{
	for (size_t i = 0; i < needs->label_count; i++) {
		const char *value = terms_value(labels_of(machine), needs->labels[i].key);

		if (!value || strcmp(value, needs->labels[i].value) != 0)
			return false;
	}
	return true;
}

/* Replicas are counted by the value of the label: a machine without it has no place in that. */
static bool has_zones(const struct market_machine *machine, const struct requirements *needs)
{
	for (size_t i = 0; i < needs->spread_count; i++)
		if (needs->spreads[i].required &&
		    !terms_value(labels_of(machine), needs->spreads[i].key))
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
	       (!machine->priority_limited || tender->priority <= machine->priority_max) &&
	       has_architecture(machine, needs->architecture) &&
	       has_engine(machine, needs->engine) && has_labels(machine, needs) &&
	       terms_any_holds(&needs->selector, labels_of(machine)) &&
	       terms_tolerate_all(needs, machine->taints, machine->taint_count) &&
	       has_zones(machine, needs) && ledger_knows(&market->ledger, needs) &&
	       cohabit_has_company(market, tender->object.namespace, needs);
}

uint32_t eligible_penalty(const struct market *market, const struct tender *tender)
{
	const struct market_machine *machine = &market->machine.about;
	const struct requirements *needs = &tender->needs;
	struct terms_wish wish = {0};

	for (size_t i = 0; i < needs->preferred.count; i++)
		terms_wish_add(&wish, needs->preferred.list[i].weight,
			       terms_hold(&needs->preferred.list[i], labels_of(machine)));
	for (size_t i = 0; i < machine->taint_count; i++)
		if (machine->taints[i].effect == TAINT_PREFER_NO_SCHEDULE &&
		    !terms_tolerate(needs, &machine->taints[i]))
			terms_wish_add(&wish, ELIGIBLE_TAINT_WEIGHT, false);
	cohabit_wish(market, tender->object.namespace, needs, &wish);
	return terms_wish_penalty(&wish);
}

void market_zones(const struct market *market, const struct requirements *needs,
		  uint64_t ret_zones[MESSAGE_SPREADS_MAX])
{
	for (size_t i = 0; i < MESSAGE_SPREADS_MAX; i++)
		ret_zones[i] = i < needs->spread_count
				       ? zone_of(terms_value(labels_of(&market->machine.about),
							     needs->spreads[i].key))
				       : 0;
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
