/* SPDX-License-Identifier: Apache-2.0 */
#include "liars.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "identity/derive.h"
#include "steps.h"

enum {
	HEARD_MAX = 64,   /* packets that a liar keeps */
	ACT_MS = 100,     /* each liar does one thing so often */
	ALTERS_1000 = 50, /* of what it sends */
	DROPS_1000 = 50,
	PER_THOUSAND = 1000,
	GARBAGE_MAX = 300,
	AT_BODY = 1,     /* after a packet's type */
	CLAIMS_MAX = 32, /* pods of others that a liar remembers */
};

struct liar {
	struct buf heard[HEARD_MAX];
	size_t heard_count;
	struct record claims[CLAIMS_MAX];
	size_t claim_count; /* all that it ever remembered */
};

/* ---- what it sends and hears ---- */

static bool tamper(struct world *world, struct sim_machine *from, struct sim_machine *to,
		   struct buf *packet, void *argument)
{
	uint64_t dice = world_random(world, PER_THOUSAND);

	(void)from;
	(void)to;
	(void)argument;
	if (dice < DROPS_1000)
		return false;
	if (dice < DROPS_1000 + ALTERS_1000 && packet->len > AT_BODY)
		packet->ptr[AT_BODY + world_random(world, packet->len - AT_BODY)] ^=
			(uint8_t)(1 + world_random(world, 255));
	return true;
}

static void overhear(struct world *world, struct sim_machine *machine, struct bytes packet)
{
	struct liar *liar = machine->tamper_argument;
	struct buf *place = &liar->heard[liar->heard_count++ % HEARD_MAX];

	(void)world;
	buf_clear(place);
	buf_append_bytes(place, packet);
}

void liars_choose(struct world *world, size_t count)
{
	for (size_t i = 0; i < world->machine_count && count > 0; i++) {
		struct sim_machine *machine = &world->machines[i];

		if (steps_is_owner(world, i))
			continue;
		count--;
		machine->steward = machine->schedulable = false;
		machine->tamper = tamper;
		machine->overhear = overhear;
		machine->tamper_argument = mem_new(struct liar);
	}
}

void liars_free(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		struct liar *liar = world->machines[i].tamper_argument;

		if (!liar)
			continue;
		for (size_t j = 0; j < HEARD_MAX; j++)
			buf_deinit(&liar->heard[j]);
		for (size_t j = 0; j < CLAIMS_MAX; j++)
			record_deinit(&liar->claims[j]);
		free(liar);
	}
}

/* ---- what it does by itself ---- */

/* Somebody to whom it has a connection. */
static struct sim_machine *victim_of(struct world *world, const struct sim_machine *liar)
{
	struct sim_machine *victim = NULL;
	struct overlay_peer peer;
	size_t position = 0, seen = 0;

	while (overlay_next_peer(node_overlay(liar->node), &position, &peer))
		if (peer.connected && world_random(world, ++seen) == 0)
			victim = network_find(world, &peer.member->id);
	return victim;
}

static void say(struct world *world, const struct sim_machine *liar,
		const struct sim_machine *victim, bool is_envelope, struct bytes body)
{
	struct packet packet = {.is_envelope = is_envelope, .body = body};
	struct buf bytes = {0};

	packet_encode(&packet, &bytes);
	network_inject(world, liar->index, victim->index, bytes_buf(&bytes), US_PER_MS);
	buf_deinit(&bytes);
}

static void say_message(struct world *world, const struct sim_machine *liar,
			const struct sim_machine *victim, const struct message *message)
{
	struct buf body = {0};

	message_encode(message, &body);
	say(world, liar, victim, false, bytes_buf(&body));
	buf_deinit(&body);
}

/* A disposal of some workload, signed by @signer, or so that it seems to be. */
static bool make_disposal(struct world *world, struct sim_machine *signer, bool genuine,
			  struct buf *ret_envelope)
{
	static char namespace[] = "default", kind[] = "ReplicaSet";
	struct message message = {.type = MESSAGE_DISPOSAL};
	struct sim_workload *workload;
	struct buf payload = {0};

	if (!world->workload_count)
		return false;
	workload = &world->workloads[world_random(world, world->workload_count)];
	message.disposal.object = (struct object_ref){
		.uid = workload->uid, .namespace = namespace, .kind = kind, .name = workload->name};
	message_encode(&message, &payload);
	trust_seal_as(signer, bytes_buf(&payload), ret_envelope);
	if (!genuine)
		ret_envelope->ptr[ret_envelope->len - 1] ^= 1;
	buf_deinit(&payload);
	return true;
}

static void replay(struct world *world, struct sim_machine *liar, struct sim_machine *victim)
{
	const struct liar *own = liar->tamper_argument;
	size_t count = own->heard_count < HEARD_MAX ? own->heard_count : HEARD_MAX;

	if (count)
		network_inject(world, liar->index, victim->index,
			       bytes_buf(&own->heard[world_random(world, count)]), US_PER_MS);
}

static void forge_disposal(struct world *world, struct sim_machine *liar,
			   struct sim_machine *victim)
{
	struct sim_machine *signer = &world->machines[world_random(world, world->machine_count)];
	struct buf envelope = {0};

	if (make_disposal(world, signer, false, &envelope))
		say(world, liar, victim, true, bytes_buf(&envelope));
	buf_deinit(&envelope);
}

static void dispose_without_right(struct world *world, struct sim_machine *liar,
				  struct sim_machine *victim)
{
	struct buf envelope = {0};

	if (make_disposal(world, liar, true, &envelope))
		say(world, liar, victim, true, bytes_buf(&envelope));
	buf_deinit(&envelope);
}

/* As a broadcast, under the id that its content really has. */
static void broadcast_without_right(struct world *world, struct sim_machine *liar,
				    struct sim_machine *victim)
{
	struct message message = {.type = MESSAGE_GOSSIP};
	uint8_t hash[crypto_hash_sha256_BYTES];
	struct buf *payload = &message.gossip.payload;

	if (make_disposal(world, liar, true, payload)) {
		(void)crypto_hash_sha256(hash, payload->ptr, payload->len);
		memcpy(message.gossip.id.byte, hash, UID_LEN);
		say_message(world, liar, victim, &message);
	}
	buf_deinit(payload);
}

static void talk_nonsense(struct world *world, struct sim_machine *liar, struct sim_machine *victim)
{
	uint8_t garbage[GARBAGE_MAX];
	size_t len = 2 + world_random(world, sizeof(garbage) - 1);

	for (size_t i = 0; i < len; i++)
		garbage[i] = (uint8_t)world_random(world, 256);
	garbage[0] = (uint8_t)(1 + world_random(world, 2));
	network_inject(world, liar->index, victim->index, bytes_of(garbage, len), US_PER_MS);
}

static void call_dead(struct world *world, struct sim_machine *liar, struct sim_machine *victim)
{
	const struct sim_machine *other =
		&world->machines[world_random(world, world->machine_count)];
	char name[sizeof(other->name)];
	struct member_report report = {
		.member = {.id = other->id,
			   .addr = other->addr,
			   .name = name,
			   .incarnation = (uint64_t)world_wall(world).ms},
		.state = MEMBER_DEAD,
	};
	struct message message = {.type = MESSAGE_MEMBERS, .members = {&report, 1}};

	memcpy(name, other->name, sizeof(name));
	say_message(world, liar, victim, &message);
}

static void claim_to_provide(struct world *world, struct sim_machine *liar,
			     struct sim_machine *victim)
{
	struct message message = {.type = MESSAGE_PROVIDE};

	for (size_t i = 0; i < sizeof(message.provide.key.byte); i++)
		message.provide.key.byte[i] = (uint8_t)world_random(world, 256);
	say_message(world, liar, victim, &message);
}

static void (*const deeds[])(struct world *world, struct sim_machine *liar,
			     struct sim_machine *victim) = {
	replay,        replay,    forge_disposal,   dispose_without_right, broadcast_without_right,
	talk_nonsense, call_dead, claim_to_provide,
};

/* The argument: until when in ms, then the machine. */
enum {
	MACHINE_BITS = 20,
};

static void act(struct world *world, uint64_t argument)
{
	struct sim_machine *liar = &world->machines[argument & ((1U << MACHINE_BITS) - 1)];
	int64_t until_ms = (int64_t)(argument >> MACHINE_BITS);
	struct sim_machine *victim = liar->node ? victim_of(world, liar) : NULL;

	if (victim)
		deeds[world_random(world, ARRAY_LEN(deeds))](world, liar, victim);
	if (world->now_us < until_ms * US_PER_MS)
		world_action(world, world->now_us / US_PER_MS + ACT_MS, act, argument);
}

void liars_act(struct world *world, int64_t at_ms, int64_t until_ms)
{
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].tamper)
			world_action(world, at_ms + (int64_t)world_random(world, ACT_MS), act,
				     (uint64_t)until_ms << MACHINE_BITS | i);
}

/* ---- what others run ---- */

/* Some pod of another machine, as its record here has it. */
static void remember_pod(struct world *world, struct sim_machine *machine)
{
	const struct records *records = node_records(machine->node);
	const struct record_item *item, *chosen = NULL;
	struct liar *liar = machine->tamper_argument;
	size_t position = 0, seen = 0;

	while ((item = records_next(records, RECORD_PRESENCE, NULL, NULL, &position)))
		if (!item->record.gone && world_random(world, ++seen) == 0)
			chosen = item;
	if (chosen) {
		struct record *place = &liar->claims[liar->claim_count++ % CLAIMS_MAX];

		record_deinit(place);
		record_copy(&chosen->record, place);
	}
}

/* A pod of its own in the slot of @presence, which nobody has awarded to it; it is said to be older
 * than the one there, so that this one would have to go. */
static void squat(struct world *world, const struct sim_machine *machine, struct record *record,
		  struct presence *presence)
{
	uint64_t random = world_random(world, UINT32_MAX);
	uint8_t bytes[UID_POD_RANDOM_LEN];

	memcpy(bytes, &random, sizeof(bytes));
	record->gone = false;
	record->key.sub = uid_of_pod(&record->key.uid, &machine->id, bytes);
	presence->pod_uid = record->key.sub;
	presence->phase = POD_RUNNING;
	presence->ready = true;
	presence->created_ms = presence->started_ms = presence->ready_ms = 1;
}

/* That it is gone, or that it or another one runs here: signed by the liar, and newer than what is
 * known. */
static void make_claim(struct world *world, struct sim_machine *machine, const struct record *of,
		       struct buf *envelope)
{
	struct message message = {.type = MESSAGE_RECORD};
	struct record *record = &message.record;
	struct presence presence;
	struct buf payload = {0};

	record_copy(of, record);
	record->version.hlc = (uint64_t)world_wall(world).ms << RECORDS_HLC_SHIFT;
	record->written_ms = world_wall(world).ms;
	record->gone = world_random(world, 2) == 0;
	if (presence_decode(bytes_buf(&of->value), &presence) == 0) {
		if (world_random(world, 2) == 0)
			squat(world, machine, record, &presence);
		presence.node = machine->id;
		buf_clear(&record->value);
		presence_encode(&presence, &record->value);
		presence_deinit(&presence);
	}
	message_encode(&message, &payload);
	trust_seal_as(machine, bytes_buf(&payload), envelope);
	buf_deinit(&payload);
	message_deinit(&message);
}

static void claim(struct world *world, uint64_t argument)
{
	struct sim_machine *machine = &world->machines[argument & ((1U << MACHINE_BITS) - 1)];
	int64_t until_ms = (int64_t)(argument >> MACHINE_BITS);
	struct liar *liar = machine->tamper_argument;
	size_t count = liar->claim_count < CLAIMS_MAX ? liar->claim_count : CLAIMS_MAX;
	struct buf envelope = {0};

	if (machine->node)
		remember_pod(world, machine);
	if (machine->node && count) {
		make_claim(world, machine, &liar->claims[world_random(world, count)], &envelope);
		for (size_t i = 0; i < world->machine_count; i++)
			if (i != machine->index && world->machines[i].node)
				say(world, machine, &world->machines[i], true,
				    bytes_buf(&envelope));
	}
	buf_deinit(&envelope);
	if (world->now_us < until_ms * US_PER_MS)
		world_action(world, world->now_us / US_PER_MS + ACT_MS, claim, argument);
}

void liars_claim(struct world *world, int64_t at_ms, int64_t until_ms)
{
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].tamper)
			world_action(world, at_ms + (int64_t)world_random(world, ACT_MS), claim,
				     (uint64_t)until_ms << MACHINE_BITS | i);
}
