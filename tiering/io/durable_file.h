// Small files that are there whole or not at all after a power cut, and their directory entries.
// All names are relative to a directory's descriptor. Threads: any; no state.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::tiering {

// errno as an error: kResourceExhausted when space, quota or descriptors are used up, otherwise
// kIoError.
// "<what>: <strerror(errno)>".
model::Error file_error(std::string_view what);

// Opens `name` with open(2)'s flags if a regular file stands there, or O_CREAT makes one (mode
// 0600). kCorrupt: something else does, which is named: a FIFO would hold its opener for ever, a
// device do what it does, a symbolic link lead out of the directory. kNotFound: absent, or a link
// to nothing.
model::Result<model::FdGuard> open_regular(int directory, const std::string& name, int flags);

// "a FIFO", "a symbolic link", ...: what is there in the place of a file, or of a directory; empty:
// nothing at all, or what is wanted.
std::string_view other_than_file(int directory, const std::string& name);
std::string_view other_than_directory(int directory, const std::string& name);

// Makes created, renamed and deleted names durable. Who calls it again after a failure relies on
// the file system taking no more changes once its journal could not be written.
model::Result<void> sync_directory(int directory);

// Makes subdirectory `name` (mode 0700) durable; there already: nothing.
model::Result<void> make_directory(int directory, const std::string& name);

// Replaces `name` by a file of `bytes`: NAME.new, fsync, rename, fsync of the directory. On an
// error the old file is what it was, unless the directory's fsync was what failed.
model::Result<void> replace_file(int directory, const std::string& name,
                                 std::span<const std::byte> bytes);

// kNotFound when absent; kCorrupt when it is no regular file or longer than max_bytes.
model::Result<std::vector<std::byte>> read_file(int directory, const std::string& name,
                                                size_t max_bytes);

// Names in a directory, in no order, without "." and "..".
model::Result<std::vector<std::string>> list_names(int directory);

}  // namespace quire::tiering
