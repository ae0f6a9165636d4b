/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of agents. */
#include "wire/work.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/work_open.h"

/* What one encoding borrows from. */
struct work_packer {
	struct packer packer;
	struct buf overlay;
};

/* ---- packing ---- */

static void overlay_pack(struct work_packer *packer, const struct work_message *from,
			 Work__Work *to)
{
	assert(from->overlay.type == MESSAGE_FIND || from->overlay.type == MESSAGE_FOUND);
	message_encode(&from->overlay, &packer->overlay);
	to->overlay = pack_buf(&packer->overlay, WORK_OVERLAY_MAX);
}

static void store_pack(struct work_packer *packer, const struct work_message *from, Work__Work *to)
{
	to->store = pack_one(&packer->packer, Work__Store, work__store__init);
	to->store->request = from->store.request;
	to->store->record = pack_buf(&from->store.record, WORK_SIGNED_MAX);
	to->store->renewal = pack_buf(&from->store.renewal, WORK_RENEWAL_MAX);
}

static void near_pack(struct work_packer *packer, const struct work_near *from,
		      Work__Near ***ret_list, size_t *ret_count)
{
	assert(from->count <= WORK_NEARER_MAX);
	*ret_count = from->count;
	pack_array(&packer->packer, Work__Near, work__near__init, from->count, ret_list);
	for (size_t i = 0; i < from->count; i++) {
		struct bytes ip = addr_ip(&from->list[i].addr);

		(*ret_list)[i]->id = pack_id(&from->list[i].id);
		(*ret_list)[i]->ip = pack_bytes(ip.ptr, ip.len);
		(*ret_list)[i]->port = from->list[i].addr.port;
	}
}

static void stored_pack(struct work_packer *packer, const struct work_message *from, Work__Work *to)
{
	to->stored = pack_one(&packer->packer, Work__Stored, work__stored__init);
	to->stored->request = from->stored.request;
	to->stored->outcome = (uint32_t)from->stored.outcome;
	near_pack(packer, &from->stored.nearer, &to->stored->nearer, &to->stored->n_nearer);
}

static void renew_pack(struct work_packer *packer, const struct work_message *from, Work__Work *to)
{
	to->renew = pack_one(&packer->packer, Work__Renew, work__renew__init);
	to->renew->request = from->renew.request;
	to->renew->key = pack_id(&from->renew.key);
	to->renew->version = from->renew.version;
	to->renew->renewal = pack_buf(&from->renew.renewal, WORK_RENEWAL_MAX);
}

static void lookup_pack(struct work_packer *packer, const struct work_message *from, Work__Work *to)
{
	to->lookup = pack_one(&packer->packer, Work__Lookup, work__lookup__init);
	to->lookup->request = from->lookup.request;
	to->lookup->namespace_ = pack_name(from->lookup.namespace, MESSAGE_NAMESPACE_MAX);
	to->lookup->name = pack_name(from->lookup.name, MESSAGE_NAME_MAX);
	to->lookup->known = from->lookup.known;
	to->lookup->subscribe = from->lookup.subscribe;
	to->lookup->proof = from->lookup.proof;
}

uint64_t work_peer_prefix(const struct node_id *id)
{
	uint64_t prefix = 0;

	for (size_t i = 0; i < sizeof(prefix); i++)
		prefix = prefix << CHAR_BIT | id->byte[i];
	return prefix;
}

static void live_pack(struct work_packer *packer, const struct work_records *from,
		      Work__Records *to)
{
	assert(from->live_count <= WORK_REPLICAS_MAX);
	to->n_live = to->n_age_ms = from->live_count;
	to->live = packer_alloc(&packer->packer, from->live_count, sizeof(*to->live));
	to->age_ms = packer_alloc(&packer->packer, from->live_count, sizeof(*to->age_ms));
	for (size_t i = 0; i < from->live_count; i++) {
		to->live[i] = from->live[i].peer;
		to->age_ms[i] = from->live[i].age_ms;
	}
}

static void records_pack(struct work_packer *packer, const struct work_message *from,
			 Work__Work *to)
{
	const struct work_records *records = &from->records;

	assert(records->count <= WORK_REPLICAS_MAX);
	to->records = pack_one(&packer->packer, Work__Records, work__records__init);
	to->records->request = records->request;
	to->records->key = pack_id(&records->key);
	to->records->same = records->same;
	near_pack(packer, &records->nearer, &to->records->nearer, &to->records->n_nearer);
	live_pack(packer, records, to->records);
	to->records->n_list = records->count;
	pack_array(&packer->packer, Work__Signed, work__signed__init, records->count,
		   &to->records->list);
	for (size_t i = 0; i < records->count; i++) {
		const struct work_signed *one = &records->list[i];

		to->records->list[i]->record = pack_buf(&one->record, WORK_SIGNED_MAX);
		to->records->list[i]->renewal = pack_buf(&one->renewal, WORK_RENEWAL_MAX);
		if (one->record.len == 0)
			to->records->list[i]->peer = pack_id(&one->peer);
	}
}

static void heartbeat_pack(struct work_packer *packer, const struct work_message *from,
			   Work__Work *to)
{
	to->heartbeat = pack_one(&packer->packer, Work__Heartbeat, work__heartbeat__init);
	to->heartbeat->version = from->heartbeat.version;
	to->heartbeat->digest = from->heartbeat.digest;
	to->heartbeat->renewal = pack_buf(&from->heartbeat.renewal, WORK_RENEWAL_MAX);
}

static void summary_pack(struct work_packer *packer, const struct work_message *from,
			 Work__Work *to)
{
	const struct work_summary *summary = &from->summary;

	assert(summary->count <= WORK_REPLICAS_MAX);
	to->summary = pack_one(&packer->packer, Work__Summary, work__summary__init);
	to->summary->answer = summary->answer;
	to->summary->n_list = summary->count;
	pack_array(&packer->packer, Work__Known, work__known__init, summary->count,
		   &to->summary->list);
	for (size_t i = 0; i < summary->count; i++) {
		to->summary->list[i]->peer = pack_id(&summary->list[i].peer);
		to->summary->list[i]->version = summary->list[i].version;
	}
}

static void leaf_want_pack(struct work_packer *packer, const struct work_message *from,
			   Work__Work *to)
{
	to->leaf_want = pack_one(&packer->packer, Work__LeafWant, work__leaf_want__init);
	to->leaf_want->hash = pack_id(&from->leaf_want);
}

static void work_leaf_pack(struct work_packer *packer, const struct work_message *from,
			   Work__Work *to)
{
	to->leaf = pack_one(&packer->packer, Work__Leaf, work__leaf__init);
	to->leaf->chain = pack_buf(&from->leaf, WORK_CHAIN_MAX);
}

static void packet_pack(struct work_packer *packer, const struct work_message *from, Work__Work *to)
{
	to->packet = pack_one(&packer->packer, Work__Packet, work__packet__init);
	to->packet->flow = from->packet.flow;
	to->packet->back = from->packet.back;
	to->packet->payload = pack_buf(&from->packet.payload, WORK_PAYLOAD_MAX);
	if (!from->packet.has_open)
		return;
	to->packet->open = pack_one(&packer->packer, Work__Open, work__open__init);
	work_open_pack(&from->packet.open, to->packet->open);
}

static void group_pack(struct work_packer *packer, const struct work_message *from, Work__Work *to)
{
	(void)packer;
	to->group = pack_buf(&from->group, WORK_GROUP_MAX);
}

static void packet_end_pack(struct work_packer *packer, const struct work_message *from,
			    Work__Work *to)
{
	to->packet_end = pack_one(&packer->packer, Work__PacketEnd, work__packet_end__init);
	to->packet_end->flow = from->packet_end.flow;
	to->packet_end->back = from->packet_end.back;
	to->packet_end->outcome = (uint32_t)from->packet_end.outcome;
}

/* ---- unpacking ---- */

static void overlay_unpack(struct unpacker *unpacker, const Work__Work *from,
			   struct work_message *to)
{
	int error = from->overlay.len <= WORK_OVERLAY_MAX
			    ? message_decode(bytes_of(from->overlay.data, from->overlay.len),
					     &to->overlay)
			    : MESSAGE_E_TOO_BIG;

	if (error)
		unpack_fail(unpacker, (enum message_result)error);
	else if (to->overlay.type != MESSAGE_FIND && to->overlay.type != MESSAGE_FOUND)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

static void store_unpack(struct unpacker *unpacker, const Work__Work *from, struct work_message *to)
{
	to->store.request = from->store->request;
	unpack_buf(unpacker, from->store->record, WORK_SIGNED_MAX, &to->store.record);
	unpack_buf(unpacker, from->store->renewal, WORK_RENEWAL_MAX, &to->store.renewal);
}

static void near_unpack(struct unpacker *unpacker, Work__Near *const *from, size_t count,
			struct work_near *to)
{
	to->count = unpack_count(unpacker, count, WORK_NEARER_MAX);
	for (size_t i = 0; i < to->count; i++) {
		struct bytes ip = bytes_of(from[i]->ip.data, from[i]->ip.len);
		uint16_t port = (uint16_t)unpack_u32(unpacker, from[i]->port, UINT16_MAX);

		unpack_id(unpacker, from[i]->id, &to->list[i].id);
		if (!addr_from_ip(ip, port, &to->list[i].addr) ||
		    !addr_can_be_dialled(&to->list[i].addr))
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
}

static void stored_unpack(struct unpacker *unpacker, const Work__Work *from,
			  struct work_message *to)
{
	to->stored.request = from->stored->request;
	near_unpack(unpacker, from->stored->nearer, from->stored->n_nearer, &to->stored.nearer);
	to->stored.outcome =
		(enum work_outcome)unpack_u32(unpacker, from->stored->outcome, WORK_REFUSED);
}

static void renew_unpack(struct unpacker *unpacker, const Work__Work *from, struct work_message *to)
{
	to->renew.request = from->renew->request;
	unpack_id(unpacker, from->renew->key, &to->renew.key);
	to->renew.version = from->renew->version;
	unpack_buf(unpacker, from->renew->renewal, WORK_RENEWAL_MAX, &to->renew.renewal);
}

static void lookup_unpack(struct unpacker *unpacker, const Work__Work *from,
			  struct work_message *to)
{
	to->lookup.request = from->lookup->request;
	to->lookup.namespace =
		unpack_name(unpacker, from->lookup->namespace_, MESSAGE_NAMESPACE_MAX);
	to->lookup.name = unpack_name(unpacker, from->lookup->name, MESSAGE_NAME_MAX);
	to->lookup.known = from->lookup->known;
	to->lookup.subscribe = from->lookup->subscribe;
	to->lookup.proof = from->lookup->proof;
}

static void live_unpack(struct unpacker *unpacker, const Work__Records *from,
			struct work_records *to)
{
	size_t count = unpack_count(unpacker, from->n_live, WORK_REPLICAS_MAX);

	if (from->n_age_ms != from->n_live) {
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
		return;
	}
	to->live_count = count;
	to->live = count > 0 ? mem_alloc(count, sizeof(*to->live)) : NULL;
	for (size_t i = 0; i < count; i++)
		to->live[i] = (struct work_live){from->live[i], from->age_ms[i]};
}

static void signed_unpack(struct unpacker *unpacker, const Work__Signed *from,
			  struct work_signed *to)
{
	unpack_buf(unpacker, from->record, WORK_SIGNED_MAX, &to->record);
	unpack_buf(unpacker, from->renewal, WORK_RENEWAL_MAX, &to->renewal);
	if (from->record.len == 0)
		unpack_id(unpacker, from->peer, &to->peer);
}

static void records_unpack(struct unpacker *unpacker, const Work__Work *from,
			   struct work_message *to)
{
	struct work_records *records = &to->records;
	size_t count = unpack_count(unpacker, from->records->n_list, WORK_REPLICAS_MAX);

	records->request = from->records->request;
	unpack_id(unpacker, from->records->key, &records->key);
	records->same = from->records->same;
	near_unpack(unpacker, from->records->nearer, from->records->n_nearer, &records->nearer);
	live_unpack(unpacker, from->records, records);
	records->count = count;
	records->list = count > 0 ? mem_alloc(count, sizeof(*records->list)) : NULL;
	for (size_t i = 0; i < count; i++)
		signed_unpack(unpacker, from->records->list[i], &records->list[i]);
}

static void heartbeat_unpack(struct unpacker *unpacker, const Work__Work *from,
			     struct work_message *to)
{
	to->heartbeat.version = from->heartbeat->version;
	to->heartbeat.digest = from->heartbeat->digest;
	unpack_buf(unpacker, from->heartbeat->renewal, WORK_RENEWAL_MAX, &to->heartbeat.renewal);
}

static void summary_unpack(struct unpacker *unpacker, const Work__Work *from,
			   struct work_message *to)
{
	struct work_summary *summary = &to->summary;
	size_t count = unpack_count(unpacker, from->summary->n_list, WORK_REPLICAS_MAX);

	summary->answer = from->summary->answer;
	summary->count = count;
	summary->list = count > 0 ? mem_alloc(count, sizeof(*summary->list)) : NULL;
	for (size_t i = 0; i < count; i++) {
		unpack_id(unpacker, from->summary->list[i]->peer, &summary->list[i].peer);
		summary->list[i].version = from->summary->list[i]->version;
	}
}

static void leaf_want_unpack(struct unpacker *unpacker, const Work__Work *from,
			     struct work_message *to)
{
	unpack_id(unpacker, from->leaf_want->hash, &to->leaf_want);
}

static void work_leaf_unpack(struct unpacker *unpacker, const Work__Work *from,
			     struct work_message *to)
{
	unpack_buf(unpacker, from->leaf->chain, WORK_CHAIN_MAX, &to->leaf);
}

static void packet_unpack(struct unpacker *unpacker, const Work__Work *from,
			  struct work_message *to)
{
	const Work__Packet *packet = from->packet;

	to->packet.flow = packet->flow;
	to->packet.back = packet->back;
	to->packet.has_open = packet->open != NULL;
	if (packet->open)
		work_open_unpack(unpacker, packet->open, &to->packet.open);
	unpack_buf(unpacker, packet->payload, WORK_PAYLOAD_MAX, &to->packet.payload);
}

static void group_unpack(struct unpacker *unpacker, const Work__Work *from, struct work_message *to)
{
	unpack_buf(unpacker, from->group, WORK_GROUP_MAX, &to->group);
}

static void packet_end_unpack(struct unpacker *unpacker, const Work__Work *from,
			      struct work_message *to)
{
	to->packet_end.flow = from->packet_end->flow;
	to->packet_end.back = from->packet_end->back;
	to->packet_end.outcome = (enum work_opened)unpack_u32(unpacker, from->packet_end->outcome,
							      _WORK_OPENED_COUNT - 1);
}

/* ---- the table ---- */

struct family {
	enum work_type type;
	Work__Work__BodyCase body;
	void (*pack)(struct work_packer *packer, const struct work_message *from, Work__Work *to);
	void (*unpack)(struct unpacker *unpacker, const Work__Work *from, struct work_message *to);
};

static const struct family families[] = {
	{WORK_OVERLAY, WORK__WORK__BODY_OVERLAY, overlay_pack, overlay_unpack},
	{WORK_STORE, WORK__WORK__BODY_STORE, store_pack, store_unpack},
	{WORK_STORED, WORK__WORK__BODY_STORED, stored_pack, stored_unpack},
	{WORK_RENEW, WORK__WORK__BODY_RENEW, renew_pack, renew_unpack},
	{WORK_LOOKUP, WORK__WORK__BODY_LOOKUP, lookup_pack, lookup_unpack},
	{WORK_RECORDS, WORK__WORK__BODY_RECORDS, records_pack, records_unpack},
	{WORK_HEARTBEAT, WORK__WORK__BODY_HEARTBEAT, heartbeat_pack, heartbeat_unpack},
	{WORK_SUMMARY, WORK__WORK__BODY_SUMMARY, summary_pack, summary_unpack},
	{WORK_LEAF_WANT, WORK__WORK__BODY_LEAF_WANT, leaf_want_pack, leaf_want_unpack},
	{WORK_LEAF, WORK__WORK__BODY_LEAF, work_leaf_pack, work_leaf_unpack},
	{WORK_PACKET, WORK__WORK__BODY_PACKET, packet_pack, packet_unpack},
	{WORK_PACKET_END, WORK__WORK__BODY_PACKET_END, packet_end_pack, packet_end_unpack},
	{WORK_GROUP, WORK__WORK__BODY_GROUP, group_pack, group_unpack},
};

void work_message_encode(const struct work_message *message, struct buf *out)
{
	Work__Work packed;
	struct work_packer packer = {0};
	const struct family *family = NULL;

	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (families[i].type == message->type)
			family = &families[i];
	assert(family);
	work__work__init(&packed);
	packed.version = WORK_VERSION;
	packed.body_case = family->body;
	family->pack(&packer, message, &packed);
	pack_protobuf(&packed.base, out);
	packer_deinit(&packer.packer);
	buf_deinit(&packer.overlay);
}

static void body_unpack(struct unpacker *unpacker, const Work__Work *packed,
			struct work_message *message)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		if (families[i].body != packed->body_case)
			continue;
		message->type = families[i].type;
		families[i].unpack(unpacker, packed, message);
		return;
	}
	unpack_fail(unpacker, MESSAGE_E_UNKNOWN);
}

int work_message_decode(struct bytes bytes, struct work_message *ret_message)
{
	struct unpack_budget budget;
	struct work_message message = {0};
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;

	if (bytes.len > WORK_LEN_MAX)
		return MESSAGE_E_TOO_BIG;
	base = unpack_protobuf(&budget, &work__work__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, ((const Work__Work *)base)->version);
	if (!unpacker.error)
		body_unpack(&unpacker, (const Work__Work *)base, &message);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		work_message_deinit(&message);
	else
		*ret_message = message;
	return unpacker.error;
}

static void records_deinit(struct work_records *records)
{
	for (size_t i = 0; i < records->count; i++) {
		buf_deinit(&records->list[i].record);
		buf_deinit(&records->list[i].renewal);
	}
	free(records->list);
	free(records->live);
}

void work_message_deinit(struct work_message *message)
{
	switch (message->type) {
	case WORK_OVERLAY:
		message_deinit(&message->overlay);
		break;
	case WORK_STORE:
		buf_deinit(&message->store.record);
		buf_deinit(&message->store.renewal);
		break;
	case WORK_RENEW:
		buf_deinit(&message->renew.renewal);
		break;
	case WORK_LOOKUP:
		free(message->lookup.namespace);
		free(message->lookup.name);
		break;
	case WORK_RECORDS:
		records_deinit(&message->records);
		break;
	case WORK_HEARTBEAT:
		buf_deinit(&message->heartbeat.renewal);
		break;
	case WORK_SUMMARY:
		free(message->summary.list);
		break;
	case WORK_LEAF:
		buf_deinit(&message->leaf);
		break;
	case WORK_PACKET:
		buf_deinit(&message->packet.payload);
		break;
	case WORK_GROUP:
		buf_deinit(&message->group);
		break;
	case WORK_STORED:
	case WORK_LEAF_WANT:
	case WORK_PACKET_END:
		break;
	}
	*message = (struct work_message){0};
}
