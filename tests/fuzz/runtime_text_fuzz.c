/* SPDX-License-Identifier: Apache-2.0 */
/* Short foreign texts that reach the host process: image references, log lines, signals. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/image_config.h"
#include "runtime/image_ref.h"
#include "runtime/log_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes bytes = {.ptr = data, .len = len};
	struct log_filter filter = {.options = {.timestamps = true, .limit_bytes = 100}};
	char *text = mem_copy(data, len);
	struct image_ref ref, again;
	struct buf out = {0};
	struct log_line line;
	struct err err;

	if (image_ref_parse(text, &ref, &err) == 0) {
		/* The full form is its own full form, and can be no option of a command. */
		assert(image_ref_parse(ref.text, &again, &err) == 0);
		assert(strcmp(ref.text, again.text) == 0 && ref.text[0] != '-');
	}
	if (log_line_parse(bytes, &line))
		assert(line.text.len <= len);
	(void)log_filter_line(&filter, bytes, &out);
	assert(out.len <= 100);
	for (int64_t lines = 0; lines < 4; lines++)
		assert(log_tail_start(bytes, lines) <= (int64_t)len);
	(void)image_config_signal(text);
	buf_deinit(&out);
	free(text);
	return 0;
}
