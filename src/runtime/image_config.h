/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image configuration: what an image says about how it wants to be run (OCI image specification,
 * config.md). Foreign input: every size is bounded, nothing is trusted.
 */
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "runtime/pod_spec.h"

enum {
	IMAGE_CONFIG_MAX = 4 << 20, /* bytes of JSON, as of manifests */
	IMAGE_LAYERS_MAX = 127,     /* what overlay-based engines allow */
};

/* Owns the JSON its strings point into. */
struct image_config {
	json_t *root;
	struct strings entrypoint, command, env;
	const char *working_dir; /* NULL: none */
	const char *user;        /* "", "user", "uid:gid", ... */
	const char *stop_signal; /* NULL: SIGTERM */
	const char *architecture;
};

_must_use_ int image_config_parse(struct bytes json, struct image_config *ret_config,
				  struct err *err);
void image_config_deinit(struct image_config *config);

/* The number of "SIGQUIT", "QUIT" or "3"; 0 if it is none. */
int image_config_signal(const char *text);
