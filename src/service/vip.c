/* SPDX-License-Identifier: Apache-2.0 */
#include "service/vip.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "identity/sha256.h"

enum {
	FIRST = 1, /* 198.18.0.1; the network's own address is nobody's */
	BYTE_BITS = 8,
	PREFIX_A = 198,
	PREFIX_B = 18,
	UNIQUE_LOCAL_LEN = 6, /* a /48 */
	UNIQUE_LOCAL_TAIL = ADDR_IP_MAX - UNIQUE_LOCAL_LEN,
};

struct vip_entry {
	struct list link; /* on vip->order, least recently used first; not while it is held */
	char *name;
	struct mono free_at; /* may be given away from then on */
	uint32_t number;
	uint32_t held;
};

struct vip {
	struct map names; /* name -> struct vip_entry */
	struct vip_entry *entries;
	size_t count, cap, max;
	struct list order;
};

struct vip *vip_new(size_t max, uint64_t seed)
{
	struct vip *vip = mem_new(struct vip);

	assert(max > 0 && max <= VIP_MAX);
	vip->max = max;
	map_init(&vip->names, seed);
	list_init(&vip->order);
	/* Entries are on lists, so they never move. */
	vip->entries = mem_alloc(max, sizeof(*vip->entries));
	return vip;
}

void vip_free(struct vip *vip)
{
	if (!vip)
		return;
	for (size_t i = 0; i < vip->count; i++)
		free(vip->entries[i].name);
	free(vip->entries);
	map_deinit(&vip->names);
	free(vip);
}

static struct addr addr_of(const struct vip_entry *entry)
{
	uint32_t number = entry->number + FIRST;
	uint8_t ip[ADDR_V4_LEN] = {
		PREFIX_A,
		(uint8_t)(PREFIX_B + (number >> (2 * BYTE_BITS))),
		(uint8_t)(number >> BYTE_BITS),
		(uint8_t)number,
	};
	struct addr addr;
	bool valid = addr_from_ip(bytes_of(ip, sizeof(ip)), 0, &addr);

	assert(valid);
	return addr;
}

/* In the prefix of Services, where no uid leads to: theirs are of version 4 there. */
static const uint8_t v6_form[ADDR_IP_MAX - ADDR_V4_LEN] = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76,
							   0,    0,    0,    0,    0xff, 0xff};

struct addr vip_as_v6(const struct addr *addr)
{
	uint8_t ip[ADDR_IP_MAX];
	struct addr form;
	bool valid;

	assert(addr->is_v4);
	memcpy(ip, v6_form, sizeof(v6_form));
	memcpy(ip + sizeof(v6_form), addr->ip, ADDR_V4_LEN);
	valid = addr_from_ip(bytes_of(ip, sizeof(ip)), 0, &form);
	assert(valid);
	(void)valid;
	return form;
}

/* What vip_as_v6() has made of an address, or the address. */
static struct addr as_given(const struct addr *addr)
{
	struct addr given = *addr;

	if (!addr->is_v4 && memcmp(addr->ip, v6_form, sizeof(v6_form)) == 0 &&
	    !addr_from_ip(bytes_of(addr->ip + sizeof(v6_form), ADDR_V4_LEN), addr->port, &given))
		return *addr;
	return given;
}

static struct vip_entry *entry_of(const struct vip *vip, const struct addr *either)
{
	struct addr given = as_given(either), *addr = &given;
	uint32_t number;

	if (!addr->is_v4 || addr->ip[0] != PREFIX_A || addr->ip[1] < PREFIX_B ||
	    addr->ip[1] > PREFIX_B + 1)
		return NULL;
	number = (uint32_t)(addr->ip[1] - PREFIX_B) << (2 * BYTE_BITS) |
		 (uint32_t)addr->ip[2] << BYTE_BITS | addr->ip[3];
	return number >= FIRST && number - FIRST < vip->count ? &vip->entries[number - FIRST]
							      : NULL;
}

/* A fresh one, or the one that was unused for longest. */
static struct vip_entry *take(struct vip *vip, struct mono now)
{
	struct vip_entry *entry;

	if (vip->count < vip->max) {
		entry = &vip->entries[vip->count];
		*entry = (struct vip_entry){.number = (uint32_t)vip->count++};
		list_init(&entry->link);
		return entry;
	}
	list_for_each (link, &vip->order) {
		entry = list_entry(link, struct vip_entry, link);
		if (!mono_reached(now, entry->free_at))
			continue;
		(void)map_remove(&vip->names, bytes_str(entry->name));
		free(entry->name);
		return entry;
	}
	return NULL;
}

static void used_until(struct vip *vip, struct vip_entry *entry, struct mono until)
{
	if (entry->free_at.us < until.us)
		entry->free_at = until;
	list_remove(&entry->link);
	if (entry->held == 0)
		list_append(&vip->order, &entry->link);
}

int vip_get(struct vip *vip, struct mono now, const char *name, int64_t ttl_ms,
	    struct addr *ret_addr)
{
	struct vip_entry *entry = map_get(&vip->names, bytes_str(name));

	if (!entry) {
		entry = take(vip, now);
		if (!entry)
			return VIP_E_FULL;
		entry->name = mem_strdup(name);
		(void)map_put(&vip->names, bytes_str(name), entry);
	}
	used_until(vip, entry, mono_add_ms(now, ttl_ms + VIP_GRACE_MS));
	*ret_addr = addr_of(entry);
	return 0;
}

const char *vip_name(const struct vip *vip, const struct addr *addr)
{
	const struct vip_entry *entry = entry_of(vip, addr);

	return entry ? entry->name : NULL;
}

bool vip_hold(struct vip *vip, const struct addr *addr)
{
	struct vip_entry *entry = entry_of(vip, addr);

	if (!entry)
		return false;
	entry->held++;
	list_remove(&entry->link);
	return true;
}

void vip_release(struct vip *vip, struct mono now, const struct addr *addr)
{
	struct vip_entry *entry = entry_of(vip, addr);

	assert(entry && entry->held > 0);
	entry->held--;
	used_until(vip, entry, mono_add_ms(now, VIP_GRACE_MS));
}

size_t vip_count(const struct vip *vip)
{
	return vip->names.count;
}

static struct addr addr_behind(const uint8_t prefix[UNIQUE_LOCAL_LEN],
			       const uint8_t tail[UNIQUE_LOCAL_TAIL])
{
	uint8_t ip[ADDR_IP_MAX];
	struct addr addr;
	bool valid;

	memcpy(ip, prefix, UNIQUE_LOCAL_LEN);
	memcpy(ip + UNIQUE_LOCAL_LEN, tail, UNIQUE_LOCAL_TAIL);
	valid = addr_from_ip(bytes_of(ip, sizeof(ip)), 0, &addr);
	assert(valid);
	return addr;
}

/* fd6d:6167: the letters of "mag"; then those of "sv" or "ik". The first bytes of a uid are its
 * home, which all of a family have. */
struct addr vip_of_service(const struct uid *uid)
{
	static const uint8_t prefix[UNIQUE_LOCAL_LEN] = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76};

	return addr_behind(prefix, uid->byte + UID_LEN - UNIQUE_LOCAL_TAIL);
}

struct addr vip_of_pod(const struct uid *uid)
{
	static const uint8_t prefix[UNIQUE_LOCAL_LEN] = {0xfd, 0x6d, 0x61, 0x67, 0x69, 0x6b};
	struct digest hash = sha256(bytes_of(uid->byte, UID_LEN));

	return addr_behind(prefix, hash.byte);
}
