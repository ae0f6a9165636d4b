/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fabric: the making of a new one. A machine started without a fabric makes a fabric of one: three
 * roots, its own intermediates as the first admitter, its own leaves, and the administrator's
 * certificate. Pure: one block of random bytes comes in.
 */
#pragma once

#include "identity/credentials.h"

enum {
	FABRIC_SEEDS = 10,   /* keys: 3 roots, 3 admit, machine, rest, steward, user */
	FABRIC_SERIALS = 10, /* one certificate for each */
	FABRIC_RANDOM_LEN = FABRIC_SEEDS * KEY_SEED_LEN + FABRIC_SERIALS * CERT_SERIAL_LEN,
};

/* A user's key and chain (leaf, admit), for a kubeconfig. Of a key that its holder keeps, only the
 * public half. */
struct user_credential {
	struct key key;
	struct buf chain;
};

struct fabric_made {
	struct root_keys roots;         /* for the host process alone */
	struct credentials credentials; /* for the fabric process */
	struct user_credential admin;   /* user "admin", group system:masters */
};

/* @random is wiped. 0, ISSUE_E_FORM for a bad @node_name, or -EIO. */
_must_use_ int fabric_make(const char *node_name, struct wall now,
			   uint8_t random[FABRIC_RANDOM_LEN], struct fabric_made *ret_made,
			   struct err *err);

/* The same under roots that exist already (NULL: new ones): the machine is an admitter of their
 * fabric, whether others are left or not. */
_must_use_ int fabric_make_under(const struct root_keys *roots, const char *node_name,
				 struct wall now, uint8_t random[FABRIC_RANDOM_LEN],
				 struct fabric_made *ret_made, struct err *err);
void fabric_made_deinit(struct fabric_made *made);

enum {
	USER_RANDOM_LEN = KEY_SEED_LEN + CERT_SERIAL_LEN,
};

/* Issue a user's certificate with an admitter's api intermediate, or the api root. */
struct user_order {
	const char *name;
	const char *const *groups;
	size_t group_count;
	struct wall now;
	int64_t life_ms; /* 0: 90 days */
	/* The key to certify, which its holder keeps; NULL: a new one, which @ret_user has. */
	const struct node_id *key;
};
_must_use_ int user_issue(const struct user_order *order, const struct signer *signer,
			  uint8_t random[USER_RANDOM_LEN], struct user_credential *ret_user,
			  struct err *err);
void user_credential_deinit(struct user_credential *user);

/* A kubeconfig (YAML) for @server, a host and port as "10.0.0.1:6443", appended to @ret_yaml.
 * Its context works in @namespace; NULL: kubectl's default. It contains the user's private key; or
 * names @key_file, where its holder keeps it (NULL: it is in @user). */
struct kubeconfig {
	const struct user_credential *user;
	struct bytes api_root_der;
	const char *server;
	const char *namespace;
	const char *key_file;
};
void kubeconfig_render(const struct kubeconfig *config, struct buf *ret_yaml);
