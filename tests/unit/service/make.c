/* SPDX-License-Identifier: Apache-2.0 */
#include "make.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct node_id make_peer(uint8_t n)
{
	struct node_id id = {.byte = {n, 1, 2, 3}};

	return id;
}

struct addr make_addr(uint8_t n)
{
	const uint8_t ip[ADDR_V4_LEN] = {10, 1, 0, n};
	struct addr addr;
	bool valid = addr_from_ip(bytes_of(ip, sizeof(ip)), 4433, &addr);

	assert(valid);
	return addr;
}

void make_text(char **text, const char *value)
{
	free(*text);
	*text = mem_strdup(value);
}

static void make_policy(struct service_policy *policy)
{
	policy->allow = mem_alloc(1, sizeof(*policy->allow));
	policy->allow[policy->allow_count++] = mem_strdup("shop/*");
	policy->deny = mem_alloc(1, sizeof(*policy->deny));
	policy->deny[policy->deny_count++] = mem_strdup("*/evil");
}

struct service_record make_record(uint8_t n)
{
	char pod[] = "web-0";
	struct service_record record = {
		.workload_uid.byte = {1, 2, 3},
		.namespace = mem_strdup("shop"),
		.kind = mem_strdup("Deployment"),
		.name = mem_strdup("web"),
		.peer = make_peer(n),
		.ordinal = SERVICE_NO_ORDINAL,
		.epoch = 3,
		.address_count = 1,
		.version = MAKE_NOW_MS,
		.ts.ms = MAKE_NOW_MS,
		.ready = true,
		.healthy = true,
		.role = SERVICE_FOLLOWER,
		.term = 7,
		.load = 250,
		.machine = 0x0123456789abcdef,
		.region = mem_strdup("eu-1"),
		.port_count = 1,
		.label_count = 1,
	};

	pod[sizeof(pod) - 2] = (char)('0' + n % 10);
	record.pod = mem_strdup(pod);
	record.addresses[0] = make_addr(n);
	record.ports = mem_alloc(1, sizeof(*record.ports));
	record.ports[0] = (struct service_port){mem_strdup("http"), 8080, SERVICE_TCP};
	record.labels = mem_alloc(1, sizeof(*record.labels));
	record.labels[0] = (struct label){mem_strdup("app"), mem_strdup("web")};
	make_policy(&record.policy);
	return record;
}

static struct buf text_buf(const char *text)
{
	struct buf buf = {0};

	buf_append_str(&buf, text);
	return buf;
}

static struct work_message make_records(void)
{
	struct work_message message = {.type = WORK_RECORDS};

	message.records = (struct work_records){.request = 9, .key.byte = {4}, .same = true};
	message.records.nearer.list[0] = (struct contact){.id = make_peer(6), .addr = make_addr(6)};
	message.records.nearer.count = 1;
	message.records.list = mem_alloc(2, sizeof(*message.records.list));
	message.records.count = 2;
	message.records.live = mem_alloc(1, sizeof(*message.records.live));
	message.records.live[0] = (struct work_live){7, 8};
	message.records.live_count = 1;
	message.records.list[0].record = text_buf("an envelope");
	message.records.list[1].renewal = text_buf("another");
	message.records.list[1].peer = make_peer(3);
	return message;
}

static struct work_message make_summary(void)
{
	struct work_message message = {.type = WORK_SUMMARY, .summary = {.answer = true}};

	message.summary.list = mem_alloc(1, sizeof(*message.summary.list));
	message.summary.list[0] = (struct work_known){make_peer(8), 12};
	message.summary.count = 1;
	return message;
}

struct work_message make_message(size_t n)
{
	struct work_message message = {.type = (enum work_type)(WORK_OVERLAY + n)};

	switch (message.type) {
	case WORK_OVERLAY:
		message.overlay =
			(struct message){.type = MESSAGE_FIND, .find = {5, {.byte = {6}}, false}};
		break;
	case WORK_STORE:
		message.store = (struct work_store){1, text_buf("record"), text_buf("renewal")};
		break;
	case WORK_STORED:
		message.stored = (struct work_stored){
			2, WORK_WANTED, {{{.id = make_peer(5), .addr = make_addr(5)}}, 1}};
		break;
	case WORK_RENEW:
		message.renew = (struct work_renew){3, {.byte = {7}}, 4, text_buf("renewal")};
		break;
	case WORK_LOOKUP:
		message.lookup = (struct work_lookup){
			5, mem_strdup("shop"), mem_strdup("web"), 6, true, true};
		break;
	case WORK_RECORDS:
		return make_records();
	case WORK_HEARTBEAT:
		message.heartbeat = (struct work_heartbeat){7, 8, text_buf("beat")};
		break;
	case WORK_SUMMARY:
		return make_summary();
	case WORK_LEAF_WANT:
		message.leaf_want.byte[0] = 9;
		break;
	case WORK_LEAF:
		message.leaf = text_buf("chain");
		break;
	case WORK_PACKET:
		message.packet = (struct work_packet){
			7, true, true, {SERVICE_UDP, 0, "dns"}, text_buf("datagram")};
		break;
	case WORK_PACKET_END:
		message.packet_end = (struct work_packet_end){8, true, WORK_DENIED};
		break;
	case WORK_GROUP:
		message.group = text_buf("a vote");
		break;
	}
	return message;
}

size_t make_message_count(void)
{
	return WORK_GROUP - WORK_OVERLAY + 1;
}
