/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: everything that makes a machine a member, and its form as files.
 *
 * Under the state directory D:
 *
 *	D/fabric/                owned by the unprivileged fabric process, mode 0700
 *	    root-machine.pem     the three roots' certificates
 *	    root-workload.pem
 *	    root-api.pem
 *	    machine.key .pem     the machine's key; its chain: leaf, admit
 *	    rest.key .pem        the REST server's key and chain: leaf, admit
 *	    steward.key .pem     stewards only: chain steward, admit
 *	    admit-machine.key .pem   admitters only: one intermediate of each root
 *	    admit-workload.key .pem
 *	    admit-api.key .pem
 *	D/root/                  owned by root, mode 0700; only where a fabric was made
 *	    machine.key workload.key api.key
 *	    root-machine.pem root-workload.pem root-api.pem
 *	    request.key          the keys of a machine whose request is on its way (csr.h)
 *	    trust                the root keys this machine believes, also where it joined
 *	D/admin.kubeconfig       mode 0600; only where a fabric was made
 *	D/run                    symbolic link to the run directory
 *
 * This module only names the files and gives their bytes; processes read and write them. Writing
 * machine.pem last makes the set complete or absent.
 */
#pragma once

#include "identity/cert.h"
#include "identity/issue.h"
#include "identity/key.h"

#define CREDENTIALS_DIR "fabric"
#define CREDENTIALS_ROOT_DIR "root"
#define CREDENTIALS_REQUEST "request.key"
#define CREDENTIALS_KUBECONFIG "admin.kubeconfig"

/* Chains are concatenated DER, leaf first, without the root. */
struct credentials {
	struct buf root[CERT_FAMILY_COUNT]; /* root certificates, by family - 1 */
	struct key machine_key;
	struct buf machine_chain;
	struct key rest_key;
	struct buf rest_chain;
	struct key steward_key; /* none when not a steward */
	struct buf steward_chain;
	struct key admit_key[CERT_FAMILY_COUNT]; /* none when not an admitter */
	struct buf admit_cert[CERT_FAMILY_COUNT];
	struct cert machine; /* the machine's leaf, parsed */
};

struct root_keys {
	struct key key[CERT_FAMILY_COUNT];
};

/* One file: its name relative to its directory, and its content. */
struct credentials_file {
	const char *name;
	struct buf content;
	bool secret; /* mode 0600, else 0644; wiped on free */
};

enum {
	CREDENTIALS_FILES_MAX = 16,
	CREDENTIALS_FILE_LEN_MAX = 32 * 1024, /* the longest chain as PEM, with room */
};

struct credentials_files {
	struct credentials_file file[CREDENTIALS_FILES_MAX];
	size_t count;
};

void credentials_deinit(struct credentials *credentials); /* wipes keys */
bool credentials_is_admitter(const struct credentials *credentials);
bool credentials_is_steward(const struct credentials *credentials);

/* The signer for certificates of @family; only for admitters. Borrowed. */
struct signer credentials_admit(const struct credentials *credentials, enum cert_family family);

/* The signer of pods; only for stewards. */
struct signer credentials_steward(const struct credentials *credentials);

/* The files under D/fabric, in the order to write them. */
void credentials_save(const struct credentials *credentials, struct credentials_files *ret_files);

/* The names to read (those that do not exist are left out), NULL at the end. */
extern const char *const credentials_names[];

/* From the files that exist, in any order. 0, or -EBADMSG with a sentence. */
_must_use_ int credentials_load(const struct credentials_files *files,
				struct credentials *ret_credentials, struct err *err);

/* Add one file that was read; takes @content. @name must be one of credentials_names. */
void credentials_files_add(struct credentials_files *files, const char *name, struct buf *content);
void credentials_files_deinit(struct credentials_files *files);

/* The files under D/root. */
void root_keys_save(const struct root_keys *roots, struct credentials_files *ret_files);
_must_use_ int root_keys_load(const struct credentials_files *files, struct root_keys *ret_roots,
			      struct err *err);
extern const char *const root_keys_names[];
void root_keys_wipe(struct root_keys *roots);
