/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the agent: each from the command line, else from the environment, else its default.
 * options.c holds the one table of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	OPTIONS_FD_NONE = -1,
	OPTIONS_LIST_MAX = 32, /* times that one option may be given */
	OPTIONS_ITEM_MAX = 512,
};

#define OPTIONS_CONTROL_NAME "agent.sock"

/* An option that may be given several times, each a list with commas. */
struct option_list {
	const char *text[OPTIONS_LIST_MAX];
	size_t count;
};

/* All strings are borrowed from argv and the environment. */
struct options {
	const char *namespace;
	const char *workload; /* required */
	const char *pod;      /* required */
	const char *workload_kind;
	int64_t replicas;
	const char *liveness_url, *readiness_url;
	const char *machine_api;
	const char *privkey, *cert, *root; /* files; the key also as base64 */
	struct option_list bootstrap_peers, listen_addrs;
	struct option_list allow_workloads, deny_workloads;
	bool allow_cross_namespace;
	struct option_list publish, forward;
	const char *prefer;
	const char *group_dir; /* the disk of a member of the workload's group; NULL: it is none */
	const char *group_listen; /* where the application asks (group_server.h) */
	bool group_birth;         /* it founds the group, if its disk is empty */
	int64_t epoch;            /* of the ordinal */
	int64_t group_recover;    /* 0; an operator gives a lost majority up, under this epoch */
	const char *pod_uid;      /* NULL: one that follows from the name */
	int64_t drain_s;
	int64_t dht_ttl_s, dht_heartbeat_s;
	int64_t health_interval_s, health_timeout_s;
	int64_t replica_check_interval_s;
	/* Set by the host process that starts the agent, not by people. */
	const char *hostname;           /* NULL: the pod's name */
	int64_t report_fd;              /* socket: "ready" or a reason, then a byte back */
	const char *control_dir;        /* where to listen for the host process; NULL: do not */
	const char *empty_dir;          /* to be the root directory; NULL: keep it */
	int64_t net_fd, ipc_fd, uts_fd; /* namespaces to join instead of making new ones */
	/* In front of the pod (front.h), and to the machine's resolvers (forward.h). */
	int64_t front_tcp_fd, front_udp_fd, front_raw4_fd, front_raw6_fd, resolve_fd;
	const char *resolvers;
	int64_t account_fd;           /* for its application (account.h) */
	int64_t mesh_fd;              /* the UDP socket for other agents */
	const char *mesh_address;     /* where they reach it */
	const char *workload_uid;     /* NULL: none */
	int64_t ordinal;              /* -1: none; by hand, the end of a StatefulSet pod's name */
	const char *machine, *region; /* what other pods of the machine are told too; hex */
	char *const
		*command; /* behind "--": the application to be run as its first process; or NULL */
	bool help;
};

/* @argv as main() has it; @lookup is getenv() or a test's own. -EINVAL with a sentence in @err. */
_must_use_ int options_parse(int argc, char **argv, const char *(*lookup)(const char *name),
			     struct options *ret_options, struct err *err);

/* The next item of a list into @text, without blanks around it; false at its end. Begin with a
 * zeroed @at. An item longer than OPTIONS_ITEM_MAX is cut, and is then nothing that anybody takes.
 */
struct option_place {
	size_t index;
	const char *rest;
};
_must_use_ bool options_next(const struct option_list *list, struct option_place *at,
			     char text[OPTIONS_ITEM_MAX + 1]);

/* One line per option for --help, through @print. */
void options_explain(void (*print)(const char *line));
