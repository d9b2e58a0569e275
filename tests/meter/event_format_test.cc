// Events by the rules of CloudEvents 1.0's JSON format, each checked on parsed JSON:
//
//   id, source, specversion, type   there, texts, not empty; specversion is 1.0
//   source                          a URI reference
//   time                            RFC 3339, where it is there
//   subject, datacontenttype        texts, not empty, where they are there
//   names of attributes             lower-case letters and digits
//   data                            any JSON value; nothing besides
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <regex>

#include "client/quirectl/meter/event_rows.h"
#include "model/prices/instant.h"
#include "tests/meter/meter_rig.h"

namespace quire::client::event_format_test {

using namespace quire::tests;
namespace json = boost::json;

namespace {

std::string fault_of_text(const json::object& event, std::string_view name, bool required) {
  const json::value* value = event.if_contains(name);
  if (value == nullptr) return required ? std::string(name) + " is missing" : "";
  if (!value->is_string() || value->get_string().empty()) {
    return std::string(name) + " is no text, or empty";
  }
  return "";
}

// What is wrong with an event; empty: nothing.
std::string fault_of(const std::string& line) {
  json::error_code failure;
  const json::value parsed = json::parse(line, failure);
  if (failure || !parsed.is_object()) return "no JSON object";
  const json::object& event = parsed.get_object();
  for (const auto& member : event) {
    const std::string name(member.key());
    if (!std::regex_match(name, std::regex("[a-z0-9]{1,20}"))) return name + " is no attribute";
  }
  for (const char* name : {"id", "source", "specversion", "type"}) {
    if (auto fault = fault_of_text(event, name, true); !fault.empty()) return fault;
  }
  for (const char* name : {"subject", "datacontenttype", "time"}) {
    if (auto fault = fault_of_text(event, name, false); !fault.empty()) return fault;
  }
  if (event.at("specversion") != "1.0") return "of another version";
  const std::string source(event.at("source").as_string());
  if (!std::regex_match(source, std::regex("[A-Za-z0-9._~:/?#@!$&'()*+,;=%\\[\\]-]+"))) {
    return "source is no URI reference";
  }
  if (event.contains("time") && !prices::parse_instant(event.at("time").as_string()).ok()) {
    return "time is no instant";
  }
  return event.contains("data") ? "" : "it says nothing";
}

std::vector<std::string> events() {
  std::string rows;
  EventRows writer(rows, "quire/host-1.example");
  writer.receipt(full_view());
  writer.receipt({{1, 1}, {}, {}});
  writer.storage(full_storage());
  writer.lost(full_lost());
  writer.unknown(full_unknown());
  return lines_of(rows);
}

}  // namespace

TEST(EventFormat, EveryEventFollowsTheRules) {
  EXPECT_EQ(events().size(), 5u);
  for (const std::string& line : events()) EXPECT_EQ(fault_of(line), "") << line;
}

TEST(EventFormat, TheCheckSeesWhatIsWrong) {
  const std::string good = events().front();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string line = good;
    line.replace(line.find(from), from.size(), to);
    return fault_of(line);
  };
  EXPECT_EQ(with("\"id\":\"3.17\"", "\"id\":\"\""), "id is no text, or empty");
  EXPECT_EQ(with("\"type\":\"dev.quire.receipt.v1\",", ""), "type is missing");
  EXPECT_EQ(with("\"1.0\"", "\"0.3\""), "of another version");
  EXPECT_EQ(with("quire/host", "quire host"), "source is no URI reference");
  EXPECT_EQ(with("2026-11-30T10", "2026-11-30 at 10"), "time is no instant");
  EXPECT_EQ(with("\"subject\"", "\"Subject\""), "Subject is no attribute");
  EXPECT_EQ(fault_of("[]"), "no JSON object");
}

TEST(EventFormat, TheSameEntryIsTheSameEvent) {
  EXPECT_EQ(events(), events());
  const json::value event = json::parse(events().front());
  EXPECT_EQ(event.at("id"), "3.17");
  EXPECT_EQ(event.at("data").at("id"), event.at("id"));
}

}  // namespace quire::client::event_format_test
