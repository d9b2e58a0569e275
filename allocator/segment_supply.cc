#include "allocator/segment_supply.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include "model/helper_thread.h"

namespace quire::allocator {
namespace {

using model::HelperThread;

constexpr uint64_t kMinSegmentBytes = 2ull << 20;  // one huge page
// What a client keeps is looked at again so often: a system call for each.
constexpr std::chrono::milliseconds kKeptInterval{50};

uint32_t segments_within(const SegmentSupplyOptions& options) {
  QUIRE_CHECK(options.segment_bytes >= kMinSegmentBytes);
  return static_cast<uint32_t>(
      std::min<uint64_t>(options.budget_bytes / options.segment_bytes, kMaxSegments));
}

uint64_t huge_bytes_of(const Segment& segment) {
  return segment.page_size_log2() >= 21 ? segment.bytes() : 0;
}

struct Returned {
  uint16_t owner = 0;
  uint64_t huge_bytes = 0;
  SegmentRemains remains;
};

// What the core and the private thread share. Lists never exceed max_segments.
struct Stock {
  std::vector<std::unique_ptr<Segment>> spare;
  std::vector<Returned> closing;  // given back; the private thread unmaps them
  std::vector<Returned> kept;     // unmapped, but another process holds the memory
  std::vector<uint16_t> gone;     // owners of what is closed since take_gone()
  uint32_t given_out = 0;
  uint32_t alive = 0;  // spare + given out + closing + kept + the one being made or unmapped now
  uint64_t huge_bytes = 0;
  std::string failure;
  // While there is a failure: one more attempt may be made, or waits for its time.
  bool may_retry = false;
  int64_t retry_at_ns = 0;  // 0: tick() has not seen the failure yet
  int64_t back_off_ns = 0;  // before the last attempt
};

}  // namespace

// Making and unmapping a segment both take long, so both happen on the private thread with the lock
// released; the core only moves pointers under it.
struct SegmentSupply::State {
  explicit State(SegmentSupplyOptions given)
      : options(std::move(given)), max_segments(segments_within(options)) {
    // The core moves pointers under the lock, and allocates nothing there.
    stock.spare.reserve(max_segments);
    stock.closing.reserve(max_segments);
    stock.kept.reserve(max_segments);
    stock.gone.reserve(max_segments);
  }

  std::chrono::milliseconds step(const std::stop_token& stop);
  bool can_make() const {
    return (stock.failure.empty() || stock.may_retry) && stock.alive < max_segments;
  }
  void start_thread();
  void fail(std::string text);
  void make_one(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void close_one(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void tell(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void look_at_kept();
  void count_gone(const Returned& returned);

  const SegmentSupplyOptions options;
  const uint32_t max_segments;
  mutable std::mutex mutex;
  Stock stock;  // under mutex
  // The private thread sets it after the stock changed (release), the core takes it (acquire) and
  // asks for the stock under the mutex.
  std::atomic<bool> news{false};
  HelperThread thread;  // last: joined before what it uses goes away
};

// What is left at the end is closed with the stock, and nothing is made any more.
std::chrono::milliseconds SegmentSupply::State::step(const std::stop_token& stop) {
  if (stop.stop_requested()) return HelperThread::kUntilWoken;
  std::unique_lock lock(mutex);
  // First: what is closed is room for what is made.
  if (!stock.closing.empty()) {
    close_one(lock, stop);
    return HelperThread::kAtOnce;
  }
  if (can_make()) {
    make_one(lock, stop);
    return HelperThread::kAtOnce;
  }
  look_at_kept();
  if (can_make()) return HelperThread::kAtOnce;  // of the share of one that is gone
  return stock.kept.empty() ? HelperThread::kUntilWoken : kKeptInterval;
}

void SegmentSupply::State::make_one(std::unique_lock<std::mutex>& lock,
                                    const std::stop_token& stop) {
  // Counted before it is there: state() sees that one comes, and the budget is not passed.
  ++stock.alive;
  lock.unlock();
  auto made = Segment::create(options.segment_bytes, options.huge_pages, options.population,
                              {.stop = stop, .memory_limit_bytes = options.memory_limit_bytes});
  lock.lock();
  if (made.ok()) {
    stock.huge_bytes += huge_bytes_of(**made);
    stock.spare.push_back(std::move(made).value());
    stock.failure.clear();
    stock.back_off_ns = 0;
  } else {
    --stock.alive;
    fail(made.error().text);
  }
  tell(lock, stop);
}

void SegmentSupply::State::tell(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  lock.unlock();
  news.store(true, std::memory_order_release);  // before the core is woken, which looks at it
  // Without the lock: the core, once woken, asks for the stock at once.
  if (options.on_ready && !stop.stop_requested()) options.on_ready();
  lock.lock();
}

void SegmentSupply::State::close_one(std::unique_lock<std::mutex>& lock,
                                     const std::stop_token& stop) {
  // Out of the list before the lock is let go; it counts as alive until its memory is gone.
  Returned returned = std::move(stock.closing.back());
  stock.closing.pop_back();
  lock.unlock();
  const bool kept = returned.remains.is_kept();
  lock.lock();
  if (kept) {
    stock.kept.push_back(std::move(returned));
    tell(lock, stop);  // until now one seemed to be coming
  } else {
    count_gone(returned);
  }
}

// Bounded by the budget; each is one system call, so the lock is not held for long.
void SegmentSupply::State::look_at_kept() {
  std::erase_if(stock.kept, [this](Returned& returned) {
    if (returned.remains.is_kept()) return false;
    count_gone(returned);
    return true;
  });
}

void SegmentSupply::State::count_gone(const Returned& returned) {
  stock.huge_bytes -= returned.huge_bytes;
  --stock.alive;
  stock.gone.push_back(returned.owner);
}

void SegmentSupply::State::fail(std::string text) {
  stock.failure = std::move(text);
  stock.may_retry = false;
  stock.retry_at_ns = 0;
}

// Under the mutex, which the new thread waits for. Keeps its share of the processor: a client waits
// for what it makes.
void SegmentSupply::State::start_thread() {
  auto started = thread.start({.name = "quire-supply", .on_caller = options.on_caller},
                              [this](const std::stop_token& stop) { return step(stop); });
  if (!started.ok()) fail(std::move(started).error().text);
}

SegmentSupply::SegmentSupply(SegmentSupplyOptions options)
    : state_(std::make_unique<State>(std::move(options))) {
  {
    std::lock_guard lock(state_->mutex);
    state_->start_thread();
  }
  state_->thread.wake();  // a thread looks by itself
}

SegmentSupply::~SegmentSupply() = default;

SupplyState SegmentSupply::state() const {
  std::lock_guard lock(state_->mutex);
  const Stock& stock = state_->stock;
  if (!stock.spare.empty()) return SupplyState::kReady;
  // What is alive beyond those given out or kept is on its way: being made, or being closed. After
  // a failure nothing is promised, whatever is tried.
  const bool one_comes = stock.alive > stock.given_out + stock.kept.size() || state_->can_make();
  return one_comes && stock.failure.empty() ? SupplyState::kPending : SupplyState::kExhausted;
}

std::unique_ptr<Segment> SegmentSupply::take() {
  std::lock_guard lock(state_->mutex);
  Stock& stock = state_->stock;
  if (stock.spare.empty()) return nullptr;
  std::unique_ptr<Segment> segment = std::move(stock.spare.back());
  stock.spare.pop_back();
  ++stock.given_out;
  return segment;
}

void SegmentSupply::give_back(std::unique_ptr<Segment> segment, uint16_t owner) {
  QUIRE_CHECK(segment != nullptr);
  const uint64_t huge_bytes = huge_bytes_of(*segment);
  {
    std::lock_guard lock(state_->mutex);
    QUIRE_CHECK(state_->stock.given_out > 0);
    --state_->stock.given_out;
    state_->stock.closing.push_back({owner, huge_bytes, SegmentRemains(std::move(segment))});
  }
  // Without the lock: a simulation's thread steps in wake(), and takes it.
  state_->thread.wake();
}

std::vector<uint16_t> SegmentSupply::take_gone() {
  std::lock_guard lock(state_->mutex);
  std::vector<uint16_t> gone(state_->stock.gone);
  state_->stock.gone.clear();
  return gone;
}

void SegmentSupply::tick(int64_t now_ns) {
  {
    std::lock_guard lock(state_->mutex);
    Stock& stock = state_->stock;
    if (stock.failure.empty() || stock.may_retry) return;
    if (stock.retry_at_ns == 0) {
      stock.back_off_ns = std::clamp(2 * stock.back_off_ns, kFirstRetryNs, kLastRetryNs);
      stock.retry_at_ns = now_ns + stock.back_off_ns;
    }
    if (now_ns < stock.retry_at_ns) return;
    stock.may_retry = true;
    if (!state_->thread.started()) state_->start_thread();
  }
  state_->thread.wake();
}

SupplyStatus SegmentSupply::status() const {
  std::lock_guard lock(state_->mutex);
  const Stock& stock = state_->stock;
  SupplyStatus status;
  status.max_segments = state_->max_segments;
  status.spare = stock.spare.size();
  status.given_out = stock.given_out;
  status.kept = stock.kept.size();
  status.huge_bytes = stock.huge_bytes;
  status.failure = stock.failure;
  return status;
}

uint64_t SegmentSupply::segment_bytes() const { return state_->options.segment_bytes; }

uint32_t SegmentSupply::max_segments() const { return state_->max_segments; }

bool SegmentSupply::take_news() {
  // Asked each turn of the core: the plain load does not take the cache line from the other thread.
  return state_->news.load(std::memory_order_relaxed) &&
         state_->news.exchange(false, std::memory_order_acquire);
}

bool SegmentSupply::has_failed() const {
  std::lock_guard lock(state_->mutex);
  return !state_->stock.failure.empty();
}

}  // namespace quire::allocator
