// What tests of layouts share: small layouts, generated ones, published configurations, shipped
// files.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <vector>

#include "model/layout.h"
#include "model/model_config.h"

namespace quire::model {

// One append group "kv" of 4096 bytes a page.
Layout append_layout(uint32_t unit_tokens, uint32_t block_tokens);
// "kv" plus a window group "window" (window_tokens = unit) and a state group "state".
Layout hybrid_layout(uint32_t unit_tokens, uint32_t block_tokens);

// Any valid layout, groups of all kinds, padding gaps between layer ranges.
rc::Gen<Layout> valid_layouts();

// tests/model/configs/<stem>.json; fails the test when it cannot be read.
ModelConfig published_config(const std::string& stem);

struct ShippedLayout {
  std::string stem;    // of configs/models/<stem>.toml; also the layout's name
  std::string config;  // stem of the configuration it follows from
  LayoutOptions options;
  std::string digest;  // golden: a change means that stored pages of this layout become unreachable
};
const std::vector<ShippedLayout>& shipped_layouts();
std::string shipped_path(const std::string& stem);

}  // namespace quire::model
