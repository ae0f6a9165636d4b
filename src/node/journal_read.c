/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the journals of others, in a fabric where not everybody sees everything:
 *
 *	A -> B, C, D   JOURNAL_ASK   what has happened at this home? Three of its keepers are asked
 *	A <- each      JOURNAL       256 happenings at a time; A asks again behind the last of them
 *
 * One of three has seen it all as a rule: what a keeper noted before it was restarted the others
 * still know. An answer is believed of who was asked, about that home only, and in the namespace
 * of what lies there.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	READ_SOURCES = 3,
	READ_PAGES_MAX = 16, /* of one keeper: all that it may have noted */
	READ_RESEND_MS = 300,
	READ_END_MS = 1500, /* then it ends with what it has */
};

/* A list of everything asks for a thousand homes in a moment. */
static const struct node_rate ask_rate = {.per_minute = 60 * 1000, .burst = 8192};

struct source {
	struct contact contact;
	uint64_t after; /* what it has sent so far */
	unsigned pages;
	bool done;
};

struct reading {
	struct list link;
	uint64_t token, locating; /* 0: its keepers are known */
	struct uid uid;
	struct source sources[READ_SOURCES];
	size_t count;
	struct mono resend_at, end_at;
};

void node_journal_init(struct node *node)
{
	if (node->config.journal)
		node->journal = journal_new(node->config.seed);
	list_init(&node->readings);
	map_init(&node->journal_askers, node->config.seed);
}

static void reading_free(struct reading *reading)
{
	list_remove(&reading->link);
	free(reading);
}

void node_journal_deinit(struct node *node)
{
	list_for_each_safe (it, &node->readings)
		reading_free(list_entry(it, struct reading, link));
	journal_free(node->journal);
	node_rates_deinit(&node->journal_askers);
}

void node_journal_tell(struct node *node)
{
	if (!node->told)
		return;
	node->told = false;
	(void)node_queue(node, NODE_TOLD);
}

/* ---- asking ---- */

static void send(struct node *node, const struct contact *to, const struct message *message)
{
	struct buf encoded = {0};

	message_encode(message, &encoded);
	node_send_packet(node, &(struct node_destination){to->id, to->addr}, message->type,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
}

static void ask(struct node *node, const struct reading *reading, const struct source *source)
{
	struct message message = {
		.type = MESSAGE_JOURNAL_ASK,
		.journal_ask = {reading->token, reading->uid, source->after},
	};

	send(node, &source->contact, &message);
}

static void ask_all(struct node *node, struct mono now, struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		if (!reading->sources[i].done)
			ask(node, reading, &reading->sources[i]);
	reading->resend_at = mono_add_ms(now, READ_RESEND_MS);
}

static void reading_end(struct node *node, struct mono now, struct reading *reading)
{
	uint64_t token = reading->token;
	bool any = reading->count == 0 && !reading->locating; /* we are its only keeper */

	for (size_t i = 0; i < reading->count; i++)
		any |= reading->sources[i].done;
	reading_free(reading);
	node_refresh_read(node, now, token, any);
}

static void reading_start(struct node *node, struct mono now, struct reading *reading,
			  const struct contact *keepers, size_t count)
{
	for (size_t i = 0; i < count && reading->count < READ_SOURCES; i++)
		if (!node_id_equal(&keepers[i].id, &node->config.self.id))
			reading->sources[reading->count++].contact = keepers[i];
	reading->locating = 0;
	if (reading->count == 0)
		reading->end_at = now; /* not within the call that began it */
	ask_all(node, now, reading);
}

uint64_t node_reading_begin(struct node *node, struct mono now, const struct uid *uid)
{
	struct reading *reading = mem_new(struct reading);
	struct contact keepers[RECORDS_KEEPERS];

	reading->token = ++node->reading_token;
	reading->uid = *uid;
	reading->resend_at = MONO_NEVER;
	reading->end_at = mono_add_ms(now, READ_END_MS);
	list_append(&node->readings, &reading->link);
	if (records_keeps(node->records, uid))
		reading_start(node, now, reading, keepers,
			      records_nearest(node->records, uid, keepers, RECORDS_KEEPERS));
	else if (records_locate(node->records, now, uid, &reading->locating) != 0)
		reading->end_at = now;
	return reading->token;
}

bool node_reading_located(struct node *node, struct mono now, const struct records_effect *effect)
{
	list_for_each (it, &node->readings) {
		struct reading *reading = list_entry(it, struct reading, link);

		if (!reading->locating || reading->locating != effect->token)
			continue;
		reading_start(node, now, reading, effect->contacts, effect->contact_count);
		return true;
	}
	return false;
}

/* ---- answers ---- */

/* In which namespace the objects at that home lie, NULL: it is not known here. */
static const char *home_namespace(const struct node *node, const struct uid *uid)
{
	struct record_key key = {.kind = RECORD_TOMBSTONE, .uid = *uid};
	const struct record_item *item;
	size_t position = 0;

	item = records_next(node->records, RECORD_OBJECT, NULL, uid, &position);
	if (!item)
		item = records_get(node->records, &key);
	return item ? item->record.object.namespace : NULL;
}

static void hear(struct node *node, struct mono now, const struct uid *home,
		 const struct journal_page *page)
{
	const char *namespace = home_namespace(node, home);

	for (size_t i = 0; namespace && i < page->count; i++)
		if (strcmp(page->happenings[i].namespace, namespace) == 0 &&
		    journal_hear(node->journal, now, node_fabric_time(node, now), home,
				 &page->happenings[i]))
			node->told = true;
}

static struct source *source_of(struct reading *reading, const struct node_id *id)
{
	for (size_t i = 0; i < reading->count; i++)
		if (node_id_equal(&reading->sources[i].contact.id, id))
			return &reading->sources[i];
	return NULL;
}

static bool all_done(const struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		if (!reading->sources[i].done)
			return false;
	return true;
}

static void answered(struct node *node, struct mono now, struct reading *reading,
		     struct source *source, const struct journal_page *page)
{
	hear(node, now, &reading->uid, page);
	/* A page that comes twice, or leads nowhere, is not followed. */
	if (page->next > source->after && ++source->pages < READ_PAGES_MAX) {
		source->after = page->next;
		ask(node, reading, source);
		return;
	}
	source->done = page->next == 0 || page->next > source->after;
	if (all_done(reading))
		reading_end(node, now, reading);
}

void node_journal_answered(struct node *node, struct mono now, const struct node_id *from,
			   const struct journal_page *page)
{
	list_for_each (it, &node->readings) {
		struct reading *reading = list_entry(it, struct reading, link);
		struct source *source =
			reading->token == page->request ? source_of(reading, from) : NULL;

		if (!source || source->done || !node->journal)
			continue;
		answered(node, now, reading, source, page);
		return;
	}
}

void node_journal_asked(struct node *node, struct mono now, const struct node_id *from,
			const struct journal_ask *ask)
{
	struct message message = {.type = MESSAGE_JOURNAL};
	struct contact to = {.id = *from};

	if (!node->journal)
		return;
	if (!node_rate_take(&node->journal_askers, now, from, &ask_rate, 1)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	journal_read(node->journal, node_fabric_time(node, now), &ask->home, ask->after,
		     &message.journal_page);
	message.journal_page.request = ask->request;
	send(node, &to, &message);
	message_deinit(&message);
}

void node_journal_each(struct node *node, struct mono now, const char *namespace, journal_fn *each,
		       void *arg)
{
	if (!node->journal)
		return;
	node_witness_stored(node);
	journal_each(node->journal, node_fabric_time(node, now), namespace, each, arg);
}

/* ---- time ---- */

void node_journal_tick(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->readings) {
		struct reading *reading = list_entry(it, struct reading, link);

		if (mono_reached(now, reading->end_at))
			reading_end(node, now, reading);
		else if (mono_reached(now, reading->resend_at))
			ask_all(node, now, reading);
	}
	if (node->journal)
		journal_sweep(node->journal, now);
}

struct mono node_journal_deadline(const struct node *node)
{
	struct mono deadline = MONO_NEVER;

	list_for_each (it, &node->readings) {
		const struct reading *reading = list_entry(it, const struct reading, link);

		deadline = mono_min(deadline, mono_min(reading->end_at, reading->resend_at));
	}
	return deadline;
}
