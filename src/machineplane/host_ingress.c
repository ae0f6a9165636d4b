/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections by node ports: to a pod of this machine, because a Service says that whoever asks is
 * let in. The fabric process passes the Service on as it was signed, and brings the connection;
 * which pods and which port are opened by it is judged here. Whoever breaks that process reaches
 * no pod that no Service has opened to everybody.
 */
#include <string.h>

#include <jansson.h>

#include "kube/member.h"
#include "kube/node_port.h"
#include "kube/service.h"
#include "machineplane/host_core.h"

static int refuse(struct err *err)
{
	return err_set_status(err, -EACCES, 403, "no Service opens that pod at this port");
}

/* The port of @pod that @service opens at @number. */
static int judge(const struct host *host, const json_t *service, const struct uid *pod,
		 uint16_t number, uint16_t *ret_port, struct err *err)
{
	const json_t *port = kube_node_port_find(service, number);
	const json_t *manifest = pods_manifest(host->pods, pod);
	const char *namespace = pods_namespace(host->pods, pod);

	if (!manifest || !namespace)
		return err_set_status(err, -ENOENT, 404, "the pod is not on this machine");
	if (!port || strcmp(kube_member_string(service, "metadata.namespace"), namespace) != 0 ||
	    !kube_service_selects(service, manifest))
		return refuse(err);
	*ret_port = kube_service_target(port, manifest);
	return *ret_port ? 0 : refuse(err);
}

static int judge_signed(const struct host *host, const Magik__Ipc__IngressOpen *request,
			const struct uid *pod, uint16_t *ret_port, struct err *err)
{
	struct record record = {0};
	json_t *service;
	int r = host_object_verify(host, request->service, &record, err);

	if (r < 0)
		return r;
	service = record.key.kind == RECORD_OBJECT && strcmp(record.object.kind, "Service") == 0
			  ? host_object_read(&record)
			  : NULL;
	r = service ? judge(host, service, pod, (uint16_t)request->node_port, ret_port, err)
		    : refuse(err);
	json_decref(service);
	record_deinit(&record);
	return r;
}

void host_ingress_open(struct host *host, const Magik__Ipc__IngressOpen *request)
{
	struct err err = {0};
	struct uid pod;
	uint16_t port = 0;
	int r;

	if (!request->service || !uid_parse(request->pod_uid, &pod) || request->node_port == 0 ||
	    request->node_port > UINT16_MAX)
		r = err_set_status(&err, -EINVAL, 400, "malformed pod uid, port or Service");
	else
		r = judge_signed(host, request, &pod, &port, &err);
	if (r == 0)
		r = host_port_connect(host, request->request_id, &pod, port, &err);
	if (r < 0)
		host_stream_reply(host, request->request_id, &err, -1);
}
