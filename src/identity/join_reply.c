/* SPDX-License-Identifier: Apache-2.0 */
/* The joiner's end: trusting a reply only as far as the root keys it already had bear it out. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity.pb-c.h"
#include "identity/join.h"

enum {
	JOIN_VERSION = 1,
};

static int misfit(struct err *err, const char *what)
{
	(void)err_set(err, -EBADMSG, "join reply: %s", what);
	return JOIN_E_REPLY;
}

void join_reply_deinit(struct join_reply *reply)
{
	credentials_deinit(&reply->credentials);
}

static bool read_member(const ProtobufCBinaryData *from, char *member)
{
	if (from->len == 0 || from->len > JOIN_ADDRESS_LEN_MAX)
		return false;
	for (size_t i = 0; i < from->len; i++) {
		if (from->data[i] <= ' ' || from->data[i] >= 0x7f)
			return false;
	}
	memcpy(member, from->data, from->len);
	member[from->len] = 0;
	return true;
}

static int read_members(const Identity__JoinReply *message, struct join_reply *reply,
			struct err *err)
{
	if (message->n_members > JOIN_MEMBERS_MAX)
		return misfit(err, "too many members");
	for (size_t i = 0; i < message->n_members; i++) {
		if (!read_member(&message->members[i], reply->members[reply->member_count++]))
			return misfit(err, "a member's address that cannot be read");
	}
	return 0;
}

static int read_roots(const Identity__JoinReply *message, const struct trust *trust,
		      struct join_reply *reply, struct err *err)
{
	if (message->n_roots != CERT_FAMILY_COUNT)
		return misfit(err, "no roots");
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct bytes der = bytes_of(message->roots[i].data, message->roots[i].len);
		struct cert root;

		if (cert_parse(der, &root, err) != 0)
			return JOIN_E_REPLY;
		if (root.kind != CERT_ROOT || (size_t)root.family != i + 1 ||
		    strcmp(root.fabric, trust->fabric) != 0 ||
		    !node_id_equal(&root.key, &trust->root[i]) ||
		    !cert_signed_by(der, &trust->root[i]))
			return misfit(err, "roots of another fabric");
		buf_append_bytes(&reply->credentials.root[i], der);
	}
	return 0;
}

/* A leaf's chain: sound for @purpose at the reply's time, and for our key. */
static int read_leaf(const ProtobufCBinaryData *from, const struct key *key,
		     const struct trust_query *query, struct trust *trust, struct buf *ret_chain,
		     struct err *err)
{
	struct bytes concatenated = bytes_of(from->data, from->len);
	struct chain chain;
	struct cert leaf;

	if (!chain_split(concatenated, &chain))
		return misfit(err, "a chain that cannot be read");
	if (trust_verify(trust, query, &chain, &leaf, err) != 0) {
		(void)err_prefix(err, "join reply");
		return JOIN_E_REPLY;
	}
	if (!node_id_equal(&leaf.key, &key->public_key))
		return misfit(err, "a certificate for another key");
	buf_append_bytes(ret_chain, concatenated);
	return 0;
}

/* An intermediate for us: signed by @issuer, and within what that may hand on. */
static bool intermediate_fits(struct bytes der, enum cert_kind kind, const struct key *key,
			      const struct cert *issuer)
{
	struct cert cert;

	return cert_parse(der, &cert, NULL) == 0 && cert.kind == kind &&
	       node_id_equal(&cert.key, &key->public_key) && cert_signed_by(der, &issuer->key) &&
	       cert_narrows(&cert, issuer, NULL) == 0;
}

static struct cert root_cert(const struct trust *trust, size_t index)
{
	struct cert root = {.kind = CERT_ROOT, .grant = grant_all()};

	root.family = (enum cert_family)(index + 1);
	root.key = trust->root[index];
	memcpy(root.fabric, trust->fabric, sizeof(root.fabric));
	return root;
}

static int read_steward(const Identity__JoinReply *message, const struct key *key,
			const struct trust *trust, struct join_reply *reply, struct err *err)
{
	struct bytes concatenated =
		bytes_of(message->steward_chain.data, message->steward_chain.len);
	struct cert root = root_cert(trust, CERT_FAMILY_WORKLOAD - 1), admit;
	struct chain chain;

	if (concatenated.len == 0)
		return 0;
	if (!chain_split(concatenated, &chain) || chain.count != 2 ||
	    cert_parse(chain.cert[1], &admit, NULL) != 0 || admit.kind != CERT_ADMIT ||
	    !cert_signed_by(chain.cert[1], &root.key) || cert_narrows(&admit, &root, NULL) != 0 ||
	    !intermediate_fits(chain.cert[0], CERT_STEWARD, key, &admit))
		return misfit(err, "a steward's certificate that does not fit");
	buf_append_bytes(&reply->credentials.steward_chain, concatenated);
	reply->credentials.steward_key = *key;
	return 0;
}

static int read_admit(const Identity__JoinReply *message, const struct join_keys *keys,
		      const struct trust *trust, struct join_reply *reply, struct err *err)
{
	if (message->n_admit == 0)
		return 0;
	if (message->n_admit != CERT_FAMILY_COUNT)
		return misfit(err, "not all intermediates of an admitter");
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct bytes der = bytes_of(message->admit[i].data, message->admit[i].len);
		struct cert root = root_cert(trust, i);

		if (!intermediate_fits(der, CERT_ADMIT, &keys->admit[i], &root))
			return misfit(err, "an admitter's certificate that does not fit");
		buf_append_bytes(&reply->credentials.admit_cert[i], der);
		reply->credentials.admit_key[i] = keys->admit[i];
	}
	return 0;
}

static int read_leaves(const Identity__JoinReply *message, const struct join_keys *keys,
		       struct trust *trust, struct join_reply *reply, struct err *err)
{
	struct credentials *own = &reply->credentials;
	struct trust_query query = {.purpose = TRUST_MESH, .now = reply->now};
	struct chain chain;
	int r = read_leaf(&message->machine_chain, &keys->machine, &query, trust,
			  &own->machine_chain, err);

	if (r)
		return r;
	if (!chain_split(bytes_buf(&own->machine_chain), &chain) ||
	    cert_parse(chain.cert[0], &own->machine, err) != 0)
		return misfit(err, "a chain that cannot be read");
	own->machine_key = keys->machine;
	query.purpose = TRUST_REST_SERVER;
	own->rest_key = keys->rest;
	return read_leaf(&message->rest_chain, &keys->rest, &query, trust, &own->rest_chain, err);
}

/* The admitter's own sentence; it goes into our log, so only plain characters pass. */
static int refused(const ProtobufCBinaryData *why, struct err *err)
{
	char text[ERR_TEXT_MAX];
	size_t len = why->len < sizeof(text) ? why->len : sizeof(text) - 1;

	for (size_t i = 0; i < len; i++)
		text[i] = why->data[i] < ' ' || why->data[i] >= 0x7f ? '?' : (char)why->data[i];
	text[len] = 0;
	(void)err_set(err, -EACCES, "the admitter refused: %s", text);
	return JOIN_E_REFUSED;
}

static int reply_read(const Identity__JoinReply *message, const struct join_keys *keys,
		      struct trust *trust, struct join_reply *reply, struct err *err)
{
	int r;

	if (message->version != JOIN_VERSION)
		return misfit(err, "of another version");
	if (message->refusal.len > 0)
		return refused(&message->refusal, err);
	if (message->now_ms <= 0)
		return misfit(err, "no time");
	reply->now.ms = message->now_ms;
	r = read_roots(message, trust, reply, err);
	if (r == 0)
		r = read_leaves(message, keys, trust, reply, err);
	if (r == 0)
		r = read_steward(message, &keys->steward, trust, reply, err);
	if (r == 0)
		r = read_admit(message, keys, trust, reply, err);
	if (r == 0)
		r = read_members(message, reply, err);
	return r;
}

int join_reply_open(struct bytes bytes, const struct join_keys *keys, struct trust *trust,
		    struct join_reply *ret_reply, struct err *err)
{
	Identity__JoinReply *message;
	struct join_reply *reply;
	int r;

	if (bytes.len > JOIN_REPLY_LEN_MAX)
		return misfit(err, "too long");
	message = identity__join_reply__unpack(NULL, bytes.len, bytes.ptr);
	if (!message)
		return misfit(err, "cannot be read");
	reply = mem_new(struct join_reply);
	r = reply_read(message, keys, trust, reply, err);
	identity__join_reply__free_unpacked(message, NULL);
	if (r)
		join_reply_deinit(reply);
	else
		*ret_reply = *reply;
	secret_wipe(reply, sizeof(*reply));
	free(reply);
	return r;
}
