/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_blob.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/id.h"
#include "base/mem.h"
#include "runtime/files.h"
#include "runtime/image_config.h"
#include "runtime/image_store.h"

#define DIGEST_PREFIX "sha256:"

static bool is_digest(const char *text)
{
	const char *prefix = DIGEST_PREFIX;
	size_t len = strlen(prefix);

	return text && strncmp(text, prefix, len) == 0 &&
	       strspn(text + len, "0123456789abcdef") == ID_HEX_LEN &&
	       text[len + ID_HEX_LEN] == '\0';
}

const char *image_blob_hex(const char *digest)
{
	return digest + strlen(DIGEST_PREFIX);
}

static struct path blob_path(const char *blobs, const char *digest)
{
	return path_format("%s/sha256/%s", blobs, image_blob_hex(digest));
}

int image_blob_open(const char *blobs, const char *digest)
{
	struct path path = blob_path(blobs, digest);
	int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

int image_blob_read(const char *blobs, const char *digest, size_t max, struct buf *out,
		    struct err *err)
{
	struct path path = blob_path(blobs, digest);
	int r = file_read(path.text, max, out);

	return r < 0 ? err_set(err, r, "image blob %.20s: %s", digest, strerror(-r)) : 0;
}

static int hash_fd(int fd, struct digest *ret_digest, uint64_t *bytes)
{
	enum {
		CHUNK = 256 * 1024,
	};
	char *chunk = mem_alloc(1, CHUNK);
	gnutls_hash_hd_t hash;
	int r = 0;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0) {
		free(chunk);
		return err_origin(-EIO);
	}
	for (;;) {
		ssize_t got = read(fd, chunk, CHUNK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = err_origin(-errno);
		if (got <= 0)
			break;
		(void)gnutls_hash(hash, chunk, (size_t)got);
		*bytes += (uint64_t)got;
	}
	gnutls_hash_deinit(hash, ret_digest->byte);
	free(chunk);
	return r;
}

int image_blob_verify(const char *blobs, const char *digest, uint64_t *bytes, struct err *err)
{
	struct digest named, found;
	int fd = image_blob_open(blobs, digest), r;

	if (fd < 0)
		return err_set(err, fd, "image blob %.20s: %s", digest, strerror(-fd));
	r = hash_fd(fd, &found, bytes);
	(void)close(fd);
	if (r < 0)
		return err_set(err, r, "read image blob %.20s: %s", digest, strerror(-r));
	if (digest_parse(image_blob_hex(digest), &named) && digest_equal(&named, &found))
		return 0;
	(void)unlink(blob_path(blobs, digest).text);
	return err_set(err, -EBADMSG, "image blob %.20s has another content than its digest says",
		       digest);
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "image %s is malformed", what);
}

int image_manifest_read(const char *blobs, const char *digest, struct image_manifest *ret_manifest,
			struct err *err)
{
	struct image_manifest manifest = {0};
	struct buf text = {0};
	const json_t *layers;
	json_error_t where;
	int r = image_blob_read(blobs, digest, IMAGE_MANIFEST_MAX, &text, err);

	if (r == 0)
		manifest.root = json_loadb((const char *)text.ptr, text.len, 0, &where);
	buf_deinit(&text);
	if (r < 0)
		return r;
	layers = json_object_get(manifest.root, "layers");
	manifest.config = json_string_value(
		json_object_get(json_object_get(manifest.root, "config"), "digest"));
	manifest.layer_count = json_array_size(layers);
	manifest.layers = mem_alloc(manifest.layer_count + 1, sizeof(char *));
	if (!is_digest(manifest.config) || !json_is_array(layers) ||
	    manifest.layer_count > IMAGE_LAYERS_MAX)
		r = malformed(err, "manifest");
	for (size_t i = 0; r == 0 && i < manifest.layer_count; i++) {
		manifest.layers[i] =
			json_string_value(json_object_get(json_array_get(layers, i), "digest"));
		if (!is_digest(manifest.layers[i]))
			r = malformed(err, "manifest");
	}
	if (r < 0) {
		image_manifest_deinit(&manifest);
		return r;
	}
	*ret_manifest = manifest;
	return 0;
}

void image_manifest_deinit(struct image_manifest *manifest)
{
	free(manifest->layers);
	json_decref(manifest->root);
	*manifest = (struct image_manifest){0};
}

int image_layout_read(const char *layout_dir, char *ret_id, struct err *err)
{
	struct path path = path_format("%s/index.json", layout_dir);
	struct buf text = {0};
	const json_t *manifests;
	const char *digest;
	json_error_t where;
	json_t *index = NULL;
	int r = file_read(path.text, IMAGE_MANIFEST_MAX, &text);

	if (r == 0)
		index = json_loadb((const char *)text.ptr, text.len, 0, &where);
	buf_deinit(&text);
	manifests = json_object_get(index, "manifests");
	digest = json_string_value(json_object_get(json_array_get(manifests, 0), "digest"));
	if (json_array_size(manifests) != 1 || !is_digest(digest))
		r = malformed(err, "layout");
	else
		(void)snprintf(ret_id, IMAGE_ID_MAX, "%s", digest);
	json_decref(index);
	return r < 0 ? r : 0;
}
