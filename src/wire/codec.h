/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codec: what the message families share. Private to src/wire.
 *
 * Each family has four functions per struct: x_pack() fills the generated protobuf-c struct from
 * ours, x_unpack() does the reverse and checks every limit, x_deinit() frees, x_copy() copies
 * deeply. Packing borrows what it can from the message and takes the rest from the packer's memory.
 * Unpacking reports through a sticky error: after the first, further results mean nothing, but are
 * safe to free, so a family checks nothing itself and the top decides once.
 */
#pragma once

#include "machine.pb-c.h"
#include "wire/message.h"
#include "wire/presence.h"

enum {
	CODEC_WORD_MAX = 63,            /* kinds, engines, architectures: an RFC 1123 label */
	CODEC_PACKER_ROOM = 768,        /* a probe, a greeting, a lookup: most of what is said */
	CODEC_UNPACK_ROOM = 6144,       /* and with twenty contacts */
	CODEC_ENVELOPE_MAX = 160 << 10, /* a tender at all its limits stays below 150 KiB */
	CODEC_WARRANT_MAX = 1536,       /* names of 253 bytes each; an ordinary one is 300 bytes */
};

/* Memory for the generated structs of one encoding, freed at once: room for a small message, and
 * blocks when that is used up. Begins as zeroes. */
struct packer {
	struct packer_block *blocks;
	size_t used;
	_Alignas(max_align_t) uint8_t room[CODEC_PACKER_ROOM];
};

/* Zeroed memory that lives until packer_deinit(). */
void *packer_alloc(struct packer *packer, size_t count, size_t size);
void packer_deinit(struct packer *packer);

/* @name must obey the rules of a name and @len_max (asserted: it is ours); NULL is "". */
ProtobufCBinaryData pack_name(const char *name, size_t len_max);

/* Prose comes from programs we do not control, so it is made to fit instead of trusted. */
ProtobufCBinaryData pack_prose(struct packer *packer, const char *prose);

ProtobufCBinaryData pack_bytes(const void *ptr, size_t len);
ProtobufCBinaryData pack_buf(const struct buf *buf, size_t len_max);
ProtobufCBinaryData pack_uid(const struct uid *uid); /* none: absent */

/* A size or a time since 1970 (asserted). */
int64_t pack_natural(int64_t value);

/* Ids and digests are always written in full. */
#define pack_id(id) pack_bytes((id)->byte, ID_LEN)

/* An array of @count generated structs behind the array of pointers that protobuf-c wants. */
#define pack_array(packer, Type, init, count, ret_pointers)                    \
	do {                                                                   \
		Type *pack_items = packer_alloc(packer, count, sizeof(Type));  \
		*(ret_pointers) = packer_alloc(packer, count, sizeof(Type *)); \
		for (size_t pack_at = 0; pack_at < (count); pack_at++) {       \
			init(&pack_items[pack_at]);                            \
			(*(ret_pointers))[pack_at] = &pack_items[pack_at];     \
		}                                                              \
	} while (0)

/* One generated struct. */
#define pack_one(packer, Type, init)                                     \
	({                                                               \
		Type *pack_item = packer_alloc(packer, 1, sizeof(Type)); \
		init(pack_item);                                         \
		pack_item;                                               \
	})

struct unpacker {
	int error; /* the first enum message_result that was not OK */
};

/* Note @error, unless an earlier one stands: decoding goes on with empty values. */
void unpack_fail(struct unpacker *unpacker, enum message_result error);

/* A new string, "" when absent or refused. */
char *unpack_name(struct unpacker *unpacker, ProtobufCBinaryData from, size_t len_max);
char *unpack_prose(struct unpacker *unpacker, ProtobufCBinaryData from);

/* Exactly @len bytes into @to. */
void unpack_exact(struct unpacker *unpacker, ProtobufCBinaryData from, void *to, size_t len);
void unpack_buf(struct unpacker *unpacker, ProtobufCBinaryData from, size_t len_max,
		struct buf *to);
struct uid unpack_uid(struct unpacker *unpacker, ProtobufCBinaryData from); /* required */
struct uid unpack_uid_or_none(struct unpacker *unpacker, ProtobufCBinaryData from);
#define unpack_id(unpacker, from, to) unpack_exact(unpacker, from, (to)->byte, ID_LEN)

/* @value when it is at most @max (of an enum: its last value), else an error and 0. */
uint32_t unpack_u32(struct unpacker *unpacker, uint32_t value, uint32_t max);

/* @value when it is not negative: sizes, and times since 1970. */
int64_t unpack_natural(struct unpacker *unpacker, int64_t value);

/* @count when it is at most @max, else an error and 0, so that the loop over it does nothing. */
size_t unpack_count(struct unpacker *unpacker, size_t count, size_t max);

/* A version that we speak: 0 is malformed, a later one unknown. */
void unpack_version(struct unpacker *unpacker, uint32_t version);

/* False, and an error, when a required part is missing. */
bool unpack_has(struct unpacker *unpacker, const void *part);

/* A budget for protobuf-c's own allocations (see codec.c); @budget lives as long as what it made.
 */
struct unpack_budget {
	size_t left;
	bool exhausted, overflowed; /* overflowed: some of it is on the heap */
	ProtobufCAllocator allocator;
	size_t used;
	_Alignas(max_align_t) uint8_t room[CODEC_UNPACK_ROOM]; /* the heap only when it is full */
};

/* Unpack one generated struct; NULL and *ret_error on failure. Free it with the same budget. */
ProtobufCMessage *unpack_protobuf(struct unpack_budget *budget,
				  const ProtobufCMessageDescriptor *descriptor, struct bytes bytes,
				  int *ret_error);
void unpack_protobuf_free(struct unpack_budget *budget, ProtobufCMessage *message);

/* Append the encoding of @message to @out. */
void pack_protobuf(const ProtobufCMessage *message, struct buf *out);

/* Parts that several families use. */
void labels_pack(struct packer *packer, const struct label *labels, size_t count,
		 Magik__Label ***ret_labels, size_t *ret_count);
void labels_unpack(struct unpacker *unpacker, Magik__Label *const *from, size_t count,
		   struct label **ret_labels, size_t *ret_count);
void labels_deinit(struct label *labels, size_t count);
struct label *labels_copy(const struct label *labels, size_t count);
void requirements_pack(struct packer *packer, const struct requirements *from,
		       Magik__Requirements *to);
void requirements_unpack(struct unpacker *unpacker, const Magik__Requirements *from,
			 struct requirements *to);
void taints_pack(struct packer *packer, const struct taint *taints, size_t count,
		 Magik__Taint ***ret_taints, size_t *ret_count);
void taints_unpack(struct unpacker *unpacker, Magik__Taint *const *from, size_t count,
		   struct taint **ret_taints, size_t *ret_count);
void taints_deinit(struct taint *taints, size_t count);
struct taint *taints_copy(const struct taint *taints, size_t count);
void resources_pack(struct packer *packer, const struct resource *resources, size_t count,
		    Magik__Resource ***ret_resources, size_t *ret_count);
void resources_unpack(struct unpacker *unpacker, Magik__Resource *const *from, size_t count,
		      struct resource **ret_resources, size_t *ret_count);
void resources_deinit(struct resource *resources, size_t count);
struct resource *resources_copy(const struct resource *resources, size_t count);
/* Zones behind the last one that is known are left out. */
void zones_pack(struct packer *packer, const uint64_t zones[MESSAGE_SPREADS_MAX],
		uint64_t **ret_zones, size_t *ret_count);
void zones_unpack(struct unpacker *unpacker, const uint64_t *from, size_t count,
		  uint64_t ret_zones[MESSAGE_SPREADS_MAX]);
void object_ref_pack(struct packer *packer, const struct object_ref *from, Magik__ObjectRef *to);
void object_ref_unpack(struct unpacker *unpacker, const Magik__ObjectRef *from,
		       struct object_ref *to);
Magik__Address *addr_pack(struct packer *packer, const struct addr *from); /* NULL when none */
void addr_unpack(struct unpacker *unpacker, const Magik__Address *from, struct addr *to);

/* A copy of an array of plain values; NULL when @count is 0. */
void *array_copy(const void *array, size_t count, size_t size);
void buf_copy(const struct buf *from, struct buf *to);

/* "" for a NULL of a zeroed struct: after decoding and copying no string is NULL. */
char *string_copy(const char *string);
