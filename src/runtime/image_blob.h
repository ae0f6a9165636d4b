/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image blobs: files named by their SHA-256, and the two kinds of JSON among them that say how they
 * belong together (OCI image specification: manifest.md, image-layout.md). Digests are text,
 * "sha256:<64 hex digits>"; no other algorithm is taken.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
	IMAGE_MANIFEST_MAX = 4 << 20, /* OCI distribution specification: 4 MiB */
};

/* Owns the JSON that its digests point into; all of them are well-formed. */
struct image_manifest {
	json_t *root;
	const char *config;
	const char **layers; /* lowest first */
	size_t layer_count;
};

/* The hex digits of a well-formed digest. */
const char *image_blob_hex(const char *digest);

/* A descriptor to read from, or a negative errno. */
int image_blob_open(const char *blobs, const char *digest);

_must_use_ int image_blob_read(const char *blobs, const char *digest, size_t max, struct buf *out,
			       struct err *err);

/* Hash the blob; -EBADMSG if its content is not what its name says, and then it is removed. Its
 * size is added to *@bytes. */
_must_use_ int image_blob_verify(const char *blobs, const char *digest, uint64_t *bytes,
				 struct err *err);

_must_use_ int image_manifest_read(const char *blobs, const char *digest,
				   struct image_manifest *ret_manifest, struct err *err);
void image_manifest_deinit(struct image_manifest *manifest);

/* The digest of the only manifest in the index.json of @layout_dir; @ret_id: IMAGE_ID_MAX bytes. */
_must_use_ int image_layout_read(const char *layout_dir, char *ret_id, struct err *err);
