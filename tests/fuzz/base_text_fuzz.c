/* SPDX-License-Identifier: Apache-2.0 */
/* The text decoders of base: hex ids, UUIDs and base64; whatever parses must print as it was. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/id.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf decoded = {0};
	struct buf encoded = {0};
	struct node_id id;
	struct uid uid;
	char *text = mem_alloc(len + 1, 1);

	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	if (node_id_parse(text, &id))
		assert(strcasecmp(node_id_text(&id).text, text) == 0);
	if (uid_parse(text, &uid))
		assert(strcasecmp(uid_text(&uid).text, text) == 0);
	if (base64_decode(bytes_of(data, len), &decoded)) {
		struct buf again = {0};

		base64_encode(bytes_buf(&decoded), &encoded);
		assert(base64_decode(bytes_buf(&encoded), &again));
		assert(bytes_equal(bytes_buf(&decoded), bytes_buf(&again)));
		buf_deinit(&again);
	}
	buf_deinit(&encoded);
	buf_deinit(&decoded);
	free(text);
	return 0;
}
