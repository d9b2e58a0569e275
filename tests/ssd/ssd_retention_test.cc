// Retention classes on the device: what a restart, and a rebuild, finds is told apart as before.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/ssd/ssd_rig.h"
#include "tiering/disk/superblocks.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace quire::tests::ssd_retention_test {
namespace {

constexpr uint32_t kTokens = 96;

class SsdRetentionTest : public testing::Test {
 protected:
  // The first `tokens` of a context; what is there already is nobody's second time.
  void write(const std::string& retention, uint32_t tokens) {
    const auto client = rig_.daemon().connect();
    client::SessionOptions options = session_options(small_append_layout());
    options.retention = retention;
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(tokens, 1)).ok());
    ASSERT_TRUE(commit_context(*session, tokens).ok());
    ASSERT_TRUE(session->close().ok());
    ASSERT_TRUE(rig_.settle());
  }
  // Tokens on the SSD, by class.
  std::map<std::string, uint64_t> held() {
    std::map<std::string, uint64_t> tokens;
    rig_.daemon().on_core([&](server::Daemon& d) {
      const Inspector inspector = inspect(d);
      for (const model::NodeId node : inspector.objects()) {
        if (!inspector.ssd_copy(node)) continue;
        tokens[inspector.retention(node)] += small_append_layout().block_tokens;
      }
    });
    return tokens;
  }
  uint64_t features() const {
    tiering::Superblock block;
    std::ifstream file(rig_.ssd_path() + "/superblock", std::ios::binary);
    file.read(reinterpret_cast<char*>(&block), sizeof(block));
    return block.incompatible;
  }

  SsdRig rig_;
};

}  // namespace

TEST_F(SsdRetentionTest, Law14_ADirectoryWithoutClassesIsOfTheFormatBefore) {
  write("", kTokens);
  EXPECT_EQ(features(), 0u);
  write("5m", 2 * kTokens);
  EXPECT_EQ(features(), tiering::kRetentionClasses) << "an earlier version refuses it";
}

TEST_F(SsdRetentionTest, ClassesAreThereAfterARestart) {
  write("5m", kTokens);
  write("1h", 2 * kTokens);
  write("", 3 * kTokens);
  const std::map<std::string, uint64_t> written{{"", kTokens}, {"1h", kTokens}, {"5m", kTokens}};
  EXPECT_EQ(held(), written);
  rig_.daemon().restart();
  EXPECT_EQ(held(), written);
  const auto client = rig_.daemon().connect();
  EXPECT_EQ(rig_.hit_tokens(*client, 1, 3 * kTokens, small_append_layout()),
            static_cast<int>(3 * kTokens));
}

TEST_F(SsdRetentionTest, AClassThatComesLaterIsNoneOfThoseFound) {
  write("5m", kTokens);
  write("1h", 2 * kTokens);
  rig_.daemon().restart();
  write("24h", 3 * kTokens);
  const std::map<std::string, uint64_t> written{{"1h", kTokens}, {"24h", kTokens}, {"5m", kTokens}};
  EXPECT_EQ(held(), written);
  rig_.daemon().restart();
  EXPECT_EQ(held(), written);
}

// What a crash left may name a class before any batch has said so.
TEST_F(SsdRetentionTest, Law14_ARebuildSaysThatItNamesClasses) {
  write("5m", kTokens);
  rig_.daemon().stop();
  for (const char* name : tiering::Superblocks::kNames) {
    const std::string path = rig_.ssd_path() + "/" + name;
    tiering::Superblock block;
    std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(&block), sizeof(block));
    block.incompatible = 0;
    tiering::seal(block);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(&block), sizeof(block));
  }
  ASSERT_EQ(features(), 0u);
  ASSERT_TRUE(tiering::rebuild_manifest({.directory = {.path = rig_.ssd_path()}}).ok());
  EXPECT_EQ(features(), tiering::kRetentionClasses);
}

TEST_F(SsdRetentionTest, ARebuildFindsThemInTheHeaders) {
  write("5m", kTokens);
  write("1h", 2 * kTokens);
  const std::map<std::string, uint64_t> written{{"1h", kTokens}, {"5m", kTokens}};
  rig_.daemon().stop();
  std::filesystem::remove_all(rig_.ssd_path() + "/manifest");
  ASSERT_TRUE(tiering::rebuild_manifest({.directory = {.path = rig_.ssd_path()}}).ok());
  rig_.daemon().start();
  EXPECT_EQ(held(), written);
}

}  // namespace quire::tests::ssd_retention_test
