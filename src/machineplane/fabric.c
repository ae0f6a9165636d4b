/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/fabric.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"
#include "machineplane/state.h"

enum {
	FABRIC_CLOSE_MS = 2000, /* answers under way get this long when the process ends */
};

static void end_now(void *user)
{
	loop_stop(((struct fabric *)user)->loop);
}

void fabric_end(struct fabric *fabric, int status)
{
	if (fabric->ending)
		return;
	fabric->ending = true;
	fabric->exit_status = status;
	loop_defer(fabric->loop, end_now, fabric);
}

static void keep_time(void *user)
{
	struct fabric *fabric = user;
	struct fabric_time_kept kept = node_keep_time(fabric->node, clock_mono(), clock_wall());
	struct node_complete complete = node_keep_complete(fabric->node, clock_mono());
	struct records_standing standing;

	node_keep_standing(fabric->node, &standing);
	store_keep_standing(fabric->store, &standing);
	store_keep_time(fabric->store, &kept);
	store_keep_complete(fabric->store, &complete);
	loop_timer_set(fabric->keep_timer, mono_add_ms(clock_mono(), FABRIC_TIME_PERSIST_MS));
}

/* ---- the node's effects */

static void peer_event(struct fabric *fabric, const struct node_effect *effect)
{
	static const char *const words[] = {
		[MEMBER_ALIVE] = "is there",
		[MEMBER_SUSPECT] = "does not answer",
		[MEMBER_DEAD] = "is lost",
		[MEMBER_LEFT] = "has left",
	};
	struct overlay_peer peer;
	const char *name = overlay_find_peer(node_overlay(fabric->node), &effect->to, &peer)
				   ? peer.member->name
				   : "a machine";

	log_event(LOG_LEVEL_INFO, "member", "%s (%.16s) %s", name, node_id_text(&effect->to).text,
		  words[effect->peer_state]);
	if (effect->peer_state == MEMBER_ALIVE)
		contacts_changed(fabric);
	backend_members_changed(fabric->backend);
}

static void changed(struct fabric *fabric, const struct node_effect *effect)
{
	if (effect->change != RECORDS_DROPPED) /* it lives on elsewhere */
		pod_objects_changed(fabric->pod_objects, effect->record);
	ingress_changed(fabric->ingress, effect->record);
	backend_changed(fabric->backend, effect);
	if (effect->record->key.kind == RECORD_OBJECT &&
	    strcmp(effect->record->object.kind, "Node") == 0) {
		backend_members_changed(fabric->backend);
		if (strcmp(effect->record->object.name, fabric->settings.options.node_name) == 0)
			host_settings_changed(fabric->host);
	}
}

static void refused(struct fabric *fabric, const struct node_effect *effect)
{
	log_event_limited(&fabric->refusals, bytes_of(effect->to.byte, ID_LEN), LOG_LEVEL_WARN,
			  "message-refused", "from %.16s: %s", node_id_text(&effect->to).text,
			  effect->text);
}

static void time_stepped(struct fabric *fabric, const struct node_effect *effect)
{
	log_event(LOG_LEVEL_INFO, "time-stepped", "fabric time was set by %lld ms",
		  (long long)effect->step_ms);
	keep_time(fabric);
	pod_leaves_stepped(fabric);
}

static void carry_out(struct fabric *fabric, const struct node_effect *effect)
{
	switch (effect->type) {
	case NODE_SEND:
		peers_send(fabric->peers, &effect->to, &effect->addr, effect->packet);
		return;
	case NODE_CLOSE:
		peers_close(fabric->peers, &effect->to);
		return;
	case NODE_CUT:
		peers_cut(fabric->peers, &effect->to);
		return;
	case NODE_REVOKED:
		revoked_changed(fabric);
		return;
	case NODE_DIAL:
		(void)peers_dial(fabric->peers, &effect->to, &effect->addr);
		return;
	case NODE_PERSIST:
		store_put(fabric->store, &effect->key, &effect->version, effect->packet);
		return;
	case NODE_FORGET:
		store_forget(fabric->store, &effect->key);
		return;
	case NODE_START:
		host_start(fabric->host, effect->award, effect->packet);
		return;
	case NODE_RESUME:
		host_resume(fabric->host, &effect->pod_uid, effect->text);
		return;
	case NODE_NOTE:
		store_note(fabric->store, &effect->pod_uid, effect->confirmed_ms, effect->packet);
		return;
	case NODE_STOP:
		host_stop(fabric->host, &effect->pod_uid, effect->grace_s, effect->text,
			  effect->for_good);
		return;
	case NODE_PUT_DONE:
		backend_put_done(fabric->backend, effect);
		return;
	case NODE_CHANGED:
		changed(fabric, effect);
		return;
	case NODE_TOLD:
		backend_events_changed(fabric->backend);
		return;
	case NODE_PEER:
		peer_event(fabric, effect);
		return;
	case NODE_REFUSED:
		refused(fabric, effect);
		return;
	case NODE_STEPPED:
		time_stepped(fabric, effect);
		return;
	case NODE_REFRESHED:
		if (!pod_objects_refreshed(fabric->pod_objects, effect->token))
			backend_refreshed(fabric->backend, effect);
		return;
	case NODE_FETCHED:
		(void)pod_objects_fetched(fabric->pod_objects, effect->token);
		return;
	case NODE_LEAF_WANTED ... NODE_AGENTS:
		pod_leaves_effect(fabric, effect);
		return;
	case NODE_LOST: /* the journal tells of it */
	case NODE_LOCATED:
	case NODE_FOUND:
		return; /* nobody here looks anything up */
	}
}

/* Before the loop waits: everything the node wants done, also what doing it brings up. */
static void carry_out_all(void *user)
{
	struct fabric *fabric = user;
	const struct node_effect *effect;

	if (!fabric->node || fabric->ending)
		return;
	while ((effect = node_next_effect(fabric->node)) != NULL)
		carry_out(fabric, effect);
	store_flush(fabric->store);
	loop_timer_set(fabric->timer, node_deadline(fabric->node));
}

static void tick(void *user)
{
	struct fabric *fabric = user;

	node_tick(fabric->node, clock_mono());
}

/* ---- becoming a member */

static int load_credentials(struct fabric *fabric, struct err *err)
{
	struct credentials_files *files = mem_new(struct credentials_files);
	bool complete = false; /* the last file is there: joining was not cut off */
	int result;

	for (size_t i = 0; credentials_names[i]; i++) {
		struct buf path = {0}, content = {0};

		buf_append_format(&path, "%s/%s/%s", fabric->settings.options.state_dir,
				  CREDENTIALS_DIR, credentials_names[i]);
		complete = file_read(buf_cstr(&path), CREDENTIALS_FILE_LEN_MAX, &content) == 0;
		if (complete)
			credentials_files_add(files, credentials_names[i], &content);
		buf_deinit(&path);
	}
	result = complete ? credentials_load(files, &fabric->credentials, err) : -ENOENT;
	credentials_files_deinit(files);
	free(files);
	return result;
}

/* An address that others can dial: the bound one, or where the wildcard is bound the first
 * interface that is up, IPv4 before IPv6, loopback last. */
static struct addr reachable_address(const struct addr *bound)
{
	struct addr best = *bound;
	struct ifaddrs *interfaces;
	int best_rank = 0;

	if (!addr_is_wildcard(bound) || getifaddrs(&interfaces) != 0)
		return best;
	for (const struct ifaddrs *it = interfaces; it; it = it->ifa_next) {
		struct sockaddr_in6 v6;
		struct sockaddr_in v4;
		struct addr addr = {0};
		int rank = 0;

		if (!it->ifa_addr)
			continue;
		if (it->ifa_addr->sa_family == AF_INET) {
			memcpy(&v4, it->ifa_addr, sizeof(v4));
			(void)!addr_from_ip(bytes_of(&v4.sin_addr, 4), bound->port, &addr);
			rank = addr_is_loopback(&addr) ? 1 : 3;
		} else if (it->ifa_addr->sa_family == AF_INET6 && !bound->is_v4) {
			memcpy(&v6, it->ifa_addr, sizeof(v6));
			(void)!addr_from_ip(bytes_of(&v6.sin6_addr, 16), bound->port, &addr);
			rank = IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) || addr_is_loopback(&addr) ? 0
											       : 2;
		}
		if (rank > best_rank) {
			best = addr;
			best_rank = rank;
		}
	}
	freeifaddrs(interfaces);
	return best;
}

/* A restarted daemon is recognised by its reset tokens: derived from its key, never stored. */
static void reset_secret(const struct fabric *fabric, uint8_t secret[QUIC_RESET_SECRET_LEN])
{
	struct buf seed = {0};
	struct digest digest;

	buf_append_str(&seed, "magik quic reset/1");
	buf_append(&seed, fabric->credentials.machine_key.seed, KEY_SEED_LEN);
	digest = sha256(bytes_buf(&seed));
	memcpy(secret, digest.byte, QUIC_RESET_SECRET_LEN);
	secret_wipe(seed.ptr, seed.len);
	buf_deinit(&seed);
}

static int open_socket(struct fabric *fabric, struct err *err)
{
	const struct options *options = &fabric->settings.options;
	struct quic_config config = {0};
	struct chain chain;
	struct addr bound;
	int result;

	if (!chain_split(bytes_buf(&fabric->credentials.machine_chain), &chain))
		return err_set(err, -EBADMSG, "the machine's certificate chain is damaged");
	result = quic_credential_new(chain.cert, chain.count, fabric->credentials.machine_key.seed,
				     err, &fabric->quic_credential);
	if (result)
		return result;
	(void)!addr_parse_ip(options->mesh_host, options->mesh_port, &config.local);
	config.acceptor[config.acceptor_count++] =
		(struct quic_acceptor){.alpn = ALPN_MACHINE, .credential = fabric->quic_credential};
	if (credentials_is_admitter(&fabric->credentials))
		config.acceptor[config.acceptor_count++] = (struct quic_acceptor){
			.alpn = ALPN_JOIN, .credential = fabric->quic_credential};
	reset_secret(fabric, config.reset_secret);
	result = quic_socket_new(fabric->loop, &config, &peers_handler, fabric, err,
				 &fabric->socket);
	secret_wipe(config.reset_secret, sizeof(config.reset_secret));
	if (result)
		return result;
	bound = quic_socket_local(fabric->socket);
	fabric->address = reachable_address(&bound);
	return 0;
}

static int prepare_trust(struct fabric *fabric, struct err *err)
{
	struct bytes roots[CERT_FAMILY_COUNT];
	uint8_t seed[REPLAY_SEED_LEN];
	int result = 0;

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		roots[i] = bytes_buf(&fabric->credentials.root[i]);
	if (!fabric->trust_ready)
		result = trust_init_certs(&fabric->trust, roots, TRUST_CACHE_DEFAULT, entropy_u64(),
					  err);
	fabric->trust_ready = true;
	fabric->leaf = fabric->credentials.machine.hash;
	entropy_fill(seed, sizeof(seed));
	replay_init(&fabric->replay, seed, REPLAY_MAX_DEFAULT);
	return result > 0 ? -EBADMSG : result;
}

/* Our own chain passes through the same cache as everyone's: envelopes to ourselves need it. */
static int verify_self(struct fabric *fabric, struct err *err)
{
	struct trust_query query = fabric_query(fabric, TRUST_MESH);
	struct chain chain;
	int result = TRUST_E_MALFORMED;

	if (chain_split(bytes_buf(&fabric->credentials.machine_chain), &chain))
		result = trust_verify(&fabric->trust, &query, &chain, NULL, err);
	if (result)
		(void)err_prefix(err, "this machine's own certificate");
	return result ? -EACCES : 0;
}

/* What is known of fabric time when this machine has just become a member; 0: nothing. */
static struct wall start_time(const struct fabric *fabric, struct wall system)
{
	const struct settings *settings = &fabric->settings;

	if (settings->made || (settings->joined.ms && system.ms > settings->joined.ms))
		return system;
	return settings->joined.ms ? settings->joined : fabric->joined;
}

static void make_node(struct fabric *fabric)
{
	const struct options *options = &fabric->settings.options;
	struct wall system = clock_wall();
	struct records_standing standing;
	struct node_config config = {
		.self = {.id = fabric->credentials.machine.key,
			 .addr = fabric->address,
			 .name = options->node_name,
			 .steward = grant_has(&fabric->credentials.machine.grant, ROLE_STEWARD)},
		.leaf = fabric->leaf,
		.steward = grant_has(&fabric->credentials.machine.grant, ROLE_STEWARD),
		.seed = entropy_u64(),
		.system = system,
		.kept = store_time(fabric->store),
		.complete = store_complete(fabric->store),
		.rebooted = host_has_rebooted(fabric->host),
		.fabric = start_time(fabric, system),
		.trust = fabric_node_trust(fabric),
		.pool = options->pool,
		.records_stay = options->records_stay,
		.journal = true,
	};

	if (store_standing(fabric->store, &standing))
		config.standing = &standing;
	/* Above that of the life before, also when the system's clock was set back. */
	config.self.incarnation =
		(uint64_t)(system.ms > config.kept.last_ms ? system.ms : config.kept.last_ms);
	fabric->node = node_new(&config, clock_mono());
}

static int start_api(struct fabric *fabric, struct err *err)
{
	const struct options *options = &fabric->settings.options;
	struct buf chain = {0}, key = {0};
	struct api_options api = {
		.host = options->rest_host,
		.port = options->rest_port,
		.insecure = options->rest_insecure,
	};
	int result;

	chain_to_pem(bytes_buf(&fabric->credentials.rest_chain), &chain);
	key_export_pem(&fabric->credentials.rest_key, &key);
	api.chain_pem = buf_cstr(&chain);
	api.key_pem = buf_cstr(&key);
	result = api_new(loop_uv(fabric->loop), backend_api(fabric->backend), &api, &fabric->api,
			 err);
	secret_wipe(key.ptr, key.len);
	buf_deinit(&key);
	buf_deinit(&chain);
	return result;
}

static int start_member(struct fabric *fabric, struct err *err)
{
	int result = prepare_trust(fabric, err);

	if (result == 0)
		result = verify_self(fabric, err);
	if (result == 0) {
		fabric->store = store_open(fabric, err);
		result = fabric->store ? 0 : -EIO;
	}
	if (result == 0)
		result = open_socket(fabric, err);
	if (result)
		return result;
	fabric->peers = peers_new(fabric);
	fabric->streams = streams_new(fabric);
	fabric->pod_objects = pod_objects_new(fabric);
	fabric->names = names_new(fabric);
	fabric->ingress = ingress_new(fabric);
	fabric->pod_leaves = pod_leaves_new(fabric);
	fabric->backend = backend_new(fabric);
	fabric->audit = audit_log_new(fabric->settings.options.state_dir);
	fabric->timer = loop_timer_new(fabric->loop, tick, fabric);
	fabric->keep_timer = loop_timer_new(fabric->loop, keep_time, fabric);
	fabric->contacts_timer = loop_timer_new(fabric->loop, contacts_save, fabric);
	make_node(fabric);
	result = revoked_restore(fabric, err);
	if (result)
		return result;
	(void)store_restore(fabric->store);
	return start_api(fabric, err);
}

void fabric_become_member(struct fabric *fabric)
{
	const struct options *options = &fabric->settings.options;
	struct err err = {0};

	if (fabric->ending)
		return;
	join_free(fabric->join);
	fabric->join = NULL;
	if (start_member(fabric, &err) != 0) {
		log_event(LOG_LEVEL_ERROR, "start-failed", "%s", err.text);
		fabric_end(fabric, 1);
		return;
	}
	host_member(fabric->host);
	for (size_t i = 0; i < options->bootstrap_count; i++)
		node_bootstrap(fabric->node, clock_mono(), &options->bootstrap[i].addr);
	contacts_dial(fabric);
	keep_time(fabric);
	fabric->renewal = renewal_new(fabric);
	fabric->hook = loop_hook_new(fabric->loop, carry_out_all, fabric);
	log_event(LOG_LEVEL_INFO, "member-of", "%s of fabric %s: mesh %s, API %s:%u",
		  options->node_name, fabric->trust.fabric, addr_text(&fabric->address).text,
		  options->rest_host, api_port(fabric->api));
}

static void stop_signal(void *user, int signum)
{
	fabric_end(user, 0);
}

void fabric_begin(struct fabric *fabric)
{
	const struct options *options = &fabric->settings.options;
	struct log_config log = {.node = options->node_name,
				 .process = "fabric",
				 .min = LOG_LEVEL_INFO,
				 .json = options->log_json};
	struct err err = {0};
	int result;

	log_init(&log);
	json_object_seed((size_t)entropy_u64()); /* no later than the sandbox: it may read a file */
	fabric->control = control_new(fabric, &err);
	result = fabric->control ? sandbox_enter(STATE_FABRIC_UID, &err) : -EIO;
	if (result == 0)
		result = load_credentials(fabric, &err);
	if (result == 0) {
		fabric_become_member(fabric);
		return;
	}
	if (result == -ENOENT && options->join) {
		fabric->join = join_begin(fabric, &err);
		if (fabric->join)
			return;
	}
	log_event(LOG_LEVEL_ERROR, "start-failed", "%s", err.text);
	fabric_end(fabric, 1);
}

static void api_gone(void *arg)
{
	*(bool *)arg = true;
}

/* The gateway first: its clients' writes are answered, then its connections close. */
static void stop_api(struct fabric *fabric)
{
	bool gone = false;

	if (!fabric->api)
		return;
	api_close(fabric->api, FABRIC_CLOSE_MS, api_gone, &gone);
	fabric->api = NULL;
	backend_fail_pending(fabric->backend);
	(void)loop_run_until(fabric->loop, &gone, mono_add_ms(clock_mono(), 2 * FABRIC_CLOSE_MS));
}

static void say_goodbye(struct fabric *fabric)
{
	const struct node_effect *effect;

	/* A machine whose pods run on is not gone: a restart within the time that suspicion takes
	 * moves none of them. */
	if (!fabric->node || !fabric->peers || market_usage(node_market(fabric->node)).pods)
		return;
	node_leave(fabric->node, clock_mono());
	while ((effect = node_next_effect(fabric->node)) != NULL)
		if (effect->type == NODE_SEND)
			peers_send(fabric->peers, &effect->to, &effect->addr, effect->packet);
	/* One turn of the loop, in which the socket sends what has been queued. */
	(void)loop_run_until(fabric->loop, &(bool){false}, mono_add_ms(clock_mono(), 1));
}

static void fabric_free(struct fabric *fabric)
{
	renewal_free(fabric->renewal);
	if (fabric->contacts_pending)
		contacts_save(fabric);
	stop_api(fabric);
	say_goodbye(fabric);
	join_free(fabric->join);
	ingress_free(fabric->ingress);
	fabric->ingress = NULL;
	streams_free(fabric->streams);
	fabric->streams = NULL;
	quic_socket_free(fabric->socket);
	peers_free(fabric->peers);
	store_close(fabric->store);
	control_free(fabric->control);
	pod_objects_free(fabric->pod_objects);
	names_free(fabric->names);
	pod_leaves_free(fabric->pod_leaves);
	backend_free(fabric->backend);
	audit_log_free(fabric->audit);
	node_free(fabric->node);
	admission_free(fabric->admission);
	quic_credential_unref(fabric->quic_credential);
	loop_timer_free(fabric->timer);
	loop_timer_free(fabric->keep_timer);
	loop_timer_free(fabric->contacts_timer);
	loop_hook_free(fabric->hook);
	for (size_t i = 0; i < ARRAY_LEN(fabric->signals); i++)
		loop_signal_free(fabric->signals[i]);
	host_state_free(fabric->host);
	credentials_deinit(&fabric->credentials);
	if (fabric->trust_ready)
		trust_deinit(&fabric->trust);
	replay_deinit(&fabric->replay);
	options_deinit(&fabric->settings.options);
	loop_free(fabric->loop);
	free(fabric);
}

int fabric_run(int fd)
{
	struct fabric *fabric = mem_new(struct fabric);
	struct err err = {0};
	int status;

	/* Only the store's commits run beside the loop, one at a time. */
	(void)setenv("UV_THREADPOOL_SIZE", "1", 1);
	fabric->loop = loop_new();
	fabric->admission = admission_new();
	fabric->host = host_state_new(fabric, fd, &err);
	if (!fabric->host) {
		log_event(LOG_LEVEL_ERROR, "start-failed", "%s", err.text);
		return EXIT_FAILURE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (loop_signal_new(fabric->loop, SIGTERM, stop_signal, fabric, &fabric->signals[0]) != 0 ||
	    loop_signal_new(fabric->loop, SIGINT, stop_signal, fabric, &fabric->signals[1]) != 0)
		return EXIT_FAILURE;
	loop_run(fabric->loop);
	status = fabric->exit_status;
	fabric_free(fabric);
	return status;
}
