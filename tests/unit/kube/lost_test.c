/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lost.h"

#include "kube_fixture.h"

#define DEPLOYMENT(base, replicas)                                                  \
	"{'apiVersion':'apps/"                                                      \
	"v1','kind':'Deployment','metadata':{'name':'web','resourceVersion':'" base \
	"','managedFields':[" replicas "]},'spec':{'replicas':" replicas "}}"
#define CONFIG(kind, base, data) \
	"{'apiVersion':'v1','kind':'" kind "','metadata':{'name':'c'" base "},'data':" data "}"

/* NULL, or the sentence. Versions are their hlc; generations are given. */
static char *lost(const char *winner, uint64_t winner_hlc, uint64_t winner_generation,
		  const char *loser, uint64_t loser_hlc, uint64_t loser_generation)
{
	json_t *won = json_of(winner), *other = json_of(loser);
	char *won_text = json_dumps(won, 0), *other_text = json_dumps(other, 0);
	const struct kube_version one = {bytes_str(won_text), winner_generation, winner_hlc};
	const struct kube_version two = {bytes_str(other_text), loser_generation, loser_hlc};
	char *text = kube_lost_update(&one, &two);

	free(won_text);
	free(other_text);
	json_decref(won);
	json_decref(other);
	return text;
}

static void test_what_was_made_from_the_older_one_loses_nothing(void **state)
{
	(void)state;
	assert_null(lost(DEPLOYMENT("20", "3"), 30, 3, DEPLOYMENT("10", "2"), 20, 2));
	/* A version between them was missed. */
	assert_null(lost(DEPLOYMENT("25", "3"), 30, 3, DEPLOYMENT("10", "2"), 20, 2));
}

static void test_what_was_made_beside_the_older_one_loses_it(void **state)
{
	char *text = lost(DEPLOYMENT("10", "3"), 30, 2, DEPLOYMENT("10", "2"), 20, 2);
	(void)state;
	assert_string_equal(text, "a change made at the same time as another one was lost to it; "
				  "kubectl patch --type=merge brings it back: "
				  "{\"spec\":{\"replicas\":2}}");
	free(text);
}

/* Two changes on one side, one on the other: the last one's base is later than what was lost. */
static void test_a_longer_side_hides_nothing_of_the_same_generation(void **state)
{
	char *text = lost(DEPLOYMENT("25", "3"), 30, 2, DEPLOYMENT("10", "2"), 20, 2);
	(void)state;
	assert_non_null(text);
	free(text);
}

/* Whatever the generations say: the winner's line goes back to before the loser, without it. */
static void test_a_longer_line_that_leaves_it_out_has_lost_it(void **state)
{
	char *text = lost(DEPLOYMENT("25,15,10", "4"), 30, 4, DEPLOYMENT("10", "2"), 20, 2);
	(void)state;
	assert_non_null(text);
	free(text);
	assert_null(lost(DEPLOYMENT("25,20,10", "4"), 30, 4, DEPLOYMENT("10", "2"), 20, 2));
	/* Older than the whole line. */
	assert_null(lost(DEPLOYMENT("25,23,22", "4"), 30, 4, DEPLOYMENT("10", "2"), 20, 2));
}

static void expect_line(json_t *object, const char *line)
{
	assert_string_equal(json_string_value(json_object_get(json_object_get(object, "metadata"),
							      "resourceVersion")),
			    line);
}

static void test_a_line_grows_by_the_version_that_is_replaced(void **state)
{
	json_t *object = json_of("{'metadata':{'resourceVersion':'7'}}");
	struct buf long_line = {0};
	size_t commas = 0;
	const char *line;

	(void)state;
	kube_set_line(object, NULL, 10);
	expect_line(object, "10");
	kube_set_line(object, "10", 20);
	expect_line(object, "20,10");
	kube_set_line(object, "10,,x", 20);
	expect_line(object, "20,10");
	for (int i = 1000; i > 900; i--)
		buf_append_format(&long_line, "%d,", i);
	kube_set_line(object, buf_cstr(&long_line), 1001);
	line = json_string_value(
		json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
	for (const char *at = line; *at; at++)
		commas += *at == ',';
	assert_int_equal(commas, KUBE_LINE_MAX - 1);
	assert_memory_equal(line, "1001,1000,", strlen("1001,1000,"));
	buf_deinit(&long_line);
	json_decref(object);
}

static void test_the_patch_takes_back_what_was_added(void **state)
{
	char *text = lost(CONFIG("ConfigMap", ",'resourceVersion':'10'", "{'a':'1','b':'2'}"), 30,
			  1, CONFIG("ConfigMap", ",'resourceVersion':'10'", "{'a':'3'}"), 20, 1);
	(void)state;
	assert_non_null(strstr(text, "{\"data\":{\"a\":\"3\",\"b\":null}}"));
	free(text);
}

static void test_a_secret_is_not_told(void **state)
{
	char *text = lost(CONFIG("Secret", ",'resourceVersion':'10'", "{'a':'MQ=='}"), 30, 1,
			  CONFIG("Secret", ",'resourceVersion':'10'", "{'a':'Mg=='}"), 20, 1);
	(void)state;
	assert_non_null(text);
	assert_null(strstr(text, "Mg=="));
	free(text);
}

static void test_what_does_not_say_where_it_came_from_is_left_alone(void **state)
{
	(void)state;
	assert_null(lost(CONFIG("ConfigMap", "", "{'a':'1'}"), 30, 1,
			 CONFIG("ConfigMap", "", "{'a':'3'}"), 20, 1));
}

static void test_a_change_that_both_made_is_not_lost(void **state)
{
	(void)state;
	assert_null(lost(DEPLOYMENT("10", "2"), 30, 2, DEPLOYMENT("10", "2"), 20, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_made_from_the_older_one_loses_nothing),
		cmocka_unit_test(test_what_was_made_beside_the_older_one_loses_it),
		cmocka_unit_test(test_a_longer_side_hides_nothing_of_the_same_generation),
		cmocka_unit_test(test_a_longer_line_that_leaves_it_out_has_lost_it),
		cmocka_unit_test(test_a_line_grows_by_the_version_that_is_replaced),
		cmocka_unit_test(test_the_patch_takes_back_what_was_added),
		cmocka_unit_test(test_a_secret_is_not_told),
		cmocka_unit_test(test_what_does_not_say_where_it_came_from_is_left_alone),
		cmocka_unit_test(test_a_change_that_both_made_is_not_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
