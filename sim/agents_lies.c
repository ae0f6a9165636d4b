/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liars: agents with a sound certificate of their own, who say what is not theirs to say.
 *
 * They store and push records in the names of others, under their own signature and under none;
 * records of others that have been true once; ones from the future; and they ask to be told of
 * more services than there are.
 */
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "base/mem.h"

enum {
	LIE_MS = 50,
	LIE_NAMES = 200, /* subscribed to at a time: a flood */
	LIE_FUTURE_MS = 2 * SERVICE_SKEW_MS,
	LIE_PAST_MS = 2 * SERVICE_SKEW_MS,
};

static uint32_t random_living(struct agents *agents)
{
	for (;;) {
		uint32_t index = (uint32_t)agents_random(agents, agents->count);

		if (agents->agents[index].directory)
			return index;
	}
}

/* The record of @victim as @liar would like it: it leads to the liar. */
static struct buf forge(struct agents *agents, const struct agent *liar, const struct agent *victim,
			int64_t shift_ms, bool sign_badly)
{
	struct service_record record = agents_record(agents, victim);
	struct buf payload = {0}, envelope = {0};

	record.peer = liar->contact.id;
	record.addresses[0] = liar->contact.addr;
	record.ts.ms = agents_wall(agents).ms + shift_ms;
	record.version = (uint64_t)record.ts.ms + SERVICE_SKEW_MS;
	if (sign_badly)
		record.peer = victim->contact.id;
	service_record_encode(&record, &payload);
	agents_seal(liar, bytes_buf(&payload), &envelope);
	if (sign_badly)
		memcpy(envelope.ptr, victim->contact.id.byte, ID_LEN);
	service_record_deinit(&record);
	buf_deinit(&payload);
	return envelope;
}

static void lie_store(struct agents *agents, uint32_t liar, uint32_t to, struct buf envelope)
{
	struct work_message message = {.type = WORK_STORE, .store = {1, envelope, {0}}};

	agents_send(agents, liar, to, &message);
	work_message_deinit(&message);
}

static void lie_push(struct agents *agents, uint32_t liar, uint32_t to,
		     const struct service_name *name, struct buf envelope)
{
	struct work_message message = {.type = WORK_RECORDS};

	message.records.key = service_key(name->namespace, name->name);
	message.records.list = mem_alloc(1, sizeof(*message.records.list));
	message.records.list[0].record = envelope;
	message.records.count = 1;
	agents_send(agents, liar, to, &message);
	work_message_deinit(&message);
}

static void lie_subscribe(struct agents *agents, uint32_t liar, uint32_t to)
{
	for (int i = 0; i < LIE_NAMES; i++) {
		struct work_message message = {.type = WORK_LOOKUP};
		struct buf name = {0};

		buf_append_format(&name, "n%llu",
				  (unsigned long long)agents_random(agents, UINT64_MAX));
		message.lookup = (struct work_lookup){
			.request = 1,
			.namespace = mem_strdup("default"),
			.name = buf_steal(&name),
			.subscribe = true,
		};
		agents_send(agents, liar, to, &message);
		work_message_deinit(&message);
	}
}

/* A replica of the service that @to uses, or of its own workload: about whom it might believe. */
static uint32_t somebody_known(struct agents *agents, uint32_t to)
{
	const struct agent *agent = &agents->agents[to];
	const struct workload *of = &agents->workloads[agent->user ? agent->uses : agent->workload];
	uint32_t slot = (uint32_t)agents_random(agents, of->replicas);

	return of->slots[slot] ? of->slots[slot] - 1 : to;
}

void agents_lie(struct agents *agents, uint64_t liar)
{
	const struct agent *self = &agents->agents[liar];
	uint32_t to = random_living(agents), victim = somebody_known(agents, to), first = 0;
	const struct agent *about = &agents->agents[victim];
	uint64_t kind = agents_random(agents, 6);
	int64_t shift_ms = kind == 3 ? LIE_FUTURE_MS : kind == 4 ? -LIE_PAST_MS : 0;

	if (!self->directory)
		return;
	agents_at(agents, LIE_MS, agents_lie, liar);
	if (to == liar || victim == liar)
		return;
	agents->figures.lies++;
	while (!agents->agents[first].directory)
		first++;
	if (kind == 5)
		lie_subscribe(agents, (uint32_t)liar, first);
	else if (kind % 2)
		lie_store(agents, (uint32_t)liar, to,
			  forge(agents, self, about, shift_ms, kind == 1));
	else
		lie_push(agents, (uint32_t)liar, to, &about->name,
			 forge(agents, self, about, shift_ms, kind == 2));
}
