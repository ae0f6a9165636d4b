/* SPDX-License-Identifier: Apache-2.0 */
#include "service/pick.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/prng.h"

/* What is remembered of a replica. */
struct pick_peer {
	struct node_id id;
	struct mono excluded_until;
	int64_t excluded_ms; /* the last time; 0: it works */
	uint64_t version;    /* of the record that told the load */
	uint32_t picked;     /* since */
	uint64_t used;       /* order of use */
};

struct pick {
	struct pick_peer peers[PICK_FAILURES_MAX];
	size_t count;
	uint64_t uses;
	struct prng prng;
};

struct pick *pick_new(uint64_t seed)
{
	struct pick *pick = mem_new(struct pick);

	pick->prng = prng_seeded(seed);
	return pick;
}

void pick_free(struct pick *pick)
{
	free(pick);
}

static struct pick_peer *peer_find(struct pick *pick, const struct node_id *id)
{
	for (size_t i = 0; i < pick->count; i++)
		if (node_id_equal(&pick->peers[i].id, id))
			return &pick->peers[i];
	return NULL;
}

/* The one that was used least recently gives way. */
static struct pick_peer *peer_get(struct pick *pick, const struct node_id *id)
{
	struct pick_peer *peer = peer_find(pick, id);

	if (!peer) {
		peer = &pick->peers[0];
		if (pick->count < PICK_FAILURES_MAX)
			peer = &pick->peers[pick->count++];
		else
			for (size_t i = 1; i < pick->count; i++)
				if (pick->peers[i].used < peer->used)
					peer = &pick->peers[i];
		*peer = (struct pick_peer){.id = *id};
	}
	peer->used = ++pick->uses;
	return peer;
}

static bool was_tried(const struct pick_attempt *attempt, const struct node_id *id)
{
	for (size_t i = 0; i < attempt->tried_count; i++)
		if (node_id_equal(&attempt->tried[i], id))
			return true;
	return false;
}

static bool is_usable(const struct service_record *record)
{
	return record->ready && record->healthy && !record->leaving;
}

/* How near it is: 0 is best. */
static unsigned distance(const struct pick_attempt *attempt, const struct service_record *record)
{
	if (attempt->preference == PICK_MACHINE && attempt->machine &&
	    attempt->machine == record->machine)
		return 0;
	if (attempt->preference != PICK_ANYWHERE && attempt->region && attempt->region[0] &&
	    strcmp(attempt->region, record->region) == 0)
		return 1;
	return 2;
}

static uint64_t load(struct pick *pick, const struct service_record *record)
{
	const struct pick_peer *peer = peer_find(pick, &record->peer);
	uint64_t since = peer && peer->version == record->version ? peer->picked : 0;

	return record->load + since * PICK_LOAD_EACH;
}

/* The candidates that are left, which are the nearest ones. Two of them are drawn in one pass: a
 * reservoir of two. */
struct draw {
	const struct service_record *two[2];
	size_t seen;
	unsigned nearest;
};

static void draw_from(struct pick *pick, struct draw *draw, const struct service_record *record,
		      unsigned away)
{
	size_t at;

	if (draw->seen == 0 || away < draw->nearest)
		*draw = (struct draw){.nearest = away};
	if (away > draw->nearest)
		return;
	at = draw->seen++;
	if (at >= ARRAY_LEN(draw->two))
		at = prng_below(&pick->prng, draw->seen);
	if (at < ARRAY_LEN(draw->two))
		draw->two[at] = record;
}

static const struct service_record *least_loaded(struct pick *pick, const struct draw *draw)
{
	uint64_t first, second;

	if (draw->seen < 2)
		return draw->two[0];
	first = load(pick, draw->two[0]);
	second = load(pick, draw->two[1]);
	if (first == second)
		return draw->two[prng_below(&pick->prng, 2)];
	return draw->two[second < first];
}

static void remember(struct pick *pick, const struct service_record *record,
		     struct pick_attempt *attempt)
{
	struct pick_peer *peer = peer_get(pick, &record->peer);

	if (peer->version != record->version)
		peer->picked = 0;
	peer->version = record->version;
	peer->picked++;
	attempt->tried[attempt->tried_count++] = record->peer;
}

const struct service_record *pick_next(struct pick *pick, struct mono now,
				       const struct service_record *const *records, size_t count,
				       struct pick_attempt *attempt)
{
	const struct service_record *chosen, *excluded = NULL;
	struct mono excluded_until = MONO_NEVER;
	struct draw draw = {0};

	if (attempt->tried_count == PICK_TRIED_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const struct service_record *record = records[i];
		const struct pick_peer *peer;

		if (!is_usable(record) || was_tried(attempt, &record->peer))
			continue;
		peer = peer_find(pick, &record->peer);
		if (!peer || mono_reached(now, peer->excluded_until)) {
			draw_from(pick, &draw, record, distance(attempt, record));
		} else if (peer->excluded_until.us < excluded_until.us) {
			excluded = record;
			excluded_until = peer->excluded_until;
		}
	}
	chosen = draw.seen > 0 ? least_loaded(pick, &draw) : excluded;
	if (chosen)
		remember(pick, chosen, attempt);
	return chosen;
}

void pick_failed(struct pick *pick, struct mono now, const struct node_id *id)
{
	struct pick_peer *peer = peer_get(pick, id);

	peer->excluded_ms = peer->excluded_ms ? peer->excluded_ms * 2 : PICK_EXCLUDED_MS;
	if (peer->excluded_ms > PICK_EXCLUDED_MAX_MS)
		peer->excluded_ms = PICK_EXCLUDED_MAX_MS;
	peer->excluded_until = mono_add_ms(now, peer->excluded_ms);
}

void pick_worked(struct pick *pick, const struct node_id *id)
{
	struct pick_peer *peer = peer_find(pick, id);

	if (!peer)
		return;
	peer->excluded_ms = 0;
	peer->excluded_until = (struct mono){0};
}
