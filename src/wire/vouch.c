/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void vouch_want_pack(struct packer *packer, const struct vouch_want *from, Magik__VouchWant *to)
{
	assert(from->count <= MESSAGE_VOUCH_MAX);
	to->n_pods = from->count;
	pack_array(packer, Magik__VouchPod, magik__vouch_pod__init, from->count, &to->pods);
	for (size_t i = 0; i < from->count; i++) {
		to->pods[i]->object_uid = pack_uid(&from->pods[i].object_uid);
		to->pods[i]->pod_uid = pack_uid(&from->pods[i].pod_uid);
		to->pods[i]->slot = from->pods[i].slot;
	}
}

void vouch_want_unpack(struct unpacker *unpacker, const Magik__VouchWant *from,
		       struct vouch_want *to)
{
	to->count = unpack_count(unpacker, from->n_pods, MESSAGE_VOUCH_MAX);
	to->pods = to->count ? mem_alloc(to->count, sizeof(*to->pods)) : NULL;
	for (size_t i = 0; i < to->count; i++) {
		to->pods[i].object_uid = unpack_uid(unpacker, from->pods[i]->object_uid);
		to->pods[i].pod_uid = unpack_uid_or_none(unpacker, from->pods[i]->pod_uid);
		to->pods[i].slot = from->pods[i]->slot;
	}
}

void vouch_want_deinit(struct vouch_want *vouch_want)
{
	free(vouch_want->pods);
	*vouch_want = (struct vouch_want){0};
}

void vouch_want_copy(const struct vouch_want *from, struct vouch_want *to)
{
	*to = *from;
	to->pods = array_copy(from->pods, from->count, sizeof(*from->pods));
}

void vouch_pack(struct packer *packer, const struct vouch *from, Magik__Vouch *to)
{
	assert(from->count <= MESSAGE_VOUCH_MAX);
	to->complete = from->complete;
	to->complete_since_ms = pack_natural(from->complete_since_ms);
	to->placing = from->placing;
	to->n_verdicts = from->count;
	pack_array(packer, Magik__Verdict, magik__verdict__init, from->count, &to->verdicts);
	for (size_t i = 0; i < from->count; i++) {
		to->verdicts[i]->object_uid = pack_uid(&from->verdicts[i].object_uid);
		to->verdicts[i]->pod_uid = pack_uid(&from->verdicts[i].pod_uid);
		to->verdicts[i]->standing = (uint32_t)from->verdicts[i].standing;
	}
}

void vouch_unpack(struct unpacker *unpacker, const Magik__Vouch *from, struct vouch *to)
{
	to->complete = from->complete;
	to->complete_since_ms = unpack_natural(unpacker, from->complete_since_ms);
	to->placing = from->placing;
	to->count = unpack_count(unpacker, from->n_verdicts, MESSAGE_VOUCH_MAX);
	to->verdicts = to->count ? mem_alloc(to->count, sizeof(*to->verdicts)) : NULL;
	for (size_t i = 0; i < to->count; i++) {
		const Magik__Verdict *verdict = from->verdicts[i];

		to->verdicts[i].object_uid = unpack_uid(unpacker, verdict->object_uid);
		to->verdicts[i].pod_uid = unpack_uid_or_none(unpacker, verdict->pod_uid);
		to->verdicts[i].standing =
			(enum standing)unpack_u32(unpacker, verdict->standing, STANDING_DELETED);
	}
}

void vouch_deinit(struct vouch *vouch)
{
	free(vouch->verdicts);
	*vouch = (struct vouch){0};
}

void vouch_copy(const struct vouch *from, struct vouch *to)
{
	*to = *from;
	to->verdicts = array_copy(from->verdicts, from->count, sizeof(*from->verdicts));
}
