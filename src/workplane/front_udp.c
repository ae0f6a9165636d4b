/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams to virtual addresses. They all arrive on one socket, each with the address that it was
 * sent to; what comes back has to come from that address and port, which no socket is bound to: it
 * is written with all its headers.
 */
#include "workplane/front_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	QUEUE_MAX = 8, /* datagrams of one flow that wait for its Service to be looked up */
	DATAGRAM_MAX = 65535,
	HOPS = 64,
	BYTE_BITS = 8,
	WORD_BITS = 16,
	CONTROL_MAX = 256,
};

/* A conversation: of one port of the application with one address. */
struct flow {
	struct front *front;
	struct addr from, to;
	struct front_wish wish;
	struct catalog_question *question;
	struct mesh_flow *mesh; /* NULL: its Service is being looked up */
	struct buf queue[QUEUE_MAX];
	size_t queued;
};

/* One question after a name. */
struct udp_question {
	struct list link;
	struct front *front;
	struct addr from, to;
};

/* ---- packets ---- */

/* The sum of RFC 1071, over what may be in several parts of even length but for the last. */
static uint32_t sum(uint32_t start, struct bytes bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		start += (uint32_t)bytes.ptr[i] << (i % 2 ? 0 : BYTE_BITS);
	return start;
}

static uint16_t fold(uint32_t value)
{
	while (value >> WORD_BITS)
		value = (value & UINT16_MAX) + (value >> WORD_BITS);
	return (uint16_t)~value;
}

static uint16_t checksum_udp(const struct addr *from, const struct addr *to,
			     const struct udphdr *header, struct bytes payload)
{
	uint32_t value = IPPROTO_UDP + (uint32_t)ntohs(header->len);
	uint16_t folded;

	value = sum(value, addr_ip(from));
	value = sum(value, addr_ip(to));
	value = sum(value, bytes_of(header, sizeof(*header)));
	/* At most 64 KiB of words: no overflow of 32 bits. */
	folded = fold(sum(value, payload));
	return htons(folded ? folded : UINT16_MAX); /* 0 would say that there is none */
}

static void put_ip4(const struct addr *from, const struct addr *to, uint8_t protocol, size_t len,
		    struct buf *out)
{
	struct iphdr header = {
		.version = 4,
		.ihl = sizeof(header) / 4,
		.tot_len = htons((uint16_t)(sizeof(header) + len)),
		.ttl = HOPS,
		.protocol = protocol,
	};

	memcpy(&header.saddr, from->ip, ADDR_V4_LEN);
	memcpy(&header.daddr, to->ip, ADDR_V4_LEN);
	header.check = htons(fold(sum(0, bytes_of(&header, sizeof(header)))));
	buf_append(out, &header, sizeof(header));
}

static void put_ip6(const struct addr *from, const struct addr *to, size_t len, struct buf *out)
{
	struct ip6_hdr header = {0};

	header.ip6_flow = htonl(6u << 28);
	header.ip6_plen = htons((uint16_t)len);
	header.ip6_nxt = IPPROTO_UDP;
	header.ip6_hlim = HOPS;
	memcpy(&header.ip6_src, from->ip, ADDR_IP_MAX);
	memcpy(&header.ip6_dst, to->ip, ADDR_IP_MAX);
	buf_append(out, &header, sizeof(header));
}

void front_packet_write(const struct addr *from, const struct addr *to, struct bytes payload,
			struct buf *out)
{
	struct udphdr header = {
		.source = htons(from->port),
		.dest = htons(to->port),
		.len = htons((uint16_t)(sizeof(header) + payload.len)),
	};

	header.check = checksum_udp(from, to, &header, payload);
	if (to->is_v4)
		put_ip4(from, to, IPPROTO_UDP, sizeof(header) + payload.len, out);
	else
		put_ip6(from, to, sizeof(header) + payload.len, out);
	buf_append(out, &header, sizeof(header));
	buf_append_bytes(out, payload);
}

static void send_packet(const struct front *front, const struct addr *to, struct bytes packet)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};

	/* Lost where there is no room, as datagrams are. */
	if (to->is_v4) {
		memcpy(&four.sin_addr, to->ip, ADDR_V4_LEN);
		(void)!sendto(front->config.raw4_fd, packet.ptr, packet.len, 0,
			      (const struct sockaddr *)&four, sizeof(four));
	} else if (front->config.raw6_fd != FRONT_FD_NONE) {
		memcpy(&six.sin6_addr, to->ip, ADDR_IP_MAX);
		(void)!sendto(front->config.raw6_fd, packet.ptr, packet.len, 0,
			      (const struct sockaddr *)&six, sizeof(six));
	}
}

/* @from is the virtual address, @to the application's. */
static void send_back(const struct front *front, const struct addr *from, const struct addr *to,
		      struct bytes payload)
{
	struct buf packet = {0};

	if (payload.len > MESH_DATAGRAM_MAX)
		return;
	front_packet_write(from, to, payload, &packet);
	send_packet(front, to, bytes_buf(&packet));
	buf_deinit(&packet);
}

/* Nobody listens there: the application's socket reports it as refused. For IPv4, which is what
 * names are answered with; elsewhere the datagram is lost. */
static void send_refusal(struct front *front, const struct addr *from, const struct addr *to)
{
	struct icmphdr icmp = {.type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH};
	struct udphdr udp = {
		.source = htons(from->port), .dest = htons(to->port), .len = htons(sizeof(udp))};
	struct buf packet = {0}, quoted = {0};
	uint32_t value;

	front->stats.refused++;
	if (!from->is_v4)
		return;
	/* What it answers to: the application's own headers. */
	put_ip4(from, to, IPPROTO_UDP, sizeof(udp), &quoted);
	buf_append(&quoted, &udp, sizeof(udp));
	value = sum(sum(0, bytes_of(&icmp, sizeof(icmp))), bytes_buf(&quoted));
	icmp.checksum = htons(fold(value));
	put_ip4(to, from, IPPROTO_ICMP, sizeof(icmp) + quoted.len, &packet);
	buf_append(&packet, &icmp, sizeof(icmp));
	buf_append_bytes(&packet, bytes_buf(&quoted));
	send_packet(front, from, bytes_buf(&packet));
	buf_deinit(&packet);
	buf_deinit(&quoted);
}

/* ---- flows ---- */

struct flow_key {
	uint8_t bytes[2 * (ADDR_IP_MAX + sizeof(uint16_t))];
};

static void key_put(uint8_t *at, const struct addr *addr)
{
	memcpy(at, addr->ip, ADDR_IP_MAX);
	memcpy(at + ADDR_IP_MAX, &addr->port, sizeof(addr->port));
}

static struct flow_key key_of(const struct addr *from, const struct addr *to)
{
	struct flow_key key;

	key_put(key.bytes, from);
	key_put(key.bytes + sizeof(key.bytes) / 2, to);
	return key;
}

static void flow_free(struct flow *flow)
{
	struct flow_key key = key_of(&flow->from, &flow->to);

	(void)map_remove(&flow->front->flows, bytes_of(key.bytes, sizeof(key.bytes)));
	catalog_question_free(flow->question);
	if (flow->mesh)
		mesh_flow_free(flow->mesh);
	for (size_t i = 0; i < flow->queued; i++)
		buf_deinit(&flow->queue[i]);
	free(flow);
}

static void on_back(void *user, const struct bytes *datagram)
{
	struct flow *flow = user;

	if (datagram) {
		send_back(flow->front, &flow->to, &flow->from, *datagram);
		return;
	}
	flow->mesh = NULL;
	flow_free(flow);
}

static void on_service(void *user, const struct catalog_service *service)
{
	struct flow *flow = user;
	struct front *front = flow->front;
	struct front_order made;

	flow->question = NULL;
	if (front_order_make(front, &flow->wish, service, &made))
		flow->mesh = mesh_flow_new(front->config.mesh, &made.order, on_back, flow);
	if (!flow->mesh) {
		send_refusal(front, &flow->from, &flow->to);
		flow_free(flow);
		return;
	}
	for (size_t i = 0; i < flow->queued; i++) {
		mesh_flow_send(flow->mesh, bytes_buf(&flow->queue[i]));
		buf_deinit(&flow->queue[i]);
	}
	flow->queued = 0;
}

static void flow_send(struct flow *flow, struct bytes payload)
{
	if (flow->mesh) {
		mesh_flow_send(flow->mesh, payload);
	} else if (flow->queued < QUEUE_MAX) {
		buf_append_bytes(&flow->queue[flow->queued++], payload);
	} else {
		flow->front->stats.dropped++;
	}
}

static void flow_begin(struct front *front, const struct addr *from, const struct addr *to,
		       struct bytes payload)
{
	struct flow_key key = key_of(from, to);
	struct catalog_question *asked;
	struct front_wish wish;
	struct flow *flow;

	if (front->flows.count >= FRONT_FLOWS_MAX) {
		front->stats.dropped++;
		return;
	}
	if (!front_wish_read(front, to, SERVICE_UDP, &wish)) {
		send_refusal(front, from, to);
		return;
	}
	flow = mem_new(struct flow);
	flow->front = front;
	flow->from = *from;
	flow->to = *to;
	flow->wish = wish;
	(void)map_put(&front->flows, bytes_of(key.bytes, sizeof(key.bytes)), flow);
	flow_send(flow, payload);
	asked = front_wish_ask(front, &flow->wish, on_service, flow);
	/* NULL: it has been answered, and the flow may be gone. */
	if (asked)
		flow->question = asked;
}

/* ---- arrivals ---- */

static void on_answer(void *user, struct bytes answer)
{
	struct udp_question *question = user;

	if (answer.len > 0)
		send_back(question->front, &question->to, &question->from, answer);
	list_remove(&question->link);
	free(question);
}

static void ask(struct front *front, const struct addr *from, const struct addr *to,
		struct bytes packet)
{
	struct udp_question *question = mem_new(struct udp_question);

	question->front = front;
	question->from = *from;
	question->to = *to;
	list_append(&front->udp_questions, &question->link);
	front->stats.questions++;
	resolver_ask(front->resolver, packet, false, on_answer, question);
}

static void take(struct front *front, const struct addr *from, const struct addr *to,
		 struct bytes payload)
{
	struct flow_key key = key_of(from, to);
	struct flow *flow;

	front->stats.datagrams++;
	if (front_is_resolver(to)) {
		ask(front, from, to, payload);
		return;
	}
	flow = map_get(&front->flows, bytes_of(key.bytes, sizeof(key.bytes)));
	if (flow)
		flow_send(flow, payload);
	else
		flow_begin(front, from, to, payload);
}

/* The address that the datagram was sent to, of either family. */
static bool asked_for(struct msghdr *message, struct addr *ret_to)
{
	struct sockaddr_storage to = {0};

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		size_t len = part->cmsg_len - CMSG_LEN(0);

		if ((part->cmsg_level == SOL_IP && part->cmsg_type == IP_ORIGDSTADDR) ||
		    (part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_ORIGDSTADDR)) {
			memcpy(&to, CMSG_DATA(part), len < sizeof(to) ? len : sizeof(to));
			return front_addr_of(&to, ret_to);
		}
	}
	return false;
}

static void on_datagram(void *user, int events)
{
	static uint8_t space[DATAGRAM_MAX]; /* too large for the stack; one thread reads */
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	struct front *front = user;

	(void)events;
	for (int i = 0; i < FRONT_TURN_MAX; i++) {
		struct sockaddr_storage source = {0};
		struct iovec part = {.iov_base = space, .iov_len = sizeof(space)};
		struct msghdr message = {
			.msg_name = &source,
			.msg_namelen = sizeof(source),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t len = recvmsg(front->config.udp_fd, &message, 0);
		struct addr from, to;

		if (len < 0)
			return;
		if (front_addr_of(&source, &from) && asked_for(&message, &to) &&
		    from.is_v4 == to.is_v4)
			take(front, &from, &to, bytes_of(space, (size_t)len));
	}
}

int front_udp_start(struct front *front, struct err *err)
{
	int r = loop_watch_new(front->config.loop, front->config.udp_fd, LOOP_READABLE, on_datagram,
			       front, &front->udp);

	return r < 0 ? err_set(err, r, "watch datagrams to virtual addresses: %s", strerror(-r))
		     : 0;
}

void front_udp_stop(struct front *front)
{
	loop_watch_free(front->udp);
	front->udp = NULL;
	map_for_each (entry, &front->flows)
		flow_free(entry->value);
	list_for_each_safe (it, &front->udp_questions) {
		struct udp_question *question = list_entry(it, struct udp_question, link);

		resolver_forget(front->resolver, question);
		list_remove(&question->link);
		free(question);
	}
}
