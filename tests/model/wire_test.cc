#include "model/wire.h"

#include <gtest/gtest.h>

#include <cstddef>

namespace quire::model::wire_test {
namespace {

TEST(Wire, NamesRoundTrip) {
  for (const std::string& text : {std::string(), std::string("tenant-7"), std::string(63, 'x')}) {
    const Result<WireName> name = to_wire_name(text);
    ASSERT_TRUE(name.ok());
    const Result<std::string_view> back = from_wire_name(*name);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, text);
  }
}

TEST(Wire, NamesThatDoNotFitAreRefused) {
  EXPECT_EQ(to_wire_name(std::string(64, 'x')).code(), Errc::kInvalidArgument);
  EXPECT_EQ(to_wire_name(std::string_view("a\0b", 3)).code(), Errc::kInvalidArgument);
}

TEST(Wire, NameFieldWithoutAZeroIsMalformed) {
  WireName name;
  name.fill('x');
  EXPECT_EQ(from_wire_name(name).code(), Errc::kMalformedFrame);
}

TEST(Wire, NameFieldIsZeroBehindItsText) {
  const Result<WireName> name = to_wire_name("ab");
  ASSERT_TRUE(name.ok());
  for (size_t i = 2; i < name->size(); ++i) EXPECT_EQ((*name)[i], '\0');
}

TEST(Wire, StructsRoundTripThroughBytes) {
  FrameHeader header;
  header.type = static_cast<uint16_t>(FrameType::kOpenSession);
  header.payload_bytes = 77;
  header.sequence = 9;
  const Result<FrameHeader> back = read_struct<FrameHeader>(struct_bytes(header));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->magic, kFrameMagic);
  EXPECT_EQ(back->payload_bytes, 77u);
  EXPECT_EQ(back->sequence, 9u);
}

TEST(Wire, MagicSpellsQuirOnTheWire) {
  const FrameHeader header;
  EXPECT_EQ(struct_bytes(header).substr(0, 4), "QUIR");
}

TEST(Wire, ShortPayloadIsMalformed) {
  const std::string bytes(sizeof(HelloRequest) - 1, '\0');
  EXPECT_EQ(read_struct<HelloRequest>(bytes).code(), Errc::kMalformedFrame);
}

TEST(Wire, LongerPayloadGivesItsFront) {
  std::string bytes(sizeof(MapSegmentRequest) + 5, '\0');
  bytes[0] = 3;
  const Result<MapSegmentRequest> request = read_struct<MapSegmentRequest>(bytes);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->segment, 3u);
}

TEST(Wire, FieldsOfTieredLoadsHaveTheirPlaces) {
  EXPECT_EQ(offsetof(OpenSessionRequest, load_class), 40u);
  EXPECT_EQ(offsetof(OpenSessionRequest, tenant), 48u);
  EXPECT_EQ(offsetof(ScrubRequest, bytes_per_second), 8u);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kVerify), 11);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kScrub), 12);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kKept), 13);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kPolicy), 14);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kPin), 17);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kTrace), 19);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kConfig), 20);
  EXPECT_EQ(offsetof(ConfigRequest, value_bytes), 4u);
  EXPECT_EQ(offsetof(ConfigRequest, key), 8u);
  EXPECT_EQ(offsetof(PinRequest, budget_bytes), 8u);
  EXPECT_EQ(offsetof(PinRequest, for_seconds), 16u);
  EXPECT_EQ(offsetof(PinRequest, domain), 24u);
  EXPECT_EQ(static_cast<uint16_t>(FrameType::kQuota), 15);
  EXPECT_EQ(offsetof(QuotaRequest, guaranteed_bytes), 8u);
  EXPECT_EQ(offsetof(QuotaRequest, domain), 32u);
  EXPECT_EQ(offsetof(PolicyRequest, domain), 8u);
}

TEST(Wire, MaintenanceRequestsRoundTrip) {
  ScrubRequest scrub;
  scrub.action = static_cast<uint8_t>(ScrubAction::kStop);
  scrub.bytes_per_second = 1ull << 40;
  const std::string_view bytes = struct_bytes(scrub);
  EXPECT_EQ(bytes[0], 2);
  EXPECT_EQ(read_struct<ScrubRequest>(bytes)->bytes_per_second, 1ull << 40);
  EXPECT_EQ(read_struct<ScrubRequest>(bytes.substr(1)).code(), Errc::kMalformedFrame);
  VerifyRequest verify;
  verify.scope = static_cast<uint8_t>(VerifyScope::kIndexAndHeaders);
  EXPECT_EQ(struct_bytes(verify), std::string_view("\1\0\0\0\0\0\0\0", 8));
}

TEST(Wire, StatusCarriesCodeAndText) {
  const Result<void> failed = check_status(make_status(Errc::kBusy, "retry later"));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.code(), Errc::kBusy);
  EXPECT_EQ(failed.error().text, "retry later");
  EXPECT_TRUE(check_status(make_status(Errc::kOk, "")).ok());
}

TEST(Wire, StatusTextIsCutToItsField) {
  const ReplyStatus status = make_status(Errc::kBusy, std::string(1000, 'x'));
  EXPECT_EQ(status.text.back(), '\0');
  EXPECT_EQ(check_status(status).error().text.size(), 247u);
}

TEST(Wire, StatusTextWithoutAZeroIsReadToItsEnd) {
  ReplyStatus status = make_status(Errc::kBusy, "");
  status.text.fill('y');
  EXPECT_EQ(check_status(status).error().text, std::string(248, 'y'));
}

}  // namespace
}  // namespace quire::model::wire_test
