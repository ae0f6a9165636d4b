/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of replicas. Those of one workload stand in order of their ids; each sends its heartbeat
 * to the next DIRECTORY_SIBLINGS, all others when they are no more. So a replica is watched by as
 * many, and nobody has more connections for it, however many replicas there are.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "service/directory_internal.h"

static bool is_sibling(const struct directory *directory, const struct held *held)
{
	return held_is_live(directory, held) && !directory_is_self(directory, &held->record.peer);
}

static struct contact contact_of(const struct held *held)
{
	return (struct contact){.id = held->record.peer, .addr = held->record.addresses[0]};
}

/* Who of @a and @b is passed first on the way round from @self? */
static bool is_sooner(const struct node_id *self, const struct node_id *a, const struct node_id *b,
		      bool onwards)
{
	int sign = onwards ? 1 : -1;
	bool a_wraps = sign * node_id_compare(a, self) < 0;
	bool b_wraps = sign * node_id_compare(b, self) < 0;

	return a_wraps != b_wraps ? b_wraps : sign * node_id_compare(a, b) < 0;
}

struct ring {
	struct held *list[DIRECTORY_SIBLINGS]; /* nearest first */
	size_t count;
};

/* The next ones on the ring, or those before us. */
static struct ring ring_of(const struct directory *directory, bool onwards)
{
	const struct service *own = directory->own;
	const struct node_id *self = &directory->config.self.id;
	struct ring ring = {.count = 0};

	for (size_t i = 0; i < own->count; i++) {
		struct held *held = own->list[i];
		size_t at = ring.count;

		if (!is_sibling(directory, held))
			continue;
		while (at > 0 && is_sooner(self, &held->record.peer,
					   &ring.list[at - 1]->record.peer, onwards))
			at--;
		if (at == DIRECTORY_SIBLINGS)
			continue;
		if (ring.count < DIRECTORY_SIBLINGS)
			ring.count++;
		for (size_t j = ring.count - 1; j > at; j--)
			ring.list[j] = ring.list[j - 1];
		ring.list[at] = held;
	}
	return ring;
}

void sibling_heartbeat(struct directory *directory)
{
	struct ring next = ring_of(directory, true);
	uint64_t digest = service_digest(directory, directory->own);

	for (size_t i = 0; i < next.count; i++) {
		struct work_message message = {.type = WORK_HEARTBEAT};
		struct contact to = contact_of(next.list[i]);

		message.heartbeat.version = directory->record.version;
		message.heartbeat.digest = digest;
		buf_append_bytes(&message.heartbeat.renewal, bytes_buf(&directory->renewal));
		directory_send(directory, &to, &message);
	}
}

static void records_begin(const struct directory *directory, struct work_message *message,
			  size_t max)
{
	*message = (struct work_message){.type = WORK_RECORDS, .records.key = directory->own->key};
	message->records.list = mem_alloc(max, sizeof(*message->records.list));
}

/* Our record, by ourselves: nobody has to ask a keeper for it. */
void sibling_tell(struct directory *directory)
{
	struct ring next = ring_of(directory, true);

	for (size_t i = 0; i < next.count; i++) {
		struct work_message message;
		struct contact to = contact_of(next.list[i]);

		records_begin(directory, &message, 1);
		announce_sign(directory, &message.records.list[message.records.count++]);
		directory_send(directory, &to, &message);
	}
}

/* ---- sets ---- */

static void send_summary(struct directory *directory, const struct contact *to, bool answer)
{
	const struct service *own = directory->own;
	struct work_message message = {.type = WORK_SUMMARY, .summary.answer = answer};

	message.summary.list = mem_alloc(own->count, sizeof(*message.summary.list));
	for (size_t i = 0; i < own->count; i++)
		if (held_is_live(directory, own->list[i]))
			message.summary.list[message.summary.count++] = (struct work_known){
				own->list[i]->record.peer, own->list[i]->record.version};
	directory_send(directory, to, &message);
}

static uint64_t version_in(const struct work_summary *summary, const struct node_id *peer)
{
	for (size_t i = 0; i < summary->count; i++)
		if (node_id_equal(&summary->list[i].peer, peer))
			return summary->list[i].version;
	return 0;
}

/* Does the other one know anything that we do not? */
static bool knows_more(const struct directory *directory, const struct work_summary *summary)
{
	const struct service *own = directory->own;

	for (size_t i = 0; i < summary->count; i++) {
		const struct held *held =
			held_of_peer(own->list, own->count, &summary->list[i].peer);

		if (!held || held->record.version < summary->list[i].version)
			return true;
	}
	return false;
}

static void receive_summary(struct directory *directory, const struct contact *from,
			    const struct work_summary *summary)
{
	const struct service *own = directory->own;
	struct work_message message;

	records_begin(directory, &message, own->count);
	for (size_t i = 0; i < own->count; i++) {
		const struct held *held = own->list[i];
		struct work_signed *one = &message.records.list[message.records.count];

		if (!held_is_live(directory, held) ||
		    version_in(summary, &held->record.peer) >= held->record.version)
			continue;
		buf_append_bytes(&one->record, bytes_buf(&held->envelope));
		buf_append_bytes(&one->renewal, bytes_buf(&held->renewal));
		message.records.count++;
	}
	if (message.records.count > 0)
		directory_send(directory, from, &message);
	else
		work_message_deinit(&message);
	if (!summary->answer && knows_more(directory, summary))
		send_summary(directory, from, true);
}

static void receive_heartbeat(struct directory *directory, const struct contact *from,
			      const struct work_heartbeat *heartbeat)
{
	struct service *own = directory->own;
	struct held *held = held_of_peer(own->list, own->count, &from->id);

	if (held && held->record.version == heartbeat->version && !held->record.leaving)
		held_prolong(directory, held, &heartbeat->renewal);
	if (heartbeat->digest != service_digest(directory, own))
		send_summary(directory, from, false);
}

/* Only replicas of our own workload are siblings. */
void sibling_receive(struct directory *directory, const struct directory_peer *from,
		     const struct work_message *message)
{
	const struct service_name *own = &directory->config.name;

	if (strcmp(from->name->namespace, own->namespace) != 0 ||
	    strcmp(from->name->kind, own->kind) != 0 || strcmp(from->name->name, own->name) != 0)
		return;
	if (message->type == WORK_HEARTBEAT)
		receive_heartbeat(directory, &from->contact, &message->heartbeat);
	else
		receive_summary(directory, &from->contact, &message->summary);
}

/* ---- who is missing ---- */

static void report(struct directory *directory, const struct held *held,
		   enum directory_effect_type type)
{
	struct directory_effect *effect = directory_out(directory, type);

	effect->to = contact_of(held);
	memcpy(effect->name, held->record.pod, strlen(held->record.pod) + 1);
}

void sibling_heard(struct directory *directory, const struct node_id *id)
{
	struct held *held = held_of_peer(directory->own->list, directory->own->count, id);

	if (!held)
		return;
	held->heard = directory->now;
	held->probed = false;
	if (held->missing)
		report(directory, held, DIRECTORY_BACK);
	held->missing = false;
}

void sibling_probe(struct directory *directory, const struct contact *to)
{
	struct work_message message = {.type = WORK_LOOKUP};

	message.lookup.request = directory_request(directory);
	message.lookup.namespace = mem_strdup(directory->own->namespace);
	message.lookup.name = mem_strdup(directory->own->name);
	directory_send(directory, to, &message);
}

static void probe(struct directory *directory, struct held *held)
{
	struct contact to = contact_of(held);

	held->probed = true;
	sibling_probe(directory, &to);
}

static void watch(struct directory *directory, struct held *held)
{
	if (held->missing)
		return;
	if (!held->probed &&
	    mono_reached(directory->now, mono_add_ms(held->heard, DIRECTORY_PROBE_MS)))
		probe(directory, held);
	if (mono_reached(directory->now, mono_add_ms(held->heard, DIRECTORY_MISSING_MS))) {
		struct contact contact = contact_of(held);

		held->missing = true;
		directory_gave_up(directory, &contact);
		report(directory, held, DIRECTORY_MISSING);
	}
}

void sibling_tick(struct directory *directory)
{
	struct service *own = directory->own;
	struct ring before;

	if (!directory->announced || directory->withdrawn ||
	    fault_is_planted(FAULT_SERVICE_MISSING))
		return;
	before = ring_of(directory, false);
	for (size_t i = 0; i < own->count; i++) {
		struct held *held = own->list[i];
		bool watched = false;

		for (size_t j = 0; j < before.count; j++)
			watched = watched || before.list[j] == held;
		if (watched && !held->watched)
			held->heard = directory->now; /* it has to learn of us first */
		held->watched = watched;
		if (watched)
			watch(directory, held);
	}
}

struct mono sibling_deadline(const struct directory *directory)
{
	struct mono deadline = MONO_NEVER;

	if (directory->withdrawn)
		return deadline;
	for (size_t i = 0; i < directory->own->count; i++) {
		const struct held *held = directory->own->list[i];

		if (held->watched && !held->missing)
			deadline =
				mono_min(deadline, mono_add_ms(held->heard,
							       held->probed ? DIRECTORY_MISSING_MS
									    : DIRECTORY_PROBE_MS));
	}
	return deadline;
}
