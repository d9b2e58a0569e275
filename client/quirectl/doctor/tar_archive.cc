#include "client/quirectl/doctor/tar_archive.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "model/check.h"

namespace quire::client {

namespace {

constexpr size_t kBlock = 512;

// The header of a file (POSIX.1-1988, ustar): text fields and octal numbers.
struct TarHeader {
  std::array<char, 100> name;
  std::array<char, 8> mode;
  std::array<char, 8> uid;
  std::array<char, 8> gid;
  std::array<char, 12> size;
  std::array<char, 12> time;
  std::array<char, 8> checksum;
  char type;
  std::array<char, 100> link;
  std::array<char, 6> magic;
  std::array<char, 2> version;
  std::array<char, 247> rest;
};
static_assert(sizeof(TarHeader) == kBlock);

template <size_t Size>
void put_octal(std::array<char, Size>& field, uint64_t number) {
  std::snprintf(field.data(), Size, "%0*llo", static_cast<int>(Size - 1),
                static_cast<unsigned long long>(number));
}

}  // namespace

void TarArchive::add(std::string_view name, std::string_view text) {
  TarHeader header{};
  QUIRE_CHECK(!name.empty() && name.size() < header.name.size());
  std::memcpy(header.name.data(), name.data(), name.size());
  put_octal(header.mode, 0600);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, text.size());
  put_octal(header.time, static_cast<uint64_t>(time_s_));
  header.type = '0';
  std::memcpy(header.magic.data(), "ustar", 6);
  header.version = {'0', '0'};
  header.checksum.fill(' ');  // it counts as blanks in its own sum
  std::array<unsigned char, kBlock> bytes;
  std::memcpy(bytes.data(), &header, kBlock);
  put_octal(header.checksum, std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}));
  bytes_.append(reinterpret_cast<const char*>(&header), kBlock).append(text);
  bytes_.append((kBlock - text.size() % kBlock) % kBlock, '\0');
}

std::string TarArchive::finish() const { return bytes_ + std::string(2 * kBlock, '\0'); }

}  // namespace quire::client
