/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identifiers: one-member structs, so that one kind is never passed for another.
 *
 * node_id is a machine's Ed25519 public key; digest is a SHA-256; uid is a UUID v4 (RFC 9562) of a
 * Kubernetes object or pod. All are plain values; all order by memcmp; a zeroed one means "none".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

enum {
	ID_LEN = 32,
	ID_HEX_LEN = 64,
	UID_LEN = 16,
	UID_HOME_LEN = 8, /* of a uid: what decides who keeps the object (identity/derive.h) */
	UID_TEXT_LEN = 36,
};

struct node_id {
	uint8_t byte[ID_LEN];
};

struct digest {
	uint8_t byte[ID_LEN];
};

struct uid {
	uint8_t byte[UID_LEN];
};

/* A text form on the caller's stack, so that ids can be printed without allocation. */
struct id_text {
	char text[ID_HEX_LEN + 1];
};

/* Are two ids of 32 bytes the same? Tables are searched by them all the time: four words differ in
 * the first as a rule. */
static inline bool id_bytes_equal(const uint8_t a[ID_LEN], const uint8_t b[ID_LEN])
{
	uint64_t left[ID_LEN / sizeof(uint64_t)], right[ID_LEN / sizeof(uint64_t)];

	memcpy(left, a, ID_LEN);
	memcpy(right, b, ID_LEN);
	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] &&
	       left[3] == right[3];
}

/* Order is memcmp's; none is the zeroed id; text is ID_HEX_LEN digits of lower-case hex. */
int node_id_compare(const struct node_id *a, const struct node_id *b);
static inline bool node_id_equal(const struct node_id *a, const struct node_id *b)
{
	return id_bytes_equal(a->byte, b->byte);
}
bool node_id_is_none(const struct node_id *id);
struct id_text node_id_text(const struct node_id *id);
_must_use_ bool node_id_parse(const char *hex, struct node_id *ret_id);

int digest_compare(const struct digest *a, const struct digest *b);
static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return id_bytes_equal(a->byte, b->byte);
}
struct id_text digest_text(const struct digest *digest);
_must_use_ bool digest_parse(const char *hex, struct digest *ret_digest);

int uid_compare(const struct uid *a, const struct uid *b);
bool uid_equal(const struct uid *a, const struct uid *b);
bool uid_is_none(const struct uid *uid);

/* Turn 16 random bytes into a version 4 UUID. */
struct uid uid_from_random(const uint8_t random[UID_LEN]);
struct id_text uid_text(const struct uid *uid);
_must_use_ bool uid_parse(const char *text, struct uid *ret_uid);
