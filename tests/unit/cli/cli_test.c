/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs against a daemon that a thread of the test plays, over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "identity/csr.h"
#include "identity/fabric.h"
#include "identity/keyring.h"
#include "identity/trust.h"
#include "identity/voucher.h"
#include "io/file.h"

#define NOW ((struct wall){.ms = INT64_C(1795000000000)})

static char state_dir[64];
static struct fabric_made made;

static void path_of(const char *name, char path[256])
{
	(void)snprintf(path, 256, "%s/%s", state_dir, name);
}

static void write_file(const char *name, struct bytes content, mode_t mode)
{
	char path[256];

	path_of(name, path);
	assert_int_equal(file_write(path, content, mode), 0);
}

static int setup(void **state)
{
	uint8_t random[FABRIC_RANDOM_LEN];
	struct credentials_files files;
	char path[256], name[128];
	struct err err;

	(void)snprintf(state_dir, sizeof(state_dir), "/tmp/magik-cli-XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	path_of("fabric", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of("run", path);
	assert_int_equal(mkdir(path, 0700), 0);
	memset(random, 5, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(random[i] + i + i / 256);
	assert_int_equal(fabric_make("alpha", NOW, random, &made, &err), 0);
	credentials_save(&made.credentials, &files);
	for (size_t i = 0; i < files.count; i++) {
		(void)snprintf(name, sizeof(name), "fabric/%s", files.file[i].name);
		write_file(name, bytes_buf(&files.file[i].content), 0600);
	}
	credentials_files_deinit(&files);
	optind = 0;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static int teardown(void **state)
{
	fabric_made_deinit(&made);
	return nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A daemon that answers one request with @answer and remembers what it was asked. */
struct daemon {
	pthread_t thread;
	int fd;
	const char *answer;
	char asked[512];
};

static void *daemon_run(void *ctx)
{
	struct daemon *daemon = ctx;
	int fd = accept(daemon->fd, NULL, NULL);
	size_t len = 0;

	while (len < sizeof(daemon->asked) - 1 && !memchr(daemon->asked, '\n', len)) {
		ssize_t n = recv(fd, daemon->asked + len, sizeof(daemon->asked) - 1 - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	(void)send(fd, daemon->answer, strlen(daemon->answer), MSG_NOSIGNAL);
	(void)close(fd);
	return NULL;
}

static void daemon_start(struct daemon *daemon, const char *socket_name, const char *answer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*daemon = (struct daemon){.answer = answer};
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/run/%.20s", state_dir,
		       socket_name);
	daemon->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(daemon->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(daemon->fd, 1), 0);
	assert_int_equal(pthread_create(&daemon->thread, NULL, daemon_run, daemon), 0);
}

static void daemon_stop(struct daemon *daemon)
{
	assert_int_equal(pthread_join(daemon->thread, NULL), 0);
	(void)close(daemon->fd);
}

/* Run @verb with the arguments and --state-dir; what it printed on stdout and stderr. */
static int run_verb(const struct cli_verb *verb, const char *const *arguments, char *out,
		    char *complaint, size_t len)
{
	char *argv[16] = {(char *)(uintptr_t)verb->name};
	int argc = 1, saved_out = dup(1), saved_err = dup(2), r, fds[2];
	const int *from[2] = {&fds[0], &fds[1]};
	char *to[2] = {out, complaint};

	while (arguments[argc - 1]) {
		argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
		argc++;
	}
	argv[argc++] = (char *)(uintptr_t) "--state-dir";
	argv[argc++] = state_dir;
	for (int i = 0; i < 2; i++) {
		fds[i] = memfd_create("output", MFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	(void)fflush(NULL);
	assert_true(dup2(fds[0], 1) == 1 && dup2(fds[1], 2) == 2);
	optind = 0;
	r = verb->run(argc, argv);
	(void)fflush(NULL);
	assert_true(dup2(saved_out, 1) == 1 && dup2(saved_err, 2) == 2);
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(*from[i], to[i], len - 1, 0);

		assert_true(n >= 0);
		to[i][n] = 0;
		(void)close(*from[i]);
	}
	(void)close(saved_out);
	(void)close(saved_err);
	return r;
}

static char out[8192], complaint[8192];

#define RUN(verb, ...)                                                                         \
	run_verb(verb, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, out, complaint, \
		 sizeof(out))

static const char status_answer[] =
	"{\"done\":true,\"node\":\"alpha\",\"fabric_time_ms\":1795000000000,\"pods\":2,"
	"\"rest\":\"10.0.0.1:6443\",\"addresses\":[\"10.0.0.1:7946\",\"10.0.0.2:7946\"]}\n";

static void test_a_token_is_signed_for_the_fabrics_time_and_addresses(void **state)
{
	struct voucher *voucher = calloc(1, sizeof(*voucher));
	struct daemon daemon;
	struct err err;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_fabric_token, "--ttl", "2h"), CLI_OK);
	daemon_stop(&daemon);
	assert_string_equal(daemon.asked, "{\"verb\":\"status\"}\n");
	assert_int_equal(voucher_parse(bytes_str(out), voucher, &err), 0);
	assert_true(voucher->cert.plain);
	assert_int_equal(voucher->cert.grant.roles, ROLE_PLAIN);
	assert_int_equal(voucher->cert.not_after.ms, NOW.ms + 2 * CERT_HOUR_MS);
	assert_int_equal(voucher->address_count, 2);
	assert_true(node_id_equal(&voucher->root[2], &made.roots.key[2].public_key));
	voucher_deinit(voucher);
	free(voucher);
}

static void test_a_token_can_be_for_less(void **state)
{
	struct voucher *voucher = calloc(1, sizeof(*voucher));
	struct daemon daemon;
	struct err err;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_fabric_token, "--role", "worker,steward", "--namespace", "shop"),
			 CLI_OK);
	daemon_stop(&daemon);
	assert_int_equal(voucher_parse(bytes_str(out), voucher, &err), 0);
	assert_false(voucher->cert.plain);
	assert_int_equal(voucher->cert.grant.roles, ROLE_WORKER | ROLE_STEWARD);
	assert_true(grant_stewards(&voucher->cert.grant, bytes_str("shop")));
	assert_false(voucher->cert.grant.all_namespaces);
	voucher_deinit(voucher);
	free(voucher);
}

static void test_odd_arguments_of_a_token_are_named(void **state)
{
	assert_int_equal(RUN(&verb_fabric_token, "--ttl", "soon"), CLI_FAILED);
	assert_string_equal(complaint, "magik: --ttl: soon is no time such as 90s, 30m, 24h, 7d\n");
	assert_int_equal(RUN(&verb_fabric_token, "--role", "king"), CLI_FAILED);
	assert_non_null(strstr(complaint, "king is none of"));
	assert_int_equal(RUN(&verb_fabric_token, "--namespace", "No!"), CLI_FAILED);
	assert_int_equal(RUN(&verb_fabric_token, "--role", "worker", "--namespace", "shop"),
			 CLI_USAGE);
	assert_int_equal(RUN(&verb_fabric_token, "superfluous"), CLI_USAGE);
}

static void test_without_a_daemon_one_line_says_so(void **state)
{
	assert_int_equal(RUN(&verb_status), CLI_FAILED);
	assert_non_null(strstr(complaint, "no daemon answers for the state directory"));
	assert_int_equal(strcspn(complaint, "\n"), strlen(complaint) - 1);
	assert_int_equal(RUN(&verb_kubeconfig), CLI_FAILED);
	assert_int_equal(RUN(&verb_fabric_token), CLI_FAILED);
}

static void test_status_prints_what_the_daemon_says(void **state)
{
	struct daemon daemon;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_status), CLI_OK);
	daemon_stop(&daemon);
	assert_string_equal(out, "machine    alpha\nREST       10.0.0.1:6443\npods       2\n");
}

static void test_status_as_json_is_the_answer_without_its_frame(void **state)
{
	struct daemon daemon;
	json_t *status;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_status, "-o", "json"), CLI_OK);
	daemon_stop(&daemon);
	status = json_loads(out, 0, NULL);
	assert_string_equal(control_text(status, "node"), "alpha");
	assert_null(json_object_get(status, "done"));
	json_decref(status);
}

static void test_the_kubeconfig_is_printed_with_another_server(void **state)
{
	struct kubeconfig config = {.user = &made.admin,
				    .api_root_der = bytes_buf(&made.credentials.root[2]),
				    .server = "10.0.0.1:6443"};
	struct daemon daemon;
	struct buf yaml = {0};

	kubeconfig_render(&config, &yaml);
	write_file(CREDENTIALS_KUBECONFIG, bytes_buf(&yaml), 0600);
	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_kubeconfig, "--server", "10.0.0.2:6443"), CLI_OK);
	daemon_stop(&daemon);
	assert_non_null(
		strstr(out, "    server: https://10.0.0.2:6443\n    tls-server-name: api."));
	assert_null(strstr(out, "10.0.0.1"));
	assert_int_equal(strlen(out), yaml.len);
	assert_int_equal(RUN(&verb_kubeconfig, "--server", "x\ny: z"), CLI_USAGE);
	buf_deinit(&yaml);
}

/* The base64 of a field of the kubeconfig on @out, decoded twice: YAML, then PEM. */
static struct cert user_of_kubeconfig(void)
{
	const char field[] = "client-certificate-data: ";
	const char *text = strstr(out, field) + strlen(field);
	struct buf pem = {0}, der = {0};
	struct chain chain;
	struct cert cert;
	struct err err;

	assert_true(base64_decode(bytes_of(text, strcspn(text, "\n")), &pem));
	assert_true(chain_from_pem(bytes_buf(&pem), &der));
	assert_true(chain_split(bytes_buf(&der), &chain));
	assert_int_equal(cert_parse(chain.cert[0], &cert, &err), 0);
	buf_deinit(&pem);
	buf_deinit(&der);
	return cert;
}

static void test_a_user_is_certified_with_groups(void **state)
{
	struct daemon daemon;
	struct cert user;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--group", "dev", "--group", "ops"),
			 CLI_OK);
	daemon_stop(&daemon);
	assert_non_null(strstr(out, "server: https://10.0.0.1:6443\n"));
	user = user_of_kubeconfig();
	assert_int_equal(user.kind, CERT_USER);
	assert_string_equal(user.name, "jo");
	assert_int_equal(user.group_count, 2);
	assert_string_equal(user.groups[1], "ops");
	assert_int_equal(user.not_after.ms, NOW.ms + CERT_USER_LIFE_MS);
	assert_int_equal(RUN(&verb_kubeconfig, "--group", "dev"), CLI_USAGE);
}

static void test_a_role_stands_in_the_certificate_with_its_namespaces(void **state)
{
	struct daemon daemon;
	struct cert user;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--role", "edit", "--namespace",
			     "prod,test", "--group", "dev"),
			 CLI_OK);
	daemon_stop(&daemon);
	assert_non_null(strstr(out, "    namespace: prod\n"));
	user = user_of_kubeconfig();
	assert_int_equal(user.group_count, 3);
	assert_string_equal(user.groups[0], "dev");
	assert_string_equal(user.groups[1], "magik:edit:prod");
	assert_string_equal(user.groups[2], "magik:edit:test");
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--role", "owner"), CLI_FAILED);
	assert_non_null(strstr(complaint, "none of view, edit, admin"));
	assert_int_equal(
		RUN(&verb_kubeconfig, "--user", "jo", "--role", "edit", "--namespace", "A"),
		CLI_FAILED);
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "system:x", "--role", "edit"), CLI_FAILED);
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--namespace", "a"), CLI_USAGE);
	assert_int_equal(RUN(&verb_kubeconfig, "--role", "edit"), CLI_USAGE);
}

static void test_a_kubeconfig_file_is_its_owners(void **state)
{
	struct daemon daemon;
	struct stat info;
	char path[256];

	path_of("jo.kubeconfig", path);
	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--role", "view", "--namespace", "*",
			     "--output", path),
			 CLI_OK);
	daemon_stop(&daemon);
	assert_string_equal(out, "");
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_root_keys_leave_the_machine(void **state)
{
	char path[256], key[256];
	struct buf bundle = {0};

	path_of("roots.pem", path);
	assert_int_equal(RUN(&verb_fabric_root, "export", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "the roots are not on this machine"));
	path_of("root", key);
	assert_int_equal(mkdir(key, 0700), 0);
	write_file("root/machine.key", bytes_str("one\n"), 0600);
	write_file("root/workload.key", bytes_str("two\n"), 0600);
	write_file("root/api.key", bytes_str("three\n"), 0600);
	assert_int_equal(RUN(&verb_fabric_root, "export", path), CLI_OK);
	assert_int_equal(file_read(path, 1024, &bundle), 0);
	assert_string_equal(buf_cstr(&bundle),
			    "# machine.key\none\n# workload.key\ntwo\n# api.key\nthree\n");
	buf_deinit(&bundle);
	path_of("root/machine.key", key);
	assert_int_equal(access(key, F_OK), -1);
	assert_int_equal(RUN(&verb_fabric_root, "export", path), CLI_FAILED);
	assert_int_equal(RUN(&verb_fabric_root, "import", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "under \"# machine.key\" is no Ed25519 private key"));
	assert_int_equal(RUN(&verb_fabric_root, "burn", path), CLI_USAGE);
}

/* The fabric's roots as files in root/, as the daemon leaves them where it made the fabric. */
static void put_roots(const struct root_keys *roots)
{
	char path[256];

	path_of("root", path);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct buf pem = {0};
		char name[64];

		key_export_pem(&roots->key[i], &pem);
		(void)snprintf(name, sizeof(name), "root/%s", root_keys_names[i]);
		write_file(name, bytes_buf(&pem), 0600);
		buf_deinit(&pem);
	}
}

static void put_trust(const struct root_keys *roots)
{
	struct buf trust = {0};

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		buf_append_format(&trust, "%s\n", node_id_text(&roots->key[i].public_key).text);
	write_file("root/trust", bytes_buf(&trust), 0644);
	buf_deinit(&trust);
}

static void test_root_keys_come_back_to_their_fabric_only(void **state)
{
	struct root_keys others = made.roots;
	char path[256], key[256];
	struct buf before = {0}, after = {0};

	put_roots(&made.roots);
	path_of("root/api.key", key);
	assert_int_equal(file_read(key, 1024, &before), 0);
	path_of("roots.pem", path);
	assert_int_equal(RUN(&verb_fabric_root, "export", path), CLI_OK);
	others.key[1] = made.credentials.machine_key;
	put_trust(&others);
	assert_int_equal(RUN(&verb_fabric_root, "import", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "roots of another fabric"));
	put_trust(&made.roots);
	assert_int_equal(RUN(&verb_fabric_root, "import", path), CLI_OK);
	assert_int_equal(file_read(key, 1024, &after), 0);
	assert_true(bytes_equal(bytes_buf(&before), bytes_buf(&after)));
	path_of("root/root-workload.pem", key);
	assert_int_equal(access(key, F_OK), 0);
	assert_int_equal(RUN(&verb_fabric_root, "import", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "there are roots in"));
	buf_deinit(&before);
	buf_deinit(&after);
}

/* The reply in the admission on @out, opened with the keys that "request" left in @dir. */
static void open_admission(const char *dir, struct join_reply *reply)
{
	struct node_id root[CERT_FAMILY_COUNT];
	struct key list[JOIN_SEEDS];
	struct join_keys keys;
	struct buf text = {0};
	struct err err = {0};
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/root/request.key", dir);
	assert_int_equal(file_read(path, KEYRING_LEN_MAX, &text), 0);
	assert_int_equal(keyring_read(bytes_buf(&text), join_key_names, list, &err), 0);
	csr_keys_take(list, &keys);
	if (csr_admission_open(bytes_str(out), &keys, reply, root, &err) != 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		assert_true(node_id_equal(&root[i], &made.roots.key[i].public_key));
	buf_deinit(&text);
}

/* A request of a new machine with its own state directory below ours; @dir: where that is. */
static void make_request(char dir[256], char request[256])
{
	const char *arguments[] = {"--node-name", "node7", "--output", request, NULL};
	char own[sizeof(state_dir)], new_dir[sizeof(state_dir)];

	path_of("new", dir);
	path_of("node7.csr", request);
	(void)snprintf(own, sizeof(own), "%s", state_dir);
	(void)snprintf(new_dir, sizeof(new_dir), "%.50s/new", own);
	(void)snprintf(state_dir, sizeof(state_dir), "%s", new_dir);
	assert_int_equal(run_verb(&verb_fabric_request, arguments, out, complaint, sizeof(out)),
			 CLI_OK);
	(void)snprintf(state_dir, sizeof(state_dir), "%s", own);
}

static void test_a_machine_is_admitted_by_its_request(void **state)
{
	struct join_reply *reply = calloc(1, sizeof(*reply));
	char dir[256], request[256];
	struct daemon daemon;

	make_request(dir, request);
	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_fabric_admit, "--csr", request, "--role", "worker"), CLI_OK);
	daemon_stop(&daemon);
	assert_non_null(strstr(complaint, "admitted node7, identity "));
	open_admission(dir, reply);
	assert_int_equal(reply->credentials.machine.grant.roles, ROLE_WORKER);
	assert_int_equal(reply->now.ms, NOW.ms);
	assert_int_equal(reply->member_count, 2);
	join_reply_deinit(reply);
	free(reply);
}

/* On any computer: no daemon is asked, and no state directory is looked at. */
static void test_the_roots_make_an_admitter_from_their_file(void **state)
{
	struct join_reply *reply = calloc(1, sizeof(*reply));
	char dir[256], request[256], roots[256];
	struct daemon daemon;

	make_request(dir, request);
	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_fabric_admit, "--csr", request, "--role", "worker,admit"),
			 CLI_FAILED);
	daemon_stop(&daemon);
	assert_non_null(strstr(complaint, "--root FILE"));
	put_roots(&made.roots);
	path_of("roots.pem", roots);
	assert_int_equal(RUN(&verb_fabric_root, "export", roots), CLI_OK);
	path_of("run/" CONTROL_SOCKET, dir);
	assert_int_equal(unlink(dir), 0);
	path_of("new", dir);
	assert_int_equal(RUN(&verb_fabric_admit, "--csr", request, "--role", "worker,admit",
			     "--root", roots),
			 CLI_OK);
	open_admission(dir, reply);
	assert_int_equal(reply->credentials.machine.grant.roles, ROLE_WORKER | ROLE_ADMIT);
	assert_true(credentials_is_admitter(&reply->credentials));
	assert_int_equal(reply->member_count, 0);
	join_reply_deinit(reply);
	free(reply);
}

static void test_what_is_no_request_is_refused(void **state)
{
	char path[256];

	path_of("fabric/machine.pem", path);
	assert_int_equal(RUN(&verb_fabric_admit, "--csr", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "is a certificate"));
	assert_int_equal(RUN(&verb_kubeconfig, "--csr", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "is a certificate"));
	assert_int_equal(RUN(&verb_fabric_admit, "--csr", "/nowhere"), CLI_FAILED);
	assert_non_null(strstr(complaint, "/nowhere: No such file"));
	assert_int_equal(RUN(&verb_fabric_admit), CLI_USAGE);
	assert_int_equal(RUN(&verb_fabric_request), CLI_USAGE);
	assert_int_equal(RUN(&verb_fabric_request, "--node-name", "No!"), CLI_FAILED);
	assert_int_equal(RUN(&verb_fabric_request, "--node-name", "a"), CLI_FAILED);
	assert_non_null(strstr(complaint, "a member of a fabric already"));
	assert_int_equal(RUN(&verb_kubeconfig, "--key", "x"), CLI_USAGE);
	assert_int_equal(RUN(&verb_kubeconfig, "--csr", path, "--key", "a\nb"), CLI_USAGE);
}

/* Made by openssl genpkey -algorithm ed25519 and openssl req -new -subj /O=dev/CN=jo. */
static const char user_request[] =
	"-----BEGIN CERTIFICATE REQUEST-----\n"
	"MIGaME4CAQAwGzEMMAoGA1UECgwDZGV2MQswCQYDVQQDDAJqbzAqMAUGAytlcAMh\n"
	"AAibAJ4LGFr6YtahqEGIP4lJYtBUOIIicVw+i2L+idSIoAAwBQYDK2VwA0EAJCDZ\n"
	"94guVOu4LeS/b0bTqBW/bI2gNL5gpQLmgNTIoenPgvag9fImJVjQLmku/63hh5dD\n"
	"egUaXJaYKy8xOOJ1Bg==\n"
	"-----END CERTIFICATE REQUEST-----\n";

static void test_a_users_own_key_is_certified(void **state)
{
	struct daemon daemon;
	struct cert user;
	char path[256];

	path_of("jo.csr", path);
	write_file("jo.csr", bytes_str(user_request), 0644);
	assert_int_equal(RUN(&verb_kubeconfig, "--csr", path), CLI_FAILED);
	assert_non_null(strstr(complaint, "asks for the group dev, which was not given"));
	assert_int_equal(RUN(&verb_kubeconfig, "--csr", path, "--user", "ann", "--group", "dev"),
			 CLI_FAILED);
	assert_non_null(strstr(complaint, "is a request of jo, and not of ann"));
	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_kubeconfig, "--csr", path, "--group", "dev", "--role", "view"),
			 CLI_OK);
	daemon_stop(&daemon);
	assert_null(strstr(out, "client-key-data"));
	assert_non_null(strstr(out, "    client-key: 'jo.key'\n"));
	user = user_of_kubeconfig();
	assert_string_equal(user.name, "jo");
	assert_int_equal(user.group_count, 2);
	assert_string_equal(node_id_text(&user.key).text,
			    "089b009e0b185afa62d6a1a841883f894962d054388222715c3e8b62fe89d488");
}

static void test_what_is_revoked_is_told_from_its_form(void **state)
{
	static const char id[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct daemon daemon;

	daemon_start(&daemon, CONTROL_SOCKET, status_answer);
	assert_int_equal(RUN(&verb_fabric_revoke, "--machine", "nobody"), CLI_FAILED);
	daemon_stop(&daemon);
	assert_non_null(strstr(complaint, "there is no machine nobody"));
	assert_int_equal(RUN(&verb_fabric_revoke), CLI_USAGE);
	assert_int_equal(RUN(&verb_fabric_revoke, "jo", "jim"), CLI_USAGE);
	assert_int_equal(RUN(&verb_fabric_revoke, "--user", "jo", "--machine", id), CLI_USAGE);
}

static void test_revocations_are_listed(void **state)
{
	struct daemon daemon;

	daemon_start(&daemon, CONTROL_SOCKET,
		     "{\"revocations\":[{\"kind\":\"user\",\"subject\":\"jo\",\"at_ms\":"
		     "1795000000000,\"by\":\"00112233445566778899\",\"reason\":\"left\"}],"
		     "\"done\":true}\n");
	assert_int_equal(RUN(&verb_fabric_revocations), CLI_OK);
	daemon_stop(&daemon);
	assert_string_equal(out, "2026-11-18T11:06:40Z  user     jo  by 0011223344556677  left\n");
}

static void test_an_image_file_is_asked_for_by_its_full_path(void **state)
{
	struct daemon daemon;
	char path[256], expected[512];

	write_file("web.tar", bytes_str("x"), 0600);
	path_of("web.tar", path);
	daemon_start(&daemon, CONTROL_HOST_SOCKET,
		     "{\"text\":\"unpacking\"}\n{\"done\":true,\"image\":\"web:1\"}\n");
	assert_int_equal(RUN(&verb_image, "load", path), CLI_OK);
	daemon_stop(&daemon);
	(void)snprintf(expected, sizeof(expected), "{\"verb\":\"image-load\",\"source\":\"%s\"}\n",
		       path);
	assert_string_equal(daemon.asked, expected);
	assert_string_equal(out, "web:1\n");
}

static void test_a_missing_image_file_is_not_taken_for_a_reference(void **state)
{
	assert_int_equal(RUN(&verb_image, "load", "./nothing.tar"), CLI_FAILED);
	assert_string_equal(complaint, "magik: ./nothing.tar: No such file or directory\n");
}

static void test_images_are_listed(void **state)
{
	struct daemon daemon;

	daemon_start(&daemon, CONTROL_HOST_SOCKET,
		     "{\"done\":true,\"images\":[{\"name\":\"web:1\",\"digest\":\"sha256:00\","
		     "\"size\":1048576}]}\n");
	assert_int_equal(RUN(&verb_image, "ls"), CLI_OK);
	daemon_stop(&daemon);
	assert_string_equal(daemon.asked, "{\"verb\":\"image-ls\"}\n");
	assert_non_null(strstr(out, "web:1 "));
	assert_non_null(strstr(out, " 1.0 MiB\n"));
}

static void test_the_daemons_own_error_is_passed_on(void **state)
{
	struct daemon daemon;

	daemon_start(&daemon, CONTROL_HOST_SOCKET,
		     "{\"done\":true,\"error\":\"web:1 is in use\"}\n");
	assert_int_equal(RUN(&verb_image, "rm", "web:1"), CLI_FAILED);
	daemon_stop(&daemon);
	assert_string_equal(complaint, "magik: web:1 is in use\n");
}

static void test_a_daemon_that_hangs_up_is_said(void **state)
{
	struct daemon daemon;

	daemon_start(&daemon, CONTROL_SOCKET, "{\"done\":");
	assert_int_equal(RUN(&verb_status), CLI_FAILED);
	daemon_stop(&daemon);
	assert_string_equal(complaint, "magik: the daemon hung up\n");
}

static void test_show_needs_no_daemon(void **state)
{
	assert_int_equal(RUN(&verb_fabric_show), CLI_OK);
	assert_non_null(strstr(out, made.credentials.machine.fabric));
	assert_non_null(strstr(out, "worker,steward,admit,relay"));
}

static void test_durations_have_a_unit_and_a_bound(void **state)
{
	assert_int_equal(cli_duration_ms("90s"), 90000);
	assert_int_equal(cli_duration_ms("30m"), 1800000);
	assert_int_equal(cli_duration_ms("7d"), 7 * CERT_DAY_MS);
	assert_int_equal(cli_duration_ms("365d"), 365 * CERT_DAY_MS);
	assert_int_equal(cli_duration_ms("366d"), 0);
	assert_int_equal(cli_duration_ms("99999999999999999999s"), 0);
	assert_int_equal(cli_duration_ms("90"), 0);
	assert_int_equal(cli_duration_ms("s"), 0);
	assert_int_equal(cli_duration_ms("0s"), 0);
	assert_int_equal(cli_duration_ms("-5s"), 0);
	assert_int_equal(cli_duration_ms("5sx"), 0);
}

static void test_the_roots_certify_users_from_their_file(void **state)
{
	struct trust_query query = {.purpose = TRUST_REST_USER, .now_is_floor = true};
	const char field[] = "client-certificate-data: ";
	struct buf pem = {0}, der = {0};
	struct bytes root[CERT_FAMILY_COUNT];
	const char *text;
	struct chain chain;
	struct trust trust;
	struct cert user;
	struct err err = {0};
	char roots[256];

	put_roots(&made.roots);
	path_of("roots.pem", roots);
	assert_int_equal(RUN(&verb_fabric_root, "export", roots), CLI_OK);
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--root", roots), CLI_FAILED);
	assert_non_null(strstr(complaint, "--server HOST:PORT"));
	assert_int_equal(RUN(&verb_kubeconfig, "--user", "jo", "--role", "view", "--root", roots,
			     "--server", "10.0.0.9:6443"),
			 CLI_OK);
	text = strstr(out, field) + strlen(field);
	assert_true(base64_decode(bytes_of(text, strcspn(text, "\n")), &pem));
	assert_true(chain_from_pem(bytes_buf(&pem), &der));
	assert_true(chain_split(bytes_buf(&der), &chain));
	/* The machines of the fabric, which have other certificates of the same roots, believe it.
	 */
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		root[i] = bytes_buf(&made.credentials.root[i]);
	assert_int_equal(trust_init_certs(&trust, root, 8, 1, &err), 0);
	if (trust_verify(&trust, &query, &chain, &user, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(user.name, "jo");
	trust_deinit(&trust);
	buf_deinit(&pem);
	buf_deinit(&der);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_token_is_signed_for_the_fabrics_time_and_addresses),
		TEST(test_a_token_can_be_for_less),
		TEST(test_odd_arguments_of_a_token_are_named),
		TEST(test_without_a_daemon_one_line_says_so),
		TEST(test_status_prints_what_the_daemon_says),
		TEST(test_status_as_json_is_the_answer_without_its_frame),
		TEST(test_the_kubeconfig_is_printed_with_another_server),
		TEST(test_a_role_stands_in_the_certificate_with_its_namespaces),
		TEST(test_a_kubeconfig_file_is_its_owners),
		TEST(test_root_keys_leave_the_machine),
		TEST(test_root_keys_come_back_to_their_fabric_only),
		TEST(test_a_machine_is_admitted_by_its_request),
		TEST(test_the_roots_make_an_admitter_from_their_file),
		TEST(test_the_roots_certify_users_from_their_file),
		TEST(test_what_is_no_request_is_refused),
		TEST(test_a_users_own_key_is_certified),
		TEST(test_what_is_revoked_is_told_from_its_form),
		TEST(test_revocations_are_listed),
		TEST(test_a_user_is_certified_with_groups),
		TEST(test_an_image_file_is_asked_for_by_its_full_path),
		TEST(test_a_missing_image_file_is_not_taken_for_a_reference),
		TEST(test_images_are_listed),
		TEST(test_the_daemons_own_error_is_passed_on),
		TEST(test_a_daemon_that_hangs_up_is_said),
		TEST(test_show_needs_no_daemon),
		cmocka_unit_test(test_durations_have_a_unit_and_a_bound),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
