/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may see a pod's log, run a process in it or connect to it: whom a gateway has signed for, and
 * not whom the fabric process of this machine names. Who is let in and revoked later is put out.
 *
 * What the machine and its containers use is told to the fabric process without that: it is numbers
 * alone, and this machine offers by them. It may also stop pods on its own word, see host_fabric.c.
 */
#include "io/log.h"
#include "machineplane/host_core.h"

int host_asker_judge(struct host *host, const Magik__Ipc__StreamAsker *signed_by,
		     struct host_request *asked, struct host_asker *ret_asker, struct err *err)
{
	const struct host_hooks *hooks = &host->config->hooks;
	struct bytes chain;

	if (!hooks->verify_request || !host->node_known || !signed_by)
		return err_set_status(err, -EACCES, 403, "no gateway has signed for that");
	asked->namespace = pods_namespace(host->pods, &asked->pod);
	if (!asked->namespace)
		return err_set_status(err, -ENOENT, 404, "the pod is not on this machine");
	chain = bytes_of(signed_by->chain.data, signed_by->chain.len);
	asked->node = host->node;
	asked->signed_by_gateway = (struct host_envelope){
		.envelope = bytes_of(signed_by->request.data, signed_by->request.len),
		.chains = &chain,
		.chain_count = 1,
	};
	return hooks->verify_request(hooks->ctx, asked, ret_asker, err);
}

void host_asker_audit(const struct host_asker *asker, const struct host_request *asked,
		      const struct err *refused)
{
	static const char *const doings[] = {
		[POD_VERB_LOGS] = "reads the log of",
		[POD_VERB_EXEC] = "runs a process in",
		[POD_VERB_ATTACH] = "attaches to",
		[POD_VERB_PORT] = "connects to a port of",
	};

	if (refused)
		log_event(LOG_LEVEL_WARN, "audit-refused", "who %s pod %s: %s", doings[asked->verb],
			  uid_text(&asked->pod).text, refused->text);
	else
		log_event(LOG_LEVEL_INFO, "audit", "%s%s %s %s%s pod %s",
			  asker->certified ? "" : "the administrator of ", asker->name,
			  doings[asked->verb], asked->container, *asked->container ? " of" : "",
			  uid_text(&asked->pod).text);
}

void host_revocation(struct host *host, const Magik__Ipc__Revocation *revocation)
{
	const struct host_hooks *hooks = &host->config->hooks;
	struct bytes chain = bytes_of(revocation->chain.data, revocation->chain.len);
	struct host_envelope envelope = {
		.envelope = bytes_of(revocation->envelope.data, revocation->envelope.len),
		.chains = &chain,
		.chain_count = 1,
	};
	struct err err = {0};
	int r = hooks->revoke ? hooks->revoke(hooks->ctx, &envelope, &err) : 0;

	if (r < 0)
		log_event(LOG_LEVEL_WARN, "revocation-refused", "%s", err.text);
	if (r <= 0)
		return;
	log_event(LOG_LEVEL_WARN, "revocation",
		  "one more is known; who is in pods is looked at again");
	host_exec_judge(host);
	host_logs_judge(host);
	host_agents_revoked(host);
}

bool host_asker_stands(const struct host *host, const struct host_asker *asker)
{
	const struct host_hooks *hooks = &host->config->hooks;

	return !hooks->asker_stands || hooks->asker_stands(hooks->ctx, asker);
}
