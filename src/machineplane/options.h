/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options: what the operator asked for, from the command line, MAGIK_* variables and a file.
 *
 * The command line wins over the environment, the environment over the file (--config, YAML or
 * JSON: one mapping of option names without dashes). Every option of the table in options.c can
 * come from each of them: --rest-api-port, MAGIK_REST_API_PORT, "rest-api-port: 3000". An unknown
 * one is an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/err.h"
#include "overlay/overlay.h"
#include "wire/message.h"

enum {
	OPTIONS_BOOTSTRAP_MAX = 16,
	OPTIONS_FILE_MAX = 64 * 1024,
	OPTIONS_REST_PORT = 3000, /* the port the documents name */
	OPTIONS_POOL_MAX = OVERLAY_MEMBERS_MAX,
	OPTIONS_RESOURCE_MAX = 1000000, /* of one extended resource: a slip otherwise */
	OPTIONS_OVERCOMMIT_MAX = 16,    /* beyond this every pod would crawl */
	OPTIONS_PODS_MAX = 20000,       /* RECORDS_PER_WRITER_MAX: each is a record */
	OPTIONS_POD_CERTIFICATE_MIN_S =
		10, /* renewed from half of it on: a busy machine needs it */
	OPTIONS_POD_CERTIFICATE_MAX_S = 30 * 24 * 3600, /* CERT_POD_LIFE_MS */
	OPTIONS_NULL_DELAY_MS = 5,               /* what a container takes to start, roughly */
	OPTIONS_NULL_DELAY_MAX_MS = 3600 * 1000, /* more than any test waits */
};

struct options {
	char *node_name;
	char *state_dir, *run_dir; /* absolute after options_read() */
	char *rest_host;
	uint16_t rest_port;
	bool rest_insecure;
	char *mesh_host;
	uint16_t mesh_port; /* 0: any */
	struct addr_peer bootstrap[OPTIONS_BOOTSTRAP_MAX];
	size_t bootstrap_count;
	char *join;    /* token text, NULL: none */
	char *runtime; /* NULL: the best that works; "null" only when asked for */
	int64_t null_delay_ms;
	uint32_t pods_max; /* 0: host.h's HOST_PODS_MAX */
	size_t pool;       /* connections kept to others */
	bool records_stay; /* node_config.records_stay */
	struct label labels[MESSAGE_LABELS_MAX];
	size_t label_count;
	struct taint taints[MESSAGE_TAINTS_MAX];
	size_t taint_count;
	struct resource resources[MESSAGE_RESOURCES_MAX];
	size_t resource_count;
	uint32_t overcommit; /* of CPU, in thousandths: 1000 promises what there is */
	int64_t reserve_cpu_milli, reserve_memory_bytes;
	bool no_schedule;
	bool ephemeral_keys;
	bool drain;
	int64_t pod_certificate_ms; /* of those that this machine signs; 0: CERT_POD_LIFE_MS */
	bool log_json;
	char *workplane;   /* NULL: beside this binary */
	char *policy_file; /* NULL: the strict default */
	char *notice;      /* options that were accepted and do nothing, for the log; NULL: none */
};

enum options_result {
	_OPTIONS_E_OK,
	OPTIONS_E_HELP,    /* --help: the text has been printed */
	OPTIONS_E_VERSION, /* --version: printed */
};

/* 0, OPTIONS_E_*, or -EINVAL with a sentence in @err. @options is filled as far as it went; call
 * options_deinit() in any case. */
_must_use_ int options_read(int argc, char **argv, struct options *options, struct err *err);
void options_deinit(struct options *options);
