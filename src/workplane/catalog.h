/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catalog: what names of Services mean, as the machine tells it.
 *
 * What was told holds for a few seconds, and is asked for again while it is in use, so that whoever
 * uses a name does not wait for it. When the machine is silent, because its daemon is being
 * replaced, say, what was told last goes on to hold for a while. An agent without a machine knows
 * of no Services; workloads have names as well.
 */
#pragma once

#include "base/attr.h"
#include "io/loop.h"
#include "ipc/channel.h"
#include "service/names.h"
#include "workplane/mesh.h"

enum {
	CATALOG_TTL_MS = 5000,        /* a change is seen by then */
	CATALOG_REFRESH_MS = 2000,    /* older than that, used: asked for again */
	CATALOG_ABSENT_TTL_MS = 1000, /* what does not exist may just have been applied */
	CATALOG_STALE_MS = 5 * 60 * 1000,
	CATALOG_PATIENCE_MS = 1500, /* of those who wait: resolvers ask again after 5 s */
	CATALOG_ENTRIES_MAX = 256,  /* the one unused for longest gives way */
	CATALOG_WAITING_MAX = 64,   /* for one of them */
	CATALOG_PORTS_MAX = 100,    /* of a Service, as the API allows */
};

enum catalog_kind {
	CATALOG_NONE, /* there is none of that name, nor a workload */
	CATALOG_CLUSTER_IP,
	CATALOG_HEADLESS,
	CATALOG_EXTERNAL_NAME,
	CATALOG_POD,      /* asked by address */
	CATALOG_WORKLOAD, /* no Service, but a workload: every port is its own */
};

struct catalog_service {
	enum catalog_kind kind;
	char namespace[MESSAGE_NAMESPACE_MAX + 1];
	char name[MESSAGE_NAME_MAX + 1];
	struct addr address; /* IPv6; none: it has none */
	struct names_port *ports;
	size_t port_count;
	struct mesh_name targets[MESH_TARGETS_MAX];
	size_t target_count;
	char external_name[NAMES_TEXT_MAX + 1];
	char pod[MESSAGE_NAME_MAX + 1]; /* POD */
	bool not_ready_too;
};

struct catalog;
struct catalog_question;

/* Put a question to the machine; its answer goes to catalog_told(), later. A failure is as no
 * answer. */
typedef int catalog_ask_fn(void *user, const Magik__Ipc__NameAsk *ask);

/* @service is valid within the call; NULL: nobody could tell. */
typedef void catalog_fn(void *user, const struct catalog_service *service);

/* @ask NULL: there is no machine. */
struct catalog *catalog_new(struct loop *loop, catalog_ask_fn *ask, void *user);
void catalog_free(struct catalog *catalog);

/* What the name means, or the address: @fn is called once, within this call (NULL is returned then)
 * or later, unless the question is freed. */
struct catalog_question *catalog_get(struct catalog *catalog, const char *namespace,
				     const char *name, catalog_fn *fn, void *user);
struct catalog_question *catalog_get_address(struct catalog *catalog, const struct addr *address,
					     catalog_fn *fn, void *user);
void catalog_question_free(struct catalog_question *question);

/* The machine has answered; or it is another one now, which has heard nothing yet. */
void catalog_told(struct catalog *catalog, const Magik__Ipc__NameTold *told);
void catalog_relink(struct catalog *catalog);

/* The port of @service that is reached at @number; NULL: none is. */
const struct names_port *catalog_port(const struct catalog_service *service, uint16_t number,
				      enum service_protocol protocol);
