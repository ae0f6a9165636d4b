/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <jansson.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "runtime/files.h"
#include "runtime/image_blob.h"
#include "runtime/image_ref.h"

enum {
	READ_BLOCK = 64 * 1024,
};

static json_t *load_entry(struct archive *archive, const struct archive_entry *entry)
{
	int64_t size = archive_entry_size((struct archive_entry *)(uintptr_t)entry);
	json_error_t where;
	json_t *json;
	char *text;
	la_ssize_t got;

	if (size <= 0 || size > IMAGE_MANIFEST_MAX)
		return NULL;
	text = mem_alloc(1, (size_t)size);
	got = archive_read_data(archive, text, (size_t)size);
	json = got == size ? json_loadb(text, (size_t)size, 0, &where) : NULL;
	free(text);
	return json;
}

/* Find the two files that name images; NULL for one that is not there. */
static int scan_file(const char *path, json_t **ret_index, json_t **ret_manifest, struct err *err)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	int r;

	(void)archive_read_support_filter_gzip(archive);
	(void)archive_read_support_filter_zstd(archive);
	(void)archive_read_support_filter_xz(archive);
	(void)archive_read_support_format_tar(archive);
	r = archive_read_open_filename(archive, path, READ_BLOCK);
	while (r == ARCHIVE_OK) {
		const char *name;

		r = archive_read_next_header(archive, &entry);
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			break;
		r = ARCHIVE_OK;
		name = archive_entry_pathname(entry);
		if (name && strncmp(name, "./", 2) == 0)
			name += 2;
		if (name && !*ret_index && strcmp(name, "index.json") == 0)
			*ret_index = load_entry(archive, entry);
		else if (name && !*ret_manifest && strcmp(name, "manifest.json") == 0)
			*ret_manifest = load_entry(archive, entry);
	}
	r = r == ARCHIVE_EOF
		    ? 0
		    : err_set(err, -EINVAL, "%.150s: %s", path, archive_error_string(archive));
	(void)archive_read_free(archive);
	return r;
}

static int add(struct image_archive *archive, const char *source, const char *name, struct err *err)
{
	struct image_ref ref;
	int r = image_ref_parse(name, &ref, err);

	if (r < 0)
		return r;
	if (archive->count == IMAGE_ARCHIVE_IMAGES_MAX)
		return err_set(err, -E2BIG, "more than %d images", IMAGE_ARCHIVE_IMAGES_MAX);
	archive->images[archive->count++] =
		(struct archived_image){mem_strdup(source), mem_strdup(ref.text)};
	return 0;
}

enum {
	STEM_MAX = 256,
};

/* "app" of "/tmp/app.oci.tar". */
static void stem(const char *path, char ret[STEM_MAX])
{
	size_t end = strlen(path), start;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		continue;
	(void)snprintf(ret, STEM_MAX, "%.*s", (int)(end - start), path + start);
	ret[strcspn(ret, ".")] = '\0';
}

static int add_oci(const char *transport, const char *path, const json_t *manifest,
		   const char *given, struct image_archive *ret, struct err *err)
{
	const json_t *annotations = json_object_get(manifest, "annotations");
	const char *full =
		json_string_value(json_object_get(annotations, "io.containerd.image.name"));
	const char *ref = json_string_value(
		json_object_get(annotations, "org.opencontainers.image.ref.name"));
	struct path source = ref ? path_format("%s:%.500s:%.200s", transport, path, ref)
				 : path_format("%s:%.500s", transport, path);
	char name[STEM_MAX], tagged[2 * STEM_MAX];

	if (given)
		return add(ret, source.text, given, err);
	if (!full && ref && strpbrk(ref, "/:"))
		full = ref;
	if (full)
		return add(ret, source.text, full, err);
	stem(path, name);
	(void)snprintf(tagged, sizeof(tagged), "%s:%.200s", name, ref ? ref : "latest");
	return add(ret, source.text, tagged, err);
}

static int add_docker(const char *path, const json_t *item, size_t index, const char *given,
		      struct image_archive *ret, struct err *err)
{
	const json_t *tags = json_object_get(item, "RepoTags"), *tag;
	struct path source = path_format("docker-archive:%.500s:@%zu", path, index);
	char name_of_file[STEM_MAX];
	size_t at;

	if (given)
		return add(ret, source.text, given, err);
	stem(path, name_of_file);
	if (json_array_size(tags) == 0)
		return add(ret, source.text, name_of_file, err);
	json_array_foreach (tags, at, tag) {
		const char *name = json_string_value(tag);
		int r = add(ret, source.text, name ? name : "", err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int collect(const char *transport, const char *path, const json_t *index,
		   const json_t *manifest, const char *name, struct image_archive *ret,
		   struct err *err)
{
	const json_t *list = index ? json_object_get(index, "manifests") : manifest, *item;
	size_t at;
	int r = 0;

	if (json_array_size(list) == 0)
		return err_set(err, -EINVAL, "%.150s holds no image", path);
	if (name && json_array_size(list) > 1)
		return err_set(err, -EINVAL, "%.100s holds %zu images: one name does not do", path,
			       json_array_size(list));
	json_array_foreach (list, at, item) {
		r = index ? add_oci(transport, path, item, name, ret, err)
			  : add_docker(path, item, at, name, ret, err);
		if (r < 0)
			break;
	}
	return r;
}

int image_archive_read(const char *path, const char *name, struct image_archive *ret_archive,
		       struct err *err)
{
	struct image_archive archive = {0};
	json_t *index = NULL, *manifest = NULL;
	const char *transport = "oci-archive";
	json_error_t where;
	struct stat info;
	int r = 0;

	if (stat(path, &info) < 0)
		return err_set(err, -errno, "%.150s: %s", path, strerror(errno));
	if (S_ISDIR(info.st_mode)) {
		transport = "oci";
		index = json_load_file(path_format("%.500s/index.json", path).text, 0, &where);
	} else {
		r = scan_file(path, &index, &manifest, err);
	}
	if (r == 0)
		r = collect(transport, path, index, manifest, name, &archive, err);
	json_decref(index);
	json_decref(manifest);
	if (r < 0)
		image_archive_deinit(&archive);
	else
		*ret_archive = archive;
	return r;
}

void image_archive_deinit(struct image_archive *archive)
{
	for (size_t i = 0; i < archive->count; i++) {
		free(archive->images[i].source);
		free(archive->images[i].name);
	}
	archive->count = 0;
}
