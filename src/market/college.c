/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registrar does nothing for a set while what it knows of it is not on its disk: so whatever it
 * has said still holds after a power cut. What is asked of it meanwhile is asked again.
 *
 * All members of one number have the same list, so a place in it tells ballots of two proposers
 * apart. What was accepted is proposed again by whoever holds it: also when the one that was lost
 * is back, for some may have taken it for decided.
 */
#include "market/college.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/map.h"
#include "base/mem.h"

enum proposal_phase {
	PROPOSAL_NONE,
	PROPOSAL_PREPARE,
	PROPOSAL_ACCEPT,
};

enum {
	BALLOT_SHIFT = 3, /* below it: the place of who made it */
	ANSWER_NONE = COLLEGE_WORD_COUNT,
	CLAIMS_AT_ONCE = 256, /* on their way to the disk */
};

_Static_assert(MESSAGE_REGISTRARS_MAX <= 1 << BALLOT_SHIFT, "each has ballots of its own");

struct proposal {
	enum proposal_phase phase;
	uint64_t ballot, best; /* best: the highest in which something was accepted */
	struct registrars next;
	bool promised[MESSAGE_REGISTRARS_MAX];
	struct mono send_at, until;
};

/* One of the present ones. */
struct registrar {
	bool missed;
	struct mono since;
	/* what it has accepted */
	uint64_t ballot;
	struct registrars next;
	/* its book: read up to this ordinal, or all of it */
	uint64_t from;
	bool read;
};

/* What one registrar knows of one set. */
struct sitting {
	struct uid set;
	/* on disk */
	struct registrars present, next;
	uint64_t promised, accepted;
	bool complete; /* our book is: we count */
	/* the rest is of this life */
	bool writing, unwritten;
	uint64_t serial; /* of the write under way */
	int answer;      /* a word, when it is on disk */
	struct node_id answer_to;
	struct mono opens_at; /* before that only what runs is given */
	struct mono accepted_at, show_at, pause_until;
	uint64_t highest; /* ballot heard of */
	struct proposal proposal;
	struct registrar member[MESSAGE_REGISTRARS_MAX];
	struct mono read_at;
};

struct colleges {
	struct node_id self;
	struct registry *registry;
	struct map sittings; /* set -> struct sitting */
	struct college_effect *effects;
	size_t effect_count, effect_next;
	struct tenure *page; /* of the effect that was taken last; NULL: there was none */
	struct mono due;
};

int registrars_compare(const struct registrars_id *a, const struct registrars_id *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

size_t registrars_index(const struct registrars *registrars, const struct node_id *machine)
{
	for (size_t i = 0; i < registrars->count; i++)
		if (node_id_equal(&registrars->list[i].id, machine))
			return i;
	return SIZE_MAX;
}

static size_t most_of(size_t count)
{
	return count / 2 + 1;
}

static struct sitting *find(const struct colleges *colleges, const struct uid *set)
{
	return map_get(&colleges->sittings, bytes_of(set->byte, UID_LEN));
}

static bool is_member(const struct colleges *colleges, const struct sitting *sitting)
{
	return registrars_index(&sitting->present, &colleges->self) != SIZE_MAX;
}

struct colleges *colleges_new(const struct node_id *self, struct registry *registry, uint64_t seed)
{
	struct colleges *colleges = mem_new(struct colleges);

	colleges->self = *self;
	colleges->registry = registry;
	map_init(&colleges->sittings, seed);
	colleges->due = MONO_NEVER;
	return colleges;
}

void colleges_free(struct colleges *colleges)
{
	if (!colleges)
		return;
	map_for_each (it, &colleges->sittings)
		free(it->value);
	map_deinit(&colleges->sittings);
	free(colleges->effects);
	free(colleges->page);
	free(colleges);
}

/* ---- effects ---- */

static struct college_effect *effect_add(struct colleges *colleges, enum college_effect_type type,
					 const struct uid *set)
{
	struct college_effect *effect;

	colleges->effects = mem_resize(colleges->effects, colleges->effect_count + 1,
				       sizeof(*colleges->effects));
	effect = &colleges->effects[colleges->effect_count++];
	*effect = (struct college_effect){.type = type, .message.set = *set};
	return effect;
}

/* A word about the present ones, to @to. */
static struct college *say(struct colleges *colleges, const struct sitting *sitting,
			   const struct addr_peer *to, enum college_word word)
{
	struct college_effect *effect = effect_add(colleges, COLLEGE_SEND, &sitting->set);

	effect->to = *to;
	effect->message.word = word;
	effect->message.present.id = sitting->present.id;
	if (word == COLLEGE_LATER)
		effect->message.present = sitting->present;
	return &effect->message;
}

const struct college_effect *colleges_next_effect(struct colleges *colleges)
{
	struct college_effect *effect;

	if (colleges->effect_next == colleges->effect_count) {
		colleges->effect_next = colleges->effect_count = 0;
		return NULL;
	}
	effect = &colleges->effects[colleges->effect_next++];
	/* Pages are large: they are made when they are taken. */
	if (effect->type == COLLEGE_SEND && effect->message.word == COLLEGE_BOOK) {
		if (!colleges->page)
			colleges->page = mem_alloc(TENURE_PAGE_MAX, sizeof(*colleges->page));
		effect->message.entries = colleges->page;
		effect->message.entry_count =
			registry_page(colleges->registry, &effect->message.set,
				      effect->message.from, colleges->page, &effect->message.from);
	}
	return effect;
}

/* ---- the disk ---- */

static void write_down(struct colleges *colleges, struct sitting *sitting)
{
	struct college_effect *effect = effect_add(colleges, COLLEGE_WRITE, &sitting->set);

	effect->message.word = COLLEGE_WRITTEN;
	effect->message.present = sitting->present;
	effect->message.next = sitting->next;
	effect->message.ballot = sitting->promised;
	effect->message.accepted = sitting->accepted;
	effect->message.complete = sitting->complete;
	sitting->writing = true;
	sitting->unwritten = false;
	sitting->serial = 0; /* of no earlier write that is still under way */
}

void colleges_writing(struct colleges *colleges, const struct uid *set, uint64_t serial)
{
	struct sitting *sitting = find(colleges, set);

	if (sitting)
		sitting->serial = serial;
}

static void answer_promise(struct colleges *colleges, const struct sitting *sitting,
			   const struct addr_peer *to)
{
	struct college *promise = say(colleges, sitting, to, COLLEGE_PROMISE);

	promise->ballot = sitting->promised;
	promise->accepted = sitting->accepted;
	promise->next = sitting->next;
}

static void answer_accepted(struct colleges *colleges, const struct sitting *sitting)
{
	for (size_t i = 0; i < sitting->present.count; i++) {
		struct college *accepted =
			say(colleges, sitting, &sitting->present.list[i], COLLEGE_ACCEPTED);

		accepted->ballot = sitting->accepted;
		accepted->next = sitting->next;
	}
}

void colleges_written(struct colleges *colleges, const struct uid *set, uint64_t serial,
		      bool stored)
{
	struct sitting *sitting = find(colleges, set);
	size_t to;
	int answer;

	if (!sitting || !sitting->writing || sitting->serial != serial)
		return;
	sitting->writing = false;
	sitting->unwritten = !stored;
	if (!stored)
		return;
	answer = sitting->answer;
	sitting->answer = ANSWER_NONE;
	to = registrars_index(&sitting->present, &sitting->answer_to);
	if (answer == COLLEGE_PROMISE && to != SIZE_MAX)
		answer_promise(colleges, sitting, &sitting->present.list[to]);
	else if (answer == COLLEGE_ACCEPTED)
		answer_accepted(colleges, sitting);
}

/* ---- who they are ---- */

static struct sitting *sitting_new(struct colleges *colleges, const struct uid *set)
{
	struct sitting *sitting;

	if (colleges->sittings.count >= COLLEGES_MAX)
		return NULL;
	sitting = mem_new(struct sitting);
	sitting->set = *set;
	sitting->answer = ANSWER_NONE;
	(void)map_put(&colleges->sittings, bytes_of(set->byte, UID_LEN), sitting);
	return sitting;
}

/* Others are decided: what concerned those before is over. */
static void move(struct colleges *colleges, struct mono now, struct sitting *sitting,
		 const struct registrars *to)
{
	const struct registrars *from = &sitting->present;
	bool known = from->count > 0;
	bool stays = sitting->complete && to->id.epoch == from->id.epoch &&
		     to->id.number == from->id.number + 1 && is_member(colleges, sitting);

	for (size_t i = 0; i < MESSAGE_REGISTRARS_MAX; i++) {
		struct registrar *member = &sitting->member[i];
		bool same = node_id_equal(&from->list[i].id, &to->list[i].id);

		*member = (struct registrar){.missed = same && member->missed,
					     .since = member->since};
	}
	sitting->present = *to;
	sitting->next = (struct registrars){0};
	sitting->promised = sitting->accepted = sitting->highest = 0;
	sitting->answer = ANSWER_NONE;
	sitting->proposal = (struct proposal){0};
	sitting->read_at = sitting->show_at = now;
	/* Before the first of an epoch nobody has given anything. */
	sitting->complete = is_member(colleges, sitting) &&
			    (stays || to->id.number == 1 || fault_is_planted(FAULT_COLLEGE_BLANK));
	/* What it knew is old, and would stand in the way of what it is to read. Not if that has
	 * not been read from the disk yet. */
	if (!sitting->complete && known)
		(void)effect_add(colleges, COLLEGE_DROP, &sitting->set);
	if (to->id.number == 1 && to->id.epoch > 0)
		sitting->opens_at = mono_add_ms(now, COLLEGE_SETTLE_MS);
	colleges->due = now;
}

void colleges_learn(struct colleges *colleges, struct mono now, const struct uid *set,
		    const struct registrars *registrars)
{
	struct sitting *sitting = find(colleges, set);
	bool known = sitting != NULL;

	if (!known && registrars_index(registrars, &colleges->self) != SIZE_MAX)
		sitting = sitting_new(colleges, set);
	if (!sitting || (known && registrars_compare(&registrars->id, &sitting->present.id) <= 0))
		return;
	move(colleges, now, sitting, registrars);
	/* What its StatefulSet says of the first ones needs no writing down. */
	if (known || registrars->id.number > 1 || registrars->id.epoch > 0)
		write_down(colleges, sitting);
}

const struct registrars *colleges_find(const struct colleges *colleges, const struct uid *set)
{
	const struct sitting *sitting = find(colleges, set);

	return sitting ? &sitting->present : NULL;
}

enum college_standing colleges_standing(const struct colleges *colleges, struct mono now,
					const struct uid *set, const struct registrars_id *id)
{
	const struct sitting *sitting = find(colleges, set);
	int order = sitting ? registrars_compare(id, &sitting->present.id) : 1;

	if (order < 0)
		return COLLEGE_OLD;
	if (order > 0 || !sitting->complete)
		return COLLEGE_STRANGER;
	if (sitting->writing || sitting->unwritten || sitting->accepted)
		return COLLEGE_BUSY;
	return mono_reached(now, sitting->opens_at) ? COLLEGE_SERVING : COLLEGE_SETTLING;
}

/* The StatefulSet may have been read before, and say more. */
void colleges_restore(struct colleges *colleges, struct mono now, const struct college *written)
{
	struct sitting *sitting = find(colleges, &written->set);
	struct registrars said = {0};

	if (sitting)
		said = sitting->present;
	else
		sitting = sitting_new(colleges, &written->set);
	if (!sitting)
		return;
	sitting->present = written->present;
	sitting->next = written->next;
	sitting->promised = sitting->highest = written->ballot;
	sitting->accepted = written->accepted;
	sitting->complete = written->complete;
	colleges->due = now;
	if (registrars_compare(&said.id, &written->present.id) > 0)
		move(colleges, now, sitting, &said);
	if (sitting->writing)
		write_down(colleges, sitting);
}

bool colleges_forget(struct colleges *colleges, const struct uid *set)
{
	struct sitting *sitting = map_remove(&colleges->sittings, bytes_of(set->byte, UID_LEN));

	free(sitting);
	return sitting != NULL;
}

/* ---- a registrar that is asked ---- */

/* @next differs from @present by one, who was none of them. */
static bool follows(const struct registrars *present, const struct registrars *next,
		    size_t *ret_place)
{
	size_t differ = 0;

	if (next->id.epoch != present->id.epoch || next->id.number != present->id.number + 1 ||
	    next->count != present->count)
		return false;
	for (size_t i = 0; i < present->count; i++) {
		if (node_id_equal(&present->list[i].id, &next->list[i].id))
			continue;
		if (registrars_index(present, &next->list[i].id) != SIZE_MAX)
			return false;
		*ret_place = i;
		differ++;
	}
	return differ == 1;
}

static bool has_missed(const struct sitting *sitting, struct mono now, size_t place, int64_t ms)
{
	return sitting->member[place].missed &&
	       mono_reached(now, mono_add_ms(sitting->member[place].since, ms));
}

static void prepare(struct colleges *colleges, struct mono now, struct sitting *sitting,
		    size_t from, const struct college *message)
{
	const struct addr_peer *to = &sitting->present.list[from];
	size_t place;

	if (message->ballot <= sitting->promised) {
		answer_promise(colleges, sitting, to);
		return;
	}
	if (!message->complete && !sitting->accepted &&
	    (!follows(&sitting->present, &message->next, &place) ||
	     !has_missed(sitting, now, place, COLLEGE_AGREE_MS)))
		return; /* it lives, for all we know */
	sitting->promised = message->ballot;
	sitting->answer = COLLEGE_PROMISE;
	sitting->answer_to = to->id;
	write_down(colleges, sitting);
}

static void accept(struct colleges *colleges, struct mono now, struct sitting *sitting,
		   const struct college *message)
{
	size_t place;

	if (message->ballot == sitting->accepted) {
		answer_accepted(colleges, sitting);
		return;
	}
	if (message->ballot < sitting->promised ||
	    !follows(&sitting->present, &message->next, &place))
		return;
	sitting->promised = sitting->accepted = message->ballot;
	sitting->next = message->next;
	sitting->accepted_at = now;
	sitting->answer = COLLEGE_ACCEPTED;
	write_down(colleges, sitting);
}

/* ---- who proposes, and who learns ---- */

static void propose_to_all(struct colleges *colleges, struct mono now, struct sitting *sitting)
{
	struct proposal *proposal = &sitting->proposal;
	bool prepares = proposal->phase == PROPOSAL_PREPARE;

	proposal->send_at = mono_add_ms(now, COLLEGE_RESEND_MS);
	for (size_t i = 0; i < sitting->present.count; i++) {
		struct college *message;

		if (prepares && proposal->promised[i])
			continue;
		message = say(colleges, sitting, &sitting->present.list[i],
			      prepares ? COLLEGE_PREPARE : COLLEGE_ACCEPT);
		message->ballot = proposal->ballot;
		message->next = proposal->next;
		message->complete = prepares && sitting->accepted > 0;
	}
}

static void promise(struct colleges *colleges, struct mono now, struct sitting *sitting,
		    size_t from, const struct college *message)
{
	struct proposal *proposal = &sitting->proposal;
	size_t count = 0, place;

	if (message->ballot > sitting->highest)
		sitting->highest = message->ballot;
	if (proposal->phase != PROPOSAL_PREPARE)
		return;
	if (message->ballot > proposal->ballot)
		proposal->phase = PROPOSAL_NONE; /* somebody else is at it */
	if (message->ballot != proposal->ballot)
		return;
	proposal->promised[from] = true;
	if (message->accepted > proposal->best &&
	    follows(&sitting->present, &message->next, &place)) {
		proposal->best = message->accepted;
		proposal->next = message->next;
	}
	for (size_t i = 0; i < sitting->present.count; i++)
		count += proposal->promised[i];
	if (count < most_of(sitting->present.count))
		return;
	proposal->phase = PROPOSAL_ACCEPT;
	propose_to_all(colleges, now, sitting);
}

static void accepted(struct colleges *colleges, struct mono now, struct sitting *sitting,
		     size_t from, const struct college *message)
{
	struct registrars next = message->next;
	size_t count = 0, place;

	if (!follows(&sitting->present, &next, &place))
		return;
	if (message->ballot > sitting->highest)
		sitting->highest = message->ballot;
	sitting->member[from].ballot = message->ballot;
	sitting->member[from].next = next;
	for (size_t i = 0; i < sitting->present.count; i++)
		count += sitting->member[i].ballot == message->ballot &&
			 node_id_equal(&sitting->member[i].next.list[place].id,
				       &next.list[place].id);
	if (count < most_of(sitting->present.count) || sitting->writing)
		return;
	move(colleges, now, sitting, &next);
	write_down(colleges, sitting);
	(void)say(colleges, sitting, &next.list[place], COLLEGE_LATER);
}

/* ---- a new registrar, and those whose books it reads ---- */

static void reads(struct colleges *colleges, const struct sitting *sitting, size_t from,
		  const struct college *message)
{
	if (sitting->complete)
		say(colleges, sitting, &sitting->present.list[from], COLLEGE_BOOK)->from =
			message->from;
}

static void book(struct colleges *colleges, struct sitting *sitting, size_t from,
		 const struct college *message)
{
	if (sitting->complete || sitting->member[from].read ||
	    (message->entry_count > 0 && message->entries[0].ordinal < sitting->member[from].from))
		return;
	for (size_t i = 0; i < message->entry_count; i++) {
		struct tenure given = message->entries[i];

		given.word = TENURE_WRITTEN;
		if (!uid_equal(&given.set, &sitting->set) ||
		    !registry_claim(colleges->registry, &given))
			return; /* asked for again */
	}
	/* A page that comes twice does no harm; an earlier one leads to what was asked for. */
	if (message->from == 0)
		sitting->member[from].read = true;
	else if (message->from > sitting->member[from].from)
		sitting->member[from].from = message->from;
}

static void read_others(struct colleges *colleges, struct mono now, struct sitting *sitting)
{
	size_t count = 0, claims = 0;
	uint32_t ordinal;
	int outcome;

	for (size_t i = 0; i < sitting->present.count; i++)
		count += sitting->member[i].read;
	if (count < most_of(sitting->present.count - 1)) {
		for (size_t i = 0; i < sitting->present.count; i++)
			if (!sitting->member[i].read &&
			    !node_id_equal(&sitting->present.list[i].id, &colleges->self))
				say(colleges, sitting, &sitting->present.list[i], COLLEGE_READ)
					->from = sitting->member[i].from;
		sitting->read_at = mono_add_ms(now, COLLEGE_RESEND_MS);
		return;
	}
	do {
		outcome = registry_unwritten(colleges->registry, &sitting->set, &ordinal);
		if (outcome == REGISTRY_E_WRITE)
			effect_add(colleges, COLLEGE_CLAIM, &sitting->set)->ordinal = ordinal;
	} while (outcome == REGISTRY_E_WRITE && ++claims < CLAIMS_AT_ONCE);
	sitting->read_at = mono_add_ms(now, COLLEGE_RESEND_MS);
	if (outcome)
		return;
	sitting->complete = true;
	write_down(colleges, sitting);
}

/* ---- what arrives ---- */

static void hear_member(struct colleges *colleges, struct mono now, struct sitting *sitting,
			size_t from, const struct college *message)
{
	switch (message->word) {
	case COLLEGE_PREPARE:
		if (sitting->complete)
			prepare(colleges, now, sitting, from, message);
		return;
	case COLLEGE_ACCEPT:
		if (sitting->complete)
			accept(colleges, now, sitting, message);
		return;
	case COLLEGE_PROMISE:
		promise(colleges, now, sitting, from, message);
		return;
	case COLLEGE_ACCEPTED:
		accepted(colleges, now, sitting, from, message);
		return;
	case COLLEGE_READ:
		reads(colleges, sitting, from, message);
		return;
	case COLLEGE_BOOK:
		book(colleges, sitting, from, message);
		return;
	case COLLEGE_LATER:
	case COLLEGE_WRITTEN:
	case COLLEGE_CLAIMS:
	case COLLEGE_WORD_COUNT:
		return;
	}
}

void colleges_hear(struct colleges *colleges, struct mono now, const struct node_id *from,
		   const struct college *message)
{
	struct sitting *sitting = find(colleges, &message->set);
	int order = sitting ? registrars_compare(&message->present.id, &sitting->present.id) : 1;
	size_t place;

	if (message->word == COLLEGE_LATER) {
		if (order > 0)
			(void)effect_add(colleges, COLLEGE_LOOK, &message->set);
		return;
	}
	if (!sitting || !is_member(colleges, sitting))
		return;
	place = registrars_index(&sitting->present, from);
	if (order < 0 && !sitting->writing &&
	    (message->word == COLLEGE_PREPARE || message->word == COLLEGE_READ)) {
		(void)say(colleges, sitting, &(struct addr_peer){.id = *from}, COLLEGE_LATER);
		return;
	}
	/* Of what others have accepted the own disk knows nothing. */
	if (order == 0 && place != SIZE_MAX &&
	    (message->word == COLLEGE_ACCEPTED || !sitting->writing))
		hear_member(colleges, now, sitting, place, message);
}

/* ---- what is to be done ---- */

static void judge(const struct colleges *colleges, struct mono now, struct sitting *sitting,
		  const struct college_view *view)
{
	for (size_t i = 0; i < sitting->present.count; i++) {
		const struct addr_peer *peer = &sitting->present.list[i];
		bool alive = node_id_equal(&peer->id, &colleges->self) ||
			     view->is_alive(view->arg, peer);

		if (!alive && !sitting->member[i].missed)
			sitting->member[i].since = now;
		sitting->member[i].missed = !alive;
	}
}

/* Of those that are there: how many come before us? */
static size_t rank_of(const struct colleges *colleges, const struct sitting *sitting)
{
	size_t rank = 0;

	for (size_t i = 0; i < sitting->present.count; i++) {
		if (node_id_equal(&sitting->present.list[i].id, &colleges->self))
			break;
		rank += !sitting->member[i].missed;
	}
	return rank;
}

static bool most_are_there(const struct sitting *sitting)
{
	size_t count = 0;

	for (size_t i = 0; i < sitting->present.count; i++)
		count += !sitting->member[i].missed;
	return count >= most_of(sitting->present.count);
}

/* Whom to replace, by whom; false: nobody. */
static bool next_of(const struct colleges *colleges, struct mono now, const struct sitting *sitting,
		    const struct college_view *view, struct registrars *ret_next)
{
	int64_t rank_ms = (int64_t)rank_of(colleges, sitting) * COLLEGE_RANK_MS;

	if (sitting->accepted) {
		*ret_next = sitting->next;
		return mono_reached(now,
				    mono_add_ms(sitting->accepted_at, COLLEGE_FINISH_MS + rank_ms));
	}
	for (size_t i = 0; i < sitting->present.count; i++) {
		if (!has_missed(sitting, now, i, COLLEGE_LOST_MS + rank_ms))
			continue;
		*ret_next = sitting->present;
		ret_next->id.number++;
		return view->pick(view->arg, &sitting->set, &sitting->present, &ret_next->list[i]);
	}
	return false;
}

static void propose(struct colleges *colleges, struct mono now, struct sitting *sitting,
		    const struct college_view *view)
{
	struct proposal *proposal = &sitting->proposal;
	uint64_t highest =
		sitting->promised > sitting->highest ? sitting->promised : sitting->highest;
	struct registrars next;

	if (proposal->phase != PROPOSAL_NONE && !mono_reached(now, proposal->until)) {
		if (mono_reached(now, proposal->send_at))
			propose_to_all(colleges, now, sitting);
		return;
	}
	proposal->phase = PROPOSAL_NONE;
	if (!mono_reached(now, sitting->pause_until) || !most_are_there(sitting) ||
	    !next_of(colleges, now, sitting, view, &next))
		return;
	*proposal = (struct proposal){
		.phase = PROPOSAL_PREPARE,
		.ballot = ((highest >> BALLOT_SHIFT) + 1) << BALLOT_SHIFT |
			  registrars_index(&sitting->present, &colleges->self),
		.next = next,
		.until = mono_add_ms(now, COLLEGE_PROPOSE_MS),
	};
	sitting->highest = proposal->ballot;
	/* Whoever comes later makes room for those before. */
	sitting->pause_until = mono_add_ms(
		proposal->until, ((int64_t)rank_of(colleges, sitting) + 1) * COLLEGE_RANK_MS);
	propose_to_all(colleges, now, sitting);
}

/* When it is to be looked at again. */
static struct mono sitting_tick(struct colleges *colleges, struct mono now, struct sitting *sitting,
				const struct college_view *view)
{
	if (!is_member(colleges, sitting))
		return MONO_NEVER;
	judge(colleges, now, sitting, view);
	if (sitting->unwritten)
		write_down(colleges, sitting);
	if (sitting->writing)
		return mono_add_ms(now, COLLEGE_TICK_MS);
	if (!sitting->complete) {
		if (mono_reached(now, sitting->read_at))
			read_others(colleges, now, sitting);
		return mono_add_ms(now, COLLEGE_RESEND_MS);
	}
	if (mono_reached(now, mono_add_ms(sitting->show_at,
					  (int64_t)rank_of(colleges, sitting) * COLLEGE_RANK_MS))) {
		sitting->show_at = mono_add_ms(now, COLLEGE_SHOW_MS);
		view->show(view->arg, &sitting->set, &sitting->present);
	}
	propose(colleges, now, sitting, view);
	return mono_add_ms(now, sitting->proposal.phase == PROPOSAL_NONE ? COLLEGE_TICK_MS
									 : COLLEGE_RESEND_MS);
}

void colleges_tick(struct colleges *colleges, struct mono now, const struct college_view *view)
{
	if (!mono_reached(now, colleges->due))
		return;
	colleges->due = MONO_NEVER;
	map_for_each (it, &colleges->sittings)
		colleges->due =
			mono_min(colleges->due, sitting_tick(colleges, now, it->value, view));
}

struct mono colleges_deadline(const struct colleges *colleges)
{
	return colleges->due;
}
