// `quirectl meter quote`: what one request, given on the command line, costs by a price book.
// Without a daemon.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace quire::client {

struct QuoteOptions {
  std::string book_path;
  std::string model;
  std::string at;        // RFC 3339, with its offset from UTC
  std::string currency;  // empty: each list that the book has
  std::string tier;
  std::string retention;  // TTL class of what is written
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;
  uint64_t replayed_tokens = 0;
  uint64_t written_tokens = 0;
  uint64_t output_tokens = 0;
  bool explicit_hit = false;
  std::vector<std::string> items;  // "search=3"
};
// Prints the bill of that request, `json` or as a table. kExitFailed where it has no price, or the
// book is none; kExitUsage for options that no request could have.
int run_quote(const QuoteOptions& options, bool json, std::ostream& out, std::ostream& err);

}  // namespace quire::client
