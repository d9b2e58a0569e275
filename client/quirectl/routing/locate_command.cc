#include "client/quirectl/routing/locate_command.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <istream>
#include <memory>
#include <ostream>
#include <vector>

#include "client/quirectl/daemon_command.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

using model::Errc;
using model::Hash256;
using model::make_error;
using model::Result;

// Words between spaces, commas and brackets: a JSON list of numbers is one too.
constexpr std::string_view kSeparators = " \t\r\n,[]\"";
constexpr size_t kMostBytes = 64 << 20;
constexpr size_t kFewestDigits = 32;  // of a hash

Result<std::string> read_text(const std::string& path, std::istream& in) {
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) return make_error(Errc::kIoError, path + ": " + std::strerror(errno));
  }
  std::istream& from = path == "-" ? in : file;
  std::string text(kMostBytes + 1, '\0');
  from.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(from.gcount()));
  if (text.size() > kMostBytes) {
    return make_error(Errc::kInvalidArgument, path + ": more than 64 MiB are no prompt");
  }
  return text;
}

// Calls `take` with each word, until that fails.
template <typename Take>
Result<void> for_each_word(std::string_view text, Take&& take) {
  for (size_t at = text.find_first_not_of(kSeparators); at != text.npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    QUIRE_TRY(take(text.substr(at, end - at)));
    at = text.find_first_not_of(kSeparators, end);
  }
  return {};
}

Result<std::vector<uint32_t>> parse_tokens(std::string_view text) {
  std::vector<uint32_t> tokens;
  QUIRE_TRY(for_each_word(text, [&](std::string_view word) -> Result<void> {
    uint32_t token = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), token);
    if (read.ec != std::errc() || read.ptr != word.data() + word.size()) {
      return make_error(Errc::kInvalidArgument, "\"" + std::string(word.substr(0, 32)) +
                                                    "\" is no token id: a decimal number is");
    }
    tokens.push_back(token);
    return {};
  }));
  return tokens;
}

Result<Hash256> parse_hash(std::string_view word) {
  Hash256 hash;
  bool good =
      word.size() >= kFewestDigits && word.size() <= 2 * hash.bytes.size() && word.size() % 2 == 0;
  for (size_t i = 0; good && i < word.size() / 2; ++i) {
    const char* digits = word.data() + 2 * i;
    const auto read = std::from_chars(digits, digits + 2, hash.bytes[i], 16);
    good = read.ec == std::errc() && read.ptr == digits + 2;
  }
  if (good) return hash;
  return make_error(Errc::kInvalidArgument, "\"" + std::string(word.substr(0, 72)) +
                                                "\" is no unit hash: 16 to 32 bytes in hex are");
}

Result<std::vector<Hash256>> parse_hashes(std::string_view text) {
  std::vector<Hash256> hashes;
  const Result<void> all = for_each_word(text, [&](std::string_view word) -> Result<void> {
    hashes.push_back(QUIRE_TRY(parse_hash(word)));
    return {};
  });
  if (!all.ok()) return all.error();
  return hashes;
}

void print(const HeldChain& held, uint64_t asked_tokens, bool json, std::ostream& out) {
  const auto line = [&](std::string_view name, uint64_t value) {
    if (json) {
      out << ",\"" << name << "\":" << value;
    } else {
      out << name << std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') << value << '\n';
    }
  };
  if (json) out << "{\"schema\":\"quire.locate/1\",\"known\":" << (held.known ? "true" : "false");
  line("asked_tokens", asked_tokens);
  line("held_tokens", held.span_tokens);
  line("resumable_tokens", held.exact_tokens);
  for (const model::TierId tier : model::kTiers) {
    line(std::string(model::tier_name(tier)) + "_tokens", held.tier_tokens[model::index_of(tier)]);
  }
  line("load_estimate_us", held.load_estimate_us);
  if (json) out << "}\n";
}

}  // namespace

Result<int> run_locate(const ClientOptions& daemon, const LocateOptions& options, std::istream& in,
                       std::ostream& out) {
  ChainNames names = options.names;
  names.layout = QUIRE_TRY(model::load_layout_file(options.layout_path));
  const bool by_tokens = !options.tokens_path.empty();
  const std::string text =
      QUIRE_TRY(read_text(by_tokens ? options.tokens_path : options.hashes_path, in));
  std::vector<uint32_t> tokens;
  std::vector<Hash256> hashes;
  if (by_tokens) {
    tokens = QUIRE_TRY(parse_tokens(text));
  } else {
    hashes = QUIRE_TRY(parse_hashes(text));
  }
  const std::unique_ptr<Client> client = QUIRE_TRY(Client::connect(daemon));
  const HeldChain held =
      QUIRE_TRY(by_tokens ? client->locate(names, tokens) : client->locate_hashes(names, hashes));
  const uint64_t asked =
      by_tokens ? tokens.size() : hashes.size() * uint64_t{names.layout.unit_tokens};
  print(held, asked, options.json, out);
  return held.known ? kExitOk : kExitNotFound;
}

}  // namespace quire::client
