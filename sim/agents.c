/* SPDX-License-Identifier: Apache-2.0 */
#include "agents.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "base/mem.h"

enum {
	NEAR_US = 100, /* in one room: 0.1 to 0.5 ms */
	NEAR_JITTER_US = 400,
	FAR_MS = 5, /* anywhere in the world: 5 to 80 ms */
	FAR_JITTER_MS = 75,
	RESEND_US = 60 * 1000,
	PER_THOUSAND = 1000,
	UNREACHABLE_MS = 1000, /* until a dial, or a connection, is given up */
	LEAVE_MS = 500,        /* from the withdrawal to the end of a pod */
	MAC_LEN = 8,
	BOOTSTRAP = 3,
	WALL_MS = 1700000000,
};

uint64_t agents_random(struct agents *agents, uint64_t bound)
{
	return prng_below(&agents->prng, bound);
}

struct wall agents_wall(const struct agents *agents)
{
	return (struct wall){WALL_MS * (int64_t)MS_PER_S + agents->now.us / US_PER_MS};
}

static void schedule(struct agents *agents, int64_t after_us, struct agents_event event)
{
	struct agents_event *copy = mem_new(struct agents_event);
	struct queue_entry entry = {
		.at_us = mono_add_us(agents->now, after_us).us,
		.order = agents->order++,
		.what = (uintptr_t)copy,
	};

	*copy = event;
	queue_push(agents->queue, &entry);
}

void agents_at(struct agents *agents, int64_t after_ms, void (*act)(struct agents *, uint64_t),
	       uint64_t number)
{
	schedule(agents, after_ms * US_PER_MS,
		 (struct agents_event){.type = AGENTS_STEP, .act = act, .number = number});
}

void agents_violated(struct agents *agents, const char *format, ...)
{
	va_list args;

	if (agents->violation[0])
		return;
	va_start(args, format);
	(void)vsnprintf(agents->violation, sizeof(agents->violation), format, args);
	va_end(args);
}

/* ---- trust ---- */

static uint64_t mac(uint64_t secret, struct bytes payload)
{
	struct prng prng = {secret};

	for (size_t i = 0; i < payload.len; i++)
		prng.state = prng_next(&prng) ^ payload.ptr[i];
	return prng_next(&prng);
}

void agents_seal(const struct agent *agent, struct bytes payload, struct buf *out)
{
	uint64_t sum = mac(agent->secret, payload);

	buf_append(out, agent->contact.id.byte, ID_LEN);
	buf_append(out, &sum, MAC_LEN);
	buf_append(out, (const uint8_t[80]){0}, 80); /* as long as the real one */
	buf_append_bytes(out, payload);
}

static struct agents *the_world; /* what the table of trust is about */

static void seal(void *self, struct wall now, struct bytes payload, struct buf *out)
{
	(void)now;
	agents_seal(&the_world->agents[(uintptr_t)self], payload, out);
}

static bool open(void *self, struct wall now, struct bytes envelope,
		 struct service_name *ret_signer, struct node_id *ret_key,
		 struct bytes *ret_payload)
{
	const size_t head = ID_LEN + MAC_LEN + 80;
	struct bytes payload = {envelope.ptr + head, envelope.len - head};
	const void *index;
	uint64_t sum;

	(void)self;
	(void)now;
	if (envelope.len < head)
		return false;
	index = map_get(&the_world->by_id, bytes_of(envelope.ptr, ID_LEN));
	if (!index)
		return false;
	memcpy(&sum, envelope.ptr + ID_LEN, MAC_LEN);
	if (mac(the_world->agents[(uintptr_t)index - 1].secret, payload) != sum)
		return false;
	*ret_signer = the_world->agents[(uintptr_t)index - 1].name;
	*ret_key = the_world->agents[(uintptr_t)index - 1].contact.id;
	*ret_payload = payload;
	return true;
}

static const struct directory_trust_ops trust_ops = {seal, open};

/* ---- network ---- */

bool agents_reach(const struct agents *agents, uint32_t a, uint32_t b)
{
	return !agents->split || agents->machines[agents->agents[a].machine].half ==
					 agents->machines[agents->agents[b].machine].half;
}

static int64_t latency_us(struct agents *agents, uint32_t from, uint32_t to)
{
	const struct params *params = &agents->options->params;
	int64_t late = 0;

	while (agents_random(agents, PER_THOUSAND) < (uint64_t)params->loss)
		late += RESEND_US;
	if (params->profile == PARAMS_WAN &&
	    agents->agents[from].machine != agents->agents[to].machine)
		return late + (FAR_MS + (int64_t)agents_random(agents, FAR_JITTER_MS)) * US_PER_MS;
	return late + NEAR_US + (int64_t)agents_random(agents, NEAR_JITTER_US);
}

static bool vanishes(struct agents *agents, uint32_t from, uint32_t to)
{
	const struct params *params = &agents->options->params;

	return agents_random(agents, PER_THOUSAND) < (uint64_t)params->vanish ||
	       !agents_reach(agents, from, to);
}

static void count_sent(struct agents *agents, struct agent *agent, size_t len)
{
	size_t bytes = len + (len / AGENTS_DATAGRAM + 1) * AGENTS_HEADERS;

	agent->sent++;
	agent->sent_bytes += bytes;
	agents->figures.messages++;
	agents->figures.bytes += bytes;
	if (agents->counts_idle) {
		agents->figures.idle_messages++;
		agents->figures.idle_bytes += bytes;
	}
}

/* A machine that runs says at once that nobody listens there any more. */
static int64_t silence_us(struct agents *agents, uint32_t from, uint32_t to)
{
	if (agents->machines[agents->agents[to].machine].lost || !agents_reach(agents, from, to))
		return UNREACHABLE_MS * US_PER_MS;
	return latency_us(agents, from, to) + latency_us(agents, to, from);
}

void agents_send(struct agents *agents, uint32_t from, uint32_t to,
		 const struct work_message *message)
{
	struct agents_event event = {.type = AGENTS_DELIVER, .from = from, .to = to};

	work_message_encode(message, &event.bytes);
	count_sent(agents, &agents->agents[from], event.bytes.len);
	if (vanishes(agents, from, to) || !agents->agents[to].directory) {
		if (!agents->agents[to].directory || !agents_reach(agents, from, to))
			schedule(agents, silence_us(agents, from, to),
				 (struct agents_event){
					 .type = AGENTS_UNREACHABLE, .from = from, .to = to});
		buf_deinit(&event.bytes);
		return;
	}
	schedule(agents, latency_us(agents, from, to), event);
}

/* ---- lives ---- */

static void arm(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];
	struct mono deadline = directory_deadline(agent->directory);

	if (deadline.us >= agent->timer.us || deadline.us == MONO_NEVER.us)
		return;
	agent->timer = deadline.us > agents->now.us ? deadline : agents->now;
	schedule(agents, mono_since_us(agent->timer, agents->now),
		 (struct agents_event){.type = AGENTS_TIMER, .to = index});
}

static void found(struct agents *agents, uint32_t index, const struct directory_effect *effect)
{
	struct agent *agent = &agents->agents[index];

	if (effect->token != agent->lookup_token)
		return;
	agent->lookup_token = 0;
	agents->latencies_us[agents->latency_count++ % ARRAY_LEN(agents->latencies_us)] =
		mono_since_us(agents->now, agent->lookup_began);
	if (agent->user && agent->using_since.us == MONO_NEVER.us)
		agent->using_since = agents->now;
	agents->figures.cold++;
	agents_check_found(agents, index, agent->lookup_of);
}

/* Carry out what @index wants; its memory is charged to it by the caller. */
static void effects(struct agents *agents, uint32_t index)
{
	const struct directory_effect *effect;

	for (;;) {
		account_enter(&agents->agents[index].heap);
		effect = directory_next_effect(agents->agents[index].directory);
		account_leave();
		if (!effect)
			break;
		if (effect->type == DIRECTORY_SEND) {
			const void *to =
				map_get(&agents->by_id, bytes_of(effect->to.id.byte, ID_LEN));

			if (to)
				agents_send(agents, index, (uint32_t)((uintptr_t)to - 1),
					    &effect->message);
		} else if (effect->type == DIRECTORY_FOUND) {
			found(agents, index, effect);
		} else if (effect->type == DIRECTORY_MISSING) {
			agents_check_missing(agents, index, effect);
		}
	}
}

void agents_pump(struct agents *agents, uint32_t index)
{
	effects(agents, index);
	arm(agents, index);
}

static struct node_id random_id(struct agents *agents)
{
	struct node_id id = {0};

	for (size_t i = 0; i < ID_LEN; i += sizeof(uint64_t)) {
		uint64_t word = prng_next(&agents->prng);

		memcpy(id.byte + i, &word, sizeof(word));
	}
	return id;
}

static struct addr addr_of(uint32_t machine, uint32_t index)
{
	const uint8_t ip[ADDR_V4_LEN] = {10, (uint8_t)(machine >> 16), (uint8_t)(machine >> 8),
					 (uint8_t)machine};
	struct addr addr;
	bool valid =
		addr_from_ip(bytes_of(ip, sizeof(ip)), (uint16_t)(1024 + index % 60000), &addr);

	assert(valid);
	return addr;
}

struct service_record agents_record(const struct agents *agents, const struct agent *agent)
{
	struct service_record record = {
		.workload_uid.byte = {1},
		.namespace = mem_strdup(agent->name.namespace),
		.kind = mem_strdup(agent->name.kind),
		.name = mem_strdup(agent->name.name),
		.pod = mem_strdup(agent->name.pod),
		.ordinal = SERVICE_NO_ORDINAL,
		.ready = agent->ready,
		.healthy = true,
		.machine = agent->machine + 1,
		.region = mem_strdup(""),
		.address_count = 1,
		.addresses[0] = agent->contact.addr,
		.ports = mem_alloc(1, sizeof(struct service_port)),
		.port_count = 1,
		.policy.cross_namespace = true,
	};

	(void)agents;
	record.ports[0] = (struct service_port){mem_strdup("http"), 8080, SERVICE_TCP};
	return record;
}

static void announce(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];
	struct service_record record;
	int refused;

	account_enter(&agent->heap);
	record = agents_record(agents, agent);
	refused = directory_announce(agent->directory, agents->now, agents_wall(agents), &record);
	service_record_deinit(&record);
	account_leave();
	assert(refused == 0);
	agents_pump(agents, index);
}

/* Some of those that run, as its machine would name them. */
static void bootstrap(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];

	for (unsigned known = 0, tries = 0; known < BOOTSTRAP && tries < 10 * BOOTSTRAP; tries++) {
		uint32_t other = (uint32_t)agents_random(agents, agents->count);

		if (other == index || !agents->agents[other].directory ||
		    !agents_reach(agents, index, other))
			continue;
		account_enter(&agent->heap);
		directory_seen(agent->directory, agents->now, &agents->agents[other].contact);
		account_leave();
		known++;
	}
}

uint32_t agents_start(struct agents *agents, uint32_t workload, uint32_t slot, uint32_t machine)
{
	uint32_t index = (uint32_t)agents->count;
	struct workload *of = &agents->workloads[workload];
	struct directory_config config = {0};
	struct agent *agent;

	assert(agents->count < agents->cap); /* agents never move: the trust table names them */
	agent = &agents->agents[agents->count++];
	*agent = (struct agent){
		.contact = {.id = random_id(agents), .addr = addr_of(machine, index)},
		.name = {.kind = "Deployment"},
		.machine = machine,
		.workload = workload,
		.slot = slot,
		.secret = prng_next(&agents->prng),
		.ready = true,
		.began = agents->now,
		.changed = agents->now,
		.ready_since = agents->now,
		.ended = MONO_NEVER,
		.using_since = MONO_NEVER,
		.timer = MONO_NEVER,
	};
	(void)snprintf(agent->name.namespace, sizeof(agent->name.namespace), "%s", of->namespace);
	(void)snprintf(agent->name.name, sizeof(agent->name.name), "%s", of->name);
	(void)snprintf(agent->name.pod, sizeof(agent->name.pod), "%s-%u", of->name, of->made++);
	(void)map_put(&agents->by_id, bytes_of(agent->contact.id.byte, ID_LEN),
		      (void *)((uintptr_t)index + 1));
	of->slots[slot] = index + 1;
	config = (struct directory_config){
		.self = agent->contact,
		.name = agent->name,
		.trust = {&trust_ops, (void *)(uintptr_t)index},
		.seed = prng_next(&agents->prng),
	};
	the_world = agents;
	account_enter(&agent->heap);
	agent->directory = directory_new(&config, agents->now);
	account_leave();
	bootstrap(agents, index);
	announce(agents, index);
	return index;
}

static void end(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];
	struct workload *workload = &agents->workloads[agent->workload];

	if (!agent->directory)
		return;
	account_enter(&agent->heap);
	directory_free(agent->directory);
	account_leave();
	agent->directory = NULL;
	if (agent->ended.us == MONO_NEVER.us)
		agent->ended = agents->now;
	if (workload->slots[agent->slot] == index + 1)
		workload->slots[agent->slot] = 0;
}

void agents_kill(struct agents *agents, uint32_t index)
{
	bool ran = agents->agents[index].directory != NULL;

	end(agents, index);
	if (ran)
		agents_at(agents, AGENTS_MISSING_MS, agents_check_lost, index);
}

static void left(struct agents *agents, uint64_t index)
{
	end(agents, (uint32_t)index);
}

void agents_leave(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];

	agent->ended = agent->changed = agents->now;
	account_enter(&agent->heap);
	directory_withdraw(agent->directory, agents->now, agents_wall(agents));
	account_leave();
	agents_pump(agents, index);
	agents_at(agents, AGENTS_PUSH_MS, agents_check_changed, index);
	agents_at(agents, LEAVE_MS, left, index);
}

void agents_set_ready(struct agents *agents, uint32_t index, bool ready)
{
	struct agent *agent = &agents->agents[index];

	agent->ready = ready;
	agent->changed = agents->now;
	if (ready)
		agent->ready_since = agents->now;
	announce(agents, index);
	agents_at(agents, AGENTS_PUSH_MS, agents_check_changed, index);
}

bool agents_lookup(struct agents *agents, uint32_t index, uint32_t workload, uint64_t *ret_token)
{
	struct agent *agent = &agents->agents[index];
	const struct workload *of = &agents->workloads[workload];
	int refused;

	account_enter(&agent->heap);
	refused = directory_lookup(agent->directory, agents->now, agents_wall(agents),
				   of->namespace, of->name, ret_token);
	account_leave();
	return refused == 0;
}

/* ---- the clock ---- */

static void deliver(struct agents *agents, struct agents_event *event)
{
	struct agent *to = &agents->agents[event->to];
	struct directory_peer from = {agents->agents[event->from].contact,
				      &agents->agents[event->from].name};
	struct work_message message;

	if (!to->directory)
		return;
	to->received++;
	to->received_window++;
	account_enter(&to->heap);
	if (work_message_decode(bytes_buf(&event->bytes), &message) == 0) {
		directory_receive(to->directory, agents->now, agents_wall(agents), &from, &message);
		work_message_deinit(&message);
	}
	account_leave();
	agents_pump(agents, event->to);
}

static void fire(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];

	if (!agent->directory || agent->timer.us != agents->now.us)
		return; /* an earlier one has come between */
	agent->timer = MONO_NEVER;
	account_enter(&agent->heap);
	directory_tick(agent->directory, agents->now, agents_wall(agents));
	account_leave();
	agents_pump(agents, index);
}

static void unreachable(struct agents *agents, uint32_t from, uint32_t to)
{
	struct agent *agent = &agents->agents[from];

	if (!agent->directory || (agents->agents[to].directory && agents_reach(agents, from, to)))
		return;
	account_enter(&agent->heap);
	directory_unreachable(agent->directory, agents->now, &agents->agents[to].contact.id);
	account_leave();
	agents_pump(agents, from);
}

static void happen(struct agents *agents, struct agents_event *event)
{
	switch (event->type) {
	case AGENTS_DELIVER:
		deliver(agents, event);
		break;
	case AGENTS_TIMER:
		fire(agents, event->to);
		break;
	case AGENTS_UNREACHABLE:
		unreachable(agents, event->from, event->to);
		break;
	case AGENTS_STEP:
		event->act(agents, event->number);
		break;
	}
	buf_deinit(&event->bytes);
	free(event);
}

bool agents_run_until(struct agents *agents, struct mono until)
{
	struct queue_entry entry;

	while (!agents->violation[0] && queue_peek(agents->queue, &entry) &&
	       entry.at_us <= until.us) {
		(void)queue_pop(agents->queue, &entry);
		agents->now.us = entry.at_us;
		happen(agents, (struct agents_event *)entry.what);
	}
	if (!agents->violation[0])
		agents->now = until;
	return !agents->violation[0];
}
