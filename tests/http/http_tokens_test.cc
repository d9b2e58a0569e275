// Who may read: addresses that need tokens, and the tokens' file.
#include "server/http/http_tokens.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "server/start/http_address.h"
#include "server/start/options.h"

namespace quire::server::http_tokens_test {
namespace {

using model::Errc;

const std::string kMetricsToken = "0123456789abcdef-metrics";
const std::string kReaderToken = "0123456789abcdef-reader";
const std::string kFile = "# who may read\n\nmetrics " + kMetricsToken + "\nreader " + kReaderToken;

TEST(HttpAddress, IsALiteralAndAPort) {
  const auto four = HttpAddress::parse("127.0.0.1:9470").value();
  EXPECT_EQ(four.host, "127.0.0.1");
  EXPECT_EQ(four.port, 9470);
  EXPECT_TRUE(four.loopback);
  const auto six = HttpAddress::parse("[::1]:0").value();
  EXPECT_EQ(six.host, "::1");
  EXPECT_TRUE(six.loopback);
  for (const char* text : {"", "9470", ":9470", "localhost:9470", "::1:9470", "[::1]", "127.0.0.1:",
                           "127.0.0.1:70000", "127.0.0.1:80x", "[127.0.0.1]:80", "1.2.3:80"}) {
    EXPECT_EQ(HttpAddress::parse(text).code(), Errc::kInvalidArgument) << text;
  }
}

TEST(HttpAddress, OthersThanLoopbackNeedTokens) {
  for (const char* text : {"0.0.0.0:9470", "[::]:9470", "192.168.0.7:9470", "[fe80::1]:9470",
                           "[::ffff:10.0.0.1]:9470"}) {
    const auto refused = check_http(text, "");
    EXPECT_EQ(refused.code(), Errc::kInvalidArgument) << text;
    EXPECT_NE(refused.error().text.find("--http_token_file"), std::string::npos);
    EXPECT_TRUE(check_http(text, "/some/file").ok()) << text;
  }
  for (const char* text : {"127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(check_http(text, "").ok()) << text;
  }
  Options options;
  options.http_address = "0.0.0.0:9470";
  EXPECT_EQ(validate(options).code(), Errc::kInvalidArgument);
}

TEST(HttpTokens, SayWhoIsWho) {
  const auto tokens = HttpTokens::parse(kFile, "f").value();
  EXPECT_EQ(tokens.role_of("Bearer " + kMetricsToken), HttpRole::kMetrics);
  EXPECT_EQ(tokens.role_of("Bearer " + kReaderToken), HttpRole::kReader);
  for (const std::string& wrong :
       {std::string(), std::string("Bearer "), kMetricsToken, "Basic " + kMetricsToken,
        "Bearer " + kMetricsToken.substr(1), "Bearer " + kMetricsToken + "x",
        "Bearer " + kMetricsToken.substr(0, kMetricsToken.size() - 1),
        "Bearer " + kMetricsToken + std::string(1, '\0'), "Bearer " + std::string(5000, 'x')}) {
    EXPECT_FALSE(tokens.role_of(wrong)) << wrong;
  }
}

TEST(HttpTokens, LongerThanAnyTokenIsNone) {
  const std::string longest(HttpTokens::kMaxTokenBytes, 't');
  const auto tokens = HttpTokens::parse("reader " + longest, "f").value();
  EXPECT_EQ(tokens.role_of("Bearer " + longest), HttpRole::kReader);
  EXPECT_FALSE(tokens.role_of("Bearer " + longest + 't')) << "its first bytes are a token";
}

TEST(HttpTokens, AFileThatIsWrongIsRefusedWithItsLine) {
  for (const std::string& text :
       {std::string("writer 0123456789abcdef"), std::string("reader short"), std::string("reader"),
        std::string("reader two words of some len"), "reader " + std::string(257, 'x')}) {
    const auto refused = HttpTokens::parse("\n" + text + "\n", "the-file");
    ASSERT_EQ(refused.code(), Errc::kInvalidArgument) << text;
    EXPECT_NE(refused.error().text.find("the-file, line 2"), std::string::npos);
    EXPECT_EQ(refused.error().text.find("0123456789abcdef"), std::string::npos) << "no secrets";
  }
  EXPECT_EQ(HttpTokens::parse("# nothing\n", "f").code(), Errc::kInvalidArgument);
  std::string many;
  for (size_t i = 0; i <= HttpTokens::kMaxTokens; ++i) many += "reader 0123456789abcdef\n";
  EXPECT_EQ(HttpTokens::parse(many, "f").code(), Errc::kInvalidArgument);
}

class TokenFile : public testing::Test {
 protected:
  TokenFile() {
    std::string pattern = "/tmp/quire-tokens-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/tokens";
    std::ofstream(path_) << kFile;
    ::chmod(path_.c_str(), 0600);
  }
  ~TokenFile() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
  std::string path_;
};

TEST_F(TokenFile, MayNotBeOpenToOthers) {
  EXPECT_TRUE(HttpTokens::read(path_).ok());
  // Nor to a group: clients may be in the daemon's.
  for (const mode_t mode : {0640u, 0620u, 0604u, 0602u, 0601u}) {
    ::chmod(path_.c_str(), mode);
    EXPECT_EQ(HttpTokens::read(path_).code(), Errc::kPermissionDenied);
  }
}

TEST_F(TokenFile, BelongsToTheDaemonOrToRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give the file away";
  ASSERT_EQ(::chown(path_.c_str(), 20001, 0), 0);
  EXPECT_EQ(HttpTokens::read(path_).code(), Errc::kPermissionDenied);
}

TEST_F(TokenFile, MustBeThereAndAFile) {
  EXPECT_EQ(HttpTokens::read(path_ + "-not").code(), Errc::kIoError);
  EXPECT_EQ(HttpTokens::read(directory_).code(), Errc::kInvalidArgument);
  const std::string pipe = directory_ + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(HttpTokens::read(pipe).code(), Errc::kInvalidArgument) << "and nobody waits for it";
  std::ofstream(path_) << std::string(HttpTokens::kMaxFileBytes + 1, '#');
  EXPECT_EQ(HttpTokens::read(path_).code(), Errc::kInvalidArgument);
}

}  // namespace
}  // namespace quire::server::http_tokens_test
