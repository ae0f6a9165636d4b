/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Join: asking to be let in (identity/join.h has the messages and the rules).
 *
 * A machine without credentials dials the addresses of its token one after the other, shows the
 * voucher, sends its request, and becomes a member with the reply.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/join.h"
#include "identity/voucher.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"

enum {
	JOIN_RETRY_MS = 2000,   /* between rounds over the token's addresses */
	JOIN_ANSWER_MS = 15000, /* an admitter that is silent for so long is stuck: ask another */
	JOIN_CLOSE_OK = 0,
	JOIN_CLOSE_REFUSED = 1,
};

/* The joiner's side. */
struct join {
	struct fabric *fabric;
	struct voucher voucher;
	struct join_keys keys;
	struct quic_credential *credential;
	struct quic_socket *socket;
	struct loop_timer *timer;
	size_t next; /* address to try */
	bool done, refused;
};

static int verify_admitter(void *user, const struct quic_peer *peer, const struct bytes *chain,
			   size_t count, struct err *err)
{
	struct join *join = user;
	struct trust_query query = {.purpose = TRUST_ADMITTER, .now_is_floor = true};
	struct chain shown = {0};

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = chain[i];
	return trust_verify(&join->fabric->trust, &query, &shown, NULL, err);
}

static void joiner_opened(void *user, struct quic_conn *conn)
{
	struct join *join = user;
	struct buf request = {0};
	const struct bytes *chain;
	struct cert admitter;

	if (quic_conn_peer_chain(conn, &chain) == 0 || cert_parse(chain[0], &admitter, NULL) != 0)
		return;
	loop_timer_set(join->timer, mono_add_ms(clock_mono(), JOIN_ANSWER_MS));
	join_request_build(&join->keys, join->fabric->settings.options.node_name, &admitter.hash,
			   &request);
	(void)!quic_conn_send(conn, bytes_buf(&request));
	buf_deinit(&request);
}

static void joined(void *user)
{
	fabric_become_member(user);
}

int fabric_save_credentials(const struct fabric *fabric)
{
	struct credentials_files *files = mem_new(struct credentials_files);
	int result = 0;

	credentials_save(&fabric->credentials, files);
	for (size_t i = 0; result == 0 && i < files->count; i++) {
		struct buf path = {0};

		buf_append_format(&path, "%s/fabric/%s", fabric->settings.options.state_dir,
				  files->file[i].name);
		result = file_write(buf_cstr(&path), bytes_buf(&files->file[i].content),
				    files->file[i].secret ? 0600 : 0644);
		buf_deinit(&path);
	}
	credentials_files_deinit(files);
	free(files);
	return result;
}

static void add_bootstrap(struct options *options, const char *text)
{
	struct addr_peer peer;

	if (options->bootstrap_count < OPTIONS_BOOTSTRAP_MAX && addr_peer_parse(text, &peer))
		options->bootstrap[options->bootstrap_count++] = peer;
}

static void joiner_message(void *user, struct quic_conn *conn, struct bytes bytes)
{
	struct join *join = user;
	struct fabric *fabric = join->fabric;
	struct join_reply *reply = mem_new(struct join_reply);
	struct err err = {0};
	int result = join->done ? -EALREADY
				: join_reply_open(bytes, &join->keys, &fabric->trust, reply, &err);

	if (result == 0) {
		join->done = true;
		fabric->credentials = reply->credentials;
		fabric->joined = reply->now;
		for (size_t i = 0; i < reply->member_count; i++)
			add_bootstrap(&fabric->settings.options, reply->members[i]);
		reply->credentials = (struct credentials){0};
		result = fabric_save_credentials(fabric);
		if (result)
			log_event(LOG_LEVEL_ERROR, "join-not-saved",
				  "the credentials could not be written: %s", strerror(-result));
		log_event(LOG_LEVEL_INFO, "joined", "this machine is a member of fabric %s",
			  fabric->trust.fabric);
		quic_conn_close(conn, JOIN_CLOSE_OK, "joined");
		loop_defer(fabric->loop, joined, fabric);
	} else if (result != -EALREADY) {
		join->refused = result == JOIN_E_REFUSED;
		log_event(LOG_LEVEL_ERROR, "join-refused", "%s", err.text);
		quic_conn_close(conn, JOIN_CLOSE_REFUSED, "reply refused");
	}
	join_reply_deinit(reply);
	free(reply);
}

static void joiner_closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct join *join = user;
	struct addr remote = quic_conn_remote(conn);

	if (join->done)
		return;
	log_event(LOG_LEVEL_ERROR, "join-failed", "%s: %s", addr_text(&remote).text, why->text);
	/* The token itself is no good: no other address will take it. */
	if (why->code == -EACCES || join->refused)
		fabric_end(join->fabric, 1);
	else
		loop_timer_set(join->timer,
			       mono_add_ms(clock_mono(), join->next ? 0 : JOIN_RETRY_MS));
}

static const struct quic_handler joiner_handler = {
	.verify = verify_admitter,
	.opened = joiner_opened,
	.closed = joiner_closed,
	.message = joiner_message,
};

static void try_next(void *user)
{
	struct join *join = user;
	struct addr_peer peer;
	struct quic_conn *conn;
	struct quic_dial dial = {.alpn = ALPN_JOIN, .credential = join->credential};

	if (!addr_peer_parse(join->voucher.addresses[join->next], &peer)) {
		log_event(LOG_LEVEL_ERROR, "token-address", "the token names a bad address");
		fabric_end(join->fabric, 1);
		return;
	}
	join->next = (join->next + 1) % join->voucher.address_count;
	dial.remote = peer.addr;
	if (quic_dial(quic_socket_endpoint(join->socket), clock_mono(), &dial, &conn) != 0)
		loop_timer_set(join->timer, mono_add_ms(clock_mono(), JOIN_RETRY_MS));
}

static int join_prepare(struct join *join, struct err *err)
{
	struct fabric *fabric = join->fabric;
	uint8_t random[JOIN_RANDOM_LEN];
	struct quic_config config = {0};
	struct chain chain;
	int result = voucher_parse(bytes_str(fabric->settings.options.join), &join->voucher, err);

	if (result)
		return -EINVAL;
	if (join->voucher.address_count == 0)
		return err_set(err, -EINVAL, "the token names no address");
	trust_init(&fabric->trust, join->voucher.root, TRUST_CACHE_DEFAULT, entropy_u64());
	fabric->trust_ready = true;
	entropy_fill(random, sizeof(random));
	join_keys_make(&join->keys, random);
	secret_wipe(random, sizeof(random));
	if (!chain_split(bytes_buf(&join->voucher.chain), &chain))
		return err_set(err, -EINVAL, "the token's certificates are damaged");
	result = quic_credential_new(chain.cert, chain.count, join->voucher.key.seed, err,
				     &join->credential);
	if (result)
		return result;
	if (!addr_parse_ip(fabric->settings.options.mesh_host, 0, &config.local))
		return err_set(err, -EINVAL, "--mesh-host is no address");
	return quic_socket_new(fabric->loop, &config, &joiner_handler, join, err, &join->socket);
}

struct join *join_begin(struct fabric *fabric, struct err *err)
{
	struct join *join = mem_new(struct join);

	join->fabric = fabric;
	if (join_prepare(join, err) != 0) {
		join_free(join);
		return NULL;
	}
	join->timer = loop_timer_new(fabric->loop, try_next, join);
	loop_timer_set(join->timer, clock_mono());
	return join;
}

void join_free(struct join *join)
{
	if (!join)
		return;
	quic_socket_free(join->socket);
	quic_credential_unref(join->credential);
	loop_timer_free(join->timer);
	voucher_deinit(&join->voucher);
	join_keys_wipe(&join->keys);
	free(join);
}
