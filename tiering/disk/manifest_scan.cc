#include "tiering/disk/manifest_scan.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "tiering/disk/manifest_records.h"

namespace quire::tiering {

using model::Result;

namespace {

// Truncations have the keys of their runs after the first letter, so both passes go side by side.
class TruncationScan {
 public:
  explicit TruncationScan(const DatabaseReader& reader)
      : scan_(reader.scan_prefix(kTruncationPrefix)) {}

  // Objects left of the run, at most `count`; 0 when its truncation does not parse. Keys ascend.
  uint32_t left_of(std::string_view run, uint32_t count) {
    while (scan_.valid() && scan_.key().substr(1) < run.substr(1)) scan_.next();
    if (!scan_.valid() || scan_.key().substr(1) != run.substr(1)) return count;
    const std::optional<uint32_t> left = parse_truncation_value(scan_.value());
    if (!left) ++rejected_;
    return std::min(count, left.value_or(0));
  }
  uint64_t rejected() const { return rejected_; }
  Result<void> result() const { return scan_.result(); }

 private:
  DatabaseScan scan_;
  uint64_t rejected_ = 0;
};

}  // namespace

Result<void> scan_runs(const DatabaseReader& reader,
                       const std::function<bool(const RunRecord&)>& visit, uint64_t& rejected) {
  DatabaseScan runs = reader.scan_prefix(kRunPrefix);
  TruncationScan truncations(reader);
  RunRecord run;
  for (bool more = true; more && runs.valid(); runs.next()) {
    if (!parse_run(runs.key(), runs.value(), run)) {
      ++rejected;
      continue;
    }
    const uint32_t left = truncations.left_of(runs.key(), static_cast<uint32_t>(run.keys.size()));
    run.keys.resize(left);
    if (left > 0) more = visit(run);
  }
  rejected += truncations.rejected();
  QUIRE_TRY(runs.result());
  return truncations.result();
}

Result<void> scan_roots(const DatabaseReader& reader, ManifestContents& contents) {
  DatabaseScan epochs = reader.scan_prefix(kEpochPrefix);
  for (; epochs.valid(); epochs.next()) {
    auto names = parse_epoch_key(epochs.key());
    const std::optional<uint64_t> epoch = parse_epoch_value(epochs.value());
    if (names && epoch) {
      contents.epochs.emplace_back(std::move(*names), *epoch);
    } else {
      ++contents.rejected;
    }
  }
  QUIRE_TRY(epochs.result());
  DatabaseScan roots = reader.scan_prefix(kRootPrefix);
  for (; roots.valid(); roots.next()) {
    if (auto root = parse_root(roots.key(), roots.value())) {
      contents.roots.push_back(std::move(*root));
    } else {
      ++contents.rejected;
    }
  }
  return roots.result();
}

}  // namespace quire::tiering
