/* SPDX-License-Identifier: Apache-2.0 */
/* The volumes of a pod, as its manifest asks for them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/name.h"
#include "runtime/pod_spec_read.h"
#include "runtime/svid.h"

enum {
	MODE_DEFAULT = 0644,
	MODE_MAX = 0777,
	MODE_OWNER = 0400,
	MODE_GROUP = 0440,
	MODE_ALL = 0444,
};

static int read_mode(const json_t *object, const char *key, int otherwise, int *ret,
		     struct err *err)
{
	const json_t *value = json_object_get(object, key);
	json_int_t mode = json_integer_value(value);

	*ret = otherwise;
	if (!value)
		return 0;
	if (!json_is_integer(value) || mode < 0 || mode > MODE_MAX)
		return spec_malformed(err, key);
	*ret = (int)mode;
	return 0;
}

static int read_source(const json_t *item, struct projected_item *ret, struct err *err)
{
	const json_t *field = json_object_get(item, "fieldRef");
	const json_t *resource = json_object_get(item, "resourceFieldRef");

	ret->key = spec_text(item, "key");
	ret->field_path = spec_text(field, "fieldPath");
	if (ret->key) {
		ret->source = VALUE_OBJECT;
		return 0;
	}
	if (resource) {
		ret->source = VALUE_RESOURCE;
		if (!json_object_get(resource, "containerName"))
			return spec_malformed(err, "resourceFieldRef without containerName");
		return spec_read_resource_field(resource, &ret->resource, err);
	}
	ret->source = VALUE_FIELD;
	return ret->field_path ? 0 : spec_malformed(err, "items");
}

static int read_items(const json_t *list, struct projection *ret, struct err *err)
{
	size_t count = json_array_size(list);

	if (list && (!json_is_array(list) || count > POD_ITEMS_MAX))
		return spec_malformed(err, "items");
	ret->items = mem_alloc(count + 1, sizeof(*ret->items));
	for (; ret->item_count < count; ret->item_count++) {
		const json_t *from = json_array_get(list, ret->item_count);
		struct projected_item *item = &ret->items[ret->item_count];
		int r = read_source(from, item, err);

		if (r == 0)
			r = read_mode(from, "mode", POD_ID_UNSET, &item->mode, err);
		if (r < 0)
			return r;
		item->path = spec_text(from, "path");
		if (!spec_is_relative_path(item->path) ||
		    (item->source == VALUE_OBJECT) != (ret->object.kind != NULL))
			return spec_malformed(err, "items");
	}
	return 0;
}

static int add_object(const json_t *source, const char *kind, const char *name_key,
		      struct volume *ret, struct err *err)
{
	struct projection *projection = &ret->projections[ret->projection_count++];
	int r = spec_read_object(source, kind, name_key, &projection->object, err);

	return r == 0 ? read_items(json_object_get(source, "items"), projection, err) : r;
}

static int add_fields(const json_t *source, struct volume *ret, struct err *err)
{
	return read_items(json_object_get(source, "items"),
			  &ret->projections[ret->projection_count++], err);
}

static int add_projection(const json_t *source, struct volume *ret, struct err *err)
{
	const json_t *map = json_object_get(source, "configMap");
	const json_t *secret = json_object_get(source, "secret");
	const json_t *fields = json_object_get(source, "downwardAPI");

	if (map)
		return add_object(map, "ConfigMap", "name", ret, err);
	if (secret)
		return add_object(secret, "Secret", "name", ret, err);
	if (fields)
		return add_fields(fields, ret, err);
	return spec_unsupported(err,
				"a projected source other than configMap, secret and downwardAPI");
}

static int read_projected(const json_t *projected, struct volume *ret, struct err *err)
{
	const json_t *sources = json_object_get(projected, "sources"), *source;
	size_t index;
	int r = 0;

	if (json_array_size(sources) > POD_PROJECTIONS_MAX)
		return spec_malformed(err, "projected sources");
	ret->projections = mem_alloc(json_array_size(sources) + 1, sizeof(*ret->projections));
	json_array_foreach (sources, index, source)
		if (r == 0)
			r = add_projection(source, ret, err);
	return r;
}

/* One of the four kinds whose files we write; secrets stay in memory. */
static int read_files(const json_t *item, struct volume *ret, struct err *err)
{
	const json_t *map = json_object_get(item, "configMap");
	const json_t *secret = json_object_get(item, "secret");
	const json_t *fields = json_object_get(item, "downwardAPI");
	const json_t *projected = json_object_get(item, "projected");
	const json_t *source = map ? map : secret ? secret : fields ? fields : projected;
	int r;

	ret->kind = VOLUME_PROJECTED;
	ret->in_memory = !map;
	r = read_mode(source, "defaultMode", MODE_DEFAULT, &ret->mode, err);
	if (r < 0)
		return r;
	if (projected)
		return read_projected(projected, ret, err);
	ret->projections = mem_alloc(1, sizeof(*ret->projections));
	if (map)
		return add_object(map, "ConfigMap", "name", ret, err);
	if (secret)
		return add_object(secret, "Secret", "secretName", ret, err);
	return add_fields(fields, ret, err);
}

static int read_empty_dir(const json_t *empty, struct volume *ret, struct err *err)
{
	const char *medium = spec_text(empty, "medium");

	if (medium && strcmp(medium, "Memory") == 0)
		ret->kind = VOLUME_MEMORY;
	else if (medium && medium[0] != '\0')
		return spec_unsupported(err, "emptyDir medium other than Memory");
	return spec_read_quantity(empty, "sizeLimit", false, &ret->size_bytes, err);
}

static int read_host_path(const json_t *host, const struct policy *policy, struct volume *ret,
			  struct err *err)
{
	ret->kind = VOLUME_HOST_PATH;
	ret->host_path = spec_text(host, "path");
	if (!spec_is_absolute_path(ret->host_path))
		return spec_malformed(err, "hostPath");
	if (!policy_allows_host_path(policy, ret->host_path))
		return spec_forbidden(err, "hostPath");
	return 0;
}

static int read_claim(const json_t *claim, struct volume *ret, struct err *err)
{
	ret->kind = VOLUME_CLAIM;
	ret->claim = spec_text(claim, "claimName");
	ret->read_only = spec_truth(claim, "readOnly");
	return ret->claim && kube_name_is_subdomain(ret->claim) ? 0
								: spec_malformed(err, "claimName");
}

static int read_volume(const json_t *item, const struct policy *policy, struct volume *ret,
		       struct err *err)
{
	const json_t *empty = json_object_get(item, "emptyDir");
	const json_t *host = json_object_get(item, "hostPath");
	const json_t *claim = json_object_get(item, "persistentVolumeClaim");

	ret->size_bytes = LIMITS_UNSET;
	if (empty)
		return read_empty_dir(empty, ret, err);
	if (host)
		return read_host_path(host, policy, ret, err);
	if (claim)
		return read_claim(claim, ret, err);
	if (json_object_get(item, "configMap") || json_object_get(item, "secret") ||
	    json_object_get(item, "downwardAPI") || json_object_get(item, "projected"))
		return read_files(item, ret, err);
	return spec_unsupported(err, "a volume of this kind");
}

int spec_read_volumes(const json_t *pod, const struct policy *policy, struct pod_spec *spec,
		      struct err *err)
{
	const json_t *list = json_object_get(pod, "volumes"), *item;
	size_t index;

	if (list && (!json_is_array(list) || json_array_size(list) > POD_VOLUMES_MAX))
		return spec_malformed(err, "volumes");
	/* One more than asked for: spec_add_svid(). */
	spec->volumes = mem_alloc(json_array_size(list) + 1, sizeof(*spec->volumes));
	json_array_foreach (list, index, item) {
		struct volume *volume = &spec->volumes[spec->volume_count];
		const char *name = spec_text(item, "name");
		int r;

		if (!spec_is_label(name) || spec_volume(spec, name))
			return spec_malformed(err, "volumes");
		volume->name = name;
		/* Counted at once, so that it is freed with the others if it is refused. */
		spec->volume_count++;
		r = read_volume(item, policy, volume, err);
		if (r < 0)
			return err_prefix(err, "volume %s", name);
	}
	return 0;
}

/* The user that all containers run as; POD_ID_UNSET: that differs, or the images say it. */
static int64_t common_user(const struct pod_spec *spec)
{
	int64_t user = spec->containers[0].security.run_as_user;

	for (size_t i = 1; i < spec->container_count; i++)
		if (spec->containers[i].security.run_as_user != user)
			return POD_ID_UNSET;
	return user;
}

void spec_add_svid(struct pod_spec *spec)
{
	struct volume *volume = &spec->volumes[spec->volume_count++];
	int64_t user = common_user(spec);

	*volume = (struct volume){.name = SVID_VOLUME, .kind = VOLUME_PROJECTED, .in_memory = true};
	volume->size_bytes = LIMITS_UNSET;
	if (spec->fs_group != POD_ID_UNSET) {
		volume->mode = MODE_GROUP;
	} else if (user != POD_ID_UNSET) {
		volume->mode = MODE_OWNER;
		volume->owner = (uid_t)user;
	} else {
		volume->mode = MODE_ALL;
	}
	volume->projections = mem_alloc(1, sizeof(*volume->projections));
	volume->projections[volume->projection_count++] = (struct projection){
		.object = {.kind = SVID_KIND, .name = SVID_NAME},
	};
}

void spec_free_volumes(struct pod_spec *spec)
{
	for (size_t i = 0; i < spec->volume_count; i++) {
		struct volume *volume = &spec->volumes[i];

		for (size_t k = 0; k < volume->projection_count; k++)
			free(volume->projections[k].items);
		free(volume->projections);
	}
	free(spec->volumes);
}
