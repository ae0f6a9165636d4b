/* SPDX-License-Identifier: Apache-2.0 */
/* Records as their pods have signed them. */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "service/directory_internal.h"

void held_free(struct held *held)
{
	if (!held)
		return;
	service_record_deinit(&held->record);
	buf_deinit(&held->envelope);
	buf_deinit(&held->renewal);
	free(held);
}

enum {
	UNEXPIRED_MS = 3600 * 1000, /* a bug that is planted */
};

/* What @said leaves of the time to live. A word from the future counts as one of now. */
static struct mono expiry(const struct directory *directory, struct wall said)
{
	int64_t left_ms = said.ms + SERVICE_TTL_MS - directory->wall.ms;

	if (fault_is_planted(FAULT_SERVICE_EXPIRY))
		return mono_add_ms(directory->now, UNEXPIRED_MS);
	return mono_add_ms(directory->now, left_ms < SERVICE_TTL_MS ? left_ms : SERVICE_TTL_MS);
}

bool held_is_live(const struct directory *directory, const struct held *held)
{
	return !held->record.leaving && !mono_reached(directory->now, held->expires);
}

/* The keys of both signatures must be the same: so a renewal is of the pod whose record it is. */
static bool renewal_open(struct directory *directory, struct bytes envelope,
			 const struct service_record *record, struct wall *ret_said)
{
	struct service_name signer;
	struct service_renewal renewal;
	struct node_id key;
	struct bytes payload;

	if (!directory->config.trust.ops->open(directory->config.trust.self, directory->wall,
					       envelope, &signer, &key, &payload) ||
	    !node_id_equal(&key, &record->peer) || strcmp(signer.pod, record->pod) != 0 ||
	    service_renewal_decode(payload, &renewal) != 0)
		return false;
	*ret_said = renewal.ts;
	return renewal.version == record->version && service_is_of_now(renewal.ts, directory->wall);
}

static bool admit(struct directory *directory, const struct service_record *record,
		  const struct service_name *signer, const struct node_id *key, struct wall said)
{
	int refused = service_record_admit(record, signer, key, said, directory->wall);

	if (refused == SERVICE_E_FOREIGN && fault_is_planted(FAULT_SERVICE_NAME))
		refused = 0;
	directory->stats.refused_foreign += refused == SERVICE_E_FOREIGN;
	directory->stats.refused_stale += refused == SERVICE_E_STALE;
	directory->stats.refused_malformed += refused == SERVICE_E_MALFORMED;
	return refused == 0;
}

struct held *held_open(struct directory *directory, const struct work_signed *from)
{
	struct service_name signer;
	struct service_record record;
	struct node_id key;
	struct bytes payload;
	struct wall said;
	struct held *held;

	if (!directory->config.trust.ops->open(directory->config.trust.self, directory->wall,
					       bytes_buf(&from->record), &signer, &key, &payload)) {
		directory->stats.refused_signature++;
		return NULL;
	}
	if (service_record_decode(payload, &record) != 0) {
		directory->stats.refused_malformed++;
		return NULL;
	}
	said = record.ts;
	if (from->renewal.len > 0 &&
	    !renewal_open(directory, bytes_buf(&from->renewal), &record, &said))
		said = record.ts;
	if (!admit(directory, &record, &signer, &key, said)) {
		service_record_deinit(&record);
		return NULL;
	}
	held = mem_new(struct held);
	held->record = record;
	buf_append_bytes(&held->envelope, bytes_buf(&from->record));
	if (said.ms != record.ts.ms)
		buf_append_bytes(&held->renewal, bytes_buf(&from->renewal));
	held->expires = expiry(directory, said);
	held->proven = held->heard = directory->now;
	return held;
}

static size_t find_pod(struct held *const *list, size_t count, const char *pod)
{
	size_t at = 0;

	while (at < count && strcmp(list[at]->record.pod, pod) != 0)
		at++;
	return at;
}

bool held_put(struct held ***list, size_t *count, size_t *cap, struct held *held,
	      struct held **ret_old)
{
	size_t at = find_pod(*list, *count, held->record.pod);

	*ret_old = NULL;
	if (at < *count) {
		struct held *old = (*list)[at];

		if (service_record_compare(&old->record, &held->record) >= 0) {
			/* The same one may come with a younger renewal. */
			if (old->record.version == held->record.version &&
			    old->expires.us < held->expires.us) {
				old->expires = held->expires;
				buf_deinit(&old->renewal);
				old->renewal = held->renewal;
				old->proven = held->proven;
				held->renewal = (struct buf){0};
			}
			held_free(held);
			return false;
		}
		if (node_id_equal(&old->record.peer, &held->record.peer)) {
			held->heard = old->heard;
			held->watched = old->watched;
			held->probed = old->probed;
			held->missing = old->missing;
		}
		(*list)[at] = held;
		*ret_old = old;
		return true;
	}
	if (*count == WORK_REPLICAS_MAX) {
		held_free(held);
		return false;
	}
	if (*count == *cap) {
		*cap = *cap ? *cap * 2 : 1;
		*list = mem_resize(*list, *cap, sizeof(**list));
	}
	(*list)[(*count)++] = held;
	return true;
}

struct held *held_of_peer(struct held *const *list, size_t count, const struct node_id *peer)
{
	for (size_t i = 0; i < count; i++)
		if (node_id_equal(&list[i]->record.peer, peer))
			return list[i];
	return NULL;
}

bool held_renew(struct directory *directory, struct held *held, struct bytes renewal)
{
	struct wall said;

	if (!renewal_open(directory, renewal, &held->record, &said) ||
	    expiry(directory, said).us <= held->expires.us)
		return false;
	held->expires = expiry(directory, said);
	held->proven = directory->now;
	buf_clear(&held->renewal);
	buf_append_bytes(&held->renewal, renewal);
	return true;
}

bool held_wants_proof(const struct directory *directory, const struct held *held)
{
	return mono_reached(directory->now,
			    mono_add_ms(held->proven, DIRECTORY_PROOF_MS - SERVICE_TTL_MS));
}

void held_vouched(struct directory *directory, struct held *held, uint32_t age_ms)
{
	struct mono until = mono_add_ms(directory->now, (int64_t)SERVICE_TTL_MS - age_ms);
	struct mono proof = mono_add_ms(held->proven, DIRECTORY_PROOF_MS);

	until = mono_min(until, proof);
	if (held->expires.us < until.us)
		held->expires = until;
}

void held_prolong(struct directory *directory, struct held *held, const struct buf *renewal)
{
	held->expires = mono_add_ms(directory->now, SERVICE_TTL_MS);
	held->proven = directory->now;
	buf_clear(&held->renewal);
	buf_append_bytes(&held->renewal, bytes_buf(renewal));
}

size_t held_size(const struct held *held)
{
	return sizeof(*held) + 3 * held->envelope.len; /* as it came, and taken apart */
}

size_t held_sweep(struct directory *directory, struct held **list, size_t *count)
{
	size_t kept = 0, gone = 0;

	for (size_t i = 0; i < *count; i++) {
		if (mono_reached(directory->now, list[i]->expires)) {
			gone += !list[i]->record.leaving;
			held_free(list[i]);
		} else {
			list[kept++] = list[i];
		}
	}
	*count = kept;
	return gone;
}
