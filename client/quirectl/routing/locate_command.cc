#include "client/quirectl/routing/locate_command.h"

#include <istream>
#include <memory>
#include <ostream>
#include <vector>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/prompt_input.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

using model::Hash256;
using model::Result;

void print(const HeldChain& held, uint64_t asked_tokens, bool json, std::ostream& out) {
  const auto line = [&](std::string_view name, uint64_t value) {
    if (json) {
      out << ",\"" << name << "\":" << value;
    } else {
      out << name << std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') << value << '\n';
    }
  };
  if (json) out << "{\"schema\":\"quire.locate.v1\",\"known\":" << (held.known ? "true" : "false");
  line("asked_tokens", asked_tokens);
  line("held_tokens", held.span_tokens);
  line("resumable_tokens", held.exact_tokens);
  for (const model::TierId tier : model::kTiers) {
    line(std::string(model::tier_name(tier)) + "_tokens", held.tier_tokens[model::index_of(tier)]);
  }
  line("load_estimate_us", held.load_estimate_us);
  const std::string_view answer = model::cluster_answer_name(held.cluster);
  if (json) {
    out << ",\"cluster_answer\":\"" << answer << '"';
  } else {
    out << "cluster_answer    " << answer << '\n';
  }
  if (json) out << "}\n";
}

}  // namespace

Result<int> run_locate(const ClientOptions& daemon, const LocateOptions& options, std::istream& in,
                       std::ostream& out) {
  ChainNames names = options.names;
  names.layout = QUIRE_TRY(model::load_layout_file(options.layout_path));
  const bool by_tokens = !options.tokens_path.empty();
  const std::string text =
      QUIRE_TRY(read_prompt_text(by_tokens ? options.tokens_path : options.hashes_path, in));
  std::vector<uint32_t> tokens;
  std::vector<Hash256> hashes;
  if (by_tokens) {
    tokens = QUIRE_TRY(parse_tokens(text));
  } else {
    hashes = QUIRE_TRY(parse_hashes(text));
  }
  const std::unique_ptr<Client> client = QUIRE_TRY(Client::connect(daemon));
  const HeldChain held =
      QUIRE_TRY(by_tokens ? client->locate(names, tokens, options.cluster_wait_ms)
                          : client->locate_hashes(names, hashes, options.cluster_wait_ms));
  const uint64_t asked =
      by_tokens ? tokens.size() : hashes.size() * uint64_t{names.layout.unit_tokens};
  print(held, asked, options.json, out);
  return held.known ? kExitOk : kExitNotFound;
}

}  // namespace quire::client
