/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the records in any order, driven by the input: records from a small space of keys,
 * versions and writers, so that they often collide, and talk about them as bytes to be decoded.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "records/records.h"

enum {
	MACHINES = 5,
	STEPS_MAX = 2000,
	FABRIC_MS = 1000000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script {
	const uint8_t *at;
	size_t left;
	struct records *records;
	struct mono now;
};

static char namespace[] = "default", kind[] = "Deployment";
static char names[][4] = {"web", "db", ""};

static uint8_t next_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

static struct node_id machine_id(uint8_t n)
{
	struct node_id id;

	memset(id.byte, 1 + n % MACHINES, sizeof(id.byte));
	return id;
}

static struct uid small_uid(uint8_t n)
{
	struct uid uid;

	memset(uid.byte, 1 + n % 6, sizeof(uid.byte));
	return uid;
}

static struct wall fabric_at(const struct script *script)
{
	return (struct wall){.ms = FABRIC_MS + script->now.us / US_PER_MS};
}

static struct record_key next_key(struct script *script)
{
	struct record_key key = {.kind = RECORD_OBJECT + next_byte(script) % RECORD_NODE};

	key.uid = small_uid(next_byte(script));
	if (key.kind == RECORD_PRESENCE)
		key.sub = small_uid(next_byte(script));
	else if (key.kind == RECORD_NODE)
		key.sub = key.uid;
	return key;
}

static void presence_fill(struct record *record, const struct node_id *writer)
{
	struct presence presence = {
		.pod_uid = record->key.sub,
		.object = record->object,
		.node = *writer,
	};

	presence_encode(&presence, &record->value);
}

/* The strings are borrowed; the value is to be freed. */
static struct record next_record(struct script *script, const struct node_id *writer)
{
	struct record record = {.key = next_key(script)};
	uint8_t flags = next_byte(script), age = next_byte(script);

	record.object = (struct object_ref){record.key.uid, namespace, kind, names[flags % 3]};
	record.version.generation = flags >> 6;
	record.version.hlc = (uint64_t)(FABRIC_MS + age * 200) << 16;
	record.version.digest.byte[0] = flags;
	record.written_ms = FABRIC_MS + age;
	record.gone = record.key.kind == RECORD_PRESENCE && (flags & 8);
	if (record.key.kind == RECORD_PRESENCE && !record.gone)
		presence_fill(&record, writer);
	return record;
}

static void receive_record(struct script *script, uint8_t n)
{
	struct record_writer writer = {.id = machine_id(n), .steward = !(n & 0x80)};
	struct node_id from = machine_id(n >> 4);
	struct record record = next_record(script, &writer.id);
	int outcome;

	if (n & 0x40)
		outcome = records_restore(script->records, &record, bytes_str("envelope"), &writer);
	else
		outcome = records_receive(script->records, script->now, fabric_at(script), &from,
					  &writer, &record, bytes_str("envelope"));
	assert(outcome >= 0 && outcome != RECORDS_E_CONFLICT);
	buf_deinit(&record.value);
}

static void put_record(struct script *script, uint8_t n)
{
	struct node_id self = machine_id(0);
	struct record record = next_record(script, &self);
	uint64_t token, expected = n % 3 == 0 ? 0 : UINT64_MAX;
	int outcome = records_put(script->records, script->now, fabric_at(script), &record,
				  bytes_str("envelope"), expected, &token);

	assert(outcome >= 0);
	buf_deinit(&record.value);
}

static void receive_bytes(struct script *script, const struct node_id *from)
{
	size_t len = next_byte(script);
	struct message message;

	if (len > script->left)
		len = script->left;
	if (message_decode(bytes_of(script->at, len), &message) == 0) {
		if (message.type >= MESSAGE_RECORD_ACK && message.type <= MESSAGE_SYNC_WANT)
			records_receive_message(script->records, script->now, from, &message);
		message_deinit(&message);
	}
	script->at += len;
	script->left -= len;
}

/* The peer has nothing, or has something else in each bucket. */
static void receive_sync(struct script *script, const struct node_id *from, uint8_t n)
{
	static uint64_t digests[SYNC_BUCKETS];
	static uint32_t buckets[SYNC_BUCKETS];
	struct sync_entry entry = {.key = next_key(script), .version.hlc = (uint64_t)n << 30};
	struct message summary = {.type = MESSAGE_SYNC_SUMMARY,
				  .sync_summary = {digests, SYNC_BUCKETS}};
	struct message keys = {.type = MESSAGE_SYNC_KEYS,
			       .sync_keys = {buckets, SYNC_BUCKETS, &entry, 1, false}};
	struct message want = {.type = MESSAGE_SYNC_WANT, .sync_want = {&entry.key, 1}};

	for (uint32_t i = 0; i < SYNC_BUCKETS; i++)
		buckets[i] = i;
	records_receive_message(script->records, script->now, from,
				n % 3 == 0   ? &summary
				: n % 3 == 1 ? &keys
					     : &want);
}

static void step(struct script *script)
{
	uint8_t operation = next_byte(script), n = next_byte(script);
	struct node_id id = machine_id(n), stewards[MACHINES];

	switch (operation % 12) {
	case 0:
		for (uint8_t i = 0; i < MACHINES; i++)
			stewards[i] = machine_id(i);
		records_set_stewards(script->records, script->now, stewards, n % (MACHINES + 1));
		break;
	case 1:
		records_peer_up(script->records, script->now, &id);
		break;
	case 2:
		records_peer_lost(script->records, script->now, &id);
		break;
	case 3:
		receive_bytes(script, &id);
		break;
	case 4:
		receive_sync(script, &id, n);
		break;
	case 5:
	case 6:
		put_record(script, n);
		break;
	case 7:
		script->now = mono_add_ms(script->now, (int64_t)n * n * 10);
		records_tick(script->records, script->now, fabric_at(script));
		break;
	default:
		receive_record(script, n);
	}
}

static void check_effects(struct script *script, bool disk_works)
{
	const struct records_effect *effect;
	struct record_version version;
	struct record_key key;
	struct buf encoded = {0};

	while ((effect = records_next_effect(script->records))) {
		buf_clear(&encoded);
		if (effect->type == RECORDS_SEND && !effect->is_envelope)
			message_encode(&effect->message, &encoded);
		if (effect->type != RECORDS_PERSIST)
			continue;
		key = effect->key;
		version = effect->item->record.version;
		records_persisted(script->records, script->now, &key, &version, disk_works);
	}
	buf_deinit(&encoded);
}

/* No deleted object is found, by whatever way one looks for it. */
static void check_reads(const struct records *records)
{
	const struct record_item *item;
	size_t position = 0, count = 0;

	while ((item = records_next(records, RECORD_OBJECT, NULL, NULL, &position))) {
		assert(!records_is_deleted(records, &item->record.key.uid));
		assert(records_get(records, &item->record.key) == item);
		assert(records_find(records, namespace, kind, item->record.object.name));
		count++;
	}
	assert(count == records_count(records, RECORD_OBJECT));
	position = count = 0;
	while ((item = records_next(records, RECORD_OBJECT, kind, NULL, &position)))
		count++;
	assert(count == records_count(records, RECORD_OBJECT));
	position = count = 0;
	while ((item = records_next(records, RECORD_PRESENCE, NULL, NULL, &position))) {
		assert(!item->record.gone);
		count++;
	}
	assert(count == records_count(records, RECORD_PRESENCE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script script = {.at = data, .left = len};
	uint8_t flags = next_byte(&script);
	struct records_config config = {.self = machine_id(0), .keeper = !(flags & 1), .seed = 1};

	script.records = records_new(&config);
	for (size_t i = 0; i < STEPS_MAX && script.left > 0; i++) {
		step(&script);
		check_effects(&script, !(flags & 2));
		check_reads(script.records);
	}
	records_free(script.records);
	return 0;
}
