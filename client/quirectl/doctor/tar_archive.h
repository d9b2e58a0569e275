// A tar archive in memory, of small texts: POSIX ustar, which every tar reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quire::client {

class TarArchive {
 public:
  // `time_s`: of all its files, Unix time.
  explicit TarArchive(int64_t time_s) : time_s_(time_s) {}

  // Precondition: a name of 1..99 bytes.
  void add(std::string_view name, std::string_view text);
  // Whole, with its end.
  std::string finish() const;

 private:
  int64_t time_s_;
  std::string bytes_;
};

}  // namespace quire::client
