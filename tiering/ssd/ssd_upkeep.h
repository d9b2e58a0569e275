// What the SSD tier does about what it holds, beside writing and reading: checks it (SsdScrubber),
// gives room back (SsdShrinker), erases what is kept and not served when an operator says so.
// A bounded part of each in a step. Threads: core only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/commit/ssd_committer.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/ssd/ssd_scrubber.h"
#include "tiering/ssd/ssd_shrinker.h"
#include "tiering/tier.h"

namespace quire::tiering {

class SsdUpkeep final : public Upkeep {
 public:
  // `scrub_bytes_per_second`: of passes without end; 0: only when asked for. kResourceExhausted:
  // no memory to read into.
  static model::Result<std::unique_ptr<SsdUpkeep>> create(const CommitterParts& parts,
                                                          SsdCommitter* committer,
                                                          uint64_t scrub_bytes_per_second,
                                                          std::vector<TierEvent>* events);

  bool step(int64_t now_ns);
  void on_settled(Transfer& transfer) { scrubber_->on_settled(transfer); }

  void start_scrub(uint64_t bytes_per_second) override;
  void stop_scrub() override { scrubber_->stop(); }
  void describe_scrub(model::MetricSink& sink) const override;
  model::Result<void> check_reason(std::string_view reason) const override;
  model::Result<void> drop_kept(std::string_view reason) override;
  void describe_kept(model::MetricSink& sink) const override;

  bool is_dropping() const { return parts_.kept->is_dropping(); }
  ScrubStatus scrub() const { return scrubber_->status(); }
  const SsdShrinker& shrinker() const { return shrinker_; }

 private:
  SsdUpkeep(const CommitterParts& parts, SsdCommitter* committer, uint64_t scrub_bytes_per_second,
            std::unique_ptr<SsdScrubber> scrubber);
  bool drop_some_kept();

  CommitterParts parts_;
  SsdCommitter* committer_;
  const uint64_t scrub_bytes_per_second_;
  std::unique_ptr<SsdScrubber> scrubber_;
  SsdShrinker shrinker_;
};

}  // namespace quire::tiering
