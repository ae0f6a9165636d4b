/* SPDX-License-Identifier: Apache-2.0 */
/* Records to test with. An "envelope" here is only bytes that differ from version to version. */
#pragma once

#include "records/records.h"

struct uid make_uid(uint8_t n);
struct node_id make_id(uint8_t n);
struct wall make_fabric(int64_t ms);

/* Clock values as records_clock_next() makes them. */
uint64_t make_hlc(int64_t ms);

/* All of these are to be freed with record_deinit(). */
struct record make_object(uint8_t uid, const char *name, int64_t ms);
struct record make_tombstone(uint8_t uid, int64_t ms);
struct record make_presence(uint8_t workload, uint8_t pod, uint8_t machine, int64_t ms);
struct record make_presence_end(uint8_t workload, uint8_t pod, int64_t ms);
struct record make_node(uint8_t machine, int64_t ms);

/* Bytes that stand for the signed form of @record. The caller frees them. */
struct buf make_envelope(const struct record *record);

/* records_receive() from and written by machine @writer, a steward. */
int receive(struct records *records, const struct record *record, uint8_t writer);

/* A records machine, alone, steward, with nothing in it. */
struct records *make_records(uint8_t id);

/* Take all effects; count those of one type. */
size_t drain(struct records *records, enum records_effect_type type);

enum {
	MAKE_MS = 1700000000, /* fabric time of the tests */
};
