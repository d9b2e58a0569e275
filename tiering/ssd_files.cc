#include "tiering/ssd_files.h"

#include <cstdio>

#include "model/check.h"

namespace quire::tiering {

SsdFiles::~SsdFiles() {
  for (const auto& file : files_) {
    if (file) engine_->remove_file(*file);
  }
}

model::Result<SsdFiles::Place> SsdFiles::open(uint32_t region, bool create) {
  const uint32_t number = number_of(region);
  if (files_.size() <= number) files_.resize(number + 1);
  if (!files_[number]) {
    const int fd = QUIRE_TRY(directory_->data_file(number, create));
    files_[number] = QUIRE_TRY(engine_->add_file(fd));
  }
  if (create) note_made(number);
  return Place{*files_[number], directory_->offset_of(region)};
}

model::Result<void> SsdFiles::reopen() {
  for (uint32_t number = 0; number < files_.size(); ++number) {
    if (!files_[number]) continue;
    engine_->remove_file(*files_[number]);
    files_[number].reset();
    const int fd = QUIRE_TRY(directory_->reopen_data_file(number));
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
  return {index_of(number_of(region)), directory_->offset_of(region) + space_->header_offset(slot)};
}

SsdFiles::Place SsdFiles::data(SsdSlot slot) const {
  const uint32_t region = slot.region();
  return {index_of(number_of(region)), directory_->offset_of(region) + space_->data_offset(slot)};
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
  const uint32_t number = number_of(region);
  return number < sealed_.size() && sealed_[number];
}

}  // namespace quire::tiering
