// A session's lane (model/session_shm.h) seen from the client: its memory and two rings, producer
// of submissions, consumer of completions. It outlives its session where the daemon keeps it too,
// and then serves another of the same sizes.
//
// 1. In-flight requests (put and not yet taken) never exceed ring_entries, so every completion has
//    room and the daemon never waits for this client.
// 2. Sleeping (model/ring.h): arm() stores client_sleeping = 1 and looks again behind a seq_cst
//    fence; the daemon publishes, fences, then reads the flag. flush() does the mirror image with
//    daemon_sleeping and the doorbell.
// 3. Indexes and completions are the daemon's words: an impossible one is kMalformedFrame.
// Threads: the session's. Lifetime: the mappings live as long as the channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "client/deadline.h"
#include "model/fd_guard.h"
#include "model/result.h"
#include "model/ring.h"
#include "model/ring_frames.h"
#include "model/session_shm.h"
#include "model/wire.h"

namespace quire::client {

class SessionChannel {
 public:
  // Maps what the reply describes. kMalformedFrame when numbers or descriptors do not fit together,
  // kCorrupt when a memfd is smaller than the numbers say. Takes the descriptors it needs.
  static model::Result<SessionChannel> open(const model::OpenSessionReply& reply,
                                            std::vector<model::FdGuard> descriptors);
  // For the session of a reply that names this lane. kMalformedFrame: it is another.
  static model::Result<SessionChannel> reopen(SessionChannel kept,
                                              const model::OpenSessionReply& reply,
                                              std::vector<model::FdGuard> descriptors);
  // The session ended, and nothing of it will be asked any more.
  void rest();

  // The sizes that the daemon gave.
  struct Shape {
    uint32_t ring_entries = 0;
    uint32_t max_units = 0;
    uint32_t max_load_pages = 0;
    bool operator==(const Shape&) const = default;
  };
  const Shape& shape() const { return shape_; }
  uint64_t lane() const { return lane_; }

  // kBusy when ring_entries requests are in flight. Not visible before flush().
  model::Result<void> put(const model::Submission& submission);
  // Makes everything put visible and rings the doorbell if the daemon sleeps.
  void flush();

  // The next completion; nothing when there is none now.
  model::Result<std::optional<model::Completion>> take();
  // Tells the daemon how far take() came.
  void publish_taken();
  bool has_completion() const;
  uint32_t in_flight() const { return in_flight_; }
  // The daemon ended the session: nothing more will complete.
  bool closed() const;

  // Asks the daemon to write the wake-up with its next completion. False, and not armed, when a
  // completion is there already.
  bool arm();
  // Takes the request back and consumes a wake-up that came. Idle call when not armed.
  void disarm();
  struct Woken {
    bool news = false;  // `news_fd` has something, or hung up
  };
  // Sleeps until a completion arrives, news_fd is readable or the deadline passed.
  model::Result<Woken> sleep(int news_fd, Deadline deadline);
  int wakeup_fd() const { return wakeup_.get(); }

  std::span<model::Hash256> hashes() const { return hashes_; }
  std::span<const model::PageDescriptor> descriptors() const { return descriptors_; }
  // The same entries, as a load of runs has them.
  std::span<const model::PageRun> runs(uint64_t first, uint64_t count) const {
    return {reinterpret_cast<const model::PageRun*>(descriptors_.data()) + first, count};
  }
  const model::ProgressHeader& progress() const;
  // Descriptors ready of the load in flight in `slot` (1..kLoadProgressSlots); the daemon's word.
  uint32_t load_ready(uint8_t slot) const;

 private:
  SessionChannel() = default;
  model::Result<void> map_areas(const model::OpenSessionReply& reply,
                                std::span<const model::FdGuard> descriptors);
  void place_rings();
  model::ControlHeader& control() const;
  const model::ReplyHeader& reply() const;

  uint64_t lane_ = 0;
  Shape shape_;
  model::Mapping control_;
  model::Mapping reply_;
  model::Mapping progress_;
  model::FdGuard doorbell_;
  model::FdGuard wakeup_;
  model::RingProducer<model::Submission> submissions_;
  model::RingConsumer<model::Completion> completions_;
  std::span<model::Hash256> hashes_;
  std::span<const model::PageDescriptor> descriptors_;
  uint32_t in_flight_ = 0;
  bool armed_ = false;
};

}  // namespace quire::client
