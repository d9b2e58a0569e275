#include "tiering/disk/manifest_scan.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tiering/disk/manifest_records.h"

namespace quire::tiering {

using rocksdb::Slice;
using rocksdb::Status;

namespace {

constexpr size_t kReadaheadBytes = 2 << 20;

std::string_view view(const Slice& slice) { return {slice.data(), slice.size()}; }

// One pass over the records of a prefix, oldest key first.
class PrefixScan {
 public:
  PrefixScan(rocksdb::DB& database, char prefix) : prefix_(1, prefix), end_(1, prefix + 1) {
    upper_bound_ = Slice(end_);
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.readahead_size = kReadaheadBytes;
    options.iterate_upper_bound = &upper_bound_;
    iterator_.reset(database.NewIterator(options));
    iterator_->Seek(prefix_);
  }
  bool valid() const { return iterator_->Valid(); }
  void next() { iterator_->Next(); }
  std::string_view key() const { return view(iterator_->key()); }
  std::string_view value() const { return view(iterator_->value()); }
  Status status() const { return iterator_->status(); }

 private:
  const std::string prefix_;
  const std::string end_;
  Slice upper_bound_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// Truncations have the keys of their runs after the first letter, so both passes go side by side.
class TruncationScan {
 public:
  explicit TruncationScan(rocksdb::DB& database) : scan_(database, kTruncationPrefix) {}

  // Objects left of the run, at most `count`; 0 when its truncation does not parse. Keys ascend.
  uint32_t left_of(std::string_view run, uint32_t count) {
    while (scan_.valid() && scan_.key().substr(1) < run.substr(1)) scan_.next();
    if (!scan_.valid() || scan_.key().substr(1) != run.substr(1)) return count;
    const std::optional<uint32_t> left = parse_truncation_value(scan_.value());
    if (!left) ++rejected_;
    return std::min(count, left.value_or(0));
  }
  uint64_t rejected() const { return rejected_; }
  Status status() const { return scan_.status(); }

 private:
  PrefixScan scan_;
  uint64_t rejected_ = 0;
};

}  // namespace

Status scan_runs(rocksdb::DB& database, const std::function<bool(const RunRecord&)>& visit,
                 uint64_t& rejected) {
  PrefixScan runs(database, kRunPrefix);
  TruncationScan truncations(database);
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
  return runs.status().ok() ? truncations.status() : runs.status();
}

Status scan_roots(rocksdb::DB& database, ManifestContents& contents) {
  PrefixScan epochs(database, kEpochPrefix);
  for (; epochs.valid(); epochs.next()) {
    auto names = parse_epoch_key(epochs.key());
    const std::optional<uint64_t> epoch = parse_epoch_value(epochs.value());
    if (names && epoch) {
      contents.epochs.emplace_back(std::move(*names), *epoch);
    } else {
      ++contents.rejected;
    }
  }
  if (!epochs.status().ok()) return epochs.status();
  PrefixScan roots(database, kRootPrefix);
  for (; roots.valid(); roots.next()) {
    if (auto root = parse_root(roots.key(), roots.value())) {
      contents.roots.push_back(std::move(*root));
    } else {
      ++contents.rejected;
    }
  }
  return roots.status();
}

}  // namespace quire::tiering
