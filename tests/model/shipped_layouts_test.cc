// The layouts in configs/models are computed, not written: each file is what its model's
// configuration gives, behind a comment.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "client/quirectl/layout_output.h"
#include "model/hex_text.h"
#include "model/layout_toml.h"
#include "model/page_plan.h"
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

// A session with default options can write what its engine has to: at each boundary of a block.
TEST(ShippedLayouts, StagingHoldsASpanAndACheckpointByDefault) {
  for (const ShippedLayout& shipped : shipped_layouts()) {
    const auto loaded = load_layout_file(shipped_path(shipped.stem));
    ASSERT_TRUE(loaded.ok()) << loaded.error().text;
    const uint64_t staging = staging_bytes_for(*loaded);
    const uint64_t span =
        plan_pages(*loaded, FillKind::kSpan, loaded->block_tokens, 0).staging_bytes;
    for (uint32_t end = loaded->unit_tokens; end <= 2 * loaded->block_tokens;
         end += loaded->unit_tokens) {
      const uint64_t checkpoint = plan_pages(*loaded, FillKind::kCheckpoint, end, 0).staging_bytes;
      ASSERT_GE(staging, span + checkpoint) << shipped.stem << " at " << end;
    }
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
