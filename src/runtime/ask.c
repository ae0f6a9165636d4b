/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ask.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/clock.h"
#include "kube/member.h"
#include "runtime/pod.h"
#include "runtime/probe_exec.h"

struct ask {
	struct container *container;
	const struct kube_probe *rule;
	agent_fn *done;
	void *user;
	uint32_t question;        /* of the agent; 0: none */
	struct probe_exec *exec;  /* or a command */
	struct loop_timer *timer; /* or time */
};

void ask_free(struct ask *ask)
{
	if (!ask)
		return;
	if (ask->question)
		agent_forget(ask->container->pod->agent, ask->question);
	probe_exec_free(ask->exec);
	loop_timer_free(ask->timer);
	free(ask);
}

static void answered(struct ask *ask, enum agent_answer answer, const char *text)
{
	agent_fn *done = ask->done;
	void *user = ask->user;

	ask_free(ask);
	done(user, answer, text);
}

static void on_agent(void *user, enum agent_answer answer, const char *text)
{
	struct ask *ask = user;

	ask->question = 0;
	answered(ask, answer, text);
}

static void on_command(void *user, enum agent_answer answer, const char *text)
{
	struct ask *ask = user;

	ask->exec = NULL;
	answered(ask, answer, text);
}

static void on_time(void *user)
{
	answered(user, AGENT_WELL, "");
}

/* Where to ask: as the manifest says, else the pod's addresses, the older kind first. */
static size_t hosts_of(const struct ask *ask, char **hosts)
{
	const struct pod_net *net = &ask->container->pod->net;
	const struct kube_probe *rule = ask->rule;
	size_t count = 0;

	if (*rule->host) {
		hosts[0] = (char *)(uintptr_t)rule->host;
		return 1;
	}
	if (net->ip4[0])
		hosts[count++] = (char *)(uintptr_t)net->ip4;
	if (net->ip6[0])
		hosts[count++] = (char *)(uintptr_t)net->ip6;
	return count;
}

static void ask_agent(struct ask *ask)
{
	static const Magik__Ipc__CheckRun__Action actions[] = {
		[KUBE_PROBE_HTTP] = MAGIK__IPC__CHECK_RUN__ACTION__HTTP,
		[KUBE_PROBE_TCP] = MAGIK__IPC__CHECK_RUN__ACTION__TCP,
		[KUBE_PROBE_GRPC] = MAGIK__IPC__CHECK_RUN__ACTION__GRPC,
	};
	const struct kube_probe *rule = ask->rule;
	Magik__Ipc__CheckHeader headers[KUBE_PROBE_HEADERS_MAX];
	Magik__Ipc__CheckHeader *header_list[KUBE_PROBE_HEADERS_MAX];
	Magik__Ipc__CheckRun run;
	char *hosts[2];
	const json_t *header;
	size_t index;

	magik__ipc__check_run__init(&run);
	run.action = actions[rule->action];
	run.hosts = hosts;
	run.n_hosts = hosts_of(ask, hosts);
	run.port = rule->port;
	run.timeout_ms = (uint32_t)(rule->timeout_s * MS_PER_S);
	run.path = (char *)(uintptr_t)rule->path;
	run.https = rule->https;
	run.service = (char *)(uintptr_t)rule->service;
	run.headers = header_list;
	json_array_foreach (rule->headers, index, header) {
		if (index == KUBE_PROBE_HEADERS_MAX)
			break;
		magik__ipc__check_header__init(&headers[index]);
		headers[index].name = (char *)(uintptr_t)kube_member_string(header, "name");
		headers[index].value = (char *)(uintptr_t)kube_member_string(header, "value");
		header_list[run.n_headers++] = &headers[index];
	}
	ask->question = agent_check(ask->container->pod->agent, &run, on_agent, ask);
}

struct ask *ask_new(struct container *container, const struct kube_probe *rule, agent_fn *done,
		    void *user)
{
	struct ask *ask = mem_new(struct ask);

	ask->container = container;
	ask->rule = rule;
	ask->done = done;
	ask->user = user;
	if (rule->action == KUBE_PROBE_EXEC) {
		ask->exec = probe_exec_new(container, rule->command, rule->timeout_s * MS_PER_S,
					   on_command, ask);
	} else if (rule->action == KUBE_PROBE_SLEEP) {
		ask->timer = loop_timer_new(container->pod->pods->config.loop, on_time, ask);
		loop_timer_set(ask->timer, mono_add_ms(clock_mono(), rule->sleep_s * MS_PER_S));
	} else {
		ask_agent(ask);
	}
	return ask;
}
