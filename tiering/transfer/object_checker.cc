#include "tiering/transfer/object_checker.h"

#include <algorithm>
#include <array>

namespace quire::tiering {

using cache::Node;

namespace {

void run_encode(CopyTask& task) {
  auto& object = static_cast<ObjectTask&>(task);
  object.good = encode_pages(object.pages, object.stored, object.slot);
}

void run_decode(CopyTask& task) {
  auto& object = static_cast<ObjectTask&>(task);
  object.good = decode_pages(object.pages, object.stored, object.slot);
}

void run_check_and_sample(CopyTask& task) {
  auto& object = static_cast<ObjectTask&>(task);
  object.other_work = nullptr;
  run_copy_task(object);
  const CopyPage& page = object.pages[object.sampled_page];
  sample_page({page.source, page.bytes}, object.sample);
}

}  // namespace

bool ObjectChecker::prepare(Transfer& transfer, uint32_t object_index) const {
  TransferObject& object = transfer.objects[object_index];
  const bool encoded = transfer.stored_form != nullptr;
  const bool decode = encoded && transfer.kind != TransferKind::kDemote;
  // What says where the pages are is believed before it is followed.
  if (decode && !header_matches(transfer, object_index)) return false;
  for (uint32_t p = 0; p < object.page_count; ++p) {
    const TransferPage& page = transfer.pages[object.first_page + p];
    transfer.checks[object.first_page + p] = {.source = decode ? nullptr : page.data,
                                              .target = decode ? page.data : nullptr,
                                              .bytes = page.bytes};
  }
  ObjectTask& check = object.check;
  check.id = uint64_t{transfer.index} * kMaxRunObjects + object_index;
  check.pages = std::span(transfer.checks).subspan(object.first_page, object.page_count);
  if (encoded) {
    check.other_work = decode ? run_decode : run_encode;
    check.stored = std::span(transfer.headers[object_index].pages).first(object.page_count);
    check.slot = {transfer.stored_form + object_index * transfer.stored_slot_bytes,
                  transfer.stored_slot_bytes};
  } else if (check.sample.element_bytes != 0) {
    check.other_work = run_check_and_sample;
  }
  return true;
}

// All of its identity: a block that a device misdirected, swapped or left as it was long ago is
// whole by its own checksum.
bool ObjectChecker::header_matches(const Transfer& transfer, uint32_t object_index) const {
  const TransferObject& object = transfer.objects[object_index];
  const ExtentHeader& header = transfer.headers[object_index];
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const Node& link = tree.node(object.node);
  const cache::Root& root = parts_.cache->names().root(link.root());
  const std::span<const uint16_t> more = parts_.files->more_regions(transfer.first.region());
  const bool identity =
      check(header).ok() && header.instance == parts_.instance &&
      header.slot == transfer.first.value + object_index && header.key == tree.key(object.node) &&
      header.root == root.hash && header.kind == static_cast<uint8_t>(link.kind()) &&
      header.units == link.units() &&
      static_cast<uint16_t>(header.generation) == tree.marks().copy_generation(object.node) &&
      header.layout_digest == root.layout->digest && header.page_count == object.page_count &&
      header.more_count == more.size() && std::equal(more.begin(), more.end(), header.more.begin());
  return identity && header_fits_pages(transfer, object_index);
}

bool ObjectChecker::header_fits_pages(const Transfer& transfer, uint32_t object_index) const {
  const TransferObject& object = transfer.objects[object_index];
  const ExtentHeader& header = transfer.headers[object_index];
  const bool encoded = transfer.stored_form != nullptr;
  std::array<uint64_t, kMaxSsdPages> plain_bytes;
  for (uint32_t p = 0; p < object.page_count; ++p) {
    const TransferPage& page = transfer.pages[object.first_page + p];
    const StoredPage& stored = header.pages[p];
    if (stored.group != page.group || stored.tail != (page.tail ? 1 : 0)) return false;
    if (!encoded && stored.codec != static_cast<uint8_t>(CodecId::kNone)) return false;
    plain_bytes[p] = page.bytes;
  }
  const uint64_t slot =
      encoded ? transfer.stored_slot_bytes : parts_.forms->object_bytes(object.node);
  return header.slot_bytes == (encoded ? slot : 0) &&
         fit_slot({header.pages.data(), object.page_count}, plain_bytes, slot);
}

// Against what was sealed, not against what the other side of the transfer says: a page that went
// bad in RAM must not get a fresh checksum on its way out (law 4).
bool ObjectChecker::pages_match(const Transfer& transfer, uint32_t object_index) const {
  const TransferObject& object = transfer.objects[object_index];
  for (uint32_t p = 0; p < object.page_count; ++p) {
    const uint32_t found = transfer.checks[object.first_page + p].crc32c;
    const TransferPage& page = transfer.pages[object.first_page + p];
    const uint32_t expected = transfer.kind == TransferKind::kDemote
                                  ? parts_.cache->store().pool().page(page.slot).crc32c
                                  : transfer.headers[object_index].pages[p].plain_crc32c;
    if (found != expected) return false;
  }
  return true;
}

void ObjectChecker::seal_header(Transfer& transfer, uint32_t object_index) const {
  const TransferObject& object = transfer.objects[object_index];
  ExtentHeader& header = transfer.headers[object_index];
  header.page_count = static_cast<uint8_t>(object.page_count);
  for (uint32_t p = 0; p < object.page_count; ++p) {
    const TransferPage& page = transfer.pages[object.first_page + p];
    const uint32_t crc = transfer.checks[object.first_page + p].crc32c;
    StoredPage& stored = header.pages[p];
    if (transfer.stored_form == nullptr) {
      stored = {.stored_bytes = page.bytes, .plain_crc32c = crc, .stored_crc32c = crc};
    }
    stored.group = page.group;
    stored.tail = page.tail ? 1 : 0;
  }
  header.slot_bytes = transfer.stored_slot_bytes;
  seal(header);
}

ObjectState ObjectChecker::judge_read(const Transfer& transfer, uint32_t object_index) const {
  // Of an encoded object the header was looked at before it was followed.
  const bool whole = transfer.stored_form != nullptr ? transfer.objects[object_index].check.good
                                                     : header_matches(transfer, object_index);
  return whole && pages_match(transfer, object_index) ? ObjectState::kGood : ObjectState::kCorrupt;
}

ObjectState ObjectChecker::judge_write(const Transfer& transfer, uint32_t object_index) const {
  // Too large is said first: then not all of its pages were looked at.
  if (!transfer.objects[object_index].check.good) return ObjectState::kTooLarge;
  return pages_match(transfer, object_index) ? ObjectState::kWaiting : ObjectState::kCorrupt;
}

}  // namespace quire::tiering
