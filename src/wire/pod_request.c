/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "wire/family.h"

static bool digest_is_none(const struct digest *digest)
{
	static const struct digest none;

	return digest_equal(digest, &none);
}

void pod_request_pack(struct packer *packer, const struct pod_request *from, Magik__PodRequest *to)
{
	to->verb = from->verb;
	to->machine = pack_id(&from->machine);
	to->pod = pack_uid(&from->pod);
	to->container = pack_name(from->container, MESSAGE_NAME_MAX);
	if (!digest_is_none(&from->command))
		to->command = pack_id(&from->command);
	to->port = from->port;
	if (!from->user.cert_count)
		return;
	to->user = pack_one(packer, Magik__Leaf, magik__leaf__init);
	leaf_pack(packer, &from->user, to->user);
}

/* What its verb calls for is there, and nothing else. */
static bool is_whole(const struct pod_request *request)
{
	bool is_exec = request->verb == POD_VERB_EXEC, is_port = request->verb == POD_VERB_PORT;

	return request->verb != POD_VERB_NONE && is_exec != digest_is_none(&request->command) &&
	       is_port == (request->port != 0) && is_port == (*request->container == 0);
}

void pod_request_unpack(struct unpacker *unpacker, const Magik__PodRequest *from,
			struct pod_request *to)
{
	to->verb = (enum pod_verb)unpack_u32(unpacker, from->verb, _POD_VERB_LAST);
	unpack_id(unpacker, from->machine, &to->machine);
	to->pod = unpack_uid(unpacker, from->pod);
	to->container = unpack_name(unpacker, from->container, MESSAGE_NAME_MAX);
	if (from->command.len)
		unpack_id(unpacker, from->command, &to->command);
	to->port = (uint16_t)unpack_u32(unpacker, from->port, UINT16_MAX);
	if (from->user)
		leaf_unpack(unpacker, from->user, &to->user);
	if (!unpacker->error && !is_whole(to))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void pod_request_deinit(struct pod_request *request)
{
	free(request->container);
	leaf_deinit(&request->user);
	*request = (struct pod_request){0};
}

void pod_request_copy(const struct pod_request *from, struct pod_request *to)
{
	*to = *from;
	to->container = string_copy(from->container);
	leaf_copy(&from->user, &to->user);
}
