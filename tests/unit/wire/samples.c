/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct uid sample_uid(uint8_t n)
{
	struct uid uid;

	memset(uid.byte, n, sizeof(uid.byte));
	return uid;
}

struct digest sample_digest(uint8_t n)
{
	struct digest digest;

	memset(digest.byte, n, sizeof(digest.byte));
	return digest;
}

struct node_id sample_node_id(uint8_t n)
{
	struct node_id id;

	memset(id.byte, n, sizeof(id.byte));
	return id;
}

static struct addr sample_addr(const char *text)
{
	struct addr addr = {0};

	assert(addr_parse(text, &addr));
	return addr;
}

static struct object_ref sample_object(void)
{
	return (struct object_ref){
		.uid = sample_uid(1),
		.namespace = mem_strdup("shop"),
		.kind = mem_strdup("Deployment"),
		.name = mem_strdup("web"),
	};
}

static struct label *sample_labels(size_t count)
{
	struct label *labels = mem_alloc(count, sizeof(*labels));

	for (size_t i = 0; i < count; i++) {
		labels[i].key = mem_strdup(i ? "zone" : "example.com/disk");
		labels[i].value = mem_strdup(i ? "" : "ssd");
	}
	return labels;
}

/* One set of one term for each operator. */
static struct term_sets sample_sets(int32_t weight)
{
	struct term_sets sets = {.list = mem_alloc(2, sizeof(*sets.list)), .count = 2};
	struct term_set *set = &sets.list[0];

	set->weight = weight;
	set->term_count = TERM_LESS + 1;
	set->terms = mem_alloc(set->term_count, sizeof(*set->terms));
	for (size_t i = 0; i < set->term_count; i++) {
		struct label_term *term = &set->terms[i];

		term->key = mem_strdup("zone");
		term->operator=(enum term_operator) i;
		term->value_count = i <= TERM_NOT_IN ? 2 : i <= TERM_ABSENT ? 0 : 1;
		term->values = mem_alloc(term->value_count, sizeof(*term->values));
		for (size_t j = 0; j < term->value_count; j++)
			term->values[j] = mem_strdup(j ? "" : "17");
	}
	return sets;
}

static struct resource *sample_resource(void)
{
	struct resource *resource = mem_new(struct resource);

	*resource = (struct resource){mem_strdup("vendor.example/gpu"), 2};
	return resource;
}

static void constraints_fill(struct requirements *needs)
{
	needs->tolerations = mem_alloc(2, sizeof(*needs->tolerations));
	needs->toleration_count = 2;
	needs->tolerations[0] = (struct toleration){mem_strdup("dedicated"), mem_strdup("web"),
						    false, TAINT_NO_SCHEDULE};
	needs->tolerations[1] =
		(struct toleration){mem_strdup(""), mem_strdup(""), true, TAINT_ANY, 301};
	needs->spreads = mem_new(struct spread);
	needs->spread_count = 1;
	needs->spreads[0] = (struct spread){mem_strdup("zone"), 2, 3, true};
	needs->resources = sample_resource();
	needs->resource_count = 1;
	needs->ports = mem_alloc(2, sizeof(*needs->ports));
	needs->port_count = 2;
	needs->ports[0] = (struct host_port){sample_addr("0.0.0.0:80"), PORT_UDP};
	needs->ports[1] = (struct host_port){sample_addr("[fd00::2]:8080"), PORT_SCTP};
}

static struct requirements sample_requirements(void)
{
	struct requirements needs = {
		.cpu_milli = 250,
		.memory_bytes = 64 << 20,
		.engine = mem_strdup("crun"),
		.architecture = mem_strdup("amd64"),
		.labels = sample_labels(2),
		.label_count = 2,
		.selector = sample_sets(0),
		.preferred = sample_sets(MESSAGE_WEIGHT_MAX),
		.with = sample_sets(0),
		.apart = sample_sets(0),
		.pods_preferred = sample_sets(-MESSAGE_WEIGHT_MAX),
		.pod_labels = sample_labels(1),
		.pod_label_count = 1,
	};

	constraints_fill(&needs);
	return needs;
}

static void tender_fill(struct tender *tender)
{
	*tender = (struct tender){
		.id = sample_digest(2),
		.object = sample_object(),
		.generation = 3,
		.attempt = 4,
		.slots = mem_alloc(2, sizeof(uint32_t)),
		.slot_count = 2,
		.needs = sample_requirements(),
		.priority = -5,
		.preemptible = true,
		.modest = true,
		.manifest_digest = sample_digest(6),
		.images = mem_alloc(1, sizeof(char *)),
		.image_count = 1,
		.excluded = mem_alloc(2, sizeof(struct node_id)),
		.excluded_count = 2,
	};
	tender->slots[0] = 7;
	tender->slots[1] = 300;
	tender->images[0] = mem_strdup("localhost/nginx:1.22");
	tender->excluded[0] = sample_node_id(8);
	tender->excluded[1] = sample_node_id(9);
}

static void award_fill(struct award *award)
{
	*award = (struct award){
		.tender_id = sample_digest(2),
		.winner = sample_node_id(8),
		.assignments = mem_alloc(1, sizeof(struct assignment)),
		.assignment_count = 1,
	};
	buf_append_str(&award->tender_envelope, "envelope");
	buf_append_str(&award->manifest, "{\"kind\":\"Deployment\"}");
	award->assignments[0] = (struct assignment){
		.slot = 7,
		.epoch = 1,
		.pod_uid = sample_uid(10),
		.pod_name = mem_strdup("web-7"),
	};
	buf_append_str(&award->assignments[0].warrant, "warrant");
}

static struct record_key sample_key(void)
{
	return (struct record_key){RECORD_PRESENCE, sample_uid(1), sample_uid(10)};
}

static struct record_version sample_version(void)
{
	return (struct record_version){3, UINT64_C(1700000000000) << 16 | 5, sample_digest(11)};
}

static void record_fill(struct record *record)
{
	*record = (struct record){
		.key = sample_key(),
		.version = sample_version(),
		.object = sample_object(),
		.gone = true,
		.written_ms = 1700000000000,
		.created_hlc = 14,
	};
	buf_append_str(&record->value, "value");
}

static struct member sample_member(void)
{
	return (struct member){
		.id = sample_node_id(8),
		.addr = sample_addr("10.0.0.2:7946"),
		.name = mem_strdup("böjen-2"),
		.incarnation = 1700000000000,
		.steward = true,
	};
}

static void members_fill(struct members *members)
{
	members->report_count = 2;
	members->reports = mem_alloc(2, sizeof(*members->reports));
	members->reports[0] = (struct member_report){sample_member(), MEMBER_LEFT};
	members->reports[1] = (struct member_report){sample_member(), MEMBER_SUSPECT};
	members->reports[1].member.addr = sample_addr("[fe80::2]:1");
}

static struct contact sample_contact(const char *addr)
{
	return (struct contact){sample_node_id(8), sample_addr(addr), 1700000000000, true};
}

static struct contacts sample_contacts(void)
{
	struct contacts contacts = {.list = mem_alloc(2, sizeof(*contacts.list)), .count = 2};

	contacts.list[0] = sample_contact("10.0.0.3:7946");
	contacts.list[1] = sample_contact("[fd00::3]:1");
	return contacts;
}

static void referral_fill(struct referral *referral)
{
	*referral = (struct referral){
		.owner = sample_contact("10.0.0.2:7946"), .count = 3, .share = 250};
	buf_append_str(&referral->tender, "envelope");
}

static void market_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_TENDER:
		tender_fill(&message->tender);
		break;
	case MESSAGE_BID:
		message->bid = (struct bid){sample_digest(2), 1, 2, 3, 4, 5, 6, 7, {0, 9}};
		break;
	case MESSAGE_AWARD:
		award_fill(&message->award);
		break;
	case MESSAGE_AWARD_REPLY:
		message->award_reply = (struct award_reply){sample_digest(2), AWARD_REFUSED_DELETED,
							    mem_strdup("too\tlate\n")};
		break;
	case MESSAGE_CANCEL:
		message->cancel = (struct cancel){sample_digest(2), mem_new(struct uid), 1};
		message->cancel.pods[0] = sample_uid(10);
		break;
	case MESSAGE_EVENT:
		message->event =
			(struct event){sample_digest(2),       7,   sample_uid(10), EVENT_CANCELLED,
				       mem_strdup("no image"), true};
		break;
	case MESSAGE_DISPOSAL:
		message->disposal = (struct disposal){sample_object(), sample_uid(10), 30, true};
		break;
	case MESSAGE_REVOCATION:
		message->revocation = (struct revocation){.kind = REVOCATION_USER,
							  .user = mem_strdup("jo"),
							  .reason = mem_strdup("left\nus")};
		break;
	case MESSAGE_POD_REQUEST:
		message->pod_request = (struct pod_request){.verb = POD_VERB_EXEC,
							    .machine = sample_node_id(8),
							    .pod = sample_uid(10),
							    .container = mem_strdup("web"),
							    .command = sample_digest(5),
							    .user = {.cert_count = 1}};
		buf_append_str(&message->pod_request.user.certs[0], "a user");
		break;
	case MESSAGE_REFERRAL:
		referral_fill(&message->referral);
		break;
	default: /* a confirmation and a release are one digest each, in the same place */
		message->release.tender_id = sample_digest(2);
	}
}

static void sync_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_SYNC_SUMMARY:
		message->sync_summary.bucket_count = SYNC_BUCKETS;
		message->sync_summary.buckets = mem_alloc(SYNC_BUCKETS, sizeof(uint64_t));
		for (uint64_t i = 0; i < SYNC_BUCKETS; i++)
			message->sync_summary.buckets[i] = i << 56 | i;
		message->sync_summary.complete_ms = 1800000000000;
		message->sync_summary.apart_ms = 1800000000001;
		break;
	case MESSAGE_SYNC_KEYS:
		message->sync_keys = (struct sync_keys){
			.buckets = mem_alloc(2, sizeof(uint32_t)),
			.bucket_count = 2,
			.entries = mem_new(struct sync_entry),
			.entry_count = 1,
			.reply = true,
			.complete_ms = 1800000000000,
			.apart_ms = 1800000000001,
		};
		message->sync_keys.buckets[1] = SYNC_BUCKETS - 1;
		message->sync_keys.entries[0] = (struct sync_entry){sample_key(), sample_version()};
		break;
	case MESSAGE_RECORD_PUT:
		message->record_put.expected_hlc = UINT64_MAX - 1;
		buf_append_str(&message->record_put.envelope, "an envelope");
		break;
	case MESSAGE_SYNC_OFFER:
	case MESSAGE_SYNC_HAVE:
		message->sync_offer =
			(struct sync_offer){mem_new(struct sync_entry), 1, 1800000000001};
		message->sync_offer.entries[0] =
			(struct sync_entry){sample_key(), sample_version()};
		break;
	case MESSAGE_FETCH:
		message->fetch = (struct fetch){7, sample_key().uid, true, sample_key(), true};
		break;
	case MESSAGE_FETCHED:
		message->fetched = (struct fetched){
			.request = 7,
			.entries = mem_new(struct sync_entry),
			.entry_count = 1,
			.more = true,
			.far = true,
			.complete_ms = 1800000000000,
		};
		message->fetched.entries[0] = (struct sync_entry){sample_key(), sample_version()};
		break;
	case MESSAGE_REVOKED:
		message->revoked = (struct revoked){.stage = REVOKED_LIST,
						    .fold = sample_digest(3),
						    .ids = mem_alloc(2, sizeof(struct digest)),
						    .id_count = 2};
		message->revoked.ids[1] = sample_digest(4);
		break;
	default:
		message->sync_want = (struct sync_want){mem_new(struct record_key), 1};
		message->sync_want.keys[0] = sample_key();
	}
}

static struct happening sample_happening(void)
{
	return (struct happening){
		.about = sample_uid(5),
		.kind = mem_strdup("Pod"),
		.namespace = mem_strdup("default"),
		.name = mem_strdup("web-0"),
		.warning = true,
		.reason = mem_strdup("BackOff"),
		.message = mem_strdup("Back-off restarting failed container"),
		.host = mem_strdup("m1"),
		.first_ms = 1800000000000,
		.last_ms = 1800000000007,
		.count = 3,
	};
}

static void journal_fill(struct message *message)
{
	if (message->type == MESSAGE_JOURNAL_ASK) {
		message->journal_ask = (struct journal_ask){9, sample_uid(1), 4};
		return;
	}
	message->journal_page =
		(struct journal_page){9, mem_alloc(2, sizeof(struct happening)), 2, 11};
	message->journal_page.happenings[0] = sample_happening();
	message->journal_page.happenings[1] = sample_happening();
}

static void pod_leaf_fill(struct message *message)
{
	if (message->type == MESSAGE_POD_LEAF_WANT) {
		message->pod_leaf_want.request = 9;
		buf_append_str(&message->pod_leaf_want.warrant, "warrant");
		message->pod_leaf_want.key = sample_node_id(8);
		memset(message->pod_leaf_want.proof, 7, MESSAGE_PROOF_LEN);
		message->pod_leaf_want.application = true;
		return;
	}
	if (message->type == MESSAGE_AGENTS_HEARD) {
		message->agents_heard.list = mem_alloc(2, sizeof(*message->agents_heard.list));
		message->agents_heard.count = 2;
		message->agents_heard.answer = true;
		for (uint8_t i = 0; i < 2; i++)
			message->agents_heard.list[i] = (struct agent_heard){
				sample_node_id(i), sample_addr("10.0.0.2:7946"), 7U * i};
		return;
	}
	if (message->type == MESSAGE_POD_LEAF) {
		message->pod_leaf.request = 9;
		message->pod_leaf.chain.cert_count = 2;
		buf_append_str(&message->pod_leaf.chain.certs[0], "leaf");
		buf_append_str(&message->pod_leaf.chain.certs[1], "steward");
		message->pod_leaf.text = mem_strdup("it is so");
		return;
	}
}

static void vouch_fill(struct message *message)
{
	if (message->type == MESSAGE_TENURE) {
		message->tenure = (struct tenure){TENURE_HELD,
						  sample_uid(1),
						  3,
						  1800000000000,
						  5,
						  sample_node_id(6),
						  {{10, 0, 0, 1}, 7946, true},
						  sample_uid(7),
						  sample_uid(8),
						  true,
						  {2, 3},
						  true};
		return;
	}
	if (message->type == MESSAGE_WARRANT) {
		message->warrant = (struct warrant){
			.pod_uid = sample_uid(10),
			.object = sample_object(),
			.pod_name = mem_strdup("web-7"),
			.slot = 7,
			.epoch = 1,
			.machine = sample_node_id(8),
			.kind = mem_strdup("Deployment"),
			.name = mem_strdup("web"),
		};
		return;
	}
	if (message->type == MESSAGE_COLLEGE) {
		struct college *college = &message->college;

		*college = (struct college){.word = COLLEGE_PROMISE,
					    .set = sample_uid(1),
					    .ballot = 9,
					    .accepted = 8,
					    .complete = true,
					    .from = 7};
		college->present = (struct registrars){
			{2, 3}, {{sample_node_id(4), sample_addr("10.0.0.4:7946")}}, 1};
		college->next = (struct registrars){
			{2, 4}, {{sample_node_id(5), sample_addr("10.0.0.5:7946")}}, 1};
		college->entries = mem_alloc(1, sizeof(*college->entries));
		college->entry_count = 1;
		college->entries[0] = (struct tenure){.word = TENURE_WRITTEN,
						      .set = sample_uid(1),
						      .ordinal = 6,
						      .machine = sample_node_id(6),
						      .pod_uid = sample_uid(7)};
		return;
	}
	if (message->type == MESSAGE_VOUCH_WANT) {
		message->vouch_want =
			(struct vouch_want){mem_alloc(2, sizeof(struct vouch_pod)), 2};
		message->vouch_want.pods[0] = (struct vouch_pod){sample_uid(1), sample_uid(2), 3};
		message->vouch_want.pods[1].object_uid = sample_uid(4);
		return;
	}
	message->vouch =
		(struct vouch){true, 1800000000000, true, mem_alloc(2, sizeof(struct verdict)), 2};
	message->vouch.verdicts[0] =
		(struct verdict){sample_uid(1), sample_uid(2), STANDING_DELETED};
	message->vouch.verdicts[1].object_uid = sample_uid(4);
}

static struct shard_id sample_shard(void)
{
	return (struct shard_id){mem_strdup("Deployment"), mem_strdup("default"), 3, 5U << 29};
}

static struct index_row *sample_rows(void)
{
	struct index_row *rows = mem_alloc(2, sizeof(*rows));

	rows[0] = (struct index_row){mem_strdup("web"), sample_uid(1), sample_uid(2),
				     7U << 20,          true,          77};
	rows[1] = (struct index_row){.name = mem_strdup("db"), .uid = sample_uid(3)};
	return rows;
}

static void index_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_INDEX_ROWS:
		message->index_rows = (struct index_rows){
			.request = 9,
			.shard = sample_shard(),
			.purpose = INDEX_COPY,
			.rows = sample_rows(),
			.row_count = 2,
			.made = true,
			.split = true,
			.count = 1001,
			.fold = UINT64_MAX,
		};
		break;
	case MESSAGE_INDEX_ASK:
		message->index_ask = (struct index_ask){10, sample_shard(), mem_strdup("web")};
		break;
	default:
		message->index_answer = (struct index_answer){11, INDEX_MERGED, sample_rows(), 2};
	}
}

static void overlay_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_HELLO:
		message->hello = (struct hello){sample_member(),  1700000000001, true, 1, 2,
						sample_digest(12)};
		break;
	case MESSAGE_MEMBERS:
		members_fill(&message->members);
		break;
	case MESSAGE_PING:
	case MESSAGE_PONG:
		message->ping.sequence = 13;
		message->ping.fabric_ms = 1700000000002;
		message->ping.fabric_settled = true;
		members_fill(&message->ping.gossip);
		break;
	case MESSAGE_LEAF_WANT:
		message->leaf_want.leaf = sample_digest(12);
		break;
	default: /* MESSAGE_LEAF */
		message->leaf.cert_count = 2;
		buf_append_str(&message->leaf.certs[0], "leaf");
		buf_append_str(&message->leaf.certs[1], "intermediate");
	}
}

static void view_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_JOIN:
		break; /* it says nothing */
	case MESSAGE_FORWARD_JOIN:
		message->forward_join =
			(struct forward_join){sample_contact("10.0.0.2:7946"), MESSAGE_TTL_MAX};
		break;
	case MESSAGE_NEIGHBOR:
		message->neighbor.urgent = true;
		break;
	case MESSAGE_NEIGHBOR_REPLY:
		message->neighbor_reply.accepted = true;
		break;
	case MESSAGE_DISCONNECT:
		message->disconnect.leaving = true;
		message->disconnect.released = true;
		break;
	case MESSAGE_SHUFFLE:
		message->shuffle =
			(struct shuffle){sample_contact("[fd00::2]:7946"), 6, sample_contacts()};
		break;
	default: /* MESSAGE_SHUFFLE_REPLY */
		message->shuffle_reply.contacts = sample_contacts();
	}
}

static void tree_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_GOSSIP:
		message->gossip = (struct gossip){.id = sample_uid(15), .hops = MESSAGE_HOPS_MAX};
		buf_append_str(&message->gossip.payload, "payload");
		break;
	case MESSAGE_IHAVE:
		message->ihave = (struct ihave){mem_alloc(2, sizeof(struct uid)), 2};
		message->ihave.ids[0] = sample_uid(15);
		message->ihave.ids[1] = sample_uid(16);
		break;
	case MESSAGE_GRAFT:
		message->graft.id = sample_uid(15);
		break;
	default: /* MESSAGE_PRUNE, which says nothing */
		break;
	}
}

static void lookup_fill(struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_FIND:
		message->find = (struct find){17, sample_digest(18), true};
		break;
	case MESSAGE_FOUND:
		message->found = (struct found){17, sample_contacts(), sample_contacts()};
		message->found.providers.list[0] = sample_contact("10.0.0.4:7946");
		break;
	default: /* MESSAGE_PROVIDE, MESSAGE_WITHDRAW */
		message->provide = (struct provide){sample_digest(18), 750};
	}
}

struct message sample_message(enum message_type type)
{
	struct message message = {.type = type};

	if (type < MESSAGE_RECORD) {
		market_fill(&message);
	} else if (type == MESSAGE_RECORD) {
		record_fill(&message.record);
	} else if (type == MESSAGE_RECORD_ACK) {
		message.record_ack = (struct record_ack){sample_key(), sample_version(), true, true,
							 mem_strdup("stored")};
	} else if (type < MESSAGE_INDEX_ROWS) {
		sync_fill(&message);
	} else if (type < MESSAGE_JOURNAL_ASK) {
		index_fill(&message);
	} else if (type < MESSAGE_VOUCH_WANT) {
		journal_fill(&message);
	} else if (type == MESSAGE_SIBLING_MISSING) {
		message.sibling_missing =
			(struct sibling_missing){sample_uid(3), mem_strdup("web-1")};
	} else if (type >= MESSAGE_POD_LEAF_WANT && type <= MESSAGE_AGENTS_HEARD) {
		pod_leaf_fill(&message);
	} else if (type < MESSAGE_HELLO) {
		vouch_fill(&message);
	} else if (type < MESSAGE_JOIN) {
		overlay_fill(&message);
	} else if (type < MESSAGE_GOSSIP) {
		view_fill(&message);
	} else if (type < MESSAGE_FIND) {
		tree_fill(&message);
	} else {
		lookup_fill(&message);
	}
	return message;
}

static struct container_status sample_container(void)
{
	return (struct container_status){
		.name = mem_strdup("nginx"),
		.image = mem_strdup("localhost/nginx:1.22"),
		.image_id = mem_strdup("localhost/nginx@sha256:00"),
		.container_id = mem_strdup("crun://1"),
		.init = true,
		.ready = true,
		.starting = true,
		.state = CONTAINER_TERMINATED,
		.reason = mem_strdup("OOMKilled"),
		.message = mem_strdup("it ate too much"),
		.exit_code = -137,
		.restarts = 2,
		.started_ms = 3,
		.finished_ms = 4,
		.last_reason = mem_strdup("Error"),
		.last_exit_code = -1,
		.last_started_ms = 1,
		.last_finished_ms = 2,
	};
}

struct presence sample_presence(void)
{
	struct presence presence = {
		.pod_uid = sample_uid(10),
		.pod_name = mem_strdup("web-7"),
		.object = sample_object(),
		.generation = 3,
		.slot = 7,
		.epoch = 1,
		.revision = 3,
		.node = sample_node_id(8),
		.addr = sample_addr("10.0.0.2:7947"),
		.node_name = mem_strdup("n2"),
		.zones = {zone_of("a"), 0, 0, zone_of("")},
		.phase = POD_GONE,
		.ready = true,
		.terminating = true,
		.leaving = true,
		.ready_ms = 5,
		.reason = mem_strdup("Evicted"),
		.message = mem_strdup("line\nline"),
		.pod_ip = mem_strdup("fd00::7"),
		.host_ip = mem_strdup("10.0.0.2"),
		.created_ms = 1,
		.started_ms = 2,
		.containers = mem_new(struct container_status),
		.container_count = 1,
	};

	presence.containers[0] = sample_container();
	buf_append_str(&presence.warrant, "warrant");
	return presence;
}

static struct taint *sample_taint(void)
{
	struct taint *taint = mem_new(struct taint);

	*taint = (struct taint){mem_strdup("dedicated"), mem_strdup("db"), TAINT_NO_EXECUTE};
	return taint;
}

struct node_facts sample_node_facts(void)
{
	return (struct node_facts){
		.id = sample_node_id(8),
		.name = mem_strdup("n2"),
		.addr = sample_addr("10.0.0.2:7946"),
		.api_url = mem_strdup("https://10.0.0.2:3000"),
		.labels = sample_labels(2),
		.label_count = 2,
		.cpu_milli = 4000,
		.memory_bytes = 8LL << 30,
		.cpu_milli_free_max = 3800,
		.memory_bytes_free_max = 7LL << 30,
		.cpu_milli_used = 250,
		.memory_bytes_used = 64 << 20,
		.pods_max = 110,
		.pods_used = 1,
		.resources = sample_resource(),
		.resource_count = 1,
		.taints = sample_taint(),
		.taint_count = 1,
		.schedulable = true,
		.steward = true,
		.admit = true,
		.worker = true,
		.architecture = mem_strdup("amd64"),
		.os_image = mem_strdup("Debian GNU/Linux 12 (bookworm)"),
		.kernel = mem_strdup("6.1.0"),
		.runtime = mem_strdup("crun://1.8.1"),
		.version = mem_strdup("0.1.0"),
		.boot_id = mem_strdup("boot"),
		.machine_id = mem_strdup("machine"),
		.created_ms = 1700000000000,
	};
}
