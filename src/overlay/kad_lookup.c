/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups: a list of candidates, nearest to the target first; the nearest ones not asked yet are
 * asked, KAD_ALPHA at a time, until the nearest `want` that live have answered.
 *
 *   NEW --FIND--> ASKED --FOUND--> ANSWERED
 *    |              |                 ^
 *    |              +--KAD_REQUEST_MS-+-> SILENT (a late FOUND still counts)
 *    +-- lost, or no longer wanted --> GONE
 *
 * An ASKED one is waited for as long as patience_us() says. The lookup that has told its outcome
 * lingers until all it has asked are ANSWERED or SILENT, for the table's sake.
 *
 * Invariants: each machine is asked at most once by a lookup, at most `asked_max` machines are
 * asked, and the list never grows beyond KAD_CANDIDATES_MAX: so a liar can cost time, up to
 * KAD_LOOKUP_MS, and nothing else.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "overlay/kad_internal.h"

enum {
	LIST_CAP_MIN = 32,
	LINGER_MAX = KAD_LOOKUPS_MAX + KAD_INNER_MAX,
};

static bool is_upkeep(const struct kad_lookup *lookup)
{
	return lookup->kind == KAD_LOOKUP_CHECK || lookup->kind == KAD_LOOKUP_GREET ||
	       lookup->kind == KAD_LOOKUP_SURVEY;
}

/* Who is near to us? */
static bool is_of_ourselves(const struct kad_lookup *lookup)
{
	return lookup->kind == KAD_LOOKUP_JOIN || lookup->kind == KAD_LOOKUP_CHECK ||
	       lookup->kind == KAD_LOOKUP_GREET;
}

static bool has_hurry(const struct kad_lookup *lookup)
{
	return !is_upkeep(lookup) && lookup->kind != KAD_LOOKUP_JOIN;
}

static bool is_of_user(enum kad_lookup_kind kind)
{
	return kind == KAD_LOOKUP_NEAREST || kind == KAD_LOOKUP_STEWARDS ||
	       kind == KAD_LOOKUP_PROVIDERS;
}

void kad_lookup_free(struct kad_lookup *lookup)
{
	free(lookup->list);
	free(lookup->providers);
	free(lookup);
}

/* ---- candidates ---- */

static struct kad_candidate *candidate_find(const struct kad_lookup *lookup,
					    const struct node_id *id)
{
	for (size_t i = 0; i < lookup->count; i++) {
		if (node_id_equal(&lookup->list[i].contact.id, id))
			return &lookup->list[i];
	}
	return NULL;
}

static bool is_before(const struct kad_lookup *lookup, const struct kad_candidate *a,
		      const struct kad_candidate *b)
{
	if (a->position != b->position)
		return (a->position ^ lookup->position) < (b->position ^ lookup->position);
	return node_id_compare(&a->contact.id, &b->contact.id) < 0;
}

/* A full list gives up its farthest one that is not under way. */
static bool list_make_room(struct kad_lookup *lookup, const struct kad_candidate *newcomer)
{
	size_t at = lookup->count;

	if (lookup->count < KAD_CANDIDATES_MAX)
		return true;
	while (at > 0 && lookup->list[at - 1].state == KAD_ASKED)
		at--;
	if (at == 0 || is_before(lookup, &lookup->list[at - 1], newcomer))
		return false;
	memmove(&lookup->list[at - 1], &lookup->list[at],
		(lookup->count - at) * sizeof(lookup->list[0]));
	lookup->count--;
	return true;
}

static void list_insert(struct kad_lookup *lookup, const struct kad_candidate *candidate)
{
	size_t at;

	if (!list_make_room(lookup, candidate))
		return;
	if (lookup->count == lookup->cap) {
		lookup->cap = lookup->cap ? lookup->cap * 2 : LIST_CAP_MIN;
		lookup->list = mem_resize(lookup->list, lookup->cap, sizeof(lookup->list[0]));
	}
	for (at = lookup->count; at > 0 && is_before(lookup, candidate, &lookup->list[at - 1]);
	     at--)
		;
	memmove(&lookup->list[at + 1], &lookup->list[at],
		(lookup->count - at) * sizeof(lookup->list[0]));
	lookup->list[at] = *candidate;
	lookup->count++;
}

/* Named before. Whoever was first may have given a wrong address: another one is tried, once. */
static void candidate_readdress(struct kad_candidate *candidate, const struct contact *contact)
{
	if (candidate->state != KAD_SILENT || candidate->readdressed ||
	    addr_equal(&candidate->contact.addr, &contact->addr))
		return;
	candidate->contact = *contact;
	candidate->state = KAD_NEW;
	candidate->repeated = false;
	candidate->readdressed = true;
}

/* What was silent is not asked again, although others name it; but of whom is looked up others may
 * know better. */
static bool is_given_up(const struct kad *kad, const struct kad_lookup *lookup,
			const struct kad_candidate *candidate)
{
	return candidate->position != lookup->position &&
	       kad_table_gave_up(kad, candidate->position, &candidate->contact.addr);
}

/* @hops answers led to it. We know better than others where our own contacts are. */
static void candidate_add(struct kad *kad, struct kad_lookup *lookup, const struct contact *contact,
			  unsigned hops)
{
	struct kad_candidate *known = candidate_find(lookup, &contact->id);
	struct kad_candidate candidate = {.contact = *contact, .state = KAD_NEW};
	const struct kad_entry *entry;

	if (known)
		candidate_readdress(known, contact);
	if (known || node_id_equal(&contact->id, &kad->self.id))
		return;
	candidate.hops = (uint8_t)(hops < UINT8_MAX ? hops : UINT8_MAX);
	candidate.position = kad_id_prefix(&contact->id);
	if (is_upkeep(lookup) ? !kad_table_wants(kad, candidate.position, &contact->id)
			      : is_given_up(kad, lookup, &candidate))
		return;
	entry = kad_table_find(&kad->table, candidate.position, &contact->id);
	if (entry && entry->failures == 0)
		candidate.contact = kad_entry_contact(entry);
	list_insert(lookup, &candidate);
}

/* ---- begin ---- */

static size_t want_of(enum kad_lookup_kind kind)
{
	switch (kind) {
	case KAD_LOOKUP_NEAREST:
		return KAD_BUCKET;
	case KAD_LOOKUP_JOIN:
		return KAD_NEAR;
	case KAD_LOOKUP_STEWARDS:
		return KAD_STEWARDS;
	case KAD_LOOKUP_PROVIDERS:
	case KAD_LOOKUP_PROVIDE:
	case KAD_LOOKUP_WITHDRAW:
		return KAD_KEEPERS;
	case KAD_LOOKUP_CHECK:
	case KAD_LOOKUP_GREET:
	case KAD_LOOKUP_SURVEY:
		break;
	}
	return KAD_CANDIDATES_MAX;
}

static void lookup_seed(struct kad *kad, struct kad_lookup *lookup, const struct kad_entry *first)
{
	const struct kad_entry *nearest[KAD_BUCKET];
	size_t count;

	if (first) {
		nearest[0] = first;
		count = 1;
	} else {
		count = kad_table_nearest(&kad->table, lookup->position, true, nearest, KAD_BUCKET);
		if (count < KAD_ALPHA)
			count = kad_table_nearest(&kad->table, lookup->position, false, nearest,
						  KAD_BUCKET);
	}
	for (size_t i = 0; i < count; i++) {
		struct kad_candidate candidate = {
			.contact = kad_entry_contact(nearest[i]),
			.position = nearest[i]->position,
			.state = KAD_NEW,
			.hops = 1,
		};

		list_insert(lookup, &candidate);
	}
}

static void lookup_step(struct kad *kad, struct kad_lookup *lookup);

static struct kad_lookup *lookup_begin(struct kad *kad, enum kad_lookup_kind kind,
				       const struct digest *target, const struct kad_entry *first)
{
	struct kad_lookup *lookup = mem_new(struct kad_lookup);

	if (kad->lookup_count == kad->lookup_cap) {
		kad->lookup_cap = kad->lookup_cap ? kad->lookup_cap * 2 : 1;
		kad->lookups = mem_resize(kad->lookups, kad->lookup_cap, sizeof(kad->lookups[0]));
	}
	kad->lookups[kad->lookup_count++] = lookup;
	lookup->kind = kind;
	lookup->target = *target;
	lookup->position = kad_prefix(target);
	lookup->want = want_of(kind);
	lookup->asked_max = is_upkeep(lookup) ? 1 + KAD_SURVEY_MAX : KAD_ASKED_MAX;
	lookup->ends = mono_add_ms(kad->now, KAD_LOOKUP_MS);
	lookup_seed(kad, lookup, first);
	return lookup;
}

struct kad_lookup *kad_lookup_start(struct kad *kad, enum kad_lookup_kind kind,
				    const struct digest *target, const struct kad_entry *first)
{
	struct kad_lookup *lookup;

	assert(!is_of_user(kind));
	if (kad->inner_count == KAD_INNER_MAX)
		return NULL;
	kad->inner_count++;
	lookup = lookup_begin(kad, kind, target, first);
	lookup->token = kad->next_token++;
	lookup_step(kad, lookup);
	return lookup;
}

static void user_begin(struct kad *kad, const struct kad_waiting *waiting)
{
	struct kad_lookup *lookup = lookup_begin(kad, waiting->kind, &waiting->target, NULL);

	kad->user_count++;
	lookup->token = waiting->token;
	lookup_step(kad, lookup);
}

static int find(struct kad *kad, struct mono now, const struct digest *target,
		enum kad_lookup_kind kind, uint64_t *ret_token)
{
	struct kad_waiting waiting = {.target = *target, .kind = kind};

	kad_advance(kad, now);
	if (kad->waiting_count >= KAD_WAITING_MAX)
		return KAD_E_BUSY;
	waiting.token = kad->next_token++;
	if (kad->waiting_count == kad->waiting_cap) {
		kad->waiting_cap = kad->waiting_cap ? kad->waiting_cap * 2 : 1;
		kad->waiting = mem_resize(kad->waiting, kad->waiting_cap, sizeof(kad->waiting[0]));
	}
	kad->waiting[kad->waiting_count++] = waiting;
	*ret_token = waiting.token;
	kad_settle(kad);
	return 0;
}

int kad_find(struct kad *kad, struct mono now, const struct digest *target, bool providers,
	     uint64_t *ret_token)
{
	return find(kad, now, target, providers ? KAD_LOOKUP_PROVIDERS : KAD_LOOKUP_NEAREST,
		    ret_token);
}

int kad_find_stewards(struct kad *kad, struct mono now, const struct digest *target,
		      uint64_t *ret_token)
{
	return find(kad, now, target, KAD_LOOKUP_STEWARDS, ret_token);
}

/* ---- steps ---- */

/* After that a candidate counts as silent. Nobody else will do for the target itself. */
static int64_t request_us(const struct kad_lookup *lookup, const struct kad_candidate *candidate)
{
	return (candidate->position == lookup->position ? KAD_TARGET_MS : KAD_REQUEST_MS) *
	       US_PER_MS;
}

/* How long the end of a lookup waits for an answer. Upkeep is in no hurry. */
static int64_t patience_us(const struct kad_lookup *lookup, const struct kad_candidate *candidate)
{
	int64_t us = lookup->slowest_us * KAD_PATIENCE;

	if (us == 0 || us > KAD_REQUEST_MS * US_PER_MS || !has_hurry(lookup) ||
	    candidate->position == lookup->position)
		return request_us(lookup, candidate);
	return us < KAD_PATIENCE_MIN_MS * US_PER_MS ? KAD_PATIENCE_MIN_MS * US_PER_MS : us;
}

static int64_t slow_us(const struct kad_lookup *lookup, const struct kad_candidate *candidate)
{
	int64_t us = patience_us(lookup, candidate) / 2;

	return us < KAD_SLOW_MS * US_PER_MS ? us : KAD_SLOW_MS * US_PER_MS;
}

/* Asked @us ago or longer, and still silent. */
static bool is_silent_for(const struct kad *kad, const struct kad_candidate *candidate, int64_t us)
{
	return mono_reached(kad->now, mono_add_us(candidate->asked, us));
}

static bool is_quick(const struct kad *kad, const struct kad_lookup *lookup,
		     const struct kad_candidate *candidate)
{
	return candidate->state == KAD_ASKED &&
	       !is_silent_for(kad, candidate, slow_us(lookup, candidate));
}

/* Is it one of those that are wanted, once it has answered? */
static bool is_wanted(const struct kad_lookup *lookup, const struct kad_candidate *candidate)
{
	return lookup->kind != KAD_LOOKUP_STEWARDS || candidate->contact.steward;
}

/* Some that were named are of no use, and so will others be: all near to the target name the same.
 */
static bool is_narrow(const struct kad *kad, const struct kad_lookup *lookup)
{
	for (size_t i = 0; i < lookup->count; i++) {
		const struct kad_candidate *candidate = &lookup->list[i];

		if (!is_wanted(lookup, candidate) || candidate->state == KAD_SILENT ||
		    (candidate->state == KAD_ASKED && !is_quick(kad, lookup, candidate)))
			return true;
	}
	return false;
}

static void candidate_send(struct kad *kad, const struct kad_lookup *lookup,
			   const struct kad_candidate *candidate)
{
	struct message *message = &kad_out_add(kad, KAD_SEND, &candidate->contact)->effect.message;

	message->type = MESSAGE_FIND;
	message->find.request = lookup->token;
	message->find.target = lookup->target;
	message->find.providers = lookup->kind == KAD_LOOKUP_PROVIDERS;
	message->find.wide = is_of_ourselves(lookup) || is_narrow(kad, lookup);
}

static void candidate_ask(struct kad *kad, struct kad_lookup *lookup,
			  struct kad_candidate *candidate)
{
	candidate_send(kad, lookup, candidate);
	candidate->state = KAD_ASKED;
	candidate->asked = kad->now;
	lookup->asked++;
}

/* More may be asked, but not @candidate if the table has no use for it any more. */
static bool candidate_may_be_asked(struct kad *kad, const struct kad_lookup *lookup,
				   struct kad_candidate *candidate)
{
	if (lookup->asked > 0 && is_upkeep(lookup) &&
	    !kad_table_wants(kad, candidate->position, &candidate->contact.id))
		candidate->state = KAD_GONE;
	return candidate->state == KAD_NEW;
}

/* Have the nearest that live answered? Candidates that may not be asked do not count. */
static bool lookup_is_done(const struct kad *kad, const struct kad_lookup *lookup)
{
	size_t answered = 0;

	for (size_t i = 0; i < lookup->count && answered < lookup->want; i++) {
		switch (lookup->list[i].state) {
		case KAD_NEW:
			if (lookup->asked < lookup->asked_max)
				return false;
			break;
		case KAD_ASKED:
			if (!is_silent_for(kad, &lookup->list[i],
					   patience_us(lookup, &lookup->list[i])))
				return false;
			break;
		case KAD_ANSWERED:
			answered += is_wanted(lookup, &lookup->list[i]);
			break;
		default:
			break;
		}
	}
	return true;
}

/* When the silence of a candidate means something next. */
static struct mono candidate_deadline(const struct kad *kad, const struct kad_lookup *lookup,
				      const struct kad_candidate *candidate)
{
	const int64_t steps_us[] = {slow_us(lookup, candidate), patience_us(lookup, candidate),
				    request_us(lookup, candidate)};
	size_t step = lookup->told ? ARRAY_LEN(steps_us) - 1 : 0;

	while (step < ARRAY_LEN(steps_us) - 1 && is_silent_for(kad, candidate, steps_us[step]))
		step++;
	return mono_add_us(candidate->asked, steps_us[step]);
}

static void lookup_schedule(const struct kad *kad, struct kad_lookup *lookup)
{
	struct mono deadline = lookup->told ? MONO_NEVER : lookup->ends;

	for (size_t i = 0; i < lookup->count; i++) {
		if (lookup->list[i].state == KAD_ASKED)
			deadline = mono_min(deadline,
					    candidate_deadline(kad, lookup, &lookup->list[i]));
	}
	lookup->deadline = deadline;
}

/* Ask the nearest ones that were not asked yet. Those that are slow take nobody's place. */
static void lookup_ask(struct kad *kad, struct kad_lookup *lookup)
{
	size_t ahead = 0, quick = 0, flight = 0;

	for (size_t i = 0; i < lookup->count; i++) {
		flight += lookup->list[i].state == KAD_ASKED;
		quick += is_quick(kad, lookup, &lookup->list[i]);
	}
	for (size_t i = 0; i < lookup->count && ahead < lookup->want; i++) {
		struct kad_candidate *candidate = &lookup->list[i];

		if (candidate->state == KAD_NEW && quick < KAD_ALPHA && flight < KAD_FLIGHT_MAX &&
		    lookup->asked < lookup->asked_max &&
		    candidate_may_be_asked(kad, lookup, candidate)) {
			candidate_ask(kad, lookup, candidate);
			quick++;
			flight++;
		}
		ahead += is_wanted(lookup, candidate) &&
			 (candidate->state == KAD_NEW || candidate->state == KAD_ANSWERED ||
			  is_quick(kad, lookup, candidate));
	}
}

static void lookup_step(struct kad *kad, struct kad_lookup *lookup)
{
	if (!lookup->told) {
		lookup_ask(kad, lookup);
		lookup->done = lookup->done || lookup_is_done(kad, lookup);
		lookup->cut = lookup->cut || lookup->asked >= lookup->asked_max;
	}
	lookup_schedule(kad, lookup);
}

/* Providers gathered from all keepers; beyond KAD_UNION_MAX a random one gives way. */
static void lookup_gather(struct kad *kad, struct kad_lookup *lookup,
			  const struct contacts *providers)
{
	for (size_t i = 0; i < providers->count; i++) {
		const struct contact *contact = &providers->list[i];
		size_t at = 0;

		while (at < lookup->provider_count &&
		       !node_id_equal(&lookup->providers[at].id, &contact->id))
			at++;
		if (at < lookup->provider_count || node_id_equal(&contact->id, &kad->self.id))
			continue;
		if (!lookup->providers)
			lookup->providers = mem_alloc(KAD_UNION_MAX, sizeof(struct contact));
		lookup->provider_seen++;
		if (lookup->provider_count < KAD_UNION_MAX)
			lookup->provider_count++;
		else
			at = prng_below(&kad->prng, lookup->provider_seen);
		if (at < KAD_UNION_MAX)
			lookup->providers[at] = *contact;
	}
}

static struct kad_lookup *lookup_of(const struct kad *kad, uint64_t token)
{
	for (size_t i = 0; i < kad->lookup_count; i++) {
		if (kad->lookups[i]->token == token)
			return kad->lookups[i];
	}
	return NULL;
}

static int64_t slower(int64_t a_us, int64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

/* A connection does not tell the incarnation. */
static struct contact heard_from(const struct contact *known, const struct contact *from)
{
	struct contact contact = *from;

	if (contact.incarnation < known->incarnation)
		contact.incarnation = known->incarnation;
	return contact;
}

bool kad_lookup_found(struct kad *kad, const struct contact *from, const struct found *found)
{
	struct kad_lookup *lookup = lookup_of(kad, found->request);
	struct kad_candidate *candidate = lookup ? candidate_find(lookup, &from->id) : NULL;
	unsigned hops;

	if (!candidate || (candidate->state != KAD_ASKED && candidate->state != KAD_SILENT))
		return false;
	if (candidate->state == KAD_ASKED)
		lookup->slowest_us =
			slower(lookup->slowest_us, mono_since_us(kad->now, candidate->asked));
	candidate->state = KAD_ANSWERED;
	candidate->contact = heard_from(&candidate->contact, from);
	hops = candidate->hops;
	if (is_upkeep(lookup) && hops > 1) {
		lookup->news++;
		lookup->near_news += kad_table_is_near(&kad->table, candidate->position);
	}
	for (size_t i = 0; i < found->nearest.count && !lookup->told; i++)
		candidate_add(kad, lookup, &found->nearest.list[i], hops + 1);
	if (lookup->kind == KAD_LOOKUP_PROVIDERS && !lookup->told)
		lookup_gather(kad, lookup, &found->providers);
	lookup_step(kad, lookup);
	return true;
}

void kad_lookup_gone(struct kad *kad, const struct node_id *id, bool for_good)
{
	for (size_t i = 0; i < kad->lookup_count; i++) {
		struct kad_candidate *candidate = candidate_find(kad->lookups[i], id);

		if (!candidate)
			continue;
		if (candidate->state == KAD_ASKED)
			candidate->state = KAD_SILENT;
		else if (for_good)
			candidate->state = KAD_GONE;
		else
			continue;
		lookup_step(kad, kad->lookups[i]);
	}
}

/* ---- time ---- */

void kad_lookup_forgive(struct kad *kad, int64_t late_us)
{
	for (size_t i = 0; i < kad->lookup_count; i++) {
		struct kad_lookup *lookup = kad->lookups[i];

		for (size_t k = 0; k < lookup->count; k++) {
			if (lookup->list[k].state == KAD_ASKED)
				lookup->list[k].asked = mono_add_us(lookup->list[k].asked, late_us);
		}
		lookup_schedule(kad, lookup);
	}
}

/* A slow one is asked once more, for the message may be lost; then it counts as silent. */
static void candidate_expire(struct kad *kad, struct kad_lookup *lookup,
			     struct kad_candidate *candidate)
{
	if (is_silent_for(kad, candidate, request_us(lookup, candidate))) {
		candidate->state = KAD_SILENT;
		kad_table_silent(kad, candidate->position, &candidate->contact.id,
				 &candidate->contact.addr);
	} else if (!candidate->repeated && !is_quick(kad, lookup, candidate)) {
		candidate->repeated = true;
		candidate_send(kad, lookup, candidate);
	}
}

static void lookup_expire(struct kad *kad, struct kad_lookup *lookup)
{
	for (size_t i = 0; i < lookup->count; i++) {
		if (lookup->list[i].state == KAD_ASKED)
			candidate_expire(kad, lookup, &lookup->list[i]);
	}
	if (mono_reached(kad->now, lookup->ends))
		lookup->done = lookup->cut = true;
	lookup_step(kad, lookup);
}

void kad_lookup_tick(struct kad *kad)
{
	for (size_t i = 0; i < kad->lookup_count; i++) {
		if (mono_reached(kad->now, kad->lookups[i]->deadline))
			lookup_expire(kad, kad->lookups[i]);
	}
}

struct mono kad_lookup_deadline(const struct kad *kad)
{
	struct mono deadline = MONO_NEVER;

	for (size_t i = 0; i < kad->lookup_count; i++)
		deadline = mono_min(deadline, kad->lookups[i]->deadline);
	return deadline;
}

/* ---- end ---- */

/* Of those around a steward that is looked up others may be near to what is looked up next: they
 * are named as well, though they were not asked. Beyond the KAD_BUCKET nearest that we heard of
 * there may be more that we did not hear of. */
static bool is_told(const struct kad_lookup *lookup, size_t at, size_t before)
{
	const struct kad_candidate *candidate = &lookup->list[at];

	if (!is_wanted(lookup, candidate))
		return false;
	return candidate->state == KAD_ANSWERED ||
	       (lookup->kind == KAD_LOOKUP_STEWARDS && before < KAD_BUCKET &&
		(candidate->state == KAD_NEW || candidate->state == KAD_ASKED));
}

static void tell_nearest(struct kad *kad, const struct kad_lookup *lookup)
{
	struct kad_out *out = kad_out_add(kad, KAD_FOUND, NULL);
	size_t count = 0, before = 0;

	out->contacts = mem_alloc(KAD_BUCKET, sizeof(struct contact));
	for (size_t i = 0; i < lookup->count && count < KAD_BUCKET; i++) {
		bool told = is_told(lookup, i, before);

		before += lookup->list[i].state != KAD_GONE && lookup->list[i].state != KAD_SILENT;
		if (!told)
			continue;
		if (count == 0)
			out->effect.hops = lookup->list[i].hops;
		out->contacts[count++] = lookup->list[i].contact;
	}
	out->effect.token = lookup->token;
	out->effect.contacts = out->contacts;
	out->effect.contact_count = count;
	out->effect.complete = !lookup->cut;
}

static void tell_providers(struct kad *kad, struct kad_lookup *lookup)
{
	struct contact kept[MESSAGE_CONTACTS_MAX];
	struct contacts own = {.list = kept};
	struct kad_out *out;
	size_t count;

	own.count = kad_provider_sample(kad, &lookup->target, &kad->self.id, kept,
					MESSAGE_CONTACTS_MAX);
	lookup_gather(kad, lookup, &own);
	count = lookup->provider_count < KAD_FOUND_MAX ? lookup->provider_count : KAD_FOUND_MAX;
	tell_nearest(kad, lookup);
	out = &kad->outs[kad->out_count - 1];
	free(out->contacts);
	out->contacts = mem_alloc(count ? count : 1, sizeof(struct contact));
	for (size_t i = 0; i < count; i++) {
		size_t at = i + prng_below(&kad->prng, lookup->provider_count - i);
		struct contact drawn = lookup->providers[at];

		lookup->providers[at] = lookup->providers[i];
		out->contacts[i] = drawn;
	}
	out->effect.contacts = out->contacts;
	out->effect.contact_count = count;
}

static void lookup_finish(struct kad *kad, struct kad_lookup *lookup)
{
	switch (lookup->kind) {
	case KAD_LOOKUP_NEAREST:
	case KAD_LOOKUP_STEWARDS:
		tell_nearest(kad, lookup);
		break;
	case KAD_LOOKUP_PROVIDERS:
		tell_providers(kad, lookup);
		break;
	case KAD_LOOKUP_PROVIDE:
	case KAD_LOOKUP_WITHDRAW:
		kad_provider_ended(kad, lookup);
		break;
	case KAD_LOOKUP_JOIN:
	case KAD_LOOKUP_CHECK:
	case KAD_LOOKUP_GREET:
	case KAD_LOOKUP_SURVEY:
		kad_upkeep_ended(kad, lookup);
	}
}

static void waiting_begin(struct kad *kad)
{
	size_t count = 0;

	while (count < kad->waiting_count && kad->user_count < KAD_LOOKUPS_MAX)
		user_begin(kad, &kad->waiting[count++]);
	if (count == 0)
		return;
	kad->waiting_count -= count;
	memmove(kad->waiting, kad->waiting + count, kad->waiting_count * sizeof(kad->waiting[0]));
}

static bool tell_one(struct kad *kad)
{
	for (size_t i = 0; i < kad->lookup_count; i++) {
		struct kad_lookup *lookup = kad->lookups[i];

		if (!lookup->done || lookup->told)
			continue;
		lookup->told = true;
		*(is_of_user(lookup->kind) ? &kad->user_count : &kad->inner_count) -= 1;
		lookup_finish(kad, lookup);
		lookup_schedule(kad, lookup);
		return true;
	}
	return false;
}

/* Told, and nobody is left who might answer: or there are too many to be so patient. */
static void remove_told(struct kad *kad)
{
	size_t kept = 0, count = kad->lookup_count;

	for (size_t i = 0; i < count; i++) {
		struct kad_lookup *lookup = kad->lookups[i];

		if (lookup->told && (lookup->deadline.us == MONO_NEVER.us || count > LINGER_MAX))
			kad_lookup_free(lookup);
		else
			kad->lookups[kept++] = lookup;
	}
	kad->lookup_count = kept;
}

void kad_lookup_settle(struct kad *kad)
{
	do
		waiting_begin(kad);
	while (tell_one(kad));
	remove_told(kad);
}
