// Records of the manifest: whatever parses is written again as the same bytes, so nothing that a
// damaged record says beyond its format is believed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/check.h"
#include "tiering/disk/manifest_records.h"

namespace {

using namespace quire::tiering;

void look_at_run(std::string_view key, std::string_view value) {
  RunRecord run;
  if (!parse_run(key, value, run)) return;
  QUIRE_CHECK(!run.keys.empty() && run.keys.size() <= kMaxRunObjects);
  QUIRE_CHECK(run_key(key[0], run.key) == key);
  QUIRE_CHECK(run_value(run) == value);
}

void look_at_root(std::string_view key, std::string_view value) {
  const auto root = parse_root(key, value);
  if (!root) return;
  QUIRE_CHECK(root_key(root->id) == key);
  QUIRE_CHECK(root_value(*root) == value);
}

void look_at_epoch(std::string_view key, std::string_view value) {
  if (const auto names = parse_epoch_key(key)) {
    QUIRE_CHECK(epoch_key(names->first, names->second) == key);
  }
  if (const auto epoch = parse_epoch_value(value)) QUIRE_CHECK(epoch_value(*epoch) == value);
}

}  // namespace

// [bytes of the key][key][value]
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string_view key = rest.substr(0, std::min<size_t>(data[0], rest.size()));
  const std::string_view value = rest.substr(key.size());
  look_at_run(key, value);
  look_at_root(key, value);
  look_at_epoch(key, value);
  if (const auto left = parse_truncation_value(value)) {
    QUIRE_CHECK(truncation_value(*left) == value);
  }
  return 0;
}
