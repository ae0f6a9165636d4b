/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/byhand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/cert.h"
#include "identity/pem.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/log.h"
#include "service/record.h"
#include "workplane/agent_mesh.h"
#include "workplane/check.h"
#include "workplane/local_port.h"

enum {
	FILE_MAX = 64 << 10, /* a chain of four certificates has 6 KiB as PEM */
	HOST_MAX = 64,
	HTTP_PORT = 80,
	HTTPS_PORT = 443,
	DECIMAL = 10,
};

/* One URL that is asked again and again. */
struct asked {
	struct byhand *byhand;
	Magik__Ipc__CheckRun run; /* what to ask; its texts are host and path */
	char host[HOST_MAX + 1];
	char *hosts[1];
	struct check *check;
	bool used, well;
};

struct byhand {
	struct loop *loop;
	struct mesh *mesh;
	const struct options *options;
	struct local_port *forwards[LOCAL_PORTS_MAX];
	size_t forward_count;
	struct asked readiness, liveness;
	struct loop_timer *health_timer, *replica_timer;
	struct mesh_question *question;
};

/* ---- who we are ---- */

static int read_file(const char *what, const char *path, struct buf *ret_text, struct err *err)
{
	int r;

	if (!path)
		return err_set(err, -EINVAL, "--%s FILE is needed as well", what);
	r = file_read(path, FILE_MAX, ret_text);
	return r < 0 ? err_set(err, r, "--%s: %s: %s", what, path, strerror(-r)) : 0;
}

/* The environment's form: the key's 32 bytes, or its PKCS #8, in base64. */
static bool key_from_base64(const char *text, struct key *ret_key)
{
	struct buf bytes = {0}, pem = {0};
	bool sound = base64_decode(bytes_str(text), &bytes);

	if (sound && bytes.len == KEY_SEED_LEN) {
		*ret_key = key_from_seed(bytes.ptr);
	} else if (sound) {
		pem_encode("PRIVATE KEY", bytes_buf(&bytes), &pem);
		sound = key_import_pem(bytes_buf(&pem), ret_key);
	}
	if (bytes.len > 0)
		secret_wipe(bytes.ptr, bytes.len);
	if (pem.len > 0)
		secret_wipe(pem.ptr, pem.len);
	buf_deinit(&bytes);
	buf_deinit(&pem);
	return sound;
}

static int read_key(const char *privkey, struct key *ret_key, struct err *err)
{
	struct buf text = {0};
	int r;

	if (privkey && key_from_base64(privkey, ret_key))
		return 0;
	r = read_file("privkey", privkey, &text, err);
	if (r == 0 && !key_import_pem(bytes_buf(&text), ret_key))
		r = err_set(err, -EINVAL, "--privkey: %s holds no Ed25519 key as PEM", privkey);
	if (text.len > 0)
		secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	return r;
}

static int read_certificates(const char *what, const char *path, struct buf *ret_der,
			     struct err *err)
{
	struct buf text = {0};
	int r = read_file(what, path, &text, err);

	if (r == 0 && !chain_from_pem(bytes_buf(&text), ret_der))
		r = err_set(err, -EINVAL, "--%s: %s holds no certificates as PEM", what, path);
	buf_deinit(&text);
	return r;
}

static int identify(struct byhand *byhand, struct err *err)
{
	const struct options *options = byhand->options;
	struct buf chain = {0}, root = {0};
	struct key key = {0};
	int r = read_key(options->privkey, &key, err);

	if (r == 0)
		r = read_certificates("cert", options->cert, &chain, err);
	if (r == 0)
		r = read_certificates("root", options->root, &root, err);
	if (r == 0) {
		const struct mesh_identity identity = {&key, bytes_buf(&chain), bytes_buf(&root)};

		/* There is no fabric to ask: this computer's own clock has to do. */
		mesh_set_time(byhand->mesh, clock_wall().ms - clock_mono().us / US_PER_MS);
		r = mesh_set_identity(byhand->mesh, &identity, err);
	}
	key_wipe(&key);
	buf_deinit(&chain);
	buf_deinit(&root);
	return r;
}

/* ---- others ---- */

static int add_contacts(struct byhand *byhand, struct err *err)
{
	struct option_place at = {0};
	char text[OPTIONS_ITEM_MAX + 1];

	while (options_next(&byhand->options->bootstrap_peers, &at, text)) {
		struct addr_peer peer;

		if (!addr_peer_parse(text, &peer))
			return err_set(err, -EINVAL,
				       "--bootstrap-peers: \"%.120s\" is not ID@IP:PORT", text);
		mesh_add_contacts(byhand->mesh, &peer, 1);
	}
	return 0;
}

static int add_forwards(struct byhand *byhand, struct err *err)
{
	enum pick_preference preference;
	struct option_place at = {0};
	char text[OPTIONS_ITEM_MAX + 1];
	int r = agent_mesh_preference(byhand->options, &preference, err);

	while (r == 0 && options_next(&byhand->options->forward, &at, text)) {
		struct local_port_spec spec;

		if (byhand->forward_count == LOCAL_PORTS_MAX)
			return err_set(err, -EINVAL, "--forward: more than %d", LOCAL_PORTS_MAX);
		r = local_port_parse(text, byhand->options->namespace, &spec, err);
		if (r == 0)
			r = local_port_new(byhand->loop, byhand->mesh, &spec, preference, err,
					   &byhand->forwards[byhand->forward_count]);
		byhand->forward_count += r == 0;
	}
	return r;
}

/* ---- health ---- */

/* "http[s]://HOST[:PORT][/PATH]", HOST an address, or localhost: nobody is asked for names here. */
static bool parse_url(const char *url, struct asked *asked)
{
	bool https = strncmp(url, "https://", 8) == 0;
	const char *rest = url + (https ? 8 : 7);
	const char *end = rest + (rest[0] == '[' ? strcspn(rest, "]") : strcspn(rest, ":/"));
	unsigned long port = https ? HTTPS_PORT : HTTP_PORT;
	size_t skip = rest[0] == '[', len = (size_t)(end - rest) - skip;
	struct addr addr;
	char *after;

	if ((!https && strncmp(url, "http://", 7) != 0) || len == 0 || len > HOST_MAX)
		return false;
	memcpy(asked->host, rest + skip, len);
	if (strcmp(asked->host, "localhost") == 0)
		memcpy(asked->host, "127.0.0.1", sizeof("127.0.0.1"));
	end += skip;
	if (*end == ':') {
		port = strtoul(end + 1, &after, DECIMAL);
		end = after;
	}
	if (!addr_parse_ip(asked->host, 1, &addr) || port < 1 || port > UINT16_MAX ||
	    (*end && *end != '/'))
		return false;
	asked->run.port = (uint32_t)port;
	asked->run.https = https;
	asked->run.path = (char *)(uintptr_t)(*end ? end : "/");
	return true;
}

static int ask_at(struct byhand *byhand, const char *what, const char *url, struct asked *asked,
		  struct err *err)
{
	asked->byhand = byhand;
	asked->well = !url;
	if (!url)
		return 0;
	magik__ipc__check_run__init(&asked->run);
	if (!parse_url(url, asked))
		return err_set(err, -EINVAL, "--%s: \"%.100s\" is not http[s]://IP[:PORT]/PATH",
			       what, url);
	asked->used = true;
	asked->hosts[0] = asked->host;
	asked->run.hosts = asked->hosts;
	asked->run.n_hosts = 1;
	asked->run.action = MAGIK__IPC__CHECK_RUN__ACTION__HTTP;
	asked->run.timeout_ms = (uint32_t)(byhand->options->health_timeout_s * MS_PER_S);
	return 0;
}

/* Ready until asked and found otherwise only where there is nothing to ask. */
static void tell_health(struct byhand *byhand)
{
	mesh_set_ready(byhand->mesh, byhand->readiness.well, byhand->liveness.well);
}

static void on_asked(void *user, bool ok, const char *text)
{
	struct asked *asked = user;

	asked->check = NULL;
	if (ok != asked->well)
		log_event(LOG_LEVEL_INFO, "health-changed", "%s:%u%s: %s", asked->host,
			  asked->run.port, asked->run.path, ok ? "well" : text);
	asked->well = ok;
	tell_health(asked->byhand);
}

static void ask(struct asked *asked)
{
	if (asked->used && !asked->check)
		asked->check = check_new(asked->byhand->loop, &asked->run, on_asked, asked);
}

static void on_health_time(void *user)
{
	struct byhand *byhand = user;

	ask(&byhand->readiness);
	ask(&byhand->liveness);
	loop_timer_set(byhand->health_timer,
		       mono_add_ms(clock_mono(), byhand->options->health_interval_s * MS_PER_S));
}

static int watch_health(struct byhand *byhand, struct err *err)
{
	const struct options *options = byhand->options;
	int r = ask_at(byhand, "readiness-url", options->readiness_url, &byhand->readiness, err);

	if (r == 0)
		r = ask_at(byhand, "liveness-url", options->liveness_url, &byhand->liveness, err);
	if (r < 0)
		return r;
	/* Well until it is known to be otherwise: a new one that is alive, but maybe not ready. */
	byhand->liveness.well = true;
	tell_health(byhand);
	if (byhand->readiness.used || byhand->liveness.used) {
		byhand->health_timer = loop_timer_new(byhand->loop, on_health_time, byhand);
		loop_timer_set(byhand->health_timer, clock_mono());
	}
	return 0;
}

/* ---- replicas ---- */

static void on_replicas(void *user, const struct service_record *const *records, size_t count,
			bool complete)
{
	struct byhand *byhand = user;
	int64_t live = 0;

	(void)complete;
	byhand->question = NULL;
	for (size_t i = 0; i < count; i++)
		live += records[i]->healthy && !records[i]->leaving;
	if (live < byhand->options->replicas)
		log_event(LOG_LEVEL_WARN, "replicas-missing", "%lld of %lld replicas are there",
			  (long long)live, (long long)byhand->options->replicas);
}

static void on_replica_time(void *user)
{
	struct byhand *byhand = user;
	const struct options *options = byhand->options;

	if (!byhand->question)
		byhand->question = mesh_resolve(byhand->mesh, options->namespace, options->workload,
						on_replicas, byhand);
	loop_timer_set(byhand->replica_timer,
		       mono_add_ms(clock_mono(), options->replica_check_interval_s * MS_PER_S));
}

/* ---- life ---- */

/* What the agents of a fabric have in common cannot be set for one of them. */
static void note_fixed(const struct options *options)
{
	if (options->dht_ttl_s * MS_PER_S != SERVICE_TTL_MS ||
	    options->dht_heartbeat_s * MS_PER_S != SERVICE_HEARTBEAT_MS)
		log_event(LOG_LEVEL_WARN, "option-fixed",
			  "a record holds for %d s and is renewed every %d s, in all agents: "
			  "--dht-ttl-secs and --dht-heartbeat-secs change nothing",
			  SERVICE_TTL_MS / MS_PER_S, SERVICE_HEARTBEAT_MS / MS_PER_S);
	if (options->machine_api)
		log_event(LOG_LEVEL_WARN, "option-unused",
			  "--machine-api: nothing is reported to a machine from here");
}

int byhand_new(struct loop *loop, struct mesh *mesh, const struct options *options, struct err *err,
	       struct byhand **ret_byhand)
{
	struct byhand *byhand = mem_new(struct byhand);
	int r;

	byhand->loop = loop;
	byhand->mesh = mesh;
	byhand->options = options;
	note_fixed(options);
	r = add_contacts(byhand, err);
	if (r == 0)
		r = watch_health(byhand, err);
	if (r == 0)
		r = add_forwards(byhand, err);
	if (r == 0)
		r = identify(byhand, err);
	if (r < 0) {
		byhand_free(byhand);
		return r;
	}
	byhand->replica_timer = loop_timer_new(loop, on_replica_time, byhand);
	loop_timer_set(byhand->replica_timer,
		       mono_add_ms(clock_mono(), options->replica_check_interval_s * MS_PER_S));
	*ret_byhand = byhand;
	return 0;
}

void byhand_free(struct byhand *byhand)
{
	if (!byhand)
		return;
	for (size_t i = 0; i < byhand->forward_count; i++)
		local_port_free(byhand->forwards[i]);
	if (byhand->readiness.check)
		check_free(byhand->readiness.check);
	if (byhand->liveness.check)
		check_free(byhand->liveness.check);
	mesh_question_free(byhand->question);
	loop_timer_free(byhand->health_timer);
	loop_timer_free(byhand->replica_timer);
	free(byhand);
}
