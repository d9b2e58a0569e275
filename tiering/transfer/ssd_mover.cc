#include "tiering/transfer/ssd_mover.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

namespace {

// Of issue(): a turn of the core ends before the clients of its rings notice.
constexpr uint32_t kOpsPerCall = 4;

}  // namespace

model::Result<std::unique_ptr<SsdMover>> SsdMover::create(const MoverParts& parts,
                                                          const MoverOptions& options) {
  std::unique_ptr<TransferTable> transfers = QUIRE_TRY(TransferTable::create(parts.engine));
  return std::unique_ptr<SsdMover>(new SsdMover(parts, options, std::move(transfers)));
}

SsdMover::SsdMover(const MoverParts& parts, const MoverOptions& options,
                   std::unique_ptr<TransferTable> transfers)
    : parts_(parts),
      transfers_(std::move(transfers)),
      segments_(parts.engine),
      planner_(parts.files, options.merge_bytes),
      checker_({.cache = parts.cache,
                .files = parts.files,
                .forms = parts.forms,
                .instance = parts.instance}),
      queues_(options),
      pace_(parts.estimator, parts.clock) {}

bool SsdMover::moves_for(model::DomainId domain) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const std::span<const Transfer> all = std::as_const(*transfers_).all();
  return std::any_of(all.begin(), all.end(), [&](const Transfer& transfer) {
    if (!transfer.in_use || transfer.object_count == 0) return false;
    const cache::Node& link = tree.node(transfer.objects[0].node);
    if (!link.is_object()) return false;  // settled already, and gone
    const model::RootId root{link.root()};
    return parts_.cache->names().root(root).key.domain == domain;
  });
}

void SsdMover::give_back(Transfer* transfer) {
  parts_.forms->drop(*transfer);
  transfers_->give_back(*transfer);
}

void SsdMover::add_object(Transfer& transfer, model::NodeId node,
                          std::span<const model::SlotId> slots) {
  for (const model::SlotId slot : slots) {
    if (!segments_.cover(parts_.cache->store().pool(), slot)) ++counters_.unregistered_segments;
  }
  add_ram_object(transfer, *parts_.cache, node, slots);
}

// What is written is checked before the device sees it, what is read when it is there.
void SsdMover::start(Transfer& transfer) {
  transfer.checks.assign(transfer.pages.size(), CopyPage{});
  if (transfer.kind == TransferKind::kDemote) {
    for (uint32_t i = 0; i < transfer.object_count; ++i) start_check(transfer, i);
  } else {
    queue(transfer);
  }
}

void SsdMover::queue(Transfer& transfer) {
  planner_.plan(transfer, &client_);
  queues_.push(transfer);
}

void SsdMover::start_check(Transfer& transfer, uint32_t index) {
  if (!checker_.prepare(transfer, index)) return settle(transfer, index, ObjectState::kCorrupt);
  TransferObject& object = transfer.objects[index];
  ++transfer.checks_in_flight;
  const bool waited_for =
      transfer.kind == TransferKind::kPromote && transfer.priority == TransferClass::kInteractive;
  // A long load is faster when its checks overlap with its reads.
  const bool last = queued_bytes_of(TransferClass::kInteractive) == 0;
  const bool encoded = transfer.stored_form != nullptr;
  if (quiet_ && waited_for && last && !encoded) {
    run_copy_task(object.check);
    finish_check(transfer, index);
    return;
  }
  QUIRE_CHECK(parts_.checks->submit(&object.check));
}

void SsdMover::finish_check(Transfer& transfer, uint32_t index) {
  --transfer.checks_in_flight;
  if (transfer.kind != TransferKind::kDemote) {
    return settle(transfer, index, checker_.judge_read(transfer, index));
  }
  transfer.objects[index].state = checker_.judge_write(transfer, index);
  if (transfer.checks_in_flight == 0) write_checked(transfer);
}

// Whatever depends on an object that is not written is not written either: the run ends there.
void SsdMover::write_checked(Transfer& transfer) {
  bool good = true;
  for (uint32_t i = 0; i < transfer.object_count; ++i) {
    const ObjectState state = transfer.objects[i].state;
    good = good && state == ObjectState::kWaiting;
    if (good) {
      checker_.seal_header(transfer, i);
    } else {
      settle(transfer, i, state == ObjectState::kWaiting ? ObjectState::kIoFailed : state);
    }
  }
  queue(transfer);
}

void SsdMover::settle(Transfer& transfer, uint32_t object, ObjectState state) {
  transfer.objects[object].state = state;
  settled_.push_back({&transfer, object});
}

// What a load has of the bytes of an operation.
uint64_t SsdMover::plain_bytes(const Transfer& transfer, const IoOp& io) const {
  if (transfer.stored_form == nullptr) return io.bytes;
  return io.bytes * parts_.forms->object_bytes(transfer.objects[0].node) /
         transfer.stored_slot_bytes;
}

void SsdMover::tell_health(const Transfer& transfer, const IoOp& io) {
  const bool write = io.kind == IoKind::kWrite;
  if (io.error == 0) {
    (write ? counters_.written_bytes : counters_.read_bytes) += io.bytes;
    if (!write) parts_.health->read_succeeded();
    return;
  }
  const std::string what = (write ? "write of " : "read of ") +
                           parts_.files->name_of(transfer.first.region()) + ": " +
                           std::strerror(io.error);
  if (write) {
    parts_.health->write_failed(io.error, what, transfer.progress_ns);
  } else {
    parts_.health->read_failed(io.error, what, transfer.progress_ns);
  }
}

void SsdMover::finish_op(Transfer& transfer, TransferOp& op) {
  transfer.progress_ns = parts_.clock->now_ns();
  --transfer.ops_in_flight;
  queues_.finished(transfer.priority, op.io.bytes);
  if (transfer.kind == TransferKind::kPromote) pace_.ended(plain_bytes(transfer, op.io));
  tell_health(transfer, op.io);
  const bool write = op.io.kind == IoKind::kWrite;
  for (uint32_t i = op.first_object; i <= op.last_object; ++i) {
    TransferObject& object = transfer.objects[i];
    // Merging may have stepped over objects that are not part of the transfer any more.
    if (object.ops_left == 0) continue;
    if (op.io.error != 0) object.failed = true;
    if (--object.ops_left > 0) continue;
    if (object.failed) {
      settle(transfer, i, ObjectState::kIoFailed);
    } else if (write) {
      settle(transfer, i, ObjectState::kGood);
    } else {
      start_check(transfer, i);
    }
  }
}

bool SsdMover::poll() {
  const std::span<IoOp* const> finished = client_.take();
  for (const IoOp* op : finished) {
    Transfer& transfer = (*transfers_)[op->tag >> 32];
    finish_op(transfer, transfer.ops[static_cast<uint32_t>(op->tag)]);
  }
  std::array<CopyTask*, 64> checked;
  const size_t checks = parts_.checks->poll(checked);
  for (size_t i = 0; i < checks; ++i) {
    finish_check((*transfers_)[checked[i]->id / kMaxRunObjects],
                 static_cast<uint32_t>(checked[i]->id % kMaxRunObjects));
  }
  return !finished.empty() || checks > 0;
}

// False when nothing more of this class may go now.
bool SsdMover::issue_from(Transfer& transfer) {
  for (; transfer.next_op < transfer.ops.size(); ++transfer.next_op) {
    IoOp& io = transfer.ops[transfer.next_op].io;
    if (issued_ == kOpsPerCall || !queues_.may_issue(transfer.priority, io.bytes)) return false;
    if (!parts_.io->submit(&io)) return false;
    ++issued_;
    if (transfer.ops_in_flight++ == 0) transfer.progress_ns = parts_.clock->now_ns();
    queues_.issued(transfer.priority, io.bytes);
    ++(io.kind == IoKind::kWrite ? counters_.write_ops : counters_.read_ops);
    if (transfer.kind == TransferKind::kPromote) pace_.begun();
  }
  return true;
}

bool SsdMover::issue() {
  parts_.io->hand_over();
  issued_ = 0;
  for (size_t at = 0; at < kTransferClasses; ++at) {
    const auto one = static_cast<TransferClass>(at);
    for (Transfer* next = queues_.front(one); next != nullptr && issue_from(*next);
         next = queues_.front(one)) {
      queues_.pop(one);
    }
  }
  parts_.io->flush();
  return issued_ == kOpsPerCall;
}

// Each is told once: what does not come back is one failure of the device, however long it lasts.
void SsdMover::find_hangs(int64_t now_ns, int64_t hang_ns) {
  for (Transfer& transfer : transfers_->all()) {
    if (!transfer.in_use || transfer.ops_in_flight == 0 || transfer.hung_reported) continue;
    if (now_ns - transfer.progress_ns < hang_ns) continue;
    transfer.hung_reported = true;
    parts_.health->hung(parts_.files->name_of(transfer.first.region()) +
                            ": an operation has not come back for " +
                            std::to_string((now_ns - transfer.progress_ns) / 1'000'000) + " ms",
                        now_ns);
  }
  while (const auto since = parts_.io->next_hung(now_ns, hang_ns)) {
    parts_.health->hung(
        "a sync or allocation has not come back for " + std::to_string(*since / 1'000'000) + " ms",
        now_ns);
  }
}

void SsdMover::check_invariants() const {
  transfers_->check_invariants();
  queues_.check_invariants();
}

}  // namespace quire::tiering
