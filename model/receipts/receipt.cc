#include "model/receipts/receipt.h"

namespace quire::model {

Result<void> check_sums(const ReceiptRecord& record) {
  const uint64_t resumed = uint64_t{record.hit_tokens} + record.replayed_tokens;
  if (resumed + record.missed_tokens != record.prompt_tokens) {
    return make_error(Errc::kCorrupt, "hit, replayed and missed tokens are not the prompt's");
  }
  if (resumed != record.resumed_tokens) {
    return make_error(Errc::kCorrupt, "hit and replayed tokens are not those resumed");
  }
  if (record.end >= kReceiptEnds.size() ||
      record.how > static_cast<uint8_t>(ResumedHow::kNothing) ||
      record.limit > static_cast<uint8_t>(MatchLimit::kDeadline)) {
    return make_error(Errc::kCorrupt, "a receipt of a later version, or none");
  }
  return {};
}

}  // namespace quire::model
