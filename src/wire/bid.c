/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "wire/family.h"

enum {
	BID_SHARE_MAX = 1000, /* shares are thousandths */
};

void bid_pack(struct packer *packer, const struct bid *from, Magik__Bid *to)
{
	assert(from->copies <= MESSAGE_SLOTS_MAX && from->images <= MESSAGE_IMAGES_MAX);
	assert(from->fit <= BID_SHARE_MAX && from->reliability <= BID_SHARE_MAX);
	assert(from->penalty <= BID_SHARE_MAX);
	to->tender_id = pack_id(&from->tender_id);
	to->copies = from->copies;
	to->resident = from->resident;
	to->hold_ms = from->hold_ms;
	to->fit = from->fit;
	to->images = from->images;
	to->reliability = from->reliability;
	to->penalty = from->penalty;
	zones_pack(packer, from->zones, &to->zones, &to->n_zones);
}

void bid_unpack(struct unpacker *unpacker, const Magik__Bid *from, struct bid *to)
{
	unpack_id(unpacker, from->tender_id, &to->tender_id);
	to->copies = unpack_u32(unpacker, from->copies, MESSAGE_SLOTS_MAX);
	to->resident = from->resident;
	to->hold_ms = from->hold_ms;
	to->fit = unpack_u32(unpacker, from->fit, BID_SHARE_MAX);
	to->images = unpack_u32(unpacker, from->images, MESSAGE_IMAGES_MAX);
	to->reliability = unpack_u32(unpacker, from->reliability, BID_SHARE_MAX);
	to->penalty = unpack_u32(unpacker, from->penalty, BID_SHARE_MAX);
	zones_unpack(unpacker, from->zones, from->n_zones, to->zones);
}

void bid_deinit(struct bid *bid)
{
	*bid = (struct bid){0};
}

void bid_copy(const struct bid *from, struct bid *to)
{
	*to = *from;
}
