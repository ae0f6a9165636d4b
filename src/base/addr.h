/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: where a machine can be reached, and who it is expected to be.
 *
 * struct addr is an IP address and a UDP or TCP port, a plain value. IPv4 occupies the first four
 * bytes of ip[] and leaves the rest zero; an IPv4-mapped IPv6 address is always stored as IPv4, so
 * equal addresses have equal bytes. A zeroed addr means "none". Host names are not resolved here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"

enum {
	ADDR_IP_MAX = 16,
	ADDR_V4_LEN = 4,
	ADDR_TEXT_MAX = 56,                                  /* "[<39 characters>]:65535" */
	ADDR_PEER_TEXT_MAX = ID_HEX_LEN + 1 + ADDR_TEXT_MAX, /* "<64 hex>@<addr>" */
};

struct addr {
	uint8_t ip[ADDR_IP_MAX];
	uint16_t port; /* host byte order */
	bool is_v4;
};

/* "<64 hex>@<ip>:<port>": a machine's id and one place where it listens. */
struct addr_peer {
	struct node_id id;
	struct addr addr;
};

struct addr_text {
	char text[ADDR_TEXT_MAX];
};

struct addr_peer_text {
	char text[ADDR_PEER_TEXT_MAX];
};

/* An address from 4 or 16 bytes in network order; false for any other length. */
_must_use_ bool addr_from_ip(struct bytes ip, uint16_t port, struct addr *ret_addr);

/* The 4 or 16 bytes of the IP address, as addr_from_ip() takes them. Borrowed from @addr. */
struct bytes addr_ip(const struct addr *addr);

/* The same IP address and port. */
bool addr_equal(const struct addr *a, const struct addr *b);

/* IPv4 before IPv6, then by bytes, then by port. */
int addr_compare(const struct addr *a, const struct addr *b);

/* The zeroed address: none is known. */
bool addr_is_none(const struct addr *addr);
bool addr_is_loopback(const struct addr *addr);

/* 0.0.0.0 or [::]: an address to listen on, never one to dial. */
bool addr_is_wildcard(const struct addr *addr);

/* Neither none, nor a wildcard, nor without a port: what others name is believed to be an address
 * only then, and only such a one is handed on. */
bool addr_can_be_dialled(const struct addr *addr);

/* "10.0.0.1:7946" or "[fe80::1]:7946". */
struct addr_text addr_text(const struct addr *addr);

/* Only the IP address, without brackets and port. */
struct addr_text addr_ip_text(const struct addr *addr);

/* Parse what addr_text() prints. The port is required, 1..65535. */
_must_use_ bool addr_parse(const char *text, struct addr *ret_addr);

/* Parse an IP address alone (brackets allowed around IPv6) and give it @port. */
_must_use_ bool addr_parse_ip(const char *text, uint16_t port, struct addr *ret_addr);

/* "<id>@<ip>:<port>", where a machine can be reached, and back. */
struct addr_peer_text addr_peer_text(const struct addr_peer *peer);
_must_use_ bool addr_peer_parse(const char *text, struct addr_peer *ret_peer);
