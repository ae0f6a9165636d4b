/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void agents_heard_pack(struct packer *packer, const struct agents_heard *from,
		       Magik__AgentsHeard *to)
{
	assert(from->count <= MESSAGE_AGENTS_MAX);
	to->n_agents = from->count;
	pack_array(packer, Magik__AgentHeard, magik__agent_heard__init, from->count, &to->agents);
	for (size_t i = 0; i < from->count; i++) {
		assert(addr_can_be_dialled(&from->list[i].addr));
		to->agents[i]->id = pack_id(&from->list[i].id);
		to->agents[i]->addr = addr_pack(packer, &from->list[i].addr);
		to->agents[i]->age_s = from->list[i].age_s;
	}
	to->answer = from->answer;
}

static void heard_unpack(struct unpacker *unpacker, const Magik__AgentHeard *from,
			 struct agent_heard *to)
{
	if (!unpack_has(unpacker, from->addr))
		return;
	unpack_id(unpacker, from->id, &to->id);
	addr_unpack(unpacker, from->addr, &to->addr);
	if (!addr_can_be_dialled(&to->addr))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->age_s = from->age_s;
}

void agents_heard_unpack(struct unpacker *unpacker, const Magik__AgentsHeard *from,
			 struct agents_heard *to)
{
	to->count = unpack_count(unpacker, from->n_agents, MESSAGE_AGENTS_MAX);
	to->list = to->count > 0 ? mem_alloc(to->count, sizeof(*to->list)) : NULL;
	for (size_t i = 0; i < to->count; i++)
		heard_unpack(unpacker, from->agents[i], &to->list[i]);
	to->answer = from->answer;
}

void agents_heard_deinit(struct agents_heard *agents)
{
	free(agents->list);
	*agents = (struct agents_heard){0};
}

void agents_heard_copy(const struct agents_heard *from, struct agents_heard *to)
{
	*to = *from;
	to->list = array_copy(from->list, from->count, sizeof(*from->list));
}
