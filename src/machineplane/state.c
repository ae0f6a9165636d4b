/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "identity/csr.h"
#include "identity/fabric.h"
#include "identity/join.h"
#include "identity/keyring.h"
#include "identity/voucher.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"
#include "runtime/files.h"

enum {
	STATE_TRUST_MAX = 1024,
	STATE_COUNT_MAX = 16,
};

/* In D/root: the machine's id. With the roots' keys it is the last to be written. */
#define NODE_FILE "node"
#define TIME_FILE "time"
/* In D/fabric: see contacts.c. */
#define CONTACTS_FILE "contacts"

/* In D/fabric like all certificates, and in D/root with their keys: what the fabric process can
 * write is not read when the roots sign. */
static const char *const root_cert_names[CERT_FAMILY_COUNT] = {"root-machine.pem",
							       "root-workload.pem", "root-api.pem"};

static char *path_of(const char *dir, const char *below, const char *name)
{
	struct buf path = {0};

	buf_append_format(&path, "%s%s%s%s%s", dir, below ? "/" : "", below ? below : "",
			  name ? "/" : "", name ? name : "");
	return buf_steal(&path);
}

static int fail(struct err *err, int code, const char *path)
{
	return err_set(err, code, "%s: %s", path, strerror(-code));
}

/* A directory of @mode that belongs to @uid. */
static int make_dir(const char *state_dir, const char *name, mode_t mode, uid_t uid,
		    struct err *err)
{
	char *path = path_of(state_dir, name, NULL);
	int result = file_make_dir(path, mode);

	if (result == 0 && (chown(path, uid, uid) != 0 || chmod(path, mode) != 0))
		result = -errno;
	if (result)
		(void)fail(err, result, path);
	free(path);
	return result;
}

static int write_one(const char *dir, const char *below, const struct credentials_file *file,
		     uid_t uid, struct err *err)
{
	char *path = path_of(dir, below, file->name);
	int result = file_write(path, bytes_buf(&file->content), file->secret ? 0600 : 0644);

	/* In the fabric process's directory someone else may have put a link there meanwhile. */
	if (result == 0 && lchown(path, uid, uid) != 0)
		result = -errno;
	if (result)
		(void)fail(err, result, path);
	free(path);
	return result;
}

static int write_files(const char *dir, const char *below, struct credentials_files *files,
		       uid_t uid, struct err *err)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < files->count; i++)
		result = write_one(dir, below, &files->file[i], uid, err);
	credentials_files_deinit(files);
	return result;
}

/* Those of @files that are roots' certificates, beside their keys. */
static int write_root_certs(const char *dir, const struct credentials_files *files, struct err *err)
{
	int result = 0;

	for (size_t i = 0; i < files->count; i++)
		for (size_t k = 0; result == 0 && k < CERT_FAMILY_COUNT; k++)
			if (strcmp(files->file[i].name, root_cert_names[k]) == 0)
				result = write_one(dir, CREDENTIALS_ROOT_DIR, &files->file[i], 0,
						   err);
	return result;
}

static int write_trust(const char *dir, const struct state *state, struct err *err)
{
	struct credentials_file file = {.name = "trust"};
	int result;

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		buf_append_format(&file.content, "%s\n", node_id_text(&state->root[i]).text);
	result = write_one(dir, CREDENTIALS_ROOT_DIR, &file, 0, err);
	buf_deinit(&file.content);
	return result;
}

static int read_trust(const char *dir, struct state *state, struct err *err)
{
	char *path = path_of(dir, CREDENTIALS_ROOT_DIR, "trust"), *rest, *line;
	struct buf content = {0};
	int result = file_read(path, STATE_TRUST_MAX, &content);

	(void)buf_cstr(&content);
	rest = (char *)content.ptr;
	for (size_t i = 0; result == 0 && i < CERT_FAMILY_COUNT; i++) {
		line = strsep(&rest, "\n");
		if (!line || !node_id_parse(line, &state->root[i]))
			result = -EBADMSG;
	}
	if (result && result != -ENOENT)
		(void)fail(err, result, path);
	buf_deinit(&content);
	free(path);
	return result;
}

/* Which machine this is, in a file that the fabric process cannot write. */
static int write_node(const char *dir, const struct node_id *node, struct err *err)
{
	struct credentials_file file = {.name = NODE_FILE};
	int result;

	buf_append_format(&file.content, "%s\n", node_id_text(node).text);
	result = write_one(dir, CREDENTIALS_ROOT_DIR, &file, 0, err);
	buf_deinit(&file.content);
	return result;
}

int state_pin_node(const char *state_dir, const struct node_id *node, struct err *err)
{
	char *path = path_of(state_dir, CREDENTIALS_ROOT_DIR, NODE_FILE);
	struct buf content = {0};
	struct node_id pinned;
	int result = file_read(path, STATE_TRUST_MAX, &content);
	char *text;

	free(path);
	text = (char *)(uintptr_t)buf_cstr(&content);
	text[strcspn(text, "\n")] = '\0';
	if (result == -ENOENT)
		result = write_node(state_dir, node, err);
	else if (result)
		result = err_set(err, result, "root/%s: %s", NODE_FILE, strerror(-result));
	else if (!node_id_parse(text, &pinned) || !node_id_equal(&pinned, node))
		result = err_set(err, -EACCES, "this machine is another one: see root/%s",
				 NODE_FILE);
	buf_deinit(&content);
	return result;
}

struct wall state_kept_time(const char *state_dir)
{
	char *path = path_of(state_dir, CREDENTIALS_ROOT_DIR, TIME_FILE), *end;
	struct buf content = {0};
	struct wall kept = {0};

	if (file_read(path, STATE_TRUST_MAX, &content) == 0)
		kept.ms = strtoll(buf_cstr(&content), &end, 10);
	buf_deinit(&content);
	free(path);
	return kept.ms > 0 && kept.ms < INT64_MAX ? kept : (struct wall){0};
}

int state_keep_time(const char *state_dir, struct wall now)
{
	char *path = path_of(state_dir, CREDENTIALS_ROOT_DIR, TIME_FILE);
	struct buf content = {0};
	int result;

	buf_append_format(&content, "%lld\n", (long long)now.ms);
	result = file_replace(path, bytes_buf(&content), 0600);
	buf_deinit(&content);
	free(path);
	return result;
}

static bool exists(const char *dir, const char *below, const char *name)
{
	char *path = path_of(dir, below, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* Where kubectl on this machine finds the API. */
static void rest_server(const struct options *options, struct buf *out)
{
	struct addr addr;

	if (!addr_parse_ip(options->rest_host, options->rest_port, &addr) ||
	    addr_is_wildcard(&addr))
		(void)!addr_parse_ip("127.0.0.1", options->rest_port, &addr);
	buf_append_str(out, addr_text(&addr).text);
}

static int write_kubeconfig(const struct options *options, const struct fabric_made *made,
			    struct err *err)
{
	const struct buf *api_root = &made->credentials.root[CERT_FAMILY_API - 1];
	struct credentials_file file = {.name = CREDENTIALS_KUBECONFIG, .secret = true};
	struct kubeconfig config = {.user = &made->admin, .api_root_der = bytes_buf(api_root)};
	struct buf server = {0};
	int result;

	rest_server(options, &server);
	config.server = buf_cstr(&server);
	kubeconfig_render(&config, &file.content);
	result = write_one(options->state_dir, NULL, &file, 0, err);
	secret_wipe(file.content.ptr, file.content.len);
	buf_deinit(&file.content);
	buf_deinit(&server);
	return result;
}

static int load_file(const char *dir, const char *below, const char *name,
		     struct credentials_files *files)
{
	char *path = path_of(dir, below, name);
	struct buf content = {0};
	int result = file_read(path, CREDENTIALS_FILE_LEN_MAX, &content);

	free(path);
	if (result)
		buf_deinit(&content);
	else
		credentials_files_add(files, name, &content);
	return result;
}

static int load_root_keys(const char *dir, struct root_keys *roots, struct err *err)
{
	struct credentials_files *files = mem_new(struct credentials_files);
	int result;

	for (size_t i = 0; root_keys_names[i]; i++)
		(void)load_file(dir, CREDENTIALS_ROOT_DIR, root_keys_names[i], files);
	result = root_keys_load(files, roots, err);
	credentials_files_deinit(files);
	free(files);
	return result;
}

/* Roots that are there already, brought by magik fabric root import or left by a start that was cut
 * off, are gone on with. */
static int make_fabric(const struct options *options, struct state *state, struct err *err)
{
	uint8_t random[FABRIC_RANDOM_LEN];
	struct fabric_made *made = mem_new(struct fabric_made);
	struct credentials_files *files = mem_new(struct credentials_files);
	const char *dir = options->state_dir;
	struct root_keys roots = {0};
	int result;

	entropy_fill(random, sizeof(random));
	result = fabric_make_under(load_root_keys(dir, &roots, NULL) == 0 ? &roots : NULL,
				   options->node_name, clock_wall(), random, made, err);
	root_keys_wipe(&roots);
	if (result > 0)
		result = -EINVAL;
	if (result == 0) {
		for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
			state->root[i] = made->roots.key[i].public_key;
		root_keys_save(&made->roots, files);
		result = write_files(dir, CREDENTIALS_ROOT_DIR, files, 0, err);
	}
	if (result == 0)
		result = write_trust(dir, state, err);
	if (result == 0)
		result = write_kubeconfig(options, made, err);
	if (result == 0) {
		credentials_save(&made->credentials, files);
		result = write_root_certs(dir, files, err);
		if (result)
			credentials_files_deinit(files);
		else
			result = write_files(dir, CREDENTIALS_DIR, files, STATE_FABRIC_UID, err);
	}
	/* Last: from now on these roots are not made anew. */
	if (result == 0)
		result = write_node(dir, &made->credentials.machine_key.public_key, err);
	state->made = result == 0;
	fabric_made_deinit(made);
	free(made);
	free(files);
	return result;
}

static void forget_one(const char *dir, const char *below, const char *name)
{
	char *path = path_of(dir, below, name);

	(void)unlink(path);
	free(path);
}

/* The keys that this machine made its request with. */
static int load_request(const char *dir, struct join_keys *keys, struct err *err)
{
	char *path = path_of(dir, CREDENTIALS_ROOT_DIR, CREDENTIALS_REQUEST);
	struct key list[JOIN_SEEDS];
	struct buf content = {0};
	int result = file_read(path, KEYRING_LEN_MAX, &content);

	if (result == -ENOENT)
		result = err_set(err, result,
				 "%s is not there: this machine has made no request, or has used "
				 "it; magik fabric request makes one",
				 path);
	else if (result)
		(void)fail(err, result, path);
	else if ((result = keyring_read(bytes_buf(&content), join_key_names, list, err)) != 0)
		(void)err_prefix(err, "%s", path);
	else
		csr_keys_take(list, keys);
	secret_wipe(list, sizeof(list));
	if (content.len)
		secret_wipe(content.ptr, content.len);
	buf_deinit(&content);
	free(path);
	return result;
}

/* Where others are, for the fabric process to dial. */
static int write_contacts(const char *dir, const struct join_reply *reply, struct err *err)
{
	struct credentials_file file = {.name = CONTACTS_FILE, .secret = true};
	int result;

	for (size_t i = 0; i < reply->member_count; i++)
		buf_append_format(&file.content, "%s\n", reply->members[i]);
	result = write_one(dir, CREDENTIALS_DIR, &file, STATE_FABRIC_UID, err);
	buf_deinit(&file.content);
	return result;
}

/* The machine's chain last, as always; the request is of no use any more. */
static int settle(const struct options *options, struct join_reply *reply, struct state *state,
		  struct err *err)
{
	struct credentials_files *files = mem_new(struct credentials_files);
	const char *dir = options->state_dir;
	int result = 0;

	if (strcmp(reply->credentials.machine.name, options->node_name) != 0)
		result = err_set(err, -EINVAL,
				 "this admission is for the name %s: start with --node-name %s",
				 reply->credentials.machine.name, reply->credentials.machine.name);
	if (result == 0)
		result = write_trust(dir, state, err);
	if (result == 0)
		result = write_contacts(dir, reply, err);
	if (result == 0)
		result = write_node(dir, &reply->credentials.machine_key.public_key, err);
	if (result == 0) {
		credentials_save(&reply->credentials, files);
		result = write_files(dir, CREDENTIALS_DIR, files, STATE_FABRIC_UID, err);
	}
	if (result == 0) {
		forget_one(dir, CREDENTIALS_ROOT_DIR, CREDENTIALS_REQUEST);
		forget_one(dir, CREDENTIALS_ROOT_DIR, TIME_FILE);
		state->member = true;
		state->joined = reply->now;
	}
	free(files);
	return result;
}

/* --join FILE: what magik fabric admit made of this machine's request. */
static int take_admission(const struct options *options, struct state *state, struct err *err)
{
	struct join_reply *reply = mem_new(struct join_reply);
	struct join_keys keys = {0};
	struct buf text = {0};
	int result = file_read(options->join, CSR_ADMISSION_MAX, &text);

	if (result == -EFBIG)
		result = err_set(err, result, "%s: this file is longer than any admission",
				 options->join);
	else if (result)
		(void)fail(err, result, options->join);
	if (result == 0)
		result = load_request(options->state_dir, &keys, err);
	if (result == 0) {
		result = csr_admission_open(bytes_buf(&text), &keys, reply, state->root, err);
		if (result == 0)
			result = settle(options, reply, state, err);
		else
			result = result > 0 ? -EINVAL : result;
		if (result)
			(void)err_prefix(err, "%s", options->join);
		join_reply_deinit(reply);
	}
	join_keys_wipe(&keys);
	buf_deinit(&text);
	free(reply);
	return result;
}

static int pin_token(const struct options *options, struct state *state, struct err *err)
{
	struct voucher *voucher = mem_new(struct voucher);
	int result = voucher_parse(bytes_str(options->join), voucher, err);

	if (result > 0)
		result = -EINVAL;
	if (result == 0) {
		memcpy(state->root, voucher->root, sizeof(state->root));
		forget_one(options->state_dir, CREDENTIALS_ROOT_DIR, NODE_FILE);
		forget_one(options->state_dir, CREDENTIALS_ROOT_DIR, TIME_FILE);
		result = write_trust(options->state_dir, state, err);
		voucher_deinit(voucher);
	} else {
		(void)err_prefix(err, "--join");
	}
	free(voucher);
	return result;
}

/* A new identity at each start: what was there before is forgotten, and the old fabric's records
 * with it. */
static void forget(const char *dir)
{
	for (size_t i = 0; credentials_names[i]; i++)
		forget_one(dir, CREDENTIALS_DIR, credentials_names[i]);
	for (size_t i = 0; root_keys_names[i]; i++)
		forget_one(dir, CREDENTIALS_ROOT_DIR, root_keys_names[i]);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		forget_one(dir, CREDENTIALS_ROOT_DIR, root_cert_names[i]);
	forget_one(dir, CREDENTIALS_ROOT_DIR, "trust");
	forget_one(dir, CREDENTIALS_ROOT_DIR, "admitters");
	forget_one(dir, CREDENTIALS_ROOT_DIR, NODE_FILE);
	forget_one(dir, CREDENTIALS_ROOT_DIR, TIME_FILE);
	forget_one(dir, CREDENTIALS_DIR, "records/data.mdb");
	forget_one(dir, CREDENTIALS_DIR, "records/lock.mdb");
}

static int link_run_dir(const struct options *options, struct err *err)
{
	char *path = path_of(options->state_dir, "run", NULL);
	int result = 0;

	(void)unlink(path);
	if (symlink(options->run_dir, path) != 0)
		result = fail(err, -errno, path);
	free(path);
	return result;
}

static int prepare(const struct options *options, struct state *ret_state, struct err *err)
{
	const char *dir = options->state_dir;
	int result;

	*ret_state = (struct state){0};
	result = make_dir(dir, "", 0755, 0, err);
	if (result == 0)
		result = make_dir(dir, CREDENTIALS_DIR, 0700, STATE_FABRIC_UID, err);
	if (result == 0)
		result = make_dir(dir, CREDENTIALS_ROOT_DIR, 0700, 0, err);
	if (result == 0)
		result = link_run_dir(options, err);
	if (result)
		return result;
	if (options->ephemeral_keys)
		forget(dir);
	ret_state->member = exists(dir, CREDENTIALS_DIR, "machine.pem");
	if (ret_state->member)
		return read_trust(dir, ret_state, err);
	if (options->join && strncmp(options->join, VOUCHER_PREFIX, strlen(VOUCHER_PREFIX)) != 0 &&
	    access(options->join, F_OK) == 0)
		return take_admission(options, ret_state, err);
	if (options->join)
		return pin_token(options, ret_state, err);
	if (read_trust(dir, ret_state, err) == 0 &&
	    !exists(dir, CREDENTIALS_ROOT_DIR, "machine.key"))
		return err_set(err, -EACCES,
			       "this machine has not finished joining its fabric: start it with "
			       "--join and a valid token, or remove %s",
			       dir);
	/* The fabric process could have removed it, for the roots to be overwritten. */
	if (exists(dir, CREDENTIALS_ROOT_DIR, "machine.key") &&
	    exists(dir, CREDENTIALS_ROOT_DIR, NODE_FILE))
		return err_set(err, -EACCES,
			       "%s/%s/machine.pem is gone, but the roots of a fabric are in %s/%s: "
			       "restore it, or remove %s",
			       dir, CREDENTIALS_DIR, dir, CREDENTIALS_ROOT_DIR, dir);
	return make_fabric(options, ret_state, err);
}

int state_prepare(const struct options *options, struct state *ret_state, struct err *err)
{
	int result = prepare(options, ret_state, err);

	ret_state->roots = exists(options->state_dir, CREDENTIALS_ROOT_DIR, "machine.key");
	return result;
}

/* How many admitters these roots have made by themselves; counted before one more is signed. */
static int count_admitter(const char *dir, struct err *err)
{
	char *path = path_of(dir, CREDENTIALS_ROOT_DIR, "admitters");
	struct buf content = {0};
	int result = file_read(path, STATE_COUNT_MAX, &content);
	long count = result == 0 ? strtol(buf_cstr(&content), NULL, 10) : 0;

	buf_clear(&content);
	buf_append_format(&content, "%ld\n", count + 1);
	if (result && result != -ENOENT)
		(void)fail(err, result, path);
	else if (count >= JOIN_ADMITTERS_FREE)
		result = err_set(err, -EACCES, "%d machines were made admitters already",
				 JOIN_ADMITTERS_FREE);
	else
		result = file_write(path, bytes_buf(&content), 0600);
	buf_deinit(&content);
	free(path);
	return result;
}

static int load_roots(const char *dir, struct root_keys *roots, struct buf certs[CERT_FAMILY_COUNT],
		      struct err *err)
{
	int result = load_root_keys(dir, roots, err);

	for (size_t i = 0; result == 0 && i < CERT_FAMILY_COUNT; i++) {
		struct buf pem = {0};
		char *path = path_of(dir, CREDENTIALS_ROOT_DIR, root_cert_names[i]);

		result = file_read(path, CREDENTIALS_FILE_LEN_MAX, &pem);
		if (result == 0 && !chain_from_pem(bytes_buf(&pem), &certs[i]))
			result = -EBADMSG;
		if (result)
			(void)fail(err, result, path);
		buf_deinit(&pem);
		free(path);
	}
	return result;
}

/* The time to date certificates with: see state.h. */
static int issue_time(int64_t asked_ms, const struct buf *root_der, struct wall *ret_now,
		      struct err *err)
{
	struct wall own = clock_wall();
	struct cert root;
	int64_t latest_ms;

	if (cert_parse(bytes_buf(root_der), &root, err) != 0)
		return -EBADMSG;
	latest_ms = (own.ms > root.not_before.ms ? own.ms : root.not_before.ms) + STATE_AHEAD_MS;
	ret_now->ms = asked_ms < root.not_before.ms ? root.not_before.ms
		      : asked_ms > latest_ms        ? latest_ms
						    : asked_ms;
	return 0;
}

static int sign_intermediates(const struct join_roots *roots,
			      const struct node_id admit[CERT_FAMILY_COUNT], struct buf *ret_certs,
			      struct err *err)
{
	struct join_intermediates made = {0};
	int result = join_issue_intermediates(roots, admit, &made, err);

	for (size_t i = 0; result == 0 && i < CERT_FAMILY_COUNT; i++)
		buf_append_bytes(ret_certs, bytes_buf(&made.cert[i]));
	join_intermediates_deinit(&made);
	return result > 0 ? -EACCES : result;
}

static int issue(const char *dir, int64_t now_ms, const struct node_id *machine,
		 const struct node_id admit[CERT_FAMILY_COUNT], struct buf *ret_certs,
		 struct err *err)
{
	struct root_keys keys = {0};
	struct buf certs[CERT_FAMILY_COUNT] = {0};
	struct join_roots roots = {.keys = &keys, .holder = *machine};
	int result = load_roots(dir, &keys, certs, err);

	entropy_fill(roots.serials, sizeof(roots.serials));
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		roots.cert[i] = bytes_buf(&certs[i]);
	if (result == 0)
		result = issue_time(now_ms, &certs[CERT_FAMILY_MACHINE - 1], &roots.now, err);
	if (result == 0)
		result = count_admitter(dir, err);
	if (result == 0)
		result = sign_intermediates(&roots, admit, ret_certs, err);
	root_keys_wipe(&keys);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		buf_deinit(&certs[i]);
	return result;
}

void state_request_build(struct wall now, const struct node_id *machine,
			 const struct node_id admit[CERT_FAMILY_COUNT], struct buf *out)
{
	buf_append(out, &now.ms, sizeof(now.ms));
	buf_append(out, machine, sizeof(*machine));
	buf_append(out, admit, CERT_FAMILY_COUNT * sizeof(*admit));
}

int state_issue_admitter(const char *state_dir, struct bytes request, struct buf *ret_certs,
			 struct err *err)
{
	struct node_id machine, admit[CERT_FAMILY_COUNT];
	int64_t now_ms;

	if (request.len != STATE_REQUEST_LEN)
		return err_set(err, -EBADMSG, "malformed request for intermediates");
	if (!exists(state_dir, CREDENTIALS_ROOT_DIR, "machine.key"))
		return err_set(err, -EACCES, "the fabric's roots are not on this machine");
	memcpy(&now_ms, request.ptr, sizeof(now_ms));
	memcpy(&machine, request.ptr + sizeof(now_ms), sizeof(machine));
	memcpy(admit, request.ptr + sizeof(now_ms) + sizeof(machine), sizeof(admit));
	return issue(state_dir, now_ms, &machine, admit, ret_certs, err);
}
