/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: what this machine tells of itself as JSON, for /debug, /tenders and `magik status`. */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/version.h"
#include "io/clock.h"

static const char *state_name(enum member_state state)
{
	static const char *const names[] = {
		[MEMBER_ALIVE] = "alive",
		[MEMBER_SUSPECT] = "suspect",
		[MEMBER_DEAD] = "dead",
		[MEMBER_LEFT] = "left",
	};

	return names[state];
}

static json_t *peers_json(struct fabric *fabric)
{
	json_t *list = json_array();
	struct overlay_peer peer;
	size_t position = 0;

	while (overlay_next_peer(node_overlay(fabric->node), &position, &peer))
		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:b,s:I}", "id",
							    node_id_text(&peer.member->id).text,
							    "name", peer.member->name, "address",
							    addr_text(&peer.member->addr).text,
							    "state", state_name(peer.state),
							    "connected", (int)peer.connected,
							    "rtt_us", (json_int_t)peer.rtt_us));
	return list;
}

static const char *phase_name(enum pod_phase phase)
{
	static const char *const names[] = {
		[POD_PENDING] = "Pending", [POD_RUNNING] = "Running", [POD_SUCCEEDED] = "Succeeded",
		[POD_FAILED] = "Failed",   [POD_GONE] = "Gone",
	};

	return names[phase];
}

/* What this machine runs. */
static json_t *pods_json(struct fabric *fabric)
{
	const struct record_item *item;
	json_t *list = json_array();
	size_t position = 0;

	while ((item = records_next(node_records(fabric->node), RECORD_PRESENCE, NULL, NULL,
				    &position))) {
		struct presence pod;

		if (!node_id_equal(&item->writer, node_self(fabric->node)) ||
		    presence_decode(bytes_buf(&item->record.value), &pod) != 0)
			continue;
		(void)json_array_append_new(
			list,
			json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:b,s:b,s:s}", "uid",
				  uid_text(&pod.pod_uid).text, "namespace", pod.object.namespace,
				  "name", pod.pod_name, "kind", pod.object.kind, "workload",
				  pod.object.name, "slot", (int)pod.slot, "phase",
				  phase_name(pod.phase), "ready", (int)pod.ready, "terminating",
				  (int)pod.terminating, "ip", pod.pod_ip));
		presence_deinit(&pod);
	}
	return list;
}

static const char *node_name(struct fabric *fabric, const struct node_id *id)
{
	struct overlay_peer peer;

	if (node_id_is_none(id))
		return "";
	if (node_id_equal(id, node_self(fabric->node)))
		return fabric->settings.options.node_name;
	return overlay_find_peer(node_overlay(fabric->node), id, &peer) ? peer.member->name : "?";
}

/* Steps in microseconds of this machine's monotonic clock: durations are what they are for. */
static json_t *trace_json(struct fabric *fabric, const struct trace *trace)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < trace->step_count; i++) {
		const struct trace_step *step = &trace->steps[i];

		(void)json_array_append_new(steps,
					    json_pack("{s:s,s:I,s:s,s:i,s:i}", "stage",
						      trace_stage_name(step->stage), "at_us",
						      (json_int_t)step->at.us, "node",
						      node_name(fabric, &step->node), "slot",
						      (int)step->slot, "count", (int)step->count));
	}
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:b,s:s,s:o}", "id",
			 digest_text(&trace->tender_id).text, "namespace", trace->object.namespace,
			 "kind", trace->object.kind, "name", trace->object.name, "uid",
			 uid_text(&trace->object.uid).text, "attempt", (int)trace->attempt, "open",
			 (int)trace->open, "status", trace->open ? "Open" : "Closed", "steps",
			 steps);
}

static json_t *tenders_json(struct fabric *fabric)
{
	json_t *list = json_array();
	const struct trace *trace;
	size_t position = 0;

	while ((trace = market_next_trace(node_market(fabric->node), &position)))
		(void)json_array_append_new(list, trace_json(fabric, trace));
	return json_pack("{s:o}", "tenders", list);
}

/* A tender by its id, or the newest of the workload with that uid. */
static const struct trace *find_trace(struct fabric *fabric, const char *id)
{
	const struct trace *trace;
	size_t position = 0;

	while ((trace = market_next_trace(node_market(fabric->node), &position)))
		if (strcmp(digest_text(&trace->tender_id).text, id) == 0 ||
		    strcmp(uid_text(&trace->object.uid).text, id) == 0)
			return trace;
	return NULL;
}

static json_t *candidates_json(struct fabric *fabric, const char *id)
{
	const struct trace *trace = find_trace(fabric, id);
	json_t *list;

	if (!trace)
		return NULL;
	list = json_array();
	for (size_t i = 0; i < trace->step_count; i++)
		if (trace->steps[i].stage == TRACE_BID && trace->steps[i].count)
			(void)json_array_append_new(
				list, json_pack("{s:s,s:s,s:i}", "id",
						node_id_text(&trace->steps[i].node).text, "name",
						node_name(fabric, &trace->steps[i].node), "copies",
						(int)trace->steps[i].count));
	return json_pack("{s:o}", "candidates", list);
}

/* "namespace/kind/name": are pods of such a workload being stopped? */
static json_t *disposal_json(struct fabric *fabric, const char *id)
{
	const struct record_item *item;
	bool disposing = false;
	size_t position = 0;

	while ((item = records_next(node_records(fabric->node), RECORD_TOMBSTONE, NULL, NULL,
				    &position))) {
		const struct object_ref *object = &item->record.object;
		struct buf name = {0};

		buf_append_format(&name, "%s/%s/%s", object->namespace, object->kind, object->name);
		disposing |= strcmp(buf_cstr(&name), id) == 0 &&
			     uid_equal(&object->uid, &item->record.key.uid);
		buf_deinit(&name);
	}
	return json_pack("{s:b}", "disposing", (int)disposing);
}

static json_t *document(struct fabric *fabric, enum api_document which, const char *id)
{
	const struct trace *trace;

	switch (which) {
	case API_DOCUMENT_PUBKEY:
	case API_DOCUMENT_LOCAL_PEER:
		return json_pack("{s:s}", "id", node_id_text(node_self(fabric->node)).text);
	case API_DOCUMENT_PEERS:
	case API_DOCUMENT_DHT_PEERS:
		return json_pack("{s:o}", "peers", peers_json(fabric));
	case API_DOCUMENT_PODS:
		return json_pack("{s:o}", "pods", pods_json(fabric));
	case API_DOCUMENT_TENDERS:
		return tenders_json(fabric);
	case API_DOCUMENT_TENDER:
		trace = find_trace(fabric, id);
		return trace ? trace_json(fabric, trace) : NULL;
	case API_DOCUMENT_CANDIDATES:
		return candidates_json(fabric, id);
	case API_DOCUMENT_DISPOSAL:
		return disposal_json(fabric, id);
	case _API_DOCUMENT_COUNT:
		break;
	}
	return NULL;
}

static bool append_json(json_t *json, struct buf *out)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text)
		buf_append_str(out, text);
	free(text);
	json_decref(json);
	return text != NULL;
}

bool document_write(struct fabric *fabric, enum api_document which, const char *id,
		    struct buf *json)
{
	return append_json(document(fabric, which, id), json);
}

/* This machine first, then whoever else lives: where a token's bearer can knock. */
static json_t *addresses_json(struct fabric *fabric)
{
	struct addr_peer self = {.id = *node_self(fabric->node), .addr = fabric->address};
	json_t *list = json_array();
	struct overlay_peer peer;
	size_t position = 0;

	(void)json_array_append_new(list, json_string(addr_peer_text(&self).text));
	while (overlay_next_peer(node_overlay(fabric->node), &position, &peer)) {
		struct addr_peer other = {.id = peer.member->id, .addr = peer.member->addr};

		if (peer.state == MEMBER_ALIVE && !addr_is_none(&other.addr))
			(void)json_array_append_new(list, json_string(addr_peer_text(&other).text));
	}
	return list;
}

static json_t *machine_json(const char *name, const struct node_id *id, const char *state)
{
	return json_pack("{s:s,s:s,s:s}", "name", name, "identity", node_id_text(id).text, "state",
			 state);
}

static json_t *machines_json(struct fabric *fabric)
{
	json_t *list = json_array();
	struct overlay_peer peer;
	size_t position = 0;

	(void)json_array_append_new(list, machine_json(fabric->settings.options.node_name,
						       node_self(fabric->node), "alive"));
	while (overlay_next_peer(node_overlay(fabric->node), &position, &peer))
		(void)json_array_append_new(list, machine_json(peer.member->name, &peer.member->id,
							       state_name(peer.state)));
	return list;
}

/* How this machine is connected with the others. */
static json_t *overlay_json(const struct fabric *fabric)
{
	const struct overlay *overlay = node_overlay(fabric->node);
	const struct quic_stats *stats = quic_endpoint_stats(quic_socket_endpoint(fabric->socket));

	return json_pack("{s:i,s:i,s:b,s:I,s:i}", "pool", (int)fabric->settings.options.pool,
			 "connections", (int)stats->conns, "whole", (int)overlay_is_whole(overlay),
			 "size", (json_int_t)overlay_size(overlay), "alive",
			 (int)overlay_alive_count(overlay));
}

static struct addr_text rest_address(const struct fabric *fabric)
{
	struct addr addr;

	if (!addr_parse_ip(fabric->settings.options.rest_host, 0, &addr) || addr_is_wildcard(&addr))
		addr = fabric->address;
	addr.port = fabric->api ? api_port(fabric->api) : 0;
	return addr_text(&addr);
}

static void add_counter(void *arg, const char *name, const char *help, const char *type,
			uint64_t value)
{
	(void)help;
	(void)type;
	(void)json_object_set_new(arg, name, json_integer((json_int_t)value));
}

bool document_counters(struct fabric *fabric, struct buf *json)
{
	const struct api_backend *backend;
	json_t *counters;

	if (!fabric->node)
		return false;
	backend = backend_api(fabric->backend);
	counters = json_object();
	backend->ops->counters(backend->self, add_counter, counters);
	return append_json(json_pack("{s:o,s:b}", "counters", counters, "done", 1), json);
}

bool document_tenders(struct fabric *fabric, struct buf *json)
{
	json_t *tenders;

	if (!fabric->node)
		return false;
	tenders = tenders_json(fabric);
	(void)json_object_set_new(tenders, "done", json_true());
	return append_json(tenders, json);
}

bool document_status(struct fabric *fabric, struct buf *json)
{
	struct buf roles = {0};
	json_t *status;

	if (!fabric->node)
		return false;
	grant_format(&fabric->credentials.machine.grant, &roles);
	status =
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:I,s:b,s:o,s:o,s:i,s:b,s:s,s:o,s:b}",
			  "node", fabric->settings.options.node_name, "identity",
			  node_id_text(node_self(fabric->node)).text, "fabric",
			  fabric->trust.fabric, "version", MAGIK_VERSION, "roles", buf_cstr(&roles),
			  "admits", (int)credentials_is_admitter(&fabric->credentials), "rest",
			  rest_address(fabric).text, "fabric_time_ms",
			  (json_int_t)node_fabric_time(fabric->node, clock_mono()).ms,
			  "fabric_time_settled", (int)node_fabric_time_is_settled(fabric->node),
			  "addresses", addresses_json(fabric), "machines", machines_json(fabric),
			  "pods", (int)market_usage(node_market(fabric->node)).pods, "root_here",
			  (int)fabric->settings.roots, "runtime", host_runtime(fabric->host),
			  "overlay", overlay_json(fabric), "done", 1);
	buf_deinit(&roles);
	return append_json(status, json);
}
