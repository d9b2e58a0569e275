#include "tests/support/power_recorder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <utility>

#include "model/check.h"
#include "model/fd_guard.h"
#include "tests/support/observed_engine.h"

namespace quire::tests {

namespace fs = std::filesystem;
using tiering::IoKind;

namespace {

constexpr size_t kSector = 512;
constexpr size_t kBlock = 4096;

struct Change {
  uint64_t id = 0;       // of a data write
  bool done = true;      // came back; an append always did
  bool is_size = false;  // the file has size `offset` from here on
  uint64_t offset = 0;
  std::string bytes;
};

struct File {
  std::string certain;
  std::vector<Change> pending;
};

struct NameChange {
  FileOperation operation = FileOperation::kCreate;
  std::string path;
  std::string target;
  size_t file = 0;  // kCreate
};

void write_to(std::string& content, const Change& change) {
  if (change.is_size) {
    content.resize(change.offset);
    return;
  }
  if (content.size() < change.offset + change.bytes.size()) {
    content.resize(change.offset + change.bytes.size());
  }
  std::copy(change.bytes.begin(), change.bytes.end(),
            content.begin() + static_cast<long>(change.offset));
}

void rename_in(std::map<std::string, size_t>& names, const NameChange& change) {
  if (change.operation == FileOperation::kCreate) {
    names[change.path] = change.file;
  } else if (change.operation == FileOperation::kDelete) {
    names.erase(change.path);
  } else if (const auto at = names.find(change.path); at != names.end()) {
    names[change.target] = at->second;
    names.erase(change.path);
  }
}

// Sparse where it is zero.
void write_file(const std::string& path, const std::string& content) {
  const model::FdGuard file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  QUIRE_CHECK(file.valid() && ::ftruncate(file.get(), static_cast<off_t>(content.size())) == 0);
  const std::string zero(kBlock, '\0');
  for (size_t at = 0; at < content.size(); at += kBlock) {
    const size_t bytes = std::min(kBlock, content.size() - at);
    if (content.compare(at, bytes, zero, 0, bytes) == 0) continue;
    QUIRE_CHECK(::pwrite(file.get(), content.data() + at, bytes, static_cast<off_t>(at)) ==
                static_cast<ssize_t>(bytes));
  }
}

std::string parent_of(const std::string& path) { return fs::path(path).parent_path(); }

}  // namespace

// The state of the device as the log goes on.
class PowerReplay {
 public:
  using Event = PowerRecorder::Event;
  using Kind = PowerRecorder::Kind;

  // True: what follows is certain to be on the device only after this event.
  static bool is_sync(const Event& event) {
    return event.kind == Kind::kSyncDone ||
           (event.kind == Kind::kManifest && (event.operation == FileOperation::kSync ||
                                              event.operation == FileOperation::kSyncDirectory));
  }

  void play(const Event& event) {
    switch (event.kind) {
      case Kind::kWriteBegun:
        data_file(event.path)
            .pending.push_back(
                {.id = event.id, .done = false, .offset = event.offset, .bytes = event.bytes});
        break;
      case Kind::kWriteDone:
        for (Change& change : data_file(event.path).pending) {
          if (change.id == event.id) change.done = true;
        }
        break;
      case Kind::kGrown:
        grow(event);
        break;
      case Kind::kSyncBegun:
        begin_sync(event);
        break;
      case Kind::kSyncDone:
        end_sync(event);
        break;
      case Kind::kSmallFile:
        small_files_[event.path] = event.bytes;
        break;
      case Kind::kManifest:
        play_manifest(event);
        break;
      case Kind::kNote:
        notes_.push_back(event.bytes);
        break;
    }
  }

  // random: null for what is certain alone.
  void write_image(const std::string& path, std::mt19937_64* random) const {
    fs::create_directories(path + "/layouts");
    fs::create_directories(path + "/manifest");
    for (const auto& [name, bytes] : small_files_) write_file(path + "/" + name, bytes);
    for (const auto& [name, file] : data_files_) {
      write_file(path + "/" + name, content_of(files_[file], random));
    }
    std::map<std::string, size_t> names = certain_names_;
    const size_t made = random == nullptr ? 0 : (*random)() % (pending_names_.size() + 1);
    for (size_t i = 0; i < made; ++i) rename_in(names, pending_names_[i]);
    for (const auto& [name, file] : names) {
      write_file(path + "/" + name, content_of(files_[file], random));
    }
  }
  const std::vector<std::string>& notes() const { return notes_; }
  bool has_unsynced() const {
    return !pending_names_.empty() || std::any_of(files_.begin(), files_.end(),
                                                  [](const File& f) { return !f.pending.empty(); });
  }

 private:
  File& data_file(const std::string& path) {
    const auto [at, added] = data_files_.try_emplace(path, files_.size());
    if (added) files_.emplace_back();
    return files_[at->second];
  }
  File& manifest_file(const std::string& path) {
    const auto at = names_.find(path);
    QUIRE_CHECK(at != names_.end());
    return files_[at->second];
  }

  void grow(const Event& event) {
    File& file = data_file(event.path);
    uint64_t size = file.certain.size();
    for (const Change& change : file.pending) {
      if (change.is_size) size = std::max(size, change.offset);
    }
    if (event.offset > size) file.pending.push_back({.is_size = true, .offset = event.offset});
  }

  void begin_sync(const Event& event) {
    std::vector<Change>& pending = data_file(event.path).pending;
    for (const Change& change : pending) {
      if (change.done) covered_[event.id].insert(&change - pending.data());
    }
    synced_changes_[event.id] = pending.size();
  }

  // What had come back when the sync began leads the list still: only syncs take from it, and the
  // tier has one at a time of a file.
  void end_sync(const Event& event) {
    File& file = data_file(event.path);
    std::vector<Change> left;
    for (size_t i = 0; i < file.pending.size(); ++i) {
      const bool certain =
          i < synced_changes_[event.id] && covered_[event.id].contains(static_cast<ptrdiff_t>(i));
      if (certain) {
        write_to(file.certain, file.pending[i]);
      } else {
        left.push_back(std::move(file.pending[i]));
      }
    }
    file.pending = std::move(left);
  }

  void play_manifest(const Event& event) {
    switch (event.operation) {
      case FileOperation::kCreate:
        change_name({event.operation, event.path, "", files_.size()});
        files_.emplace_back();
        break;
      case FileOperation::kRename:
      case FileOperation::kDelete:
        change_name({event.operation, event.path, event.target, 0});
        break;
      case FileOperation::kAppend:
        manifest_file(event.path).pending.push_back({.offset = event.offset, .bytes = event.bytes});
        break;
      case FileOperation::kTruncate:
        manifest_file(event.path).pending.push_back({.is_size = true, .offset = event.offset});
        break;
      case FileOperation::kSync: {
        File& file = manifest_file(event.path);
        for (const Change& change : file.pending) write_to(file.certain, change);
        file.pending.clear();
        break;
      }
      case FileOperation::kSyncDirectory:
        std::erase_if(pending_names_, [&](const NameChange& change) {
          if (parent_of(change.path) != event.path) return false;
          rename_in(certain_names_, change);
          return true;
        });
        break;
      default:
        break;
    }
  }

  void change_name(NameChange change) {
    rename_in(names_, change);
    pending_names_.push_back(std::move(change));
  }

  static std::string content_of(const File& file, std::mt19937_64* random) {
    std::string content = file.certain;
    if (random == nullptr) return content;
    const uint64_t mood = (*random)() % 4;  // all, none, or some of it
    for (const Change& change : file.pending) {
      if (mood == 0 || (mood > 1 && change.is_size && (*random)() % 2 == 0)) continue;
      if (mood == 1 || change.is_size) {
        write_to(content, change);
        continue;
      }
      apply_torn(content, change, mood == 2 ? kSector : kBlock, *random);
    }
    return content;
  }

  static void apply_torn(std::string& content, const Change& change, size_t unit,
                         std::mt19937_64& random) {
    for (size_t at = 0; at < change.bytes.size();) {
      // Units are those of the device.
      const size_t end =
          std::min(change.bytes.size(), ((change.offset + at) / unit + 1) * unit - change.offset);
      if (random() % 2 == 0) {
        write_to(content,
                 {.offset = change.offset + at, .bytes = change.bytes.substr(at, end - at)});
      }
      at = end;
    }
  }

  std::vector<File> files_;
  std::map<std::string, std::string> small_files_;
  std::map<std::string, size_t> data_files_;
  std::map<std::string, size_t> names_;  // of the manifest, as a running process sees them
  std::map<std::string, size_t> certain_names_;
  std::vector<NameChange> pending_names_;
  std::map<uint64_t, std::set<ptrdiff_t>> covered_;  // by sync: changes it makes certain
  std::map<uint64_t, size_t> synced_changes_;
  std::vector<std::string> notes_;
};

PowerRecorder::PowerRecorder(std::string ssd_path) : ssd_path_(std::move(ssd_path)) {
  file_system_.skip_device_syncs();  // images are made of the log, not of the device
  file_system_.set_hook([this](const FileEvent& change) { on_change(change); });
}

server::DaemonSeams PowerRecorder::seams() {
  server::DaemonSeams seams;
  seams.manifest_env = file_system_.env();
  seams.wrap_engine = [this](std::unique_ptr<tiering::IoEngine> inner) {
    return std::make_unique<ObservedEngine>(
        std::move(inner),
        ObservedEngine::Observer{
            .on_submit = [this](const tiering::IoOp& op) { on_submit(op); },
            .on_done = [this](const tiering::IoOp& op) { on_done(op); },
            .on_file = [this](int fd, tiering::FileIndex file) { on_file(fd, file); }});
  };
  return seams;
}

std::string PowerRecorder::relative(std::string path) const {
  while (path.ends_with('/')) path.pop_back();
  return path == ssd_path_ ? "" : path.substr(ssd_path_.size() + 1);
}

void PowerRecorder::note(const std::string& line) {
  const std::lock_guard lock(mutex_);
  events_.push_back({.kind = Kind::kNote, .bytes = line});
}

void PowerRecorder::on_file(int fd, tiering::FileIndex file) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const std::lock_guard lock(mutex_);
  data_files_[file.value] = relative(fs::read_symlink(link));
}

void PowerRecorder::on_submit(const tiering::IoOp& op) {
  const std::lock_guard lock(mutex_);
  if (op.kind == IoKind::kRead) return;
  look_for_small_files();
  Event event{.id = next_id_++, .path = data_files_.at(op.file.value), .offset = op.offset};
  under_way_[&op] = event.id;
  if (op.kind == IoKind::kAllocate || op.kind == IoKind::kDeallocate) return;
  event.kind = op.kind == IoKind::kWrite ? Kind::kWriteBegun : Kind::kSyncBegun;
  if (op.kind == IoKind::kWrite) event.bytes.assign(reinterpret_cast<char*>(op.data), op.bytes);
  events_.push_back(std::move(event));
}

void PowerRecorder::on_done(const tiering::IoOp& op) {
  const std::lock_guard lock(mutex_);
  // What lay in blocks that are given back may be there still: nothing names it any more.
  if (op.kind == IoKind::kRead || op.kind == IoKind::kDeallocate || op.error != 0) return;
  Event event{.id = under_way_.at(&op), .path = data_files_.at(op.file.value)};
  if (op.kind == IoKind::kWrite) event.kind = Kind::kWriteDone;
  if (op.kind == IoKind::kSync) event.kind = Kind::kSyncDone;
  if (op.kind == IoKind::kAllocate) {
    event.kind = Kind::kGrown;
    event.offset = op.offset + op.bytes;
  }
  events_.push_back(std::move(event));
}

void PowerRecorder::on_change(const FileEvent& change) {
  const std::lock_guard lock(mutex_);
  look_for_small_files();
  events_.push_back({.kind = Kind::kManifest,
                     .operation = change.operation,
                     .path = relative(change.path),
                     .target = change.target.empty() ? "" : relative(change.target),
                     .offset = change.offset,
                     .bytes = std::string(change.data)});
}

// Each is written, synced and named before the first operation that relies on it.
void PowerRecorder::look_for_small_files() {
  std::vector<std::string> names = {"superblock", "superblock.2"};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(ssd_path_ + "/layouts", ignored)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".new")) names.push_back("layouts/" + name);
  }
  for (const std::string& name : names) {
    if (small_files_.contains(name)) continue;
    std::ifstream file(ssd_path_ + "/" + name, std::ios::binary);
    if (!file.is_open()) continue;
    small_files_.insert(name);
    events_.push_back({.kind = Kind::kSmallFile,
                       .path = name,
                       .bytes = {std::istreambuf_iterator<char>(file), {}}});
  }
}

uint64_t PowerRecorder::for_each_image(const std::string& scratch, const ImageOptions& options,
                                       const std::function<bool(const Image&)>& visit) const {
  PowerReplay replay;
  std::mt19937_64 random(options.seed);
  uint64_t count = 0;
  const auto make = [&](size_t point, std::mt19937_64* choice) {
    const Image image{.path = scratch + "/image" + std::to_string(count++),
                      .what = "point " + std::to_string(point) + " of " +
                              std::to_string(events_.size()) + ", seed " +
                              std::to_string(options.seed) + ", image " + std::to_string(count) +
                              (choice == nullptr ? ", synced only" : ""),
                      .notes = replay.notes()};
    replay.write_image(image.path, choice);
    const bool go_on = visit(image);
    fs::remove_all(image.path);
    return go_on;
  };
  for (size_t point = 0; point < events_.size(); ++point) {
    const bool is_cut = PowerReplay::is_sync(events_[point]);
    // Before the sync there is most to be lost.
    for (uint32_t i = 0; is_cut && replay.has_unsynced() && i < options.at_each_sync; ++i) {
      if (!make(point, &random)) return count;
    }
    replay.play(events_[point]);
    if ((is_cut || point + 1 == events_.size()) && !make(point, nullptr)) return count;
  }
  return count;
}

}  // namespace quire::tests
