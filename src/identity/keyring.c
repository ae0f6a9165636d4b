/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/keyring.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	KEYRING_LINE_MAX = 64, /* "# " and a name */
};

void keyring_write(const char *const *names, const struct key *keys, struct buf *out)
{
	/* All at once: a buffer that grows leaves copies of keys behind. */
	buf_reserve(out, KEYRING_LEN_MAX);
	for (size_t i = 0; names[i]; i++) {
		assert(i < KEYRING_KEYS_MAX);
		buf_append_format(out, "# %s\n", names[i]);
		key_export_pem(&keys[i], out);
	}
}

/* The text under the line of @name, up to the next such line; @text goes behind it. */
static bool section_take(struct bytes *text, const char *name, struct bytes *ret_section)
{
	char line[KEYRING_LINE_MAX];
	size_t len = (size_t)snprintf(line, sizeof(line), "# %s\n", name);
	const uint8_t *next;

	if (text->len < len || memcmp(text->ptr, line, len) != 0)
		return false;
	*text = bytes_of(text->ptr + len, text->len - len);
	next = text->len > 0 ? memchr(text->ptr, '#', text->len) : NULL;
	*ret_section = bytes_of(text->ptr, next ? (size_t)(next - text->ptr) : text->len);
	*text = bytes_of(text->ptr + ret_section->len, text->len - ret_section->len);
	return true;
}

static int read_one(struct bytes *text, const char *const *names, size_t index, struct key *keys,
		    struct err *err)
{
	struct bytes section;

	if (!section_take(text, names[index], &section))
		return err_set(err, -EBADMSG, "there is no line \"# %s\" where it should be",
			       names[index]);
	if (!key_import_pem(section, &keys[index]))
		return err_set(err, -EBADMSG, "under \"# %s\" is no Ed25519 private key (PKCS#8)",
			       names[index]);
	for (size_t i = 0; i < index; i++)
		if (node_id_equal(&keys[i].public_key, &keys[index].public_key))
			return err_set(err, -EBADMSG, "%s and %s are the same key", names[i],
				       names[index]);
	return 0;
}

int keyring_read(struct bytes text, const char *const *names, struct key *ret_keys, struct err *err)
{
	struct key keys[KEYRING_KEYS_MAX] = {0};
	size_t count = 0;
	int r = 0;

	for (; r == 0 && names[count]; count++) {
		assert(count < KEYRING_KEYS_MAX);
		r = read_one(&text, names, count, keys, err);
	}
	if (r == 0 && text.len > 0)
		r = err_set(err, -EBADMSG, "there is more in it than the keys");
	if (r == 0)
		memcpy(ret_keys, keys, count * sizeof(*keys));
	secret_wipe(keys, sizeof(keys));
	return r;
}

int root_certs_make(const struct root_keys *keys, struct wall now,
		    uint8_t serials[CERT_FAMILY_COUNT][CERT_SERIAL_LEN],
		    struct buf ret_certs[CERT_FAMILY_COUNT], struct err *err)
{
	char fabric[FABRIC_ID_LEN + 1];
	int r = 0;

	fabric_id_of(&keys->key[CERT_FAMILY_MACHINE - 1].public_key, fabric);
	for (size_t i = 0; r == 0 && i < CERT_FAMILY_COUNT; i++) {
		struct cert_order order = {
			.kind = CERT_ROOT,
			.family = (enum cert_family)(i + 1),
			.key = keys->key[i].public_key,
			.fabric = fabric,
			.grant = grant_all(),
			.now = now,
		};

		memcpy(order.serial, serials[i], CERT_SERIAL_LEN);
		r = cert_issue(&order, &(struct signer){.key = &keys->key[i]}, &ret_certs[i], err);
	}
	return r;
}
