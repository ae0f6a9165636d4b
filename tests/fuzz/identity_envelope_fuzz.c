/* SPDX-License-Identifier: Apache-2.0 */
/* An envelope: what parses has one encoding, so its parts pack into the bytes it came from. */
#include <assert.h>
#include <string.h>

#include "identity.pb-c.h"
#include "identity/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static ProtobufCBinaryData binary(const void *ptr, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)ptr};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	Identity__Envelope outer = IDENTITY__ENVELOPE__INIT;
	Identity__Signed body = IDENTITY__SIGNED__INIT;
	static const struct node_id nobody;
	struct envelope envelope;
	struct buf packed = {0};

	if (envelope_parse(bytes_of(data, len), &envelope) != 0)
		return 0;
	assert(!envelope_signed_by(&envelope, &nobody));
	body.timestamp_ms = envelope.at.ms;
	body.nonce = binary(envelope.nonce, ENVELOPE_NONCE_LEN);
	body.payload = binary(envelope.payload.ptr, envelope.payload.len);
	buf_reserve(&packed, len);
	assert(identity__signed__get_packed_size(&body) == envelope.body.len);
	packed.len = identity__signed__pack(&body, packed.ptr);
	assert(bytes_equal(bytes_buf(&packed), envelope.body));
	outer.issuer = binary(envelope.issuer.byte, ID_LEN);
	outer.body = binary(envelope.body.ptr, envelope.body.len);
	outer.signature = binary(envelope.signature.ptr, envelope.signature.len);
	assert(identity__envelope__get_packed_size(&outer) == len);
	packed.len = identity__envelope__pack(&outer, packed.ptr);
	assert(bytes_equal(bytes_buf(&packed), bytes_of(data, len)));
	buf_deinit(&packed);
	return 0;
}
