/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recall: an ordinal that was kept over a power cut, and that may have been replaced meanwhile
 * (magik.io/on-lost: replace).
 *
 * Any other kept pod may start when nobody can be asked what became of it: nobody else has its
 * ordinal, for only its machine or a user can give that up. This one may have a successor that
 * neither this machine nor the steward it asks has heard of. So it starts by leave of most of its
 * registrars only, given anew; without a network it waits.
 *
 * An assent counts in the round it was asked for, which is shorter than the silence after which a
 * registrar takes an ordinal away (TENURE_SILENCE_MS), and each ask ends such a silence: so nobody
 * has taken the ordinal from this machine between an assent and the start.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	RECALL_ROUND_MS = 2000,
};

_Static_assert((int)RECALL_ROUND_MS < (int)TENURE_SILENCE_MS / 2, "an assent is fresh");

bool node_recall_is_needed(const struct local_pod *pod)
{
	return pod->seat && pod->seat->replace;
}

void node_recall_begin(struct node *node, struct mono now, struct local_pod *pod)
{
	if (pod->recall)
		return;
	pod->recall = mem_new(struct recall);
	pod->recall->ask_at = now;
	node->tenure_due = mono_min(node->tenure_due, now);
}

void node_recall_end(struct local_pod *pod)
{
	free(pod->recall);
	pod->recall = NULL;
}

static void begin_round(struct node *node, struct mono now, struct local_pod *pod)
{
	struct recall *recall = pod->recall;

	recall->candidacy.ask = node_tenure_of(node, now, pod);
	recall->candidacy.ask.replace = true;
	recall->candidacy.epoch = 0;
	candidacy_set(&recall->candidacy, &pod->seat->registrars);
	recall->until = mono_add_ms(now, RECALL_ROUND_MS);
}

static void ask(struct node *node, struct mono now, struct local_pod *pod)
{
	struct recall *recall = pod->recall;

	if (mono_reached(now, recall->until))
		begin_round(node, now, pod);
	recall->ask_at = mono_add_ms(now, TENURE_ASK_MS);
	node_tenure_ask_again(node, now, &pod->seat->registrars, &recall->candidacy);
}

void node_recalls_tick(struct node *node, struct mono now)
{
	map_for_each (entry, &node->pods) {
		struct local_pod *pod = entry->value;

		if (!pod->recall || pod->stopping)
			continue;
		if (mono_reached(now, pod->recall->ask_at))
			ask(node, now, pod);
		node->tenure_due = mono_min(node->tenure_due, pod->recall->ask_at);
	}
}

bool node_recall_answered(struct node *node, struct mono now, const struct node_id *from,
			  const struct tenure *word)
{
	struct local_pod *pod = map_get(&node->pods, uid_bytes(&word->pod_uid));
	enum candidacy_state state;

	if (!pod || !pod->recall || pod->stopping)
		return false;
	if (mono_reached(now, pod->recall->until))
		return true; /* of a round that is over */
	state = candidacy_hear(&pod->recall->candidacy, from, word);
	if (state == CANDIDACY_WON) {
		if (pod->recall->candidacy.epoch > pod->presence.epoch)
			pod->presence.epoch = pod->recall->candidacy.epoch;
		node_kept_resume(node, pod, "its ordinal is still its own");
	} else if (state == CANDIDACY_LOST) {
		node_kept_end(node, pod, "another machine has its ordinal");
	}
	return true;
}

void node_recall_told(struct node *node, struct mono now, const struct node_id *from,
		      const struct college *later)
{
	map_for_each (entry, &node->pods) {
		struct local_pod *pod = entry->value;

		if (!pod->recall || !uid_equal(&pod->seat->set, &later->set) ||
		    !candidacy_later(&pod->recall->candidacy, from, &later->present))
			continue;
		pod->seat->registrars = later->present;
		pod->recall->ask_at = pod->recall->until = now;
		node->tenure_due = mono_min(node->tenure_due, now);
	}
}
