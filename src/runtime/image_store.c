/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "runtime/files.h"
#include "runtime/image_blob.h"
#include "runtime/layer_extract.h"

enum {
	INDEX_MAX = 16 << 20,
};

struct image_store {
	char *dir, *blobs, *layers, *tmp;
	pthread_mutex_t index_lock;  /* held for moments */
	pthread_mutex_t import_lock; /* held while unpacking; taken before index_lock */
	json_t *index;               /* name -> {id, bytes, loaded} */
	json_t *used;                /* id -> how many containers run from it */
	unsigned holds;
};

static int index_save(struct image_store *store, struct err *err)
{
	struct path path = path_format("%s/index.json", store->dir);
	char *text = json_dumps(store->index, JSON_INDENT(1) | JSON_SORT_KEYS);
	int r = text ? file_write(path.text, bytes_str(text), 0600) : -ENOMEM;

	free(text);
	return r < 0 ? err_set(err, r, "write %s: %s", path.text, strerror(-r)) : 0;
}

static int index_load(struct image_store *store, struct err *err)
{
	struct path path = path_format("%s/index.json", store->dir);
	struct buf text = {0};
	json_error_t where;
	int r = file_read(path.text, INDEX_MAX, &text);

	store->index = r == 0 ? json_loadb((const char *)text.ptr, text.len, 0, &where) : NULL;
	buf_deinit(&text);
	if (r == -ENOENT) {
		store->index = json_object();
		return 0;
	}
	if (!json_is_object(store->index))
		return err_set(err, r < 0 ? r : -EINVAL, "%s cannot be read", path.text);
	return 0;
}

int image_store_open(const char *dir, struct image_store **ret_store, struct err *err)
{
	struct image_store *store = mem_new(struct image_store);
	int r;

	store->dir = mem_strdup(dir);
	store->used = json_object();
	store->blobs = mem_strdup(path_format("%s/blobs", dir).text);
	store->layers = mem_strdup(path_format("%s/layers", dir).text);
	store->tmp = mem_strdup(path_format("%s/tmp", dir).text);
	(void)pthread_mutex_init(&store->index_lock, NULL);
	(void)pthread_mutex_init(&store->import_lock, NULL);
	(void)!tree_remove(store->tmp);
	r = dir_make(store->blobs, 0700);
	if (r == 0)
		r = dir_make(store->layers, 0700);
	if (r == 0)
		r = dir_make(store->tmp, 0700);
	if (r < 0)
		(void)err_set(err, r, "image store %s: %s", dir, strerror(-r));
	else
		r = index_load(store, err);
	if (r < 0) {
		(void)image_store_free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

struct image_store *image_store_free(struct image_store *store)
{
	if (!store)
		return NULL;
	json_decref(store->index);
	json_decref(store->used);
	(void)pthread_mutex_destroy(&store->index_lock);
	(void)pthread_mutex_destroy(&store->import_lock);
	free(store->dir);
	free(store->blobs);
	free(store->layers);
	free(store->tmp);
	free(store);
	return NULL;
}

const char *image_store_blobs(const struct image_store *store)
{
	return store->blobs;
}

const char *image_store_layers(const struct image_store *store)
{
	return store->layers;
}

const char *image_store_tmp(const struct image_store *store)
{
	return store->tmp;
}

bool image_store_has(struct image_store *store, const char *name, bool *ret_loaded)
{
	const json_t *entry;
	bool found;

	(void)pthread_mutex_lock(&store->index_lock);
	entry = json_object_get(store->index, name);
	found = entry != NULL;
	if (ret_loaded)
		*ret_loaded = json_is_true(json_object_get(entry, "loaded"));
	(void)pthread_mutex_unlock(&store->index_lock);
	return found;
}

void image_deinit(struct image *image)
{
	image_config_deinit(&image->config);
	for (size_t i = 0; i < image->layer_count; i++)
		free(image->layers[i]);
	free(image->layers);
	*image = (struct image){0};
}

/* Read manifest and configuration of image @id, "sha256:<hex>". */
static int image_read(const struct image_store *store, const char *id, struct image *ret_image,
		      struct err *err)
{
	struct image_manifest manifest;
	struct image image = {0};
	struct buf config = {0};
	int r = image_manifest_read(store->blobs, id, &manifest, err);

	if (r < 0)
		return r;
	r = image_blob_read(store->blobs, manifest.config, IMAGE_CONFIG_MAX, &config, err);
	if (r == 0)
		r = image_config_parse(bytes_buf(&config), &image.config, err);
	buf_deinit(&config);
	if (r == 0) {
		(void)snprintf(image.id, sizeof(image.id), "%s", id);
		image.layer_count = manifest.layer_count;
		image.layers = mem_alloc(manifest.layer_count + 1, sizeof(char *));
		for (size_t i = 0; i < manifest.layer_count; i++)
			image.layers[i] = mem_strdup(image_blob_hex(manifest.layers[i]));
		*ret_image = image;
	}
	image_manifest_deinit(&manifest);
	return r;
}

int image_store_get(struct image_store *store, const char *name, struct image *ret_image,
		    struct err *err)
{
	char id[IMAGE_ID_MAX] = {0};
	const char *found;

	(void)pthread_mutex_lock(&store->index_lock);
	found = json_string_value(json_object_get(json_object_get(store->index, name), "id"));
	if (found)
		(void)snprintf(id, sizeof(id), "%s", found);
	(void)pthread_mutex_unlock(&store->index_lock);
	if (id[0] == '\0')
		return err_set_status(err, -ENOENT, 404, "image %.150s is not present", name);
	return image_read(store, id, ret_image, err);
}

/* Unpack one verified layer beside its final place, then put it there at once. */
static int unpack(struct image_store *store, const char *digest, struct err *err)
{
	struct path final = path_format("%s/%s", store->layers, image_blob_hex(digest));
	struct path temporary = path_format("%s/layer", store->tmp);
	int root_fd, blob_fd, r;

	if (path_exists(final.text))
		return 0;
	(void)!tree_remove(temporary.text);
	r = dir_make(temporary.text, 0755);
	if (r < 0)
		return err_set(err, r, "make %s: %s", temporary.text, strerror(-r));
	blob_fd = image_blob_open(store->blobs, digest);
	root_fd = open(temporary.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (blob_fd < 0 || root_fd < 0)
		r = err_set(err, -EIO, "open layer %.20s", digest);
	else
		r = layer_extract(blob_fd, root_fd, LAYER_LIMITS_DEFAULT, err);
	/* On disk before it has its name: after a power cut it is whole or absent. */
	if (r == 0 && syncfs(root_fd) < 0)
		r = err_set(err, -errno, "sync layer: %s", strerror(errno));
	if (blob_fd >= 0)
		(void)close(blob_fd);
	if (root_fd >= 0)
		(void)close(root_fd);
	if (r == 0 && rename(temporary.text, final.text) < 0)
		r = err_set(err, -errno, "rename layer: %s", strerror(errno));
	if (r < 0)
		(void)!tree_remove(temporary.text);
	return r;
}

/* Hash every blob of the image, then unpack its layers. */
static int take_in(struct image_store *store, const char *id, uint64_t *ret_bytes, struct err *err)
{
	struct image_manifest manifest;
	struct image image;
	int r = image_blob_verify(store->blobs, id, ret_bytes, err);

	if (r == 0)
		r = image_manifest_read(store->blobs, id, &manifest, err);
	if (r < 0)
		return r;
	r = image_blob_verify(store->blobs, manifest.config, ret_bytes, err);
	for (size_t i = 0; r == 0 && i < manifest.layer_count; i++)
		r = image_blob_verify(store->blobs, manifest.layers[i], ret_bytes, err);
	for (size_t i = 0; r == 0 && i < manifest.layer_count; i++)
		r = unpack(store, manifest.layers[i], err);
	image_manifest_deinit(&manifest);
	if (r == 0)
		r = image_read(store, id, &image, err);
	if (r == 0)
		image_deinit(&image);
	return r;
}

int image_store_import(struct image_store *store, const char *layout_dir, const char *name,
		       bool loaded, struct err *err)
{
	char id[IMAGE_ID_MAX];
	uint64_t bytes = 0;
	int r = image_layout_read(layout_dir, id, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&store->import_lock);
	r = take_in(store, id, &bytes, err);
	if (r == 0) {
		(void)pthread_mutex_lock(&store->index_lock);
		if (json_object_size(store->index) >= IMAGE_NAMES_MAX)
			r = err_set(err, -ENOSPC, "more than %d image names", IMAGE_NAMES_MAX);
		else
			(void)json_object_set_new(store->index, name,
						  json_pack("{s:s,s:I,s:b}", "id", id, "bytes",
							    (json_int_t)bytes, "loaded", loaded));
		if (r == 0)
			r = index_save(store, err);
		(void)pthread_mutex_unlock(&store->index_lock);
	}
	(void)pthread_mutex_unlock(&store->import_lock);
	return r;
}

static void count_use(struct image_store *store, const char *id, int change)
{
	json_int_t count;

	(void)pthread_mutex_lock(&store->index_lock);
	count = json_integer_value(json_object_get(store->used, id)) + change;
	if (count > 0)
		(void)json_object_set_new(store->used, id, json_integer(count));
	else
		(void)json_object_del(store->used, id);
	(void)pthread_mutex_unlock(&store->index_lock);
}

void image_store_use(struct image_store *store, const char *id)
{
	count_use(store, id, 1);
}

void image_store_unuse(struct image_store *store, const char *id)
{
	count_use(store, id, -1);
}

void image_store_hold(struct image_store *store)
{
	(void)pthread_mutex_lock(&store->index_lock);
	store->holds++;
	(void)pthread_mutex_unlock(&store->index_lock);
}

void image_store_release(struct image_store *store)
{
	(void)pthread_mutex_lock(&store->index_lock);
	store->holds--;
	(void)pthread_mutex_unlock(&store->index_lock);
}

static void need_image(struct image_store *store, const char *id, json_t *needed)
{
	struct image_manifest manifest;
	struct err ignored;

	if (!id || image_manifest_read(store->blobs, id, &manifest, &ignored) < 0)
		return;
	(void)json_object_set_new(needed, image_blob_hex(id), json_true());
	(void)json_object_set_new(needed, image_blob_hex(manifest.config), json_true());
	for (size_t i = 0; i < manifest.layer_count; i++)
		(void)json_object_set_new(needed, image_blob_hex(manifest.layers[i]), json_true());
	image_manifest_deinit(&manifest);
}

/* All digests that names or containers still need, as keys of an object. */
static json_t *collect_needed(struct image_store *store)
{
	json_t *needed = json_object(), *entry;
	const char *key;

	json_object_foreach (store->index, key, entry)
		need_image(store, json_string_value(json_object_get(entry, "id")), needed);
	json_object_foreach (store->used, key, entry)
		need_image(store, key, needed);
	return needed;
}

static void sweep(const char *dir_path, const json_t *needed)
{
	DIR *dir = opendir(dir_path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct path path;

		if (entry->d_name[0] == '.' || json_object_get(needed, entry->d_name))
			continue;
		path = path_format("%s/%s", dir_path, entry->d_name);
		(void)!tree_remove(path.text);
	}
	(void)closedir(dir);
}

static int forget(struct image_store *store, const char *name, struct err *err)
{
	const char *id =
		json_string_value(json_object_get(json_object_get(store->index, name), "id"));

	if (!id)
		return err_set_status(err, -ENOENT, 404, "image %.150s is not present", name);
	if (json_object_get(store->used, id))
		return err_set_status(err, -EBUSY, 409, "image %.150s is in use by a pod", name);
	(void)json_object_del(store->index, name);
	return index_save(store, err);
}

int image_store_remove(struct image_store *store, const char *name, struct err *err)
{
	json_t *needed = NULL;
	int r;

	(void)pthread_mutex_lock(&store->import_lock);
	(void)pthread_mutex_lock(&store->index_lock);
	r = forget(store, name, err);
	/* A later removal sweeps what this one had to leave. */
	if (r == 0 && store->holds == 0)
		needed = collect_needed(store);
	if (needed) {
		sweep(store->layers, needed);
		sweep(path_format("%s/sha256", store->blobs).text, needed);
	}
	(void)pthread_mutex_unlock(&store->index_lock);
	(void)pthread_mutex_unlock(&store->import_lock);
	json_decref(needed);
	return r;
}

void image_store_list(struct image_store *store,
		      void (*found)(void *ctx, const struct image_entry *entry), void *ctx)
{
	const char *name;
	json_t *entry;

	(void)pthread_mutex_lock(&store->index_lock);
	json_object_foreach (store->index, name, entry) {
		const char *id = json_string_value(json_object_get(entry, "id"));

		found(ctx, &(struct image_entry){
				   .name = name,
				   .id = id ? id : "",
				   .bytes = (uint64_t)json_integer_value(
					   json_object_get(entry, "bytes")),
				   .loaded = json_is_true(json_object_get(entry, "loaded")),
			   });
	}
	(void)pthread_mutex_unlock(&store->index_lock);
}
