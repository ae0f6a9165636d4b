/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf bodies: whatever decodes is an object with a kind that can be written as JSON. */
#include <assert.h>
#include <stdlib.h>

#include "kube/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *object = NULL;
	struct err err;

	if (kube_protobuf_decode(bytes_of(data, len), &object, &err) == 0) {
		char *text = json_dumps(object, JSON_COMPACT);

		assert(text && json_is_string(json_object_get(object, "kind")));
		free(text);
		json_decref(object);
	} else {
		assert(err.status == 400 || err.status == 415);
	}
	return 0;
}
