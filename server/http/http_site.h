// What is served over HTTP, and to whom: from a request to an answer, without sockets.
//
//   request --admit()--> an answer at once (refused, unknown, healthz, the page, history)
//                   \--> a Page that needs a status --a fresh tape--> answer()
//
// 1. Without tokens whoever reaches the address is a reader; then the Host header must name
//    this machine, so that no web page makes its reader's browser fetch figures (DNS rebinding).
// 2. With tokens nothing but /healthz and /readyz is answered without one. Who asks for the page
//    without one gets it as the body of the refusal: it holds no figure, and asks for the token.
// Threads: the HTTP thread's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/clock.h"
#include "model/metrics.h"
#include "server/http/http_history.h"
#include "server/http/http_tokens.h"
#include "server/http/saved_money.h"
#include "server/status/status_feed.h"

namespace quire::server {

class GhostFeed;

struct HttpSiteParts {
  StatusFeed* feed = nullptr;
  const GhostFeed* ghosts = nullptr;    // null: none
  const model::Clock* clock = nullptr;  // of the core's turns
  std::optional<HttpTokens> tokens;     // none: whoever reaches it may read
  std::unique_ptr<SavedMoney> money;    // null: no price book
};

// Lent for the call.
struct HttpQuery {
  std::string_view method;
  std::string_view target;  // path and query string
  std::string_view host;
  std::string_view authorization;
};

struct HttpAnswer {
  unsigned status = 200;
  std::string_view type = "application/json";  // a literal
  std::string body;
};

enum class HttpPage : uint8_t {
  kMetrics,
  kStatus,
  kReady,
  kHealth,
  kHistory,
  kGhosts,
  kPrices,
  kIndex,
};

struct HttpFigures {
  model::Counter requests{"requests", "Requests that were answered, refusals among them"};
  model::Counter refused{"refused", "Of these, for want of a token or for a foreign Host header"};
  model::Counter unanswered{"unanswered", "Of these, while the core did not answer"};
  model::Counter malformed{"malformed", "What was no request, or above a limit of one"};
  model::Counter slow{"slow", "Connections closed because their peer was slow, or silent"};
  model::Counter connections{"connections_accepted", "Connections that were taken"};
  model::Counter lost{"lost", "Connections, and tasks begun anew, that ended for want of memory"};
  model::Counter turned_away{"connections_refused",
                             "Connections closed at once: too many are open"};
  model::Gauge open{"connections", "Connections open"};
};

class HttpSite {
 public:
  // The core turns at least once a second; a machine that is short of processors delays it.
  static constexpr int64_t kSilentNs = 5'000'000'000;

  explicit HttpSite(HttpSiteParts parts);

  // Either the answer, or which page is to be answered once the feed's tape is fresh.
  struct Admission {
    std::optional<HttpAnswer> answer;
    HttpPage page = HttpPage::kHealth;
    bool wide = false;  // of /metrics: rows by names that clients chose, too
  };
  Admission admit(const HttpQuery& query);
  // Precondition: the feed's tape is the reader's, and filled.
  HttpAnswer answer(const Admission& admission);
  // The core does not answer.
  HttpAnswer unanswered(const Admission& admission);
  // Something that is no request.
  HttpAnswer malformed(unsigned status);

  // The feed's tape is fresh: what this thread counts is said behind what the core said.
  void note_filled();
  // Once each HttpHistory::kRecentStepS. Precondition as of answer().
  void note_history() { history_.add(unix_us() / 1'000'000, parts_.feed->tape()); }

  HttpFigures& figures() { return figures_; }
  // The header Content-Security-Policy of all answers.
  const std::string& policy() const { return policy_; }

 private:
  HttpAnswer health() const;
  HttpAnswer ghosts() const;
  HttpAnswer prices();
  std::optional<HttpRole> role_of(const HttpQuery& query) const;
  static int64_t unix_us();

  HttpSiteParts parts_;
  HttpHistory history_;
  HttpFigures figures_;
  std::string policy_;
};

// "default-src 'none'; script-src 'sha256-...'; ...": of a page with one style and one script, and
// no other source of anything. Precondition: the page has them.
std::string content_policy(std::string_view page);

}  // namespace quire::server
