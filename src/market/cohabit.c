/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may live with whom on this machine: ports of the machine, and pods that want to be together
 * or apart. Pods of other namespaces are not looked at.
 *
 * Apart is symmetric, as in Kubernetes: a pod that is here and wants none like the newcomer keeps
 * it away as well. A pod that is leaving counts until nothing of it is left, but is nobody's
 * company.
 */
#include <string.h>

#include "market/state.h"
#include "market/terms.h"

static bool ports_collide(const struct host_port *a, const struct host_port *b)
{
	if (a->protocol != b->protocol || a->addr.port != b->addr.port)
		return false;
	return addr_is_wildcard(&a->addr) || addr_is_wildcard(&b->addr) ||
	       addr_equal(&a->addr, &b->addr);
}

static bool collides(const struct requirements *a, const struct requirements *b)
{
	for (size_t i = 0; i < a->port_count; i++)
		for (size_t j = 0; j < b->port_count; j++)
			if (ports_collide(&a->ports[i], &b->ports[j]))
				return true;
	return false;
}

static struct terms_labels labels_of(const struct requirements *needs)
{
	return (struct terms_labels){needs->pod_labels, needs->pod_label_count};
}

/* @needs wants no pod like @other beside it. */
static bool shuns(const struct requirements *needs, const struct requirements *other)
{
	return needs->apart.count > 0 && terms_any_holds(&needs->apart, labels_of(other));
}

static bool is_near(const struct resident *resident, const char *namespace)
{
	return strcmp(resident->namespace, namespace) == 0;
}

static bool has_company(const struct market *market, const char *namespace,
			const struct term_set *set)
{
	map_for_each (entry, &market->residents) {
		const struct resident *resident = entry->value;

		if (resident->state != RESIDENT_STOPPING && is_near(resident, namespace) &&
		    terms_hold(set, labels_of(&resident->needs)))
			return true;
	}
	return false;
}

bool cohabit_has_room(const struct market *market, const char *namespace,
		      const struct requirements *needs)
{
	map_for_each (entry, &market->residents) {
		const struct resident *resident = entry->value;

		if (collides(needs, &resident->needs))
			return false;
		if (is_near(resident, namespace) &&
		    (shuns(needs, &resident->needs) || shuns(&resident->needs, needs)))
			return false;
	}
	return true;
}

bool cohabit_has_company(const struct market *market, const char *namespace,
			 const struct requirements *needs)
{
	for (size_t i = 0; i < needs->with.count; i++)
		if (!has_company(market, namespace, &needs->with.list[i]))
			return false;
	return true;
}

uint32_t cohabit_copies(const struct requirements *needs, uint32_t copies)
{
	bool alone = needs->port_count > 0 || shuns(needs, needs);

	return alone && copies > 1 ? 1 : copies;
}

void cohabit_wish(const struct market *market, const char *namespace,
		  const struct requirements *needs, struct terms_wish *wish)
{
	for (size_t i = 0; i < needs->pods_preferred.count; i++) {
		const struct term_set *set = &needs->pods_preferred.list[i];

		terms_wish_add(wish, set->weight, has_company(market, namespace, set));
	}
}
