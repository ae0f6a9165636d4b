/* SPDX-License-Identifier: Apache-2.0 */
/* The award and what follows it: reply, confirmation, release of losers, cancellation. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

/* At most MESSAGE_SLOTS_MAX, so comparing all pairs is cheap. */
static bool slots_are_distinct(const struct assignment *assignments, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (assignments[i].slot == assignments[k].slot)
				return false;
		}
	}
	return true;
}

static void assignments_pack(struct packer *packer, const struct award *from, Magik__Award *to)
{
	assert(from->assignment_count <= MESSAGE_SLOTS_MAX);
	assert(slots_are_distinct(from->assignments, from->assignment_count));
	to->n_assignments = from->assignment_count;
	pack_array(packer, Magik__Assignment, magik__assignment__init, from->assignment_count,
		   &to->assignments);
	for (size_t i = 0; i < from->assignment_count; i++) {
		const struct assignment *assignment = &from->assignments[i];
		Magik__Assignment *packed = to->assignments[i];

		packed->slot = assignment->slot;
		packed->epoch = assignment->epoch;
		packed->pod_uid = pack_bytes(assignment->pod_uid.byte, UID_LEN);
		packed->pod_name = pack_name(assignment->pod_name, MESSAGE_NAME_MAX);
		packed->warrant = pack_buf(&assignment->warrant, CODEC_WARRANT_MAX);
	}
}

void award_pack(struct packer *packer, const struct award *from, Magik__Award *to)
{
	to->tender_id = pack_id(&from->tender_id);
	to->winner = pack_id(&from->winner);
	to->tender_envelope = pack_buf(&from->tender_envelope, CODEC_ENVELOPE_MAX);
	to->manifest = pack_buf(&from->manifest, MESSAGE_MANIFEST_MAX);
	assignments_pack(packer, from, to);
}

static void assignments_unpack(struct unpacker *unpacker, const Magik__Award *from,
			       struct award *to)
{
	size_t count = unpack_count(unpacker, from->n_assignments, MESSAGE_SLOTS_MAX);

	to->assignment_count = count;
	to->assignments = count > 0 ? mem_alloc(count, sizeof(*to->assignments)) : NULL;
	for (size_t i = 0; i < count; i++) {
		const Magik__Assignment *packed = from->assignments[i];

		to->assignments[i] = (struct assignment){
			.slot = packed->slot,
			.epoch = packed->epoch,
			.pod_uid = unpack_uid(unpacker, packed->pod_uid),
			.pod_name = unpack_name(unpacker, packed->pod_name, MESSAGE_NAME_MAX),
		};
		unpack_buf(unpacker, packed->warrant, CODEC_WARRANT_MAX,
			   &to->assignments[i].warrant);
	}
	if (!slots_are_distinct(to->assignments, count))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void award_unpack(struct unpacker *unpacker, const Magik__Award *from, struct award *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
	unpack_id(unpacker, from->winner, &to->winner);
	unpack_buf(unpacker, from->tender_envelope, CODEC_ENVELOPE_MAX, &to->tender_envelope);
	unpack_buf(unpacker, from->manifest, MESSAGE_MANIFEST_MAX, &to->manifest);
	assignments_unpack(unpacker, from, to);
}

void award_deinit(struct award *award)
{
	buf_deinit(&award->tender_envelope);
	buf_deinit(&award->manifest);
	for (size_t i = 0; i < award->assignment_count; i++) {
		free(award->assignments[i].pod_name);
		buf_deinit(&award->assignments[i].warrant);
	}
	free(award->assignments);
	*award = (struct award){0};
}

void award_copy(const struct award *from, struct award *to)
{
	*to = *from;
	buf_copy(&from->tender_envelope, &to->tender_envelope);
	buf_copy(&from->manifest, &to->manifest);
	to->assignments =
		array_copy(from->assignments, from->assignment_count, sizeof(*from->assignments));
	for (size_t i = 0; i < from->assignment_count; i++) {
		to->assignments[i].pod_name = string_copy(from->assignments[i].pod_name);
		buf_copy(&from->assignments[i].warrant, &to->assignments[i].warrant);
	}
}

void award_reply_pack(struct packer *packer, const struct award_reply *from, Magik__AwardReply *to)
{
	to->tender_id = pack_id(&from->tender_id);
	to->answer = (uint32_t)from->answer;
	to->text = pack_prose(packer, from->text);
}

void award_reply_unpack(struct unpacker *unpacker, const Magik__AwardReply *from,
			struct award_reply *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
	to->answer = (enum award_answer)unpack_u32(unpacker, from->answer, AWARD_REFUSED_DELETED);
	to->text = unpack_prose(unpacker, from->text);
}

void award_reply_deinit(struct award_reply *award_reply)
{
	free(award_reply->text);
	*award_reply = (struct award_reply){0};
}

void award_reply_copy(const struct award_reply *from, struct award_reply *to)
{
	*to = *from;
	to->text = string_copy(from->text);
}

void award_confirm_pack(struct packer *packer, const struct award_confirm *from,
			Magik__AwardConfirm *to)
{
	(void)packer;
	to->tender_id = pack_id(&from->tender_id);
}

void award_confirm_unpack(struct unpacker *unpacker, const Magik__AwardConfirm *from,
			  struct award_confirm *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
}

void award_confirm_deinit(struct award_confirm *award_confirm)
{
	*award_confirm = (struct award_confirm){0};
}

void award_confirm_copy(const struct award_confirm *from, struct award_confirm *to)
{
	*to = *from;
}

void release_pack(struct packer *packer, const struct release *from, Magik__Release *to)
{
	(void)packer;
	to->tender_id = pack_id(&from->tender_id);
}

void release_unpack(struct unpacker *unpacker, const Magik__Release *from, struct release *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
}

void release_deinit(struct release *release)
{
	*release = (struct release){0};
}

void release_copy(const struct release *from, struct release *to)
{
	*to = *from;
}

void cancel_pack(struct packer *packer, const struct cancel *from, Magik__Cancel *to)
{
	assert(from->pod_count <= MESSAGE_SLOTS_MAX);
	to->tender_id = pack_id(&from->tender_id);
	to->n_pods = from->pod_count;
	to->pods = packer_alloc(packer, from->pod_count, sizeof(*to->pods));
	for (size_t i = 0; i < from->pod_count; i++)
		to->pods[i] = pack_bytes(from->pods[i].byte, UID_LEN);
}

void cancel_unpack(struct unpacker *unpacker, const Magik__Cancel *from, struct cancel *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
	to->pod_count = unpack_count(unpacker, from->n_pods, MESSAGE_SLOTS_MAX);
	to->pods = to->pod_count > 0 ? mem_alloc(to->pod_count, sizeof(*to->pods)) : NULL;
	for (size_t i = 0; i < to->pod_count; i++)
		to->pods[i] = unpack_uid(unpacker, from->pods[i]);
}

void cancel_deinit(struct cancel *cancel)
{
	free(cancel->pods);
	*cancel = (struct cancel){0};
}

void cancel_copy(const struct cancel *from, struct cancel *to)
{
	*to = *from;
	to->pods = array_copy(from->pods, from->pod_count, sizeof(*from->pods));
}
