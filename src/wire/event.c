/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "wire/family.h"

void event_pack(struct packer *packer, const struct event *from, Magik__Event *to)
{
	to->tender_id = pack_id(&from->tender_id);
	to->slot = from->slot;
	to->pod_uid = pack_bytes(from->pod_uid.byte, UID_LEN);
	to->kind = (uint32_t)from->kind;
	to->text = pack_prose(packer, from->text);
	to->seen = from->seen;
}

void event_unpack(struct unpacker *unpacker, const Magik__Event *from, struct event *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
	to->slot = from->slot;
	to->pod_uid = unpack_uid(unpacker, from->pod_uid);
	to->kind = (enum event_kind)unpack_u32(unpacker, from->kind, EVENT_ROOM);
	to->text = unpack_prose(unpacker, from->text);
	to->seen = from->seen;
}

void event_deinit(struct event *event)
{
	free(event->text);
	*event = (struct event){0};
}

void event_copy(const struct event *from, struct event *to)
{
	*to = *from;
	to->text = string_copy(from->text);
}
