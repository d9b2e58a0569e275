// write_seeds DIRECTORY: what the fuzz targets start from, one folder a target, made by the
// encoders themselves, so that a target reaches what is behind the first checks at once.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "model/layout.h"
#include "model/layout_toml.h"
#include "model/wire.h"
#include "tests/ssd/manifest_rig.h"
#include "tests/support/small_layout.h"
#include "tiering/disk/manifest_records.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tests {
namespace {

namespace fs = std::filesystem;

class SeedWriter {
 public:
  explicit SeedWriter(fs::path directory) : directory_(std::move(directory)) {}
  void write(const std::string& target, const std::string& bytes) {
    fs::create_directories(directory_ / target);
    const fs::path path = directory_ / target / std::to_string(++count_);
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    if (!file.flush().good()) throw fs::filesystem_error("write", path, std::error_code());
  }

 private:
  fs::path directory_;
  int count_ = 0;
};

std::string bytes_of(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_layouts(SeedWriter& seeds) {
  for (const model::Layout& layout :
       {small_hybrid_layout(), small_append_layout(), small_sharded_layout()}) {
    const auto encoded = model::encode(layout);
    seeds.write("layout_fuzz", std::string(1, '\0') + bytes_of(encoded.data(), encoded.size()));
    seeds.write("layout_fuzz", std::string(1, '\1') + model::layout_to_toml(layout));
  }
  for (const auto& file : fs::directory_iterator(QUIRE_SOURCE_DIR "/configs/models")) {
    seeds.write("layout_fuzz", std::string(1, '\1') + read_file(file.path()));
  }
}

void write_configs(SeedWriter& seeds) {
  for (const auto& file :
       fs::recursive_directory_iterator(QUIRE_SOURCE_DIR "/tests/model/configs")) {
    if (file.path().extension() != ".json") continue;
    seeds.write("config_json_fuzz", std::string(1, '\0') + read_file(file.path()));
  }
}

void write_record(SeedWriter& seeds, const std::string& key, const std::string& value) {
  seeds.write("manifest_fuzz", static_cast<char>(key.size()) + key + value);
}

void write_records(SeedWriter& seeds) {
  using namespace tiering;
  write_record(seeds, epoch_key("uid-1", epoch_name("model", "tenant")), epoch_value(7));
  const RootRecord root = make_root(3);
  write_record(seeds, root_key(root.id), root_value(root));
  for (const uint32_t count : {1u, 5u, kMaxRunObjects}) {
    const RunRecord run = make_run(3, count, count);
    write_record(seeds, run_key(kRunPrefix, run.key), run_value(run));
    write_record(seeds, run_key(kTruncationPrefix, run.key), truncation_value(1));
  }
}

// Two spans of a region, and one object that takes both regions.
void write_extents(SeedWriter& seeds) {
  using namespace tiering;
  constexpr uint8_t kAllMended = 31;
  ExtentHeader header;
  header.kind = 2;
  header.page_count = 2;
  header.units = 2;
  header.generation = 1;
  header.pages[0].stored_bytes = header.pages[1].stored_bytes = 5000;
  std::strcpy(header.domain.data(), "uid-1");
  std::string bytes;
  for (int i = 0; i < 3; ++i) {
    ++header.generation;
    bytes += static_cast<char>(kAllMended) + bytes_of(&header, sizeof(header));
  }
  seeds.write("extents_fuzz", bytes);
  header.page_count = 1;
  header.pages[0].stored_bytes = 1'500'000;
  header.more_count = 1;
  header.more[0] = 1;
  seeds.write("extents_fuzz",
              static_cast<char>(kAllMended) + bytes_of(&header, sizeof(header)) + bytes);
}

std::string frame(model::FrameType type, std::string_view payload) {
  std::string out(4, '\0');
  out[0] = static_cast<char>(type);
  out[2] = static_cast<char>(payload.size() & 0xff);
  out[3] = static_cast<char>(payload.size() >> 8);
  return out.append(payload);
}

void write_frames(SeedWriter& seeds) {
  using model::FrameType;
  const auto encoded = model::encode(small_hybrid_layout());
  model::OpenSessionRequest open;
  open.layout = 1;
  open.ring_entries = 8;
  open.max_units = 64;
  open.max_load_pages = 64;
  open.staging = 1;
  const model::MakeStagingRequest staging{1 << 20};
  open.namespace_name = *model::to_wire_name("model");
  const std::string session =
      frame(FrameType::kRegisterLayout, bytes_of(encoded.data(), encoded.size())) +
      frame(FrameType::kMakeStaging, bytes_of(&staging, sizeof(staging))) +
      frame(FrameType::kOpenSession, bytes_of(&open, sizeof(open)));
  const model::CloseSessionRequest close{.session = 1};
  seeds.write("frames_fuzz", session + frame(FrameType::kPing, {}));
  seeds.write("frames_fuzz",
              session + frame(FrameType::kCloseSession, bytes_of(&close, sizeof(close))));
  for (uint16_t type = 0; type < 70; ++type) {
    seeds.write("frames_fuzz", frame(static_cast<FrameType>(type), std::string(16, '\0')));
  }
}

}  // namespace
}  // namespace quire::tests

int main(int argc, char** argv) {
  using namespace quire::tests;
  if (argc != 2) {
    std::cerr << "usage: write_seeds DIRECTORY\n";
    return 2;
  }
  SeedWriter seeds(argv[1]);
  write_layouts(seeds);
  write_configs(seeds);
  write_records(seeds);
  write_extents(seeds);
  write_frames(seeds);
  return 0;
}
