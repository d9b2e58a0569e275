// Objects on their way from the cluster to slots in RAM.
//
//   asking (where it is not known) --> reading --> checking --> read
//     ^--what is not where it was known to be, once--|
//
// Adjacent objects of a run are one read. Bytes are believed when the header is this object's,
// with its own checksum, and every page has the one that the header says (law 4); the check worker
// copies pages to their slots and computes it in the same pass. What is not what was written loses
// its entry, so that no host finds it again; so does what is not there.
// Threads: core only; the worker has buffer and slots between submit and poll.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/metrics.h"
#include "tiering/cluster/cluster_parts.h"

namespace quire::tiering {

struct ClusterReadCounters {
  model::Counter bytes{
      "bytes", "Bytes read from the cluster, with headers", {model::MetricFamily::kReadBytes}};
  model::Counter reads{"operations", "Reads of data from the cluster"};
  model::Counter objects{"objects", "Objects read from the cluster, whole"};
  model::Counter asked{"asked", "Objects whose place had to be asked for"};
  model::Counter gone{"gone", "Objects that were not in the cluster any more"};
  model::Counter corrupt{
      "corrupt", "Objects that were not what was written", {model::MetricFamily::kDocument}};
};

class ClusterReader {
 public:
  explicit ClusterReader(const ClusterParts& parts);

  // As Tier's.
  model::Result<uint32_t> read(const ReadRun& run);
  void step();
  void on_checked(uint32_t record);
  bool idle() const { return under_way_ == 0; }
  bool moves_for(model::DomainId domain) const;
  const ClusterReadCounters& counters() const { return counters_; }

 private:
  enum class Stage : uint8_t { kFree, kAsking, kReading, kChecking };
  struct Object {
    model::NodeId node;
    ObjectName name;
    model::Hash256 segment;
    std::optional<PlaceRecord> place;
    bool asked = false;  // its place is what the cluster said now
    bool ended = false;  // with this code
    model::Errc code = model::Errc::kOk;
    uint64_t offset = 0;  // in the buffer
    uint64_t bytes = 0;
    uint32_t first_slot = 0;
    uint32_t slot_count = 0;
    CopyTask check;
  };
  struct Job {
    Stage stage = Stage::kFree;
    uint32_t number = 0;
    uint32_t count = 0;
    uint32_t left = 0;
    bool paced = false;
    std::array<Object, kMaxJobObjects> objects;
    std::vector<model::SlotId> slots;
    std::vector<CopyPage> pages;
    RunBuffer buffer;
    uint64_t bytes = 0;
    std::vector<JobOp> ops;  // reads of the index, or of data
    std::span<Object> all() { return std::span(objects).first(count); }
  };

  uint32_t fitting(const ReadRun& run, uint64_t& bytes) const;
  void add(Job& job, const ReadObject& object);
  void begin(Job& job);
  void begin_asking(Job& job);
  void take_asked(Job& job, const JobOp& op);
  void begin_reading(Job& job);
  void add_reads(Job& job, uint32_t first, uint32_t count);
  void take_read(Job& job, const JobOp& op);
  void begin_checking(Job& job);
  bool begin_check(Job& job, Object& object);
  void judge(Job& job, Object& object);
  void end(Object& object, model::Errc code);
  void take(Job& job, const JobOp& op);
  void finish(Job& job);

  ClusterParts parts_;
  ClusterClient client_;
  std::vector<Job> jobs_{kMaxClusterJobs};
  uint32_t under_way_ = 0;
  ClusterReadCounters counters_;
};

}  // namespace quire::tiering
