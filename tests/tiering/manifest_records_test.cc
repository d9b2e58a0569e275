// Records of runs of encoded objects. Those of everything else: tests/ssd/manifest_test.cc.
#include "tiering/disk/manifest_records.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "tiering/disk/ssd_format.h"

namespace quire::tiering::manifest_records_test {
namespace {

RunRecord make_run(size_t count, uint64_t slot_bytes) {
  RunRecord run;
  run.key = {.root = 7, .units = 20, .kind = 2, .slot = SsdSlot::of(3, 9)};
  run.generation = 1ull << 40 | 77;
  run.unit_step = 2;
  run.parent_units = 18;
  run.parent_key.bytes.fill('p');
  run.keys.resize(count);
  for (size_t i = 0; i < count; ++i) run.keys[i].bytes.fill(static_cast<uint8_t>(i + 1));
  run.slot_bytes = slot_bytes;
  return run;
}

bool parses(const RunRecord& run, const std::string& value) {
  RunRecord parsed;
  return parse_run(run_key(kRunPrefix, run.key), value, parsed);
}

// The value with another slot size behind its keys.
std::string with_slot_bytes(const RunRecord& run, uint64_t slot_bytes) {
  std::string value = run_value(run);
  std::memcpy(value.data() + value.size() - sizeof(slot_bytes), &slot_bytes, sizeof(slot_bytes));
  return value;
}

TEST(ManifestRecords, SlotSizeOfARunRoundTrips) {
  for (const size_t count : {1, 2, 16}) {
    for (const uint64_t slot_bytes :
         {uint64_t{0}, kSsdBlockBytes, 7 * kSsdBlockBytes, uint64_t{1} << 40, UINT64_MAX - 4095}) {
      const RunRecord run = make_run(count, slot_bytes);
      RunRecord parsed = make_run(3, 99);  // of an earlier record
      ASSERT_TRUE(parse_run(run_key(kRunPrefix, run.key), run_value(run), parsed));
      EXPECT_EQ(parsed.slot_bytes, slot_bytes);
      EXPECT_EQ(parsed.keys, run.keys);
      EXPECT_EQ(parsed.key.slot, run.key.slot);
      EXPECT_EQ(parsed.generation, run.generation);
      EXPECT_EQ(parsed.parent_units, run.parent_units);
    }
  }
}

TEST(ManifestRecords, ARetentionClassRoundTripsAndOnlyItsOwn) {
  RunRecord run = make_run(2, 0);
  RunRecord parsed;
  parsed.retention = "of an earlier record";
  ASSERT_TRUE(parse_run(run_key(kRunPrefix, run.key), run_value(run), parsed));
  EXPECT_EQ(parsed.retention, "");
  run.retention = std::string(model::kMaxRetentionBytes, 'r');
  const std::string value = run_value(run);
  ASSERT_TRUE(parse_run(run_key(kRunPrefix, run.key), value, parsed));
  EXPECT_EQ(parsed.retention, run.retention);
  EXPECT_EQ(parsed.keys, run.keys);
  EXPECT_EQ(value[0], 2) << "an earlier version leaves it out";
}

TEST(ManifestRecords, AClassOfNoNameOrTooLongAOneIsNone) {
  RunRecord run = make_run(2, 0);
  std::string value = run_value(run);
  value[0] = 2;
  value.insert(1, 1, '\0');
  EXPECT_FALSE(parses(run, value));
  run.retention = std::string(model::kMaxRetentionBytes + 1, 'r');
  EXPECT_FALSE(parses(run, run_value(run)));
}

TEST(ManifestRecords, RegionsOfALargeObjectRoundTrip) {
  for (const size_t count : {size_t{1}, size_t{2}, size_t{kMaxMoreRegions}}) {
    for (const uint64_t slot_bytes : {uint64_t{0}, uint64_t{1} << 30}) {
      RunRecord run = make_run(1, slot_bytes);
      run.key.slot = SsdSlot::of(3, 0);
      for (size_t i = 0; i < count; ++i) run.more.push_back(static_cast<uint16_t>(i * 7));
      RunRecord parsed = make_run(3, 99);
      parsed.more = {1, 2, 3};
      ASSERT_TRUE(parse_run(run_key(kRunPrefix, run.key), run_value(run), parsed));
      EXPECT_EQ(parsed.more, run.more);
      EXPECT_EQ(parsed.slot_bytes, slot_bytes);
      EXPECT_EQ(parsed.keys, run.keys);
      for (size_t bytes = 0; bytes < run_value(run).size(); ++bytes) {
        const bool plain = bytes == run_value(make_run(1, 0)).size();
        const bool encoded = slot_bytes != 0 && bytes == run_value(make_run(1, 4096)).size();
        EXPECT_EQ(parses(run, run_value(run).substr(0, bytes)), plain || encoded) << bytes;
      }
      EXPECT_FALSE(parses(run, run_value(run) + std::string(2, '\0')));
    }
  }
  RunRecord beyond = make_run(1, 0);
  beyond.key.slot = SsdSlot::of(3, 0);
  beyond.more = {kMaxRegions};
  EXPECT_FALSE(parses(beyond, run_value(beyond)));
  beyond.more = {4};
  EXPECT_TRUE(parses(beyond, run_value(beyond)));
  beyond.key.slot = SsdSlot::of(3, 1);
  EXPECT_FALSE(parses(beyond, run_value(beyond)));
}

// A run that is not encoded has the bytes that it had before there were any.
TEST(ManifestRecords, Law14_SlotSizeStandsBehindAndOnlyWhereItIsNeeded) {
  const std::string plain = run_value(make_run(2, 0));
  const std::string encoded = run_value(make_run(2, 0x7000));
  EXPECT_EQ(plain.size(), 1 + 8 + 3 * 4 + 1 + 32 + 1 + 2 * 32u);
  EXPECT_EQ(encoded, plain + std::string("\0\x70\0\0\0\0\0\0", 8));
}

TEST(ManifestRecords, SlotSizesThatNoEncodingHasAreRefused) {
  const RunRecord run = make_run(2, 7 * kSsdBlockBytes);
  ASSERT_TRUE(parses(run, with_slot_bytes(run, kSsdBlockBytes)));
  for (const uint64_t slot_bytes : {uint64_t{0}, uint64_t{1}, kSsdBlockBytes - 1,
                                    kSsdBlockBytes + 1, 7 * kSsdBlockBytes + 512, UINT64_MAX}) {
    EXPECT_FALSE(parses(run, with_slot_bytes(run, slot_bytes))) << slot_bytes;
  }
}

TEST(ManifestRecords, RecordsOfAnotherLengthAreRefused) {
  for (const uint64_t slot_bytes : {uint64_t{0}, 7 * kSsdBlockBytes}) {
    const RunRecord run = make_run(3, slot_bytes);
    const std::string value = run_value(run);
    const std::string without = run_value(make_run(3, 0));
    for (size_t size = 0; size < value.size(); ++size) {
      // Cut behind its keys it is that of a run that is not encoded.
      EXPECT_EQ(parses(run, value.substr(0, size)), size == without.size()) << size;
    }
    for (size_t more = 1; more <= 16; ++more) {
      if (slot_bytes == 0 && more == 8) continue;
      EXPECT_FALSE(parses(run, value + std::string(more, '\x10'))) << more;
    }
    EXPECT_FALSE(parses(run, value + std::string(8, '\0')));
  }
}

}  // namespace
}  // namespace quire::tiering::manifest_records_test
