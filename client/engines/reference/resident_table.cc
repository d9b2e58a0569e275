// The last step of the demo: what is resident, by group, from the daemon's status.
#include <boost/json.hpp>
#include <cstdio>

#include "client/engines/reference/demo_steps.h"
#include "client/engines/reference/reference_layout.h"
#include "model/reference/decoder_config.h"

namespace quire::client {

namespace json = boost::json;

namespace {

// Bytes that a store which keeps this group at every token would hold for `tokens` tokens.
double dense_bytes(const std::string& kind, double page_bytes, double tokens) {
  const reference::DecoderConfig config;
  if (kind == "append") return page_bytes * tokens / config.block_tokens;
  if (kind == "window") return page_bytes * tokens / config.window_tokens;
  return page_bytes * tokens / config.csa_ratio;  // one overlap half of csa_ratio rows a token run
}

}  // namespace

model::Result<void> show_resident(const DemoSettings& settings) {
  const std::unique_ptr<Client> client =
      QUIRE_TRY(Client::connect({.socket_path = settings.socket_path, .client_name = "demo"}));
  const std::string text = QUIRE_TRY(client->status_json());
  boost::system::error_code error;
  const json::value status = json::parse(text, error);
  if (error) return model::make_error(model::Errc::kInternal, "the status is not JSON");
  std::printf("resident        %-10s %8s %14s %18s %8s\n", "group", "pages", "bytes",
              "dense would take", "ratio");
  double tokens = 0;
  for (const json::value& entry : status.at("groups").as_array()) {
    if (entry.at("layout").as_string() != "reference-1") continue;
    const auto pages = entry.at("pages").to_number<double>();
    const auto page_bytes = entry.at("page_bytes").to_number<double>();
    const std::string kind(entry.at("kind").as_string());
    if (kind == "append") tokens = pages * reference::DecoderConfig{}.block_tokens;
    const double dense = dense_bytes(kind, page_bytes, tokens);
    std::printf("                %-10s %8.0f %14.0f %18.0f %7.1f%%\n",
                entry.at("group").as_string().c_str(), pages, pages * page_bytes, dense,
                dense == 0 ? 0.0 : 100 * pages * page_bytes / dense);
  }
  std::fflush(stdout);
  return {};
}

}  // namespace quire::client
