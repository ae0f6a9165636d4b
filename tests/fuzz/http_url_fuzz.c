/* SPDX-License-Identifier: Apache-2.0 */
/* Path and query, divided by the first zero byte: segments are never empty, dots or control. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/url.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	for (; *text; text++)
		assert((unsigned char)*text >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = mem_copy(data, size);
	size_t path_len = strlen(path);
	struct url url;

	if (url_parse(path, path_len < size ? path + path_len + 1 : "", &url) == 0) {
		assert(url.segment_count <= URL_SEGMENTS_MAX && url.param_count <= URL_PARAMS_MAX);
		for (size_t i = 0; i < url.segment_count; i++) {
			check_text(url.segments[i]);
			assert(*url.segments[i] && strcmp(url.segments[i], "..") != 0);
		}
		for (size_t i = 0; i < url.param_count; i++) {
			check_text(url.params[i].name);
			check_text(url.params[i].value);
		}
		url_deinit(&url);
	}
	free(path);
	return 0;
}
