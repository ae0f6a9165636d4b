/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory: made by root, in a temporary place. */
#include "machineplane/state.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "identity/csr.h"
#include "identity/keyring.h"
#include "io/clock.h"
#include "io/file.h"

struct place {
	char dir[64];
	struct options options;
	struct state state;
	struct err err;
};

static int setup(void **state)
{
	struct place *place = mem_new(struct place);

	(void)snprintf(place->dir, sizeof(place->dir), "/tmp/state_test.XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	place->options = (struct options){
		.node_name = (char *)(uintptr_t) "alpha",
		.state_dir = place->dir,
		.run_dir = (char *)(uintptr_t) "/run/nowhere",
		.rest_host = (char *)(uintptr_t) "0.0.0.0",
		.rest_port = 3000,
	};
	*state = place;
	return 0;
}

static const char *inside(const struct place *place, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	return path;
}

static void remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[512];

	while (dir && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		if (unlink(below) != 0)
			remove_all(below);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(path);
}

static int teardown(void **state)
{
	struct place *place = *state;

	remove_all(place->dir);
	free(place);
	return 0;
}

static int prepare(struct place *place)
{
	place->err = (struct err){0};
	return state_prepare(&place->options, &place->state, &place->err);
}

static void has(const struct place *place, const char *name, mode_t mode, uid_t uid)
{
	struct stat stat;

	if (lstat(inside(place, name), &stat) != 0)
		fail_msg("%s is missing", name);
	if ((stat.st_mode & 07777) != mode || stat.st_uid != uid || stat.st_gid != uid)
		fail_msg("%s: mode %o, owner %u", name, stat.st_mode & 07777, stat.st_uid);
}

static void has_not(const struct place *place, const char *name)
{
	assert_int_not_equal(access(inside(place, name), F_OK), 0);
}

static struct buf content_of(const struct place *place, const char *name)
{
	struct buf content = {0};

	assert_int_equal(file_read(inside(place, name), 65536, &content), 0);
	return content;
}

static void the_first_start_makes_a_fabric(void **state)
{
	struct place *place = *state;

	assert_int_equal(prepare(place), 0);
	assert_true(place->state.made && place->state.roots);
	assert_false(place->state.member);
	has(place, "fabric", 0700, STATE_FABRIC_UID);
	has(place, "fabric/machine.pem", 0644, STATE_FABRIC_UID);
	has(place, "fabric/machine.key", 0600, STATE_FABRIC_UID);
	has(place, "fabric/admit-api.key", 0600, STATE_FABRIC_UID);
	has(place, "fabric/root-machine.pem", 0644, STATE_FABRIC_UID);
	has(place, "root", 0700, 0);
	has(place, "root/machine.key", 0600, 0);
	has(place, "root/workload.key", 0600, 0);
	has(place, "root/api.key", 0600, 0);
	has(place, "root/root-api.pem", 0644, 0);
	has(place, "admin.kubeconfig", 0600, 0);
}

static void a_second_start_changes_nothing(void **state)
{
	struct place *place = *state;
	struct node_id root;
	struct buf before, after;

	assert_int_equal(prepare(place), 0);
	root = place->state.root[0];
	before = content_of(place, "fabric/machine.pem");
	assert_int_equal(prepare(place), 0);
	after = content_of(place, "fabric/machine.pem");
	assert_true(place->state.member && place->state.roots);
	assert_false(place->state.made);
	assert_true(node_id_equal(&root, &place->state.root[0]));
	assert_true(bytes_equal(bytes_buf(&before), bytes_buf(&after)));
	buf_deinit(&before);
	buf_deinit(&after);
}

static void the_run_directory_is_found_from_the_state_directory(void **state)
{
	struct place *place = *state;
	char target[64] = "";

	assert_int_equal(prepare(place), 0);
	place->options.run_dir = (char *)(uintptr_t) "/run/elsewhere";
	assert_int_equal(prepare(place), 0);
	assert_true(readlink(inside(place, "run"), target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "/run/elsewhere");
}

/* What a start leaves that was cut off before its last file is finished by the next. */
static void a_start_that_was_cut_off_begins_anew(void **state)
{
	struct place *place = *state;

	assert_int_equal(prepare(place), 0);
	assert_int_equal(unlink(inside(place, "fabric/machine.pem")), 0);
	assert_int_equal(unlink(inside(place, "root/node")), 0);
	assert_int_equal(prepare(place), 0);
	assert_true(place->state.made);
	has(place, "fabric/machine.pem", 0644, STATE_FABRIC_UID);
}

static char *token_of(const struct fabric_made *made)
{
	struct voucher *voucher = world_voucher(made, grant_plain(), true, NOW);
	struct buf text = {0};

	voucher_encode(voucher, &text);
	world_free_voucher(voucher);
	return buf_steal(&text);
}

static void the_fabric_process_cannot_have_the_roots_overwritten(void **state)
{
	struct place *place = *state;
	struct buf before, after;

	assert_int_equal(prepare(place), 0);
	before = content_of(place, "root/machine.key");
	assert_int_equal(unlink(inside(place, "fabric/machine.pem")), 0);
	assert_int_equal(prepare(place), -EACCES);
	after = content_of(place, "root/machine.key");
	assert_true(bytes_equal(bytes_buf(&before), bytes_buf(&after)));
	assert_non_null(strstr(place->err.text, "machine.pem is gone"));
	buf_deinit(&before);
	buf_deinit(&after);
}

static void the_machine_that_made_the_fabric_is_no_other(void **state)
{
	struct place *place = *state;
	struct node_id other = world_key(40).public_key;

	assert_int_equal(prepare(place), 0);
	has(place, "root/node", 0644, 0);
	assert_int_equal(state_pin_node(place->dir, &other, &place->err), -EACCES);
}

static void a_machine_that_has_said_who_it_is_stays_that(void **state)
{
	struct place *place = *state;
	struct node_id one = world_key(40).public_key, other = world_key(41).public_key;
	struct fabric_made *made = world_fabric(5);

	place->options.join = token_of(made);
	assert_int_equal(prepare(place), 0);
	assert_int_equal(state_pin_node(place->dir, &one, &place->err), 0);
	assert_int_equal(state_pin_node(place->dir, &one, &place->err), 0);
	assert_int_equal(state_pin_node(place->dir, &other, &place->err), -EACCES);

	/* A new token is a new life. */
	assert_int_equal(prepare(place), 0);
	assert_int_equal(state_pin_node(place->dir, &other, &place->err), 0);
	free(place->options.join);
	world_free_fabric(made);
}

static void the_time_of_the_latest_award_is_kept(void **state)
{
	struct place *place = *state;

	assert_int_equal(prepare(place), 0);
	assert_int_equal(state_kept_time(place->dir).ms, 0);
	assert_int_equal(state_keep_time(place->dir, NOW), 0);
	has(place, "root/time", 0600, 0);
	assert_int_equal(prepare(place), 0);
	assert_int_equal(state_kept_time(place->dir).ms, NOW.ms);
}

static void a_token_pins_its_fabric_and_nothing_is_made(void **state)
{
	struct place *place = *state;
	struct fabric_made *made = world_fabric(5);

	place->options.join = token_of(made);
	assert_int_equal(prepare(place), 0);
	assert_false(place->state.made || place->state.roots || place->state.member);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		assert_true(node_id_equal(&place->state.root[i], &made->roots.key[i].public_key));
	has(place, "root/trust", 0644, 0);
	has_not(place, "root/machine.key");
	has_not(place, "fabric/machine.pem");
	has_not(place, "admin.kubeconfig");

	/* Joining has not finished: without a token it does not become a fabric of its own. */
	free(place->options.join);
	place->options.join = NULL;
	assert_int_equal(prepare(place), -EACCES);
	assert_non_null(strstr(place->err.text, "not finished joining"));
	has_not(place, "root/machine.key");
	world_free_fabric(made);
}

/* The keys of a request lie in root/, as magik fabric request leaves them; its admission by @made
 * is the file that --join names. */
static void put_admission(struct place *place, const struct fabric_made *made, const char *name)
{
	static char path[256];
	struct join_answer answer = {.admitter = &made->credentials, .now = NOW};
	struct buf ring = {0}, request = {0}, reply = {0}, admission = {0};
	struct grant grant = grant_plain();
	struct join_request opened;
	struct join_keys keys;
	struct key list[JOIN_SEEDS];
	uint8_t random[JOIN_RANDOM_LEN];

	answer.members = (const char *const[]){"10.0.0.1:7946"};
	answer.member_count = 1;
	world_random(77, random, sizeof(random));
	join_keys_make(&keys, random);
	csr_keys_list(&keys, list);
	keyring_write(join_key_names, list, &ring);
	assert_int_equal(file_make_dir(inside(place, "root"), 0700), 0);
	assert_int_equal(file_write(inside(place, "root/request.key"), bytes_buf(&ring), 0600), 0);
	csr_machine_build(&keys, name, &request);
	assert_int_equal(csr_machine_open(bytes_buf(&request), &grant, &opened, &place->err), 0);
	assert_int_equal(join_reply_build(&opened, &answer, &reply, &place->err), 0);
	csr_admission_build(bytes_buf(&reply), &admission);
	(void)snprintf(path, sizeof(path), "%s/admission", place->dir);
	assert_int_equal(file_write(path, bytes_buf(&admission), 0644), 0);
	place->options.join = path;
	buf_deinit(&ring);
	buf_deinit(&request);
	buf_deinit(&reply);
	buf_deinit(&admission);
}

static void an_admission_makes_a_member(void **state)
{
	struct place *place = *state;
	struct fabric_made *made = world_fabric(5);
	struct buf contacts;

	put_admission(place, made, "alpha");
	if (prepare(place) != 0)
		fail_msg("%s", place->err.text);
	assert_true(place->state.member);
	assert_false(place->state.made || place->state.roots);
	assert_int_equal(place->state.joined.ms, NOW.ms);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		assert_true(node_id_equal(&place->state.root[i], &made->roots.key[i].public_key));
	has(place, "fabric/machine.key", 0600, STATE_FABRIC_UID);
	has(place, "fabric/machine.pem", 0644, STATE_FABRIC_UID);
	has(place, "fabric/contacts", 0600, STATE_FABRIC_UID);
	has(place, "root/trust", 0644, 0);
	has(place, "root/node", 0644, 0);
	has_not(place, "root/request.key");
	has_not(place, "root/machine.key");
	contacts = content_of(place, "fabric/contacts");
	assert_string_equal(buf_cstr(&contacts), "10.0.0.1:7946\n");
	buf_deinit(&contacts);

	/* The next start has nothing to learn from it. */
	assert_int_equal(prepare(place), 0);
	assert_true(place->state.member);
	assert_int_equal(place->state.joined.ms, 0);
	world_free_fabric(made);
}

static void an_admission_is_good_for_its_request_and_name_only(void **state)
{
	struct place *place = *state;
	struct fabric_made *made = world_fabric(5);

	put_admission(place, made, "beta");
	assert_int_equal(prepare(place), -EINVAL);
	assert_non_null(strstr(place->err.text, "start with --node-name beta"));
	has_not(place, "fabric/machine.pem");
	has(place, "root/request.key", 0600, 0);
	put_admission(place, made, "alpha");
	assert_int_equal(unlink(inside(place, "root/request.key")), 0);
	assert_int_equal(prepare(place), -ENOENT);
	assert_non_null(strstr(place->err.text, "has made no request, or has used it"));
	has_not(place, "root/trust");
	world_free_fabric(made);
}

static void a_fabric_is_made_under_roots_that_were_brought(void **state)
{
	struct place *place = *state;
	struct fabric_made *made = world_fabric(5);
	struct credentials_files files;
	struct buf kept;

	root_keys_save(&made->roots, &files);
	assert_int_equal(file_make_dir(inside(place, "root"), 0700), 0);
	for (size_t i = 0; i < files.count; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "root/%s", files.file[i].name);
		assert_int_equal(
			file_write(inside(place, name), bytes_buf(&files.file[i].content), 0600),
			0);
	}
	assert_int_equal(prepare(place), 0);
	assert_true(place->state.made && place->state.roots);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		assert_true(node_id_equal(&place->state.root[i], &made->roots.key[i].public_key));
	kept = content_of(place, "root/machine.key");
	assert_true(bytes_equal(bytes_buf(&kept), bytes_buf(&files.file[0].content)));
	buf_deinit(&kept);
	credentials_files_deinit(&files);
	world_free_fabric(made);
}

static void a_damaged_token_is_refused(void **state)
{
	struct place *place = *state;

	place->options.join = (char *)(uintptr_t) "magik1.rubbish";
	assert_int_equal(prepare(place), -EINVAL);
	assert_non_null(strstr(place->err.text, "--join"));
	has_not(place, "root/trust");
}

static void damaged_trust_is_refused(void **state)
{
	struct place *place = *state;

	assert_int_equal(prepare(place), 0);
	assert_int_equal(file_write(inside(place, "root/trust"), bytes_str("zz\n"), 0644), 0);
	assert_true(prepare(place) < 0);
	assert_non_null(strstr(place->err.text, "root/trust"));
}

static void ephemeral_keys_are_new_at_each_start(void **state)
{
	struct place *place = *state;
	struct node_id root;

	assert_int_equal(prepare(place), 0);
	root = place->state.root[0];
	place->options.ephemeral_keys = true;
	assert_int_equal(prepare(place), 0);
	assert_true(place->state.made);
	assert_false(node_id_equal(&root, &place->state.root[0]));
}

static void ask(struct buf *request, struct wall now)
{
	struct node_id admit[CERT_FAMILY_COUNT];

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		admit[i] = world_key(40 + (uint32_t)i).public_key;
	buf_clear(request);
	state_request_build(now, &admit[0], admit, request);
}

static struct cert issued_at(struct place *place, struct wall now)
{
	struct buf request = {0}, certs = {0};
	struct chain chain;
	struct cert cert;

	ask(&request, now);
	assert_int_equal(state_issue_admitter(place->dir, bytes_buf(&request), &certs, &place->err),
			 0);
	assert_true(chain_split(bytes_buf(&certs), &chain));
	assert_int_equal(chain.count, CERT_FAMILY_COUNT);
	assert_int_equal(cert_parse(chain.cert[0], &cert, NULL), 0);
	assert_true(cert_signed_by(chain.cert[0], &place->state.root[0]));
	buf_deinit(&request);
	buf_deinit(&certs);
	return cert;
}

static void the_roots_sign_for_two_admitters_and_no_more(void **state)
{
	struct place *place = *state;
	struct buf request = {0}, certs = {0};

	assert_int_equal(prepare(place), 0);
	for (int i = 0; i < JOIN_ADMITTERS_FREE; i++)
		assert_int_equal(issued_at(place, clock_wall()).kind, CERT_ADMIT);
	ask(&request, clock_wall());
	assert_int_equal(state_issue_admitter(place->dir, bytes_buf(&request), &certs, &place->err),
			 -EACCES);
	assert_int_equal(certs.len, 0);
	request.len--;
	assert_int_equal(state_issue_admitter(place->dir, bytes_buf(&request), &certs, &place->err),
			 -EBADMSG);
	buf_deinit(&request);
}

static void intermediates_are_dated_by_the_fabrics_time_within_reason(void **state)
{
	struct place *place = *state;
	struct wall now = clock_wall();
	int64_t year_ms = 365 * CERT_DAY_MS;

	assert_int_equal(prepare(place), 0);
	assert_int_equal(issued_at(place, (struct wall){now.ms + year_ms}).not_before.ms / MS_PER_S,
			 (now.ms + year_ms - CERT_BACKDATE_MS) / MS_PER_S);
	assert_true(issued_at(place, (struct wall){INT64_MAX}).not_before.ms <=
		    clock_wall().ms + STATE_AHEAD_MS);
}

static void a_date_before_the_roots_becomes_theirs(void **state)
{
	struct place *place = *state;
	struct wall now = clock_wall();

	assert_int_equal(prepare(place), 0);
	assert_true(issued_at(place, (struct wall){0}).not_before.ms >=
		    now.ms - 3 * CERT_BACKDATE_MS);
}

static void a_machine_without_the_roots_signs_nothing(void **state)
{
	struct place *place = *state;
	struct buf request = {0}, certs = {0};

	ask(&request, clock_wall());
	assert_int_equal(state_issue_admitter(place->dir, bytes_buf(&request), &certs, &place->err),
			 -EACCES);
	buf_deinit(&request);
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(the_first_start_makes_a_fabric),
		PLACE_TEST(a_second_start_changes_nothing),
		PLACE_TEST(the_run_directory_is_found_from_the_state_directory),
		PLACE_TEST(a_start_that_was_cut_off_begins_anew),
		PLACE_TEST(the_fabric_process_cannot_have_the_roots_overwritten),
		PLACE_TEST(the_machine_that_made_the_fabric_is_no_other),
		PLACE_TEST(a_machine_that_has_said_who_it_is_stays_that),
		PLACE_TEST(the_time_of_the_latest_award_is_kept),
		PLACE_TEST(a_token_pins_its_fabric_and_nothing_is_made),
		PLACE_TEST(an_admission_makes_a_member),
		PLACE_TEST(an_admission_is_good_for_its_request_and_name_only),
		PLACE_TEST(a_fabric_is_made_under_roots_that_were_brought),
		PLACE_TEST(a_damaged_token_is_refused),
		PLACE_TEST(damaged_trust_is_refused),
		PLACE_TEST(ephemeral_keys_are_new_at_each_start),
		PLACE_TEST(the_roots_sign_for_two_admitters_and_no_more),
		PLACE_TEST(intermediates_are_dated_by_the_fabrics_time_within_reason),
		PLACE_TEST(a_date_before_the_roots_becomes_theirs),
		PLACE_TEST(a_machine_without_the_roots_signs_nothing),
	};

	if (geteuid() != 0)
		return 77; /* skipped: it gives files to another user */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
