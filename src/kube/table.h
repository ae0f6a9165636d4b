/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table: what `kubectl get` prints, computed by the server (meta.k8s.io/v1 Table).
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"
#include "kube/resource.h"

/* ?includeObject= */
enum kube_include {
	KUBE_INCLUDE_METADATA, /* the default: PartialObjectMetadata */
	KUBE_INCLUDE_OBJECT,
	KUBE_INCLUDE_NONE,
};

struct kube_table_view {
	enum kube_include include;
	struct wall now;      /* ages are relative to it */
	bool without_columns; /* events of a watch after the first */
};

/* Read the query parameter; NULL and "" mean Metadata. False for an unknown word. */
_must_use_ bool kube_include_parse(const char *text, enum kube_include *ret_include);

/* Whether an Accept header asks for a Table ("as=Table"). NULL does not. */
bool kube_table_is_wanted(const char *accept);

/*
 * The Table of @object: a single object, a List (its items become rows and its metadata is kept),
 * or a JSON array of objects. The caller owns the result; @object is only read.
 */
_must_use_ json_t *kube_table(const struct kube_resource *resource, const json_t *object,
			      const struct kube_table_view *view);

/*
 * Rows that are sent often, as texts: the cells of @object with open ages (kube/time.h), kept by
 * the caller, and a row of a Table made of them. @metadata is the text of the object's metadata; it
 * is not read where @view includes none, and KUBE_INCLUDE_OBJECT is not for this.
 */
void kube_cells(const struct kube_resource *resource, const json_t *object, struct buf *out);
void kube_row(struct bytes cells, struct bytes metadata, const struct kube_table_view *view,
	      struct buf *out);

/* Whether an Accept header asks for metadata alone ("as=PartialObjectMetadata..."). NULL does not.
 */
bool kube_partial_is_wanted(const char *accept);

/* The metadata of @object, or of every item of a List. A new reference. */
_must_use_ json_t *kube_partial(const json_t *object);
/* As kube_partial() of an object, from the text of its metadata to text. */
void kube_partial_text(struct bytes metadata, struct buf *out);

/* An empty list object of @resource, "PodList" with items []; fill items and hand it out. */
_must_use_ json_t *kube_list_new(const struct kube_resource *resource, uint64_t resource_version);

/* {"type": @type, "object": @object}: one event of a watch. Takes @object over. */
_must_use_ json_t *kube_watch_event(const char *type, json_t *object);

/* The object of a BOOKMARK event. @initial_end marks the end of sendInitialEvents. */
_must_use_ json_t *kube_bookmark(const struct kube_resource *resource, uint64_t resource_version,
				 bool initial_end);
