/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/voucher.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity.pb-c.h"
#include "identity/sha256.h"

enum {
	TOKEN_VERSION = 1,
	PREFIX_LEN = sizeof(VOUCHER_PREFIX) - 1,
	ROOTS_LEN = CERT_FAMILY_COUNT * ID_LEN,
	CHECK_LEN = 4,
};

int voucher_make(const struct voucher_order *order, const struct signer *admit,
		 struct voucher *ret_voucher, struct err *err)
{
	struct voucher voucher = {.key = key_from_seed(order->seed)};
	struct cert_order cert = {
		.kind = CERT_VOUCHER,
		.key = voucher.key.public_key,
		.grant = order->grant,
		.plain = order->plain,
		.now = order->now,
		.life_ms = order->ttl_ms,
	};
	struct chain chain;
	int r;

	memcpy(cert.serial, order->serial, sizeof(cert.serial));
	r = cert_issue(&cert, admit, &voucher.chain, err);
	if (r == 0) {
		buf_append_bytes(&voucher.chain, admit->cert);
		if (!chain_split(bytes_buf(&voucher.chain), &chain))
			r = err_set(err, -EBADMSG, "the admitter's certificate is damaged");
	}
	if (r == 0)
		r = cert_parse(chain.cert[0], &voucher.cert, err);
	if (r) {
		voucher_deinit(&voucher);
		return r;
	}
	*ret_voucher = voucher;
	return 0;
}

void voucher_deinit(struct voucher *voucher)
{
	key_wipe(&voucher->key);
	buf_deinit(&voucher->chain);
	*voucher = (struct voucher){0};
}

bool voucher_add_address(struct voucher *voucher, const char *address)
{
	size_t len = strlen(address);

	if (voucher->address_count == VOUCHER_ADDRESSES_MAX || len == 0 ||
	    len > VOUCHER_ADDRESS_LEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (address[i] <= ' ' || address[i] >= 0x7f)
			return false;
	}
	memcpy(voucher->addresses[voucher->address_count++], address, len + 1);
	return true;
}

/* base64 and its variant for names differ in two digits and the padding (RFC 4648 section 5). */
static void base64url_encode(struct bytes bytes, struct buf *out)
{
	size_t start = out->len;

	base64_encode(bytes, out);
	while (out->len > start && out->ptr[out->len - 1] == '=')
		out->len--;
	for (size_t i = start; i < out->len; i++) {
		if (out->ptr[i] == '+')
			out->ptr[i] = '-';
		else if (out->ptr[i] == '/')
			out->ptr[i] = '_';
	}
}

static bool base64url_decode(struct bytes text, struct buf *ret_bytes)
{
	struct buf standard = {0};
	bool sound = true;

	for (size_t i = 0; i < text.len; i++) {
		char c = (char)text.ptr[i];

		sound = sound && c != '+' && c != '/' && c != '=';
		c = c == '-' ? '+' : c == '_' ? '/' : c;
		buf_append(&standard, &c, 1);
	}
	while (standard.len % 4)
		buf_append_str(&standard, "=");
	sound = sound && text.len % 4 != 1 && base64_decode(bytes_buf(&standard), ret_bytes);
	secret_wipe(standard.ptr, standard.len);
	buf_deinit(&standard);
	return sound;
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
	return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
}

void voucher_encode(const struct voucher *voucher, struct buf *ret_text)
{
	ProtobufCBinaryData addresses[VOUCHER_ADDRESSES_MAX];
	Identity__Token token = IDENTITY__TOKEN__INIT;
	struct buf packed = {0};
	struct digest check;

	token.version = TOKEN_VERSION;
	token.seed = binary(bytes_of(voucher->key.seed, KEY_SEED_LEN));
	token.chain = binary(bytes_buf(&voucher->chain));
	token.roots = binary(bytes_of(voucher->root, ROOTS_LEN));
	token.n_addresses = voucher->address_count;
	token.addresses = addresses;
	for (size_t i = 0; i < voucher->address_count; i++)
		addresses[i] = binary(bytes_str(voucher->addresses[i]));
	buf_reserve(&packed, identity__token__get_packed_size(&token));
	packed.len = identity__token__pack(&token, packed.ptr);
	check = sha256(bytes_buf(&packed));
	buf_append(&packed, check.byte, CHECK_LEN);
	buf_append_str(ret_text, VOUCHER_PREFIX);
	base64url_encode(bytes_buf(&packed), ret_text);
	secret_wipe(packed.ptr, packed.len);
	buf_deinit(&packed);
}

static struct bytes trim(struct bytes text)
{
	while (text.len > 0 && text.ptr[0] <= ' ')
		text = bytes_of(text.ptr + 1, text.len - 1);
	while (text.len > 0 && text.ptr[text.len - 1] <= ' ')
		text.len--;
	return text;
}

static bool token_read_addresses(const Identity__Token *token, struct voucher *voucher)
{
	for (size_t i = 0; i < token->n_addresses; i++) {
		struct bytes text = bytes_of(token->addresses[i].data, token->addresses[i].len);
		char address[VOUCHER_ADDRESS_LEN_MAX + 1] = "";

		if (text.len > VOUCHER_ADDRESS_LEN_MAX)
			return false;
		if (text.len > 0)
			memcpy(address, text.ptr, text.len);
		if (strlen(address) != text.len || !voucher_add_address(voucher, address))
			return false;
	}
	return true;
}

/* The voucher's chain: for this key, and from the machine root that the token names. */
static bool voucher_chain_fits(struct voucher *voucher)
{
	struct chain chain;
	struct cert admit;

	return chain_split(bytes_buf(&voucher->chain), &chain) && chain.count == 2 &&
	       cert_parse(chain.cert[0], &voucher->cert, NULL) == 0 &&
	       cert_parse(chain.cert[1], &admit, NULL) == 0 && voucher->cert.kind == CERT_VOUCHER &&
	       admit.kind == CERT_ADMIT &&
	       node_id_equal(&voucher->cert.key, &voucher->key.public_key) &&
	       cert_signed_by(chain.cert[0], &admit.key) &&
	       cert_signed_by(chain.cert[1], &voucher->root[CERT_FAMILY_MACHINE - 1]) &&
	       cert_narrows(&voucher->cert, &admit, NULL) == 0;
}

static int token_read(const Identity__Token *token, struct voucher *voucher, struct err *err)
{
	if (token->version != TOKEN_VERSION) {
		(void)err_set(err, -EPROTONOSUPPORT,
			      "join token of version %u; this Magik knows version %d",
			      token->version, TOKEN_VERSION);
		return VOUCHER_E_VERSION;
	}
	if (token->seed.len == KEY_SEED_LEN && token->roots.len == ROOTS_LEN &&
	    token_read_addresses(token, voucher)) {
		voucher->key = key_from_seed(token->seed.data);
		memcpy(voucher->root, token->roots.data, ROOTS_LEN);
		buf_append(&voucher->chain, token->chain.data, token->chain.len);
		if (voucher_chain_fits(voucher))
			return 0;
	}
	(void)err_set(err, -EBADMSG, "join token is damaged: its parts do not fit together");
	return VOUCHER_E_MALFORMED;
}

static bool check_fits(struct bytes *packed)
{
	struct digest check;

	if (packed->len <= CHECK_LEN)
		return false;
	packed->len -= CHECK_LEN;
	check = sha256(*packed);
	return memcmp(packed->ptr + packed->len, check.byte, CHECK_LEN) == 0;
}

static int token_unpack(struct bytes packed, struct voucher *voucher, struct err *err)
{
	Identity__Token *token = NULL;
	int r;

	if (check_fits(&packed))
		token = identity__token__unpack(NULL, packed.len, packed.ptr);
	if (!token) {
		(void)err_set(err, -EBADMSG, "join token is cut off or damaged");
		return VOUCHER_E_MALFORMED;
	}
	r = token_read(token, voucher, err);
	if (token->seed.len > 0)
		secret_wipe(token->seed.data, token->seed.len);
	identity__token__free_unpacked(token, NULL);
	return r;
}

int voucher_parse(struct bytes text, struct voucher *ret_voucher, struct err *err)
{
	struct voucher *voucher;
	struct buf packed = {0};
	int r = VOUCHER_E_MALFORMED;

	text = trim(text);
	if (text.len < PREFIX_LEN || memcmp(text.ptr, VOUCHER_PREFIX, PREFIX_LEN) != 0) {
		(void)err_set(err, -EBADMSG, "not a join token: it starts with " VOUCHER_PREFIX);
		return VOUCHER_E_MALFORMED;
	}
	text = bytes_of(text.ptr + PREFIX_LEN, text.len - PREFIX_LEN);
	if (text.len == 0 || text.len > VOUCHER_TEXT_MAX || !base64url_decode(text, &packed)) {
		(void)err_set(err, -EBADMSG,
			      "join token is cut off or has characters that do not belong");
		buf_deinit(&packed);
		return VOUCHER_E_MALFORMED;
	}
	voucher = mem_new(struct voucher);
	r = token_unpack(bytes_buf(&packed), voucher, err);
	if (r)
		voucher_deinit(voucher);
	else
		*ret_voucher = *voucher;
	secret_wipe(voucher, sizeof(*voucher));
	free(voucher);
	secret_wipe(packed.ptr, packed.len);
	buf_deinit(&packed);
	return r;
}
