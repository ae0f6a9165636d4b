/* SPDX-License-Identifier: Apache-2.0 */
/* YAML bodies: whatever parses stays within the limits and can be written as JSON. */
#include <assert.h>
#include <stdlib.h>

#include "kube/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kube_body body = {
		.bytes = bytes_of(data, len),
		.content_type = "application/yaml",
		.validation = KUBE_VALIDATION_WARN,
	};
	json_t *warnings = json_array();
	json_t *object = NULL;
	struct err err;

	if (kube_manifest_parse(&body, warnings, &object, &err) == 0) {
		char *text = json_dumps(object, JSON_COMPACT);

		assert(text && json_is_object(object));
		free(text);
		json_decref(object);
	} else {
		assert(err.status == 400 || err.status == 413);
	}
	json_decref(warnings);
	return 0;
}
