/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinals: a pod of a StatefulSet is started only when most of its registrars have given its
 * ordinal to this machine; and this machine is a registrar itself (market/tenure.h).
 *
 * The award of such a pod waits here; nobody hears of the pod before. What a registrar has written
 * down is one of its own envelopes, kept on its disk like a record that has no kind.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "kube/statefulset.h"
#include "market/tenure.h"

_Static_assert((int)KUBE_REGISTRARS_MAX == (int)TENURE_REGISTRARS_MAX, "one number, two headers");

/* What one machine may say of tenures: 100 ordinals that start at once, asked for as often as it
 * takes. */
static const struct node_rate tenure_rate = {.per_minute = 6000, .burst = 1000};

struct candidate {
	struct list link;
	struct candidacy candidacy;
	struct kube_tenure seat;
	struct uid object_uid;
	char *namespace;
	uint32_t slot;
	struct message award;
	struct buf envelope;
	struct node_destination owner;
	bool asked;
	struct mono ask_at, until;
};

bool node_tenure_read(struct bytes manifest, struct kube_tenure *ret_seat)
{
	json_t *json = json_loadb((const char *)manifest.ptr, manifest.len, 0, NULL);
	bool read = json && kube_tenure_read(json, ret_seat);

	json_decref(json);
	return read;
}

/* Where it is now, rather than where it was when the StatefulSet was made. */
static struct node_destination registrar_at(const struct node *node, const struct addr_peer *peer)
{
	struct node_destination to = {peer->id, peer->addr};

	(void)!overlay_find_addr(node->overlay, &to.id, &to.addr);
	return to;
}

static void tell(struct node *node, struct mono now, const struct node_destination *to,
		 const struct tenure *tenure, enum tenure_word word)
{
	struct message message = {.type = MESSAGE_TENURE, .tenure = *tenure};

	message.tenure.word = word;
	node_send_signed(node, now, to, &message);
}

static void tell_registrars(struct node *node, struct mono now, const struct kube_tenure *seat,
			    const struct tenure *tenure, enum tenure_word word)
{
	for (size_t i = 0; i < seat->registrar_count; i++) {
		struct node_destination to = registrar_at(node, &seat->registrars[i]);

		tell(node, now, &to, tenure, word);
	}
}

void node_tenure_release(struct node *node, struct mono now, const struct kube_tenure *seat,
			 const struct uid *pod_uid)
{
	struct tenure tenure = {
		.set = seat->set,
		.ordinal = seat->ordinal,
		.machine = node->config.self.id,
		.pod_uid = *pod_uid,
	};

	tell_registrars(node, now, seat, &tenure, TENURE_RELEASE);
}

/* ---- this machine asks ---- */

static void candidate_free(struct candidate *candidate)
{
	list_remove(&candidate->link);
	message_deinit(&candidate->award);
	buf_deinit(&candidate->envelope);
	free(candidate->namespace);
	free(candidate);
}

void node_tenures_deinit(struct node *node)
{
	list_for_each_safe (it, &node->candidates)
		candidate_free(list_entry(it, struct candidate, link));
	registry_free(node->registry);
	node_rates_deinit(&node->tenure_words);
}

static struct candidate *candidate_find(const struct node *node, const struct uid *pod_uid)
{
	list_for_each (it, &node->candidates) {
		struct candidate *candidate = list_entry(it, struct candidate, link);

		if (uid_equal(&candidate->candidacy.ask.pod_uid, pod_uid))
			return candidate;
	}
	return NULL;
}

/* It asks for nothing any more, and gives back what it was given. */
static void give_up(struct node *node, struct mono now, struct candidate *candidate)
{
	if (candidate->asked)
		node_tenure_release(node, now, &candidate->seat, &candidate->candidacy.ask.pod_uid);
	candidate_free(candidate);
}

static void fail(struct node *node, struct mono now, struct candidate *candidate, const char *text)
{
	struct uid pod_uid = candidate->candidacy.ask.pod_uid;

	give_up(node, now, candidate);
	node_count(node, NODE_COUNT_PODS_FAILED);
	market_pod_failed(node->market, now, &pod_uid, text);
}

bool node_tenure_drop(struct node *node, struct mono now, const struct uid *pod_uid)
{
	struct candidate *candidate = candidate_find(node, pod_uid);

	if (!candidate)
		return false;
	give_up(node, now, candidate);
	market_pod_ended(node->market, now, pod_uid);
	return true;
}

void node_tenures_drop_matching(struct node *node, struct mono now, const struct uid *uid,
				const char *namespace)
{
	list_for_each_safe (it, &node->candidates) {
		const struct candidate *candidate = list_entry(it, struct candidate, link);
		struct uid pod_uid = candidate->candidacy.ask.pod_uid;

		if ((uid_equal(uid, &candidate->object_uid) || uid_equal(uid, &pod_uid)) &&
		    strcmp(candidate->namespace, namespace) == 0)
			(void)node_tenure_drop(node, now, &pod_uid);
	}
}

void node_tenures_drop_all(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->candidates) {
		struct uid pod_uid = list_entry(it, struct candidate, link)->candidacy.ask.pod_uid;

		(void)node_tenure_drop(node, now, &pod_uid);
	}
}

bool node_tenure_is_asked(const struct node *node, const struct uid *object_uid, uint32_t slot)
{
	list_for_each (it, &node->candidates) {
		const struct candidate *candidate = list_entry(it, struct candidate, link);

		if (candidate->slot == slot && uid_equal(&candidate->object_uid, object_uid))
			return true;
	}
	return false;
}

/* An earlier pod of the ordinal, of whichever object, is still here: or of two, this one comes
 * second. */
static bool has_to_wait(const struct node *node, const struct candidate *candidate)
{
	map_for_each (entry, &node->pods) {
		const struct kube_tenure *seat = ((const struct local_pod *)entry->value)->seat;

		if (seat && seat->ordinal == candidate->seat.ordinal &&
		    uid_equal(&seat->set, &candidate->seat.set))
			return true;
	}
	list_for_each (it, &node->candidates) {
		const struct candidate *other = list_entry(it, struct candidate, link);

		if (other == candidate)
			return false;
		if (other->seat.ordinal == candidate->seat.ordinal &&
		    uid_equal(&other->seat.set, &candidate->seat.set))
			return true;
	}
	return false;
}

static void ask(struct node *node, struct mono now, struct candidate *candidate)
{
	struct candidacy *candidacy = &candidate->candidacy;

	candidate->ask_at = mono_add_ms(now, TENURE_ASK_MS);
	node->tenure_due = mono_min(node->tenure_due, candidate->ask_at);
	if (has_to_wait(node, candidate))
		return;
	if (!candidate->asked)
		candidacy->ask.serial =
			records_clock_next(node->records, node_fabric_time(node, now));
	candidate->asked = true;
	for (size_t i = 0; i < candidacy->count; i++) {
		struct node_destination to = registrar_at(node, &candidate->seat.registrars[i]);

		if (candidacy->registrar[i].answer != CANDIDACY_GIVEN)
			tell(node, now, &to, &candidacy->ask, TENURE_ASK);
	}
}

static struct candidate *candidate_new(struct node *node, struct mono now,
				       const struct market_effect *start,
				       const struct kube_tenure *seat)
{
	const struct award *award = &start->message->award;
	struct candidate *candidate = mem_new(struct candidate);

	candidate->seat = *seat;
	candidate->candidacy.ask = (struct tenure){
		.word = TENURE_ASK,
		.set = seat->set,
		.ordinal = seat->ordinal,
		.epoch = seat->epoch,
		.machine = node->config.self.id,
		.addr = node->config.self.addr,
		.pod_uid = award->assignments[0].pod_uid,
		.replace = seat->replace,
	};
	candidate->candidacy.count = seat->registrar_count;
	for (size_t i = 0; i < seat->registrar_count; i++)
		candidate->candidacy.registrar[i].id = seat->registrars[i].id;
	candidate->object_uid = start->object_uid;
	candidate->slot = award->assignments[0].slot;
	message_copy(start->message, &candidate->award);
	buf_append_bytes(&candidate->envelope, start->envelope);
	candidate->owner = (struct node_destination){start->to, start->addr};
	candidate->until = mono_add_ms(now, TENURE_WAIT_MS);
	list_append(&node->candidates, &candidate->link);
	return candidate;
}

bool node_tenure_ask(struct node *node, struct mono now, const struct market_effect *start,
		     const char *namespace)
{
	const struct award *award = &start->message->award;
	struct candidate *candidate;
	struct kube_tenure seat;

	if (award->assignment_count != 1 || !node_tenure_read(bytes_buf(&award->manifest), &seat))
		return false;
	candidate = candidate_new(node, now, start, &seat);
	candidate->namespace = mem_strdup(namespace);
	ask(node, now, candidate);
	return true;
}

/* It is ours: now it starts. */
static void begin(struct node *node, struct mono now, struct candidate *candidate)
{
	struct market_effect start = {
		.type = MARKET_START,
		.message = &candidate->award,
		.envelope = bytes_buf(&candidate->envelope),
		.to = candidate->owner.id,
		.addr = candidate->owner.addr,
		.object_uid = candidate->object_uid,
	};

	list_remove(&candidate->link);
	node_pods_begin(node, now, &start, candidate->candidacy.epoch);
	candidate_free(candidate);
}

static void answered(struct node *node, struct mono now, const struct node_id *from,
		     const struct tenure *word)
{
	struct candidate *candidate = candidate_find(node, &word->pod_uid);
	enum candidacy_state state;

	if (!candidate) {
		/* It came too late. */
		if (word->word == TENURE_GIVEN && !map_get(&node->pods, uid_bytes(&word->pod_uid)))
			tell(node, now, &(struct node_destination){.id = *from}, word,
			     TENURE_RELEASE);
		return;
	}
	state = candidacy_hear(&candidate->candidacy, from, word);
	if (state == CANDIDACY_WON)
		begin(node, now, candidate);
	else if (state == CANDIDACY_LOST)
		fail(node, now, candidate, "another machine starts this ordinal");
}

/* Do we still have the pod? Before we know ourselves nothing is said. */
static void queried(struct node *node, struct mono now, const struct node_id *from,
		    const struct tenure *query)
{
	bool here = map_get(&node->pods, uid_bytes(&query->pod_uid)) ||
		    candidate_find(node, &query->pod_uid);

	if (!node_id_equal(&query->machine, &node->config.self.id) || (!here && !node->pods_known))
		return;
	if (fault_is_planted(FAULT_TENURE_RELEASE))
		here = false;
	tell(node, now, &(struct node_destination){.id = *from}, query,
	     here ? TENURE_KEEP : TENURE_RELEASE);
}

/* ---- this machine is a registrar ---- */

static struct record_key disk_key(const struct uid *set, uint32_t ordinal)
{
	struct record_key key = {.uid = *set};

	for (size_t i = 0; i < sizeof(ordinal); i++)
		key.sub.byte[i] = (uint8_t)(ordinal >> 8 * i);
	return key;
}

static uint32_t ordinal_of(const struct record_key *key)
{
	uint32_t ordinal = 0;

	for (size_t i = 0; i < sizeof(ordinal); i++)
		ordinal |= (uint32_t)key->sub.byte[i] << 8 * i;
	return ordinal;
}

static void write_down(struct node *node, struct mono now, const struct tenure *entry)
{
	struct message message = {.type = MESSAGE_TENURE, .tenure = *entry};
	struct queued_effect *queued = node_queue(node, NODE_PERSIST);

	queued->effect.key = disk_key(&entry->set, entry->ordinal);
	queued->effect.version.hlc = entry->serial;
	node_seal(node, now, &message, &queued->packet);
}

static struct node_destination holder_at(const struct node *node, const struct tenure *entry)
{
	struct node_destination to = {entry->machine, entry->addr};

	if (!overlay_find_addr(node->overlay, &to.id, &to.addr))
		(void)!node_facts_addr(node, &to.id, &to.addr);
	return to;
}

static void asked(struct node *node, struct mono now, const struct tenure *ask)
{
	struct node_destination to = holder_at(node, ask), holder;
	struct tenure entry, held = *ask;
	int outcome = registry_ask(node->registry, now, ask, &entry);

	if (outcome == 0) {
		tell(node, now, &to, &entry, TENURE_GIVEN);
	} else if (outcome == REGISTRY_E_WRITE) {
		write_down(node, now, &entry);
	} else if (outcome == REGISTRY_E_HELD || outcome == REGISTRY_E_QUERY) {
		held.holder_uid = entry.pod_uid;
		held.machine = entry.machine;
		tell(node, now, &to, &held, TENURE_HELD);
		holder = holder_at(node, &entry);
		if (outcome == REGISTRY_E_QUERY)
			tell(node, now, &holder, &entry, TENURE_QUERY);
	} else if (outcome == REGISTRY_E_FULL) {
		node_refuse(node, &ask->machine, "no room for its ordinals");
	}
}

void node_tenure_written(struct node *node, struct mono now, const struct record_key *key,
			 const struct record_version *version, bool stored)
{
	struct node_destination to;
	struct tenure entry;

	if (!registry_written(node->registry, &key->uid, ordinal_of(key), version->hlc, stored,
			      &entry))
		return;
	to = holder_at(node, &entry);
	tell(node, now, &to, &entry, TENURE_GIVEN);
}

static void forget(struct node *node, const struct uid *set, uint32_t ordinal)
{
	node_queue(node, NODE_FORGET)->effect.key = disk_key(set, ordinal);
}

void node_tenure_restore(struct node *node, const struct tenure *entry)
{
	registry_restore(node->registry, entry);
}

void node_tenures_forget(struct node *node, const struct uid *set)
{
	uint32_t ordinal;

	while (registry_drop(node->registry, set, &ordinal))
		forget(node, set, ordinal);
}

/* ---- what arrives ---- */

/* A machine speaks of itself only. */
static void from_machine(struct node *node, struct mono now, const struct node_id *from,
			 const struct tenure *tenure)
{
	if (!node->config.steward || !node_id_equal(from, &tenure->machine))
		return;
	if (tenure->word == TENURE_ASK)
		asked(node, now, tenure);
	else if (tenure->word == TENURE_KEEP)
		registry_keep(node->registry, tenure);
	else if (registry_release(node->registry, tenure))
		forget(node, &tenure->set, tenure->ordinal);
}

void node_tenure_arrived(struct node *node, struct mono now, const struct node_id *from,
			 const struct tenure *tenure)
{
	if (!node_id_equal(from, &node->config.self.id) &&
	    !node_rate_take(&node->tenure_words, now, from, &tenure_rate, 1)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	switch (tenure->word) {
	case TENURE_ASK:
	case TENURE_RELEASE:
	case TENURE_KEEP:
		from_machine(node, now, from, tenure);
		return;
	case TENURE_GIVEN:
	case TENURE_HELD:
		answered(node, now, from, tenure);
		return;
	case TENURE_QUERY:
		queried(node, now, from, tenure);
		return;
	case TENURE_WRITTEN:
	case TENURE_WORD_COUNT:
		return; /* not meant for others */
	}
}

void node_tenure_tick(struct node *node, struct mono now)
{
	if (!mono_reached(now, node->tenure_due))
		return;
	node->tenure_due = MONO_NEVER;
	list_for_each_safe (it, &node->candidates) {
		struct candidate *candidate = list_entry(it, struct candidate, link);

		if (mono_reached(now, candidate->until))
			fail(node, now, candidate,
			     "most registrars of this ordinal do not give it");
		else if (mono_reached(now, candidate->ask_at))
			ask(node, now, candidate);
		else
			node->tenure_due = mono_min(node->tenure_due, candidate->ask_at);
	}
}

void node_tenures_init(struct node *node)
{
	list_init(&node->candidates);
	node->registry = registry_new(node->config.seed);
	map_init(&node->tenure_words, node->config.seed);
	node->tenure_due = MONO_NEVER;
}

/* ---- who the registrars are ---- */

/* An odd number: one more would have to agree, and save nobody. */
static size_t choose(const struct node *node, const struct uid *set, struct addr_peer *ret)
{
	struct contact near[TENURE_REGISTRARS_MAX];
	size_t count = records_nearest(node->records, set, near, TENURE_REGISTRARS_MAX), made = 0;

	for (size_t i = 0; i < count; i++) {
		struct addr_peer peer = {near[i].id, near[i].addr};

		if (node_id_equal(&peer.id, &node->config.self.id))
			peer.addr = node->config.self.addr;
		else
			(void)!overlay_find_addr(node->overlay, &peer.id, &peer.addr);
		if (addr_can_be_dialled(&peer.addr))
			ret[made++] = peer;
	}
	return made - (made % 2 == 0 && made > 0);
}

json_t *node_with_registrars(const struct node *node, const struct node_put *put,
			     const struct record_item *known)
{
	json_t *json, *stored;
	struct addr_peer chosen[TENURE_REGISTRARS_MAX];
	size_t count;

	if (strcmp(put->object->kind, "StatefulSet") != 0)
		return NULL;
	json = json_loadb((const char *)put->json.ptr, put->json.len, 0, NULL);
	if (!json)
		return NULL; /* whoever reads it will say so */
	if (known) {
		stored = json_loadb((const char *)known->record.value.ptr, known->record.value.len,
				    0, NULL);
		(void)kube_keep_registrars(json, stored);
		json_decref(stored);
	} else if (put->expected_hlc == 0) {
		count = choose(node, &put->object->uid, chosen);
		kube_set_registrars(json, chosen, count);
	}
	return json;
}
