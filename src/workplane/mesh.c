/* SPDX-License-Identifier: Apache-2.0 */
/* The mesh as a whole: its life, what our record says, how it leaves. */
#include "workplane/mesh.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "service/policy.h"
#include "workplane/mesh_internal.h"

enum {
	HANDSHAKE_MS = 3000,
	LEAVE_MS = 500,      /* for the keepers to say that they know */
	LOAD_HALF = 49,      /* so many connections are half a load: the first counts 20 */
	LOAD_STEP = 50,      /* thousandths: less is not told at once, */
	LOAD_EACH_MS = 1000, /* and nothing more often than this */
};

#define RESET_DOMAIN "magik-work reset"

/* ---- the record ---- */

static void copy_ports(const struct mesh_config *config, struct service_record *record)
{
	record->ports =
		config->port_count ? mem_alloc(config->port_count, sizeof(*record->ports)) : NULL;
	for (size_t i = 0; i < config->port_count; i++) {
		record->ports[i] = config->ports[i];
		record->ports[i].name =
			mem_strdup(config->ports[i].name ? config->ports[i].name : "");
	}
	record->port_count = config->port_count;
}

static void copy_labels(const struct mesh_config *config, struct service_record *record)
{
	record->labels = config->label_count
				 ? mem_alloc(config->label_count, sizeof(*record->labels))
				 : NULL;
	for (size_t i = 0; i < config->label_count; i++)
		record->labels[i] = (struct label){mem_strdup(config->labels[i].key),
						   mem_strdup(config->labels[i].value)};
	record->label_count = config->label_count;
}

static bool patterns_are_valid(char *const *patterns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!policy_pattern_is_valid(patterns[i]))
			return false;
	return count <= WORK_PATTERNS_MAX;
}

static int check_config(const struct mesh_config *config, struct err *err)
{
	if (config->port_count > WORK_PORTS_MAX || config->label_count > WORK_LABELS_MAX)
		return err_set(err, -EINVAL, "more than %d ports or %d labels", WORK_PORTS_MAX,
			       WORK_LABELS_MAX);
	if (!patterns_are_valid(config->policy.allow, config->policy.allow_count) ||
	    !patterns_are_valid(config->policy.deny, config->policy.deny_count))
		return err_set(err, -EINVAL,
			       "a pattern of workloads is malformed, or there are more than %d",
			       WORK_PATTERNS_MAX);
	if (addr_is_none(&config->address) || addr_is_wildcard(&config->address))
		return err_set(err, -EINVAL, "others cannot reach %s",
			       addr_text(&config->address).text);
	return 0;
}

/* "StatefulSet" is "statefulset" in certificates, where one name has one spelling. */
static char *lower_case(const char *text)
{
	char *copy = mem_strdup(text);

	for (char *at = copy; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	return copy;
}

/* Of a workload that no object was made for: the same for all its replicas. */
static struct uid uid_of_names(const struct mesh_config *config)
{
	struct buf text = {0};
	struct digest digest;

	buf_append_format(&text, "workload %s/%s/%s", config->namespace, config->kind,
			  config->workload);
	digest = sha256(bytes_buf(&text));
	buf_deinit(&text);
	return uid_from_random(digest.byte);
}

static int make_record(const struct mesh_config *config, struct service_record *record,
		       struct err *err)
{
	int r = check_config(config, err);

	if (r < 0)
		return r;
	*record = (struct service_record){
		.workload_uid = uid_is_none(&config->workload_uid) ? uid_of_names(config)
								   : config->workload_uid,
		.namespace = mem_strdup(config->namespace),
		.kind = lower_case(config->kind),
		.name = mem_strdup(config->workload),
		.pod = mem_strdup(config->pod),
		.ordinal = config->ordinal,
		.epoch = config->epoch,
		.machine = config->machine,
		.region = mem_strdup(config->region ? config->region : ""),
		.addresses = {config->address},
		.address_count = 1,
	};
	if (record->addresses[0].port == 0)
		record->addresses[0].port = 1; /* until the socket's is known, for the check */
	copy_ports(config, record);
	copy_labels(config, record);
	service_policy_copy(&config->policy, &record->policy);
	if (service_record_check(record) == 0)
		return 0;
	service_record_deinit(record);
	return err_set(err, -EINVAL, "names, ports or labels that no record can carry");
}

static uint32_t measure_load(const struct mesh *mesh)
{
	size_t open = mesh->served_count + mesh->answered_ids.count;

	return (uint32_t)(open * WORK_LOAD_MAX / (open + LOAD_HALF));
}

void mesh_announce(struct mesh *mesh)
{
	if (!mesh->identified || mesh->leaving)
		return;
	mesh->record.load = mesh->told_load = measure_load(mesh);
	mesh->told_at = clock_mono();
	/* What a record may say was checked when it was configured. */
	(void)!directory_announce(mesh->directory, mesh->told_at, mesh_time(mesh), &mesh->record);
	mesh_soon(mesh);
}

/* Each word of it goes to keepers and siblings, so small changes wait. */
void mesh_load_changed(struct mesh *mesh)
{
	uint32_t load = measure_load(mesh);
	uint32_t step = load > mesh->told_load ? load - mesh->told_load : mesh->told_load - load;
	bool all = load == 0 && mesh->told_load != 0;

	if (step >= LOAD_STEP || all)
		loop_timer_set(mesh->load_timer, mono_add_ms(mesh->told_at, LOAD_EACH_MS));
}

static void on_load(void *user)
{
	struct mesh *mesh = user;

	if (measure_load(mesh) != mesh->told_load)
		mesh_announce(mesh);
}

void mesh_set_ready(struct mesh *mesh, bool ready, bool healthy)
{
	mesh->record.ready = ready;
	mesh->record.healthy = healthy;
	mesh_announce(mesh);
}

bool mesh_is_healthy(const struct mesh *mesh)
{
	return mesh->record.healthy;
}

struct uid mesh_workload_uid(const struct mesh *mesh)
{
	return mesh->record.workload_uid;
}

void mesh_set_role(struct mesh *mesh, enum service_role role, uint64_t term)
{
	mesh->record.role = role;
	mesh->record.term = term;
	mesh_announce(mesh);
}

/* ---- life ---- */

static void on_drain(void *user)
{
	struct mesh *mesh = user;
	loop_fn drained = mesh->drained;

	mesh->drained = NULL;
	if (drained)
		drained(mesh->drained_user);
}

int mesh_new(struct loop *loop, const struct mesh_config *config, struct err *err,
	     struct mesh **ret_mesh)
{
	struct mesh *mesh = mem_new(struct mesh);
	int r = make_record(config, &mesh->record, err);

	if (r < 0) {
		if (config->socket_fd != MESH_FD_NONE)
			(void)close(config->socket_fd);
		free(mesh);
		return r;
	}
	mesh->loop = loop;
	mesh->socket_fd = config->socket_fd;
	mesh->address = config->address;
	mesh->told_at = clock_mono();
	map_init(&mesh->peers, entropy_u64());
	revocations_init(&mesh->revocations, entropy_u64());
	map_init(&mesh->flow_ids, entropy_u64());
	map_init(&mesh->answered_ids, entropy_u64());
	list_init(&mesh->links);
	list_init(&mesh->lookups);
	list_init(&mesh->held);
	list_init(&mesh->calls);
	list_init(&mesh->served);
	mesh_pipes_init(mesh);
	list_init(&mesh->flows);
	list_init(&mesh->answered);
	mesh->pick = pick_new(entropy_u64());
	mesh->turn_timer = loop_timer_new(loop, mesh_tick, mesh);
	mesh->load_timer = loop_timer_new(loop, on_load, mesh);
	mesh->drain_timer = loop_timer_new(loop, on_drain, mesh);
	mesh->join_timer = loop_timer_new(loop, mesh_join, mesh);
	*ret_mesh = mesh;
	return 0;
}

void mesh_free(struct mesh *mesh)
{
	if (!mesh)
		return;
	quic_socket_free(mesh->socket);
	if (!mesh->socket && mesh->socket_fd != MESH_FD_NONE)
		(void)close(mesh->socket_fd);
	mesh_calls_free(mesh);
	mesh_serves_free(mesh);
	loop_hook_free(mesh->pipe_hook);
	mesh_pipes_free(mesh);
	mesh_flows_free(mesh);
	mesh_leaves_free(mesh);
	mesh_lookups_free(mesh);
	mesh_links_free(mesh);
	map_deinit(&mesh->peers);
	directory_free(mesh->directory);
	pick_free(mesh->pick);
	mesh_trust_deinit(mesh);
	service_record_deinit(&mesh->record);
	loop_timer_free(mesh->turn_timer);
	loop_timer_free(mesh->load_timer);
	loop_timer_free(mesh->drain_timer);
	loop_timer_free(mesh->join_timer);
	free(mesh);
}

/* ---- who we are ---- */

bool mesh_is_self(const struct mesh *mesh, const struct node_id *id)
{
	return node_id_equal(&mesh->key.public_key, id);
}

/* Of the key, so that peers of an earlier life hear at once that it is over. */
static void make_reset_secret(const struct key *key, uint8_t ret_secret[QUIC_RESET_SECRET_LEN])
{
	struct buf text = {0};
	struct digest digest;

	buf_append_str(&text, RESET_DOMAIN);
	buf_append(&text, key->seed, KEY_SEED_LEN);
	digest = sha256(bytes_buf(&text));
	memcpy(ret_secret, digest.byte, QUIC_RESET_SECRET_LEN);
	secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
}

static int open_socket(struct mesh *mesh, struct err *err)
{
	struct quic_config config = {
		.local = mesh->address,
		.acceptor = {{ALPN_WORK, mesh->credential}},
		.acceptor_count = 1,
		.handshake_timeout_ms = HANDSHAKE_MS,
		.idle_timeout_ms = MESH_IDLE_MS,
		.stream_silence_ms = MESH_SILENCE_MS,
		.conns_max = MESH_LINKS_MAX,
		.streams_max = MESH_STREAMS_MAX,
		.stream_window_max = MESH_STREAM_WINDOW,
		.find_mtu = true,
	};
	int r;

	make_reset_secret(&mesh->key, config.reset_secret);
	if (mesh->socket_fd == MESH_FD_NONE)
		r = quic_socket_new(mesh->loop, &config, &mesh_quic_handler, mesh, err,
				    &mesh->socket);
	else
		r = quic_socket_adopt(mesh->loop, mesh->socket_fd, &config, &mesh_quic_handler,
				      mesh, err, &mesh->socket);
	secret_wipe(config.reset_secret, sizeof(config.reset_secret));
	mesh->socket_fd = MESH_FD_NONE; /* taken over, or closed */
	return r;
}

static void begin(struct mesh *mesh)
{
	struct directory_config config = {
		.self = {.id = mesh->key.public_key, .addr = quic_socket_local(mesh->socket)},
		.name = mesh->name,
		.trust = {&mesh_trust_ops, mesh},
		.seed = entropy_u64(),
	};

	mesh->record.addresses[0] = config.self.addr;
	mesh->directory = directory_new(&config, clock_mono());
	mesh_add_contacts(mesh, mesh->contacts, mesh->contact_count);
	if (mesh->contact_count == 0)
		mesh_join(mesh);
	else
		loop_timer_set(mesh->join_timer, mono_add_ms(clock_mono(), MESH_JOIN_MS));
	mesh_announce(mesh);
}

int mesh_set_identity(struct mesh *mesh, const struct mesh_identity *identity, struct err *err)
{
	int r = mesh_trust_set(mesh, identity, err);

	if (r < 0)
		return r;
	if (mesh->socket)
		return quic_endpoint_set_credential(quic_socket_endpoint(mesh->socket), ALPN_WORK,
						    mesh->credential) == 0
			       ? 0
			       : err_set(err, -EINVAL, "the certificate cannot be shown");
	r = open_socket(mesh, err);
	if (r < 0)
		return r;
	/* After the socket's own, for of hooks the youngest comes first. */
	mesh->pipe_hook = loop_hook_new(mesh->loop, mesh_pipes_flush, mesh);
	begin(mesh);
	return 0;
}

void mesh_add_contacts(struct mesh *mesh, const struct addr_peer *contacts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct contact contact = {.id = contacts[i].id, .addr = contacts[i].addr};

		if (mesh->directory && !mesh_is_self(mesh, &contact.id))
			directory_seen(mesh->directory, clock_mono(), &contact);
		else if (!mesh->directory && mesh->contact_count < MESH_CONTACTS_MAX)
			mesh->contacts[mesh->contact_count++] = contacts[i];
	}
	if (mesh->directory)
		mesh_soon(mesh);
}

/* ---- leaving ---- */

void mesh_look_drained(struct mesh *mesh)
{
	struct mono now = clock_mono();

	if (!mesh->drained || mesh->call_count > 0 || mesh->served_count > 0 ||
	    mesh->flow_ids.count > 0 || mesh->answered_ids.count > 0)
		return;
	if (!mesh->directory || directory_is_settled(mesh->directory))
		loop_timer_set(mesh->drain_timer, now);
	else if (!mesh->nothing_open)
		loop_timer_set(mesh->drain_timer, mono_add_ms(now, LEAVE_MS));
	mesh->nothing_open = true;
}

void mesh_leave(struct mesh *mesh)
{
	mesh->leaving = true;
	mesh_flows_leave(mesh);
	if (!mesh->directory)
		return;
	directory_withdraw(mesh->directory, clock_mono(), mesh_time(mesh));
	mesh_soon(mesh);
}

void mesh_drain(struct mesh *mesh, int64_t grace_ms, loop_fn done, void *user)
{
	mesh->drained = done;
	mesh->drained_user = user;
	mesh_leave(mesh);
	loop_timer_set(mesh->drain_timer, mono_add_ms(clock_mono(), grace_ms));
	mesh_look_drained(mesh);
}

void mesh_stats(const struct mesh *mesh, struct mesh_stats *ret_stats)
{
	*ret_stats = mesh->stats;
	ret_stats->calls = mesh->call_count;
	ret_stats->serving = mesh->served_count;
	ret_stats->flows = mesh->flow_ids.count + mesh->answered_ids.count;
	ret_stats->conns = mesh->link_count;
	ret_stats->contacts = mesh->directory ? directory_contact_count(mesh->directory) : 0;
	ret_stats->load = measure_load(mesh);
}
