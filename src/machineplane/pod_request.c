/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/pod_request.h"

#include <string.h>

#include "identity/sha256.h"

struct digest pod_request_command(const char *const *words, size_t count)
{
	struct buf joined = {0};
	struct digest digest = {0};

	for (size_t i = 0; i < count; i++)
		buf_append(&joined, words[i], strlen(words[i]) + 1);
	if (count)
		digest = sha256(bytes_buf(&joined));
	buf_deinit(&joined);
	return digest;
}

enum pod_verb pod_request_verb(enum api_stream_kind kind)
{
	static const enum pod_verb verbs[_API_STREAM_KIND_COUNT] = {
		[API_STREAM_LOG] = POD_VERB_LOGS,
		[API_STREAM_EXEC] = POD_VERB_EXEC,
		[API_STREAM_ATTACH] = POD_VERB_ATTACH,
		[API_STREAM_PORT] = POD_VERB_PORT,
	};

	return verbs[kind];
}

void pod_request_encode(const struct api_stream_request *request, struct buf *ret_payload)
{
	struct message message = {
		.type = MESSAGE_POD_REQUEST,
		.pod_request = {.verb = pod_request_verb(request->kind),
				.machine = request->machine,
				.pod = request->pod,
				.container = (char *)(uintptr_t)request->container, /* borrowed */
				.command = pod_request_command(request->command,
							       request->command_count),
				.port = request->port},
	};
	struct leaf *user = &message.pod_request.user;

	for (size_t i = 0; i < request->credential->count && i < MESSAGE_CHAIN_MAX; i++)
		buf_append_bytes(&user->certs[user->cert_count++], request->credential->certs[i]);
	message_encode(&message, ret_payload);
	for (size_t i = 0; i < user->cert_count; i++)
		buf_deinit(&user->certs[i]);
}
