/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image store: contents by digest, layers unpacked once, and the names that refer to them.
 *
 *   images/index.json           name -> manifest digest, and whether it was loaded by hand
 *   images/blobs/sha256/<hex>   manifests, configurations and layers as they came
 *   images/layers/<hex>/        a layer unpacked, ready for overlayfs
 *   images/tmp/                 what is under way; emptied at start
 *
 * An image is known by the digest of its manifest. Every blob is hashed here before it is used,
 * whoever brought it. Safe for use from several threads; imports take turns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "runtime/image_config.h"

struct image_store;

enum {
	IMAGE_ID_MAX = 72, /* "sha256:" and 64 hex digits */
	IMAGE_NAMES_MAX = 4096,
};

/* An image ready to be run. */
struct image {
	char id[IMAGE_ID_MAX];
	struct image_config config;
	char **layers; /* hex digests: names of directories below layers/, lowest first */
	size_t layer_count;
};

/* One line of a listing; the strings are borrowed during the callback. */
struct image_entry {
	const char *name, *id;
	uint64_t bytes; /* of its blobs */
	bool loaded;    /* by hand, not pulled */
};

_must_use_ int image_store_open(const char *dir, struct image_store **ret_store, struct err *err);
struct image_store *image_store_free(struct image_store *store);

/* The directories that skopeo and the mounter need. Valid while the store is. */
const char *image_store_blobs(const struct image_store *store);
const char *image_store_layers(const struct image_store *store);
const char *image_store_tmp(const struct image_store *store);

/* Whether the full reference @name is present; *ret_loaded (may be NULL) whether by hand. */
bool image_store_has(struct image_store *store, const char *name, bool *ret_loaded);

/* Look @name up; -ENOENT. The caller frees with image_deinit(). */
_must_use_ int image_store_get(struct image_store *store, const char *name, struct image *ret_image,
			       struct err *err);
void image_deinit(struct image *image);

/*
 * Take in the one image of the OCI layout in @layout_dir, whose blobs lie in the store's blob
 * directory already: verify, unpack what is new, and let @name refer to it. Blocks.
 */
_must_use_ int image_store_import(struct image_store *store, const char *layout_dir,
				  const char *name, bool loaded, struct err *err);

/* A container runs from image @id, or has ended: what it is made of stays on disk while it does. */
void image_store_use(struct image_store *store, const char *id);
void image_store_unuse(struct image_store *store, const char *id);

/* Blobs are arriving that no name refers to yet, or no longer: between, nothing is swept. */
void image_store_hold(struct image_store *store);
void image_store_release(struct image_store *store);

/* Forget @name, and remove what no other name needs. -ENOENT; -EBUSY if a container uses it. */
_must_use_ int image_store_remove(struct image_store *store, const char *name, struct err *err);

void image_store_list(struct image_store *store,
		      void (*found)(void *ctx, const struct image_entry *entry), void *ctx);
