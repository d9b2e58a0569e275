#include "client/quirectl/doctor/redaction.h"

#include <array>
#include <boost/json.hpp>
#include <sstream>

namespace quire::client {

namespace {

// A key of a document whose value is a name, and what kind of name it is.
struct NamedKey {
  std::string_view key;
  std::string_view kind;
};
constexpr std::array kNamedKeys{
    NamedKey{"tenant", "tenant"}, NamedKey{"payer", "tenant"},  NamedKey{"namespace", "namespace"},
    NamedKey{"model", "model"},   NamedKey{"layout", "layout"}, NamedKey{"domain", "user"},
    NamedKey{"uid", "user"},      NamedKey{"client", "client"},
};
constexpr std::array<std::string_view, 8> kHiddenFlags{
    "tenants", "shared_namespaces", "reader_uids", "meter_uids", "token",
    "secret",  "password",          "key"};

std::string_view kind_of(std::string_view key) {
  for (const NamedKey& named : kNamedKeys) {
    if (named.key == key) return named.kind;
  }
  return {};
}

bool is_hidden(std::string_view flag) {
  for (const std::string_view word : kHiddenFlags) {
    if (flag == word || flag.ends_with("_" + std::string(word))) return true;
  }
  return false;
}

// "uid:1000" and 1000 are the same user.
std::string name_in(const boost::json::value& value) {
  if (!value.is_string()) return boost::json::serialize(value);
  const std::string text(value.get_string());
  return text.starts_with("uid:") ? text.substr(4) : text;
}

}  // namespace

class DocumentRedactor {
 public:
  explicit DocumentRedactor(Redaction& redaction) : redaction_(redaction) {}

  void walk(boost::json::value& value) {
    if (value.is_array()) {
      for (boost::json::value& inner : value.get_array()) walk(inner);
    } else if (value.is_object()) {
      for (auto& [key, inner] : value.get_object()) redact(std::string_view(key), inner);
    }
  }

 private:
  void redact(std::string_view key, boost::json::value& value) {
    const std::string_view kind = kind_of(key);
    if (kind.empty() || value.is_object() || value.is_array()) return walk(value);
    value = boost::json::string(redaction_.word_for(kind, name_in(value)));
  }

  Redaction& redaction_;
};

model::Result<std::string> Redaction::document(std::string_view text) {
  if (keeps_) return std::string(text);
  boost::json::error_code failure;
  boost::json::value value =
      boost::json::parse(boost::json::string_view(text.data(), text.size()), failure);
  if (failure) {
    return model::make_error(model::Errc::kMalformedFrame, "the daemon's answer is no JSON");
  }
  DocumentRedactor(*this).walk(value);
  return boost::json::serialize(value);
}

std::string Redaction::config(std::string_view text) {
  if (keeps_) return std::string(text);
  std::string out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    const size_t comment = line.find("  #");
    const bool named = line.starts_with("--") && equals != line.npos && comment != line.npos;
    if (named && comment > equals + 1 && is_hidden(std::string_view(line).substr(2, equals - 2))) {
      line = line.substr(0, equals + 1) + "(left out)" + line.substr(comment);
    }
    out += line + '\n';
  }
  return out;
}

std::string Redaction::word_for(std::string_view kind, std::string_view name) {
  if (name.empty() || name == "*") return std::string(name);
  auto& known = words_[std::string(kind)];
  const size_t number = known.try_emplace(std::string(name), known.size() + 1).first->second;
  return std::string(kind) + "-" + std::to_string(number);
}

}  // namespace quire::client
