/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

enum {
	LATENCY_MS = 1,
	BEGIN_S = 1000,
};

/* An envelope here is the signer's index and the payload. */
static struct cluster *the_cluster;

static void seal(void *self, struct wall now, struct bytes payload, struct buf *out)
{
	uint8_t index = (uint8_t)(uintptr_t)self;

	(void)now;
	buf_append(out, &index, 1);
	buf_append_bytes(out, payload);
}

static bool open(void *self, struct wall now, struct bytes envelope,
		 struct service_name *ret_signer, struct node_id *ret_key,
		 struct bytes *ret_payload)
{
	(void)self;
	(void)now;
	if (envelope.len == 0 || envelope.ptr[0] >= the_cluster->count)
		return false;
	*ret_signer = the_cluster->agents[envelope.ptr[0]].name;
	*ret_key = the_cluster->agents[envelope.ptr[0]].contact.id;
	*ret_payload = bytes_of(envelope.ptr + 1, envelope.len - 1);
	return true;
}

static const struct directory_trust_ops trust_ops = {seal, open};

int cluster_setup(void **state)
{
	the_cluster = mem_new(struct cluster);
	the_cluster->now.us = (int64_t)BEGIN_S * US_PER_S;
	*state = the_cluster;
	return 0;
}

int cluster_teardown(void **state)
{
	struct cluster *cluster = *state;

	for (size_t i = 0; i < cluster->count; i++)
		directory_free(cluster->agents[i].directory);
	for (; cluster->first < cluster->last; cluster->first++)
		buf_deinit(&cluster->flights[cluster->first % CLUSTER_FLIGHT_MAX].bytes);
	free(cluster);
	return 0;
}

struct wall cluster_wall(const struct cluster *cluster)
{
	return (struct wall){(int64_t)MAKE_NOW_MS * MS_PER_S + cluster->now.us / US_PER_MS};
}

static size_t index_of(const struct cluster *cluster, const struct node_id *id)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (node_id_equal(&cluster->agents[i].contact.id, id))
			return i;
	return CLUSTER_MAX;
}

static void send(struct cluster *cluster, size_t from, size_t to,
		 const struct work_message *message)
{
	struct cluster_flight *flight = &cluster->flights[cluster->last++ % CLUSTER_FLIGHT_MAX];

	assert_true(cluster->last - cluster->first < CLUSTER_FLIGHT_MAX);
	*flight = (struct cluster_flight){mono_add_ms(cluster->now, LATENCY_MS), from, to, {0}};
	work_message_encode(message, &flight->bytes);
}

void cluster_pump(struct cluster *cluster, size_t agent)
{
	const struct directory_effect *effect;

	while ((effect = directory_next_effect(cluster->agents[agent].directory))) {
		if (effect->type == DIRECTORY_SEND) {
			size_t to = index_of(cluster, &effect->to.id);

			assert_int_not_equal(to, agent);
			if (to < CLUSTER_MAX)
				send(cluster, agent, to, &effect->message);
		}
		if (effect->type == DIRECTORY_FOUND)
			cluster->agents[agent].found = effect->token;
		if (effect->type == DIRECTORY_MISSING) {
			cluster->missing++;
			memcpy(cluster->last_missing, effect->name, sizeof(cluster->last_missing));
		}
	}
}

struct service_record cluster_record(const struct cluster *cluster, size_t index)
{
	const struct cluster_agent *agent = &cluster->agents[index];
	struct service_record record = make_record(0);

	make_text(&record.namespace, agent->name.namespace);
	make_text(&record.kind, agent->name.kind);
	make_text(&record.name, agent->name.name);
	make_text(&record.pod, agent->name.pod);
	service_policy_deinit(&record.policy);
	record.policy.cross_namespace = agent->cross_namespace;
	record.addresses[0] = agent->contact.addr;
	record.ready = agent->ready;
	return record;
}

static void announce(struct cluster *cluster, size_t index)
{
	struct service_record record = cluster_record(cluster, index);

	assert_int_equal(directory_announce(cluster->agents[index].directory, cluster->now,
					    cluster_wall(cluster), &record),
			 0);
	service_record_deinit(&record);
	cluster_pump(cluster, index);
}

size_t cluster_start(struct cluster *cluster, const char *namespace, const char *name,
		     const char *pod)
{
	size_t index = cluster->count++;
	struct cluster_agent *agent = &cluster->agents[index];
	struct directory_config config = {.seed = index + 1};

	assert_true(cluster->count <= CLUSTER_MAX);
	agent->contact = (struct contact){.id = make_peer((uint8_t)(index * 37 + 1)),
					  .addr = make_addr((uint8_t)(index + 1))};
	agent->ready = true;
	(void)snprintf(agent->name.namespace, sizeof(agent->name.namespace), "%s", namespace);
	(void)snprintf(agent->name.kind, sizeof(agent->name.kind), "Deployment");
	(void)snprintf(agent->name.name, sizeof(agent->name.name), "%s", name);
	(void)snprintf(agent->name.pod, sizeof(agent->name.pod), "%s", pod);
	config.self = agent->contact;
	config.name = agent->name;
	config.trust = (struct directory_trust){&trust_ops, (void *)(uintptr_t)index};
	agent->directory = directory_new(&config, cluster->now);
	for (size_t i = 0; i < index; i++)
		if (cluster->agents[i].directory)
			directory_seen(agent->directory, cluster->now, &cluster->agents[i].contact);
	announce(cluster, index);
	return index;
}

void cluster_stop(struct cluster *cluster, size_t agent)
{
	directory_free(cluster->agents[agent].directory);
	cluster->agents[agent].directory = NULL;
}

void cluster_withdraw(struct cluster *cluster, size_t agent)
{
	directory_withdraw(cluster->agents[agent].directory, cluster->now, cluster_wall(cluster));
	cluster_pump(cluster, agent);
}

void cluster_set_ready(struct cluster *cluster, size_t agent, bool ready)
{
	cluster->agents[agent].ready = ready;
	announce(cluster, agent);
}

static void deliver(struct cluster *cluster)
{
	struct cluster_flight *flight = &cluster->flights[cluster->first++ % CLUSTER_FLIGHT_MAX];
	struct cluster_agent *to = &cluster->agents[flight->to];
	struct directory_peer from = {cluster->agents[flight->from].contact,
				      &cluster->agents[flight->from].name};
	struct work_message message;
	bool cut = cluster->cut == flight->from + 1 || cluster->cut == flight->to + 1;

	cluster->now = flight->at;
	if (to->directory && !cut) {
		assert_int_equal(work_message_decode(bytes_buf(&flight->bytes), &message), 0);
		directory_receive(to->directory, cluster->now, cluster_wall(cluster), &from,
				  &message);
		work_message_deinit(&message);
		cluster_pump(cluster, flight->to);
	}
	buf_deinit(&flight->bytes);
}

/* The agent that has to be woken next, if that is before @until. */
static size_t next_agent(const struct cluster *cluster, struct mono *until)
{
	size_t next = CLUSTER_MAX;

	for (size_t i = 0; i < cluster->count; i++) {
		const struct cluster_agent *agent = &cluster->agents[i];

		if (agent->directory && directory_deadline(agent->directory).us < until->us) {
			*until = directory_deadline(agent->directory);
			next = i;
		}
	}
	return next;
}

void cluster_run(struct cluster *cluster, int64_t ms)
{
	struct mono end = mono_add_ms(cluster->now, ms);

	for (;;) {
		struct mono until = end;
		bool flies = cluster->first < cluster->last;
		size_t agent;

		if (flies)
			until = mono_min(until,
					 cluster->flights[cluster->first % CLUSTER_FLIGHT_MAX].at);
		agent = next_agent(cluster, &until);
		if (agent < CLUSTER_MAX) {
			if (until.us > cluster->now.us)
				cluster->now = until;
			directory_tick(cluster->agents[agent].directory, cluster->now,
				       cluster_wall(cluster));
			cluster_pump(cluster, agent);
		} else if (flies && until.us < end.us) {
			deliver(cluster);
		} else {
			break;
		}
	}
	cluster->now = end;
}

size_t cluster_records(struct cluster *cluster, size_t agent, const char *namespace,
		       const char *name, const struct service_record **records, size_t max)
{
	return directory_records(cluster->agents[agent].directory, cluster->now, namespace, name,
				 records, max);
}

size_t cluster_lookup(struct cluster *cluster, size_t index, const char *namespace,
		      const char *name)
{
	struct cluster_agent *agent = &cluster->agents[index];
	const struct service_record *records[CLUSTER_MAX];

	assert_int_equal(directory_lookup(agent->directory, cluster->now, cluster_wall(cluster),
					  namespace, name, &agent->token),
			 0);
	cluster_pump(cluster, index);
	for (int64_t ms = 0; ms <= DIRECTORY_ANSWER_MS && agent->found != agent->token; ms++)
		cluster_run(cluster, 1);
	assert_int_equal(agent->found, agent->token);
	return cluster_records(cluster, index, namespace, name, records, CLUSTER_MAX);
}

void cluster_lie(struct cluster *cluster, size_t liar, size_t to, const char *name, const char *pod)
{
	struct service_record record = cluster_record(cluster, liar);
	struct work_message push = {.type = WORK_RECORDS}, store = {.type = WORK_STORE};
	struct buf payload = {0};

	make_text(&record.name, name);
	make_text(&record.pod, pod);
	record.peer = cluster->agents[liar].contact.id;
	record.ts = cluster_wall(cluster);
	record.version = (uint64_t)record.ts.ms + SERVICE_SKEW_MS;
	service_record_encode(&record, &payload);
	seal((void *)(uintptr_t)liar, record.ts, bytes_buf(&payload), &store.store.record);
	push.records.key = service_key(record.namespace, name);
	push.records.list = mem_alloc(1, sizeof(*push.records.list));
	push.records.count = 1;
	buf_append_bytes(&push.records.list[0].record, bytes_buf(&store.store.record));
	send(cluster, liar, to, &store);
	send(cluster, liar, to, &push);
	service_record_deinit(&record);
	work_message_deinit(&push);
	work_message_deinit(&store);
	buf_deinit(&payload);
}
