/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/path.h"

#include <arpa/inet.h>
#include <string.h>

socklen_t sockaddr_from_addr(const struct addr *addr, union quic_sockaddr *ret_sockaddr)
{
	memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
	if (addr->is_v4) {
		ret_sockaddr->v4.sin_family = AF_INET;
		ret_sockaddr->v4.sin_port = htons(addr->port);
		memcpy(&ret_sockaddr->v4.sin_addr, addr->ip, ADDR_V4_LEN);
		return sizeof(ret_sockaddr->v4);
	}
	ret_sockaddr->v6.sin6_family = AF_INET6;
	ret_sockaddr->v6.sin6_port = htons(addr->port);
	memcpy(&ret_sockaddr->v6.sin6_addr, addr->ip, ADDR_IP_MAX);
	return sizeof(ret_sockaddr->v6);
}

bool sockaddr_to_addr(const struct sockaddr *sockaddr, struct addr *ret_addr)
{
	if (sockaddr->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, sockaddr, sizeof(v4));
		return addr_from_ip(bytes_of(&v4.sin_addr, ADDR_V4_LEN), ntohs(v4.sin_port),
				    ret_addr);
	}
	if (sockaddr->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, sockaddr, sizeof(v6));
		return addr_from_ip(bytes_of(&v6.sin6_addr, ADDR_IP_MAX), ntohs(v6.sin6_port),
				    ret_addr);
	}
	return false;
}

void path_storage_set(struct path_storage *storage, const struct quic_path *path)
{
	storage->path.local.addrlen = sockaddr_from_addr(&path->local, &storage->local);
	storage->path.local.addr = &storage->local.any;
	storage->path.remote.addrlen = sockaddr_from_addr(&path->remote, &storage->remote);
	storage->path.remote.addr = &storage->remote.any;
	storage->path.user_data = NULL;
}

void path_from_ngtcp2(const ngtcp2_path *ng, struct quic_path *ret_path)
{
	struct quic_path path = {0};

	/* Both came from path_storage_set(), or were copied from it. */
	if (sockaddr_to_addr(ng->local.addr, &path.local) &&
	    sockaddr_to_addr(ng->remote.addr, &path.remote))
		*ret_path = path;
}
