/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that machines send each other about logs. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "machineplane/fabric.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct api_log_options options = {0};
	struct logs_answer answer = logs_answer_parse(bytes_of(data, len));

	assert(answer.status == 200 || (answer.status >= 400 && answer.status < 600));
	assert(memchr(answer.error, 0, sizeof(answer.error)));
	if (logs_request_parse(bytes_of(data, len), &options))
		assert(memchr(options.container, 0, sizeof(options.container)));
	return 0;
}
