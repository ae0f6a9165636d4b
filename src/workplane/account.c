/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/account.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "base/bytes.h"
#include "base/mem.h"

static const char scheme[] = "Bearer ";

static int read_all(int fd, struct buf *text)
{
	ssize_t got;

	buf_reserve(text, ACCOUNT_MAX);
	do {
		got = read(fd, text->ptr + text->len, ACCOUNT_MAX - text->len);
		if (got > 0)
			text->len += (size_t)got;
	} while ((got > 0 && text->len < ACCOUNT_MAX) || (got < 0 && errno == EINTR));
	return got < 0 ? err_origin(-errno) : 0;
}

/* One of the three that is missing is NULL. */
static void split(const char *text, struct account *account)
{
	const char *key = strchr(text, '\n');
	const char *chain = strstr(text, "-----BEGIN CERTIFICATE-----");

	if (!key || key == text || !chain || chain <= key + 1)
		return;
	account->token = mem_copy(text, (size_t)(key - text));
	account->key_pem = mem_copy(key + 1, (size_t)(chain - key - 1));
	account->chain_pem = mem_strdup(chain);
}

int account_read(int fd, struct account *ret_account, struct err *err)
{
	struct account account = {0};
	struct buf text = {0};
	int r = read_all(fd, &text);

	(void)close(fd);
	if (r == 0)
		split(buf_cstr(&text), &account);
	secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	if (r < 0)
		return err_set(err, r, "--account-fd: %s", strerror(-r));
	if (!account.token)
		return err_set(err, err_origin(-EINVAL), "--account-fd: this is no account");
	*ret_account = account;
	return 0;
}

static void wipe(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}

void account_deinit(struct account *account)
{
	wipe(account->token);
	wipe(account->key_pem);
	free(account->chain_pem);
	*account = (struct account){0};
}

bool account_admits(const struct account *account, const char *authorization)
{
	const char *token;

	if (!account->token || !authorization ||
	    strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	token = authorization + sizeof(scheme) - 1;
	token += strspn(token, " ");
	/* How long ours is, is no secret. */
	return strlen(token) == strlen(account->token) &&
	       gnutls_memcmp(token, account->token, strlen(token)) == 0;
}
