/* SPDX-License-Identifier: Apache-2.0 */
/* A line from the control socket. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "machineplane/fabric.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* Whatever else stands there, the word must be in it, be it escaped. */
	if (control_verb_of(bytes_of(data, len)) != CONTROL_UNKNOWN)
		assert(memmem(data, len, "\"status\"", 8) || memchr(data, '\\', len));
	return 0;
}
