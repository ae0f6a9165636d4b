/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image pulls: bring images into the store, from registries and from archives, without ever holding
 * up the loop. skopeo does the transport as a child process; hashing and unpacking run on a worker
 * thread. Callers who ask for an image that is on its way already wait for that one.
 */
#pragma once

#include <stdbool.h>

#include <uv.h>

#include "base/attr.h"
#include "base/err.h"
#include "runtime/image_store.h"

struct image_puller;

enum {
	/* A slow line needs an hour for a large image; a hanging registry must not hold a slot. */
	IMAGE_PULL_TIMEOUT_MS = 60 * 60 * 1000,
	IMAGE_PULLS_MAX = 4, /* skopeo processes at a time; others queue */
};

/* @r 0, or negative with @err saying why; called from the loop, never from within the request. */
typedef void image_pull_done(void *ctx, int r, const struct err *err);

/* @arrived is called whenever an image has come into the store. */
_must_use_ struct image_puller *image_puller_new(uv_loop_t *loop, struct image_store *store,
						 void (*arrived)(void *ctx), void *ctx);

/* Ends all transports; nobody is called any more. The memory goes when the loop has turned. */
void image_puller_close(struct image_puller *puller);

/* Pull the full reference @name. */
void image_pull(struct image_puller *puller, const char *name, image_pull_done *done, void *ctx);

/* Load the image from skopeo source @source and let @name refer to it. */
void image_load(struct image_puller *puller, const char *source, const char *name,
		image_pull_done *done, void *ctx);

/* Forget all requests of @ctx; what is on its way still arrives. */
void image_pull_cancel(struct image_puller *puller, void *ctx);
