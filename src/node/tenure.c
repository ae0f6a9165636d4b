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
#include "market/college.h"

_Static_assert((int)TENURE_REGISTRARS_MAX == (int)MESSAGE_REGISTRARS_MAX, "one number");

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
	for (size_t i = 0; i < seat->registrars.count; i++) {
		struct node_destination to = registrar_at(node, &seat->registrars.list[i]);

		tell(node, now, &to, tenure, word);
	}
}

void node_tenure_ask_again(struct node *node, struct mono now, const struct registrars *registrars,
			   const struct candidacy *candidacy)
{
	for (size_t i = 0; i < candidacy->count; i++) {
		struct node_destination to = registrar_at(node, &registrars->list[i]);

		if (candidacy->registrar[i].answer != CANDIDACY_GIVEN)
			tell(node, now, &to, &candidacy->ask, TENURE_ASK);
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
		.registrars = seat->registrars.id,
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
	colleges_free(node->colleges);
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
	node_tenure_ask_again(node, now, &candidate->seat.registrars, candidacy);
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
	node_registrars_newest(node, &seat->set, &candidate->seat.registrars);
	candidacy_set(&candidate->candidacy, &candidate->seat.registrars);
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

	if (!candidate && node_recall_answered(node, now, from, word))
		return;
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

/* ---- other registrars than before ---- */

static void follow(struct node *node, struct mono now, struct candidate *candidate,
		   const struct registrars *registrars)
{
	candidate->seat.registrars = *registrars;
	candidacy_set(&candidate->candidacy, registrars);
	candidate->ask_at = now;
	node->tenure_due = mono_min(node->tenure_due, now);
}

/* Those whom an operator has made know of nothing, and wait a while to be told. */
static void seat_follow(struct node *node, struct mono now, struct local_pod *pod,
			const struct registrars *registrars)
{
	if (registrars->id.epoch > pod->seat->registrars.id.epoch) {
		pod->claim_until = mono_add_ms(now, COLLEGE_SETTLE_MS);
		node->tenure_due = mono_min(node->tenure_due, now);
	}
	pod->seat->registrars = *registrars;
}

void node_tenure_seated(struct node *node, struct mono now, struct local_pod *pod)
{
	struct registrars newest = pod->seat->registrars;

	node_registrars_newest(node, &pod->seat->set, &newest);
	seat_follow(node, now, pod, &newest);
}

void node_tenures_follow(struct node *node, struct mono now, const struct uid *set,
			 const struct registrars *registrars)
{
	list_for_each (it, &node->candidates) {
		struct candidate *candidate = list_entry(it, struct candidate, link);

		if (uid_equal(&candidate->seat.set, set) &&
		    registrars_compare(&registrars->id, &candidate->seat.registrars.id) > 0)
			follow(node, now, candidate, registrars);
	}
	map_for_each (entry, &node->pods) {
		struct local_pod *pod = entry->value;

		if (pod->seat && uid_equal(&pod->seat->set, set) &&
		    registrars_compare(&registrars->id, &pod->seat->registrars.id) > 0)
			seat_follow(node, now, pod, registrars);
	}
}

void node_tenures_told(struct node *node, struct mono now, const struct node_id *from,
		       const struct college *later)
{
	list_for_each (it, &node->candidates) {
		struct candidate *candidate = list_entry(it, struct candidate, link);

		if (uid_equal(&candidate->seat.set, &later->set) &&
		    candidacy_later(&candidate->candidacy, from, &later->present))
			follow(node, now, candidate, &later->present);
	}
	node_recall_told(node, now, from, later);
}

struct tenure node_tenure_of(struct node *node, struct mono now, const struct local_pod *pod)
{
	return (struct tenure){
		.set = pod->seat->set,
		.ordinal = pod->seat->ordinal,
		.epoch = pod->presence.epoch,
		.serial = records_clock_next(node->records, node_fabric_time(node, now)),
		.machine = node->config.self.id,
		.addr = node->config.self.addr,
		.pod_uid = pod->presence.pod_uid,
	};
}

/* It runs here, or will when nobody can be asked: they may not know. */
static void claim(struct node *node, struct mono now, struct local_pod *pod)
{
	struct tenure tenure = node_tenure_of(node, now, pod);

	tenure.registrars = pod->seat->registrars.id;
	tenure.runs = true;
	if (!pod->stopping)
		tell_registrars(node, now, pod->seat, &tenure, TENURE_ASK);
}

static void claims_tick(struct node *node, struct mono now)
{
	map_for_each (entry, &node->pods) {
		struct local_pod *pod = entry->value;

		if (!pod->seat || pod->claim_until.us == 0 ||
		    (pod->kept && node_recall_is_needed(pod)))
			continue;
		if (mono_reached(now, pod->claim_until))
			pod->claim_until = (struct mono){0};
		else
			claim(node, now, pod);
		node->tenure_due = mono_min(node->tenure_due, mono_add_ms(now, TENURE_QUERY_MS));
	}
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

static struct node_destination holder_at(const struct node *node, const struct tenure *entry)
{
	struct node_destination to = {entry->machine, entry->addr};

	if (!overlay_find_addr(node->overlay, &to.id, &to.addr))
		(void)!node_facts_addr(node, &to.id, &to.addr);
	return to;
}

void node_tenure_write(struct node *node, struct mono now, const struct uid *set, uint32_t ordinal)
{
	struct tenure claims[TENURE_RIVALS_MAX + 1];
	struct message message = {.type = MESSAGE_TENURE};
	size_t count = registry_claims(node->registry, set, ordinal, claims);
	struct queued_effect *queued = node_queue(node, NODE_PERSIST);

	message.tenure = claims[0];
	if (count > 1) {
		message.type = MESSAGE_COLLEGE;
		message.college = (struct college){.word = COLLEGE_CLAIMS, .set = *set};
		message.college.entries = claims;
		message.college.entry_count = count;
	}
	queued->effect.key = disk_key(set, ordinal);
	queued->effect.version.hlc = claims[0].serial;
	node_seal(node, now, &message, &queued->packet);
}

/* What a registrar says, it says as one of those that it knows of. */
static void answer(struct node *node, struct mono now, const struct tenure *tenure,
		   enum tenure_word word)
{
	const struct registrars *present = colleges_find(node->colleges, &tenure->set);
	struct tenure said = *tenure;
	struct node_destination to = holder_at(node, tenure);

	if (present)
		said.registrars = present->id;
	tell(node, now, &to, &said, word);
}

/* @entry stands in our book: nobody else has it. */
static void give_or_hold(struct node *node, struct mono now, const struct tenure *ask)
{
	struct tenure entry, held = *ask;
	int outcome = registry_ask(node->registry, now, ask, &entry);
	struct node_destination to = holder_at(node, ask), holder;

	if (outcome == 0) {
		answer(node, now, &entry, TENURE_GIVEN);
	} else if (outcome == REGISTRY_E_WRITE) {
		node_tenure_write(node, now, &entry.set, entry.ordinal);
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

static void asked(struct node *node, struct mono now, const struct tenure *ask)
{
	struct node_destination to = holder_at(node, ask);

	switch (colleges_standing(node->colleges, now, &ask->set, &ask->registrars)) {
	case COLLEGE_STRANGER:
		node_college_look(node, now, &ask->set);
		return;
	case COLLEGE_OLD:
		node_college_later(node, now, &to, &ask->set);
		return;
	case COLLEGE_BUSY:
		return; /* it asks again */
	case COLLEGE_SETTLING:
		if (ask->runs)
			give_or_hold(node, now, ask);
		return;
	case COLLEGE_SERVING:
		give_or_hold(node, now, ask);
		return;
	}
}

void node_tenure_written(struct node *node, struct mono now, const struct record_key *key,
			 const struct record_version *version, bool stored)
{
	struct tenure entry;

	if (node_college_is_disk_key(key)) {
		colleges_written(node->colleges, &key->uid, version->hlc, stored);
		return;
	}
	if (!registry_written(node->registry, &key->uid, ordinal_of(key), version->hlc, stored,
			      &entry))
		return;
	/* What it took over from others, or as one of earlier ones, was not asked for here. */
	if (colleges_standing(node->colleges, now, &key->uid, &entry.registrars) >=
	    COLLEGE_SETTLING)
		answer(node, now, &entry, TENURE_GIVEN);
}

static void forget(struct node *node, const struct uid *set, uint32_t ordinal)
{
	node_queue(node, NODE_FORGET)->effect.key = disk_key(set, ordinal);
}

void node_tenure_restore(struct node *node, const struct tenure *entry)
{
	registry_restore(node->registry, entry);
}

void node_tenures_drop_book(struct node *node, const struct uid *set)
{
	uint32_t ordinal;

	while (registry_drop(node->registry, set, &ordinal))
		forget(node, set, ordinal);
}

void node_tenures_forget(struct node *node, const struct uid *set)
{
	node_tenures_drop_book(node, set);
	if (colleges_forget(node->colleges, set))
		node_queue(node, NODE_FORGET)->effect.key = node_college_disk_key(set);
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

bool node_tenure_may_speak(struct node *node, struct mono now, const struct node_id *from)
{
	if (node_id_equal(from, &node->config.self.id) ||
	    node_rate_take(&node->tenure_words, now, from, &tenure_rate, 1))
		return true;
	node_count(node, NODE_COUNT_RATE);
	return false;
}

void node_tenure_arrived(struct node *node, struct mono now, const struct node_id *from,
			 const struct tenure *tenure)
{
	if (!node_tenure_may_speak(node, now, from))
		return;
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
	claims_tick(node, now);
	node_recalls_tick(node, now);
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
	node->colleges = colleges_new(&node->config.self.id, node->registry, node->config.seed);
	map_init(&node->tenure_words, node->config.seed);
	node->tenure_due = MONO_NEVER;
}
