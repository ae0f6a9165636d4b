/* SPDX-License-Identifier: Apache-2.0 */
/* A join token: what parses prints and parses again as it was. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/voucher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct voucher *voucher = mem_alloc(2, sizeof(*voucher));
	struct err err = {0};
	struct buf text = {0};

	if (voucher_parse(bytes_of(data, len), &voucher[0], &err) == 0) {
		voucher_encode(&voucher[0], &text);
		assert(voucher_parse(bytes_buf(&text), &voucher[1], &err) == 0);
		assert(bytes_equal(bytes_buf(&voucher[0].chain), bytes_buf(&voucher[1].chain)));
		assert(voucher[0].address_count == voucher[1].address_count);
		voucher_deinit(&voucher[0]);
		voucher_deinit(&voucher[1]);
	} else {
		assert(err.text[0]);
	}
	buf_deinit(&text);
	free(voucher);
	return 0;
}
