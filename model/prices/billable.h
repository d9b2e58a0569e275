// What is priced: one request, or storage over a while, as plain figures. Where they come from
// (receipts, a command line) is not this room's business.
//
// Texts and items are lent for the call.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace quire::prices {

struct ItemCount {
  std::string_view name;  // "search"
  uint64_t count = 0;
};

// hit + replayed + missed = prompt, or it is not priced.
struct Billable {
  int64_t instant_us = 0;  // Unix time at which the request began
  std::string_view model;
  std::string_view tenant;  // who pays
  std::string_view namespace_name;
  std::string_view service_tier;  // empty: standard
  std::string_view retention;     // TTL class of what was written: "5m"; empty: the book's default
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;       // delivered, and used as they were
  uint64_t replayed_tokens = 0;  // present, but computed again
  uint64_t missed_tokens = 0;
  uint64_t written_tokens = 0;
  uint64_t output_tokens = 0;
  bool explicit_hit = false;  // of a prefix that the request marked
  std::span<const ItemCount> items;
};

// What lay in the cache in [begin_us, end_us). Prices are the ones at its begin, so whoever makes
// these cuts them at hours.
struct StoredBillable {
  int64_t begin_us = 0;
  int64_t end_us = 0;
  std::string_view model;
  std::string_view tenant;
  std::string_view namespace_name;
  uint64_t token_seconds = 0;
  uint64_t byte_seconds = 0;
  uint64_t most_tokens = 0;  // at any instant of it
  uint64_t most_bytes = 0;
};

}  // namespace quire::prices
