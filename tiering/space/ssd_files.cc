#include "tiering/space/ssd_files.h"

#include <algorithm>
#include <cstdio>

#include "model/check.h"

namespace quire::tiering {

SsdFiles::~SsdFiles() {
  for (const auto& file : files_) {
    if (file) engine_->remove_file(*file);
  }
}

model::Result<void> SsdFiles::open(uint32_t region, bool create) {
  QUIRE_TRY(open_file(number_of(region), create));
  for (const uint16_t more : space_->more_regions(region)) {
    QUIRE_TRY(open_file(number_of(more), create));
  }
  return {};
}

model::Result<void> SsdFiles::open_file(uint32_t number, bool create) {
  if (files_.size() <= number) files_.resize(number + 1);
  if (!files_[number]) {
    const int fd = QUIRE_TRY(directory_->data_files().open(number, create));
    files_[number] = QUIRE_TRY(engine_->add_file(fd));
  }
  if (create) note_made(number);
  return {};
}

std::vector<uint32_t> SsdFiles::numbers_of(uint32_t region) const {
  std::vector<uint32_t> numbers = {number_of(region)};
  for (const uint16_t more : space_->more_regions(region)) numbers.push_back(number_of(more));
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

SsdFiles::Place SsdFiles::start(uint32_t region) const {
  return {index_of(number_of(region)), directory_->offset_of(region)};
}

model::Result<void> SsdFiles::reopen() {
  for (uint32_t number = 0; number < files_.size(); ++number) {
    if (!files_[number]) continue;
    engine_->remove_file(*files_[number]);
    files_[number].reset();
    const int fd = QUIRE_TRY(directory_->data_files().reopen(number));
    files_[number] = QUIRE_TRY(engine_->add_file(fd));
  }
  return {};
}

void SsdFiles::note_made(uint32_t number) {
  if (made_.size() <= number) made_.resize(number + 1);
  if (made_[number]) return;
  made_[number] = true;
  ++made_count_;
}

SsdFiles::Place SsdFiles::header(SsdSlot slot) const {
  const uint32_t region = slot.region();
  return {index_of(number_of(region)), directory_->offset_of(region) + header_offset(slot)};
}

SsdFiles::Piece SsdFiles::data(SsdSlot slot, uint64_t offset) const {
  const uint64_t region_bytes = space_->region_bytes();
  const uint64_t at = space_->data_offset(slot) + offset;
  const uint64_t part = at / region_bytes;
  uint32_t region = slot.region();
  if (part > 0) region = space_->more_regions(region)[part - 1];
  Place place = start(region);
  place.offset += at % region_bytes;
  return {place, region_bytes - at % region_bytes};
}

std::string SsdFiles::name_of(uint32_t region) const {
  char name[32];
  std::snprintf(name, sizeof(name), "data.%06u", number_of(region));
  return name;
}

void SsdFiles::seal(uint32_t number) {
  if (sealed_.size() <= number) sealed_.resize(number + 1);
  if (sealed_[number]) return;
  sealed_[number] = true;
  ++sealed_count_;
}

bool SsdFiles::is_sealed(uint32_t region) const {
  if (sealed_count_ == 0) return false;
  const std::vector<uint32_t> numbers = numbers_of(region);
  return std::any_of(numbers.begin(), numbers.end(),
                     [&](uint32_t number) { return number < sealed_.size() && sealed_[number]; });
}

}  // namespace quire::tiering
