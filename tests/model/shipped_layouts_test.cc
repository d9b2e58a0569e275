// The layouts in configs/models are computed, not written: each file is what its model's
// configuration gives, behind a comment.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "client/quirectl/layout_output.h"
#include "model/hex_text.h"
#include "model/layout_toml.h"
#include "tests/model/model_fixtures.h"

namespace quire::model::shipped_layouts_test {
namespace {

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ShippedLayouts, EachFileIsWhatTheModelConfigGives) {
  for (const ShippedLayout& shipped : shipped_layouts()) {
    const auto computed = layout_from_config(published_config(shipped.config), shipped.options);
    ASSERT_TRUE(computed.ok()) << shipped.stem << ": " << computed.error().text;
    const auto loaded = load_layout_file(shipped_path(shipped.stem));
    ASSERT_TRUE(loaded.ok()) << loaded.error().text;
    EXPECT_TRUE(*loaded == *computed) << shipped.stem;
  }
}

TEST(ShippedLayouts, FilesAreInCanonicalFormBehindTheirComment) {
  for (const ShippedLayout& shipped : shipped_layouts()) {
    const auto computed = layout_from_config(published_config(shipped.config), shipped.options);
    ASSERT_TRUE(computed.ok()) << computed.error().text;
    const std::string text = file_text(shipped_path(shipped.stem));
    ASSERT_TRUE(text.starts_with("# ")) << shipped.stem;
    EXPECT_TRUE(text.ends_with("\n" + layout_to_toml(*computed))) << shipped.stem;
  }
}

TEST(ShippedLayouts, DigestsAreGolden) {
  for (const ShippedLayout& shipped : shipped_layouts()) {
    const auto loaded = load_layout_file(shipped_path(shipped.stem));
    ASSERT_TRUE(loaded.ok()) << loaded.error().text;
    EXPECT_EQ(hex_text(layout_digest(*loaded).bytes), shipped.digest) << shipped.stem;
  }
}

TEST(ShippedLayouts, PagesFitTheSmallestSegment) {
  for (const ShippedLayout& shipped : shipped_layouts()) {
    const auto loaded = load_layout_file(shipped_path(shipped.stem));
    ASSERT_TRUE(loaded.ok()) << loaded.error().text;
    for (const Group& group : loaded->groups) {
      EXPECT_LE(group.page_bytes, 64u << 20) << shipped.stem << " " << group.name;
    }
  }
}

}  // namespace
}  // namespace quire::model::shipped_layouts_test
