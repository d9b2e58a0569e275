// Runs on their way to the cluster.
//
//   asking --not all are there--> copying --as sealed--> putting --durable--> naming --> written
//    | ^ \--all are there: duplicates, written                                  |
//    | +--another host named one of them meanwhile: what is left is named-------+
//    \--its segment was just asked, and had none of it--> copying
//
// copying: the check worker copies pages to a buffer and computes their checksums, which must be
// those of their sealing (law 4). naming: one atomic change of the segment's index, which holds
// where none of its keys is there; so two hosts that write the same name one of them, and what the
// other wrote of it is nobody's.
// The cluster does one such change of a segment after the other, each durable before the next one
// begins. So runs that are done while one is under way are named together by the next one, and a
// segment in which nothing was found is not asked again for a moment: who is wrong about that loses
// the race, no more.
// A job that fails leaves what it wrote to the sweepers. Threads: core only; the worker has pages
// and buffer between submit and poll.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/metrics.h"
#include "tiering/cluster/cluster_parts.h"

namespace quire::tiering {

struct ClusterWriteCounters {
  model::Counter bytes{
      "bytes", "Bytes written to the cluster, with headers", {model::MetricFamily::kStoredBytes}};
  model::Counter runs{"runs", "Runs written to the cluster"};
  model::Counter objects{"objects", "Objects written to the cluster and named there"};
  model::Counter duplicates{"duplicates", "Objects that the cluster had already"};
  model::Counter namings{"namings", "Changes of the index, of one run or of several together"};
  model::Counter races{"races", "Objects that another host named while they were written"};
};

class ClusterWriter {
 public:
  explicit ClusterWriter(const ClusterParts& parts);

  Fitting fits(model::NodeId node) const;
  uint64_t largest_object_bytes() const { return parts_.buffers->max_bytes() / 2; }
  // As Tier's; `objects` and `bytes` of the offered room.
  struct Reserved {
    Fit fit = Fit::kLater;
    uint32_t objects = 0;
    uint64_t bytes = 0;
  };
  Reserved reserve(std::span<const model::NodeId> nodes);
  void give_back();
  void write(std::span<const model::NodeId> nodes, uint32_t number);
  // Takes what came from the cluster.
  void step();
  // The worker is done with a task of it.
  void on_checked(uint32_t record);
  bool idle() const { return under_way_ == 0 && !reserved_; }
  bool moves_for(model::DomainId domain) const;
  const ClusterWriteCounters& counters() const { return counters_; }

 private:
  enum class Stage : uint8_t { kFree, kAsking, kCopying, kPutting, kNaming };
  enum class State : uint8_t { kAbsent, kPresent, kCorrupt, kBehind };
  struct Object {
    model::NodeId node;
    ObjectName name;
    uint32_t units = 0;
    uint64_t offset = 0;
    uint64_t bytes = 0;
    State state = State::kAbsent;
    uint32_t first_page = 0;
    uint32_t page_count = 0;
    CopyTask check;
  };
  struct Job {
    Stage stage = Stage::kFree;
    uint32_t number = 0;
    uint32_t count = 0;
    uint32_t left = 0;     // checks, or operations
    uint32_t rounds = 0;   // of asking and naming
    bool written = false;  // its data is durable
    int error = 0;
    std::array<Object, kMaxJobObjects> objects;
    std::vector<CopyPage> pages;
    std::vector<model::SlotId> slots;
    RunBuffer buffer;
    uint64_t run_bytes = 0;
    RunHeader header;
    std::vector<JobOp> puts;
    JobOp index;
    std::vector<uint32_t> named;  // jobs that its change of the index is about
    std::span<Object> all() { return std::span(objects).first(count); }
  };

  // What is known of an index.
  struct Segment {
    bool exists = false;
    bool naming = false;            // a change is under way
    std::vector<uint32_t> waiting;  // jobs that are to be named by the next one
    int64_t empty_ns = 0;           // when nothing that was asked for was there; 0: unknown
  };

  Segment& segment_of(const Job& job) { return segments_[job.index.object]; }
  void forget_segments();
  void name_waiting(Segment& segment);
  void begin_asking(Job& job);
  void take_asked(Job& job);
  void begin_copying(Job& job);
  void begin_putting(Job& job);
  void begin_naming(Job& job);
  void take_named(Job& job);
  void take(Job& job, const RadosOp& op);
  PlaceRecord place_of(const Job& job, const Object& object) const;
  void seal_run(Job& job);
  void finish(Job& job, model::Errc error);

  ClusterParts parts_;
  ClusterClient client_;
  std::vector<Job> jobs_{kMaxClusterJobs};
  std::unordered_map<std::string, Segment>
      segments_;  // by object; kMaxSegments, but for those in use
  bool reserved_ = false;
  RunBuffer reserved_buffer_;
  uint32_t under_way_ = 0;
  uint64_t next_run_ = 1;
  ClusterWriteCounters counters_;
};

}  // namespace quire::tiering
