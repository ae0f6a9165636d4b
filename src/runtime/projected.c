/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a projected volume holds. */
#include "runtime/projected.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/config.h"

enum {
	KEY_MAX = 253, /* of a ConfigMap or Secret, as Kubernetes has it; it becomes a file name */
};

/* An object comes from a steward, but its keys become paths here. */
static bool is_file_name(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len <= KEY_MAX && strcmp(key, ".") != 0 && strncmp(key, "..", 2) != 0 &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
		       len;
}

/* The file at @path, empty; what an earlier source put there is replaced. */
static struct projected_file *file_at(struct projected *projected, const char *path, int mode)
{
	struct projected_file *file;

	for (size_t i = 0; i < projected->count; i++)
		if (strcmp(projected->files[i].path, path) == 0) {
			file = &projected->files[i];
			buf_clear(&file->content);
			file->mode = mode;
			return file;
		}
	if (projected->count == projected->cap) {
		projected->cap = projected->cap ? projected->cap * 2 : 8;
		projected->files =
			mem_resize(projected->files, projected->cap, sizeof(*projected->files));
	}
	file = &projected->files[projected->count++];
	*file = (struct projected_file){.path = mem_strdup(path), .mode = mode};
	return file;
}

struct all_keys {
	const json_t *object;
	const struct volume *volume;
	struct projected *projected;
	int result;
};

static void add_key(void *ctx, const char *key)
{
	struct all_keys *all = ctx;

	if (all->result == 0 && is_file_name(key))
		all->result =
			config_value(all->object, key,
				     &file_at(all->projected, key, all->volume->mode)->content);
}

static int add_all(const json_t *object, const struct projection *projection,
		   const struct volume *volume, struct projected *ret, struct err *err)
{
	struct all_keys all = {.object = object, .volume = volume, .projected = ret};

	config_each_key(object, add_key, &all);
	return all.result == 0 ? 0
			       : err_set(err, all.result, "%s %.200s cannot be read",
					 projection->object.kind, projection->object.name);
}

static int add_item(const json_t *object, const struct projected_item *item,
		    const struct volume *volume, struct projected *ret, struct err *err)
{
	struct projected_file *file;
	struct buf content = {0};
	int r = config_value(object, item->key, &content);

	if (r == -ENOENT)
		return 0; /* optional */
	if (r < 0) {
		buf_deinit(&content);
		return err_set(err, r, "key %.80s cannot be read", item->key);
	}
	file = file_at(ret, item->path, item->mode == POD_ID_UNSET ? volume->mode : item->mode);
	buf_deinit(&file->content);
	file->content = content;
	return 0;
}

static int add_object(const struct pod_facts *facts, const struct projection *projection,
		      const struct volume *volume, const json_t *snapshot, struct projected *ret,
		      struct err *err)
{
	const json_t *object = config_find(snapshot, &projection->object);
	struct object_key key = projection->object;
	int r = config_check(snapshot, &key, facts->spec->namespace, err);

	if (r < 0 || !object)
		return r;
	if (projection->item_count == 0)
		return add_all(object, projection, volume, ret, err);
	for (size_t i = 0; r == 0 && i < projection->item_count; i++) {
		key.key = projection->items[i].key;
		r = config_check(snapshot, &key, facts->spec->namespace, err);
		if (r == 0)
			r = add_item(object, &projection->items[i], volume, ret, err);
	}
	return r;
}

static int add_fields(const struct pod_facts *facts, const struct projection *projection,
		      const struct volume *volume, struct projected *ret, struct err *err)
{
	for (size_t i = 0; i < projection->item_count; i++) {
		const struct projected_item *item = &projection->items[i];
		struct projected_file *file = file_at(
			ret, item->path, item->mode == POD_ID_UNSET ? volume->mode : item->mode);
		bool known =
			item->source == VALUE_FIELD
				? pod_facts_field(facts, item->field_path, &file->content)
				: pod_facts_resource(facts, NULL, &item->resource, &file->content);

		if (!known)
			return err_set(err, -EINVAL, "file %.80s: %.80s is not known", item->path,
				       item->source == VALUE_FIELD ? item->field_path
								   : item->resource.container);
	}
	return 0;
}

int projected_build(const struct pod_facts *facts, const struct volume *volume,
		    const json_t *snapshot, struct projected *ret, struct err *err)
{
	int r = 0;

	*ret = (struct projected){.owner = volume->owner};
	for (size_t i = 0; r == 0 && i < volume->projection_count; i++) {
		const struct projection *projection = &volume->projections[i];

		r = projection->object.kind
			    ? add_object(facts, projection, volume, snapshot, ret, err)
			    : add_fields(facts, projection, volume, ret, err);
	}
	if (r < 0) {
		projected_deinit(ret);
		return err_prefix(err, "volume %s", volume->name);
	}
	return 0;
}

void projected_deinit(struct projected *projected)
{
	for (size_t i = 0; i < projected->count; i++) {
		secret_wipe(projected->files[i].content.ptr, projected->files[i].content.len);
		buf_deinit(&projected->files[i].content);
		free(projected->files[i].path);
	}
	free(projected->files);
	*projected = (struct projected){0};
}
