/* SPDX-License-Identifier: Apache-2.0 */
/* The machines' lives: start, ticks, what their nodes want done, disk, end. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "base/cache.h"
#include "base/mem.h"
#include "checker.h"
#include "family.h"

enum {
	BOOTSTRAP_COUNT = 3,
	PERSIST_US = 2000, /* a disk that syncs */
	/* What the protocols of one machine may hold, whatever the fabric's size; looked at where a
	 * few busy ones do not decide the average. */
	MEMORY_BYTES_MAX = 96 * 1024,
	/* What one pod adds: its object and award with their manifests, its owner's and its host's
	 * books about it, as measured where a machine has 24. */
	MEMORY_POD_BYTES_MAX = 10 * 1024,
	MEMORY_MACHINES_MIN = 1000,
	TICKS_MAX = 1000, /* of one machine at one moment; a few are usual */
	FORGETFUL_US = 5 * US_PER_S,
	CLOCK_ERROR_MS = 3000, /* the system's clock is off by up to this */
};

/* Some day in 2027; nothing depends on which. */
static const int64_t epoch_ms = 1800000000000;

struct wall world_wall(const struct world *world)
{
	return (struct wall){epoch_ms + world->now_us / US_PER_MS};
}

struct wall machine_system(const struct world *world, const struct sim_machine *machine)
{
	return (struct wall){world_wall(world).ms + machine->clock_error_ms};
}

struct mono machine_now(const struct world *world, const struct sim_machine *machine)
{
	return (struct mono){world->now_us + machine->skew_us};
}

void machine_new_id(struct world *world, struct sim_machine *machine)
{
	for (size_t i = 0; i < ID_LEN; i += sizeof(uint64_t))
		memcpy(machine->id.byte + i, &(uint64_t){prng_next(&world->prng)},
		       sizeof(uint64_t));
	sim_directory_put(world->directory, &machine->id, machine->index);
}

void machine_init(struct world *world, size_t index, bool steward)
{
	struct sim_machine *machine = &world->machines[index];

	machine->index = (uint32_t)index;
	machine->world = world;
	machine->steward = steward;
	machine->schedulable = true;
	machine->powered = true;
	machine->cpu_milli = 4000;
	machine->memory_bytes = 8LL << 30;
	machine->tick_at_us = INT64_MAX;
	machine->skew_us = (int64_t)world_random(world, 1000000) * US_PER_S;
	machine->clock_error_ms = (int64_t)world_random(world, 2 * CLOCK_ERROR_MS) - CLOCK_ERROR_MS;
	machine->addr = (struct addr){
		.ip = {10, (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index},
		.port = 7946,
		.is_v4 = true};
	(void)snprintf(machine->name, sizeof(machine->name), "n%zu", index);
	map_init_borrowing(&machine->disk, 1);
	list_init(&machine->pods);
	machine_new_id(world, machine);
	trust_reset(machine);
}

static void disk_clear_revocations(struct sim_machine *machine)
{
	for (size_t i = 0; i < machine->revocation_count; i++)
		buf_deinit(&machine->revocations[i]);
	free(machine->revocations);
	machine->revocations = NULL;
	machine->revocation_count = 0;
}

void machine_disk_clear(struct sim_machine *machine)
{
	map_for_each (entry, &machine->disk)
		envelope_drop(&machine->world->envelopes, entry->value);
	map_deinit(&machine->disk);
	map_init_borrowing(&machine->disk, 1);
	free(machine->writers);
	machine->writers = NULL;
	disk_clear_revocations(machine);
	machine->contact_count = 0;
	machine->kept = (struct fabric_time_kept){0};
	machine->complete = (struct node_complete){0};
	free(machine->standing);
	machine->standing = NULL;
}

void machine_deinit(struct sim_machine *machine)
{
	machine_call(machine, node_free(machine->node));
	machine_disk_clear(machine);
	network_dials_drop(machine->world, machine);
	trust_deinit(machine);
	links_deinit(&machine->links);
	free(machine->known);
}

/* ---- start and end ---- */

static void offer_machine(struct world *world, struct sim_machine *machine)
{
	static const char *const engines[] = {"crun"};
	struct node_facts facts = {
		.id = machine->id,
		.name = machine->name,
		.addr = machine->addr,
		.cpu_milli = machine->cpu_milli,
		.memory_bytes = machine->memory_bytes,
		.cpu_milli_free_max = machine->cpu_milli,
		.memory_bytes_free_max = machine->memory_bytes,
		.pods_max = 110,
		.schedulable = machine->schedulable,
		.steward = machine->steward,
		.worker = true,
	};
	struct market_machine offer = {
		.cpu_milli = machine->cpu_milli,
		.memory_bytes = machine->memory_bytes,
		.pods_max = 110,
		.schedulable = machine->schedulable,
		.engines = engines,
		.engine_count = 1,
		.architecture = "amd64",
		.reliability = 1000,
		.labels = machine->labels,
		.label_count = machine->label_count,
	};

	machine_call(machine,
		     node_set_machine(machine->node, machine_now(world, machine), &facts, &offer));
}

/* A store has the certificate of each record's writer beside it. */
static void restore_leaf(struct sim_machine *machine, struct bytes envelope)
{
	struct node_trust trust = trust_of(machine);
	struct leaf leaf = {.cert_count = 1};

	buf_append(&leaf.certs[0], envelope.ptr, ID_LEN);
	(void)trust.ops->leaf_add(trust.self, (struct wall){0}, &leaf);
	buf_deinit(&leaf.certs[0]);
}

static void restore_disk(struct world *world, struct sim_machine *machine)
{
	map_for_each (entry, &machine->disk) {
		int r;

		restore_leaf(machine, envelope_bytes(entry->value));
		machine_call(machine, r = node_restore(machine->node, machine_now(world, machine),
						       envelope_bytes(entry->value)));

		/* A version that something newer on the same disk replaced is not news. */
		if (r < 0)
			world_violate(world, NULL, "%s cannot read its own disk: %d", machine->name,
				      r);
	}
}

static void disk_write_revocations(struct sim_machine *machine)
{
	const struct revocations *set = node_revocations(machine->node);
	const struct revocation_entry *entry = NULL;

	disk_clear_revocations(machine);
	machine->revocations = mem_alloc(set->count, sizeof(*machine->revocations));
	while ((entry = revocations_next(set, entry)) != NULL)
		buf_append_bytes(&machine->revocations[machine->revocation_count++],
				 bytes_buf(&entry->envelope));
}

/* Before the first connection, or that could be with one who is revoked. */
static void restore_revocations(struct world *world, struct sim_machine *machine)
{
	for (size_t i = 0; i < machine->revocation_count; i++) {
		struct bytes envelope = bytes_buf(&machine->revocations[i]);
		struct leaf chain = {.cert_count = 1};
		int r;

		buf_append(&chain.certs[0], envelope.ptr, ID_LEN);
		machine_call(machine,
			     r = node_restore_revocation(machine->node, machine_now(world, machine),
							 &chain, envelope));
		if (r)
			world_violate(world, NULL, "%s cannot read its revocations: %d",
				      machine->name, r);
		buf_deinit(&chain.certs[0]);
	}
}

static void give_addresses(struct world *world, struct sim_machine *machine)
{
	struct mono now = machine_now(world, machine);

	for (size_t i = 0; i < BOOTSTRAP_COUNT && i < world->machine_count; i++)
		if (i != machine->index)
			machine_call(machine,
				     node_bootstrap(machine->node, now, &world->machines[i].addr));
	for (size_t i = 0; i < machine->contact_count; i++)
		machine_call(machine, node_bootstrap(machine->node, now, &machine->contacts[i]));
}

void machine_start(struct world *world, struct sim_machine *machine, bool join)
{
	struct node_config config;

	machine->incarnation = (uint64_t)world_wall(world).ms;
	config = (struct node_config){
		.self = {.id = machine->id,
			 .addr = machine->addr,
			 .name = machine->name,
			 .incarnation = machine->incarnation,
			 .steward = machine->steward},
		.leaf = trust_leaf(machine),
		.steward = machine->steward,
		.seed = world_random(world, UINT64_MAX),
		.system = machine_system(world, machine),
		.kept = machine->kept,
		.complete = machine->complete,
		.standing = machine->standing,
		.rebooted = machine->rebooted,
		.fabric = join ? world_wall(world) : (struct wall){0},
		.trust = trust_of(machine),
		.pool = (size_t)world->params.pool,
		.records_stay = world->params.stay,
	};

	assert(!machine->node && machine->powered);
	machine->process++;
	machine->started_us = world->now_us;
	trust_reset(machine);
	machine_call(machine, machine->node = node_new(&config, machine_now(world, machine)));
	machine->rebooted = false;
	restore_revocations(world, machine);
	restore_disk(world, machine);
	offer_machine(world, machine);
	host_recover(world, machine);
}

void world_boot(struct world *world, size_t index, bool join)
{
	struct sim_machine *machine = &world->machines[index];

	machine_start(world, machine, join);
	world_tell(world, NULL, "%s boots", machine->name);
	give_addresses(world, machine);
	machine_pump(world, machine);
}

static void boot_action(struct world *world, uint64_t machine)
{
	world_boot(world, machine, true);
}

void world_boot_all(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_event *event = world_event(
			world, SIM_ACTION, (int64_t)i * world->params.boot_ms * US_PER_MS);

		event->action = boot_action;
		event->argument = i;
	}
}

/* Whom it knew, as the daemon writes it down from time to time. */
static void remember_contacts(struct sim_machine *machine)
{
	struct overlay_peer peer;
	size_t position = 0;

	machine->contact_count = 0;
	while (machine->contact_count < SIM_CONTACTS_MAX &&
	       overlay_next_peer(node_overlay(machine->node), &position, &peer))
		if (peer.state != MEMBER_LEFT && !addr_is_none(&peer.member->addr))
			machine->contacts[machine->contact_count++] = peer.member->addr;
}

void machine_end(struct world *world, struct sim_machine *machine)
{
	metrics_process_ends(world, machine);
	family_disturbed(world);
	family_machine_lost(world, machine->index); /* unless it is back soon */
	/* What was written down a moment ago, as the daemon does every minute. */
	machine->kept = node_keep_time(machine->node, machine_now(world, machine),
				       machine_system(world, machine));
	machine->complete = node_keep_complete(machine->node, machine_now(world, machine));
	if (!machine->standing && !world->params.stay)
		machine->standing = mem_new(struct records_standing);
	if (machine->standing)
		node_keep_standing(machine->node, machine->standing);
	remember_contacts(machine);
	machine_call(machine, node_free(machine->node));
	machine->node = NULL;
	machine->tick_at_us = INT64_MAX;
	machine->stalled_until_us = 0;
	machine->ended_us = world->now_us;
	network_process_ended(world, machine);
}

void world_check_memory(struct world *world)
{
	int64_t bytes = 0;
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++) {
		if (!world->machines[i].node)
			continue;
		bytes += world->machines[i].heap_bytes;
		count++;
	}
	bytes -= (int64_t)(world->totals.pods_started - world->totals.pods_stopped) *
		 MEMORY_POD_BYTES_MAX;
	if (count >= MEMORY_MACHINES_MIN && bytes / (int64_t)count > MEMORY_BYTES_MAX)
		world_violate(world, NULL,
			      "a machine's protocols hold %lld bytes on average without its pods",
			      (long long)(bytes / (int64_t)count));
}

/* ---- disk ---- */

static struct bytes key_bytes(const struct record_key *key, uint8_t *space)
{
	space[0] = (uint8_t)key->kind;
	memcpy(space + 1, key->uid.byte, UID_LEN);
	memcpy(space + 1 + UID_LEN, key->sub.byte, UID_LEN);
	return bytes_of(space, SIM_DISK_KEY_LEN);
}

void machine_disk_key(const uint8_t *bytes, struct record_key *ret_key)
{
	ret_key->kind = (enum record_kind)bytes[0];
	memcpy(ret_key->uid.byte, bytes + 1, UID_LEN);
	memcpy(ret_key->sub.byte, bytes + 1 + UID_LEN, UID_LEN);
}

/* Whether there was anything. */
static bool disk_remove(struct sim_machine *machine, const struct record_key *key)
{
	uint8_t space[SIM_DISK_KEY_LEN];
	struct sim_envelope *old = map_remove(&machine->disk, key_bytes(key, space));

	envelope_drop(&machine->world->envelopes, old);
	return old != NULL;
}

static void disk_forget(struct sim_machine *machine, const struct record_key *key)
{
	if (disk_remove(machine, key))
		archive_dropped(machine->world, machine, key);
}

void machine_keep(struct sim_machine *machine, const struct record_key *key, struct bytes envelope)
{
	uint8_t space[SIM_DISK_KEY_LEN];
	struct sim_envelope *kept =
		envelope_take(&machine->world->envelopes, key_bytes(key, space), envelope);

	archive_kept(machine->world, key, !disk_remove(machine, key));
	(void)map_put(&machine->disk, bytes_of(kept->key, sizeof(kept->key)), kept);
	trust_keep_writer(machine, envelope);
}

static void disk_write(struct world *world, struct sim_machine *machine,
		       const struct node_effect *effect)
{
	struct sim_event *event = world_event(world, SIM_PERSISTED, PERSIST_US);

	machine_keep(machine, &effect->key, effect->packet);
	event->to = machine->index;
	event->process = machine->process;
	event->persisted = mem_new(struct sim_persisted);
	event->persisted->key = effect->key;
	event->persisted->version = effect->version;
}

void machine_persisted(struct world *world, struct sim_machine *machine,
		       const struct sim_persisted *persisted)
{
	machine_call(machine, node_persisted(machine->node, machine_now(world, machine),
					     &persisted->key, &persisted->version, true));
	machine_pump(world, machine);
}

/* ---- effects ---- */

static const char *peer_state_name(enum member_state state)
{
	return state == MEMBER_ALIVE ? "sees" : state == MEMBER_SUSPECT ? "suspects" : "has lost";
}

static void tell_peer(struct world *world, const struct sim_machine *machine,
		      const struct node_effect *effect)
{
	const struct sim_machine *other = network_find(world, &effect->to);

	if (other && effect->peer_state != MEMBER_ALIVE)
		world_tell(world, NULL, "%s %s %s", machine->name,
			   peer_state_name(effect->peer_state), other->name);
}

static void carry_out(struct world *world, struct sim_machine *machine,
		      const struct node_effect *effect)
{
	switch (effect->type) {
	case NODE_SEND:
		network_send(world, machine, &effect->to, &effect->addr, effect->packet);
		break;
	case NODE_CLOSE:
	case NODE_CUT:
		network_close(world, machine, &effect->to);
		break;
	case NODE_DIAL:
		network_dial(world, machine, &effect->to, &effect->addr);
		break;
	case NODE_REVOKED:
		disk_write_revocations(machine);
		break;
	case NODE_PERSIST:
		disk_write(world, machine, effect);
		break;
	case NODE_FORGET:
		disk_forget(machine, &effect->key);
		break;
	case NODE_START:
		host_start(world, machine, effect->award);
		break;
	case NODE_RESUME:
		host_resume(world, machine, &effect->pod_uid, effect->text);
		break;
	case NODE_NOTE:
		host_note(world, effect);
		break;
	case NODE_STOP:
		host_stop(world, machine, &effect->pod_uid, effect->text);
		break;
	case NODE_PEER:
		tell_peer(world, machine, effect);
		metrics_peer(world, machine, &effect->to, effect->peer_state);
		break;
	case NODE_PUT_DONE:
		archive_put_done(world, machine, effect);
		family_put_done(world, machine, effect);
		break;
	case NODE_REFRESHED:
		archive_refreshed(world, machine, effect);
		break;
	case NODE_FETCHED:
		archive_fetched(world, machine, effect);
		break;
	case NODE_LOST:
		family_lost(world, effect);
		break;
	case NODE_TOLD:
	case NODE_REFUSED:
	case NODE_CHANGED:
	case NODE_STEPPED:
	case NODE_LOCATED:
	case NODE_LEAF_WANTED: /* the simulator's pods have no agents */
	case NODE_LEAF_CAME:
	case NODE_AGENTS:
	case NODE_FOUND:
		metrics_found(world, machine, effect);
		break;
	}
}

static void schedule_tick(struct world *world, struct sim_machine *machine)
{
	struct mono deadline = node_deadline(machine->node);
	int64_t at_us;

	/* A machine with this fault never looks at its clock again. */
	if (world->bug == SIM_BUG_HOLD_LEAK && machine->index % 2 && world->now_us > FORGETFUL_US)
		return;
	if (deadline.us == MONO_NEVER.us)
		return;
	at_us = deadline.us - machine->skew_us;
	if (at_us < world->now_us)
		at_us = world->now_us;
	at_us = processors_timer(world, at_us);
	if (at_us >= machine->tick_at_us)
		return;
	machine->tick_at_us = at_us;
	world_schedule_tick(world, machine, at_us - world->now_us);
}

void machine_pump(struct world *world, struct sim_machine *machine)
{
	const struct node_effect *effect;

	for (;;) {
		machine_call(machine, effect = node_next_effect(machine->node));
		if (!effect)
			break;
		carry_out(world, machine, effect);
	}
	schedule_tick(world, machine);
	checker_machine(world, machine);
	metrics_pumped(world, machine);
}

void machine_expect(const struct sim_machine *machine)
{
	CACHE_EXPECT(machine, node, ticks);
}

void machine_tick(struct world *world, struct sim_machine *machine)
{
	/* One that an earlier deadline has overtaken, or of a process that is gone. */
	if (world->now_us != machine->tick_at_us)
		return;
	world->totals.events++;
	machine->tick_at_us = INT64_MAX;
	machine->ticks = machine->ticked_at_us == world->now_us ? machine->ticks + 1 : 1;
	machine->ticked_at_us = world->now_us;
	if (machine->ticks > TICKS_MAX)
		world_violate(world, NULL, "%s wants to be called at a moment that has passed",
			      machine->name);
	/* The deadline may have moved since. */
	if (mono_reached(machine_now(world, machine), node_deadline(machine->node)))
		machine_call(machine, node_tick(machine->node, machine_now(world, machine)));
	machine_pump(world, machine);
}
