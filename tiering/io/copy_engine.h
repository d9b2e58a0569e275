// The seam for moving page bytes off the core thread: staging to pool, and checks of resident
// pages. CRC32C (iSCSI polynomial, RFC 3720) is computed in the same pass over the bytes.
//
// The submitter owns a task and its pages until poll() returns it. Core thread calls submit and
// poll.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quire::tiering {

struct CopyPage {
  const std::byte* source = nullptr;
  std::byte* target = nullptr;  // null: only compute the checksum of source
  uint64_t bytes = 0;
  uint32_t crc32c = 0;  // out
};

struct CopyTask {
  uint64_t id = 0;      // the submitter's
  uint32_t client = 0;  // tasks of one client are worked on in order, clients take turns
  std::span<CopyPage> pages;
  // Done with the pages instead; null: they are copied and checked.
  void (*other_work)(CopyTask& task) = nullptr;

  // The engine's, between submit and poll: how far it is, and its queue.
  size_t page = 0;
  uint64_t page_offset = 0;
  CopyTask* next = nullptr;
};

// Goes on with the task on the calling thread, for at most `max_bytes` (other work is done whole).
// True when it is finished. Every engine ends here.
bool run_copy_piece(CopyTask& task, uint64_t max_bytes);
// All of it.
void run_copy_task(CopyTask& task);

class CopyEngine {
 public:
  virtual ~CopyEngine() = default;
  // False when the bounded queue is full; nothing was taken.
  virtual bool submit(CopyTask* task) = 0;
  // Moves finished tasks into `done`, in no particular order; returns how many. Never blocks.
  virtual size_t poll(std::span<CopyTask*> done) = 0;
  // Tasks submitted and not yet returned by poll().
  virtual size_t in_flight() const = 0;
};

// Copies on the calling thread at submit(), and returns tasks in the order of submission. For
// simulation and small tools.
class InlineCopyEngine final : public CopyEngine {
 public:
  explicit InlineCopyEngine(size_t queue_entries);
  bool submit(CopyTask* task) override;
  size_t poll(std::span<CopyTask*> done) override;
  size_t in_flight() const override { return finished_.size(); }

 private:
  size_t queue_entries_;
  std::vector<CopyTask*> finished_;  // oldest first; capacity is taken at construction
};

}  // namespace quire::tiering
