/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod answers to probes: the status line of HTTP, and all of HTTP/2 with gRPC in it, in two
 * pieces of which the first byte says the lengths. */
#include <assert.h>

#include "workplane/check_grpc.h"
#include "workplane/check_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void feed_http(const uint8_t *data, size_t len)
{
	int status = 0;
	int r = check_http_status(bytes_of(data, len), &status);

	assert(r != 0 || (status >= 200 && status <= 999));
}

static void feed_grpc(const uint8_t *data, size_t len)
{
	struct check_grpc *grpc = check_grpc_new("127.0.0.1:1", "");
	size_t first = len > 0 && data[0] < len ? data[0] : len;
	const char *text = "";
	int r = check_grpc_feed(grpc, bytes_of(data, first), &text);

	if (r == CHECK_GRPC_E_MORE)
		r = check_grpc_feed(grpc, bytes_of(data + first, len - first), &text);
	assert(r == 0 || r == CHECK_GRPC_E_MORE || *text != '\0');
	check_grpc_free(grpc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	feed_http(data, len);
	feed_grpc(data, len);
	return 0;
}
