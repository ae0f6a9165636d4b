/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/revoker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct revoker {
	struct mesh *mesh;
};

/* False: it is none. */
static bool read_one(const Magik__Ipc__AgentRevocation *from, struct revocation *what,
		     struct revocation_claim *claim)
{
	static char nothing[] = "";
	size_t len = from->kind == REVOCATION_MACHINE ? (size_t)ID_LEN : (size_t)UID_LEN;

	if ((from->kind != REVOCATION_MACHINE && from->kind != REVOCATION_SERIAL) ||
	    from->subject.len != len || from->signer.len != ID_LEN)
		return false;
	*what = (struct revocation){
		.kind = (enum revocation_kind)from->kind, .user = nothing, .reason = nothing};
	memcpy(from->kind == REVOCATION_MACHINE ? what->machine.byte : what->serial.byte,
	       from->subject.data, len);
	*claim = (struct revocation_claim){.what = what, .at = {from->at_ms}};
	memcpy(claim->signer.byte, from->signer.data, ID_LEN);
	return true;
}

static void on_message(void *user, const struct ipc_message *message)
{
	const Magik__Ipc__AgentRevocations *told =
		(const Magik__Ipc__AgentRevocations *)message->body;
	const struct revoker *revoker = user;
	struct revocation_claim claim;
	struct revocation what;

	if (message->type != IPC_AGENT_REVOCATIONS)
		return;
	for (size_t i = 0; i < told->n_list; i++)
		if (read_one(told->list[i], &what, &claim))
			mesh_revoke(revoker->mesh, &claim);
	mesh_judge_peers(revoker->mesh);
}

struct revoker *revoker_new(struct serve *serve, struct mesh *mesh)
{
	struct revoker *revoker = mem_new(struct revoker);

	revoker->mesh = mesh;
	serve_listen(serve, &(struct serve_listener){.on_message = on_message, .user = revoker});
	return revoker;
}

void revoker_free(struct revoker *revoker)
{
	free(revoker);
}
