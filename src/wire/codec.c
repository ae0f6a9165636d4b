/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c allocates while it parses: for every element of a repeated field a pointer, a struct
 * and a note of what it scanned. A sender could so make us spend a hundred bytes of memory with two
 * of its own. Every decoding therefore has a budget proportional to its input, wide enough for what
 * our own encoder writes at all limits; when it is spent, the allocator says no and the parse
 * fails.
 */
#include "wire/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/text.h"

enum {
	BUDGET_BASE = 16 << 10, /* for messages of few bytes */
	BUDGET_PER_BYTE = 16,   /* a short label costs the most: about 12 */
	BUDGET_PER_ALLOC = 16,  /* the heap's own cost of a block */
};

struct packer_block {
	struct packer_block *next;
	max_align_t memory[];
};

/* What @len bytes take of a room with space for them: the next piece is aligned again. */
static size_t room_len(size_t len, size_t left)
{
	size_t aligned =
		(len + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);

	return aligned < left ? aligned : left;
}

void *packer_alloc(struct packer *packer, size_t count, size_t size)
{
	struct packer_block *block;
	size_t len;

	if (__builtin_mul_overflow(count, size, &len))
		abort();
	if (len <= sizeof(packer->room) - packer->used) {
		void *memory = packer->room + packer->used;

		packer->used += room_len(len, sizeof(packer->room) - packer->used);
		return memory;
	}
	block = mem_alloc(1, sizeof(*block) + len);
	block->next = packer->blocks;
	packer->blocks = block;
	return block->memory;
}

void packer_deinit(struct packer *packer)
{
	while (packer->blocks) {
		struct packer_block *next = packer->blocks->next;

		free(packer->blocks);
		packer->blocks = next;
	}
}

ProtobufCBinaryData pack_bytes(const void *ptr, size_t len)
{
	/* protobuf-c has one type for reading and writing; writing does not change the bytes. */
	return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)ptr};
}

ProtobufCBinaryData pack_name(const char *name, size_t len_max)
{
	struct bytes bytes = bytes_str(name);

	assert(bytes.len <= len_max);
	assert(text_is_valid(bytes, TEXT_NAME));
	return pack_bytes(bytes.ptr, bytes.len);
}

ProtobufCBinaryData pack_prose(struct packer *packer, const char *prose)
{
	struct bytes bytes = bytes_str(prose);
	uint8_t *clean;

	bytes.len = text_clip(bytes, MESSAGE_TEXT_MAX);
	if (text_is_valid(bytes, TEXT_PROSE))
		return pack_bytes(bytes.ptr, bytes.len);
	clean = packer_alloc(packer, bytes.len, 1);
	memcpy(clean, bytes.ptr, bytes.len);
	text_clean(clean, bytes.len);
	return pack_bytes(clean, bytes.len);
}

ProtobufCBinaryData pack_buf(const struct buf *buf, size_t len_max)
{
	assert(buf->len <= len_max);
	return pack_bytes(buf->ptr, buf->len);
}

ProtobufCBinaryData pack_uid(const struct uid *uid)
{
	return pack_bytes(uid->byte, uid_is_none(uid) ? 0 : UID_LEN);
}

int64_t pack_natural(int64_t value)
{
	assert(value >= 0);
	return value;
}

void unpack_fail(struct unpacker *unpacker, enum message_result error)
{
	if (!unpacker->error)
		unpacker->error = (int)error;
}

static char *unpack_text(struct unpacker *unpacker, ProtobufCBinaryData from, size_t len_max,
			 enum text_kind kind)
{
	if (from.len > len_max) {
		unpack_fail(unpacker, MESSAGE_E_TOO_BIG);
		from.len = 0;
	} else if (!text_is_valid(bytes_of(from.data, from.len), kind)) {
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
		from.len = 0;
	}
	return mem_copy(from.data, from.len);
}

char *unpack_name(struct unpacker *unpacker, ProtobufCBinaryData from, size_t len_max)
{
	return unpack_text(unpacker, from, len_max, TEXT_NAME);
}

char *unpack_prose(struct unpacker *unpacker, ProtobufCBinaryData from)
{
	return unpack_text(unpacker, from, MESSAGE_TEXT_MAX, TEXT_PROSE);
}

void unpack_exact(struct unpacker *unpacker, ProtobufCBinaryData from, void *to, size_t len)
{
	if (from.len == len)
		memcpy(to, from.data, len);
	else
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void unpack_buf(struct unpacker *unpacker, ProtobufCBinaryData from, size_t len_max, struct buf *to)
{
	if (from.len > len_max)
		unpack_fail(unpacker, MESSAGE_E_TOO_BIG);
	else if (from.len > 0)
		buf_append(to, from.data, from.len);
}

struct uid unpack_uid(struct unpacker *unpacker, ProtobufCBinaryData from)
{
	struct uid uid = {0};

	unpack_exact(unpacker, from, uid.byte, UID_LEN);
	return uid;
}

struct uid unpack_uid_or_none(struct unpacker *unpacker, ProtobufCBinaryData from)
{
	return from.len == 0 ? (struct uid){0} : unpack_uid(unpacker, from);
}

uint32_t unpack_u32(struct unpacker *unpacker, uint32_t value, uint32_t max)
{
	if (value <= max)
		return value;
	unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	return 0;
}

int64_t unpack_natural(struct unpacker *unpacker, int64_t value)
{
	if (value >= 0)
		return value;
	unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	return 0;
}

size_t unpack_count(struct unpacker *unpacker, size_t count, size_t max)
{
	if (count <= max)
		return count;
	unpack_fail(unpacker, MESSAGE_E_TOO_BIG);
	return 0;
}

void unpack_version(struct unpacker *unpacker, uint32_t version)
{
	if (version == 0)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	else if (version > MESSAGE_VERSION)
		unpack_fail(unpacker, MESSAGE_E_UNKNOWN);
}

bool unpack_has(struct unpacker *unpacker, const void *part)
{
	if (!part)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	return part != NULL;
}

static void *budget_alloc(void *data, size_t size)
{
	struct unpack_budget *budget = data;
	size_t cost;

	if (__builtin_add_overflow(size, BUDGET_PER_ALLOC, &cost) || cost > budget->left) {
		budget->exhausted = true;
		return NULL;
	}
	budget->left -= cost;
	if (size <= sizeof(budget->room) - budget->used) {
		void *memory = budget->room + budget->used;

		budget->used += room_len(size, sizeof(budget->room) - budget->used);
		return memory;
	}
	budget->overflowed = true;
	return mem_alloc(1, size);
}

/* Nothing is given back: the budget limits the work of a decoding as well as its memory. */
static void budget_free(void *data, void *memory)
{
	const struct unpack_budget *budget = data;
	const uint8_t *piece = memory;

	if (piece < budget->room || piece >= budget->room + sizeof(budget->room))
		free(memory);
}

static void unpack_budget_init(struct unpack_budget *budget, size_t input_len)
{
	budget->left = BUDGET_BASE + BUDGET_PER_BYTE * input_len;
	budget->exhausted = budget->overflowed = false;
	budget->used = 0;
	budget->allocator = (ProtobufCAllocator){
		.alloc = budget_alloc,
		.free = budget_free,
		.allocator_data = budget,
	};
}

ProtobufCMessage *unpack_protobuf(struct unpack_budget *budget,
				  const ProtobufCMessageDescriptor *descriptor, struct bytes bytes,
				  int *ret_error)
{
	ProtobufCMessage *message;

	if (bytes.len > MESSAGE_LEN_MAX) {
		*ret_error = MESSAGE_E_TOO_BIG;
		return NULL;
	}
	unpack_budget_init(budget, bytes.len);
	message = protobuf_c_message_unpack(descriptor, &budget->allocator, bytes.len, bytes.ptr);
	if (!message)
		*ret_error = budget->exhausted ? MESSAGE_E_TOO_BIG : MESSAGE_E_MALFORMED;
	return message;
}

void unpack_protobuf_free(struct unpack_budget *budget, ProtobufCMessage *message)
{
	if (budget->overflowed)
		protobuf_c_message_free_unpacked(message, &budget->allocator);
}

void pack_protobuf(const ProtobufCMessage *message, struct buf *out)
{
	size_t len = protobuf_c_message_get_packed_size(message);

	assert(len <= MESSAGE_LEN_MAX);
	buf_reserve(out, len);
	out->len += protobuf_c_message_pack(message, out->ptr + out->len);
}

void *array_copy(const void *array, size_t count, size_t size)
{
	void *copy;

	if (count == 0)
		return NULL;
	copy = mem_alloc(count, size);
	memcpy(copy, array, count * size);
	return copy;
}

void buf_copy(const struct buf *from, struct buf *to)
{
	*to = (struct buf){0};
	if (from->len > 0)
		buf_append(to, from->ptr, from->len);
}

char *string_copy(const char *string)
{
	return mem_copy(string, string ? strlen(string) : 0);
}
