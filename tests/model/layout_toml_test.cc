#include "model/layout_toml.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "tests/model/model_fixtures.h"

namespace quire::model::layout_toml_test {
namespace {

const std::string kSmall = R"(
name = "small"
unit_tokens = 16
block_tokens = 32
[[groups]]
name = "kv"
kind = "append"
page_bytes = 100
)";

void expect_refused(const std::string& text, Errc code, const std::string& named) {
  const Result<Layout> layout = parse_layout_toml(text);
  ASSERT_FALSE(layout.ok()) << text;
  EXPECT_EQ(layout.code(), code) << layout.error().text;
  EXPECT_NE(layout.error().text.find(named), std::string::npos) << layout.error().text;
}

TEST(LayoutToml, ValidLayoutsRoundTrip) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = *valid_layouts();
    const Result<Layout> parsed = parse_layout_toml(layout_to_toml(layout));
    if (!parsed.ok()) RC_FAIL(parsed.error().text);
    RC_ASSERT(*parsed == layout);
  }));
}

TEST(LayoutToml, DefaultsAreThoseOfTheStruct) {
  const Result<Layout> layout = parse_layout_toml(kSmall);
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  Group group;
  group.name = "kv";
  group.page_bytes = 100;
  EXPECT_TRUE(*layout == (Layout{"small", 16, 32, {group}}));
}

TEST(LayoutToml, RunsInterleaveAndAreSortedByOffset) {
  const Result<Layout> layout = parse_layout_toml(kSmall + R"(layers = [
    {first = 1, count = 2, step = 2, offset = 20, bytes = 10, stride = 30},
    {first = 0, count = 2, step = 2, offset = 0, bytes = 20, stride = 30},
  ])");
  ASSERT_TRUE(layout.ok()) << layout.error().text;
  const std::vector<LayerRange> expected = {{0, 0, 20}, {1, 20, 10}, {2, 30, 20}, {3, 50, 10}};
  EXPECT_TRUE(layout->groups[0].layers == expected);
}

TEST(LayoutToml, RegularLayersBecomeOneRunEach) {
  Layout layout = append_layout(16, 16);
  layout.groups[0].page_bytes = 40 * 37;
  layout.groups[0].layers.clear();
  for (uint32_t i = 0; i < 40; ++i) {
    layout.groups[0].layers.push_back({i, i * uint64_t{37}, i % 2 == 0 ? 30u : 20u});
  }
  const std::string text = layout_to_toml(layout);
  EXPECT_EQ(std::count(text.begin(), text.end(), '{'), 2) << text;
}

TEST(LayoutToml, UnknownKeysNameTheNearestKnownOne) {
  expect_refused("unit_token = 1\n" + kSmall, Errc::kInvalidArgument, "'unit_tokens'");
  expect_refused(kSmall + "windowtokens = 1\n", Errc::kInvalidArgument, "'window_tokens'");
  expect_refused(kSmall + "layers = [{first=0, offset=0, byte=1}]\n", Errc::kInvalidArgument,
                 "'bytes'");
}

TEST(LayoutToml, UnknownNamesOfKindsAndRules) {
  expect_refused(kSmall + "checkpoints = \"turn_end\"\n", Errc::kInvalidArgument, "'turn_ends'");
  expect_refused(kSmall + "element_format = \"int3\"\n", Errc::kInvalidArgument, "int3");
  std::string text = kSmall;
  text.replace(text.find("append"), 6, "appendix");
  expect_refused(text, Errc::kInvalidArgument, "'append'");
}

TEST(LayoutToml, MissingKeysAndWrongTypesAreNamed) {
  expect_refused("", Errc::kInvalidArgument, "name");
  expect_refused("name = 3\nunit_tokens = 1\nblock_tokens = 1\n", Errc::kInvalidArgument, "'name'");
  expect_refused("name = \"x\"\nunit_tokens = 1\nblock_tokens = 1\n", Errc::kInvalidArgument,
                 "groups");
  expect_refused("name = \"x\"\nunit_tokens = 1\nblock_tokens = 1\ngroups = [1]\n",
                 Errc::kInvalidArgument, "group 0");
  expect_refused(kSmall + "shard = -1\n", Errc::kInvalidArgument, "'shard'");
  expect_refused(kSmall + "shard = 1.5\n", Errc::kInvalidArgument, "'shard'");
  expect_refused(kSmall + "shard = 4294967296\n", Errc::kInvalidArgument, "'shard'");
  expect_refused(kSmall + "replay_exact = 1\n", Errc::kInvalidArgument, "'replay_exact'");
  expect_refused(kSmall + "layers = 1\n", Errc::kInvalidArgument, "'layers'");
  expect_refused(kSmall + "layers = [1]\n", Errc::kInvalidArgument, "layers entry 0");
}

TEST(LayoutToml, RunsAreBounded) {
  expect_refused(kSmall + "layers = [{first=0, count=0, offset=0, bytes=1}]\n",
                 Errc::kInvalidArgument, "1 to 4096");
  expect_refused(kSmall +
                     "layers = [{first=0, count=4096, offset=0, bytes=1},"
                     "{first=0, offset=0, bytes=1}]\n",
                 Errc::kInvalidArgument, "1 to 4096");
  expect_refused(kSmall + "layers = [{first=4294967295, count=2, offset=0, bytes=1}]\n",
                 Errc::kInvalidArgument, "2^32");
  expect_refused(kSmall + "layers = [{first=0, offset=9223372036854775807, bytes=1}]\n",
                 Errc::kInvalidArgument, "'offset'");
}

TEST(LayoutToml, SyntaxErrorsNameTheLine) {
  expect_refused("name = \"x\"\nunit_tokens = = 3\n", Errc::kInvalidArgument, "line 2");
}

// Texts that trip assertions of toml++ 3.3.
TEST(LayoutToml, MalformedTextIsAnErrorNotAnAbort) {
  expect_refused("[[,x]]\n", Errc::kInvalidArgument, "line 1");
  expect_refused("x = [}\n", Errc::kInvalidArgument, "line 1");
}

TEST(LayoutToml, BrokenRulesAreInvalidLayouts) {
  expect_refused(kSmall + "window_tokens = 5\n", Errc::kInvalidLayout, "'kv'");
}

TEST(LayoutToml, AnyTextIsParsedOrRefused) {
  EXPECT_TRUE(rc::check([] {
    std::string text = layout_to_toml(*valid_layouts());
    const auto position = *rc::gen::inRange<size_t>(0, text.size());
    text[position] = static_cast<char>(*rc::gen::arbitrary<uint8_t>());
    const Result<Layout> layout = parse_layout_toml(text);
    if (layout.ok()) RC_ASSERT(validate(*layout).ok());
  }));
}

TEST(LayoutToml, FilesThatCannotBeReadAreIoErrors) {
  EXPECT_EQ(load_layout_file("/nonexistent/layout.toml").code(), Errc::kNotFound);
  EXPECT_EQ(load_layout_file("/").code(), Errc::kIoError);
}

TEST(LayoutToml, HugeFilesAreRefused) {
  const std::string path = testing::TempDir() + "quire_layout_toml_huge.toml";
  std::ofstream(path) << "#" << std::string((1 << 20) + 1, 'x');
  const Result<Layout> layout = load_layout_file(path);
  std::remove(path.c_str());
  ASSERT_FALSE(layout.ok());
  EXPECT_NE(layout.error().text.find("1 MiB"), std::string::npos) << layout.error().text;
}

}  // namespace
}  // namespace quire::model::layout_toml_test
