// A real daemon's HTTP over real sockets: what it answers, to whom, and that rude peers cost it
// nothing.
#include "server/http/http_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "model/clock.h"
#include "model/ring_frames.h"
#include "model/socket_verbs.h"
#include "server/runtime/event_loop.h"
#include "server/start/http_address.h"
#include "tests/http/exposition.h"
#include "tests/http/http_peer.h"
#include "tests/support/manual_clock.h"
#include "tests/support/patience.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::http_server_test {
namespace {

namespace json = boost::json;

server::Options http_options() {
  server::Options options = small_options();
  options.http_address = "127.0.0.1:0";
  return options;
}

// A daemon that serves HTTP; what is asked twice is made twice.
class Http : public testing::Test {
 protected:
  void start(const server::Options& options = http_options(),
             std::function<void(server::HttpLimits&)> adjust = {}) {
    server::DaemonSeams seams;
    seams.clock = clock_;
    seams.adjust_http = [adjust](server::HttpLimits& limits) {
      limits.fresh_ms = 0;
      limits.status_ms = kPatienceMs;
      if (adjust) adjust(limits);
    };
    daemon_ = std::make_unique<TestDaemon>(options, std::move(seams));
    daemon_->on_core([this](server::Daemon& daemon) { port_ = daemon.http_port(); });
  }
  HttpReply get(std::string_view path, std::string_view header = "",
                std::string_view method = "GET") {
    return http_get(port_, path, header, method);
  }
  Exposition metrics(std::string_view path = "/metrics") {
    const HttpReply reply = get(path);
    EXPECT_EQ(reply.status, 200u);
    Exposition exposition = Exposition::read(reply.body);
    for (const std::string& fault : exposition.faults) ADD_FAILURE() << fault;
    return exposition;
  }
  json::value status() { return json::parse(get("/status").body); }
  // One turn of this tenant, whose prompt is a hit where an earlier turn wrote it.
  void turn(const std::string& tenant) {
    if (client_ == nullptr) client_ = daemon_->connect();
    const model::Layout layout = small_hybrid_layout();
    const auto session = open_session(*client_, session_options(layout, "model", tenant));
    ASSERT_TRUE(session->append_tokens(context_tokens(41, 1)).ok());
    const auto match = session->match(41);
    ASSERT_TRUE(match.ok());
    if (match->exact_tokens > 0) {
      EXPECT_GT(check_hit(*session, *match), 0);
    } else {
      ASSERT_TRUE(commit_context(*session, 41).ok());
    }
  }

  const model::Clock* clock_ = nullptr;
  uint16_t port_ = 0;
  std::unique_ptr<TestDaemon> daemon_;
  std::unique_ptr<client::Client> client_;
};

TEST_F(Http, IsOffUnlessItHasAnAddress) {
  start(small_options());
  EXPECT_EQ(port_, 0);
}

TEST_F(Http, AnswersAtItsPlacesWithTheHeadersOfAllAnswers) {
  start();
  for (const char* path : {"/", "/metrics", "/healthz", "/readyz", "/status", "/history", "/ghosts",
                           "/metrics?tenants=1", "/status?x"}) {
    const HttpReply reply = get(path);
    EXPECT_EQ(reply.status, 200u) << path << ": " << reply.body;
    EXPECT_FALSE(reply.body.empty()) << path;
    EXPECT_EQ(reply.headers.at("x-content-type-options"), "nosniff") << path;
    EXPECT_EQ(reply.headers.at("cache-control"), "no-store") << path;
    EXPECT_TRUE(reply.headers.at("content-security-policy").starts_with("default-src 'none'"));
  }
  EXPECT_EQ(get("/metrics").headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(get("/status").headers.at("content-type"), "application/json");
  EXPECT_EQ(get("/").headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(json::parse(get("/prices").body).at("reason").as_string(),
            "start with --http_price_book");
}

TEST_F(Http, RefusesWhatItHasNot) {
  start();
  EXPECT_EQ(get("/nothing").status, 404u);
  EXPECT_EQ(get("/metricsx").status, 404u);
  const HttpReply reply = get("/status", "Content-Length: 0\r\n", "POST");
  EXPECT_EQ(reply.status, 405u);
  EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD");
}

TEST_F(Http, HeadSaysWhatGetWouldWithoutIt) {
  start();
  const HttpReply reply = get("/", "", "HEAD");
  EXPECT_EQ(reply.status, 200u);
  EXPECT_EQ(reply.headers.at("content-length"), std::to_string(get("/").body.size()));
}

TEST_F(Http, MetricsAreCompleteBeforeAnyTraffic) {
  start();
  const Exposition exposition = metrics();
  for (uint16_t verb = 0; verb < model::kVerbCount; ++verb) {
    const std::string op(model::verb_name(static_cast<model::Verb>(verb)));
    EXPECT_EQ(exposition.value("quire_request_duration_seconds_count{op=\"" + op + "\"}"), 0) << op;
  }
  for (const model::SocketVerb& verb : model::kSocketVerbs) {
    const std::string op(verb.name);
    EXPECT_EQ(exposition.value("quire_request_duration_seconds_count{op=\"" + op + "\"}"), 0) << op;
  }
  EXPECT_EQ(exposition.value("quire_turns_hit_tokens_total"), 0);
  EXPECT_EQ(exposition.value("quire_tier_capacity_bytes{tier=\"ram\"}"), 64 << 20);
}

// What dashboards of KV caches look for: with a tier below RAM and receipts all of it is there,
// each with the labels that queries name, before anybody came.
TEST_F(Http, NamesThatDashboardsKnowAreThereBeforeAnyTraffic) {
  server::Options options = http_options();
  const std::string directory = testing::TempDir() + "quire-names-" + std::to_string(::getpid());
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  options.ssd_path = directory + "/ssd";
  options.ssd_bytes = 256 << 20;
  options.ledger_path = directory + "/ledger";
  start(options);
  const Exposition said = metrics();
  for (const char* series :
       {"quire_lookup_tokens_total{tier=\"ram\",result=\"hit\"}",
        "quire_lookup_tokens_total{tier=\"ssd\",result=\"hit\"}",
        "quire_lookup_tokens_total{tier=\"none\",result=\"miss\"}",
        "quire_lookup_pages_total{result=\"hit\"}",
        "quire_lookup_pages_total{result=\"miss\"}",
        "quire_lease_expired_total",
        "quire_hit_tokens_total{tier=\"ram\"}",
        "quire_hit_tokens_total{tier=\"ssd\"}",
        "quire_stored_bytes_total{tier=\"ram\"}",
        "quire_stored_bytes_total{tier=\"ssd\"}",
        "quire_read_bytes_total{tier=\"ssd\"}",
        "quire_evicted_groups_total{tier=\"ram\",reason=\"kept_below\"}",
        "quire_evicted_groups_total{tier=\"ssd\",reason=\"room\"}",
        "quire_evicted_groups_total{tier=\"all\",kind=\"span\",reason=\"room\"}",
        "quire_tier_used_bytes{tier=\"ram\"}",
        "quire_tier_capacity_bytes{tier=\"ssd\"}",
        "quire_pinned_bytes",
        "quire_quarantined_bytes",
        "quire_sessions",
        "quire_session_reaped_total{cause=\"left\"}",
        "quire_session_reaped_total{cause=\"ring_fault\"}",
        "quire_checksum_failures_total{tier=\"ram\",kind=\"hit\"}",
        "quire_checksum_failures_total{tier=\"ssd\",kind=\"load\"}",
        "quire_io_errors_total{tier=\"ssd\",op=\"read\",errno=\"EIO\"}",
        "quire_io_errors_total{tier=\"ssd\",op=\"sync\",errno=\"other\"}",
        "quire_io_errors_total{tier=\"ssd\",op=\"write\",errno=\"ENOSPC\"}",
        "quire_io_deadline_exceeded_total{tier=\"ssd\"}",
        "quire_tier_state{tier=\"ram\"}",
        "quire_tier_state{tier=\"ssd\"}",
        "quire_scrub_bytes_total{tier=\"ram\"}",
        "quire_scrub_bytes_total{tier=\"ssd\"}",
        "quire_scrub_errors_total{tier=\"ssd\",kind=\"unreadable\"}",
        "quire_request_duration_seconds_count{op=\"match\"}",
        "quire_io_duration_seconds_count{tier=\"ssd\",op=\"read\"}",
        "quire_queue_depth{queue=\"loads\"}",
        "quire_queue_depth{tier=\"ssd\",queue=\"demotion\"}",
        "quire_rejected_total{reason=\"connection\"}",
        "quire_rejected_total{tier=\"ssd\",reason=\"write_budget\"}",
        "quire_events_dropped_total",
        "quire_meter_pending_records",
        "quire_meter_export_lag_seconds",
        "quire_group_reuse_gap_seconds_count{tier=\"ram\"}",
        "quire_group_idle_before_evict_seconds_count{tier=\"ram\"}"}) {
    said.value(series);
  }
  EXPECT_TRUE(said.families.contains("quire_build_info"));
  daemon_.reset();
  std::filesystem::remove_all(directory);
}

// The families are the same whatever happened: no dashboard finds a hole.
TEST_F(Http, TrafficAddsNoFamilyAndIsCounted) {
  start();
  std::set<std::string> before;
  for (const auto& [name, family] : metrics().families) before.insert(name);
  turn("one");
  turn("one");
  client_.reset();
  ASSERT_TRUE(daemon_->is_quiet());
  const Exposition after = metrics();
  for (const auto& [name, family] : after.families) {
    const bool by_row = name.starts_with("quire_domain_") || name.starts_with("quire_group_") ||
                        name.starts_with("quire_uid_");
    EXPECT_TRUE(by_row || before.contains(name)) << name;
  }
  EXPECT_EQ(after.value("quire_request_duration_seconds_count{op=\"match\"}"), 2);
  EXPECT_EQ(after.value("quire_request_duration_seconds_count{op=\"open_session\"}"), 2);
  EXPECT_EQ(after.value("quire_request_duration_seconds_count{op=\"hello\"}"), 1);
  EXPECT_GT(after.value("quire_request_duration_seconds_count{op=\"commit\"}"), 0);
  EXPECT_GT(after.value("quire_request_duration_seconds_sum{op=\"commit\"}"), 0);
  EXPECT_EQ(after.value("quire_turns_ended_total"), 2);
  EXPECT_EQ(after.value("quire_turns_hit_tokens_total"), 40);
}

TEST_F(Http, EveryRequestIsTimedOnce) {
  start();
  turn("one");
  turn("two");
  const Exposition exposition = metrics();
  double timed = 0;
  for (uint16_t verb = 0; verb < model::kVerbCount; ++verb) {
    const std::string op(model::verb_name(static_cast<model::Verb>(verb)));
    timed += exposition.value("quire_request_duration_seconds_count{op=\"" + op + "\"}");
  }
  EXPECT_EQ(timed, exposition.value("quire_requests_submissions_total"));
}

TEST_F(Http, TenantsAreInMetricsOnlyWhereTheyAreAskedFor) {
  start();
  turn("Ten\"ant");
  const std::string series =
      "domain=\"uid:" + std::to_string(::geteuid()) + "\",tenant=\"Ten\\\"ant\"";
  const Exposition narrow = metrics();
  EXPECT_FALSE(narrow.families.contains("quire_tenant_prompt_tokens_total"));
  EXPECT_EQ(narrow.value("quire_hit_tokens_total{tier=\"ram\"}"), 0);
  const Exposition wide = metrics("/metrics?tenants=1");
  EXPECT_EQ(wide.value("quire_tenant_prompt_tokens_total{" + series + "}"), 41);
  EXPECT_GT(wide.value("quire_tenant_ram_bytes{" + series + "}"), 0);
  EXPECT_EQ(wide.value("quire_hit_tokens_total{" + series + ",tier=\"ram\"}"), 0);
  EXPECT_FALSE(wide.families.at("quire_hit_tokens_total")
                   .samples.contains("quire_hit_tokens_total{tier=\"ram\"}"))
      << "a sum over it would count tokens twice";
  EXPECT_EQ(get("/metrics?tenants=1").body.find("session=\""), std::string::npos);
}

TEST_F(Http, StatusHasTenantsAndLongestSessions) {
  start();
  turn("one");
  turn("two");
  const json::value said = status();
  EXPECT_EQ(said.at("schema").as_string(), "quire.status.v1");
  EXPECT_EQ(said.at("scope").as_string(), "all");
  EXPECT_EQ(said.at("tenants_total").to_number<int>(), 2);
  const auto session = open_session(*client_, session_options(small_hybrid_layout(), "m", "three"));
  ASSERT_TRUE(session->append_tokens(context_tokens(41, 1)).ok());
  ASSERT_TRUE(session->match(17).ok());
  const json::array sessions = status().at("sessions").as_array();
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].at("tenant").as_string(), "three");
  EXPECT_EQ(sessions[0].at("prompt_tokens").to_number<int>(), 17);
}

TEST_F(Http, HostsThatAreNotThisMachineAreRefused) {
  start();
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example",
                           "10.0.0.1:9470", "[::2]:9470", "[::1]x"}) {
    const HttpReply reply = get("/status", "Host: " + std::string(host) + "\r\n");
    EXPECT_EQ(reply.status, 421u) << host;
    EXPECT_EQ(reply.body.find("schema"), std::string::npos);
    const std::string header = "Host: " + std::string(host) + "\r\n";
    EXPECT_EQ(get("/readyz", header).status, 421u) << "its reasons name paths";
    EXPECT_EQ(get("/healthz", header).status, 200u);
  }
  for (const char* host : {"localhost", "localhost:9470", "127.0.0.1:9470", "[::1]", "[::1]:80"}) {
    EXPECT_EQ(get("/status", "Host: " + std::string(host) + "\r\n").status, 200u) << host;
  }
}

class HttpWithTokens : public Http {
 protected:
  HttpWithTokens() {
    std::string pattern = "/tmp/quire-http-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    server::Options options = http_options();
    options.http_token_file = directory_ + "/tokens";
    std::ofstream(options.http_token_file)
        << "metrics metrics-0123456789\nreader reader-0123456789\n";
    ::chmod(options.http_token_file.c_str(), 0600);
    start(options);
  }
  ~HttpWithTokens() override { std::filesystem::remove_all(directory_); }

  static constexpr std::string_view kMetrics = "Authorization: Bearer metrics-0123456789\r\n";
  static constexpr std::string_view kReader = "Authorization: Bearer reader-0123456789\r\n";
  std::string directory_;
};

TEST_F(HttpWithTokens, NothingButHealthIsAnsweredWithoutOne) {
  for (const char* path : {"/metrics", "/status", "/history", "/ghosts", "/prices", "/nothing"}) {
    for (const char* header : {"", "Authorization: Bearer wrong-0123456789\r\n",
                               "Authorization: Basic YWRtaW46eA==\r\n"}) {
      const HttpReply reply = get(path, header);
      EXPECT_EQ(reply.status, 401u) << path;
      EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
      EXPECT_EQ(reply.headers.at("connection"), "close");
      EXPECT_EQ(reply.body.find("quire_"), std::string::npos);
    }
  }
  EXPECT_EQ(get("/healthz").status, 200u);
  EXPECT_EQ(get("/readyz").status, 200u);
}

TEST_F(HttpWithTokens, ThePageAsksForATokenAndHoldsNoFigure) {
  const HttpReply reply = get("/");
  EXPECT_EQ(reply.status, 401u);
  EXPECT_EQ(reply.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(reply.body, get("/", kMetrics).body);
}

TEST_F(HttpWithTokens, AReaderReadsFiguresAndAnAdminEverything) {
  EXPECT_EQ(get("/metrics", kMetrics).status, 200u);
  EXPECT_EQ(get("/history", kMetrics).status, 200u);
  EXPECT_EQ(get("/status", kMetrics).status, 403u);
  EXPECT_EQ(get("/status", kReader).status, 200u);
  EXPECT_EQ(get("/metrics", kReader).status, 200u);
  // With a token it does not matter by which name the daemon is reached.
  EXPECT_EQ(get("/metrics", "Host: kv7.example:9470\r\n" + std::string(kMetrics)).status, 200u);
}

TEST_F(Http, ReadyzSaysWhichTierIsOffAndHealthzIsNotOfIt) {
  std::string pattern = "/tmp/quire-http-XXXXXX";
  const std::string directory = ::mkdtemp(pattern.data());
  {
    server::Options options = http_options();
    options.ssd_path = directory + "/ssd";
    options.ssd_bytes = 64 << 20;
    std::filesystem::create_directory(options.ssd_path);
    std::ofstream(options.ssd_path + "/superblock") << std::string(8192, 'x');
    start(options);
    const HttpReply reply = get("/readyz");
    EXPECT_EQ(reply.status, 503u);
    const json::value said = json::parse(reply.body);
    EXPECT_FALSE(said.at("ready").as_bool());
    EXPECT_EQ(said.at_pointer("/reasons/0/what").as_string(), "ssd");
    EXPECT_EQ(said.at_pointer("/reasons/0/state").as_string(), "off");
    EXPECT_FALSE(said.at_pointer("/reasons/0/reason").as_string().empty());
    EXPECT_FALSE(said.at_pointer("/reasons/0/action").as_string().empty());
    EXPECT_EQ(get("/healthz").status, 200u);
    daemon_.reset();
  }
  std::filesystem::remove_all(directory);
}

TEST_F(Http, HealthzIsOfACoreThatTurns) {
  ManualClock clock;
  clock_ = &clock;
  start();
  EXPECT_EQ(get("/healthz").status, 200u);
  // In one call of the core: it does not turn meanwhile.
  daemon_->on_core([&](server::Daemon&) {
    clock.advance(std::chrono::nanoseconds(server::HttpSite::kSilentNs));
    EXPECT_EQ(get("/healthz").status, 503u);
  });
  EXPECT_TRUE(daemon_->eventually([&](server::Daemon&) { return get("/healthz").status == 200; }));
  clock_ = nullptr;
  daemon_.reset();
}

TEST_F(Http, ACoreThatDoesNotAnswerIsNotWaitedForForEver) {
  start(http_options(), [](server::HttpLimits& limits) { limits.status_ms = 50; });
  daemon_->on_core([&](server::Daemon&) {
    const HttpReply metrics = get("/metrics");
    EXPECT_EQ(metrics.status, 503u);
    const HttpReply ready = get("/readyz");
    EXPECT_EQ(ready.status, 503u);
    EXPECT_EQ(json::parse(ready.body).at_pointer("/reasons/0/what").as_string(), "core");
  });
}

TEST_F(Http, RequestsSentAheadAreAnsweredInOrder) {
  start();
  HttpPeer peer(port_);
  std::string many;
  for (int i = 0; i < 100; ++i) {
    many += "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
  }
  std::string two =
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_TRUE(peer.send(two));
  EXPECT_EQ(peer.receive().body, "ok\n");
  EXPECT_TRUE(json::parse(peer.receive().body).is_object());
  // A refusal ends the connection: what was sent behind it is not answered.
  ASSERT_TRUE(peer.send(many));
  EXPECT_EQ(peer.receive().status, 404u);
  EXPECT_EQ(peer.receive().status, 0u);
}

TEST_F(Http, AConnectionEndsAfterItsRequests) {
  start(http_options(), [](server::HttpLimits& limits) { limits.max_requests = 2; });
  HttpPeer peer(port_);
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_TRUE(peer.send(one + one + one));
  EXPECT_EQ(peer.receive().status, 200u);
  const HttpReply last = peer.receive();
  EXPECT_EQ(last.status, 200u);
  EXPECT_EQ(last.headers.at("connection"), "close");
  EXPECT_EQ(peer.receive().status, 0u);
}

TEST_F(Http, WhatIsAboveALimitIsRefused) {
  start();
  EXPECT_EQ(get("/healthz", "X: " + std::string(9000, 'x') + "\r\n").status, 431u);
  EXPECT_EQ(get("/" + std::string(9000, 'x')).status, 431u);
  HttpPeer body(port_);
  ASSERT_TRUE(body.send("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"));
  const unsigned refused = body.receive().status;
  EXPECT_TRUE(refused == 413 || refused == 400) << refused;
  HttpPeer chunks(port_);
  ASSERT_TRUE(
      chunks.send("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nhello\r\n0\r\n\r\n"));
  const unsigned also = chunks.receive().status;
  EXPECT_TRUE(also == 413 || also == 400) << also;
  HttpPeer noise(port_);
  ASSERT_TRUE(noise.send("\x16\x03\x01 this is no request\r\n\r\n"));
  EXPECT_EQ(noise.receive().status, 400u);
  EXPECT_TRUE(noise.is_closed());
  EXPECT_GE(metrics().value("quire_http_malformed_total"), 5);
}

TEST_F(Http, PeersThatAreSlowAreLetGo) {
  start(http_options(), [](server::HttpLimits& limits) {
    limits.request_ms = 20;
    limits.silent_ms = 40;
  });
  HttpPeer silent(port_);
  EXPECT_TRUE(silent.is_closed());
  HttpPeer half(port_);
  half.send("GET /metrics HTTP/1.1\r\nHost: loc");
  EXPECT_TRUE(half.is_closed());
  // A byte now and then gains no time.
  HttpPeer drop(port_);
  drop.send("GET / HTTP/1.1\r\n");
  while (drop.send("X: y\r\n")) std::this_thread::yield();
  EXPECT_TRUE(drop.is_closed());
  EXPECT_GE(metrics().value("quire_http_slow_total"), 2);
}

TEST_F(Http, APeerThatDoesNotReadIsLetGo) {
  start(http_options(), [](server::HttpLimits& limits) { limits.answer_ms = 50; });
  HttpPeer peer(port_);
  peer.set_receive_buffer(4096);
  // Answers of 80 KiB each fill what kernels keep for a peer, which takes none of them; and what
  // it asks is more than the daemon reads ahead.
  std::string ahead;
  for (int i = 0; i < 4000; ++i) ahead += "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_TRUE(peer.send(ahead));
  EXPECT_TRUE(peer.is_reset()) << "the connection is closed with its requests unread";
}

TEST_F(Http, ConnectionsAreBoundedAndTheirPlacesComeBack) {
  start(http_options(), [](server::HttpLimits& limits) { limits.max_connections = 4; });
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<std::unique_ptr<HttpPeer>> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(std::make_unique<HttpPeer>(port_));
    peers.back()->send(one);
    EXPECT_EQ(peers.back()->receive().status, 200u) << i;
  }
  HttpPeer fifth(port_);
  fifth.send(one);
  EXPECT_EQ(fifth.receive().status, 0u);
  // A client of the daemon has places of its own.
  EXPECT_TRUE(daemon_->connect()->ping().ok());
  peers.clear();
  unsigned status = 0;
  const auto start = std::chrono::steady_clock::now();
  while (status != 200 && std::chrono::steady_clock::now() - start < kPatience) {
    status = get("/healthz").status;
  }
  EXPECT_EQ(status, 200u);
}

TEST_F(Http, ManyWhoAskAtOnceCostTheCoreOneStatus) {
  start(http_options(), [](server::HttpLimits& limits) { limits.fresh_ms = kPatienceMs; });
  ASSERT_EQ(get("/metrics").status, 200u);
  const auto submissions = [this] {
    return json::parse(get("/status").body)
        .at_pointer("/requests/submissions")
        .to_number<uint64_t>();
  };
  const uint64_t before = submissions();
  turn("one");
  EXPECT_EQ(submissions(), before) << "what is fresh enough is not made again";
}

TEST_F(Http, TheHistoryBeginsWithTheDaemon) {
  start();
  const auto start = std::chrono::steady_clock::now();
  size_t points = 0;
  while (points == 0 && std::chrono::steady_clock::now() - start < kPatience) {
    points = json::parse(get("/history").body).at_pointer("/recent/points").as_array().size();
  }
  EXPECT_GE(points, 1u);
}

// It gives no time while it fails, as an allocation gives no memory: who asks it ends there.
class FailingClock final : public model::Clock {
 public:
  int64_t now_ns() const override {
    if (fails) throw std::bad_alloc();
    return system_.now_ns();
  }
  std::atomic<bool> fails{false};

 private:
  const model::SystemClock system_{};
};

TEST(HttpShortage, AConnectionThatRunsOutOfMemoryIsCountedAndTheRestGoesOn) {
  auto waker = server::Waker::create();
  ASSERT_TRUE(waker.ok());
  const auto feed = server::StatusFeed::create(&*waker).value();
  FailingClock clock;
  // In the core's place: it turns, and fills what is asked for with nothing.
  std::jthread core([&feed, &clock](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (!clock.fails) feed->note_turn(clock.now_ns());
      if (feed->is_asked()) {
        feed->tape().clear();
        feed->filled();
      }
      std::this_thread::yield();
    }
  });
  auto http = server::HttpServer::create(
      server::HttpAddress::parse("127.0.0.1:0").value(),
      {.feed = feed.get(), .ghosts = nullptr, .clock = &clock, .tokens = {}, .money = nullptr},
      {.status_ms = kPatienceMs, .fresh_ms = 0});
  ASSERT_TRUE(http.ok());
  const uint16_t port = (*http)->port();
  while (feed->turned_ns() == 0) std::this_thread::yield();  // before that no clock is asked
  clock.fails = true;
  EXPECT_EQ(http_get(port, "/healthz", "", "GET").status, 0u) << "it ended without an answer";
  clock.fails = false;
  const HttpReply metrics = http_get(port, "/metrics", "", "GET");
  EXPECT_EQ(metrics.status, 200u);
  EXPECT_EQ(Exposition::read(metrics.body).value("quire_http_lost_total"), 1);
}

TEST(HttpStart, AnAddressThatIsTakenIsAnErrorThatNamesIt) {
  TestDaemon first(http_options());
  uint16_t port = 0;
  first.on_core([&](server::Daemon& daemon) { port = daemon.http_port(); });
  server::Options options = http_options();
  options.socket_path = first.socket_path() + "-2";
  options.http_address = "127.0.0.1:" + std::to_string(port);
  const auto second = server::Daemon::create(options);
  ASSERT_EQ(second.code(), model::Errc::kIoError);
  EXPECT_NE(second.error().text.find(std::to_string(port)), std::string::npos);
}

}  // namespace
}  // namespace quire::tests::http_server_test
