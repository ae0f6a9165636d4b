/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two messages are nested as bytes, so that what was signed stays exactly what arrived. They
 * are read by a small cursor rather than by the generated code: the views then borrow from the
 * input instead of from a copy, and the one accepted encoding (fields in order, each once, lengths
 * in their shortest form) falls out of it. Writing goes through the generated code, and a test
 * compares the two.
 */
#include "identity/envelope.h"

#include <assert.h>
#include <string.h>

#include "identity.pb-c.h"

enum {
	TAG_VARINT = 0,
	TAG_BYTES = 2,
	VARINT_LEN_MAX = 10,
	FIELD_1 = 1 << 3,
	FIELD_2 = 2 << 3,
	FIELD_3 = 3 << 3,
	DOMAIN_LEN = sizeof(ENVELOPE_DOMAIN), /* with its zero, which ends it unmistakably */
};

/* Read on until something does not fit; then @bad stays set. */
struct cursor {
	struct bytes left;
	bool bad;
};

static uint8_t cursor_byte(struct cursor *cursor)
{
	uint8_t byte;

	if (cursor->bad || cursor->left.len == 0) {
		cursor->bad = true;
		return 0;
	}
	byte = cursor->left.ptr[0];
	cursor->left = bytes_of(cursor->left.ptr + 1, cursor->left.len - 1);
	return byte;
}

static uint64_t cursor_varint(struct cursor *cursor)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < VARINT_LEN_MAX && !cursor->bad; i++) {
		uint8_t byte = cursor_byte(cursor);

		value |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (byte & 0x80)
			continue;
		if ((i > 0 && byte == 0) || (i == VARINT_LEN_MAX - 1 && byte > 1))
			break;
		return value;
	}
	cursor->bad = true;
	return 0;
}

static struct bytes cursor_bytes(struct cursor *cursor, uint8_t field)
{
	struct bytes bytes = {0};
	uint64_t len;

	if (cursor_byte(cursor) != (field | TAG_BYTES))
		cursor->bad = true;
	len = cursor_varint(cursor);
	if (cursor->bad || len > cursor->left.len) {
		cursor->bad = true;
		return bytes;
	}
	bytes = bytes_of(cursor->left.ptr, (size_t)len);
	cursor->left = bytes_of(cursor->left.ptr + len, cursor->left.len - (size_t)len);
	return bytes;
}

static bool cursor_done(const struct cursor *cursor)
{
	return !cursor->bad && cursor->left.len == 0;
}

/* Everything the signature covers, in one piece. */
static void signed_text(struct bytes issuer, struct bytes body, struct buf *out)
{
	buf_reserve(out, DOMAIN_LEN + issuer.len + body.len);
	buf_append(out, ENVELOPE_DOMAIN, DOMAIN_LEN);
	buf_append_bytes(out, issuer);
	buf_append_bytes(out, body);
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
	return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
}

static void body_pack(const struct envelope_seal *seal, struct bytes payload, struct buf *out)
{
	Identity__Signed body = IDENTITY__SIGNED__INIT;

	body.timestamp_ms = seal->at.ms;
	body.nonce = binary(bytes_of(seal->nonce, ENVELOPE_NONCE_LEN));
	body.payload = binary(payload);
	buf_reserve(out, identity__signed__get_packed_size(&body));
	out->len += identity__signed__pack(&body, out->ptr + out->len);
}

void envelope_seal(const struct envelope_seal *seal, struct bytes payload, struct buf *ret_bytes)
{
	Identity__Envelope envelope = IDENTITY__ENVELOPE__INIT;
	struct bytes issuer = bytes_of(seal->leaf.byte, ID_LEN);
	struct buf body = {0}, text = {0};
	uint8_t signature[KEY_SIGNATURE_LEN];

	assert(payload.len > 0 && payload.len <= ENVELOPE_PAYLOAD_MAX && seal->at.ms > 0);
	body_pack(seal, payload, &body);
	signed_text(issuer, bytes_buf(&body), &text);
	key_sign(seal->key, bytes_buf(&text), signature);
	envelope.issuer = binary(issuer);
	envelope.body = binary(bytes_buf(&body));
	envelope.signature = binary(bytes_of(signature, sizeof(signature)));
	buf_reserve(ret_bytes, identity__envelope__get_packed_size(&envelope));
	ret_bytes->len += identity__envelope__pack(&envelope, ret_bytes->ptr + ret_bytes->len);
	buf_deinit(&body);
	buf_deinit(&text);
}

static bool body_parse(struct bytes body, struct envelope *envelope)
{
	struct cursor cursor = {.left = body};
	struct bytes nonce;
	uint64_t at_ms;

	if (cursor_byte(&cursor) != (FIELD_1 | TAG_VARINT))
		return false;
	at_ms = cursor_varint(&cursor);
	nonce = cursor_bytes(&cursor, FIELD_2);
	envelope->payload = cursor_bytes(&cursor, FIELD_3);
	if (!cursor_done(&cursor) || nonce.len != ENVELOPE_NONCE_LEN || at_ms == 0 ||
	    at_ms > INT64_MAX || envelope->payload.len == 0)
		return false;
	envelope->at.ms = (int64_t)at_ms;
	memcpy(envelope->nonce, nonce.ptr, sizeof(envelope->nonce));
	return true;
}

int envelope_parse(struct bytes bytes, struct envelope *ret_envelope)
{
	struct cursor cursor = {.left = bytes};
	struct envelope envelope = {0};
	struct bytes issuer;

	if (bytes.len > ENVELOPE_LEN_MAX)
		return ENVELOPE_E_MALFORMED;
	issuer = cursor_bytes(&cursor, FIELD_1);
	envelope.body = cursor_bytes(&cursor, FIELD_2);
	envelope.signature = cursor_bytes(&cursor, FIELD_3);
	if (!cursor_done(&cursor) || issuer.len != ID_LEN ||
	    envelope.signature.len != KEY_SIGNATURE_LEN || !body_parse(envelope.body, &envelope))
		return ENVELOPE_E_MALFORMED;
	memcpy(envelope.issuer.byte, issuer.ptr, ID_LEN);
	*ret_envelope = envelope;
	return 0;
}

bool envelope_signed_by(const struct envelope *envelope, const struct node_id *key)
{
	struct buf text = {0};
	bool sound;

	signed_text(bytes_of(envelope->issuer.byte, ID_LEN), envelope->body, &text);
	sound = key_verify(key, bytes_buf(&text), envelope->signature.ptr);
	buf_deinit(&text);
	return sound;
}

int envelope_open(struct bytes bytes, struct trust *trust, const struct trust_query *query,
		  struct envelope *ret_envelope, const struct cert **ret_leaf, struct err *err)
{
	const struct cert *leaf;
	struct envelope envelope;
	int r = envelope_parse(bytes, &envelope);

	if (r) {
		(void)err_set(err, -EBADMSG, "no envelope");
		return r;
	}
	r = trust_leaf(trust, query, &envelope.issuer, &leaf, err);
	if (r == TRUST_E_NO_CREDENTIAL) {
		*ret_envelope = envelope;
		return ENVELOPE_E_UNKNOWN_ISSUER;
	}
	if (r)
		return ENVELOPE_E_REFUSED;
	if (!envelope_signed_by(&envelope, &leaf->key)) {
		(void)err_set(err, -EBADMSG, "not signed by %s, whom it names", leaf->name);
		return ENVELOPE_E_BAD_SIGNATURE;
	}
	*ret_envelope = envelope;
	*ret_leaf = leaf;
	return 0;
}
