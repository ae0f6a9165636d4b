/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept here for others, and who is told of its changes. */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "service/directory_internal.h"
#include "service/policy.h"

enum {
	KEEP_SWEEP_MS = 1000, /* nothing that has expired is ever shown: only memory waits */
};

/* ---- the table ---- */

static void subscriber_deinit(struct subscriber *subscriber)
{
	free(subscriber->namespace);
	free(subscriber->name);
}

static void kept_free(struct directory *directory, struct kept *kept)
{
	for (size_t i = 0; i < kept->count; i++) {
		directory->kept_bytes -= held_size(kept->list[i]);
		held_free(kept->list[i]);
	}
	for (size_t i = 0; i < kept->subscriber_count; i++)
		subscriber_deinit(&kept->subscribers[i]);
	directory->kept_count -= kept->count;
	directory->subscriber_count -= kept->subscriber_count;
	(void)map_remove(&directory->kept, KEY_BYTES(&kept->key));
	free(kept->list);
	free(kept->subscribers);
	free(kept);
}

static struct kept *kept_get(struct directory *directory, const struct digest *key)
{
	struct kept *kept = map_get(&directory->kept, KEY_BYTES(key));

	if (!kept) {
		kept = mem_new(struct kept);
		kept->key = *key;
		(void)map_put(&directory->kept, KEY_BYTES(key), kept);
		if (directory->sweep_at.us == MONO_NEVER.us)
			directory->sweep_at = mono_add_ms(directory->now, KEEP_SWEEP_MS);
	}
	return kept;
}

void keep_free(struct directory *directory)
{
	map_for_each (entry, &directory->kept)
		kept_free(directory, entry->value);
	map_deinit(&directory->kept);
}

static bool is_over(const struct directory *directory)
{
	return directory->kept_count > DIRECTORY_KEPT_MAX ||
	       directory->kept_bytes > DIRECTORY_KEPT_BYTES_MAX;
}

static void remove_one(struct directory *directory, struct kept *kept, struct held *held)
{
	size_t at = 0;

	while (kept->list[at] != held)
		at++;
	kept->list[at] = kept->list[--kept->count];
	directory->kept_count--;
	directory->kept_bytes -= held_size(held);
	held_free(held);
}

/* What is farthest from us goes first: others are nearer to it. False: that was @held itself. */
static bool make_room(struct directory *directory, struct kept *own, struct held *held)
{
	struct digest self = kad_position(&directory->config.self.id);

	while (is_over(directory) && /* so there is something */
	       !fault_is_planted(FAULT_SERVICE_QUOTA)) {
		struct kept *farthest = NULL;

		map_for_each (entry, &directory->kept) {
			struct kept *kept = entry->value;

			if (kept->count > 0 &&
			    (!farthest || kad_nearer(&self, &farthest->key, &kept->key) < 0))
				farthest = kept;
		}
		directory->stats.refused_full++;
		if (farthest == own) {
			remove_one(directory, own, held);
			return false;
		}
		kept_free(directory, farthest);
	}
	return true;
}

/* ---- telling ---- */

static void append(struct work_records *records, const struct held *held, bool renewal_only)
{
	struct work_signed *one = &records->list[records->count++];

	if (!renewal_only)
		buf_append_bytes(&one->record, bytes_buf(&held->envelope));
	else
		one->peer = held->record.peer;
	buf_append_bytes(&one->renewal, bytes_buf(&held->renewal));
}

static bool may_see(const struct held *held, const char *namespace, const char *name)
{
	return policy_admits(&held->record.policy, held->record.namespace, namespace, name);
}

static void push(struct directory *directory, const struct kept *kept, const struct held *held)
{
	if (fault_is_planted(FAULT_SERVICE_PUSH))
		return;
	for (size_t i = 0; i < kept->subscriber_count; i++) {
		const struct subscriber *subscriber = &kept->subscribers[i];
		struct work_message message = {.type = WORK_RECORDS, .records.key = kept->key};

		if (mono_reached(directory->now, subscriber->until) ||
		    !may_see(held, subscriber->namespace, subscriber->name) ||
		    node_id_equal(&subscriber->contact.id, &held->record.peer))
			continue;
		message.records.list = mem_alloc(1, sizeof(*message.records.list));
		append(&message.records, held, false);
		directory->stats.pushed++;
		directory_send(directory, &subscriber->contact, &message);
	}
}

static void reply(struct directory *directory, const struct directory_peer *from, uint64_t request,
		  enum work_outcome outcome, const struct digest *key)
{
	struct work_message message = {
		.type = WORK_STORED,
		.stored = {request, outcome, place_near(directory, key)},
	};

	directory_send(directory, &from->contact, &message);
}

/* ---- storing ---- */

static bool is_by(const struct service_record *record, const struct directory_peer *from)
{
	if (fault_is_planted(FAULT_SERVICE_NAME))
		return true;
	return node_id_equal(&record->peer, &from->contact.id) &&
	       strcmp(record->namespace, from->name->namespace) == 0 &&
	       strcmp(record->kind, from->name->kind) == 0 &&
	       strcmp(record->name, from->name->name) == 0 &&
	       strcmp(record->pod, from->name->pod) == 0;
}

static enum work_outcome put(struct directory *directory, struct held *held)
{
	struct digest key = service_key(held->record.namespace, held->record.name);
	struct kept *kept = kept_get(directory, &key);
	uint64_t version = held->record.version;
	struct node_id peer = held->record.peer;
	size_t size = held_size(held), count = kept->count;
	struct held *old, *now;

	if (!held_put(&kept->list, &kept->count, &kept->cap, held, &old)) {
		now = held_of_peer(kept->list, kept->count, &peer);
		if (now && now->record.version == version)
			return WORK_KEPT;
		return now || kept->count < WORK_REPLICAS_MAX ? WORK_OLD : WORK_FULL;
	}
	directory->kept_bytes += size - (old ? held_size(old) : 0);
	directory->kept_count += kept->count - count;
	held_free(old);
	push(directory, kept, held);
	return make_room(directory, kept, held) ? WORK_KEPT : WORK_FULL;
}

void keep_store(struct directory *directory, const struct directory_peer *from,
		const struct work_store *store)
{
	struct work_signed one = {.record = store->record, .renewal = store->renewal};
	struct digest key = service_key(from->name->namespace, from->name->name);
	struct held *held = held_open(directory, &one);

	if (held && !is_by(&held->record, from)) {
		directory->stats.refused_foreign++;
		held_free(held);
		held = NULL;
	}
	reply(directory, from, store->request, held ? put(directory, held) : WORK_REFUSED, &key);
}

/* It comes over the pod's own connection, so the signature is for others to verify. */
void keep_renew(struct directory *directory, const struct directory_peer *from,
		const struct work_renew *renew)
{
	struct kept *kept = map_get(&directory->kept, KEY_BYTES(&renew->key));
	struct held *held = kept ? held_of_peer(kept->list, kept->count, &from->contact.id) : NULL;
	bool known = held && held->record.version == renew->version;

	if (known)
		held_prolong(directory, held, &renew->renewal);
	reply(directory, from, renew->request, known ? WORK_KEPT : WORK_WANTED, &renew->key);
}

/* ---- looking up ---- */

static struct subscriber *subscriber_find(struct kept *kept, const struct node_id *id)
{
	for (size_t i = 0; i < kept->subscriber_count; i++)
		if (node_id_equal(&kept->subscribers[i].contact.id, id))
			return &kept->subscribers[i];
	return NULL;
}

static size_t subscriptions(const struct directory *directory, const struct node_id *id)
{
	size_t count = 0;

	map_for_each (entry, &directory->kept)
		count += subscriber_find(entry->value, id) != NULL;
	return count;
}

/* Whoever is refused goes on asking every heartbeat, and is served. */
static void subscribe(struct directory *directory, const struct digest *key,
		      const struct directory_peer *from)
{
	struct kept *kept = map_get(&directory->kept, KEY_BYTES(key));
	struct subscriber *subscriber = kept ? subscriber_find(kept, &from->contact.id) : NULL;

	if (!subscriber) {
		if (!fault_is_planted(FAULT_SERVICE_QUOTA) &&
		    (directory->subscriber_count >= DIRECTORY_SUBSCRIBERS_MAX ||
		     subscriptions(directory, &from->contact.id) >= DIRECTORY_PER_SUBSCRIBER_MAX))
			return;
		kept = kept_get(directory, key);
		if (kept->subscriber_count == kept->subscriber_cap) {
			kept->subscriber_cap = kept->subscriber_cap ? kept->subscriber_cap * 2 : 1;
			kept->subscribers = mem_resize(kept->subscribers, kept->subscriber_cap,
						       sizeof(*kept->subscribers));
		}
		subscriber = &kept->subscribers[kept->subscriber_count++];
		*subscriber = (struct subscriber){
			.namespace = mem_strdup(from->name->namespace),
			.name = mem_strdup(from->name->name),
		};
		directory->subscriber_count++;
	}
	subscriber->contact = from->contact;
	subscriber->until = mono_add_ms(directory->now, DIRECTORY_SUBSCRIBE_MS);
}

static void collect(struct directory *directory, const struct kept *kept,
		    const struct directory_peer *from, const struct work_lookup *lookup,
		    struct work_records *records)
{
	const struct held *visible[WORK_REPLICAS_MAX];
	size_t count = 0;
	uint64_t digest = 0;

	for (size_t i = 0; i < kept->count; i++) {
		const struct held *held = kept->list[i];

		if (!held_is_live(directory, held) ||
		    !may_see(held, from->name->namespace, from->name->name))
			continue;
		visible[count++] = held;
		digest ^= service_digest_of(&held->record.peer, held->record.version);
	}
	records->same = digest == lookup->known;
	records->list = mem_alloc(count, sizeof(*records->list));
	records->live = mem_alloc(count, sizeof(*records->live));
	records->live_count = count;
	for (size_t i = 0; i < count; i++) {
		int64_t left_us = mono_since_us(visible[i]->expires, directory->now);

		records->live[i] = (struct work_live){
			work_peer_prefix(&visible[i]->record.peer),
			(uint32_t)(SERVICE_TTL_MS - left_us / US_PER_MS),
		};
		if (!records->same || lookup->proof)
			append(records, visible[i], records->same);
	}
}

/* Somebody may ask before there is anything: it is told when there is. */
void keep_lookup(struct directory *directory, const struct directory_peer *from,
		 const struct work_lookup *lookup)
{
	struct digest key = service_key(lookup->namespace, lookup->name);
	const struct kept *kept;
	struct work_message message = {.type = WORK_RECORDS};

	message.records.request = lookup->request;
	message.records.key = key;
	message.records.nearer = place_near(directory, &key);
	if (lookup->subscribe)
		subscribe(directory, &key, from);
	kept = map_get(&directory->kept, KEY_BYTES(&key));
	if (kept)
		collect(directory, kept, from, lookup, &message.records);
	directory_send(directory, &from->contact, &message);
}

/* ---- time ---- */

static void sweep(struct directory *directory, struct kept *kept)
{
	size_t left = 0;

	for (size_t i = 0; i < kept->count; i++)
		directory->kept_bytes -= held_size(kept->list[i]);
	directory->kept_count -= kept->count;
	(void)held_sweep(directory, kept->list, &kept->count);
	directory->kept_count += kept->count;
	for (size_t i = 0; i < kept->count; i++)
		directory->kept_bytes += held_size(kept->list[i]);
	directory->subscriber_count -= kept->subscriber_count;
	for (size_t i = 0; i < kept->subscriber_count; i++) {
		if (mono_reached(directory->now, kept->subscribers[i].until))
			subscriber_deinit(&kept->subscribers[i]);
		else
			kept->subscribers[left++] = kept->subscribers[i];
	}
	kept->subscriber_count = left;
	directory->subscriber_count += left;
	if (kept->count == 0 && kept->subscriber_count == 0)
		kept_free(directory, kept);
}

void keep_tick(struct directory *directory)
{
	if (!mono_reached(directory->now, directory->sweep_at))
		return;
	map_for_each (entry, &directory->kept)
		sweep(directory, entry->value);
	directory->sweep_at =
		directory->kept.count > 0 ? mono_add_ms(directory->now, KEEP_SWEEP_MS) : MONO_NEVER;
}
