/* SPDX-License-Identifier: Apache-2.0 */
#include "market/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct reservation {
	struct list link;
	uint64_t id;
	struct amount amount;
	struct mono until;
};

void ledger_init(struct ledger *ledger)
{
	*ledger = (struct ledger){0};
	list_init(&ledger->reservations);
}

void ledger_deinit(struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->name_count; i++)
		free(ledger->names[i]);
	list_for_each_safe (link, &ledger->reservations)
		free(list_entry(link, struct reservation, link));
	list_init(&ledger->reservations);
}

/* Where the ledger has @name, or @name_count. */
static size_t name_place(const struct ledger *ledger, const char *name)
{
	size_t i = 0;

	while (i < ledger->name_count && strcmp(ledger->names[i], name) != 0)
		i++;
	return i;
}

void ledger_set_resources(struct ledger *ledger, const struct resource *resources, size_t count)
{
	memset(ledger->capacity.extended, 0, sizeof(ledger->capacity.extended));
	for (size_t i = 0; i < count; i++) {
		size_t place = name_place(ledger, resources[i].name);

		if (place == MESSAGE_RESOURCES_MAX)
			continue;
		if (place == ledger->name_count)
			ledger->names[ledger->name_count++] = mem_strdup(resources[i].name);
		ledger->capacity.extended[place] = resources[i].count;
	}
}

bool ledger_knows(const struct ledger *ledger, const struct requirements *needs)
{
	for (size_t i = 0; i < needs->resource_count; i++)
		if (name_place(ledger, needs->resources[i].name) == ledger->name_count)
			return false;
	return true;
}

struct amount ledger_amount(const struct ledger *ledger, const struct requirements *needs)
{
	struct amount amount = {
		.cpu_milli = needs->cpu_milli,
		.memory_bytes = needs->memory_bytes,
		.pods = 1,
	};

	for (size_t i = 0; i < needs->resource_count; i++) {
		size_t place = name_place(ledger, needs->resources[i].name);

		/* A foreign tender may name one twice: the larger counts. */
		if (place < ledger->name_count &&
		    needs->resources[i].count > amount.extended[place])
			amount.extended[place] = needs->resources[i].count;
	}
	return amount;
}

struct amount amount_times(struct amount amount, uint32_t copies)
{
	amount.cpu_milli *= copies;
	amount.memory_bytes *= copies;
	amount.pods *= copies;
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		amount.extended[i] *= copies;
	return amount;
}

struct amount amount_add(struct amount a, struct amount b)
{
	a.cpu_milli += b.cpu_milli;
	a.memory_bytes += b.memory_bytes;
	a.pods += b.pods;
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		a.extended[i] += b.extended[i];
	return a;
}

struct amount amount_less(struct amount a, struct amount b)
{
	a.cpu_milli -= b.cpu_milli;
	a.memory_bytes -= b.memory_bytes;
	a.pods -= b.pods;
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		a.extended[i] -= b.extended[i];
	return a;
}

static bool amount_inside(struct amount need, struct amount room)
{
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		if (need.extended[i] > room.extended[i])
			return false;
	return need.cpu_milli <= room.cpu_milli && need.memory_bytes <= room.memory_bytes &&
	       need.pods <= room.pods;
}

static bool amount_is_valid(struct amount amount)
{
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		if (amount.extended[i] < 0)
			return false;
	return amount.cpu_milli >= 0 && amount.memory_bytes >= 0 && amount.pods >= 0;
}

static int64_t at_least_zero(int64_t value)
{
	return value > 0 ? value : 0;
}

struct amount ledger_free(const struct ledger *ledger)
{
	struct amount room =
		amount_less(amount_less(ledger->capacity, ledger->used), ledger->reserved);

	room.cpu_milli = at_least_zero(room.cpu_milli);
	room.memory_bytes = at_least_zero(room.memory_bytes);
	room.pods = at_least_zero(room.pods);
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		room.extended[i] = at_least_zero(room.extended[i]);
	return room;
}

static uint32_t copies_of(int64_t room, int64_t need, uint32_t copies_max)
{
	if (need == 0)
		return copies_max;
	return room / need < copies_max ? (uint32_t)(room / need) : copies_max;
}

uint32_t ledger_copies(struct amount room, struct amount need, uint32_t copies_max)
{
	uint32_t copies = copies_max;

	if (!amount_is_valid(need))
		return 0;
	copies = copies_of(room.cpu_milli, need.cpu_milli, copies);
	copies = copies_of(room.memory_bytes, need.memory_bytes, copies);
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		copies = copies_of(room.extended[i], need.extended[i], copies);
	return copies_of(room.pods, need.pods, copies);
}

bool ledger_take(struct ledger *ledger, struct amount need)
{
	if (!amount_inside(need, ledger_free(ledger)))
		return false;
	ledger_take_anyway(ledger, need);
	return true;
}

void ledger_take_anyway(struct ledger *ledger, struct amount need)
{
	assert(amount_is_valid(need));
	ledger->used = amount_add(ledger->used, need);
}

void ledger_give_back(struct ledger *ledger, struct amount need)
{
	ledger->used = amount_less(ledger->used, need);
	assert(amount_is_valid(ledger->used));
}

bool ledger_hold(struct ledger *ledger, struct amount room, struct amount need)
{
	struct amount held = amount_add(ledger->held, need);

	assert(amount_is_valid(need));
	if (!amount_inside(held, amount_times(room, MARKET_OVERBOOK)))
		return false;
	ledger->held = held;
	return true;
}

void ledger_unhold(struct ledger *ledger, struct amount need)
{
	ledger->held = amount_less(ledger->held, need);
	assert(amount_is_valid(ledger->held));
}

uint64_t ledger_reserve(struct ledger *ledger, struct amount need, struct mono until)
{
	struct reservation *reservation;

	if (!amount_is_valid(need) || !amount_inside(need, ledger_free(ledger)) ||
	    ledger->reservation_count == LEDGER_RESERVATIONS_MAX)
		return 0;
	reservation = mem_new(struct reservation);
	reservation->id = ++ledger->reservation_last;
	reservation->amount = need;
	reservation->until = until;
	list_append(&ledger->reservations, &reservation->link);
	ledger->reservation_count++;
	ledger->reserved = amount_add(ledger->reserved, need);
	return reservation->id;
}

static void reservation_end(struct ledger *ledger, struct reservation *reservation)
{
	ledger->reserved = amount_less(ledger->reserved, reservation->amount);
	assert(amount_is_valid(ledger->reserved));
	list_remove(&reservation->link);
	ledger->reservation_count--;
	free(reservation);
}

bool ledger_unreserve(struct ledger *ledger, uint64_t id)
{
	list_for_each_safe (link, &ledger->reservations) {
		struct reservation *reservation = list_entry(link, struct reservation, link);

		if (reservation->id != id)
			continue;
		reservation_end(ledger, reservation);
		return true;
	}
	return false;
}

bool ledger_expire(struct ledger *ledger, struct mono now)
{
	bool any = false;

	list_for_each_safe (link, &ledger->reservations) {
		struct reservation *reservation = list_entry(link, struct reservation, link);

		if (!mono_reached(now, reservation->until))
			continue;
		reservation_end(ledger, reservation);
		any = true;
	}
	return any;
}

struct mono ledger_deadline(const struct ledger *ledger)
{
	struct mono deadline = MONO_NEVER;

	list_for_each (link, &ledger->reservations)
		deadline = mono_min(deadline, list_entry(link, struct reservation, link)->until);
	return deadline;
}

/* Per mille without overflow for any capacity in bytes. */
static uint32_t share(int64_t part, int64_t whole)
{
	if (whole <= 0 || part <= 0)
		return 0;
	if (part >= whole)
		return 1000;
	return (uint32_t)((__int128)part * 1000 / whole);
}

uint32_t ledger_fit(const struct ledger *ledger, struct amount need)
{
	struct amount left = amount_less(amount_less(ledger_free(ledger), ledger->held), need);
	uint32_t cpu = share(left.cpu_milli, ledger->capacity.cpu_milli);
	uint32_t memory = share(left.memory_bytes, ledger->capacity.memory_bytes);

	return cpu < memory ? cpu : memory;
}
