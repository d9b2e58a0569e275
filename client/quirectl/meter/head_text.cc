#include "client/quirectl/meter/head_text.h"

#include <fstream>
#include <sstream>

#include "client/quirectl/meter/stamp.h"
#include "model/prices/instant.h"

namespace quire::client {

using model::Errc;
using model::LedgerHead;
using model::make_error;
using model::Result;

namespace {

constexpr std::string_view kMark = "quire-ledger-head";
constexpr std::string_view kVersion = "v1";

}  // namespace

std::string head_text(const LedgerHead& head, int64_t written_us) {
  std::string line(kMark);
  line.append(" ").append(kVersion).append(" ").append(to_text(head.position));
  line.append(" ").append(to_text(head.hash)).append(" ").append(stamp_text(written_us));
  return line;
}

Result<LedgerHead> parse_head(std::string_view line) {
  std::istringstream words{std::string(line)};
  std::string mark, version, position, hash, time, more;
  words >> mark >> version >> position >> hash >> time;
  if (mark != kMark || time.empty() || words >> more) {
    return make_error(Errc::kInvalidArgument,
                      "no line like `quirectl meter head` prints: " + std::string(line));
  }
  if (version != kVersion) {
    return make_error(Errc::kUnsupportedVersion,
                      "a head of another version than " + std::string(kVersion) + ": " + version);
  }
  QUIRE_TRY(prices::parse_instant(time));
  LedgerHead head;
  head.position = QUIRE_TRY(model::parse_ledger_position(position));
  head.hash = QUIRE_TRY(model::parse_hash(hash));
  return head;
}

Result<LedgerHead> read_head_argument(const std::string& argument) {
  if (argument.starts_with(kMark)) return parse_head(argument);
  std::ifstream file(argument);
  std::string line;
  if (!file.is_open() || !std::getline(file, line)) {
    return make_error(Errc::kNotFound,
                      "--head: neither a head nor a file that holds one: " + argument);
  }
  return parse_head(line);
}

}  // namespace quire::client
