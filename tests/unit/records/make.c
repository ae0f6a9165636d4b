/* SPDX-License-Identifier: Apache-2.0 */
#include "make.h"

#include <string.h>

#include "base/mem.h"

struct uid make_uid(uint8_t n)
{
	struct uid uid;

	memset(uid.byte, n, sizeof(uid.byte));
	return uid;
}

struct node_id make_id(uint8_t n)
{
	struct node_id id;

	memset(id.byte, n, sizeof(id.byte));
	return id;
}

struct wall make_fabric(int64_t ms)
{
	return (struct wall){.ms = MAKE_MS + ms};
}

uint64_t make_hlc(int64_t ms)
{
	return (uint64_t)(MAKE_MS + ms) << 16;
}

static struct object_ref make_ref(uint8_t uid, const char *name)
{
	return (struct object_ref){
		.uid = make_uid(uid),
		.namespace = mem_strdup("default"),
		.kind = mem_strdup("Deployment"),
		.name = mem_strdup(name),
	};
}

/* Values differ with the time, so digests do. */
static void make_version(struct record *record, int64_t ms)
{
	record->version.hlc = make_hlc(ms);
	record->written_ms = MAKE_MS + ms;
	record->version.digest.byte[0] = (uint8_t)ms;
	record->version.digest.byte[1] = (uint8_t)record->key.kind;
}

struct record make_object(uint8_t uid, const char *name, int64_t ms)
{
	struct record record = {
		.key = {.kind = RECORD_OBJECT, .uid = make_uid(uid)},
		.object = make_ref(uid, name),
	};

	record.version.generation = 1;
	make_version(&record, ms);
	buf_append_format(&record.value, "{\"at\":%lld}", (long long)ms);
	return record;
}

struct record make_tombstone(uint8_t uid, int64_t ms)
{
	struct record record = {
		.key = {.kind = RECORD_TOMBSTONE, .uid = make_uid(uid)},
		.object = make_ref(uid, "web"),
	};

	make_version(&record, ms);
	return record;
}

struct record make_presence_end(uint8_t workload, uint8_t pod, int64_t ms)
{
	struct record record = {
		.key = {RECORD_PRESENCE, make_uid(workload), make_uid(pod)},
		.object = make_ref(workload, "web"),
		.gone = true,
	};

	make_version(&record, ms);
	return record;
}

struct record make_presence(uint8_t workload, uint8_t pod, uint8_t machine, int64_t ms)
{
	struct record record = make_presence_end(workload, pod, ms);
	struct presence presence = {
		.pod_uid = make_uid(pod),
		.object = record.object,
		.node = make_id(machine),
		.phase = POD_RUNNING,
	};

	record.gone = false;
	presence_encode(&presence, &record.value);
	return record;
}

struct record make_node(uint8_t machine, int64_t ms)
{
	struct record record = {
		.key = {RECORD_NODE, make_uid(machine), make_uid(machine)},
	};

	make_version(&record, ms);
	return record;
}

struct buf make_envelope(const struct record *record)
{
	struct message message = {.type = MESSAGE_RECORD, .record = *record};
	struct buf envelope = {0};

	message_encode(&message, &envelope);
	return envelope;
}

int receive(struct records *records, const struct record *record, uint8_t writer)
{
	struct record_writer signer = {.id = make_id(writer), .steward = true};
	struct buf envelope = make_envelope(record);
	int outcome = records_receive(records, (struct mono){0}, make_fabric(0), &signer.id,
				      &signer, record, bytes_buf(&envelope));

	buf_deinit(&envelope);
	return outcome;
}

struct records *make_records(uint8_t id)
{
	struct records_config config = {.self = make_id(id), .keeper = true, .seed = id};
	struct records *records = records_new(&config);

	records_set_stewards(records, (struct mono){0}, &config.self, 1);
	return records;
}

size_t drain(struct records *records, enum records_effect_type type)
{
	const struct records_effect *effect;
	size_t count = 0;

	while ((effect = records_next_effect(records)))
		count += effect->type == type;
	return count;
}
