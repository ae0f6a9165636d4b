/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "identity/sha256.h"

enum {
	SEAL_HASH_LEN = 8,
	SEAL_HEAD_LEN = SEAL_HASH_LEN + ID_LEN + 8 + NODE_TRUST_NONCE_LEN,
	FRESH_MS = 30000,
};

enum event_type { EVENT_PACKET, EVENT_STATUS };

struct event_entry {
	struct list link;
	struct mono at;
	enum event_type type;
	size_t from, to;
	struct buf packet;
	struct presence status;
};

static struct world *world_of(const struct machine *machine)
{
	return machine->world;
}

/* ---- the stand-in for identity: hash(secret, body) | issuer | time | nonce | payload */

static void seal_hash(struct bytes body, uint8_t out[SEAL_HASH_LEN])
{
	struct digest digest = sha256(body);

	memcpy(out, digest.byte, SEAL_HASH_LEN);
}

static void seal_as(struct world *world, const struct node_id *issuer, struct wall at,
		    struct bytes payload, struct buf *out)
{
	struct buf body = {0};
	uint8_t hash[SEAL_HASH_LEN], nonce[NODE_TRUST_NONCE_LEN] = {0};

	world->serial++;
	memcpy(nonce, &world->serial, sizeof(world->serial));
	buf_append(&body, issuer->byte, ID_LEN);
	buf_append(&body, &at.ms, sizeof(at.ms));
	buf_append(&body, nonce, sizeof(nonce));
	buf_append_bytes(&body, payload);
	seal_hash(bytes_buf(&body), hash);
	buf_append(out, hash, sizeof(hash));
	buf_append_bytes(out, bytes_buf(&body));
	buf_deinit(&body);
}

static void trust_seal(void *self, struct wall now, struct bytes payload, struct buf *out)
{
	struct machine *machine = self;
	struct message message;

	seal_as(world_of(machine), &machine->id, now, payload, out);
	if (message_decode(payload, &message) != 0)
		return;
	if (message.type == MESSAGE_TENDER) {
		buf_clear(&machine->last_tender);
		buf_append_bytes(&machine->last_tender, bytes_buf(out));
	}
	message_deinit(&message);
}

static size_t index_of(const struct world *world, const struct node_id *id)
{
	for (size_t i = 0; i < world->count; i++)
		if (node_id_equal(&world->machines[i].id, id))
			return i;
	return world->count;
}

static bool knows(struct machine *machine, const struct node_id *id)
{
	struct world *world = world_of(machine);
	size_t self = index_of(world, &machine->id), of = index_of(world, id);

	return of == self || of == world->count || world->known[self][of];
}

static int trust_open(void *self, struct wall now, struct bytes envelope, struct node_signed *ret)
{
	uint8_t hash[SEAL_HASH_LEN];
	const uint8_t *at = envelope.ptr + SEAL_HASH_LEN;

	if (envelope.len < SEAL_HEAD_LEN)
		return NODE_TRUST_E_MALFORMED;
	seal_hash(bytes_of(at, envelope.len - SEAL_HASH_LEN), hash);
	if (memcmp(hash, envelope.ptr, sizeof(hash)) != 0)
		return NODE_TRUST_E_SIGNATURE;
	memcpy(ret->issuer.byte, at, ID_LEN);
	memcpy(ret->leaf.byte, at, ID_LEN);
	memcpy(&ret->signed_at.ms, at + ID_LEN, 8);
	memcpy(ret->nonce, at + ID_LEN + 8, sizeof(ret->nonce));
	ret->payload = bytes_of(envelope.ptr + SEAL_HEAD_LEN, envelope.len - SEAL_HEAD_LEN);
	return knows(self, &ret->issuer) ? 0 : NODE_TRUST_E_LEAF;
}

static int trust_fresh(void *self, struct wall now, const struct node_signed *opened)
{
	struct machine *machine = self;
	uint64_t nonce;

	if (llabs(now.ms - opened->signed_at.ms) > FRESH_MS)
		return NODE_TRUST_E_STALE;
	memcpy(&nonce, opened->nonce, sizeof(nonce));
	for (size_t i = 0; i < machine->seen_count; i++)
		if (machine->seen[i] == nonce)
			return NODE_TRUST_E_REPLAY;
	assert(machine->seen_count < WORLD_SEEN_MAX);
	machine->seen[machine->seen_count++] = nonce;
	return 0;
}

static bool trust_is_steward(void *self, struct wall at, const struct digest *leaf,
			     const char *namespace)
{
	struct world *world = world_of(self);

	for (size_t i = 0; i < world->count; i++)
		if (memcmp(world->machines[i].id.byte, leaf->byte, ID_LEN) == 0)
			return world->machines[i].steward &&
			       (!world->machines[i].namespace ||
				strcmp(world->machines[i].namespace, namespace) == 0);
	return false;
}

/* The first machine lets the others in. */
static bool trust_is_admitter(void *self, struct wall at, const struct digest *leaf)
{
	return memcmp(world_of(self)->machines[0].id.byte, leaf->byte, ID_LEN) == 0;
}

static bool trust_leaf_get(void *self, const struct digest *leaf, struct leaf *ret_leaf)
{
	struct node_id id;

	memcpy(id.byte, leaf->byte, ID_LEN);
	if (!knows(self, &id))
		return false;
	*ret_leaf = (struct leaf){.cert_count = 1};
	buf_append(&ret_leaf->certs[0], leaf->byte, ID_LEN);
	return true;
}

static bool trust_leaf_add(void *self, struct wall now, const struct leaf *leaf)
{
	struct machine *machine = self;
	struct world *world = world_of(machine);
	struct node_id id;
	size_t of;

	if (leaf->cert_count != 1 || leaf->certs[0].len != ID_LEN)
		return false;
	memcpy(id.byte, leaf->certs[0].ptr, ID_LEN);
	of = index_of(world, &id);
	if (of < world->count)
		world->known[index_of(world, &machine->id)][of] = true;
	return of < world->count;
}

static const struct node_trust_ops trust_ops = {
	.seal = trust_seal,
	.open = trust_open,
	.fresh = trust_fresh,
	.is_steward = trust_is_steward,
	.is_admitter = trust_is_admitter,
	.leaf_get = trust_leaf_get,
	.leaf_add = trust_leaf_add,
};

/* ---- the queue of what is on its way */

static void event_free(struct event_entry *event)
{
	list_remove(&event->link);
	buf_deinit(&event->packet);
	presence_deinit(&event->status);
	free(event);
}

/* In the order in which they are due; of equals the first one first. */
static struct event_entry *event_add(struct world *world, int64_t delay_ms, enum event_type type)
{
	struct event_entry *event = mem_new(struct event_entry);
	struct list *after = world->events->prev;

	event->type = type;
	event->at = mono_add_ms(world->now, delay_ms);
	while (after != world->events &&
	       list_entry(after, struct event_entry, link)->at.us > event->at.us)
		after = after->prev;
	list_append(after->next, &event->link);
	return event;
}

static struct event_entry *event_first(struct world *world)
{
	return list_first(world->events, struct event_entry, link);
}

static void status(struct world *world, size_t machine, int64_t delay_ms, const struct uid *pod_uid,
		   enum pod_phase phase)
{
	struct event_entry *event = event_add(world, delay_ms, EVENT_STATUS);

	event->to = machine;
	event->status.pod_uid = *pod_uid;
	event->status.phase = phase;
	event->status.ready = phase == POD_RUNNING;
	event->status.started_ms = phase == POD_RUNNING;
	event->status.pod_name = mem_strdup("");
	event->status.node_name = mem_strdup("");
	event->status.reason = mem_strdup("");
	event->status.message = mem_strdup("");
	event->status.pod_ip = mem_strdup("");
	event->status.host_ip = mem_strdup("");
	event->status.object.namespace = mem_strdup("");
	event->status.object.kind = mem_strdup("");
	event->status.object.name = mem_strdup("");
}

static void connect_pair(struct world *world, size_t from, size_t to)
{
	struct machine *a = &world->machines[from], *b = &world->machines[to];
	struct node_peer a_sees = {.id = b->id, .steward = b->steward};
	struct node_peer b_sees = {.id = a->id, .steward = a->steward};

	if (world->cut[from][to] || !a->up || !b->up || world->linked[from][to])
		return;
	/* As the handshake would. */
	if (node_is_revoked(a->node, &b->id) || node_is_revoked(b->node, &a->id)) {
		node_disconnected(a->node, world->now, &b->id,
				  &overlay_self(node_overlay(b->node))->addr);
		return;
	}
	world->linked[from][to] = world->linked[to][from] = true;
	world->known[from][to] = world->known[to][from] = true;
	world->dials++;
	a_sees.addr = overlay_self(node_overlay(b->node))->addr;
	b_sees.addr = overlay_self(node_overlay(a->node))->addr;
	node_connected(a->node, world->now, &a_sees);
	node_connected(b->node, world->now, &b_sees);
}

static size_t index_of_addr(const struct world *world, const struct addr *addr)
{
	return addr->port < 1000 ? world->count : (size_t)addr->port - 1000;
}

static void note_leaf(struct machine *machine, const struct node_effect *effect)
{
	if (effect->type != NODE_LEAF_WANTED && effect->type != NODE_LEAF_CAME)
		return;
	machine->leaf_request = effect->token;
	if (effect->type == NODE_LEAF_WANTED) {
		machine->leaf_wants++;
		machine->leaf_to = effect->to;
		machine->leaf_key = effect->key_of_pod;
		machine->leaf_of_application = effect->of_application;
		(void)snprintf(machine->leaf_pod, sizeof(machine->leaf_pod), "%s",
			       effect->warrant->pod_name);
	} else {
		machine->leaf_answers++;
		machine->leaf_certs = effect->leaf->chain.cert_count;
		(void)snprintf(machine->leaf_refusal, sizeof(machine->leaf_refusal), "%s",
			       effect->leaf->text);
	}
}

static void carry_out(struct world *world, size_t machine, const struct node_effect *effect)
{
	struct event_entry *event;
	size_t to = index_of(world, &effect->to);

	switch (effect->type) {
	case NODE_SEND:
		if (to < world->count && !world->linked[machine][to] &&
		    index_of_addr(world, &effect->addr) == to)
			connect_pair(world, machine, to);
		if (to == world->count || world->cut[machine][to] || !world->linked[machine][to])
			return;
		event = event_add(world, WORLD_DELAY_MS, EVENT_PACKET);
		event->from = machine;
		event->to = to;
		buf_append_bytes(&event->packet, effect->packet);
		return;
	case NODE_CLOSE:
	case NODE_CUT:
		if (to < world->count && world->machines[to].up && world->linked[machine][to]) {
			world->linked[machine][to] = world->linked[to][machine] = false;
			node_disconnected(world->machines[machine].node, world->now,
					  &world->machines[to].id, &(struct addr){0});
			node_disconnected(world->machines[to].node, world->now,
					  &world->machines[machine].id, &(struct addr){0});
		}
		return;
	case NODE_DIAL:
		to = index_of_addr(world, &effect->addr);
		if (to < world->count)
			connect_pair(world, machine, to);
		else
			node_disconnected(world->machines[machine].node, world->now, &effect->to,
					  &effect->addr);
		return;
	case NODE_PERSIST:
		node_persisted(world->machines[machine].node, world->now, &effect->key,
			       &effect->version, true);
		return;
	case NODE_START:
		for (size_t i = 0; i < effect->award->assignment_count; i++)
			status(world, machine, WORLD_START_MS,
			       &effect->award->assignments[i].pod_uid, POD_RUNNING);
		world->machines[machine].starts += effect->award->assignment_count;
		return;
	case NODE_STOP:
		status(world, machine, WORLD_START_MS, &effect->pod_uid, POD_GONE);
		world->machines[machine].stops++;
		return;
	case NODE_PUT_DONE:
		world->machines[machine].stored = effect->stored;
		world->machines[machine].keepers = effect->keepers;
		return;
	case NODE_RESUME:
	case NODE_NOTE:
	case NODE_REVOKED:
	case NODE_FORGET:
	case NODE_CHANGED:
	case NODE_TOLD:
	case NODE_LOST:
	case NODE_PEER:
	case NODE_REFUSED:
	case NODE_STEPPED:
	case NODE_LOCATED:
	case NODE_FETCHED:
	case NODE_REFRESHED:
	case NODE_FOUND ... NODE_AGENTS:
		note_leaf(&world->machines[machine], effect);
		return;
	}
}

static void drain(struct world *world)
{
	for (size_t i = 0; i < world->count; i++) {
		const struct node_effect *effect;

		while (world->machines[i].up &&
		       (effect = node_next_effect(world->machines[i].node)) != NULL)
			carry_out(world, i, effect);
	}
}

static struct mono next_time(struct world *world)
{
	const struct event_entry *first = event_first(world);
	struct mono next = first ? first->at : MONO_NEVER;

	for (size_t i = 0; i < world->count; i++)
		if (world->machines[i].up)
			next = mono_min(next, node_deadline(world->machines[i].node));
	return next;
}

static void step(struct world *world)
{
	struct event_entry *event = event_first(world);

	if (event && mono_reached(world->now, event->at)) {
		struct machine *to = &world->machines[event->to];

		if (to->up && event->type == EVENT_PACKET && !world->cut[event->from][event->to])
			node_receive(to->node, world->now, &world->machines[event->from].id,
				     bytes_buf(&event->packet));
		else if (to->up && event->type == EVENT_STATUS)
			node_pod_status(to->node, world->now, &event->status);
		event_free(event);
	} else {
		for (size_t i = 0; i < world->count; i++)
			if (world->machines[i].up &&
			    mono_reached(world->now, node_deadline(world->machines[i].node)))
				node_tick(world->machines[i].node, world->now);
	}
	drain(world);
}

void world_run_ms(struct world *world, int64_t ms)
{
	struct mono end = mono_add_ms(world->now, ms), next;

	drain(world);
	while ((next = next_time(world)).us <= end.us) {
		if (next.us > world->now.us)
			world->now = next;
		step(world);
	}
	world->now = end;
}

static void machine_start(struct world *world, size_t i)
{
	static const char *const engines[] = {"crun"};
	struct machine *machine = &world->machines[i];
	char name[16];
	struct node_config config = {
		.seed = 100 + i,
		.steward = machine->steward,
		.fabric = {1700000000000},
		.trust = {.ops = &trust_ops, .self = machine},
		.pool = world->pool,
		.records_stay = world->records_stay,
		.journal = true,
	};
	struct node_facts facts = {.schedulable = true, .pods_max = 110};
	struct market_machine offer = {
		.cpu_milli = machine->cpu_milli ? machine->cpu_milli : 4000,
		.labels = &machine->label,
		.label_count = machine->label.key != NULL,
		.memory_bytes = (int64_t)4 << 30,
		.pods_max = 110,
		.schedulable = true,
		.engines = engines,
		.engine_count = 1,
		.architecture = "amd64",
		.reliability = 1000,
	};

	(void)snprintf(name, sizeof(name), "m%zu", i + 1);
	config.self = (struct member){
		.id = machine->id, .name = name, .incarnation = 1, .steward = machine->steward};
	(void)!addr_parse_ip("10.0.0.1", (uint16_t)(1000 + i), &config.self.addr);
	memcpy(config.leaf.byte, machine->id.byte, ID_LEN);
	machine->node = node_new(&config, world->now);
	machine->up = true;
	facts.id = machine->id;
	facts.name = name;
	facts.addr = config.self.addr;
	node_set_machine(machine->node, world->now, &facts, &offer);
}

struct world *world_new(size_t count)
{
	struct world *world = mem_new(struct world);

	world->events = mem_new(struct list);
	list_init(world->events);
	world->count = count;
	world->now.us = 1000000;
	for (size_t i = 0; i < count; i++) {
		world->machines[i].world = world;
		world->machines[i].steward = true;
		memset(world->machines[i].id.byte, (int)(i + 1) * 17, ID_LEN);
	}
	return world;
}

void world_settle(struct world *world)
{
	for (size_t i = 0; i < world->count; i++)
		machine_start(world, i);
	for (size_t i = 1; i < world->count; i++)
		node_bootstrap(world->machines[i].node, world->now,
			       &overlay_self(node_overlay(world->machines[0].node))->addr);
	world_run_ms(world, 2000);
}

void world_free(struct world *world)
{
	list_for_each_safe (it, world->events)
		event_free(list_entry(it, struct event_entry, link));
	for (size_t i = 0; i < world->count; i++) {
		node_free(world->machines[i].node);
		buf_deinit(&world->machines[i].last_tender);
	}
	free(world->events);
	free(world);
}

void world_crash(struct world *world, size_t machine)
{
	struct machine *gone = &world->machines[machine];
	struct addr addr = overlay_self(node_overlay(gone->node))->addr;

	gone->up = false;
	for (size_t i = 0; i < world->count; i++) {
		world->linked[i][machine] = world->linked[machine][i] = false;
		if (world->machines[i].up)
			node_disconnected(world->machines[i].node, world->now, &gone->id, &addr);
	}
}

static struct uid next_uid(const struct world *world)
{
	uint32_t next = (uint32_t)world->serial + 1;
	uint8_t random[UID_LEN];

	memset(random, (int)(next & 0x7f), sizeof(random));
	memcpy(random + UID_LEN - sizeof(next), &next, sizeof(next)); /* or it might come again */
	return uid_from_random(random);
}

size_t world_next_controller(const struct world *world)
{
	struct uid uid = next_uid(world);
	struct node_id id = records_controller(node_records(world->machines[0].node), &uid);
	size_t machine = 0;

	while (!node_id_equal(node_self(world->machines[machine].node), &id))
		machine++;
	return machine;
}

struct uid world_deploy(struct world *world, size_t gateway, uint32_t replicas)
{
	return world_deploy_spec(world, gateway, replicas, "");
}

struct uid world_deploy_spec(struct world *world, size_t gateway, uint32_t replicas,
			     const char *spec)
{
	struct object_ref object = {.namespace = (char[]){"default"},
				    .kind = (char[]){"ReplicaSet"},
				    .name = (char[]){"web"}};
	struct node_put put = {.object = &object, .generation = 1};
	struct buf json = {0};
	uint64_t token, hlc;

	object.uid = next_uid(world);
	world->serial++;
	buf_append_format(
		&json,
		"{\"apiVersion\":\"apps/"
		"v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"web\","
		"\"namespace\":\"default\",\"uid\":\"%s\",\"generation\":1},\"spec\":{\"replicas\":"
		"%u,"
		"\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{"
		"\"labels\":{\"app\":\"web\"}},\"spec\":{%s\"containers\":[{\"name\":\"web\","
		"\"image\":"
		"\"web:1\",\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}}"
		"}",
		uid_text(&object.uid).text, replicas, spec);
	put.json = bytes_buf(&json);
	if (node_put(world->machines[gateway].node, world->now, &put, &token, &hlc) != 0)
		abort();
	buf_deinit(&json);
	return object.uid;
}

void world_delete(struct world *world, size_t gateway, const struct uid *uid)
{
	struct object_ref object = {.uid = *uid,
				    .namespace = (char[]){"default"},
				    .kind = (char[]){"ReplicaSet"},
				    .name = (char[]){"web"}};
	struct uid none = {0};
	uint64_t token;

	if (node_dispose(world->machines[gateway].node, world->now, &object, &none, 1, &token) != 0)
		abort();
}

size_t world_running(const struct world *world, size_t observer, const struct uid *uid,
		     size_t *ret_machines)
{
	const struct records *records = node_records(world->machines[observer].node);
	const struct record_item *item;
	bool used[WORLD_NODES_MAX] = {false};
	size_t position = 0, running = 0, machines = 0;

	while ((item = records_next(records, RECORD_PRESENCE, NULL, uid, &position))) {
		struct presence pod;

		if (presence_decode(bytes_buf(&item->record.value), &pod) != 0)
			abort();
		if (pod.phase == POD_RUNNING && !pod.terminating) {
			running++;
			machines += !used[index_of(world, &pod.node)];
			used[index_of(world, &pod.node)] = true;
		}
		presence_deinit(&pod);
	}
	if (ret_machines)
		*ret_machines = machines;
	return running;
}

void world_seal_payload(struct world *world, size_t machine, int64_t ago_ms, struct bytes payload,
			struct buf *ret_envelope)
{
	struct wall at = node_fabric_time(world->machines[machine].node, world->now);

	at.ms -= ago_ms;
	seal_as(world, &world->machines[machine].id, at, payload, ret_envelope);
}

void world_seal(struct world *world, size_t machine, int64_t ago_ms, const struct message *message,
		struct buf *ret_envelope)
{
	struct buf payload = {0};

	message_encode(message, &payload);
	world_seal_payload(world, machine, ago_ms, bytes_buf(&payload), ret_envelope);
	buf_deinit(&payload);
}

void world_packet(struct world *world, size_t from, size_t to, struct bytes packet)
{
	node_receive(world->machines[to].node, world->now, &world->machines[from].id, packet);
	drain(world);
}

void world_inject(struct world *world, size_t from, size_t to, struct bytes envelope)
{
	struct packet packet = {.is_envelope = true, .body = envelope};
	struct buf bytes = {0};

	packet_encode(&packet, &bytes);
	world_packet(world, from, to, bytes_buf(&bytes));
	buf_deinit(&bytes);
}
