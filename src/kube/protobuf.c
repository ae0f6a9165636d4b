/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reader walks the wire with a sticky failure; one recursion follows the schema's messages.
 * Nothing is allocated beyond what the body itself holds, except that each value costs a JSON node,
 * which is charged against the manifest's limit.
 */
#include "kube/protobuf.h"

#include <stdbool.h>
#include <string.h>

#include "base/time.h"
#include "kube/manifest.h"
#include "kube/member.h"
#include "kube/schema.h"
#include "kube/time.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

static const uint8_t magic[4] = {'k', '8', 's', 0};

struct reader {
	struct bytes rest;
	bool failed;
};

/* One field as it is on the wire. */
struct item {
	uint64_t number;
	enum wire_type wire;
	uint64_t varint;
	struct bytes bytes;
};

struct decoder {
	struct err *err;
	size_t node_count;
	size_t depth;
};

static uint64_t read_varint(struct reader *reader)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (reader->rest.len == 0)
			break;
		uint8_t byte = *reader->rest.ptr;
		reader->rest = bytes_of(reader->rest.ptr + 1, reader->rest.len - 1);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	reader->failed = true;
	return 0;
}

static struct bytes read_bytes(struct reader *reader, uint64_t len)
{
	if (len > reader->rest.len) {
		reader->failed = true;
		return (struct bytes){0};
	}
	struct bytes bytes = bytes_of(reader->rest.ptr, (size_t)len);
	reader->rest = bytes_of(reader->rest.ptr + len, reader->rest.len - (size_t)len);
	return bytes;
}

/* The next field; false at the end or on failure, which reader->failed tells apart. */
static bool read_item(struct reader *reader, struct item *item)
{
	if (reader->rest.len == 0 || reader->failed)
		return false;
	uint64_t tag = read_varint(reader);
	*item = (struct item){.number = tag >> 3, .wire = (enum wire_type)(tag & 7)};
	switch (item->wire) {
	case WIRE_VARINT:
		item->varint = read_varint(reader);
		break;
	case WIRE_BYTES:
		item->bytes = read_bytes(reader, read_varint(reader));
		break;
	case WIRE_FIXED64:
		(void)read_bytes(reader, 8);
		break;
	case WIRE_FIXED32:
		(void)read_bytes(reader, 4);
		break;
	default:
		reader->failed = true;
	}
	return !reader->failed && item->number != 0;
}

static int refuse(struct decoder *decoder, const char *what, const char *name)
{
	return err_set_status(decoder->err, -EINVAL, 400,
			      "the protobuf body cannot be decoded: %s%s%.80s", what,
			      *name ? " in " : "", name);
}

static json_t *text_of(struct bytes bytes)
{
	if (bytes.len && memchr(bytes.ptr, 0, bytes.len))
		return NULL;
	return json_stringn(bytes.len ? (const char *)bytes.ptr : "", bytes.len);
}

/* Time{1: seconds, 2: nanoseconds}; NULL stands for no time at all. */
static json_t *time_decode(struct bytes bytes, bool *failed)
{
	struct reader reader = {.rest = bytes};
	struct item item;
	int64_t seconds = 0, nanos = 0;
	while (read_item(&reader, &item)) {
		if (item.number == 1)
			seconds = (int64_t)item.varint;
		else if (item.number == 2)
			nanos = (int64_t)item.varint;
	}
	*failed = reader.failed || seconds > INT64_MAX / MS_PER_S || seconds < INT64_MIN / MS_PER_S;
	if (bytes.len == 0 || *failed)
		return NULL;
	struct wall at = {.ms = seconds * MS_PER_S};
	if (nanos == 0)
		return json_string(kube_time_text(at).text);
	return kube_text("%.19s.%06uZ", kube_time_text(at).text,
			 (unsigned)(nanos / 1000 % 1000000));
}

/* Quantity{1: text}, and the JSON bytes of a raw field: a message with one byte string. */
static struct bytes wrapped(struct bytes bytes, bool *failed)
{
	struct reader reader = {.rest = bytes};
	struct item item;
	struct bytes inner = {0};
	while (read_item(&reader, &item)) {
		if (item.number == 1)
			inner = item.bytes;
	}
	*failed = reader.failed;
	return inner;
}

static json_t *raw_decode(struct bytes bytes, bool *failed)
{
	struct bytes inner = wrapped(bytes, failed);
	if (*failed || inner.len == 0)
		return NULL;
	json_t *value = json_loadb((const char *)inner.ptr, inner.len,
				   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	*failed = !value;
	return value;
}

/* IntOrString{1: 0 for a number and 1 for a string, 2: number, 3: string}. */
static json_t *intstr_decode(struct bytes bytes, bool *failed)
{
	struct reader reader = {.rest = bytes};
	struct item item;
	bool is_string = false;
	int64_t number = 0;
	struct bytes text = {0};
	while (read_item(&reader, &item)) {
		if (item.number == 1)
			is_string = item.varint != 0;
		else if (item.number == 2)
			number = (int64_t)item.varint;
		else if (item.number == 3)
			text = item.bytes;
	}
	json_t *value = is_string ? text_of(text) : json_integer(number);
	*failed = reader.failed || !value;
	if (!*failed)
		return value;
	json_decref(value);
	return NULL;
}

static json_t *base64_decode_to_json(struct bytes bytes)
{
	struct buf text = {0};
	base64_encode(bytes, &text);
	json_t *value = json_stringn(text.len ? (const char *)text.ptr : "", text.len);
	buf_deinit(&text);
	return value;
}

static bool wire_fits(const struct kube_field *field, enum wire_type wire)
{
	bool is_number = field->type == KUBE_TYPE_INT || field->type == KUBE_TYPE_BOOL;
	return wire == (is_number ? WIRE_VARINT : WIRE_BYTES);
}

static int message_decode_into(struct decoder *decoder, struct bytes bytes,
			       const struct kube_message *message, json_t *object);

static int message_value(struct decoder *decoder, struct bytes bytes,
			 const struct kube_field *field, json_t **ret)
{
	json_t *object = json_object();
	int r = message_decode_into(decoder, bytes, &kube_messages[field->message], object);
	if (r == 0)
		*ret = object;
	else
		json_decref(object);
	return r;
}

/* One value; *@ret stays NULL for a value that means "not set". */
static int value_decode(struct decoder *decoder, const struct item *item,
			const struct kube_field *field, json_t **ret)
{
	bool failed = false;
	*ret = NULL;
	if (++decoder->node_count > KUBE_MANIFEST_NODES_MAX)
		return refuse(decoder, "too many values", field->name);
	if (!wire_fits(field, item->wire))
		return refuse(decoder, "a value of the wrong type", field->name);
	switch ((enum kube_type)field->type) {
	case KUBE_TYPE_MESSAGE:
		return message_value(decoder, item->bytes, field, ret);
	case KUBE_TYPE_STRING:
		*ret = text_of(item->bytes);
		failed = !*ret;
		break;
	case KUBE_TYPE_QUANTITY:
		*ret = text_of(wrapped(item->bytes, &failed));
		failed |= !*ret;
		break;
	case KUBE_TYPE_INT:
		*ret = json_integer((json_int_t)item->varint);
		break;
	case KUBE_TYPE_BOOL:
		*ret = json_boolean(item->varint != 0);
		break;
	case KUBE_TYPE_BYTES:
		*ret = base64_decode_to_json(item->bytes);
		break;
	case KUBE_TYPE_TIME:
		*ret = time_decode(item->bytes, &failed);
		break;
	case KUBE_TYPE_INTSTR:
		*ret = intstr_decode(item->bytes, &failed);
		break;
	case KUBE_TYPE_RAW:
		*ret = raw_decode(item->bytes, &failed);
		break;
	}
	if (!failed)
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return refuse(decoder, "a malformed value", field->name);
}

/* Whether a scalar is the zero that Go writes for "not set". */
static bool is_zero(const struct item *item)
{
	return item->wire == WIRE_VARINT ? item->varint == 0 : item->bytes.len == 0;
}

static int map_entry_decode(struct decoder *decoder, const struct item *item,
			    const struct kube_field *field, json_t *object)
{
	struct reader reader = {.rest = item->bytes};
	struct item part, value_item = {.wire = WIRE_BYTES};
	struct bytes key_bytes = {0};
	json_t *value = NULL;
	if (item->wire != WIRE_BYTES)
		return refuse(decoder, "a value of the wrong type", field->name);
	while (read_item(&reader, &part)) {
		if (part.number == 1)
			key_bytes = part.bytes;
		else if (part.number == 2)
			value_item = part;
	}
	json_t *key = text_of(key_bytes);
	if (reader.failed || !key) {
		json_decref(key);
		return refuse(decoder, "a malformed map", field->name);
	}
	int r = value_decode(decoder, &value_item, field, &value);
	if (r == 0 && value) {
		json_t *map = kube_object_at(object, field->name);
		if (map)
			kube_set(map, json_string_value(key), value);
		else
			json_decref(value);
	}
	json_decref(key);
	return r;
}

static int list_item_decode(struct decoder *decoder, const struct item *item,
			    const struct kube_field *field, json_t *object)
{
	json_t *value;
	int r = value_decode(decoder, item, field, &value);
	if (r || !value)
		return r;
	json_t *list = json_object_get(object, field->name);
	if (!list) {
		list = json_array();
		kube_set(object, field->name, list);
	}
	kube_push(list, value);
	return 0;
}

static int field_decode(struct decoder *decoder, const struct item *item,
			const struct kube_field *field, json_t *object)
{
	json_t *value;
	bool is_message = field->type == KUBE_TYPE_MESSAGE;
	if (field->flags & KUBE_FIELD_MAP)
		return map_entry_decode(decoder, item, field, object);
	if (field->flags & KUBE_FIELD_LIST)
		return list_item_decode(decoder, item, field, object);
	if (field->flags & KUBE_FIELD_INLINE) {
		if (item->wire != WIRE_BYTES)
			return refuse(decoder, "a value of the wrong type", "");
		return message_decode_into(decoder, item->bytes, &kube_messages[field->message],
					   object);
	}
	if (!is_message && !(field->flags & KUBE_FIELD_OPTIONAL) && is_zero(item))
		return 0;
	int r = value_decode(decoder, item, field, &value);
	if (r == 0 && value)
		kube_set(object, field->name, value);
	return r;
}

static int message_decode_into(struct decoder *decoder, struct bytes bytes,
			       const struct kube_message *message, json_t *object)
{
	struct reader reader = {.rest = bytes};
	struct item item;
	int r = 0;
	if (++decoder->depth > KUBE_MANIFEST_DEPTH_MAX)
		return refuse(decoder, "nested too deeply", message->name);
	while (r == 0 && read_item(&reader, &item)) {
		const struct kube_field *field = kube_schema_number(message, item.number);
		if (field)
			r = field_decode(decoder, &item, field, object);
		else if (!is_zero(&item)) /* a later release's field, left at zero, is harmless */
			r = refuse(decoder, "an unknown field", message->name);
	}
	decoder->depth--;
	if (r == 0 && (reader.failed || reader.rest.len))
		r = refuse(decoder, "truncated or malformed", message->name);
	return r;
}

struct envelope {
	json_t *api_version, *kind; /* owned */
	struct bytes raw;
};

static void type_meta_decode(struct bytes bytes, struct envelope *envelope)
{
	struct reader reader = {.rest = bytes};
	struct item item;
	while (read_item(&reader, &item)) {
		json_t **text = item.number == 1   ? &envelope->api_version
				: item.number == 2 ? &envelope->kind
						   : NULL;
		if (text && !*text)
			*text = text_of(item.bytes);
	}
}

/* The message that the envelope names, decoded into a new object. */
static int envelope_open(struct decoder *decoder, const struct envelope *envelope, json_t **ret)
{
	if (!envelope->api_version || !envelope->kind)
		return refuse(decoder, "an envelope without apiVersion and kind", "");
	const char *api_version = json_string_value(envelope->api_version);
	const char *kind = json_string_value(envelope->kind);
	const struct kube_message *message = kube_schema_of(api_version, kind);
	if (!message)
		return err_set_status(decoder->err, -EINVAL, 415,
				      "a %.60s of %.60s is not accepted as protobuf; send JSON",
				      kind, api_version);
	json_t *object = json_object();
	kube_set_string(object, "apiVersion", api_version);
	kube_set_string(object, "kind", kind);
	int r = message_decode_into(decoder, envelope->raw, message, object);
	if (r)
		json_decref(object);
	else
		*ret = object;
	return r;
}

int kube_protobuf_decode(struct bytes body, json_t **ret_object, struct err *err)
{
	struct decoder decoder = {.err = err};
	struct envelope envelope = {0};
	struct item item;
	int r = 0;
	if (body.len < sizeof(magic) || memcmp(body.ptr, magic, sizeof(magic)) != 0)
		return refuse(&decoder, "it does not start with k8s", "");
	struct reader reader = {
		.rest = bytes_of(body.ptr + sizeof(magic), body.len - sizeof(magic))};
	while (read_item(&reader, &item)) {
		if (item.number == 1)
			type_meta_decode(item.bytes, &envelope);
		else if (item.number == 2)
			envelope.raw = item.bytes;
	}
	if (reader.failed || reader.rest.len)
		r = refuse(&decoder, "a malformed envelope", "");
	if (r == 0)
		r = envelope_open(&decoder, &envelope, ret_object);
	json_decref(envelope.api_version);
	json_decref(envelope.kind);
	return r;
}
