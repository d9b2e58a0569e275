// Events in vLLM's envelope: what they are called there. Whole streams: tests/process.
#include "server/events/zmq_envelope.h"

#include <gtest/gtest.h>

#include <string>

namespace quire::tests::zmq_envelope_test {
namespace {

using model::EventKind;
using model::EventRecord;
using model::TierId;
using server::EnvelopeShape;
using server::ZmqEnvelope;

std::string told_of(TierId tier) {
  ZmqEnvelope envelope(EnvelopeShape::kMap);
  EventRecord record;
  record.kind = static_cast<uint8_t>(EventKind::kRemoved);
  record.tiers = model::tier_bit(tier);
  record.groups = 1;
  envelope.take(record);
  return envelope.take_batch(0);
}

TEST(ZmqEnvelope, EachTierIsAMediumOfItsOwn) {
  const auto has = [](const std::string& message, const std::string& medium) {
    return message.find("medium" + std::string(1, static_cast<char>(0xa0 + medium.size())) +
                        medium) != std::string::npos;
  };
  EXPECT_TRUE(has(told_of(TierId::kRam), "cpu"));
  EXPECT_TRUE(has(told_of(TierId::kSsd), "disk"));
  EXPECT_TRUE(has(told_of(TierId::kCluster), "remote"));
  EXPECT_FALSE(has(told_of(TierId::kCluster), "disk"));
}

}  // namespace
}  // namespace quire::tests::zmq_envelope_test
