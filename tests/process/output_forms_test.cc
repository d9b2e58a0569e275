// Every command of quirectl, as its own reference lists them, answers in each form, wherever the
// form is asked for: JSON says its schema, CSV has a header. A new command that is in no list here
// fails, so that none forgets.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "client/quirectl/command_line.h"
#include "client/quirectl/exit_codes.h"
#include "tests/process/daemon_process.h"
#include "tests/support/patience.h"

namespace quire::tests::output_forms_test {

namespace {

namespace json = boost::json;
using Words = std::vector<std::string>;

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

Ran quirectl(Words words) {
  words.insert(words.begin(), "quirectl");
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  std::ostringstream out, err;
  const int code =
      client::run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err);
  return {code, out.str(), err.str()};
}

Words joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// What prints something that another program reads as it is: a trace, an export in a format of its
// own, a shell's text, a manual, what quired prints.
const Words kTexts{"rebuild", "trace record", "meter export", "completion", "man", "reference"};

Words commands() {
  Words found;
  std::istringstream lines(quirectl({"reference"}).out);
  for (std::string line; std::getline(lines, line);) {
    const std::string mark = "### quirectl ";
    if (line.starts_with(mark)) found.push_back(line.substr(mark.size()));
  }
  return found;
}

// Of each line, or of the one document over many.
void expect_json(const std::string& text, const std::string& command) {
  ASSERT_FALSE(text.empty()) << command;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    json::error_code failure;
    const json::value said = json::parse(line, failure);
    ASSERT_FALSE(failure) << command << ": " << line;
    ASSERT_TRUE(said.is_object() && said.as_object().contains("schema")) << command << ": " << line;
    const std::string schema(said.at("schema").as_string());
    EXPECT_TRUE(std::regex_match(schema, std::regex("quire\\.[a-z_.]+\\.v[0-9]+")))
        << command << ": " << schema;
  }
}

void expect_csv(const std::string& text, const std::string& command) {
  const std::string header = text.substr(0, text.find('\n'));
  EXPECT_TRUE(std::regex_match(header, std::regex("[a-z_0-9.]+(,[a-z_0-9.]+)+")))
      << command << ": " << text.substr(0, 200);
  EXPECT_EQ(text.back(), '\n') << command;
}

class OutputForms : public testing::Test {
 protected:
  OutputForms() {
    ::unsetenv("QUIRECTL_OUTPUT");
    std::ofstream(path("trace.jsonl"))
        << R"({"timestamp":0,"input_length":1024,"output_length":8,"hash_ids":[1,2]})" << '\n';
    std::ofstream tokens(path("tokens"));
    for (int i = 0; i < 4096; ++i) tokens << i << '\n';
  }
  std::string path(const std::string& name) const { return daemon_.directory() + "/" + name; }
  Words at_daemon(const Words& words) const {
    const std::string patience = std::to_string(kPatienceMs);
    return joined({"--socket", daemon_.socket_path(), "--timeout_ms", patience}, words);
  }
  // What each command is asked with.
  std::map<std::string, Words> questions() const {
    const std::string source = QUIRE_SOURCE_DIR;
    const std::string layout = source + "/configs/models/llama-3.1-70b.toml";
    const std::string book = source + "/configs/prices/deepseek.toml";
    const Words bill{"--book", book, "--from", "2026-01-01T00:00:00Z"};
    return {{"ping", {}},
            {"status", {}},
            {"top", {"-n", "2", "--interval", "0.01"}},
            {"sessions", {}},
            {"tenants", {}},
            {"evict", {}},
            {"flush", {}},
            {"pin", {}},
            {"pin show", {}},
            {"unpin", {"--all"}},
            {"verify", {}},
            {"scrub", {"status"}},
            {"kept", {}},
            {"policy show", {}},
            {"policy set", {"ram", "sieve"}},
            {"policy advise", {}},
            {"quota show", {}},
            {"quota set", {"ram", "--domain", "uid:0", "--guaranteed", "1MiB"}},
            {"quota clear", {"ram", "--domain", "uid:0"}},
            {"trace replay", {path("trace.jsonl"), "--asap"}},
            {"events tail", {"--until_snapshot"}},
            {"locate", {"--layout", layout, "--namespace", "m", "--tokens", path("tokens")}},
            {"config show", {}},
            {"config set", {"log_level", "warning"}},
            {"why", {"--last"}},
            {"layout from-config", {source + "/tests/model/configs/deepseek-v3.json"}},
            {"layout show", {layout}},
            {"layout check", {layout, layout}},
            {"layout plan", {layout}},
            {"meter quote",
             {"--book", book, "--model", "deepseek-v4-flash", "--at", "2026-11-30T00:00:00Z",
              "--prompt", "1000"}},
            {"meter tail", {}},
            {"meter show", {}},
            {"meter verify", {}},
            {"meter bill", bill},
            {"meter whatif", joined(bill, {"--with", book})},
            {"meter head", {}},
            {"doctor", {"--no-disk", "--quired", "/nowhere/quired"}},
            {"bundle", {path("bundle.tar"), "--no-disk", "--quired", "/nowhere/quired"}}};
  }
  // One turn that has its receipt.
  void replay() {
    ASSERT_EQ(quirectl(at_daemon({"trace", "replay", path("trace.jsonl"), "--asap"})).code, 0);
    EXPECT_TRUE(eventually([&] {
      return quirectl(at_daemon({"meter", "tail", "-o", "csv"})).out.find("\n1.") !=
             std::string::npos;
    }));
  }

  const std::string storage_ = testing::TempDir() + "quire-forms-" + std::to_string(::getpid());
  DaemonProcess daemon_{{.flags = {"--ssd_path=" + storage_ + "-ssd", "--ssd_bytes=268435456",
                                   "--ledger_path=" + storage_ + "-ledger"}}};
};

Words words_of(const std::string& command) {
  std::istringstream text(command);
  Words words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

}  // namespace

TEST_F(OutputForms, EveryCommandAnswersInEachOnBothSides) {
  replay();
  const auto asked = questions();
  size_t seen = 0;
  for (const std::string& command : commands()) {
    if (std::find(kTexts.begin(), kTexts.end(), command) != kTexts.end()) continue;
    const auto question = asked.find(command);
    ASSERT_NE(question, asked.end()) << command << ": give it a line in questions()";
    ++seen;
    const Words words = joined(words_of(command), question->second);
    for (const std::string form : {"json", "csv"}) {
      const Ran before = quirectl(at_daemon(joined({"-o", form}, words)));
      Words behind = words;
      behind.insert(behind.end(), {"-o", form});
      const Ran after = quirectl(at_daemon(behind));
      for (const Ran& ran : {before, after}) {
        // What was found is the answer's to say: nothing, damage, a model without a price.
        EXPECT_TRUE(ran.code != client::kExitUsage && ran.code != client::kExitCannotConnect &&
                    ran.code != client::kExitNotAuthorised)
            << command << " -o " << form << ": " << ran.code << ' ' << ran.err;
        form == "json" ? expect_json(ran.out, command) : expect_csv(ran.out, command);
      }
    }
  }
  EXPECT_EQ(seen, asked.size()) << "a line of questions() is of no command";
}

TEST_F(OutputForms, RowsOfABillAreItsLines) {
  replay();
  const std::string book = std::string(QUIRE_SOURCE_DIR) + "/configs/prices/deepseek.toml";
  const Ran bill = quirectl(at_daemon({"meter", "bill", "--book", book, "-o", "csv"}));
  EXPECT_TRUE(bill.out.starts_with("currency,kind,quantity,unit,price,price_of,amount,rule,"))
      << bill.out << bill.err;
  const Ran both =
      quirectl(at_daemon({"meter", "whatif", "--book", book, "--with", book, "-o", "csv"}));
  EXPECT_TRUE(both.out.starts_with("part,currency,kind,")) << both.out << both.err;
}

}  // namespace quire::tests::output_forms_test
