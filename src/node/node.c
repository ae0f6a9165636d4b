/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame: creation, the effects queue, and the pump that carries one core's effects to the next
 * until all are quiet. Everything a function of this node causes is finished when it returns,
 * except what the caller must carry out.
 */
#include "node/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/fault.h"
#include "base/mem.h"
#include "market/college.h"

enum {
	NODE_SEED = 0x6e6f6465, /* the cores are seeded with the same number */
};

static const char *const counter_names[NODE_COUNTER_COUNT] = {
	[NODE_COUNT_PACKETS_MALFORMED] = "packets_malformed",
	[NODE_COUNT_PACKETS_UNKNOWN] = "packets_unknown",
	[NODE_COUNT_SIGNATURE] = "refused_signature",
	[NODE_COUNT_STALE] = "refused_stale",
	[NODE_COUNT_REPLAY] = "refused_replay",
	[NODE_COUNT_CERTIFICATE] = "refused_certificate",
	[NODE_COUNT_LEAF_MISSING] = "refused_unknown_issuer",
	[NODE_COUNT_ACCUSED] = "machines_accused",
	[NODE_COUNT_ROLE] = "refused_role",
	[NODE_COUNT_AWARD_NO_BID] = "refused_award_without_bid",
	[NODE_COUNT_AWARD_LATE] = "refused_award_late",
	[NODE_COUNT_AWARD_DIGEST] = "refused_award_digest",
	[NODE_COUNT_AWARD_FULL] = "refused_award_full",
	[NODE_COUNT_NOT_OWNER] = "refused_not_owner",
	[NODE_COUNT_DELETED] = "refused_deleted",
	[NODE_COUNT_RECORD_REFUSED] = "refused_record",
	[NODE_COUNT_RATE] = "refused_rate",
	[NODE_COUNT_TENDERS_SEEN] = "tenders_seen",
	[NODE_COUNT_TENDERS_OPENED] = "tenders_opened",
	[NODE_COUNT_BIDS_SENT] = "bids_sent",
	[NODE_COUNT_AWARDS_SENT] = "awards_sent",
	[NODE_COUNT_AWARDS_ACCEPTED] = "awards_accepted",
	[NODE_COUNT_PODS_STARTED] = "pods_started",
	[NODE_COUNT_PODS_FAILED] = "pods_failed",
	[NODE_COUNT_PODS_STOPPED] = "pods_stopped",
	[NODE_COUNT_PODS_RESUMED] = "pods_resumed",
	[NODE_COUNT_PROVIDERS_ASKED_FOR] = "providers_asked_for",
};

struct node *node_new(const struct node_config *config, struct mono now)
{
	struct node *node = mem_new(struct node);
	struct overlay_config overlay = {
		.self = config->self,
		.leaf = config->leaf,
		.seed = config->seed,
		.pool = config->pool,
	};
	struct records_config records = {.self = config->self.id,
					 .keeper = config->steward,
					 .alone = config->records_stay,
					 .seed = config->seed};
	struct market_config market = {.self = config->self.id, .seed = config->seed};

	node->config = *config;
	node->name = mem_strdup(config->self.name);
	node->config.self.name = node->name;
	node->last = now;
	node->facts_due = MONO_NEVER;
	node->started = now;
	node->disown_due = MONO_NEVER;
	node->stay_due = MONO_NEVER;
	node->shows_due = MONO_NEVER;
	node->near_due = MONO_NEVER;
	node->kept_due = MONO_NEVER;
	node->hold_due = config->rebooted ? mono_add_ms(now, NODE_REBOOT_MS) : MONO_NEVER;
	node->hold_until = config->rebooted ? node->hold_due : now;
	node->vouch_due = config->records_stay ? MONO_NEVER : mono_add_ms(now, NODE_VOUCH_MS);
	fabric_time_init(&node->time, now, config->system, &config->kept);
	if (config->fabric.ms)
		fabric_time_set(&node->time, now, config->fabric);
	node->overlay = overlay_new(&overlay, now);
	node->records = records_new(&records);
	records_set_sized(node->records, now, false);
	node->market = market_new(&market);
	node->controller = controller_new(config->seed);
	node_complete_init(node, now);
	map_init(&node->workloads, config->seed);
	map_init(&node->families, config->seed);
	list_init(&node->families_dirty);
	node->families_due = MONO_NEVER;
	node_collect_init(node, now);
	map_init(&node->pods, config->seed);
	map_init(&node->stewards, config->seed);
	map_init(&node->rooms, config->seed);
	map_init(&node->hand_ons, config->seed);
	map_init(&node->referred, config->seed);
	map_init(&node->owner_broadcasts, config->seed);
	map_init(&node->disposals, config->seed);
	map_init(&node->speakers, config->seed);
	map_init(&node->provided, config->seed);
	map_init(&node->leaf_wants, config->seed);
	node_agents_init(node, config->seed);
	revocations_init(&node->revocations, config->seed);
	node->prng = prng_seeded(config->seed ^ NODE_SEED);
	list_init(&node->effects);
	list_init(&node->loopback);
	list_init(&node->parked);
	list_init(&node->letters);
	list_init(&node->locatings);
	list_init(&node->refreshes);
	node_journal_init(node);
	node_index_init(node, now);
	node_doubt_init(node, now);
	node_tenures_init(node);
	map_init(&node->partners, config->seed);
	map_init(&node->watches, config->seed);
	node_stewards_update(node, now);
	node_pump(node, now);
	return node;
}

static void queued_effect_free(struct queued_effect *queued)
{
	if (!queued)
		return;
	buf_deinit(&queued->packet);
	message_deinit(&queued->award);
	record_deinit(&queued->record);
	free(queued->text);
	free(queued->contacts);
	free(queued);
}

void node_free(struct node *node)
{
	if (!node)
		return;
	queued_effect_free(node->current);
	list_for_each_safe (it, &node->effects)
		queued_effect_free(list_entry(it, struct queued_effect, link));
	list_for_each_safe (it, &node->loopback) {
		struct loopback *loop = list_entry(it, struct loopback, link);

		buf_deinit(&loop->packet);
		free(loop);
	}
	list_for_each_safe (it, &node->parked) {
		struct parked *parked = list_entry(it, struct parked, link);

		buf_deinit(&parked->envelope);
		free(parked);
	}
	node_workloads_deinit(node);
	node_families_deinit(node);
	node_collect_deinit(node);
	node_pods_deinit(node);
	node_tenures_deinit(node);
	map_for_each (entry, &node->stewards)
		free(entry->value);
	map_deinit(&node->stewards);
	node_capacity_deinit(node);
	node_stay_deinit(node);
	node_keepers_deinit(node);
	node_refreshes_deinit(node);
	node_journal_deinit(node);
	node_doubt_deinit(node);
	node_index_deinit(node);
	node_rates_deinit(&node->hand_ons);
	node_rates_deinit(&node->referred);
	node_rates_deinit(&node->owner_broadcasts);
	node_rates_deinit(&node->disposals);
	node_rates_deinit(&node->speakers);
	node_rates_deinit(&node->leaf_wants);
	node_agents_deinit(node);
	node_lookups_deinit(node);
	node_provided_deinit(node);
	revocations_deinit(&node->revocations);
	controller_free(node->controller);
	market_free(node->market);
	records_free(node->records);
	overlay_free(node->overlay);
	node_facts_deinit(&node->facts);
	buf_deinit(&node->facts_written);
	free(node->name);
	free(node);
}

struct queued_effect *node_queue(struct node *node, enum node_effect_type type)
{
	struct queued_effect *queued = mem_new(struct queued_effect);

	queued->effect.type = type;
	list_append(&node->effects, &queued->link);
	return queued;
}

const struct node_effect *node_next_effect(struct node *node)
{
	struct queued_effect *queued = list_first(&node->effects, struct queued_effect, link);

	queued_effect_free(node->current);
	node->current = queued;
	if (!queued)
		return NULL;
	list_remove(&queued->link);
	if (queued->packet.len)
		queued->effect.packet = bytes_buf(&queued->packet);
	if (queued->effect.type == NODE_START)
		queued->effect.award = &queued->award.award;
	if (queued->effect.type == NODE_LEAF_WANTED)
		queued->effect.warrant = &queued->award.warrant;
	if (queued->effect.type == NODE_LEAF_CAME)
		queued->effect.leaf = &queued->award.pod_leaf;
	if (queued->effect.type == NODE_CHANGED || queued->effect.type == NODE_LOST)
		queued->effect.record = &queued->record;
	queued->effect.text = queued->text ? queued->text : "";
	return &queued->effect;
}

void node_count(struct node *node, enum node_counter counter)
{
	node->counters[counter]++;
}

void node_refuse(struct node *node, const struct node_id *from, const char *text)
{
	struct queued_effect *queued = node_queue(node, NODE_REFUSED);

	queued->effect.to = *from;
	queued->text = mem_strdup(text);
}

void node_send_packet(struct node *node, const struct node_destination *to, enum message_type type,
		      struct bytes body)
{
	struct packet packet = {.is_envelope = message_is_signed(type), .body = body};
	struct queued_effect *queued;

	if (node_id_equal(&to->id, &node->config.self.id)) {
		struct loopback *loop = mem_new(struct loopback);

		packet_encode(&packet, &loop->packet);
		list_append(&node->loopback, &loop->link);
		return;
	}
	queued = node_queue(node, NODE_SEND);
	queued->effect.to = to->id;
	queued->effect.addr = to->addr;
	packet_encode(&packet, &queued->packet);
	node->traffic[type].messages++;
	node->traffic[type].bytes += queued->packet.len;
}

void node_seal(struct node *node, struct mono now, const struct message *message,
	       struct buf *ret_envelope)
{
	struct buf payload = {0};

	assert(message_is_signed(message->type));
	message_encode(message, &payload);
	node->config.trust.ops->seal(node->config.trust.self, node_fabric_time(node, now),
				     bytes_buf(&payload), ret_envelope);
	buf_deinit(&payload);
}

void node_send_signed(struct node *node, struct mono now, const struct node_destination *to,
		      const struct message *message)
{
	struct buf envelope = {0};

	node_seal(node, now, message, &envelope);
	node_send_packet(node, to, message->type, bytes_buf(&envelope));
	buf_deinit(&envelope);
}

/* To every connected member that lives, and to ourselves. Returns how many that are. */
size_t node_broadcast(struct node *node, enum message_type type, struct bytes envelope)
{
	struct overlay_peer peer;
	size_t position = 0, count = 1;

	while (overlay_next_peer(node->overlay, &position, &peer)) {
		if (!peer.connected || peer.state == MEMBER_DEAD || peer.state == MEMBER_LEFT)
			continue;
		node_send_packet(node, &(struct node_destination){peer.member->id}, type, envelope);
		count++;
	}
	node_send_packet(node, &(struct node_destination){node->config.self.id}, type, envelope);
	return count;
}

static bool has_left(const struct node *node, const struct node_id *id)
{
	struct overlay_peer peer;

	return overlay_find_peer(node->overlay, id, &peer) && peer.state == MEMBER_LEFT;
}

/* By a copy: judging it ends in calls of the overlay. */
static void deliver_broadcast(struct node *node, struct mono now,
			      const struct overlay_effect *effect)
{
	struct node_id from = effect->to;
	struct uid id = effect->broadcast;
	struct buf payload = {0};

	buf_append_bytes(&payload, effect->payload);
	node_gossip_arrived(node, now, &from, &id, bytes_buf(&payload));
	buf_deinit(&payload);
}

struct queued_effect *node_queue_contacts(struct node *node, enum node_effect_type type,
					  const struct contact *contacts, size_t count)
{
	struct queued_effect *queued = node_queue(node, type);

	queued->contacts = (struct contact *)mem_copy(contacts, count * sizeof(*contacts));
	queued->effect.contacts = queued->contacts;
	queued->effect.contact_count = count;
	return queued;
}

static void lookup_ended(struct node *node, struct mono now, const struct overlay_effect *effect)
{
	struct queued_effect *queued;

	if (node_home_located(node, now, effect) || node_found(node, now, effect))
		return;
	queued = node_queue_contacts(node, NODE_FOUND, effect->contacts, effect->contact_count);
	queued->effect.token = effect->token;
	queued->effect.hops = effect->hops;
	queued->effect.complete = effect->complete;
}

static void overlay_effect_apply(struct node *node, struct mono now,
				 const struct overlay_effect *effect)
{
	bool settled = fabric_time_is_settled(&node->time);
	struct queued_effect *queued;
	struct message outgoing;
	struct buf message = {0};

	switch (effect->type) {
	case OVERLAY_SEND:
		outgoing = effect->message; /* borrowed */
		if (outgoing.type == MESSAGE_HELLO)
			outgoing.hello.fabric_settled = settled;
		else if (outgoing.type == MESSAGE_PING || outgoing.type == MESSAGE_PONG)
			outgoing.ping.fabric_settled = settled;
		else if (outgoing.type == MESSAGE_FIND && outgoing.find.providers)
			node_count(node, NODE_COUNT_PROVIDERS_ASKED_FOR);
		message_encode(&outgoing, &message);
		node_send_packet(node, &(struct node_destination){effect->to, effect->addr},
				 outgoing.type, bytes_buf(&message));
		buf_deinit(&message);
		return;
	case OVERLAY_CLOSE:
		node_queue(node, NODE_CLOSE)->effect.to = effect->to;
		return;
	case OVERLAY_DELIVER:
		deliver_broadcast(node, now, effect);
		return;
	case OVERLAY_FOUND:
		lookup_ended(node, now, effect);
		return;
	case OVERLAY_DIAL:
		queued = node_queue(node, NODE_DIAL);
		queued->effect.to = effect->to;
		queued->effect.addr = effect->addr;
		return;
	case OVERLAY_JOINED:
	case OVERLAY_SUSPECTED:
	case OVERLAY_LOST:
		queued = node_queue(node, NODE_PEER);
		queued->effect.to = effect->to;
		queued->effect.peer_state = effect->type == OVERLAY_JOINED      ? MEMBER_ALIVE
					    : effect->type == OVERLAY_SUSPECTED ? MEMBER_SUSPECT
					    : has_left(node, &effect->to)       ? MEMBER_LEFT
										: MEMBER_DEAD;
		break;
	}
	if (effect->type == OVERLAY_JOINED) {
		struct node_id joined = effect->to;

		node_stewards_update(node, now);
		if (!node->config.records_stay)
			records_peer_up(node->records, now, &joined);
		node_vouch_joined(node, now, &joined);
		if (!overlay_is_large(node->overlay)) /* there members of a pool come and go */
			controller_wake(node->controller, now, NULL);
		node_watched_joined(node, now, &joined);
	} else if (effect->type == OVERLAY_LOST) {
		struct node_id lost = effect->to;

		if (has_left(node, &lost))
			records_elector_left(node->records, &lost);
		node_stewards_update(node, now);
		node_watched_lost(node, &lost);
		if (!fault_is_planted(FAULT_LOSS))
			records_peer_lost(node->records, now, &lost);
		market_peer_lost(node->market, now, &lost);
		node_capacity_forget(node, &lost);
		node_workloads_touch_all(node);
	}
}

static bool drain_overlay(struct node *node, struct mono now)
{
	const struct overlay_effect *effect;
	bool any = false;

	while ((effect = overlay_next_effect(node->overlay)) != NULL) {
		overlay_effect_apply(node, now, effect);
		any = true;
	}
	return any;
}

static bool drain_loopback(struct node *node, struct mono now)
{
	struct loopback *loop = list_first(&node->loopback, struct loopback, link);

	if (!loop)
		return false;
	list_remove(&loop->link);
	node_deliver(node, now, &node->config.self.id, bytes_buf(&loop->packet));
	buf_deinit(&loop->packet);
	free(loop);
	return true;
}

/*
 * Market effects go first: a START is drained while the envelope of its award is at hand.
 */
void node_pump(struct node *node, struct mono now)
{
	bool busy;

	assert(now.us >= node->last.us);
	node->last = now;
	do {
		busy = node_drain_market(node, now);
		busy |= drain_overlay(node, now);
		busy |= node_drain_records(node, now);
		busy |= node_drain_colleges(node, now);
		busy |= node_drain_index(node, now);
		busy |= node_families_run(node, now);
		busy |= node_show_dirty(node, now);
		busy |= node_drain_controller(node, now);
		busy |= drain_loopback(node, now);
	} while (busy);
	node_near_check(node, now);
	node_journal_tell(node);
}

static void advance(struct node *node, struct mono now)
{
	assert(now.us >= node->last.us);
	node->last = now;
}

void node_bootstrap(struct node *node, struct mono now, const struct addr *addr)
{
	advance(node, now);
	node->knows_peers = true;
	overlay_bootstrap(node->overlay, now, addr);
	node_pump(node, now);
}

/* A connection that is nobody's member yet changes nothing: its greeting will. */
static void steward_note(struct node *node, struct mono now, const struct node_peer *peer)
{
	struct bytes key = bytes_of(peer->id.byte, ID_LEN);
	struct overlay_peer known;

	/* Nothing is kept with them: object.c. */
	if (node->config.records_stay)
		return;
	if (peer->steward == (map_get(&node->stewards, key) != NULL))
		return;
	if (peer->steward)
		(void)map_put(&node->stewards, key, mem_copy(peer->id.byte, ID_LEN));
	else
		free(map_remove(&node->stewards, key));
	if (overlay_find_peer(node->overlay, &peer->id, &known))
		node_stewards_update(node, now);
}

/* Those that are no members are forgotten with their connection. */
static void steward_forget(struct node *node, const struct node_id *id)
{
	struct overlay_peer peer;

	if (!overlay_find_peer(node->overlay, id, &peer))
		free(map_remove(&node->stewards, bytes_of(id->byte, ID_LEN)));
}

void node_remember(struct node *node, struct mono now, const struct contact *contact)
{
	advance(node, now);
	node->knows_peers = true;
	overlay_remember(node->overlay, now, contact);
	node_pump(node, now);
}

void node_know(struct node *node, struct mono now, const struct contact *contact)
{
	advance(node, now);
	node->knows_peers = true;
	overlay_know(node->overlay, now, contact);
	node_pump(node, now);
}

void node_formed(struct node *node, struct mono now)
{
	advance(node, now);
	overlay_formed(node->overlay, now);
	node_pump(node, now);
}

int node_find(struct node *node, struct mono now, const struct digest *target, bool providers,
	      uint64_t *ret_token)
{
	int outcome;

	advance(node, now);
	outcome = overlay_find(node->overlay, now, target, providers, ret_token);
	node_pump(node, now);
	return outcome;
}

void node_connected(struct node *node, struct mono now, const struct node_peer *peer)
{
	struct contact contact = {.id = peer->id, .addr = peer->addr, .steward = peer->steward};

	advance(node, now);
	if (node_is_revoked(node, &peer->id)) {
		node_queue(node, NODE_CUT)->effect.to = peer->id;
		return;
	}
	node->knows_peers = true;
	steward_note(node, now, peer);
	overlay_connected(node->overlay, now, &contact, node_fabric_time(node, now));
	node_parked_connected(node, now, &peer->id);
	node_revocations_greet(node, &peer->id);
	node_pump(node, now);
}

void node_disconnected(struct node *node, struct mono now, const struct node_id *id,
		       const struct addr *addr)
{
	advance(node, now);
	overlay_disconnected(node->overlay, now, id, addr);
	fabric_time_forget(&node->time, id);
	steward_forget(node, id);
	node_pump(node, now);
}

void node_receive(struct node *node, struct mono now, const struct node_id *from,
		  struct bytes packet)
{
	advance(node, now);
	if (node_is_revoked(node, from)) {
		node_count(node, NODE_COUNT_CERTIFICATE);
		return;
	}
	overlay_heard(node->overlay, now, from);
	node_deliver(node, now, from, packet);
	node_pump(node, now);
}

void node_leave(struct node *node, struct mono now)
{
	advance(node, now);
	overlay_leave(node->overlay, now);
	node_pump(node, now);
}

void node_set_leaf(struct node *node, struct mono now, const struct digest *leaf)
{
	advance(node, now);
	node->config.leaf = *leaf;
	overlay_set_leaf(node->overlay, leaf);
	node_publish_again(node, now);
	node_pump(node, now);
}

void node_tick(struct node *node, struct mono now)
{
	struct wall fabric = node_fabric_time(node, now);

	advance(node, now);
	overlay_tick(node->overlay, now, fabric);
	records_tick(node->records, now, fabric);
	market_tick(node->market, now);
	node_workloads_due(node, now);
	node_families_tick(node, now);
	node_collect_tick(node, now);
	node_stay_tick(node, now);
	node_doubt_tick(node, now);
	node_vouch_tick(node, now);
	node_parked_expire(node, now);
	node_tenure_tick(node, now);
	node_college_tick(node, now);
	node_index_tick(node, now);
	node_refresh_tick(node, now);
	node_journal_tick(node, now);
	node_agents_tick(node, now);
	if (mono_reached(now, node->near_due))
		node_stewards_update(node, now);
	if (mono_reached(now, node->facts_due))
		node_facts_publish(node, now);
	if (mono_reached(now, node->disown_due))
		node_disown(node, now);
	node_pump(node, now);
}

void node_expect(const struct node *node, bool parts)
{
	CACHE_EXPECT(node, time.offset_ms, time.peer_count);
	CACHE_EXPECT(node, overlay, controller);
	CACHE_EXPECT(node, effects, parked);
	CACHE_EXPECT(node, facts_due, last);
	if (!parts)
		return;
	overlay_expect(node->overlay);
	records_expect(node->records);
	market_expect(node->market);
	controller_expect(node->controller);
}

struct mono node_deadline(const struct node *node)
{
	struct mono deadline = overlay_deadline(node->overlay);

	deadline = mono_min(deadline, records_deadline(node->records));
	deadline = mono_min(deadline, market_deadline(node->market));
	deadline = mono_min(deadline, controller_deadline(node->controller));
	deadline = mono_min(deadline, node_parked_deadline(node));
	deadline = mono_min(deadline, node->disown_due);
	deadline = mono_min(deadline, node->stay_due);
	deadline = mono_min(deadline, node_vouch_deadline(node));
	deadline = mono_min(deadline, node_doubt_deadline(node));
	deadline = mono_min(deadline, node->shows_due);
	deadline = mono_min(deadline, node->near_due);
	deadline = mono_min(deadline, node_index_deadline(node));
	deadline = mono_min(deadline, node_refresh_deadline(node));
	deadline = mono_min(deadline, node_journal_deadline(node));
	deadline = mono_min(deadline, node->families_due);
	deadline = mono_min(deadline, node->tenure_due);
	deadline = mono_min(deadline, node->agents_due);
	deadline = mono_min(deadline, colleges_deadline(node->colleges));
	deadline = mono_min(deadline, node_collect_deadline(node));
	return mono_min(deadline, node->facts_due);
}

struct wall node_fabric_time(const struct node *node, struct mono now)
{
	return fabric_time_now(&node->time, now);
}

bool node_fabric_time_is_settled(const struct node *node)
{
	return fabric_time_is_settled(&node->time);
}

struct fabric_time_kept node_keep_time(struct node *node, struct mono now, struct wall system)
{
	return fabric_time_keep(&node->time, now, system);
}

const struct records *node_records(const struct node *node)
{
	return node->records;
}

struct shards_counts node_index_counts(const struct node *node)
{
	return shards_counts(node->shards);
}

const struct overlay *node_overlay(const struct node *node)
{
	return node->overlay;
}

const struct market *node_market(const struct node *node)
{
	return node->market;
}

const struct node_id *node_self(const struct node *node)
{
	return &node->config.self.id;
}

struct node_traffic node_traffic(const struct node *node, enum message_type type)
{
	assert(type < MESSAGE_TYPE_COUNT);
	return node->traffic[type];
}

uint64_t node_counter(const struct node *node, enum node_counter counter)
{
	assert(counter < NODE_COUNTER_COUNT);
	return node->counters[counter];
}

const char *node_counter_name(enum node_counter counter)
{
	assert(counter < NODE_COUNTER_COUNT);
	return counter_names[counter];
}
