/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the transport costs: two endpoints of one process over loopback, on one core.
 *
 * usage: quic_bench [handshakes] [round trips] [megabytes] [idle connections]
 *
 * CPU times are of both sides together; memory per connection is of one side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "io/clock.h"
#include "quic/socket.h"
#include "world.h"

enum {
	HANDSHAKES = 2000,
	ROUND_TRIPS = 20000,
	MEGABYTES = 512,
	IDLE_CONNS = 1000,
	PARALLEL_DIALS = 16,
	REQUEST_LEN = 200,
	PERCENT = 100,
	WAIT_MS = 120 * MS_PER_S,
};

struct side {
	struct quic_socket *socket;
	struct quic_credential *credential;
	struct buf leaf;
	struct bench *bench;
};

struct bench {
	struct loop *loop;
	struct side client, server;
	struct quic_conn *conn; /* the client's last */
	size_t opened, server_opened, closed, wanted, dialled;
	bool done, keep; /* keep: do not close what was opened */
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

static void dial(struct bench *bench)
{
	struct addr local = quic_socket_local(bench->server.socket);
	struct quic_dial to = {
		.remote = local, .alpn = "magik-machine/1", .credential = bench->client.credential};

	if (quic_dial(quic_socket_endpoint(bench->client.socket), clock_mono(), &to,
		      &bench->conn) != 0)
		abort();
	bench->dialled++;
}

static int on_verify(void *user, const struct quic_peer *peer, const struct bytes *chain,
		     size_t count, struct err *err)
{
	(void)user;
	(void)peer;
	(void)chain;
	(void)count;
	(void)err;
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

	if (side == &bench->server) {
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

static void side_start(struct bench *bench, struct side *side, uint8_t seed)
{
	struct quic_config config = {.acceptor_count = 1,
				     .conns_max = 100000,
				     .conns_per_ip_max = 100000,
				     .keep_alive_ms = -1,
				     .idle_timeout_ms = 600 * MS_PER_S};
	struct err err = {0};

	side->bench = bench;
	side->credential = test_credential(seed, &side->leaf);
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
	buf_deinit(&side->leaf);
}

static int64_t cpu_us(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_S + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
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

static size_t argument(int argc, char **argv, int index, size_t otherwise)
{
	return argc > index ? strtoul(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct bench *bench = mem_new(struct bench);
	size_t round_trips = argument(argc, argv, 2, ROUND_TRIPS);

	bench->loop = loop_new();
	bench->samples_us = mem_alloc(round_trips, sizeof(*bench->samples_us));
	side_start(bench, &bench->client, 1);
	side_start(bench, &bench->server, 2);
	bench_handshakes(bench, argument(argc, argv, 1, HANDSHAKES));
	begin(bench, 1);
	bench->keep = true;
	dial(bench);
	finish(bench);
	bench_round_trips(bench, round_trips, 1);
	bench_round_trips(bench, round_trips, 64);
	bench_bulk(bench, argument(argc, argv, 3, MEGABYTES));
	bench_idle(bench, argument(argc, argv, 4, IDLE_CONNS));
	side_stop(&bench->client);
	side_stop(&bench->server);
	loop_free(bench->loop);
	free(bench->samples_us);
	free(bench);
	return EXIT_SUCCESS;
}
