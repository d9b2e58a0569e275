#include "tiering/disk/layout_files.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "model/chain_hash.h"
#include "model/hex_text.h"
#include "model/limits.h"
#include "tiering/io/durable_file.h"

namespace quire::tiering {

using model::Errc;
using model::FdGuard;
using model::Hash256;
using model::Layout;
using model::make_error;
using model::Result;

namespace {

std::string name_of(const Hash256& digest) { return model::hex_text(digest.bytes); }

std::optional<Hash256> digest_of(const std::string& name) {
  Hash256 digest;
  if (name.size() != 2 * digest.bytes.size()) return {};
  for (size_t i = 0; i < digest.bytes.size(); ++i) {
    const char* pair = name.data() + 2 * i;
    if (std::from_chars(pair, pair + 2, digest.bytes[i], 16).ptr != pair + 2) return {};
  }
  // Upper case or a sign would name a second file of the same layout.
  if (name_of(digest) != name) return {};
  return digest;
}

}  // namespace

Result<void> LayoutFiles::open(int directory, const std::string& path, bool read_only) {
  if (const auto other = other_than_directory(directory, "layouts"); !other.empty()) {
    return make_error(Errc::kCorrupt, path + "/layouts is not a directory but " +
                                          std::string(other) + ": move it away");
  }
  FdGuard files(::openat(directory, "layouts", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!files.valid() && !(read_only && errno == ENOENT)) {
    return file_error("open " + path + "/layouts");
  }
  // Last: opened a second time in vain, it goes on as it was.
  path_ = path;
  read_only_ = read_only;
  files_ = std::move(files);
  return {};
}

Result<void> LayoutFiles::store(const Hash256& digest, const Layout& layout) const {
  const std::vector<std::byte> bytes = model::encode(layout);
  if (!(model::sha256(bytes) == digest)) {
    return make_error(Errc::kInvalidArgument, "the digest is not that of the layout");
  }
  if (load(digest).ok()) {
    // The one who made it may have been killed before its name was durable.
    return read_only_ ? Result<void>{} : sync_directory(files_.get());
  }
  if (read_only_) {
    return make_error(Errc::kUnsupportedVersion,
                      path_ +
                          " is read-only: a later daemon wrote it with a feature that this "
                          "one does not know");
  }
  return replace_file(files_.get(), name_of(digest), bytes);
}

Result<Layout> LayoutFiles::load(const Hash256& digest) const {
  const std::string name = name_of(digest);
  if (!files_.valid()) return make_error(Errc::kNotFound, "no layout " + name);
  // A layout came in a frame once, so a longer file is none of ours.
  const std::vector<std::byte> bytes =
      QUIRE_TRY(read_file(files_.get(), name, model::kMaxFrameBytes));
  if (!(model::sha256(bytes) == digest)) {
    return make_error(Errc::kCorrupt, path_ + "/layouts/" + name +
                                          " does not hash to its name; it is written anew with the "
                                          "next pages of the layout");
  }
  return model::decode_layout(bytes);
}

std::vector<Hash256> LayoutFiles::list() const {
  std::vector<Hash256> digests;
  if (!files_.valid()) return digests;
  const Result<std::vector<std::string>> names = list_names(files_.get());
  if (!names.ok()) return digests;
  for (const std::string& name : *names) {
    if (const std::optional<Hash256> digest = digest_of(name)) digests.push_back(*digest);
  }
  return digests;
}

}  // namespace quire::tiering
