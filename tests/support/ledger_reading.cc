#include "tests/support/ledger_reading.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "model/check.h"
#include "server/metering/ledger_reader.h"

namespace quire::tests {

using namespace model;

namespace {

void read_entry(const LedgerBlock& block, const LedgerEntry& entry, ReadLedger& read) {
  switch (entry.type) {
    case EntryType::kReceipt: {
      ReadReceipt receipt{entry.position, *read_record<ReceiptRecord>(entry, entry.type), {}};
      for (const std::string_view text : block.texts_of(receipt.record)) {
        receipt.texts.emplace_back(text);
      }
      if (const auto sums = check_sums(receipt.record); !sums.ok()) {
        read.faults.push_back(to_text(entry.position) + ": " + sums.error().text);
      }
      read.receipts.push_back(std::move(receipt));
      return;
    }
    case EntryType::kStorage: {
      const auto record = *read_record<StorageRecord>(entry, entry.type);
      read.storage.push_back({record, std::string(block.text(record.tenant)),
                              std::string(block.text(record.retention))});
      return;
    }
    case EntryType::kStart:
      return read.starts.push_back(*read_record<StartRecord>(entry, entry.type));
    case EntryType::kStop:
      return read.stops.push_back(*read_record<StopRecord>(entry, entry.type));
    case EntryType::kLost:
      return read.lost.push_back(*read_record<LostRecord>(entry, entry.type));
    case EntryType::kPruned:
      return read.pruned.push_back(*read_record<PrunedRecord>(entry, entry.type));
  }
  read.faults.push_back(to_text(entry.position) + ": of an unknown kind");
}

void read_block(std::string_view payload, LedgerChain& chain, ReadLedger& read) {
  const auto block = LedgerBlock::parse(payload);
  if (!block.ok()) return chain.add_unreadable({}, block.error());
  chain.add(*block);
  for (const LedgerEntry& entry : block->entries()) read_entry(*block, entry, read);
}

}  // namespace

ReadLedger parse_ledger(std::string_view stream) {
  ReadLedger read;
  LedgerChain chain([&](const LedgerFault& fault) { read.faults.push_back(fault.text); });
  StreamReader frames;
  const auto room = frames.room(stream.size() + 1);
  std::memcpy(room.data(), stream.data(), stream.size());
  frames.filled(stream.size());
  while (true) {
    const auto frame = frames.next();
    QUIRE_CHECK(frame.ok());
    if (!frame->has_value()) break;
    const std::string_view payload = (*frame)->payload;
    if ((*frame)->kind == StreamKind::kBlock) {
      read_block(payload, chain, read);
    } else if ((*frame)->kind == StreamKind::kRollup) {
      const auto rollup = parse_rollup(payload);
      QUIRE_CHECK(rollup.ok());
      read.rollups.push_back(
          {rollup->key, rollup->sums, {rollup->texts.begin(), rollup->texts.end()}});
    } else {
      StreamEnd end;
      std::memcpy(&end, payload.data(), sizeof(end));
      if (end.code != 0) read.faults.push_back(end.text.data());
      read.end = end.head;
      read.ended = true;
    }
  }
  if (read.ended && read.rollups.empty()) chain.finish(read.end);
  read.head = chain.head();
  return read;
}

ReadLedger read_ledger(const std::string& path, const server::LedgerQuery& query) {
  const int file = ::memfd_create("ledger", MFD_CLOEXEC);
  QUIRE_CHECK(file >= 0);
  const auto done = server::export_ledger(path, query, FdGuard(::dup(file)));
  ReadLedger failed;
  if (!done.ok()) {
    failed.faults.push_back(done.error().text);
    ::close(file);
    return failed;
  }
  std::string stream(static_cast<size_t>(::lseek(file, 0, SEEK_END)), '\0');
  QUIRE_CHECK(::pread(file, stream.data(), stream.size(), 0) ==
              static_cast<ssize_t>(stream.size()));
  ::close(file);
  return parse_ledger(stream);
}

}  // namespace quire::tests
