/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One machine and what it answers to a tender: the labels, taints and resources it has, and the
 * pods that run on it already.
 */
#include "market/market.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/attr.h"
#include "base/mem.h"

static const char manifest[] = "{}";
static const char hostname_key[] = "kubernetes.io/hostname";

static struct label machine_labels[] = {
	{(char *)(uintptr_t)hostname_key, "m1"}, {"disk", "ssd"}, {"zone", "a"}, {"cores", "16"}};

static struct market *market;
static struct node_id owner = {{1}};
static uint8_t next_tender;

static struct market_machine usual_machine(void)
{
	static const char *const engines[] = {"crun"};

	return (struct market_machine){
		.cpu_milli = 4000,
		.memory_bytes = 1LL << 32,
		.pods_max = 110,
		.schedulable = true,
		.labels = machine_labels,
		.label_count = ARRAY_LEN(machine_labels),
		.engines = engines,
		.engine_count = 1,
		.architecture = "amd64",
		.reliability = 1000,
	};
}

static void begin(const struct market_machine *machine)
{
	struct market_config config = {.self = {{2}}, .seed = 1};

	market = market_new(&config);
	market_set_machine(market, (struct mono){1000000}, machine);
}

static void begin_as_usual(void)
{
	struct market_machine machine = usual_machine();

	begin(&machine);
}

static void end(void)
{
	market_free(market);
}

/* A tender of the namespace "shop" for @slot_count slots. */
static struct tender tender_of(const struct requirements *needs, uint32_t *slots, size_t slot_count)
{
	struct tender tender = {
		.object = {.namespace = "shop", .kind = "Deployment", .name = "web"},
		.slots = slots,
		.slot_count = slot_count,
		.needs = *needs,
	};

	tender.id.byte[0] = ++next_tender;
	tender.object.uid.byte[0] = next_tender;
	crypto_hash_sha256(tender.manifest_digest.byte, (const uint8_t *)manifest,
			   strlen(manifest));
	return tender;
}

/* The last message to the owner, or none. */
static struct message last_sent(void)
{
	const struct market_effect *effect;
	struct message last = {0};

	while ((effect = market_next_effect(market)) != NULL) {
		if (effect->type != MARKET_SEND)
			continue;
		message_deinit(&last);
		message_copy(effect->message, &last);
	}
	return last;
}

static struct bid bid_for(struct tender *tender)
{
	struct message message = {.type = MESSAGE_TENDER, .tender = *tender}, sent;
	struct market_facts facts = {.steward = true, .envelope = bytes_str("envelope")};

	(void)!market_receive(market, (struct mono){1000000}, &owner, &message, &facts);
	sent = last_sent();
	assert_int_equal(sent.type, MESSAGE_BID);
	return sent.bid; /* a plain value */
}

/* The bid for a tender of three slots, whose hold is released at once. */
static struct bid bid_of(const struct requirements *needs)
{
	uint32_t slots[] = {0, 1, 2};
	struct tender tender = tender_of(needs, slots, ARRAY_LEN(slots));
	struct message release = {.type = MESSAGE_RELEASE, .release.tender_id = tender.id};
	struct bid bid = bid_for(&tender);

	(void)!market_receive(market, (struct mono){1000000}, &owner, &release,
			      &(struct market_facts){.steward = true});
	return bid;
}

static uint32_t copies_of(const struct requirements *needs)
{
	return bid_of(needs).copies;
}

/* Award the first slot of @tender; what the machine says to it. */
static enum award_answer award(const struct tender *tender)
{
	struct assignment assignment = {.slot = 0, .pod_name = "web-x"};
	struct message message = {
		.type = MESSAGE_AWARD,
		.award = {.tender_id = tender->id,
			  .winner = {{2}},
			  .assignments = &assignment,
			  .assignment_count = 1},
	};
	struct market_facts facts = {.steward = true, .envelope = bytes_str("award")};
	enum award_answer answer;
	struct message sent;

	assignment.pod_uid.byte[0] = tender->id.byte[0];
	buf_append_str(&message.award.manifest, manifest);
	buf_append_str(&message.award.tender_envelope, "envelope");
	(void)!market_receive(market, (struct mono){1000000}, &owner, &message, &facts);
	sent = last_sent();
	assert_int_equal(sent.type, MESSAGE_AWARD_REPLY);
	answer = sent.award_reply.answer;
	message_deinit(&sent);
	buf_deinit(&message.award.manifest);
	buf_deinit(&message.award.tender_envelope);
	return answer;
}

/* A pod that runs here, in @namespace. */
static void run_pod(const char *namespace, const struct requirements *needs, uint8_t name)
{
	struct object_ref object = {.uid = {{name}}, .namespace = (char *)(uintptr_t) namespace};
	struct uid pod = {{name, 1}};

	market_pod_recovered(market, &pod, &object, needs);
}

static void end_pod(uint8_t name)
{
	struct uid pod = {{name, 1}};
	struct message told;

	market_pod_ended(market, (struct mono){1000000}, &pod);
	told = last_sent();
	message_deinit(&told);
}

static void a_machine_without_the_labels_does_not_bid(void **state)
{
	struct label ssd = {"disk", "ssd"}, hdd = {"disk", "hdd"};
	char *eight = "8", *m2 = "m2";
	struct label_term many[] = {{"cores", TERM_GREATER, &eight, 1}};
	struct label_term other[] = {{(char *)(uintptr_t)hostname_key, TERM_IN, &m2, 1}};
	struct term_set sets[] = {{other, 1, 0}, {many, 1, 0}};

	(void)state;
	begin_as_usual();
	assert_int_equal(copies_of(&(struct requirements){.labels = &ssd, .label_count = 1}), 3);
	assert_int_equal(copies_of(&(struct requirements){.labels = &hdd, .label_count = 1}), 0);
	assert_int_equal(copies_of(&(struct requirements){.selector = {sets, 2}}), 3);
	assert_int_equal(copies_of(&(struct requirements){.selector = {sets, 1}}), 0);
	end();
}

static void taints_keep_pods_away_unless_tolerated(void **state)
{
	struct taint taints[] = {{"dedicated", "db", TAINT_NO_SCHEDULE}};
	struct toleration toleration = {"dedicated", "db", false, TAINT_NO_SCHEDULE};
	struct market_machine machine = usual_machine();

	(void)state;
	machine.taints = taints;
	machine.taint_count = 1;
	begin(&machine);
	assert_int_equal(copies_of(&(struct requirements){0}), 0);
	assert_int_equal(copies_of(&(struct requirements){.tolerations = &toleration,
							  .toleration_count = 1}),
			 3);
	end();
	taints[0].effect = TAINT_PREFER_NO_SCHEDULE;
	begin(&machine);
	assert_int_equal(bid_of(&(struct requirements){0}).penalty, 1000);
	toleration.effect = TAINT_ANY;
	assert_int_equal(
		bid_of(&(struct requirements){.tolerations = &toleration, .toleration_count = 1})
			.penalty,
		0);
	end();
}

static void no_execute_evicts_what_does_not_tolerate_it(void **state)
{
	struct taint taint = {"maintenance", "", TAINT_NO_EXECUTE};
	struct toleration toleration = {"", "", true, TAINT_ANY};
	struct requirements tolerant = {.tolerations = &toleration, .toleration_count = 1};
	struct market_machine machine = usual_machine();
	const struct market_effect *effect;

	(void)state;
	begin(&machine);
	run_pod("shop", &(struct requirements){0}, 1);
	run_pod("shop", &tolerant, 2);
	(void)last_sent();
	machine.taints = &taint;
	machine.taint_count = 1;
	market_set_machine(market, (struct mono){2000000}, &machine);
	effect = market_next_effect(market);
	assert_non_null(effect);
	assert_int_equal(effect->type, MARKET_STOP);
	assert_int_equal(effect->pod_uid.byte[0], 1);
	assert_null(market_next_effect(market));
	/* One that is found again only now is no better. */
	run_pod("shop", &(struct requirements){0}, 3);
	effect = market_next_effect(market);
	assert_non_null(effect);
	assert_int_equal(effect->pod_uid.byte[0], 3);
	end();
}

/* For so long as the shortest of its tolerations says, from when the machine got the taint. */
static void a_taint_is_borne_for_some_seconds(void **state)
{
	struct taint taints[] = {{"other", "", TAINT_NO_SCHEDULE},
				 {"maintenance", "", TAINT_NO_EXECUTE}};
	struct toleration tolerations[] = {{"", "", true, TAINT_ANY, 61},
					   {"maintenance", "", true, TAINT_NO_EXECUTE, 6}};
	struct requirements needs = {.tolerations = tolerations, .toleration_count = 2};
	struct market_machine machine = usual_machine();
	const struct market_effect *effect;

	(void)state;
	begin(&machine);
	run_pod("shop", &needs, 1);
	(void)last_sent();
	machine.taints = &taints[1];
	machine.taint_count = 1;
	market_set_machine(market, (struct mono){2000000}, &machine);
	assert_null(market_next_effect(market));
	assert_true(market_deadline(market).us <= 7000000);
	/* Another taint comes; the first one stays, and so does its time. */
	machine.taints = taints;
	machine.taint_count = 2;
	market_set_machine(market, (struct mono){5000000}, &machine);
	market_tick(market, (struct mono){6999999});
	assert_null(market_next_effect(market));
	assert_true(market_deadline(market).us <= 7000000);
	market_tick(market, (struct mono){7000000});
	effect = market_next_effect(market);
	assert_non_null(effect);
	assert_int_equal(effect->type, MARKET_STOP);
	/* One that comes while it is there has its time from then on. */
	run_pod("shop", &needs, 2);
	assert_null(market_next_effect(market));
	market_tick(market, (struct mono){11999999});
	assert_null(market_next_effect(market));
	market_tick(market, (struct mono){12000000});
	assert_non_null(market_next_effect(market));
	end();
}

static void a_taint_that_goes_in_time_evicts_nobody(void **state)
{
	struct taint taint = {"maintenance", "", TAINT_NO_EXECUTE};
	struct toleration toleration = {"", "", true, TAINT_ANY, 6};
	struct requirements needs = {.tolerations = &toleration, .toleration_count = 1};
	struct market_machine machine = usual_machine();

	(void)state;
	begin(&machine);
	run_pod("shop", &needs, 1);
	(void)last_sent();
	machine.taints = &taint;
	machine.taint_count = 1;
	market_set_machine(market, (struct mono){2000000}, &machine);
	machine.taint_count = 0;
	market_set_machine(market, (struct mono){4000000}, &machine);
	market_tick(market, (struct mono){60000000});
	assert_null(market_next_effect(market));
	end();
}

static void preferences_cost_points_and_nothing_else(void **state)
{
	char *ssd = "ssd", *b = "b";
	struct label_term is_ssd = {"disk", TERM_IN, &ssd, 1}, in_b = {"zone", TERM_IN, &b, 1};
	struct term_set sets[] = {{&is_ssd, 1, 30}, {&in_b, 1, 10}};
	struct bid bid;

	(void)state;
	begin_as_usual();
	bid = bid_of(&(struct requirements){.preferred = {sets, 2}});
	assert_int_equal(bid.copies, 3);
	assert_int_equal(bid.penalty, 250);
	end();
}

static void a_bid_names_the_zones_of_its_machine(void **state)
{
	struct spread spreads[] = {{"zone", 1, 1, true}, {"rack", 1, 1, false}};
	struct bid bid;

	(void)state;
	begin_as_usual();
	bid = bid_of(&(struct requirements){.spreads = spreads, .spread_count = 2});
	assert_int_equal(bid.copies, 3);
	assert_true(bid.zones[0] == zone_of("a"));
	assert_true(bid.zones[1] == 0 && bid.zones[2] == 0);
	spreads[1].required = true; /* without the label there is no place for it */
	assert_int_equal(copies_of(&(struct requirements){.spreads = spreads, .spread_count = 2}),
			 0);
	end();
}

static void extended_resources_are_counted(void **state)
{
	struct resource has[] = {{"v/gpu", 3}, {"v/nic", 1}};
	struct resource two = {"v/gpu", 2}, one = {"v/gpu", 1}, other = {"v/fpga", 1};
	struct requirements needs = {.resources = &one, .resource_count = 1};
	struct market_machine machine = usual_machine();

	(void)state;
	machine.resources = has;
	machine.resource_count = 2;
	begin(&machine);
	assert_int_equal(copies_of(&needs), 3);
	assert_int_equal(copies_of(&(struct requirements){.resources = &two, .resource_count = 1}),
			 1);
	assert_int_equal(
		copies_of(&(struct requirements){.resources = &other, .resource_count = 1}), 0);
	run_pod("shop", &(struct requirements){.resources = &two, .resource_count = 1}, 1);
	assert_int_equal(copies_of(&needs), 1);
	run_pod("shop", &needs, 2);
	assert_int_equal(copies_of(&needs), 0);
	end_pod(1);
	assert_int_equal(copies_of(&needs), 2);
	end();
}

static void weak_holds_on_a_resource_are_bounded(void **state)
{
	struct resource has = {"v/gpu", 1};
	struct requirements needs = {.resources = &has, .resource_count = 1};
	struct market_machine machine = usual_machine();
	uint32_t slot = 0;

	(void)state;
	machine.resources = &has;
	machine.resource_count = 1;
	begin(&machine);
	for (int i = 0; i < MARKET_OVERBOOK + 1; i++) {
		struct tender tender = tender_of(&needs, &slot, 1);

		assert_int_equal(bid_for(&tender).copies, i < MARKET_OVERBOOK ? 1 : 0);
	}
	end();
}

static struct host_port port_of(const char *addr, enum port_protocol protocol)
{
	struct host_port port = {.protocol = protocol};

	assert_true(addr_parse(addr, &port.addr));
	return port;
}

static void a_port_of_the_machine_goes_to_one_pod(void **state)
{
	struct host_port any = port_of("0.0.0.0:80", PORT_TCP);
	struct host_port udp = port_of("0.0.0.0:80", PORT_UDP);
	struct host_port local = port_of("127.0.0.1:80", PORT_TCP);
	struct host_port lan = port_of("10.0.0.1:80", PORT_TCP);
	struct host_port other = port_of("0.0.0.0:81", PORT_TCP);
	struct requirements takes_lan = {.ports = &lan, .port_count = 1};

	(void)state;
	begin_as_usual();
	assert_int_equal(copies_of(&takes_lan), 1); /* one of the three slots */
	run_pod("elsewhere", &takes_lan, 1);
	assert_int_equal(copies_of(&takes_lan), 0);
	assert_int_equal(copies_of(&(struct requirements){.ports = &any, .port_count = 1}), 0);
	assert_int_equal(copies_of(&(struct requirements){.ports = &udp, .port_count = 1}), 1);
	assert_int_equal(copies_of(&(struct requirements){.ports = &local, .port_count = 1}), 1);
	assert_int_equal(copies_of(&(struct requirements){.ports = &other, .port_count = 1}), 1);
	end_pod(1);
	assert_int_equal(copies_of(&(struct requirements){.ports = &any, .port_count = 1}), 1);
	end();
}

static void of_two_awards_for_one_port_the_second_is_refused(void **state)
{
	struct host_port port = port_of("0.0.0.0:80", PORT_TCP);
	struct requirements needs = {.ports = &port, .port_count = 1};
	uint32_t slot = 0;
	struct tender first = tender_of(&needs, &slot, 1), second = tender_of(&needs, &slot, 1);

	(void)state;
	begin_as_usual();
	assert_int_equal(bid_for(&first).copies, 1);
	assert_int_equal(bid_for(&second).copies, 1); /* nothing is bound yet */
	assert_int_equal(award(&first), AWARD_ACCEPTED);
	assert_int_equal(award(&second), AWARD_REFUSED_FULL);
	end();
}

static void pods_keep_apart_in_both_directions(void **state)
{
	char *web = "web", *db = "db";
	struct label web_label = {"app", "web"}, db_label = {"app", "db"};
	struct label_term is_web = {"app", TERM_IN, &web, 1}, is_db = {"app", TERM_IN, &db, 1};
	struct term_set no_web = {&is_web, 1, 0}, no_db = {&is_db, 1, 0};
	struct requirements lonely_web = {
		.apart = {&no_web, 1}, .pod_labels = &web_label, .pod_label_count = 1};
	struct requirements plain_web = {.pod_labels = &web_label, .pod_label_count = 1};
	struct requirements plain_db = {.pod_labels = &db_label, .pod_label_count = 1};
	struct requirements shy_db = {
		.apart = {&no_web, 1}, .pod_labels = &db_label, .pod_label_count = 1};
	struct requirements web_without_db = {
		.apart = {&no_db, 1}, .pod_labels = &web_label, .pod_label_count = 1};

	(void)state;
	begin_as_usual();
	assert_int_equal(copies_of(&lonely_web), 1); /* not two of its own */
	assert_int_equal(copies_of(&web_without_db), 3);
	run_pod("shop", &plain_db, 1);
	assert_int_equal(copies_of(&lonely_web), 1);
	assert_int_equal(copies_of(&web_without_db), 0);
	end_pod(1);
	run_pod("shop", &shy_db, 2); /* it is the one that minds */
	assert_int_equal(copies_of(&plain_web), 0);
	assert_int_equal(copies_of(&plain_db), 3);
	end_pod(2);
	run_pod("elsewhere", &shy_db, 3); /* another namespace is another world */
	assert_int_equal(copies_of(&plain_web), 3);
	end();
}

static void pods_seek_company(void **state)
{
	char *cache = "cache";
	struct label label = {"app", "cache"};
	struct label_term is_cache = {"app", TERM_IN, &cache, 1};
	struct term_set near_cache = {&is_cache, 1, 0};
	struct term_set likes_cache = {&is_cache, 1, 50}, dislikes_cache = {&is_cache, 1, -50};
	struct requirements follower = {.with = {&near_cache, 1}};
	struct requirements fond = {.pods_preferred = {&likes_cache, 1}};
	struct requirements shy = {.pods_preferred = {&dislikes_cache, 1}};
	struct requirements pod = {.pod_labels = &label, .pod_label_count = 1};

	(void)state;
	begin_as_usual();
	assert_int_equal(copies_of(&follower), 0);
	assert_int_equal(bid_of(&fond).penalty, 1000);
	assert_int_equal(bid_of(&shy).penalty, 0);
	run_pod("elsewhere", &pod, 1);
	assert_int_equal(copies_of(&follower), 0);
	run_pod("shop", &pod, 2);
	assert_int_equal(copies_of(&follower), 3);
	assert_int_equal(bid_of(&fond).penalty, 0);
	assert_int_equal(bid_of(&shy).penalty, 1000);
	end();
}

static void a_machine_may_keep_high_priorities_away(void **state)
{
	struct market_machine machine = usual_machine();
	struct requirements none = {0};
	uint32_t slot = 0;
	struct tender high = tender_of(&none, &slot, 1), usual = tender_of(&none, &slot, 1);

	(void)state;
	machine.priority_limited = true;
	machine.priority_max = 1000;
	begin(&machine);
	high.priority = 1001;
	usual.priority = 1000;
	assert_int_equal(bid_for(&high).copies, 0);
	assert_int_equal(bid_for(&usual).copies, 1);
	end();
}

static void a_modest_tender_evicts_nobody(void **state)
{
	struct requirements all = {.cpu_milli = 4000};
	uint32_t slot = 0;
	struct tender low = tender_of(&all, &slot, 1), modest = tender_of(&all, &slot, 1),
		      high = tender_of(&all, &slot, 1);

	(void)state;
	begin_as_usual();
	low.preemptible = true;
	modest.priority = high.priority = 10;
	modest.modest = true;
	assert_int_equal(bid_for(&low).copies, 1);
	assert_int_equal(award(&low), AWARD_ACCEPTED);
	assert_int_equal(bid_for(&modest).copies, 0);
	assert_int_equal(bid_for(&high).copies, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_without_the_labels_does_not_bid),
		cmocka_unit_test(taints_keep_pods_away_unless_tolerated),
		cmocka_unit_test(no_execute_evicts_what_does_not_tolerate_it),
		cmocka_unit_test(a_taint_is_borne_for_some_seconds),
		cmocka_unit_test(a_taint_that_goes_in_time_evicts_nobody),
		cmocka_unit_test(preferences_cost_points_and_nothing_else),
		cmocka_unit_test(a_bid_names_the_zones_of_its_machine),
		cmocka_unit_test(extended_resources_are_counted),
		cmocka_unit_test(weak_holds_on_a_resource_are_bounded),
		cmocka_unit_test(a_port_of_the_machine_goes_to_one_pod),
		cmocka_unit_test(of_two_awards_for_one_port_the_second_is_refused),
		cmocka_unit_test(pods_keep_apart_in_both_directions),
		cmocka_unit_test(pods_seek_company),
		cmocka_unit_test(a_machine_may_keep_high_priorities_away),
		cmocka_unit_test(a_modest_tender_evicts_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
