#include "model/result.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <cerrno>
#include <memory>
#include <set>

namespace quire::model::result_test {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return make_error(Errc::kInvalidArgument, "odd");
  return value / 2;
}

Result<int> quarter(int value) { return half(QUIRE_TRY(half(value))); }

Result<void> check_even(int value) {
  QUIRE_TRY(half(value));
  return {};
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(4).code(), Errc::kOk);
  EXPECT_EQ(half(3).code(), Errc::kInvalidArgument);
  EXPECT_EQ(half(3).error().text, "odd");
}

TEST(Result, TryReturnsTheFirstError) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_FALSE(quarter(6).ok());
  EXPECT_TRUE(check_even(2).ok());
  EXPECT_EQ(check_even(1).error().text, "odd");
}

TEST(Result, CarriesMoveOnlyValues) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(Result, ReadingTheWrongSideAborts) {
  EXPECT_DEATH((void)half(3).value(), "check failed");
  EXPECT_DEATH((void)half(4).error(), "check failed");
  EXPECT_DEATH((void)check_even(2).error(), "check failed");
}

TEST(Errc, NamesAreDistinctAndKnown) {
  std::set<std::string_view> names;
  for (int value = 0; value <= static_cast<int>(Errc::kInternal); ++value) {
    const std::string_view name = errc_name(static_cast<Errc>(value));
    EXPECT_NE(name, "unknown") << value;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(errc_name(static_cast<Errc>(-1)), "unknown");
}

TEST(Errc, ErrnoErrorSaysWhatFailed) {
  errno = ENOENT;
  const Error error = errno_error("open");
  EXPECT_EQ(error.code, Errc::kIoError);
  EXPECT_EQ(error.text, "open: No such file or directory");
}

TEST(Errc, ErrnoErrorOfAResourceLimitNamesTheLimit) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  errno = EMFILE;
  const Error error = errno_error("open");
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(error.code, Errc::kResourceExhausted);
  EXPECT_EQ(error.text,
            "open: Too many open files; the limit is 1000 (ulimit -n, RLIMIT_NOFILE): raise it");
  errno = ENFILE;
  EXPECT_EQ(errno_error("open").code, Errc::kResourceExhausted);
}

}  // namespace
}  // namespace quire::model::result_test
