/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/vault.h"

#include <sodium.h>
#include <string.h>

#include "base/mem.h"
#include "io/entropy.h"
#include "io/file.h"

static int key_make(const char *path, struct vault *vault)
{
	entropy_fill(vault->key, sizeof(vault->key));
	return file_write(path, bytes_of(vault->key, sizeof(vault->key)), 0600);
}

int vault_open(const char *path, struct vault *ret_vault, struct err *err)
{
	struct buf key = {0};
	int result = file_read(path, VAULT_KEY_LEN, &key);

	if (result == -ENOENT)
		result = key_make(path, ret_vault);
	else if (result == 0 && key.len != VAULT_KEY_LEN)
		result = -EBADMSG;
	else if (result == 0)
		memcpy(ret_vault->key, key.ptr, VAULT_KEY_LEN);
	if (key.ptr)
		secret_wipe(key.ptr, key.len);
	buf_deinit(&key);
	if (result)
		return err_set(err, -EIO, "%s: %s", path,
			       result == -EBADMSG || result == -EFBIG ? "this is no key of 32 bytes"
								      : strerror(-result));
	return 0;
}

void vault_close(struct vault *vault)
{
	secret_wipe(vault->key, sizeof(vault->key));
}

void vault_seal(const struct vault *vault, struct bytes text, struct buf *ret_sealed)
{
	uint8_t head[1 + VAULT_NONCE_LEN] = {VAULT_VERSION};

	entropy_fill(head + 1, VAULT_NONCE_LEN);
	buf_append(ret_sealed, head, sizeof(head));
	buf_reserve(ret_sealed, text.len + VAULT_MAC_LEN);
	(void)crypto_secretbox_easy(ret_sealed->ptr + ret_sealed->len, text.ptr, text.len, head + 1,
				    vault->key);
	ret_sealed->len += text.len + VAULT_MAC_LEN;
}

int vault_unseal(const struct vault *vault, struct bytes sealed, struct buf *ret_text)
{
	const uint8_t *nonce = sealed.ptr + 1, *box = nonce + VAULT_NONCE_LEN;
	size_t len;

	if (sealed.len < VAULT_OVERHEAD || sealed.ptr[0] != VAULT_VERSION)
		return err_origin(-EBADMSG);
	len = sealed.len - VAULT_OVERHEAD;
	buf_reserve(ret_text, len);
	if (crypto_secretbox_open_easy(ret_text->ptr + ret_text->len, box, len + VAULT_MAC_LEN,
				       nonce, vault->key) != 0)
		return err_origin(-EBADMSG);
	ret_text->len += len;
	return 0;
}
