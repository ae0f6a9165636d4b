/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_from_ip(struct bytes ip, uint16_t port, struct addr *ret_addr)
{
	struct addr addr = {.port = port};

	if (ip.len != ADDR_V4_LEN && ip.len != ADDR_IP_MAX)
		return false;
	if (ip.len == ADDR_IP_MAX && memcmp(ip.ptr, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		ip.ptr += sizeof(mapped_prefix);
		ip.len = ADDR_V4_LEN;
	}
	addr.is_v4 = ip.len == ADDR_V4_LEN;
	memcpy(addr.ip, ip.ptr, ip.len);
	*ret_addr = addr;
	return true;
}

struct bytes addr_ip(const struct addr *addr)
{
	return bytes_of(addr->ip, addr->is_v4 ? ADDR_V4_LEN : ADDR_IP_MAX);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	int order;

	if (a->is_v4 != b->is_v4)
		return a->is_v4 ? -1 : 1;
	order = memcmp(a->ip, b->ip, ADDR_IP_MAX);
	return order ? order : (int)a->port - (int)b->port;
}

static bool bytes_are_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

bool addr_is_none(const struct addr *addr)
{
	return !addr->is_v4 && addr->port == 0 && bytes_are_zero(addr->ip, ADDR_IP_MAX);
}

bool addr_is_loopback(const struct addr *addr)
{
	if (addr->is_v4)
		return addr->ip[0] == 127;
	return bytes_are_zero(addr->ip, ADDR_IP_MAX - 1) && addr->ip[ADDR_IP_MAX - 1] == 1;
}

bool addr_is_wildcard(const struct addr *addr)
{
	return bytes_are_zero(addr->ip, ADDR_IP_MAX);
}

bool addr_can_be_dialled(const struct addr *addr)
{
	return !addr_is_wildcard(addr) && addr->port != 0;
}

struct addr_text addr_ip_text(const struct addr *addr)
{
	struct addr_text out;

	if (!inet_ntop(addr->is_v4 ? AF_INET : AF_INET6, addr->ip, out.text, sizeof(out.text)))
		out.text[0] = '\0';
	return out;
}

struct addr_text addr_text(const struct addr *addr)
{
	struct addr_text ip = addr_ip_text(addr), out;

	/* The precision tells the compiler what inet_ntop promises: 45 characters at most. */
	(void)snprintf(out.text, sizeof(out.text), addr->is_v4 ? "%.45s:%u" : "[%.45s]:%u", ip.text,
		       addr->port);
	return out;
}

bool addr_parse_ip(const char *text, uint16_t port, struct addr *ret_addr)
{
	uint8_t ip[ADDR_IP_MAX];
	char host[INET6_ADDRSTRLEN];
	size_t len = strlen(text);

	if (inet_pton(AF_INET, text, ip) == 1)
		return addr_from_ip(bytes_of(ip, ADDR_V4_LEN), port, ret_addr);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return inet_pton(AF_INET6, host, ip) == 1 &&
	       addr_from_ip(bytes_of(ip, ADDR_IP_MAX), port, ret_addr);
}

/* Only digits and at most five of them: strtol alone would take signs and spaces. */
static bool port_parse(const char *text, uint16_t *ret_port)
{
	size_t len = strlen(text);
	long port;

	if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
		return false;
	port = strtol(text, NULL, 10);
	if (port < 1 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

bool addr_parse(const char *text, struct addr *ret_addr)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	uint16_t port;
	size_t len;

	if (!colon || !port_parse(colon + 1, &port))
		return false;
	len = (size_t)(colon - text);
	if (len == 0 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	/* Without brackets nobody could tell the last group of an IPv6 address from a port. */
	if (strchr(host, ':') && (host[0] != '[' || host[len - 1] != ']'))
		return false;
	return addr_parse_ip(host, port, ret_addr);
}

struct addr_peer_text addr_peer_text(const struct addr_peer *peer)
{
	struct addr_text addr = addr_text(&peer->addr);
	struct id_text id = node_id_text(&peer->id);
	struct addr_peer_text out;

	(void)snprintf(out.text, sizeof(out.text), "%s@%s", id.text, addr.text);
	return out;
}

bool addr_peer_parse(const char *text, struct addr_peer *ret_peer)
{
	struct addr_peer peer;
	char id[ID_HEX_LEN + 1];

	if (strlen(text) <= ID_HEX_LEN || text[ID_HEX_LEN] != '@')
		return false;
	memcpy(id, text, ID_HEX_LEN);
	id[ID_HEX_LEN] = '\0';
	if (!node_id_parse(id, &peer.id) || !addr_parse(text + ID_HEX_LEN + 1, &peer.addr))
		return false;
	*ret_peer = peer;
	return true;
}
