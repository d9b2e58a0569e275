// What is going on when a daemon with an SSD tier is killed or loses its power, and what must be
// found afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "server/daemon.h"

namespace quire::tests {

inline constexpr uint64_t kCrashBytes = 4ull << 20;  // of the workload's data files
// Where others write too: a region for each of their slot sizes.
inline constexpr uint64_t kRoomForOthers = 16ull << 20;

server::Options crash_options(const std::string& ssd_path);

// What lies on the device: pages as they are; or, for what is written to the slots of others,
// encoded ones.
enum class CrashContent { kPlain, kEncoded };

// Contexts are committed, become durable, are given up, and others are written to their slots; then
// the daemon stops. Tells what a client may rely on, in order: "durable 3" when all of context 3
// is, "dropping 3" before it is given up.
void run_crash_workload(const std::string& ssd_path, const server::DaemonSeams& seams,
                        const std::function<void(const std::string&)>& tell,
                        CrashContent content = CrashContent::kPlain);

// Keeps the contexts that are durable by what was told so far.
void note_told(std::set<uint64_t>& durable, const std::string& line);

// Opens the directory with a new daemon. Durable contexts are there to the last byte; of the others
// is what is there right to the last byte; every object that the manifest names is whole; the
// invariants hold. Returns what is wrong, empty when nothing is.
std::string check_after_crash(const std::string& ssd_path, const std::set<uint64_t>& durable,
                              CrashContent content = CrashContent::kPlain,
                              uint64_t ssd_bytes = kCrashBytes);

// What an operator changes between two starts, or who comes first.
enum class ChangedStart : uint8_t {
  kSegments,
  kRegions,
  kMoreBytes,
  kFewerBytes,
  kEngine,
  kCodec,
  kFewNodes,
  kOtherLayout,
  kOtherUser,
};
inline constexpr uint64_t kChangedStarts = 9;
// Opens the directory with a daemon of these options, and stops it. Returns what is wrong.
std::string start_changed(const std::string& ssd_path, ChangedStart how);

}  // namespace quire::tests
