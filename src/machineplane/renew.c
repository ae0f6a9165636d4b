/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renew: a machine's certificates are made anew from half of their lifetime on.
 *
 * An admitter signs for itself. Any other machine asks those whose address it knows, one after the
 * other, over magik-join/1, showing the leaf it has, which may do this for one more lifetime after
 * it has expired. The keys stay, and with them the machine's identity; so does what an admitter
 * holds. New connections show the new certificates; those that stand are left alone.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/join.h"
#include "io/clock.h"
#include "io/entropy.h"

enum {
	RENEW_CHECK_MS = 3600 * 1000, /* fabric time may step: look again this often */
	RENEW_NEXT_MS = 1000,         /* after a contact that does not admit */
	RENEW_ROUND_MS = 60 * 1000,   /* after a round over all contacts in vain */
	RENEW_ANSWER_MS = 15 * 1000,  /* one contact gets this long */
	RENEW_CLOSE_OK = 0,
};

struct renewal {
	struct fabric *fabric;
	struct loop_timer *timer;
	struct join_keys keys; /* of the request under way */
	struct quic_socket *socket;
	struct addr_peer contacts[CONTACTS_MAX];
	size_t contact_count, next;
};

static struct wall fabric_now(const struct renewal *renewal)
{
	return node_fabric_time(renewal->fabric->node, clock_mono());
}

/* Who signed our leaf is revoked, or it has expired. */
static bool may_only_renew(const struct renewal *renewal)
{
	struct fabric *fabric = renewal->fabric;
	struct trust_query query = fabric_query(fabric, TRUST_MESH);
	struct chain chain;

	return chain_split(bytes_buf(&fabric->credentials.machine_chain), &chain) &&
	       trust_verify(&fabric->trust, &query, &chain, NULL, NULL) == TRUST_E_RENEW_ONLY;
}

/* Half of the leaf's life. */
static int64_t due_in_ms(const struct renewal *renewal)
{
	const struct cert *leaf = &renewal->fabric->credentials.machine;
	int64_t half_ms = (leaf->not_after.ms - leaf->not_before.ms) / 2;

	if (may_only_renew(renewal))
		return 0;
	return leaf->not_before.ms + half_ms - fabric_now(renewal).ms;
}

static void wait_ms(struct renewal *renewal, int64_t ms)
{
	if (ms > RENEW_CHECK_MS)
		ms = RENEW_CHECK_MS;
	loop_timer_set(renewal->timer, mono_add_ms(clock_mono(), ms));
}

static void make_keys(struct renewal *renewal)
{
	const struct credentials *have = &renewal->fabric->credentials;
	uint8_t random[JOIN_RANDOM_LEN];

	entropy_fill(random, sizeof(random));
	join_keys_make(&renewal->keys, random);
	secret_wipe(random, sizeof(random));
	renewal->keys.machine = have->machine_key;
	renewal->keys.rest = have->rest_key;
	if (credentials_is_steward(have))
		renewal->keys.steward = have->steward_key;
}

/* What a renewal does not hand out again. */
static void carry_over(struct credentials *from, struct credentials *to)
{
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		to->admit_key[i] = from->admit_key[i];
		buf_deinit(&to->admit_cert[i]);
		buf_append_bytes(&to->admit_cert[i], bytes_buf(&from->admit_cert[i]));
	}
}

/* New handshakes show the new chain. */
static int show_on_mesh(struct fabric *fabric, struct err *err)
{
	struct quic_endpoint *endpoint = quic_socket_endpoint(fabric->socket);
	struct quic_credential *credential;
	struct chain chain;
	int result;

	if (!chain_split(bytes_buf(&fabric->credentials.machine_chain), &chain))
		return err_set(err, -EBADMSG, "the new chain is damaged");
	result = quic_credential_new(chain.cert, chain.count, fabric->credentials.machine_key.seed,
				     err, &credential);
	if (result)
		return result;
	result = quic_endpoint_set_credential(endpoint, ALPN_MACHINE, credential);
	if (result == 0 && credentials_is_admitter(&fabric->credentials))
		result = quic_endpoint_set_credential(endpoint, ALPN_JOIN, credential);
	quic_credential_unref(fabric->quic_credential);
	fabric->quic_credential = credential;
	return result ? err_set(err, -EINVAL, "the endpoint does not take it") : 0;
}

static int show_on_rest(struct fabric *fabric, struct err *err)
{
	struct buf chain = {0}, key = {0};
	int result;

	chain_to_pem(bytes_buf(&fabric->credentials.rest_chain), &chain);
	key_export_pem(&fabric->credentials.rest_key, &key);
	result = api_set_certificate(fabric->api, buf_cstr(&chain), buf_cstr(&key), err);
	secret_wipe(key.ptr, key.len);
	buf_deinit(&key);
	buf_deinit(&chain);
	return result;
}

/* Take @fresh, which is the same machine's: on disk first, then in everything that shows it. */
static void adopt(struct renewal *renewal, struct credentials *fresh)
{
	struct fabric *fabric = renewal->fabric;
	struct trust_query query = fabric_query(fabric, TRUST_MESH);
	struct chain chain;
	struct err err = {0};
	int64_t left_ms;

	carry_over(&fabric->credentials, fresh);
	credentials_deinit(&fabric->credentials);
	fabric->credentials = *fresh;
	*fresh = (struct credentials){0};
	if (fabric_save_credentials(fabric) != 0)
		log_event(LOG_LEVEL_ERROR, "renewal-not-saved",
			  "the renewed certificates could not be written");
	fabric->leaf = fabric->credentials.machine.hash;
	if (chain_split(bytes_buf(&fabric->credentials.machine_chain), &chain))
		(void)!trust_verify(&fabric->trust, &query, &chain, NULL, NULL);
	node_set_leaf(fabric->node, clock_mono(), &fabric->leaf);
	if (show_on_mesh(fabric, &err) != 0 || show_on_rest(fabric, &err) != 0)
		log_event(LOG_LEVEL_ERROR, "renewal-not-shown", "%s", err.text);
	left_ms = fabric->credentials.machine.not_after.ms - fabric_now(renewal).ms;
	log_event(LOG_LEVEL_INFO, "renewed", "this machine's certificates are valid for %lld days",
		  (long long)((left_ms + CERT_DAY_MS / 2) / CERT_DAY_MS));
}

static int open_reply(struct renewal *renewal, struct bytes bytes, struct err *err)
{
	struct join_reply *reply = mem_new(struct join_reply);
	int result = join_reply_open(bytes, &renewal->keys, &renewal->fabric->trust, reply, err);

	if (result == 0)
		adopt(renewal, &reply->credentials);
	join_reply_deinit(reply);
	free(reply);
	return result;
}

/* The whole exchange with ourselves. */
static int renew_here(struct renewal *renewal, struct err *err)
{
	struct fabric *fabric = renewal->fabric;
	const struct credentials *have = &fabric->credentials;
	struct join_answer answer = {.admitter = have, .now = fabric_now(renewal)};
	struct join_request request;
	struct buf asked = {0}, replied = {0};
	int result;

	entropy_fill(answer.serials, sizeof(answer.serials));
	join_request_build(&renewal->keys, fabric->settings.options.node_name, &fabric->leaf,
			   &asked);
	result = join_request_open(bytes_buf(&asked), &have->machine, &fabric->leaf, &request, err);
	if (result == 0)
		result = join_reply_build(&request, &answer, &replied, err);
	if (result == 0)
		result = open_reply(renewal, bytes_buf(&replied), err);
	buf_deinit(&asked);
	buf_deinit(&replied);
	return result;
}

static int verify(void *user, const struct quic_peer *peer, const struct bytes *chain, size_t count,
		  struct err *err)
{
	struct renewal *renewal = user;
	struct trust_query query = fabric_query(renewal->fabric, TRUST_ADMITTER);
	struct chain shown = {0};

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = chain[i];
	return trust_verify(&renewal->fabric->trust, &query, &shown, NULL, err);
}

static void opened(void *user, struct quic_conn *conn)
{
	struct renewal *renewal = user;
	struct buf request = {0};
	const struct bytes *chain;
	struct cert admitter;

	if (quic_conn_peer_chain(conn, &chain) == 0 || cert_parse(chain[0], &admitter, NULL) != 0)
		return;
	join_request_build(&renewal->keys, renewal->fabric->settings.options.node_name,
			   &admitter.hash, &request);
	(void)!quic_conn_send(conn, bytes_buf(&request));
	buf_deinit(&request);
}

static void message(void *user, struct quic_conn *conn, struct bytes bytes)
{
	struct renewal *renewal = user;
	struct addr remote = quic_conn_remote(conn);
	struct err err = {0};

	if (open_reply(renewal, bytes, &err) != 0)
		log_event(LOG_LEVEL_WARN, "renewal-refused", "%s: %s", addr_text(&remote).text,
			  err.text);
	else
		renewal->next = 0;
	quic_conn_close(conn, RENEW_CLOSE_OK, "done");
	wait_ms(renewal, due_in_ms(renewal) > 0 ? due_in_ms(renewal) : RENEW_NEXT_MS);
}

static void closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct renewal *renewal = user;

	if (due_in_ms(renewal) <= 0)
		wait_ms(renewal, RENEW_NEXT_MS);
}

static const struct quic_handler handler = {
	.verify = verify,
	.opened = opened,
	.closed = closed,
	.message = message,
};

static int ask(struct renewal *renewal, const struct addr_peer *contact, struct err *err)
{
	struct fabric *fabric = renewal->fabric;
	struct quic_config config = {0};
	struct quic_conn *conn;
	struct quic_dial dial = {
		.remote = contact->addr,
		.alpn = ALPN_JOIN,
		.credential = fabric->quic_credential,
	};
	int result;

	if (!addr_parse_ip(fabric->settings.options.mesh_host, 0, &config.local))
		return err_set(err, -EINVAL, "--mesh-host is no address");
	result = quic_socket_new(fabric->loop, &config, &handler, renewal, err, &renewal->socket);
	if (result == 0)
		result = quic_dial(quic_socket_endpoint(renewal->socket), clock_mono(), &dial,
				   &conn);
	return result;
}

/* The next contact of the round, or of a new one. False: the round is over. */
static bool next_contact(struct renewal *renewal, struct addr_peer *ret_contact)
{
	if (renewal->next == 0)
		renewal->contact_count = contacts_read(renewal->fabric, renewal->contacts);
	if (renewal->next >= renewal->contact_count) {
		renewal->next = 0;
		return false;
	}
	*ret_contact = renewal->contacts[renewal->next++];
	return true;
}

static void check(void *user)
{
	struct renewal *renewal = user;
	struct addr_peer contact;
	struct err err = {0};

	/* What was under way has had its time. */
	quic_socket_free(renewal->socket);
	renewal->socket = NULL;
	if (due_in_ms(renewal) > 0) {
		wait_ms(renewal, due_in_ms(renewal));
		return;
	}
	make_keys(renewal);
	if (credentials_is_admitter(&renewal->fabric->credentials)) {
		if (renew_here(renewal, &err) != 0)
			log_event(LOG_LEVEL_ERROR, "renewal-failed", "%s", err.text);
		wait_ms(renewal, RENEW_ROUND_MS);
	} else if (!next_contact(renewal, &contact)) {
		log_event(LOG_LEVEL_WARN, "renewal-waits", "no machine that admits was reached");
		wait_ms(renewal, RENEW_ROUND_MS);
	} else {
		wait_ms(renewal,
			ask(renewal, &contact, &err) == 0 ? RENEW_ANSWER_MS : RENEW_NEXT_MS);
	}
}

struct renewal *renewal_new(struct fabric *fabric)
{
	struct renewal *renewal = mem_new(struct renewal);

	renewal->fabric = fabric;
	renewal->timer = loop_timer_new(fabric->loop, check, renewal);
	loop_timer_set(renewal->timer, clock_mono());
	return renewal;
}

void renewal_hurry(struct renewal *renewal)
{
	if (!renewal->socket)
		loop_timer_set(renewal->timer, clock_mono());
}

void renewal_free(struct renewal *renewal)
{
	if (!renewal)
		return;
	quic_socket_free(renewal->socket);
	loop_timer_free(renewal->timer);
	join_keys_wipe(&renewal->keys);
	free(renewal);
}
