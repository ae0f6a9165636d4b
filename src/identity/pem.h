/* SPDX-License-Identifier: Apache-2.0 */
/* PEM (RFC 7468): labelled base64 of DER. Reads the strict form that pem_encode() writes. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"

/* Append one block with @label ("CERTIFICATE", "PRIVATE KEY") to @out, lines of 64 characters. */
void pem_encode(const char *label, struct bytes der, struct buf *out);

/*
 * Append the DER of the first block with @label in @text to @ret_der, and move @text behind it.
 * False when there is none, or when it is malformed: then @text is unchanged.
 */
_must_use_ bool pem_decode(const char *label, struct bytes *text, struct buf *ret_der);
