/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/presence.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/codec.h"

static void container_pack(struct packer *packer, const struct container_status *from,
			   Magik__ContainerStatus *to)
{
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
	to->image = pack_name(from->image, MESSAGE_REF_MAX);
	to->image_id = pack_name(from->image_id, MESSAGE_REF_MAX);
	to->container_id = pack_name(from->container_id, MESSAGE_REF_MAX);
	to->init = from->init;
	to->ready = from->ready;
	to->starting = from->starting;
	to->state = (uint32_t)from->state;
	to->reason = pack_prose(packer, from->reason);
	to->message = pack_prose(packer, from->message);
	to->exit_code = from->exit_code;
	to->restarts = from->restarts;
	to->started_ms = pack_natural(from->started_ms);
	to->finished_ms = pack_natural(from->finished_ms);
	to->last_reason = pack_prose(packer, from->last_reason);
	to->last_exit_code = from->last_exit_code;
	to->last_started_ms = pack_natural(from->last_started_ms);
	to->last_finished_ms = pack_natural(from->last_finished_ms);
}

static void container_unpack(struct unpacker *unpacker, const Magik__ContainerStatus *from,
			     struct container_status *to)
{
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
	to->image = unpack_name(unpacker, from->image, MESSAGE_REF_MAX);
	to->image_id = unpack_name(unpacker, from->image_id, MESSAGE_REF_MAX);
	to->container_id = unpack_name(unpacker, from->container_id, MESSAGE_REF_MAX);
	to->init = from->init;
	to->ready = from->ready;
	to->starting = from->starting;
	to->state = (enum container_state)unpack_u32(unpacker, from->state, CONTAINER_TERMINATED);
	to->reason = unpack_prose(unpacker, from->reason);
	to->message = unpack_prose(unpacker, from->message);
	to->exit_code = from->exit_code;
	to->restarts = from->restarts;
	to->started_ms = unpack_natural(unpacker, from->started_ms);
	to->finished_ms = unpack_natural(unpacker, from->finished_ms);
	to->last_reason = unpack_prose(unpacker, from->last_reason);
	to->last_exit_code = from->last_exit_code;
	to->last_started_ms = unpack_natural(unpacker, from->last_started_ms);
	to->last_finished_ms = unpack_natural(unpacker, from->last_finished_ms);
}

static void container_deinit(struct container_status *status)
{
	free(status->name);
	free(status->image);
	free(status->image_id);
	free(status->container_id);
	free(status->reason);
	free(status->message);
	free(status->last_reason);
}

static void container_copy(const struct container_status *from, struct container_status *to)
{
	*to = *from;
	to->name = string_copy(from->name);
	to->image = string_copy(from->image);
	to->image_id = string_copy(from->image_id);
	to->container_id = string_copy(from->container_id);
	to->reason = string_copy(from->reason);
	to->message = string_copy(from->message);
	to->last_reason = string_copy(from->last_reason);
}

static void presence_pack(struct packer *packer, const struct presence *from, Magik__Presence *to)
{
	assert(from->container_count <= MESSAGE_CONTAINERS_MAX);
	to->version = MESSAGE_VERSION;
	to->pod_uid = pack_bytes(from->pod_uid.byte, UID_LEN);
	to->pod_name = pack_name(from->pod_name, MESSAGE_NAME_MAX);
	to->object = pack_one(packer, Magik__ObjectRef, magik__object_ref__init);
	object_ref_pack(packer, &from->object, to->object);
	to->generation = from->generation;
	to->slot = from->slot;
	to->epoch = from->epoch;
	to->revision = from->revision;
	to->node = pack_id(&from->node);
	to->addr = addr_pack(packer, &from->addr);
	to->node_name = pack_name(from->node_name, MESSAGE_NAME_MAX);
	zones_pack(packer, from->zones, &to->zones, &to->n_zones);
	to->phase = (uint32_t)from->phase;
	to->ready = from->ready;
	to->terminating = from->terminating;
	to->leaving = from->leaving;
	to->ready_ms = pack_natural(from->ready_ms);
	to->reason = pack_prose(packer, from->reason);
	to->message = pack_prose(packer, from->message);
	to->pod_ip = pack_name(from->pod_ip, CODEC_WORD_MAX);
	to->host_ip = pack_name(from->host_ip, CODEC_WORD_MAX);
	to->created_ms = pack_natural(from->created_ms);
	to->started_ms = pack_natural(from->started_ms);
	to->warrant = pack_buf(&from->warrant, CODEC_WARRANT_MAX);
	to->n_containers = from->container_count;
	pack_array(packer, Magik__ContainerStatus, magik__container_status__init,
		   from->container_count, &to->containers);
	for (size_t i = 0; i < from->container_count; i++)
		container_pack(packer, &from->containers[i], to->containers[i]);
}

void presence_encode(const struct presence *presence, struct buf *out)
{
	Magik__Presence packed = MAGIK__PRESENCE__INIT;
	struct packer packer = {0};

	presence_pack(&packer, presence, &packed);
	pack_protobuf(&packed.base, out);
	packer_deinit(&packer);
}

static void containers_unpack(struct unpacker *unpacker, const Magik__Presence *from,
			      struct presence *to)
{
	size_t count = unpack_count(unpacker, from->n_containers, MESSAGE_CONTAINERS_MAX);

	to->container_count = count;
	to->containers = count > 0 ? mem_alloc(count, sizeof(*to->containers)) : NULL;
	for (size_t i = 0; i < count; i++)
		container_unpack(unpacker, from->containers[i], &to->containers[i]);
}

static void presence_unpack(struct unpacker *unpacker, const Magik__Presence *from,
			    struct presence *to)
{
	to->pod_uid = unpack_uid(unpacker, from->pod_uid);
	to->pod_name = unpack_name(unpacker, from->pod_name, MESSAGE_NAME_MAX);
	object_ref_unpack(unpacker, from->object, &to->object);
	to->generation = from->generation;
	to->slot = from->slot;
	to->epoch = from->epoch;
	to->revision = from->revision;
	unpack_id(unpacker, from->node, &to->node);
	addr_unpack(unpacker, from->addr, &to->addr);
	to->node_name = unpack_name(unpacker, from->node_name, MESSAGE_NAME_MAX);
	zones_unpack(unpacker, from->zones, from->n_zones, to->zones);
	to->phase = (enum pod_phase)unpack_u32(unpacker, from->phase, POD_GONE);
	to->ready = from->ready;
	to->terminating = from->terminating;
	to->leaving = from->leaving;
	to->ready_ms = unpack_natural(unpacker, from->ready_ms);
	to->reason = unpack_prose(unpacker, from->reason);
	to->message = unpack_prose(unpacker, from->message);
	to->pod_ip = unpack_name(unpacker, from->pod_ip, CODEC_WORD_MAX);
	to->host_ip = unpack_name(unpacker, from->host_ip, CODEC_WORD_MAX);
	to->created_ms = unpack_natural(unpacker, from->created_ms);
	to->started_ms = unpack_natural(unpacker, from->started_ms);
	unpack_buf(unpacker, from->warrant, CODEC_WARRANT_MAX, &to->warrant);
	containers_unpack(unpacker, from, to);
}

int presence_decode(struct bytes bytes, struct presence *ret_presence)
{
	struct unpack_budget budget;
	struct presence presence = {0};
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;

	base = unpack_protobuf(&budget, &magik__presence__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, ((const Magik__Presence *)base)->version);
	if (!unpacker.error)
		presence_unpack(&unpacker, (const Magik__Presence *)base, &presence);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		presence_deinit(&presence);
	else
		*ret_presence = presence;
	return unpacker.error;
}

void presence_copy(const struct presence *from, struct presence *to)
{
	*to = *from;
	to->pod_name = string_copy(from->pod_name);
	object_ref_copy(&from->object, &to->object);
	to->node_name = string_copy(from->node_name);
	to->reason = string_copy(from->reason);
	to->message = string_copy(from->message);
	to->pod_ip = string_copy(from->pod_ip);
	to->host_ip = string_copy(from->host_ip);
	buf_copy(&from->warrant, &to->warrant);
	to->containers =
		array_copy(from->containers, from->container_count, sizeof(*from->containers));
	for (size_t i = 0; i < from->container_count; i++)
		container_copy(&from->containers[i], &to->containers[i]);
}

void presence_deinit(struct presence *presence)
{
	free(presence->pod_name);
	object_ref_deinit(&presence->object);
	free(presence->node_name);
	free(presence->reason);
	free(presence->message);
	free(presence->pod_ip);
	free(presence->host_ip);
	buf_deinit(&presence->warrant);
	for (size_t i = 0; i < presence->container_count; i++)
		container_deinit(&presence->containers[i]);
	free(presence->containers);
	*presence = (struct presence){0};
}
