#include "server/http/http_server.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "model/give_way.h"
#include "model/helper_thread.h"
#include "server/runtime/log.h"

namespace quire::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

namespace {

// Errors are values here too.
constexpr auto kValue = asio::as_tuple(asio::use_awaitable);

constexpr size_t kBufferBytes = 2 * HttpServer::kMaxHeadBytes;
constexpr milliseconds kAcceptPause{1000};  // while descriptors are short
constexpr milliseconds kLinger{1000};
constexpr int kLingerReads = 16;

std::string_view text_of(beast::string_view text) { return {text.data(), text.size()}; }
beast::string_view beast_text(std::string_view text) { return {text.data(), text.size()}; }

// What a request that cannot be read is answered with; 0: nothing, its peer is gone or was slow.
unsigned status_of(error_code failure) {
  if (failure == http::error::header_limit || failure == http::error::buffer_overflow) return 431;
  if (failure == http::error::body_limit) return 413;
  // Of the grammar's errors: all but those that say how the connection ended.
  if (failure == http::error::end_of_stream || failure == http::error::partial_message) return 0;
  return failure.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

}  // namespace

class HttpServer::Loop {
 public:
  Loop(HttpSiteParts parts, const HttpLimits& limits)
      : feed_(parts.feed), limits_(limits), site_(std::move(parts)) {}

  model::Result<void> listen(const HttpAddress& address);
  uint16_t port() const { return port_; }
  void run();
  void stop() { io_.stop(); }  // any thread

 private:
  // Sleeps until the feed's tape is filled, or its time is over.
  struct Waiter {
    asio::steady_timer timer;
    std::list<Waiter*>* list;
    std::list<Waiter*>::iterator place;

    Waiter(asio::io_context& io, SteadyClock::time_point until, std::list<Waiter*>* waiting)
        : timer(io, until), list(waiting), place(waiting->insert(waiting->end(), this)) {}
    ~Waiter() { list->erase(place); }
  };
  // Counts a connection for as long as it lives.
  struct Place {
    explicit Place(HttpSite* its_site) : site(its_site) { ++site->figures().open; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { --site->figures().open; }
    HttpSite* site;
  };

  // Tasks that end with the loop alone.
  using Task = asio::awaitable<void> (Loop::*)();
  asio::awaitable<void> keep_going(Task task, const char* name);
  asio::awaitable<void> accept();
  asio::awaitable<void> watch_feed();
  asio::awaitable<void> keep_history();
  asio::awaitable<void> serve(tcp::socket socket, std::unique_ptr<Place> place);
  // Waits for a request and answers it. False: the connection ends.
  asio::awaitable<bool> serve_one(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                  uint32_t silent_ms, bool last);
  asio::awaitable<HttpAnswer> answer(HttpQuery query);
  // True: the feed's tape is the reader's, and of a time fresh_ms before this call, or later. It is
  // so until the caller waits for something.
  asio::awaitable<bool> fresh_status();
  asio::awaitable<bool> write(beast::tcp_stream& stream, HttpAnswer answer, bool head, bool keep);
  static asio::awaitable<void> close_gently(beast::tcp_stream& stream);
  // Memory is short, as a rule: it is counted where not even a line of the log can be had.
  void note_lost(const char* what, const char* why) noexcept {
    ++site_.figures().lost;
    try {
      log(LogKind::kHttpLost, LogLevel::kError, std::string("http: ") + what + ": " + why);
    } catch (const std::exception&) {
    }
  }
  void note_slow(error_code failure) {
    if (failure == beast::error::timeout) ++site_.figures().slow;
  }

  StatusFeed* feed_;
  const HttpLimits limits_;
  HttpSite site_;
  uint16_t port_ = 0;
  std::list<Waiter*> waiters_;
  SteadyClock::time_point asked_at_;                 // the status under way, or the last one
  bool noted_ = true;                                // what this thread counts is on the tape
  std::optional<SteadyClock::time_point> shown_at_;  // when that on the tape was asked for
  // Last: what waits in it, with its sockets and timers, goes with it, and uses the above.
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::posix::stream_descriptor filled_{io_};
};

model::Result<void> HttpServer::Loop::listen(const HttpAddress& address) {
  const auto failed = [&](const std::string& step, const error_code& failure) {
    return model::make_error(model::Errc::kIoError, "--http_address " + address.host + " port " +
                                                        std::to_string(address.port) + ": " + step +
                                                        ": " + failure.message());
  };
  error_code failure;
  const asio::ip::address host = asio::ip::make_address(address.host, failure);
  if (failure) return failed("address", failure);
  const tcp::endpoint endpoint(host, address.port);
  acceptor_.open(endpoint.protocol(), failure);
  if (failure) return failed("socket", failure);
  acceptor_.set_option(tcp::acceptor::reuse_address(true), failure);
  if (failure) return failed("SO_REUSEADDR", failure);
  acceptor_.bind(endpoint, failure);
  if (failure) return failed("bind", failure);
  acceptor_.listen(static_cast<int>(limits_.max_connections), failure);
  if (failure) return failed("listen", failure);
  port_ = acceptor_.local_endpoint(failure).port();
  // The descriptor is the feed's: a copy of it is this loop's to close.
  model::FdGuard event(::fcntl(feed_->filled_fd(), F_DUPFD_CLOEXEC, 0));
  if (!event.valid()) return model::errno_error("F_DUPFD_CLOEXEC");
  filled_.assign(event.get(), failure);
  if (failure) return failed("epoll", failure);
  event.release();
  asio::co_spawn(io_, keep_going(&Loop::accept, "accept"), asio::detached);
  asio::co_spawn(io_, keep_going(&Loop::watch_feed, "watch the core"), asio::detached);
  asio::co_spawn(io_, keep_going(&Loop::keep_history, "keep history"), asio::detached);
  return {};
}

// A task that memory was short for is begun anew, a moment later where a timer can be had.
asio::awaitable<void> HttpServer::Loop::keep_going(Task task, const char* name) {
  for (bool ended = false; !ended;) {
    bool failed = false;
    try {
      co_await (this->*task)();
      ended = true;
    } catch (const std::exception& failure) {
      failed = true;
      note_lost(name, failure.what());
    }
    if (!failed) continue;
    try {
      asio::steady_timer pause(io_, kAcceptPause);
      co_await pause.async_wait(kValue);
    } catch (const std::exception&) {  // at once, then: what failed was said
    }
  }
}

// Of the library and of memory: what was going on is lost, its connection closed, the rest goes on.
void HttpServer::Loop::run() {
  while (!io_.stopped()) {
    try {
      io_.run();
    } catch (const std::exception& failure) {
      note_lost("the loop", failure.what());
    }
  }
}

asio::awaitable<void> HttpServer::Loop::accept() {
  while (true) {
    auto [failure, socket] = co_await acceptor_.async_accept(kValue);
    if (failure == asio::error::operation_aborted) co_return;
    if (failure) {
      // Descriptors or memory are short: they are the clients' first.
      asio::steady_timer pause(io_, kAcceptPause);
      co_await pause.async_wait(kValue);
      continue;
    }
    ++site_.figures().connections;
    if (site_.figures().open >= limits_.max_connections) {
      ++site_.figures().turned_away;  // closed with the socket
      continue;
    }
    // Counted here: the connection is served when this has taken the next ones, too.
    asio::co_spawn(io_, serve(std::move(socket), std::make_unique<Place>(&site_)),
                   [this](const std::exception_ptr& lost) {
                     if (lost == nullptr) return;
                     try {
                       std::rethrow_exception(lost);
                     } catch (const std::exception& what) {
                       note_lost("a connection", what.what());
                     }
                   });
  }
}

asio::awaitable<void> HttpServer::Loop::watch_feed() {
  uint64_t count = 0;
  while (true) {
    const auto [failure, bytes] =
        co_await filled_.async_read_some(asio::buffer(&count, sizeof(count)), kValue);
    if (failure) co_return;
    if (!feed_->is_readers() || std::exchange(noted_, true)) continue;
    shown_at_ = asked_at_;
    site_.note_filled();
    for (Waiter* waiter : waiters_) waiter->timer.cancel();
  }
}

asio::awaitable<void> HttpServer::Loop::keep_history() {
  asio::steady_timer timer(io_);
  auto next = SteadyClock::now();
  while (true) {
    if (co_await fresh_status()) site_.note_history();
    next += std::chrono::seconds(HttpHistory::kRecentStepS);
    // After a machine's sleep there is nothing to catch up with.
    next = std::max(next, SteadyClock::now());
    timer.expires_at(next);
    const auto [failure] = co_await timer.async_wait(kValue);
    if (failure) co_return;
  }
}

asio::awaitable<bool> HttpServer::Loop::fresh_status() {
  const auto now = SteadyClock::now();
  const auto give_up = now + milliseconds(limits_.status_ms);
  const auto oldest = now - milliseconds(limits_.fresh_ms);
  while (true) {
    if (feed_->is_readers()) {
      if (shown_at_ && *shown_at_ >= oldest) co_return true;
      asked_at_ = SteadyClock::now();
      noted_ = false;
      feed_->ask();
    }
    if (SteadyClock::now() >= give_up) co_return false;
    Waiter waiter(io_, give_up, &waiters_);
    co_await waiter.timer.async_wait(kValue);
  }
}

asio::awaitable<void> HttpServer::Loop::serve(tcp::socket socket,
                                              [[maybe_unused]] std::unique_ptr<Place> place) {
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer(kBufferBytes);
  for (uint32_t served = 1; served <= limits_.max_requests; ++served) {
    // Who said nothing yet keeps no place for long: places are few, and others' too.
    const uint32_t silent_ms = served == 1 ? limits_.request_ms : limits_.silent_ms;
    if (!co_await serve_one(stream, buffer, silent_ms, served == limits_.max_requests)) break;
  }
  co_await close_gently(stream);
}

asio::awaitable<bool> HttpServer::Loop::serve_one(beast::tcp_stream& stream,
                                                  beast::flat_buffer& buffer, uint32_t silent_ms,
                                                  bool last) {
  if (buffer.size() == 0) {
    stream.expires_after(milliseconds(silent_ms));
    const auto [failure, bytes] =
        co_await stream.async_read_some(buffer.prepare(kMaxHeadBytes), kValue);
    note_slow(failure);
    if (failure) co_return false;
    buffer.commit(bytes);
  }
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMaxHeadBytes);
  // One time for all of it: a peer that sends a byte now and then gains none.
  stream.expires_after(milliseconds(limits_.request_ms));
  const auto [failure, bytes] = co_await http::async_read(stream, buffer, parser, kValue);
  note_slow(failure);
  if (failure) {
    const unsigned status = status_of(failure);
    if (status != 0) co_await write(stream, site_.malformed(status), false, false);
    co_return false;
  }
  const http::request<http::empty_body>& request = parser.get();
  HttpAnswer said =
      co_await answer({.method = text_of(request.method_string()),
                       .target = text_of(request.target()),
                       .host = text_of(request[http::field::host]),
                       .authorization = text_of(request[http::field::authorization])});
  // Who is refused begins anew: he keeps no place with it.
  const bool keep = request.keep_alive() && !last && said.status < 400;
  const bool head = request.method() == http::verb::head;
  co_return co_await write(stream, std::move(said), head, keep) && keep;
}

asio::awaitable<HttpAnswer> HttpServer::Loop::answer(HttpQuery query) {
  const HttpSite::Admission admission = site_.admit(query);
  if (admission.answer) co_return *admission.answer;
  if (!co_await fresh_status()) co_return site_.unanswered(admission);
  co_return site_.answer(admission);
}

asio::awaitable<bool> HttpServer::Loop::write(beast::tcp_stream& stream, HttpAnswer answer,
                                              bool head, bool keep) {
  http::response<http::string_body> response;
  response.result(answer.status);
  response.set(http::field::content_type, beast_text(answer.type));
  response.set(http::field::cache_control, "no-store");
  response.set("Content-Security-Policy", site_.policy());
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Referrer-Policy", "no-referrer");
  response.set("Cross-Origin-Resource-Policy", "same-origin");
  if (answer.status == 401) response.set(http::field::www_authenticate, "Bearer");
  if (answer.status == 405) response.set(http::field::allow, "GET, HEAD");
  response.keep_alive(keep);
  response.content_length(answer.body.size());
  // The length is that of what GET would get.
  if (!head) response.body() = std::move(answer.body);
  http::response_serializer<http::string_body> serializer(response);
  stream.expires_after(milliseconds(limits_.answer_ms));
  const auto [failure, bytes] = co_await http::async_write(stream, serializer, kValue);
  note_slow(failure);
  co_return !failure;
}

// A close with bytes unread would take the answer from the peer before it has read it.
asio::awaitable<void> HttpServer::Loop::close_gently(beast::tcp_stream& stream) {
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  if (ignored) co_return;
  stream.expires_after(kLinger);
  std::array<char, 4096> unread;
  for (int i = 0; i < kLingerReads; ++i) {
    const auto [failure, bytes] = co_await stream.async_read_some(asio::buffer(unread), kValue);
    if (failure) co_return;
  }
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

HttpServer::~HttpServer() {
  loop_->stop();
  if (thread_.joinable()) thread_.join();
}

uint16_t HttpServer::port() const { return loop_->port(); }

model::Result<std::unique_ptr<HttpServer>> HttpServer::create(const HttpAddress& address,
                                                              HttpSiteParts parts,
                                                              const HttpLimits& limits) {
  try {
    std::unique_ptr<HttpServer> server(
        new HttpServer(std::make_unique<Loop>(std::move(parts), limits)));
    QUIRE_TRY(server->loop_->listen(address));
    server->thread_ =
        QUIRE_TRY(model::start_helper({.name = "quired-http", .niceness = model::kBesideTheCore},
                                      [loop = server->loop_.get()] { loop->run(); }));
    return server;
  } catch (const std::exception& failure) {
    return model::make_error(model::Errc::kResourceExhausted,
                             std::string("--http_address: ") + failure.what());
  }
}

}  // namespace quire::server
