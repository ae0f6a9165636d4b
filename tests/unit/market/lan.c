/* SPDX-License-Identifier: Apache-2.0 */
#include "lan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "market/tender.h"

enum packet_kind {
	PACKET_MESSAGE,
	PACKET_DEPLOYED,
	PACKET_START_FAILED,
	PACKET_ENDED,
};

struct lan_packet {
	struct lan_packet *next;
	struct mono at;
	uint64_t order;
	enum packet_kind kind;
	size_t from, to;
	struct message message;
	struct uid pod_uid;
};

const char lan_manifest[] = "{\"kind\":\"Deployment\"}";

uint64_t lan_random(struct lan *lan, uint64_t below)
{
	uint64_t z = lan->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return below ? (z ^ z >> 31) % below : 0;
}

void lan_init(struct lan *lan, size_t nodes, uint64_t seed)
{
	memset(lan, 0, sizeof(*lan));
	lan->node_count = nodes;
	lan->random = seed;
	lan->delay_us_min = lan->delay_us_max = 1000;
	lan->start_us = 20 * US_PER_MS;
	lan->stop_us = 10 * US_PER_MS;
	for (size_t i = 0; i < nodes; i++) {
		struct market_config config = {.seed = seed * 1000 + i};

		memset(config.self.byte, (int)i + 1, sizeof(config.self.byte));
		lan->ids[i] = config.self;
		lan->markets[i] = market_new(&config);
	}
}

static void packet_free(struct lan_packet *packet)
{
	message_deinit(&packet->message);
	free(packet);
}

void lan_deinit(struct lan *lan)
{
	while (lan->packets) {
		struct lan_packet *packet = lan->packets;

		lan->packets = packet->next;
		packet_free(packet);
	}
	for (size_t i = 0; i < lan->node_count; i++)
		market_free(lan->markets[i]);
	buf_deinit(&lan->story);
}

struct market_machine lan_machine(int64_t cpu_milli, int64_t memory_bytes)
{
	static const char *const engines[] = {"crun"};

	return (struct market_machine){
		.cpu_milli = cpu_milli,
		.memory_bytes = memory_bytes,
		.pods_max = 110,
		.schedulable = true,
		.engines = engines,
		.engine_count = 1,
		.architecture = "amd64",
		.reliability = 1000,
	};
}

void lan_machines(struct lan *lan, int64_t cpu_milli, int64_t memory_bytes)
{
	struct market_machine machine = lan_machine(cpu_milli, memory_bytes);

	for (size_t i = 0; i < lan->node_count; i++)
		market_set_machine(lan->markets[i], lan->now, &machine);
	lan_settle(lan);
}

struct uid lan_object(uint8_t object)
{
	struct uid uid;

	memset(uid.byte, object, sizeof(uid.byte));
	return uid;
}

static size_t index_of(const struct lan *lan, const struct node_id *id)
{
	for (size_t i = 0; i < lan->node_count; i++)
		if (node_id_equal(&lan->ids[i], id))
			return i;
	assert(false && "a node of this lan");
	return 0;
}

/* ---- tenders ---- */

struct digest lan_tender_id(const struct lan_tender *tender)
{
	struct uid uid = lan_object(tender->object);
	uint32_t slots[MESSAGE_SLOTS_MAX];

	for (uint32_t i = 0; i < tender->count; i++)
		slots[i] = tender->first + i;
	return tender_id(&uid, 1, tender->attempt, slots, tender->count);
}

void lan_make_tender(const struct lan_tender *from, struct message *ret_message)
{
	struct tender tender = {
		.id = lan_tender_id(from),
		.object.uid = lan_object(from->object),
		.object.namespace = mem_strdup("default"),
		.object.kind = mem_strdup("Deployment"),
		.object.name = mem_strdup("web"),
		.generation = 1,
		.attempt = from->attempt,
		.slots = mem_alloc(from->count, sizeof(*tender.slots)),
		.slot_count = from->count,
		.priority = from->priority,
		.preemptible = from->preemptible,
	};

	requirements_copy(from->needs ? from->needs : &(struct requirements){0}, &tender.needs);
	tender.needs.cpu_milli = from->cpu_milli ? from->cpu_milli : 100;
	tender.needs.memory_bytes = 64 << 20;
	for (uint32_t i = 0; i < from->count; i++)
		tender.slots[i] = from->first + i;
	if (from->excluded) {
		tender.excluded = mem_new(struct node_id);
		tender.excluded[0] = *from->excluded;
		tender.excluded_count = 1;
	}
	crypto_hash_sha256(tender.manifest_digest.byte, (const uint8_t *)lan_manifest,
			   strlen(lan_manifest));
	*ret_message = (struct message){.type = MESSAGE_TENDER, .tender = tender};
}

int lan_open(struct lan *lan, size_t owner, const struct lan_tender *from)
{
	struct message message;
	struct buf envelope = {0};
	struct market_request request;
	int r;

	lan_make_tender(from, &message);
	message_encode(&message, &envelope);
	request = (struct market_request){
		.tender = &message.tender,
		.tender_envelope = bytes_buf(&envelope),
		.manifest = bytes_str(lan_manifest),
		.pod_name_base = "web",
		.together = from->together,
	};
	r = market_open(lan->markets[owner], lan->now, &request);
	buf_deinit(&envelope);
	message_deinit(&message);
	lan_settle(lan);
	return r;
}

/* ---- the network ---- */

static struct lan_packet *packet_add(struct lan *lan, struct mono at, enum packet_kind kind)
{
	struct lan_packet *packet = mem_new(struct lan_packet);
	struct lan_packet **place = &lan->packets;

	packet->at = at;
	packet->kind = kind;
	packet->order = lan->order++;
	while (*place && (*place)->at.us <= at.us)
		place = &(*place)->next;
	packet->next = *place;
	*place = packet;
	return packet;
}

static int64_t some_delay(struct lan *lan)
{
	int64_t spread = lan->delay_us_max - lan->delay_us_min + 1;

	return lan->delay_us_min + (int64_t)lan_random(lan, (uint64_t)spread);
}

static void send_once(struct lan *lan, size_t from, size_t to, const struct message *message)
{
	struct mono at = from == to ? lan->now : mono_add_us(lan->now, some_delay(lan));
	struct lan_packet *packet = packet_add(lan, at, PACKET_MESSAGE);

	packet->from = from;
	packet->to = to;
	message_copy(message, &packet->message);
}

static void send(struct lan *lan, size_t from, size_t to, const struct message *message)
{
	if (from != to) {
		if (lan->cut[from][to] || lan->drop[from] == message->type)
			return;
		if (lan_random(lan, 1000) < lan->loss)
			return;
		if (lan_random(lan, 1000) < lan->duplication)
			send_once(lan, from, to, message);
	}
	send_once(lan, from, to, message);
}

void lan_show(struct lan *lan, size_t from, const struct market_effect *effect, size_t first,
	      size_t count, struct market_reach reach)
{
	struct message message;
	struct digest id = effect->tender_id;
	enum market_stage stage = effect->stage;
	int r = message_decode(effect->envelope, &message);

	assert(r == 0);
	for (size_t i = first; i < first + count; i++) {
		if (lan->down[i])
			continue;
		send(lan, from, i, &message);
		reach.count++;
	}
	message_deinit(&message);
	market_asked(lan->markets[from], lan->now, &id, stage, &reach);
}

static void ask_all(struct lan *lan, size_t from, const struct market_effect *effect)
{
	lan_show(lan, from, effect, 0, lan->node_count, (struct market_reach){.everyone = true});
}

/* ---- hosts ---- */

struct lan_pod *lan_find_pod(struct lan *lan, const struct uid *uid)
{
	for (size_t i = 0; i < lan->pod_count; i++)
		if (uid_equal(&lan->pods[i].uid, uid))
			return &lan->pods[i];
	return NULL;
}

static void start_pods(struct lan *lan, size_t node, const struct market_effect *effect)
{
	const struct award *award = &effect->message->award;

	for (size_t i = 0; i < award->assignment_count; i++) {
		bool fails = lan_random(lan, 1000) < lan->start_failures;
		struct lan_packet *packet =
			packet_add(lan, mono_add_us(lan->now, lan->start_us),
				   fails ? PACKET_START_FAILED : PACKET_DEPLOYED);

		assert(lan->pod_count < LAN_PODS_MAX);
		assert(!lan_find_pod(lan, &award->assignments[i].pod_uid));
		packet->to = node;
		packet->pod_uid = award->assignments[i].pod_uid;
		lan->pods[lan->pod_count++] = (struct lan_pod){
			.uid = award->assignments[i].pod_uid,
			.object_uid = effect->object_uid,
			.tender_id = award->tender_id,
			.node = node,
			.slot = award->assignments[i].slot,
		};
	}
}

static void stop_pod(struct lan *lan, size_t node, const struct uid *uid)
{
	struct lan_pod *pod = lan_find_pod(lan, uid);
	struct lan_packet *packet;

	assert(pod && pod->node == node);
	if (pod->state == LAN_POD_ENDED)
		return;
	pod->state = LAN_POD_STOPPING;
	packet = packet_add(lan, mono_add_us(lan->now, lan->stop_us), PACKET_ENDED);
	packet->to = node;
	packet->pod_uid = *uid;
}

/* ---- effects ---- */

static void tell(struct lan *lan, const char *format, ...) _printf_(2, 3);
static void tell(struct lan *lan, const char *format, ...)
{
	char line[200];
	va_list args;

	if (!lan->tell)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buf_append_format(&lan->story, "[%4lld] %s\n", (long long)(lan->now.us / US_PER_MS), line);
}

static void carry_out(struct lan *lan, size_t node, const struct market_effect *effect)
{
	switch (effect->type) {
	case MARKET_ASK:
		(lan->ask ? lan->ask : ask_all)(lan, node, effect);
		break;
	case MARKET_SEND:
		send(lan, node, index_of(lan, &effect->to), effect->message);
		break;
	case MARKET_START:
		tell(lan, "n%zu starts %zu", node, effect->message->award.assignment_count);
		start_pods(lan, node, effect);
		break;
	case MARKET_STOP:
		tell(lan, "n%zu stops slot %u: %s", node, effect->slot, effect->text);
		stop_pod(lan, node, &effect->pod_uid);
		break;
	case MARKET_PLACED:
		tell(lan, "n%zu placed slot %u on n%zu", node, effect->slot,
		     index_of(lan, &effect->to));
		lan->placed++;
		break;
	case MARKET_FAILED:
		tell(lan, "n%zu lost slot %u on n%zu: %s", node, effect->slot,
		     index_of(lan, &effect->to), effect->text);
		lan->failed++;
		break;
	case MARKET_CLOSED:
		tell(lan, "n%zu closed, %zu unplaced", node, effect->slot_count);
		lan->closed++;
		lan->unplaced += effect->slot_count;
		break;
	case MARKET_ROOM:
		lan->rooms++;
		break;
	case MARKET_FREED:
		lan->freed++;
		break;
	}
}

void lan_settle(struct lan *lan)
{
	for (size_t i = 0; i < lan->node_count; i++) {
		const struct market_effect *effect;

		while (!lan->down[i] && (effect = market_next_effect(lan->markets[i])) != NULL)
			carry_out(lan, i, effect);
	}
	if (lan->check)
		lan->check(lan);
}

int lan_deliver_as(struct lan *lan, size_t from, size_t to, const struct message *message,
		   bool encodable)
{
	struct buf envelope = {0};
	struct market_facts facts = {
		.steward = !lan->not_steward,
		.deleted = lan->deleted,
		.runs = lan->runs && message->type == MESSAGE_AWARD,
		.referred = lan->referred && message->type == MESSAGE_TENDER,
		.rtt_us = from == to ? 0 : lan->delay_us_min * 2,
	};
	int r;

	if (encodable)
		message_encode(message, &envelope);
	facts.envelope = bytes_buf(&envelope);
	tell(lan, "n%zu -> n%zu %s", from, to, message_type_name(message->type));
	r = market_receive(lan->markets[to], lan->now, &lan->ids[from], message, &facts);
	buf_deinit(&envelope);
	lan_settle(lan);
	return r;
}

int lan_deliver(struct lan *lan, size_t from, size_t to, const struct message *message)
{
	return lan_deliver_as(lan, from, to, message, true);
}

static void arrive(struct lan *lan, struct lan_packet *packet)
{
	struct market *market = lan->markets[packet->to];
	struct lan_pod *pod = lan_find_pod(lan, &packet->pod_uid);

	if (lan->down[packet->to])
		return;
	switch (packet->kind) {
	case PACKET_MESSAGE:
		(void)lan_deliver(lan, packet->from, packet->to, &packet->message);
		break;
	case PACKET_DEPLOYED:
		if (pod->state != LAN_POD_STARTING)
			break;
		pod->state = LAN_POD_RUNNING;
		market_pod_deployed(market, lan->now, &packet->pod_uid);
		break;
	case PACKET_START_FAILED:
		if (pod->state == LAN_POD_ENDED)
			break;
		pod->state = LAN_POD_ENDED;
		market_pod_failed(market, lan->now, &packet->pod_uid, "it does not start");
		break;
	case PACKET_ENDED:
		if (pod->state == LAN_POD_ENDED)
			break;
		pod->state = LAN_POD_ENDED;
		market_pod_ended(market, lan->now, &packet->pod_uid);
		break;
	}
	lan_settle(lan);
}

static struct mono next_time(const struct lan *lan)
{
	struct mono next = lan->packets ? lan->packets->at : MONO_NEVER;

	for (size_t i = 0; i < lan->node_count; i++)
		if (!lan->down[i])
			next = mono_min(next, market_deadline(lan->markets[i]));
	return next;
}

void lan_run(struct lan *lan, int64_t ms)
{
	struct mono end = mono_add_ms(lan->now, ms);

	for (;;) {
		struct mono next = next_time(lan);

		if (next.us > end.us)
			break;
		if (next.us > lan->now.us)
			lan->now = next;
		if (lan->packets && mono_reached(lan->now, lan->packets->at)) {
			struct lan_packet *packet = lan->packets;

			lan->packets = packet->next;
			arrive(lan, packet);
			packet_free(packet);
			continue;
		}
		for (size_t i = 0; i < lan->node_count; i++)
			if (!lan->down[i])
				market_tick(lan->markets[i], lan->now);
		lan_settle(lan);
	}
	lan->now = end;
}

void lan_crash(struct lan *lan, size_t node)
{
	lan->down[node] = true;
	for (size_t i = 0; i < lan->pod_count; i++)
		if (lan->pods[i].node == node)
			lan->pods[i].state = LAN_POD_ENDED;
	for (size_t i = 0; i < lan->node_count; i++)
		if (!lan->down[i])
			market_peer_lost(lan->markets[i], lan->now, &lan->ids[node]);
	lan_settle(lan);
}

static bool is_alive(const struct lan_pod *pod, uint8_t object)
{
	struct uid uid = lan_object(object);

	return (pod->state == LAN_POD_STARTING || pod->state == LAN_POD_RUNNING) &&
	       uid_equal(&pod->object_uid, &uid);
}

size_t lan_alive(const struct lan *lan, uint8_t object)
{
	size_t count = 0;

	for (size_t i = 0; i < lan->pod_count; i++)
		count += is_alive(&lan->pods[i], object);
	return count;
}

size_t lan_alive_on(const struct lan *lan, uint8_t object, size_t node)
{
	size_t count = 0;

	for (size_t i = 0; i < lan->pod_count; i++)
		count += is_alive(&lan->pods[i], object) && lan->pods[i].node == node;
	return count;
}

size_t lan_alive_in_slot(const struct lan *lan, uint8_t object, uint32_t slot)
{
	size_t count = 0;

	for (size_t i = 0; i < lan->pod_count; i++)
		count += is_alive(&lan->pods[i], object) && lan->pods[i].slot == slot;
	return count;
}
