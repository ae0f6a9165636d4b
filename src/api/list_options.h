/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List options: what the query and the Accept header of a list or watch ask for, read once and
 * refused where Kubernetes refuses it.
 *
 * `resourceVersion` unset or 0 is whatever there is; with `resourceVersionMatch=Exact` a list is of
 * that version or of none. A watch sends what there is first if it names no version, unless
 * `sendInitialEvents` says otherwise.
 */
#pragma once

#include "api/gateway.h"

struct list_options {
	struct kube_selector labels, fields;
	bool table, partial; /* as a Table; metadata alone */
	enum kube_include include;
	uint64_t version; /* 0: none is named */
	/* Of a list. */
	bool exact;
	uint64_t limit;    /* 0: none */
	const char *token; /* of the page before, borrowed from the call; NULL: the first page */
	/* Of a watch. */
	bool initial, bookmarks;
	bool initial_end;   /* a bookmark shall tell that what there is has been sent */
	uint64_t timeout_s; /* 0: none */
};

/* False: the call was answered with a failure, and there is nothing to release. */
_must_use_ bool list_options_read(struct call *call, bool watch, struct list_options *ret_options);
void list_options_deinit(struct list_options *options);

bool list_options_has_selectors(const struct list_options *options);
bool list_options_selects(const struct list_options *options, const json_t *object);

/* Decimal digits and nothing else. */
_must_use_ bool list_number(const char *text, uint64_t *ret_value);
