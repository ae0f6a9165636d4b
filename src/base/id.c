/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <string.h>

#include "base/bytes.h"

static const uint8_t none[ID_LEN];

int node_id_compare(const struct node_id *a, const struct node_id *b)
{
	return memcmp(a->byte, b->byte, ID_LEN);
}

bool node_id_is_none(const struct node_id *id)
{
	return memcmp(id->byte, none, ID_LEN) == 0;
}

struct id_text node_id_text(const struct node_id *id)
{
	struct id_text text;

	hex_encode(bytes_of(id->byte, ID_LEN), text.text);
	return text;
}

bool node_id_parse(const char *hex, struct node_id *ret_id)
{
	struct node_id id;

	if (!hex_decode(hex, id.byte, ID_LEN))
		return false;
	*ret_id = id;
	return true;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
	return memcmp(a->byte, b->byte, ID_LEN);
}

struct id_text digest_text(const struct digest *digest)
{
	struct id_text text;

	hex_encode(bytes_of(digest->byte, ID_LEN), text.text);
	return text;
}

bool digest_parse(const char *hex, struct digest *ret_digest)
{
	struct digest digest;

	if (!hex_decode(hex, digest.byte, ID_LEN))
		return false;
	*ret_digest = digest;
	return true;
}

int uid_compare(const struct uid *a, const struct uid *b)
{
	return memcmp(a->byte, b->byte, UID_LEN);
}

bool uid_equal(const struct uid *a, const struct uid *b)
{
	return uid_compare(a, b) == 0;
}

bool uid_is_none(const struct uid *uid)
{
	return memcmp(uid->byte, none, UID_LEN) == 0;
}

struct uid uid_from_random(const uint8_t random[UID_LEN])
{
	struct uid uid;

	memcpy(uid.byte, random, UID_LEN);
	uid.byte[6] = (uint8_t)((uid.byte[6] & 0x0f) | 0x40); /* version 4 */
	uid.byte[8] = (uint8_t)((uid.byte[8] & 0x3f) | 0x80); /* RFC 9562 variant */
	return uid;
}

/* A UUID prints as 8-4-4-4-12 hex digits: a dash before these bytes. */
static bool uid_dash_before(int i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

struct id_text uid_text(const struct uid *uid)
{
	struct id_text text;
	char *out = text.text;

	for (int i = 0; i < UID_LEN; i++) {
		if (uid_dash_before(i))
			*out++ = '-';
		hex_encode(bytes_of(&uid->byte[i], 1), out);
		out += 2;
	}
	return text;
}

bool uid_parse(const char *text, struct uid *ret_uid)
{
	char hex[2 * UID_LEN + 1];
	struct uid uid;

	if (strlen(text) != UID_TEXT_LEN)
		return false;
	for (int i = 0; i < UID_LEN; i++) {
		if (uid_dash_before(i) && *text++ != '-')
			return false;
		hex[2 * i] = *text++;
		hex[2 * i + 1] = *text++;
	}
	hex[2 * UID_LEN] = 0;
	if (!hex_decode(hex, uid.byte, UID_LEN))
		return false;
	*ret_uid = uid;
	return true;
}
