// Documents as CSV, figures as people read them, colours.
#include "client/quirectl/answer_output.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <sstream>

#include "client/quirectl/csv_lines.h"
#include "client/quirectl/palette.h"
#include "client/quirectl/readable.h"

namespace quire::client::answer_output_test {
namespace {

std::string csv(std::string_view json, std::optional<std::string_view> list = std::nullopt) {
  const auto text = answer_csv(json, {.list = list});
  return text.ok() ? *text : text.error().text;
}

TEST(AnswerCsv, RowsAreThoseOfTheListThatIsNamed) {
  constexpr std::string_view kJson =
      R"({"a":1,"first":[{"x":1}],"rows":[{"name":"b, \"c\"","n":{"m":2}},{"name":"","o":true}]})";
  EXPECT_EQ(csv(kJson, "rows"), "name,n.m,o\n\"b, \"\"c\"\"\",2,\n,,true\n");
  EXPECT_EQ(csv(kJson), "x\n1\n") << "the first one";
  EXPECT_EQ(csv(R"({"rows":[]})", "rows"), "") << "no rows, no columns";
}

TEST(AnswerCsv, ADocumentWithoutAListIsKeysAndValues) {
  constexpr std::string_view kJson =
      R"({"state":"ok","tier":{"bytes":7},"names":["a","b"],"x":null})";
  EXPECT_EQ(csv(kJson), "key,value\nstate,ok\ntier.bytes,7\nnames.0,a\nnames.1,b\nx,\n");
  EXPECT_EQ(csv(R"({"rows":[{"x":1}]})", ""), "key,value\nrows.0.x,1\n") << "as it was asked for";
}

TEST(AnswerCsv, LinesAreRows) {
  EXPECT_EQ(csv("{\"a\":1}\n{\"b\":2}\n"), "a,b\n1,\n,2\n");
  EXPECT_EQ(answer_csv("no json").code(), model::Errc::kMalformedFrame);
  EXPECT_EQ(answer_csv("").code(), model::Errc::kOk);
}

// What reads it need not tell "no rows" from "no answer".
TEST(AnswerCsv, ColumnsThatAreGivenAreThereWhateverRowsThereAre) {
  const CsvForm form{.list = "pins", .columns = "name,bytes,left"};
  EXPECT_EQ(answer_csv(R"({"more":1,"pins":[]})", form).value(), "name,bytes,left\n");
  EXPECT_EQ(answer_csv(R"({"pins":[{"bytes":5,"name":"a","new":7}]})", form).value(),
            "name,bytes,left,new\na,5,,7\n");
}

TEST(AnswerCsv, ListsLieDeeperAndSeveralAreToldApart) {
  const std::string bills =
      R"({"book":{"lines":[{"amount":"1.5"}]},"with":{"lines":[{"amount":"2"},{"amount":"3"}]}})";
  EXPECT_EQ(answer_csv(bills, {.list = "with.lines"}).value(), "amount\n2\n3\n");
  EXPECT_EQ(answer_csv(bills, {.list = "book.lines|with.lines"}).value(),
            "part,amount\nbook,1.5\nwith,2\nwith,3\n");
  EXPECT_TRUE(answer_csv(bills, {.list = "none.lines"}).value().starts_with("key,value\n"));
}

TEST(AnswerCsv, LinesOfAStreamKeepTheirColumns) {
  std::ostringstream out;
  const int code = print_lines(true, "kind,tiers,ram.bytes", out, [](std::ostream& to) {
    to << R"({"kind":"held","tiers":["ram","ssd"],"other":1})" << '\n' << '\n';
    EXPECT_EQ(to.flush().good(), true);
    to << R"({"ram":{"bytes":7},"kind":"a,b"})" << '\n';
    return 6;
  });
  EXPECT_EQ(code, 6);
  EXPECT_EQ(out.str(), "kind,tiers,ram.bytes\nheld,ram ssd,\n\"a,b\",,7\n");
}

TEST(AnswerCsv, WholeNumbersStayWhole) {
  EXPECT_EQ(csv(R"({"n":18446744073709551615})"), "key,value\nn,18446744073709551615\n");
}

TEST(WithSchema, StandsInFrontOnce) {
  EXPECT_EQ(with_schema(R"({"a":1})", "pin"), R"({"schema":"quire.pin.v1","a":1})");
  EXPECT_EQ(with_schema("{}", "pin"), R"({"schema":"quire.pin.v1"})");
  EXPECT_EQ(with_schema(R"({"schema":"quire.status.v1","a":1})", "x"),
            R"({"schema":"quire.status.v1","a":1})");
}

TEST(Readable, FiguresHaveThreeDigitsAndAUnit) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(3ull << 29), "1.50 GiB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "16.0 EiB");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(tokens_text(1'250'000), "1.25 M tokens");
  EXPECT_EQ(share_text(1, 0), "-");
  EXPECT_EQ(share_text(1, 8), "12.5 %");
  EXPECT_EQ(duration_text(999), "999 ms");
  EXPECT_EQ(duration_text(119'999), "119 s");
  EXPECT_EQ(duration_text(7'200'000), "2 h");
}

TEST(Readable, ColumnsStandBelowEachOtherWhateverTheirColours) {
  EXPECT_EQ(columns_text({"NAME", ">N"}, {{"\x1b[32mok\x1b[0m", "1"}, {"é", "22"}}),
            "NAME   N\n\x1b[32mok\x1b[0m     1\né     22\n");
}

TEST(Readable, ALineIsClippedAtTheEdgeAndItsColourEnds) {
  EXPECT_EQ(clipped("abc", 3), "abc");
  EXPECT_EQ(clipped("abcd", 3), "abc");
  EXPECT_EQ(clipped("\x1b[31méèêë\x1b[0m", 2), "\x1b[31méè\x1b[0m");
}

class PaletteChoice : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
  }
  void TearDown() override { SetUp(); }
};

TEST_F(PaletteChoice, IsOnWhereSomebodySeesItAndNobodyMinds) {
  EXPECT_TRUE(Palette::chosen("auto", true).on());
  EXPECT_FALSE(Palette::chosen("auto", false).on());
  EXPECT_FALSE(Palette::chosen("never", true).on());
  EXPECT_TRUE(Palette::chosen("always", false).on());
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(Palette::chosen("", true).on());
  EXPECT_TRUE(Palette::chosen("always", true).on()) << "who asks for it by name gets it";
  ::setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(Palette::chosen("", true).on()) << "empty is as if it were not there";
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(Palette::chosen("", true).on());
}

TEST_F(PaletteChoice, StatesHaveTheirOwnTone) {
  const Palette palette = Palette::chosen("always", false);
  EXPECT_EQ(palette.state("ok"), "\x1b[32mok\x1b[0m");
  EXPECT_EQ(palette.state("read-only"), "\x1b[33mread-only\x1b[0m");
  EXPECT_EQ(palette.state("off"), "\x1b[31moff\x1b[0m");
  EXPECT_EQ(Palette().state("off"), "off");
}

}  // namespace
}  // namespace quire::client::answer_output_test
