/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acks: what we tell those who sent us a record.
 *
 * A durable record is acknowledged when our disk has it, or something newer under its key; whoever
 * waits for that is remembered, within a limit, for it sends again when it hears nothing.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

static struct record_ack *ack_fill(struct records *records, const struct node_id *to,
				   const struct record_key *key,
				   const struct record_version *version, const char *refusal)
{
	struct record_ack *ack = &effect_send(records, to, MESSAGE_RECORD_ACK)->record_ack;

	ack->key = *key;
	ack->version = *version;
	ack->stored = refusal == NULL;
	ack->text = mem_strdup(refusal ? refusal : "");
	return ack;
}

void ack_send(struct records *records, const struct node_id *to, const struct record *record,
	      const char *refusal)
{
	(void)ack_fill(records, to, &record->key, &record->version, refusal);
}

void ack_send_conflict(struct records *records, const struct node_id *to,
		       const struct record *record)
{
	ack_fill(records, to, &record->key, &record->version, "it has another version")->conflict =
		true;
}

/* The first of those who wait for @key; NULL: nobody does. */
static struct waiter *waiter_first(const struct records *records, const struct record_key *key)
{
	uint8_t bytes[RECORD_KEY_LEN];

	record_key_bytes(key, bytes);
	return map_get(&records->waiters_by_key, bytes_of(bytes, sizeof(bytes)));
}

static void waiter_add(struct records *records, struct waiter *waiter)
{
	uint8_t bytes[RECORD_KEY_LEN];

	record_key_bytes(&waiter->key, bytes);
	waiter->next = map_put(&records->waiters_by_key, bytes_of(bytes, sizeof(bytes)), waiter);
	list_append(&records->waiters, &waiter->link);
	records->waiter_count++;
}

static void waiter_free(struct records *records, struct waiter *waiter)
{
	struct waiter *before = waiter_first(records, &waiter->key);
	uint8_t bytes[RECORD_KEY_LEN];

	record_key_bytes(&waiter->key, bytes);
	if (before != waiter) {
		while (before->next != waiter)
			before = before->next;
		before->next = waiter->next;
	} else if (waiter->next) {
		(void)map_put(&records->waiters_by_key, bytes_of(bytes, sizeof(bytes)),
			      waiter->next);
	} else {
		(void)map_remove(&records->waiters_by_key, bytes_of(bytes, sizeof(bytes)));
	}
	list_remove(&waiter->link);
	records->waiter_count--;
	free(waiter);
}

void ack_later(struct records *records, const struct node_id *to, const struct record *record)
{
	struct waiter *waiter = waiter_first(records, &record->key);

	for (; waiter; waiter = waiter->next)
		if (node_id_equal(&waiter->from, to) &&
		    record_version_compare(&waiter->version, &record->version) == 0)
			return;
	if (records->waiter_count == RECORDS_WAITERS_MAX)
		waiter_free(records, list_first(&records->waiters, struct waiter, link));
	waiter = mem_new(struct waiter);
	waiter->from = *to;
	waiter->key = record->key;
	waiter->version = record->version;
	waiter_add(records, waiter);
}

void ack_saved(struct records *records, const struct record_key *key,
	       const struct record_version *version, bool stored)
{
	struct waiter *waiter = waiter_first(records, key), *next;

	for (; waiter; waiter = next) {
		next = waiter->next;
		if (record_version_compare(&waiter->version, version) > 0)
			continue;
		(void)ack_fill(records, &waiter->from, &waiter->key, &waiter->version,
			       stored ? NULL : "the disk could not store it");
		waiter_free(records, waiter);
	}
}

void acks_init(struct records *records)
{
	list_init(&records->waiters);
	map_init(&records->waiters_by_key, prng_next(&records->prng));
}

void acks_deinit(struct records *records)
{
	list_for_each_safe (link, &records->waiters)
		free(list_entry(link, struct waiter, link));
	map_deinit(&records->waiters_by_key);
}
