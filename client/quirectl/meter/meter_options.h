// What the parsed command line of `quirectl meter ...` fills, and what the verbs make of it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "client/quirectl/meter/ledger_source.h"
#include "client/quirectl/meter/ledger_walk.h"
#include "model/result.h"

namespace quire::client {

// Outlives the CLI::App. Empty: not given.
struct MeterOptions {
  LedgerPlace place;
  bool json = false;  // -o json, and for csv that is made of it
  bool csv = false;   // -o csv, of tail: as it comes
  std::string from;   // instants, RFC 3339
  std::string to;
  std::string after;  // EPOCH.SEQUENCE
  std::string tenant;
  bool of_tenant = false;  // it was given, maybe empty
  uint64_t last = 10;      // of tail
  bool follow = false;
  std::string by = "hour";  // of show; or "minute"
  std::string format = "jsonl";
  std::string out;  // file; else standard output
  std::string raw;  // file
  bool no_header = false;
  std::string source;  // of CloudEvents
  std::string provider = "Quire";
  std::string currency;  // of FOCUS
  std::string head;      // of verify
  // Of bill and whatif, and `book` of an export of FOCUS.
  std::string book;
  std::string with_book;
  std::vector<std::string> split;  // model, namespace, day, tenant
  std::string zone = "UTC";        // whose days
  std::string bill_currency;       // one list of the book; empty: each
};

// [from, to), by when a request began.
struct MeterWindow {
  int64_t from_us = INT64_MIN;
  int64_t to_us = INT64_MAX;
  bool holds(int64_t us) const { return us >= from_us && us < to_us; }
};
// kInvalidArgument: no instant, or nothing lies between them.
model::Result<MeterWindow> window_of(const MeterOptions& options);

// The exit code of a verb that may have found damage.
int meter_failure(const model::Error& error, std::ostream& err);
// "changed 3.17: what is wrong".
void print_fault(const WalkFault& fault, std::ostream& stream);

}  // namespace quire::client
