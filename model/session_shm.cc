#include "model/session_shm.h"

namespace quire::model {

namespace {
constexpr uint64_t kPage = 4096;
}

ControlGeometry control_geometry(uint32_t ring_entries, uint32_t max_units) {
  ControlGeometry geometry{};
  geometry.submissions_offset = kPage;
  geometry.hashes_offset = align_up(kPage + uint64_t{ring_entries} * sizeof(Submission), kPage);
  geometry.bytes = align_up(geometry.hashes_offset + uint64_t{max_units} * sizeof(Hash256), kPage);
  return geometry;
}

ReplyGeometry reply_geometry(uint32_t ring_entries, uint32_t max_load_pages) {
  ReplyGeometry geometry{};
  geometry.completions_offset = kPage;
  geometry.descriptors_offset =
      align_up(kPage + uint64_t{ring_entries} * sizeof(Completion), kPage);
  geometry.bytes = align_up(
      geometry.descriptors_offset + uint64_t{max_load_pages} * sizeof(PageDescriptor), kPage);
  return geometry;
}

}  // namespace quire::model
