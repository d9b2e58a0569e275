#include "server/http/http_site.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

#include "model/chain_hash.h"
#include "model/check.h"
#include "server/http/readiness.h"
#include "server/http/status_page.h"
#include "server/runtime/ghost_feed.h"
#include "server/status/prometheus_text.h"
#include "server/status/status_json.h"

namespace quire::server {

namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kExposition = "text/plain; version=0.0.4; charset=utf-8";

// Who may read it, where tokens say who is who.
enum class Audience : uint8_t { kAnyone, kMetrics, kReader };

struct Place {
  std::string_view path;
  HttpPage page;
  Audience audience;
};
constexpr std::array kPlaces{
    Place{"/metrics", HttpPage::kMetrics, Audience::kMetrics},
    Place{"/healthz", HttpPage::kHealth, Audience::kAnyone},
    Place{"/readyz", HttpPage::kReady, Audience::kAnyone},
    Place{"/history", HttpPage::kHistory, Audience::kMetrics},
    Place{"/ghosts", HttpPage::kGhosts, Audience::kMetrics},
    Place{"/prices", HttpPage::kPrices, Audience::kMetrics},
    Place{"/status", HttpPage::kStatus, Audience::kReader},
    Place{"/", HttpPage::kIndex, Audience::kMetrics},
};

const Place* find_place(std::string_view path) {
  const auto found = std::find_if(kPlaces.begin(), kPlaces.end(),
                                  [path](const Place& place) { return place.path == path; });
  return found == kPlaces.end() ? nullptr : &*found;
}

HttpAnswer text_answer(unsigned status, std::string_view text) {
  return {.status = status, .type = kText, .body = std::string(text) + '\n'};
}

// "127.0.0.1:9470", "localhost", "[::1]:9470": what a browser on this machine, or at the near end
// of a tunnel, names it by.
bool names_this_machine(std::string_view host) {
  if (host.starts_with("[::1]")) return host.size() == 5 || host[5] == ':';
  const std::string_view name = host.substr(0, host.find(':'));
  return name == "localhost" || name == "127.0.0.1";
}

bool has_parameter(std::string_view query, std::string_view wanted) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    if (query.substr(0, end) == wanted) return true;
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return false;
}

std::string base64(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t three = 0;
    for (size_t b = 0; b < 3; ++b) three = three << 8 | (b < count ? bytes[i + b] : 0u);
    for (size_t d = 0; d < 4; ++d) {
      out += d <= count ? kDigits[three >> (18 - 6 * d) & 63] : '=';
    }
  }
  return out;
}

// What stands between the only <name> and </name> of a page, as a source of a policy.
std::string source_of(std::string_view page, const std::string& name) {
  const std::string open = '<' + name + '>';
  const size_t begin = page.find(open);
  const size_t end = page.find("</" + name + '>');
  QUIRE_CHECK(begin != std::string_view::npos && end != std::string_view::npos);
  const std::string_view inside = page.substr(begin + open.size(), end - begin - open.size());
  const model::Hash256 hash = model::sha256(std::as_bytes(std::span(inside)));
  return "'sha256-" + base64({reinterpret_cast<const uint8_t*>(&hash), sizeof(hash)}) + '\'';
}

}  // namespace

std::string content_policy(std::string_view page) {
  return "default-src 'none'; script-src " + source_of(page, "script") + "; style-src " +
         source_of(page, "style") +
         "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'";
}

HttpSite::HttpSite(HttpSiteParts parts)
    : parts_(std::move(parts)), policy_(content_policy(kStatusPage)) {}

std::optional<HttpRole> HttpSite::role_of(const HttpQuery& query) const {
  if (parts_.tokens) return parts_.tokens->role_of(query.authorization);
  return names_this_machine(query.host) ? std::optional(HttpRole::kReader) : std::nullopt;
}

HttpSite::Admission HttpSite::admit(const HttpQuery& query) {
  ++figures_.requests;
  const size_t mark = std::min(query.target.find('?'), query.target.size());
  const Place* place = find_place(query.target.substr(0, mark));
  const std::optional<HttpRole> role = role_of(query);
  // Without tokens a foreign page in a browser of this machine may know no more than that it lives.
  const bool open = place != nullptr && place->audience == Audience::kAnyone &&
                    (parts_.tokens || place->page == HttpPage::kHealth);
  if (!open && !role) {
    ++figures_.refused;
    if (!parts_.tokens) {
      return {text_answer(421, "the Host header must be localhost, 127.0.0.1 or [::1]")};
    }
    // The page says how to go on, and nothing else.
    const bool page = place != nullptr && place->page == HttpPage::kIndex;
    if (page) return {HttpAnswer{.status = 401, .type = kHtml, .body = std::string(kStatusPage)}};
    return {text_answer(401, "say who you are: Authorization: Bearer TOKEN, of --http_token_file")};
  }
  if (query.method != "GET" && query.method != "HEAD") {
    return {text_answer(405, "everything here is read: GET or HEAD")};
  }
  if (place == nullptr) {
    return {text_answer(404,
                        "there is /, /metrics, /healthz, /readyz, /status, /history, /ghosts "
                        "and /prices")};
  }
  if (place->audience == Audience::kReader && role != HttpRole::kReader) {
    ++figures_.refused;
    return {text_answer(403, "this needs the token of a reader")};
  }
  switch (place->page) {
    case HttpPage::kHealth:
      return {health()};
    case HttpPage::kHistory:
      return {HttpAnswer{.body = history_.json()}};
    case HttpPage::kGhosts:
      return {ghosts()};
    case HttpPage::kPrices:
      return {prices()};
    case HttpPage::kIndex:
      return {HttpAnswer{.type = kHtml, .body = std::string(kStatusPage)}};
    default:
      break;
  }
  const std::string_view parameters = query.target.substr(std::min(mark + 1, query.target.size()));
  return {std::nullopt, place->page, has_parameter(parameters, "tenants=1")};
}

HttpAnswer HttpSite::answer(const Admission& admission) {
  const MetricTape& tape = parts_.feed->tape();
  switch (admission.page) {
    case HttpPage::kMetrics:
      return {.type = kExposition, .body = prometheus_of(tape, admission.wide)};
    case HttpPage::kStatus:
      return {.body = json_of(tape)};
    default: {
      const Readiness readiness = Readiness::of(tape);
      return {.status = readiness.ready() ? 200u : 503u, .body = readiness.json()};
    }
  }
}

HttpAnswer HttpSite::unanswered(const Admission& admission) {
  ++figures_.unanswered;
  const std::string reason = "the core did not answer in time: it stops, or hangs";
  if (admission.page != HttpPage::kReady) return text_answer(503, reason);
  return {.status = 503, .body = Readiness::without_core(reason).json()};
}

HttpAnswer HttpSite::malformed(unsigned status) {
  ++figures_.malformed;
  if (status == 431) return text_answer(status, "a request's head has at most 8 KiB");
  if (status == 413) return text_answer(status, "a request here has no body");
  return text_answer(status, "this is no HTTP request");
}

void HttpSite::note_filled() {
  MetricTape& tape = parts_.feed->tape();
  const auto section = tape.section("http");
  model::describe(tape, figures_);
}

// The core says each turn that it turns; it is not asked, so a slow device or a long queue changes
// nothing.
HttpAnswer HttpSite::health() const {
  const int64_t turned_ns = parts_.feed->turned_ns();
  const bool turns = turned_ns != 0 && parts_.clock->now_ns() - turned_ns < kSilentNs;
  if (turns) return text_answer(200, "ok");
  return text_answer(503, turned_ns == 0 ? "the core has not begun to turn"
                                         : "the core has not turned for 5 seconds");
}

HttpAnswer HttpSite::prices() {
  if (parts_.money == nullptr) {
    return {.body = R"({"schema":"quire.prices.v1","reason":"start with --http_price_book"})"};
  }
  return {.body = parts_.money->json(history_.last("hit_tokens"), unix_us())};
}

int64_t HttpSite::unix_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// By tier: what other policies and sizes would have hit in the last hour (docs/eviction.md).
HttpAnswer HttpSite::ghosts() const {
  MetricTape tape;
  tape.text("schema", "quire.ghosts.v1");
  tape.text("window", kWindowNames[1]);
  {
    const auto list = tape.list({.key = "tiers", .prefix = "tier"});
    for (const model::TierId tier : {model::TierId::kRam, model::TierId::kSsd}) {
      if (parts_.ghosts == nullptr) break;
      const GhostReport report = parts_.ghosts->report(tier);
      const GhostReport::Window& window = report.windows[1];
      if (window.rows.empty()) continue;
      const auto row = tape.row({.name = "tier", .text = model::tier_name(tier)});
      tape.gauge("prompt_tokens", static_cast<uint64_t>(window.totals.prompt_tokens),
                 "Tokens asked for");
      tape.gauge("hit_tokens", static_cast<uint64_t>(window.totals.hit_tokens), "Of these, found");
      tape.gauge("ceiling_tokens", static_cast<uint64_t>(window.totals.ceiling_tokens),
                 "What an infinite cache would have found");
      tape.text("best", report.best);
      const auto rows = tape.list({.key = "rows", .prefix = "ghost"});
      for (const cache::GhostRow& ghost : window.rows) {
        const auto one = tape.row({.name = "policy", .text = ghost.policy});
        tape.ratio("size_percent", ghost.size_percent, "More or less room than the tier has");
        tape.ratio("hit_percent", ghost.hits.percent, "Of the tokens asked for");
      }
    }
  }
  return {.body = json_of(tape)};
}

}  // namespace quire::server
