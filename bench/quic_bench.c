/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the transport costs: two endpoints of one process over loopback, on one core.
 *
 * usage: quic_bench [handshakes] [round trips] [megabytes] [idle connections]
 *
 * CPU times are of both sides together; those called cold are without what the caches of a
 * processor would know of the connection: as in a daemon that wakes up for it. Memory per
 * connection is of one side. Bytes are those of UDP payloads, without the 28 bytes of IPv4 and UDP
 * a datagram. Both sides show a machine's chain as a fabric issues it (leaf and admitter's
 * intermediate). The simulator's model of the transport takes its parameters from here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "identity/fabric.h"
#include "identity/key.h"
#include "identity/trust.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "quic/socket.h"

enum {
	HANDSHAKES = 2000,
	ROUND_TRIPS = 20000,
	MEGABYTES = 512,
	IDLE_CONNS = 1000,
	PARALLEL_DIALS = 16,
	REQUEST_LEN = 200,
	PERCENT = 100,
	WAIT_MS = 120 * MS_PER_S,
	QUIET_MS = 300, /* longer than any acknowledgement or probe of a quiet connection waits */
	SAMPLES = 8,
	COLD_SAMPLES = 300,
	CACHE_BYTES = 8 << 20, /* more than what one processor has for itself */
	CACHE_LINE = 64,
	MESSAGE_LONG = 8000, /* more than a datagram: travels on a stream of its own */
};

struct side {
	struct quic_socket *socket;
	struct quic_credential *credential;
	struct bench *bench;
};

struct bench {
	struct loop *loop;
	struct side client, server;
	struct quic_conn *conn; /* the client's last */
	size_t opened, server_opened, closed, wanted, dialled;
	bool done, keep; /* keep: do not close what was opened */
	bool silent;     /* the server does not answer */
	/* Cold caches: what emptying them has taken is no part of any figure. */
	bool cold;
	int64_t emptying_us;
	/* Round trips. */
	struct mono asked;
	int64_t *samples_us;
	size_t answered;
	size_t outstanding;
	/* Bulk. */
	struct quic_stream *stream;
	size_t sent, received, total;
	uint8_t block[65536];
};

static int64_t cpu_us(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_S + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

/* Before each step, when everything is to be cold. */
static void empty_caches(struct bench *bench)
{
	static volatile uint8_t other[CACHE_BYTES];
	int64_t cpu = cpu_us();

	for (size_t i = 0; bench->cold && i < sizeof(other); i += CACHE_LINE)
		other[i]++;
	bench->emptying_us += cpu_us() - cpu;
}

static void dial(struct bench *bench)
{
	struct addr local = quic_socket_local(bench->server.socket);
	struct quic_dial to = {
		.remote = local, .alpn = "magik-machine/1", .credential = bench->client.credential};

	empty_caches(bench);
	if (quic_dial(quic_socket_endpoint(bench->client.socket), clock_mono(), &to,
		      &bench->conn) != 0)
		abort();
	bench->dialled++;
}

static int on_verify(void *user, const struct quic_peer *peer, const struct bytes *chain,
		     size_t count, struct err *err)
{
	(void)peer;
	(void)chain;
	(void)count;
	(void)err;
	empty_caches(((struct side *)user)->bench);
	return 0;
}

static void on_opened(void *user, struct quic_conn *conn)
{
	struct side *side = user;
	struct bench *bench = side->bench;

	if (side == &bench->server) {
		bench->server_opened++;
		return;
	}
	bench->opened++;
	if (bench->opened >= bench->wanted)
		bench->done = true;
	if (!bench->keep)
		quic_conn_close(conn, 0, "measured");
	if (bench->dialled < bench->wanted)
		dial(bench);
}

static void on_message(void *user, struct quic_conn *conn, struct bytes message)
{
	struct side *side = user;
	struct bench *bench = side->bench;

	empty_caches(bench);
	if (side == &bench->server) {
		if (!bench->silent)
			(void)!quic_conn_send(conn, message);
		return;
	}
	if (bench->outstanding == 1) {
		bench->samples_us[bench->answered] = mono_since_us(clock_mono(), bench->asked);
		bench->asked = clock_mono();
	}
	bench->answered++;
	if (bench->answered >= bench->wanted)
		bench->done = true;
	else if (bench->answered + bench->outstanding <= bench->wanted)
		(void)!quic_conn_send(conn, message);
}

static void fill(struct bench *bench)
{
	size_t n;

	do {
		n = quic_stream_write(bench->stream, bytes_of(bench->block, sizeof(bench->block)));
		bench->sent += n;
	} while (n == sizeof(bench->block) && bench->sent < bench->total);
}

static void on_stream_data(void *user, struct quic_stream *stream, struct bytes data, bool end)
{
	struct side *side = user;

	(void)end;
	side->bench->received += data.len;
	side->bench->done = side->bench->received >= side->bench->total;
	quic_stream_consumed(stream, data.len);
}

static void on_stream_writable(void *user, struct quic_stream *stream)
{
	struct side *side = user;

	(void)stream;
	if (side->bench->sent < side->bench->total)
		fill(side->bench);
}

static void on_stream_opened(void *user, struct quic_conn *conn, struct quic_stream *stream)
{
	(void)user;
	(void)conn;
	(void)stream;
}

static const struct quic_handler handler = {.verify = on_verify,
					    .opened = on_opened,
					    .message = on_message,
					    .stream_opened = on_stream_opened,
					    .stream_data = on_stream_data,
					    .stream_writable = on_stream_writable};

/* A machine's chain, as the first machine of a fabric gives it to itself. */
static struct quic_credential *machine_credential(void)
{
	struct fabric_made *made = mem_new(struct fabric_made);
	struct quic_credential *credential = NULL;
	uint8_t random[FABRIC_RANDOM_LEN];
	struct err err = {0};
	struct chain chain;

	entropy_fill(random, sizeof(random));
	if (fabric_make("machine-0001", clock_wall(), random, made, &err) != 0 ||
	    !chain_split(bytes_buf(&made->credentials.machine_chain), &chain) ||
	    quic_credential_new(chain.cert, chain.count, made->credentials.machine_key.seed, &err,
				&credential) != 0) {
		(void)fprintf(stderr, "quic_bench: %s\n", err.text);
		exit(EXIT_FAILURE);
	}
	(void)printf("certificates          %8zu bytes of leaf, %zu of intermediate\n",
		     chain.cert[0].len, chain.cert[1].len);
	fabric_made_deinit(made);
	free(made);
	return credential;
}

static void side_start(struct bench *bench, struct side *side, struct quic_credential *credential)
{
	struct quic_config config = {.acceptor_count = 1,
				     .conns_max = 100000,
				     .conns_per_ip_max = 100000,
				     .keep_alive_ms = -1,
				     .idle_timeout_ms = 600 * MS_PER_S};
	struct err err = {0};

	side->bench = bench;
	side->credential = quic_credential_ref(credential);
	config.acceptor[0] = (struct quic_acceptor){"magik-machine/1", side->credential};
	if (!addr_parse_ip("127.0.0.1", 0, &config.local) ||
	    quic_socket_new(bench->loop, &config, &handler, side, &err, &side->socket) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		exit(EXIT_FAILURE);
	}
}

static void side_stop(struct side *side)
{
	quic_socket_free(side->socket);
	quic_credential_unref(side->credential);
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	char line[128];
	long kib = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "Rss:", 4) == 0)
			kib = strtol(line + 4, NULL, 10);
	}
	if (file)
		(void)fclose(file);
	return kib;
}

static void finish(struct bench *bench)
{
	if (!loop_run_until(bench->loop, &bench->done, mono_add_ms(clock_mono(), WAIT_MS))) {
		(void)fprintf(stderr, "quic_bench: not done after %d s\n", WAIT_MS / MS_PER_S);
		exit(EXIT_FAILURE);
	}
}

static void begin(struct bench *bench, size_t wanted)
{
	bench->opened = bench->dialled = bench->answered = 0;
	bench->wanted = wanted;
	bench->done = false;
}

static void bench_handshakes(struct bench *bench, size_t count)
{
	struct mono start = clock_mono();
	int64_t cpu = cpu_us();

	begin(bench, count);
	bench->keep = false;
	for (size_t i = 0; i < PARALLEL_DIALS && i < count; i++)
		dial(bench);
	finish(bench);
	(void)printf("handshakes            %8.0f /s   %6.0f us CPU each, both sides\n",
		     (double)count * US_PER_S / (double)mono_since_us(clock_mono(), start),
		     (double)(cpu_us() - cpu) / (double)count);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void bench_round_trips(struct bench *bench, size_t count, size_t outstanding)
{
	uint8_t request[REQUEST_LEN] = {0};
	struct mono start;
	int64_t cpu;

	begin(bench, count);
	bench->outstanding = outstanding;
	start = bench->asked = clock_mono();
	cpu = cpu_us();
	for (size_t i = 0; i < outstanding; i++)
		(void)!quic_conn_send(bench->conn, bytes_of(request, sizeof(request)));
	finish(bench);
	(void)printf("round trips, %3zu open  %8.0f /s   %6.1f us CPU each, both sides",
		     outstanding,
		     (double)count * US_PER_S / (double)mono_since_us(clock_mono(), start),
		     (double)(cpu_us() - cpu) / (double)count);
	if (outstanding == 1) {
		qsort(bench->samples_us, count, sizeof(*bench->samples_us), compare);
		(void)printf(", p50 %lld us, p99 %lld us", (long long)bench->samples_us[count / 2],
			     (long long)bench->samples_us[count * 99 / PERCENT]);
	}
	(void)printf("\n");
}

static void bench_bulk(struct bench *bench, size_t megabytes)
{
	struct mono start = clock_mono();
	int64_t cpu = cpu_us();

	begin(bench, 0);
	bench->total = megabytes * 1000 * 1000;
	if (quic_stream_open(bench->conn, NULL, &bench->stream) != 0)
		abort();
	fill(bench);
	finish(bench);
	(void)printf("one stream            %8.0f MB/s %6.2f s CPU per GB, both sides\n",
		     (double)bench->total / (double)mono_since_us(clock_mono(), start),
		     (double)(cpu_us() - cpu) * 1000 / (double)bench->total);
	quic_stream_reset(bench->stream, 0);
}

static void bench_idle(struct bench *bench, size_t count)
{
	long before = resident_kib();
	int64_t cpu;

	begin(bench, count);
	bench->keep = true;
	for (size_t i = 0; i < PARALLEL_DIALS && i < count; i++)
		dial(bench);
	finish(bench);
	cpu = cpu_us();
	bench->done = false;
	(void)loop_run_until(bench->loop, &bench->done, mono_add_ms(clock_mono(), 2 * MS_PER_S));
	(void)printf("idle connections      %8.1f KiB each and side, %.2f %% CPU for %zu\n",
		     (double)(resident_kib() - before) / 2 / (double)count,
		     (double)(cpu_us() - cpu) / (2.0 * US_PER_S / PERCENT), 2 * count);
}

/* ---- as daemons find it that have slept ---- */

/* One handshake at a time. */
static void cold_handshakes(struct bench *bench)
{
	int64_t cpu = cpu_us();

	bench->keep = false;
	bench->emptying_us = 0;
	for (size_t i = 0; i < COLD_SAMPLES; i++) {
		begin(bench, 1);
		dial(bench);
		finish(bench);
	}
	(void)printf("a handshake, cold     %8.0f us CPU, both sides\n",
		     (double)(cpu_us() - cpu - bench->emptying_us) / COLD_SAMPLES);
}

/* One message there, its echo back. */
static void cold_messages(struct bench *bench)
{
	static const uint8_t payload[REQUEST_LEN];
	int64_t cpu = cpu_us();

	bench->outstanding = 1;
	bench->emptying_us = 0;
	for (size_t i = 0; i < COLD_SAMPLES; i++) {
		begin(bench, 1);
		empty_caches(bench);
		(void)!quic_conn_send(bench->conn, bytes_of(payload, sizeof(payload)));
		finish(bench);
	}
	(void)printf("a message, cold       %8.0f us CPU, sent and taken\n",
		     (double)(cpu_us() - cpu - bench->emptying_us) / (2.0 * COLD_SAMPLES));
}

/* Of the usual size of what is signed. */
static void cold_signatures(struct bench *bench)
{
	static const uint8_t payload[REQUEST_LEN], seed[KEY_SEED_LEN];
	struct key key = key_from_seed(seed);
	struct bytes signed_bytes = bytes_of(payload, sizeof(payload));
	uint8_t signature[KEY_SIGNATURE_LEN];
	int64_t cpu = cpu_us();

	bench->emptying_us = 0;
	for (size_t i = 0; i < COLD_SAMPLES; i++) {
		empty_caches(bench);
		key_sign(&key, signed_bytes, signature);
	}
	(void)printf("a signature, cold     %8.0f us CPU",
		     (double)(cpu_us() - cpu - bench->emptying_us) / COLD_SAMPLES);
	cpu = cpu_us();
	bench->emptying_us = 0;
	for (size_t i = 0; i < COLD_SAMPLES; i++) {
		empty_caches(bench);
		if (!key_verify(&key.public_key, signed_bytes, signature))
			abort();
	}
	(void)printf(", %.0f us to check it\n",
		     (double)(cpu_us() - cpu - bench->emptying_us) / COLD_SAMPLES);
}

static void bench_cold(struct bench *bench)
{
	bench->cold = true;
	cold_messages(bench);
	cold_signatures(bench);
	cold_handshakes(bench);
	bench->cold = false;
}

/* ---- bytes on the wire */

/* What has left each side since the last call. */
struct wire {
	uint64_t bytes[2], datagrams[2]; /* of the client, of the server */
};

static struct wire wire_now(const struct bench *bench)
{
	const struct side *side[] = {&bench->client, &bench->server};
	struct wire wire = {0};

	for (size_t i = 0; i < ARRAY_LEN(side); i++) {
		const struct quic_stats *stats =
			quic_endpoint_stats(quic_socket_endpoint(side[i]->socket));

		wire.bytes[i] = stats->bytes_out;
		wire.datagrams[i] = stats->datagrams_out;
	}
	return wire;
}

static void settle(struct bench *bench)
{
	(void)loop_run_until(bench->loop, &(bool){false}, mono_add_ms(clock_mono(), QUIET_MS));
}

static void wire_print(const struct bench *bench, const char *what, const struct wire *before,
		       size_t count)
{
	struct wire now = wire_now(bench);
	double n = (double)count;

	(void)printf("%-22s %7.1f bytes in %.2f datagrams from the client, %.1f in %.2f back\n",
		     what, (double)(now.bytes[0] - before->bytes[0]) / n,
		     (double)(now.datagrams[0] - before->datagrams[0]) / n,
		     (double)(now.bytes[1] - before->bytes[1]) / n,
		     (double)(now.datagrams[1] - before->datagrams[1]) / n);
}

/* One message at a time, each with its acknowledgement, on a connection that is quiet else. */
static void wire_messages(struct bench *bench, size_t len, bool answered)
{
	static const uint8_t payload[MESSAGE_LONG]; /* too large for a stack frame */
	struct wire before;
	char what[48];

	bench->silent = !answered;
	settle(bench);
	before = wire_now(bench);
	for (size_t i = 0; i < SAMPLES; i++) {
		begin(bench, 1); /* the echo is not answered again */
		(void)!quic_conn_send(bench->conn, bytes_of(payload, len));
		settle(bench);
	}
	(void)snprintf(what, sizeof(what), "%zu bytes%s", len, answered ? ", echoed" : "");
	wire_print(bench, what, &before, SAMPLES);
	bench->silent = false;
}

/* Many at once: acknowledgements are shared. */
static void wire_burst(struct bench *bench, size_t len, size_t count)
{
	static const uint8_t payload[MESSAGE_LONG]; /* too large for a stack frame */
	struct wire before;
	char what[48];

	bench->silent = true;
	settle(bench);
	before = wire_now(bench);
	for (size_t i = 0; i < count; i++)
		(void)!quic_conn_send(bench->conn, bytes_of(payload, len));
	settle(bench);
	(void)snprintf(what, sizeof(what), "%zu bytes, %zu at once", len, count);
	wire_print(bench, what, &before, count);
	bench->silent = false;
}

static void bench_wire(struct bench *bench)
{
	static const size_t lengths[] = {40, 200, 1000, MESSAGE_LONG};
	struct wire before = wire_now(bench);

	bench->keep = true;
	for (size_t i = 0; i < SAMPLES; i++) {
		begin(bench, 1);
		dial(bench);
		finish(bench);
		settle(bench);
	}
	wire_print(bench, "a handshake", &before, SAMPLES);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		wire_messages(bench, lengths[i], false);
		wire_messages(bench, lengths[i], true);
	}
	wire_burst(bench, REQUEST_LEN, 32);
	settle(bench);
	before = wire_now(bench);
	quic_conn_close(bench->conn, 0, "not needed");
	settle(bench);
	wire_print(bench, "closing", &before, 1);
}

static size_t argument(int argc, char **argv, int index, size_t otherwise)
{
	return argc > index ? strtoul(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct bench *bench = mem_new(struct bench);
	size_t round_trips = argument(argc, argv, 2, ROUND_TRIPS);
	struct quic_credential *credential = machine_credential();

	bench->loop = loop_new();
	bench->samples_us = mem_alloc(round_trips, sizeof(*bench->samples_us));
	side_start(bench, &bench->client, credential);
	side_start(bench, &bench->server, credential);
	bench_wire(bench);
	bench_handshakes(bench, argument(argc, argv, 1, HANDSHAKES));
	begin(bench, 1);
	bench->keep = true;
	dial(bench);
	finish(bench);
	bench_round_trips(bench, round_trips, 1);
	bench_round_trips(bench, round_trips, 64);
	bench_cold(bench);
	begin(bench, 1);
	bench->keep = true;
	dial(bench);
	finish(bench);
	bench_bulk(bench, argument(argc, argv, 3, MEGABYTES));
	bench_idle(bench, argument(argc, argv, 4, IDLE_CONNS));
	side_stop(&bench->client);
	side_stop(&bench->server);
	quic_credential_unref(credential);
	loop_free(bench->loop);
	free(bench->samples_us);
	free(bench);
	return EXIT_SUCCESS;
}
