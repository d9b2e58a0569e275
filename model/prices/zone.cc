#include "model/prices/zone.h"

#include <algorithm>
#include <utility>

#include "model/toml_table.h"

namespace quire::prices {

namespace {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;

constexpr size_t kMaxZoneBytes = 1 << 20;  // the longest one has 4 KiB
constexpr size_t kHeaderBytes = 44;

// Of the block that the header begins, in the order in which they stand there.
struct Counts {
  size_t ut_flags, standard_flags, leaps, changes, types, name_bytes;

  size_t block_bytes(size_t time_bytes) const {
    return changes * (time_bytes + 1) + types * 6 + name_bytes + leaps * (time_bytes + 4) +
           standard_flags + ut_flags;
  }
};

int64_t big_endian(std::string_view bytes) {
  uint64_t value = (bytes[0] & 0x80) != 0 ? UINT64_MAX : 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return static_cast<int64_t>(value);
}

Error bad_file(std::string_view zone, std::string_view what) {
  return make_error(Errc::kInvalidArgument, "time zone '" + std::string(zone) + "': " +
                                                std::string(what) + "; install tzdata anew");
}

Result<Counts> read_header(std::string_view zone, std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with("TZif")) {
    return bad_file(zone, "no compiled time zone");
  }
  if (bytes[4] < '2') return bad_file(zone, "a file of format 1, which ends in 2037");
  const auto count = [&](size_t index) {
    return static_cast<size_t>(big_endian(bytes.substr(20 + index * 4, 4)) & 0xffff'ffff);
  };
  const Counts counts{count(0), count(1), count(2), count(3), count(4), count(5)};
  // So that sums of them do not overflow.
  for (size_t i = 0; i < 6; ++i) {
    if (count(i) > kMaxZoneBytes) return bad_file(zone, "a header that cannot be");
  }
  return counts;
}

bool is_zone_name(std::string_view name) {
  constexpr std::string_view kOthers = "/_+-";
  const bool clean = std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != kOthers.npos;
  });
  return clean && !name.empty() && name.size() < 64 && name.front() != '/';
}

}  // namespace

Result<Zone> Zone::load(std::string_view name, const std::string& root) {
  if (!is_zone_name(name)) {
    return make_error(Errc::kInvalidArgument,
                      "'" + std::string(name) + "' is no name of a time zone");
  }
  const std::string path = root + "/" + std::string(name);
  const Result<std::string> bytes = model::read_text_file(path, kMaxZoneBytes);
  if (bytes.ok()) return parse(name, *bytes);
  return make_error(bytes.code(), "time zone '" + std::string(name) + "' is not in " + root + ": " +
                                      bytes.error().text + "; install tzdata, or correct the name");
}

Result<Zone> Zone::parse(std::string_view name, std::string_view bytes) {
  // The first block has 32-bit times, and is there for programs that know no other.
  const Counts old = QUIRE_TRY(read_header(name, bytes));
  const size_t skipped = kHeaderBytes + old.block_bytes(4);
  if (bytes.size() < skipped) return bad_file(name, "it is cut short");
  bytes.remove_prefix(skipped);
  const Counts counts = QUIRE_TRY(read_header(name, bytes));
  bytes.remove_prefix(kHeaderBytes);
  if (bytes.size() < counts.block_bytes(8) + 2) return bad_file(name, "it is cut short");
  if (counts.leaps != 0) return bad_file(name, "it counts leap seconds, which Unix time does not");

  const std::string_view times = bytes.substr(0, counts.changes * 8);
  const std::string_view indexes = bytes.substr(times.size(), counts.changes);
  const std::string_view types = bytes.substr(times.size() + indexes.size(), counts.types * 6);
  const std::string_view footer = bytes.substr(counts.block_bytes(8));
  if (footer.front() != '\n' || footer.back() != '\n' || counts.types == 0) {
    return bad_file(name, "it is not whole");
  }
  Zone zone;
  zone.name_ = name;
  zone.offsets_.push_back(static_cast<int32_t>(big_endian(types.substr(0, 4))));
  for (size_t i = 0; i < counts.changes; ++i) {
    const auto type = static_cast<uint8_t>(indexes[i]);
    const int64_t at = big_endian(times.substr(i * 8, 8));
    if (type >= counts.types || (i > 0 && at <= zone.changes_.back())) {
      return bad_file(name, "its changes are not in order");
    }
    zone.changes_.push_back(at);
    zone.offsets_.push_back(static_cast<int32_t>(big_endian(types.substr(type * 6u, 4))));
  }
  const Result<PosixZone> rule = PosixZone::parse(footer.substr(1, footer.size() - 2));
  if (!rule.ok()) return bad_file(name, rule.error().text);
  zone.rule_ = *rule;
  return zone;
}

OffsetStretch Zone::at(int64_t utc_s) const {
  const auto next = std::upper_bound(changes_.begin(), changes_.end(), utc_s);
  if (next == changes_.end()) {
    OffsetStretch stretch = rule_.at(utc_s);
    if (!changes_.empty()) stretch.from_s = std::max(stretch.from_s, changes_.back());
    return stretch;
  }
  const auto index = static_cast<size_t>(next - changes_.begin());
  return {.from_s = index == 0 ? INT64_MIN : changes_[index - 1],
          .until_s = *next,
          .offset_s = offsets_[index]};
}

LocalTime local_time(int64_t utc_s, int32_t offset_s) {
  const int64_t local = utc_s + offset_s;
  const int64_t day = local / kDayS - (local % kDayS < 0 ? 1 : 0);
  return {day, static_cast<int32_t>(local - day * kDayS)};
}

}  // namespace quire::prices
