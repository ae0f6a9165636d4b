/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: what a name asked in a pod may mean.
 *
 * An unmodified resolver in a pod has the search list "<ns>.svc.cluster.local svc.cluster.local
 * cluster.local" and ndots:5, so it asks "web" as web.<ns>.svc.cluster.local, "web.shop" first as
 * web.shop.<ns>.svc.cluster.local and then as web.shop.svc.cluster.local, and "example.org" three
 * times below cluster.local before it asks for example.org itself. Resolvers without a search list
 * ask for the short name as it is. So one name may have several readings; who knows what there is
 * takes the first that exists. If none does, a name below cluster.local does not exist, and any
 * other one is the host's resolvers' to answer.
 *
 *	web, web.shop, web.shop.svc, web.shop.svc.cluster.local     a service
 *	db-0.db, db-0.db.shop, db-0.db.shop.svc[.cluster.local]     one pod of a service
 *	_http._tcp.web, _http._tcp.web.shop[.svc[.cluster.local]]   its port (SRV)
 *	x.y.z.240.in-addr.arpa, ....ip6.arpa                        an address (PTR)
 */
#pragma once

#include "base/addr.h"
#include "service/label.h"
#include "wire/work.h"

#define NAMES_DOMAIN "cluster.local"

enum {
	NAMES_READINGS_MAX = 2, /* "a.b": pod a of b here, service a in b */
	NAMES_TEXT_MAX = 255,   /* a DNS name as text */
};

enum names_what {
	NAMES_SERVICE,
	NAMES_POD,
	NAMES_PORT,
	NAMES_ADDRESS,
	NAMES_BRANCH, /* a name that exists because others lie below it: svc.cluster.local */
};

struct names_reading {
	enum names_what what;
	char namespace[LABEL_MAX + 1];
	char service[LABEL_MAX + 1];
	char pod[LABEL_MAX + 1];           /* POD: its host name */
	char port[WORK_PORT_NAME_MAX + 1]; /* PORT */
	enum service_protocol protocol;
	struct addr addr; /* ADDRESS, without a port */
};

struct names_readings {
	struct names_reading list[NAMES_READINGS_MAX];
	size_t count; /* 0: no name of ours */
	bool ours;    /* below cluster.local: when no reading exists, the name does not */
};

/* Read @name as it was asked in a pod of @namespace: any case, with or without a last dot. */
struct names_readings names_read(const char *name, const char *namespace);

/* How a Service of Kubernetes answers. */
enum names_kind {
	NAMES_CLUSTER_IP,    /* one virtual address for all its ready replicas */
	NAMES_HEADLESS,      /* an address for each ready replica */
	NAMES_EXTERNAL_NAME, /* a CNAME */
};

struct names_port {
	char name[WORK_PORT_NAME_MAX + 1];
	char target_name[WORK_PORT_NAME_MAX + 1]; /* of the pods' ports; "": target_number holds */
	uint16_t number, target_number;           /* asked for, and bound by the pods */
	enum service_protocol protocol;
};

/* The port of @record that @port leads to: by number, or by the name that this very pod has given
 * it, which may differ from pod to pod. 0: it has none of that name. */
uint16_t names_target(const struct names_port *port, const struct service_record *record);
