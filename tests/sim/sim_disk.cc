#include "tests/sim/sim_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "model/check.h"

namespace quire::tests {

using tiering::FileIndex;
using tiering::IoKind;
using tiering::IoOp;

namespace {

constexpr int64_t kNsPerUs = 1000;
constexpr int64_t kHangNs = 1'500'000'000;  // longer than the tier is patient

}  // namespace

model::Result<FileIndex> SimDisk::add_file(int fd) {
  struct stat status {};
  QUIRE_CHECK(::fstat(fd, &status) == 0);
  File& file = files_[status.st_ino];
  // Opened anew for writing where the first one was for reading.
  file.fd = model::FdGuard(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  QUIRE_CHECK(file.fd.valid());
  const auto free = std::find(places_.begin(), places_.end(), nullptr);
  const auto place = static_cast<uint32_t>(free - places_.begin());
  if (free == places_.end()) places_.push_back(nullptr);
  places_[place] = &file;
  return FileIndex{place};
}

bool SimDisk::happens(uint32_t one_in) {
  if (!random_->one_in(one_in)) return false;
  ++fault_count_;
  return true;
}

bool SimDisk::submit(IoOp* op) {
  if (in_flight() == kDepth) return false;
  op->error = 0;
  op->transferred = 0;
  queued_.push_back(op);
  return true;
}

int64_t SimDisk::duration(const IoOp& op) {
  if (happens(faults_.hang)) return kHangNs;
  const uint32_t slowest_us = op.kind == IoKind::kSync ? 4000 : 1500;
  return random_->below(slowest_us) * kNsPerUs;
}

void SimDisk::flush() {
  for (IoOp* op : std::exchange(queued_, {})) {
    QUIRE_CHECK(op->file.value < places_.size() && places_[op->file.value] != nullptr);
    under_way_.push_back(
        {op, places_[op->file.value], clock_->now_ns() + duration(*op), next_number_++});
  }
}

size_t SimDisk::poll(std::span<IoOp*> done) {
  size_t count = 0;
  const int64_t now_ns = clock_->now_ns();
  for (size_t i = 0; i < under_way_.size() && count < done.size();) {
    if (under_way_[i].due_ns > now_ns) {
      ++i;
      continue;
    }
    Flight flight = under_way_[i];
    under_way_[i] = under_way_.back();
    under_way_.pop_back();
    finish(flight);
    done[count++] = flight.op;
  }
  // Any order.
  for (size_t i = count; i > 1; --i) {
    std::swap(done[i - 1], done[random_->below(static_cast<uint32_t>(i))]);
  }
  return count;
}

void SimDisk::finish(Flight& flight) {
  IoOp& op = *flight.op;
  switch (op.kind) {
    case IoKind::kRead:
      return read(flight);
    case IoKind::kWrite:
      return write(flight);
    case IoKind::kSync:
      return sync(flight);
    case IoKind::kAllocate: {
      if (happens(faults_.full)) {
        op.error = ENOSPC;
        return;
      }
      // The length alone: memory comes with the writes.
      struct stat status {};
      QUIRE_CHECK(::fstat(flight.file->fd.get(), &status) == 0);
      const uint64_t end = std::max<uint64_t>(status.st_size, op.offset + op.bytes);
      QUIRE_CHECK(::ftruncate(flight.file->fd.get(), static_cast<off_t>(end)) == 0);
      return;
    }
    case IoKind::kDeallocate:
      QUIRE_CHECK(::fallocate(flight.file->fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(op.offset), static_cast<off_t>(op.bytes)) == 0);
      return;
  }
}

void SimDisk::flip_bit(std::span<std::byte> bytes) {
  ++damage_count_;
  const uint64_t bit = random_->number() % (bytes.size() * 8);
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
}

void SimDisk::read(Flight& flight) {
  IoOp& op = *flight.op;
  const std::span<std::byte> memory(op.data, op.bytes);
  std::memset(op.data, 0xDD, op.bytes);  // whoever ignores errors is caught by what it reads
  if (happens(faults_.fail)) {
    op.error = EIO;
    return;
  }
  uint64_t bytes = op.bytes;
  if (happens(faults_.shorten))
    bytes = random_->below(static_cast<uint32_t>(bytes / kBlock)) * kBlock;
  const ssize_t got = ::pread(flight.file->fd.get(), op.data, bytes, static_cast<off_t>(op.offset));
  QUIRE_CHECK(got >= 0);
  op.transferred = static_cast<uint64_t>(got);
  if (op.transferred < op.bytes) {
    op.error = ENODATA;
    return;
  }
  if (happens(faults_.flip)) flip_bit(memory);
}

// Remembers what was there, for a crash.
void SimDisk::write_blocks(File& file, uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  Undo& undo = file.undo.emplace_back();
  undo.number = next_number_;
  undo.offset = offset;
  undo.before.resize(bytes.size());  // zeros where the file ends
  QUIRE_CHECK(
      ::pread(file.fd.get(), undo.before.data(), bytes.size(), static_cast<off_t>(offset)) >= 0);
  QUIRE_CHECK(::pwrite(file.fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
              static_cast<ssize_t>(bytes.size()));
}

void SimDisk::write(Flight& flight) {
  IoOp& op = *flight.op;
  if (happens(faults_.fail)) {
    op.error = EIO;
    return;
  }
  uint64_t bytes = op.bytes;
  if (happens(faults_.shorten))
    bytes = random_->below(static_cast<uint32_t>(bytes / kBlock)) * kBlock;
  write_blocks(*flight.file, op.offset, std::span(op.data, bytes));
  op.transferred = bytes;
  if (bytes < op.bytes) {
    op.error = ENODATA;
    return;
  }
  if (!happens(faults_.rot)) return;
  std::vector<std::byte> copy(op.data, op.data + op.bytes);
  flip_bit(copy);
  write_blocks(*flight.file, op.offset, copy);
}

// Covers the writes that were told before it was flushed, and no others.
void SimDisk::sync(Flight& flight) {
  if (happens(faults_.fail_sync)) {
    flight.op->error = EIO;
    return;
  }
  std::deque<Undo>& undo = flight.file->undo;
  std::erase_if(undo, [&](const Undo& one) { return one.number <= flight.number; });
}

void SimDisk::crash() {
  queued_.clear();
  for (const Flight& flight : std::exchange(under_way_, {})) {
    if (flight.op->kind != IoKind::kWrite) continue;
    write_blocks(*flight.file, flight.op->offset, std::span(flight.op->data, flight.op->bytes));
  }
  for (auto& [inode, file] : files_) lose_writes(file);
}

// Block by block, the latest first: once one stays, what was written there before it stays too.
void SimDisk::lose_writes(File& file) {
  std::set<uint64_t> kept;
  for (auto undo = file.undo.rbegin(); undo != file.undo.rend(); ++undo) {
    for (uint64_t at = 0; at < undo->before.size(); at += kBlock) {
      const uint64_t offset = undo->offset + at;
      if (kept.contains(offset)) continue;
      if (random_->one_in(2)) {
        kept.insert(offset);
        continue;
      }
      const uint64_t bytes = std::min<uint64_t>(kBlock, undo->before.size() - at);
      QUIRE_CHECK(::pwrite(file.fd.get(), undo->before.data() + at, bytes,
                           static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes));
    }
  }
  file.undo.clear();
}

}  // namespace quire::tests
