// A model's config.json, up to the layout that follows from it, under each of an engine's choices.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "client/quirectl/config_json.h"
#include "model/check.h"
#include "model/layout.h"
#include "model/model_config.h"

namespace {

using namespace quire::model;

// Two bits a choice.
LayoutOptions options_of(uint8_t bits) {
  LayoutOptions options;
  if ((bits & 1) != 0) options.kv = (bits & 2) != 0 ? KvFormat::kFp8 : KvFormat::kBf16;
  if ((bits & 4) != 0)
    options.indexer = (bits & 8) != 0 ? IndexerFormat::kFp4 : IndexerFormat::kBf16;
  if ((bits & 16) != 0) options.state = StateFormat::kBf16;
  if ((bits & 32) != 0) options.tensor_parallel = 4;
  if ((bits & 64) != 0) options.block_tokens = 16, options.unit_tokens = 16;
  options.draft_layers = (bits & 128) != 0;
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto config = quire::client::parse_config_json(
      std::string_view(reinterpret_cast<const char*>(data + 1), size - 1));
  if (!config.ok()) {
    QUIRE_CHECK(!config.error().text.empty());
    return 0;
  }
  const auto layout = layout_from_config(*config, options_of(data[0]));
  if (layout.ok()) {
    QUIRE_CHECK(validate(*layout).ok());
  } else {
    QUIRE_CHECK(!layout.error().text.empty());
  }
  return 0;
}
