/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/credentials.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* One row per file: where its content lies in struct credentials. Written in this order; the
 * machine's own chain comes last, so that an unfinished set has none. */
static const struct {
	const char *name;
	bool is_key;
	bool optional;
	size_t offset;
} rows[] = {
#define KEY(name, optional, field)                                        \
	{                                                                 \
		name, true, optional, offsetof(struct credentials, field) \
	}
#define CHAIN(name, optional, field)                                       \
	{                                                                  \
		name, false, optional, offsetof(struct credentials, field) \
	}
	CHAIN("root-machine.pem", false, root[0]),
	CHAIN("root-workload.pem", false, root[1]),
	CHAIN("root-api.pem", false, root[2]),
	KEY("admit-machine.key", true, admit_key[0]),
	CHAIN("admit-machine.pem", true, admit_cert[0]),
	KEY("admit-workload.key", true, admit_key[1]),
	CHAIN("admit-workload.pem", true, admit_cert[1]),
	KEY("admit-api.key", true, admit_key[2]),
	CHAIN("admit-api.pem", true, admit_cert[2]),
	KEY("steward.key", true, steward_key),
	CHAIN("steward.pem", true, steward_chain),
	KEY("rest.key", false, rest_key),
	CHAIN("rest.pem", false, rest_chain),
	KEY("machine.key", false, machine_key),
	CHAIN("machine.pem", false, machine_chain),
#undef KEY
#undef CHAIN
};
_Static_assert(ARRAY_LEN(rows) <= CREDENTIALS_FILES_MAX, "room for every file");

const char *const credentials_names[] = {
	"root-machine.pem",  "root-workload.pem",  "root-api.pem",       "admit-machine.key",
	"admit-machine.pem", "admit-workload.key", "admit-workload.pem", "admit-api.key",
	"admit-api.pem",     "steward.key",        "steward.pem",        "rest.key",
	"rest.pem",          "machine.key",        "machine.pem",        NULL,
};
_Static_assert(ARRAY_LEN(credentials_names) == ARRAY_LEN(rows) + 1, "the same files");

const char *const root_keys_names[] = {"machine.key", "workload.key", "api.key", NULL};

static struct key *row_key(struct credentials *credentials, size_t row)
{
	return (struct key *)(void *)((char *)credentials + rows[row].offset);
}

static struct buf *row_chain(struct credentials *credentials, size_t row)
{
	return (struct buf *)(void *)((char *)credentials + rows[row].offset);
}

void credentials_deinit(struct credentials *credentials)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].is_key)
			key_wipe(row_key(credentials, i));
		else
			buf_deinit(row_chain(credentials, i));
	}
	*credentials = (struct credentials){0};
}

bool credentials_is_admitter(const struct credentials *credentials)
{
	return !key_is_none(&credentials->admit_key[0]);
}

bool credentials_is_steward(const struct credentials *credentials)
{
	return !key_is_none(&credentials->steward_key);
}

struct signer credentials_admit(const struct credentials *credentials, enum cert_family family)
{
	assert(credentials_is_admitter(credentials));
	return (struct signer){&credentials->admit_key[family - 1],
			       bytes_buf(&credentials->admit_cert[family - 1])};
}

struct signer credentials_steward(const struct credentials *credentials)
{
	struct chain chain;
	bool sound = credentials_is_steward(credentials) &&
		     chain_split(bytes_buf(&credentials->steward_chain), &chain);

	assert(sound);
	return (struct signer){&credentials->steward_key, chain.cert[0]};
}

void credentials_files_add(struct credentials_files *files, const char *name, struct buf *content)
{
	struct credentials_file *file;
	size_t len = strlen(name);

	assert(files->count < CREDENTIALS_FILES_MAX);
	file = &files->file[files->count++];
	*file = (struct credentials_file){.name = name, .content = *content};
	file->secret = len > 4 && strcmp(name + len - 4, ".key") == 0;
	*content = (struct buf){0};
}

void credentials_files_deinit(struct credentials_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		struct buf *content = &files->file[i].content;

		if (files->file[i].secret && content->len > 0)
			secret_wipe(content->ptr, content->len);
		buf_deinit(content);
	}
	files->count = 0;
}

void credentials_save(const struct credentials *credentials, struct credentials_files *ret_files)
{
	/* The rows know where to look, not whether to write. */
	struct credentials *borrowed = (struct credentials *)(uintptr_t)credentials;

	*ret_files = (struct credentials_files){0};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf content = {0};

		if (rows[i].is_key && !key_is_none(row_key(borrowed, i)))
			key_export_pem(row_key(borrowed, i), &content);
		else if (!rows[i].is_key && row_chain(borrowed, i)->len > 0)
			chain_to_pem(bytes_buf(row_chain(borrowed, i)), &content);
		if (content.len > 0)
			credentials_files_add(ret_files, rows[i].name, &content);
	}
}

static const struct credentials_file *files_find(const struct credentials_files *files,
						 const char *name)
{
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->file[i].name, name) == 0)
			return &files->file[i];
	}
	return NULL;
}

static int row_load(const struct credentials_files *files, size_t row,
		    struct credentials *credentials, struct err *err)
{
	const struct credentials_file *file = files_find(files, rows[row].name);
	bool sound;

	if (!file)
		return rows[row].optional ? 0
					  : err_set(err, -EBADMSG, "%s is missing", rows[row].name);
	if (rows[row].is_key)
		sound = key_import_pem(bytes_buf(&file->content), row_key(credentials, row));
	else
		sound = chain_from_pem(bytes_buf(&file->content), row_chain(credentials, row));
	return sound ? 0 : err_set(err, -EBADMSG, "%s is damaged", rows[row].name);
}

/* Does the first certificate of @chain belong to @key? */
static bool pair_fits(const struct key *key, const struct buf *chain)
{
	struct chain split;
	struct cert cert;

	if (key_is_none(key))
		return chain->len == 0;
	return chain_split(bytes_buf(chain), &split) &&
	       cert_parse(split.cert[0], &cert, NULL) == 0 &&
	       node_id_equal(&cert.key, &key->public_key);
}

static int credentials_check(struct credentials *credentials, struct err *err)
{
	struct chain chain;

	if (!pair_fits(&credentials->machine_key, &credentials->machine_chain))
		return err_set(err, -EBADMSG, "machine.pem is not for machine.key");
	if (!pair_fits(&credentials->rest_key, &credentials->rest_chain))
		return err_set(err, -EBADMSG, "rest.pem is not for rest.key");
	if (!pair_fits(&credentials->steward_key, &credentials->steward_chain))
		return err_set(err, -EBADMSG, "steward.pem is not for steward.key");
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		if (!pair_fits(&credentials->admit_key[i], &credentials->admit_cert[i]) ||
		    key_is_none(&credentials->admit_key[i]) !=
			    key_is_none(&credentials->admit_key[0]))
			return err_set(err, -EBADMSG, "admit-*.pem are not for admit-*.key");
	}
	if (!chain_split(bytes_buf(&credentials->machine_chain), &chain) ||
	    cert_parse(chain.cert[0], &credentials->machine, err) != 0 ||
	    credentials->machine.kind != CERT_MACHINE)
		return err_set(err, -EBADMSG, "machine.pem holds no machine certificate");
	return 0;
}

int credentials_load(const struct credentials_files *files, struct credentials *ret_credentials,
		     struct err *err)
{
	struct credentials credentials = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		r = row_load(files, i, &credentials, err);
	if (r == 0)
		r = credentials_check(&credentials, err);
	if (r) {
		credentials_deinit(&credentials);
		return r;
	}
	*ret_credentials = credentials;
	key_wipe(&credentials.machine_key);
	return 0;
}

void root_keys_save(const struct root_keys *roots, struct credentials_files *ret_files)
{
	*ret_files = (struct credentials_files){0};
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct buf content = {0};

		key_export_pem(&roots->key[i], &content);
		credentials_files_add(ret_files, root_keys_names[i], &content);
	}
}

int root_keys_load(const struct credentials_files *files, struct root_keys *ret_roots,
		   struct err *err)
{
	struct root_keys roots = {0};

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		const struct credentials_file *file = files_find(files, root_keys_names[i]);

		if (!file || !key_import_pem(bytes_buf(&file->content), &roots.key[i])) {
			root_keys_wipe(&roots);
			return err_set(err, -EBADMSG, "root key %s is missing or damaged",
				       root_keys_names[i]);
		}
	}
	*ret_roots = roots;
	root_keys_wipe(&roots);
	return 0;
}

void root_keys_wipe(struct root_keys *roots)
{
	secret_wipe(roots, sizeof(*roots));
}
