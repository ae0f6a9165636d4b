/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: where those of pods are (node.h).
 *
 * A machine whose pods have agents tells one of its peers, at random, twice a minute, of some of
 * them and some that it has heard of, and is told as many; when an agent is new, several at once.
 * What was heard is passed on with its age, and ends with it: an agent is as young as the last
 * word of its own machine.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	AGENTS_KEPT_MAX = 64,   /* of others: some are gone, and eight are told at a time */
	AGENTS_OF_ONE_MAX = 16, /* that one peer has told of: it may lie */
	AGENTS_HERE_MAX = 1024, /* pods of one machine, and more */
	AGENTS_SPREAD = 4,      /* peers that are told of a new one at once */
	AGENTS_EVERY_MS = 30 * 1000,
	AGENTS_LIFE_S = 10 * 60, /* twenty rounds: its machine has gone, or is far away */
};

/* A peer speaks once in AGENTS_EVERY_MS, and when something is new. */
static const struct node_rate word_rate = {.per_minute = 30, .burst = 60};

struct known_agent {
	struct list link;
	struct node_id id;
	struct addr addr;
	struct uid pod;        /* of one here; none: heard of */
	struct node_id source; /* who has told of it */
	struct mono heard;     /* when its machine said so, by our clock */
};

static bool is_here(const struct known_agent *agent)
{
	return !uid_is_none(&agent->pod);
}

static void agent_free(struct node *node, struct known_agent *agent)
{
	list_remove(&agent->link);
	node->agent_count--;
	free(agent);
}

void node_agents_init(struct node *node, uint64_t seed)
{
	map_init(&node->agent_words, seed);
	map_init(&node->sibling_words, seed);
	list_init(&node->agents);
	node->agents_due = MONO_NEVER;
}

void node_agents_deinit(struct node *node)
{
	node_rates_deinit(&node->agent_words);
	node_rates_deinit(&node->sibling_words);
	list_for_each_safe (it, &node->agents)
		agent_free(node, list_entry(it, struct known_agent, link));
}

static uint32_t age_s(const struct known_agent *agent, struct mono now)
{
	int64_t us = is_here(agent) ? 0 : mono_since_us(now, agent->heard);

	return (uint32_t)(us > 0 ? us / US_PER_S : 0);
}

/* Those of pods that are gone, and rumours that are old. */
static void drop_old(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->agents) {
		struct known_agent *agent = list_entry(it, struct known_agent, link);
		bool gone = is_here(agent) && !map_get(&node->pods, uid_bytes(&agent->pod));

		if (gone || age_s(agent, now) > AGENTS_LIFE_S)
			agent_free(node, agent);
	}
}

static struct known_agent *find(struct node *node, const struct node_id *id)
{
	list_for_each (it, &node->agents) {
		struct known_agent *agent = list_entry(it, struct known_agent, link);

		if (node_id_equal(&agent->id, id))
			return agent;
	}
	return NULL;
}

/* Some of all but that of @pod, those of pods here first, and which of them by chance. */
size_t node_agents(struct node *node, struct mono now, const struct uid *pod,
		   struct agent_heard ret_agents[MESSAGE_AGENTS_MAX])
{
	const size_t parts[] = {MESSAGE_AGENTS_MAX / 2, MESSAGE_AGENTS_MAX};
	size_t count = 0;

	drop_old(node, now);
	for (size_t part = 0; part < ARRAY_LEN(parts); part++) {
		size_t begin = count, seen = 0;

		list_for_each (it, &node->agents) {
			const struct known_agent *agent = list_entry(it, struct known_agent, link);
			const struct agent_heard heard = {agent->id, agent->addr,
							  age_s(agent, now)};
			uint64_t at;

			if (is_here(agent) != (part == 0) ||
			    (is_here(agent) && uid_equal(&agent->pod, pod)))
				continue;
			/* Each of those seen is among the chosen with the same chance. */
			at = prng_below(&node->prng, ++seen);
			if (count < parts[part])
				ret_agents[count++] = heard;
			else if (at < parts[part] - begin)
				ret_agents[begin + at] = heard;
		}
	}
	return count;
}

bool node_next_agent_here(const struct node *node, size_t *position, struct uid *ret_pod)
{
	size_t at = 0;

	list_for_each (it, &node->agents) {
		const struct known_agent *agent = list_entry(it, struct known_agent, link);

		if (!is_here(agent) || at++ < *position)
			continue;
		++*position;
		*ret_pod = agent->pod;
		return true;
	}
	return false;
}

static void say(struct node *node, struct mono now, const struct node_id *to, bool answer)
{
	struct agent_heard list[MESSAGE_AGENTS_MAX];
	struct message message = {.type = MESSAGE_AGENTS_HEARD};
	struct buf encoded = {0};

	message.agents_heard.count = node_agents(node, now, &(struct uid){{0}}, list);
	message.agents_heard.list = list;
	message.agents_heard.answer = answer;
	if (answer && message.agents_heard.count == 0)
		return;
	message_encode(&message, &encoded);
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_AGENTS_HEARD,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
}

static bool has_agents(const struct node *node)
{
	size_t position = 0;
	struct uid pod;

	return node_next_agent_here(node, &position, &pod);
}

void node_agents_tick(struct node *node, struct mono now)
{
	struct contact peers[AGENTS_SPREAD];
	size_t count;

	if (!mono_reached(now, node->agents_due))
		return;
	drop_old(node, now);
	node->agents_due = MONO_NEVER;
	if (!has_agents(node))
		return;
	count = overlay_sample(node->overlay, NULL, 0, node->agents_news ? AGENTS_SPREAD : 1,
			       peers);
	for (size_t i = 0; i < count; i++)
		say(node, now, &peers[i].id, false);
	node->agents_news = false;
	node->agents_due = mono_add_ms(
		now, AGENTS_EVERY_MS / 2 + (int64_t)prng_below(&node->prng, AGENTS_EVERY_MS));
}

void node_agent_here(struct node *node, struct mono now, const struct uid *pod,
		     const struct node_id *key, const struct addr *addr)
{
	struct known_agent *agent;
	size_t here = 0;

	drop_old(node, now);
	/* The one before was the same pod's, and has ended. */
	list_for_each_safe (it, &node->agents) {
		agent = list_entry(it, struct known_agent, link);
		here += is_here(agent);
		if (uid_equal(&agent->pod, pod) || node_id_equal(&agent->id, key))
			agent_free(node, agent);
	}
	if (here >= AGENTS_HERE_MAX || !addr_can_be_dialled(addr))
		return;
	agent = mem_new(struct known_agent);
	agent->id = *key;
	agent->addr = *addr;
	agent->pod = *pod;
	agent->source = node->config.self.id;
	list_append(&node->agents, &agent->link);
	node->agent_count++;
	node->agents_news = true;
	node->agents_due = now;
	node_queue(node, NODE_AGENTS);
	node_pump(node, now);
}

/* Room for one more that @from tells of: its own oldest gives way, or that of all. */
static void make_room(struct node *node, const struct node_id *from)
{
	struct known_agent *oldest = NULL, *oldest_of_it = NULL;
	size_t heard = 0, of_it = 0;

	list_for_each (it, &node->agents) {
		struct known_agent *agent = list_entry(it, struct known_agent, link);

		if (is_here(agent))
			continue;
		heard++;
		if (!oldest || agent->heard.us < oldest->heard.us)
			oldest = agent;
		if (!node_id_equal(&agent->source, from))
			continue;
		of_it++;
		if (!oldest_of_it || agent->heard.us < oldest_of_it->heard.us)
			oldest_of_it = agent;
	}
	if (of_it >= AGENTS_OF_ONE_MAX)
		agent_free(node, oldest_of_it);
	else if (heard >= AGENTS_KEPT_MAX)
		agent_free(node, oldest);
}

/* True: it was not known. */
static bool hear(struct node *node, struct mono now, const struct node_id *from,
		 const struct agent_heard *heard)
{
	struct known_agent *agent = find(node, &heard->id);
	struct mono at = mono_add_ms(now, -(int64_t)heard->age_s * MS_PER_S);
	bool is_new = !agent;

	if (heard->age_s > AGENTS_LIFE_S || (agent && (is_here(agent) || agent->heard.us >= at.us)))
		return false;
	if (is_new) {
		make_room(node, from);
		agent = mem_new(struct known_agent);
		agent->id = heard->id;
		list_append(&node->agents, &agent->link);
		node->agent_count++;
	}
	agent->addr = heard->addr;
	agent->source = *from;
	agent->heard = at;
	return is_new;
}

void node_agents_heard(struct node *node, struct mono now, const struct node_id *from,
		       const struct agents_heard *agents)
{
	bool news = false;

	if (!node_rate_take(&node->agent_words, now, from, &word_rate, 1)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	drop_old(node, now);
	for (size_t i = 0; i < agents->count; i++)
		news |= hear(node, now, from, &agents->list[i]);
	if (!agents->answer)
		say(node, now, from, true);
	if (news)
		node_queue(node, NODE_AGENTS);
}
