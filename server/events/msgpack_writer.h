// MessagePack, the few kinds of it that events need
// (https://github.com/msgpack/msgpack/blob/master/spec.md), always in the shortest form. By hand:
// Debian's library needs a Boost that excludes ours. Threads: one owner. Bounds: counts and lengths
// below 2^32.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quire::server {

class MsgpackWriter {
 public:
  // So many elements, or pairs of key and value, follow.
  void array(uint32_t count);
  void map(uint32_t count);
  void text(std::string_view text);  // UTF-8
  void binary(std::string_view bytes);
  void number(uint64_t value);
  void real(double value);
  void none() { out_ += '\xc0'; }
  // What was written elsewhere.
  void raw(std::string_view bytes) { out_.append(bytes); }

  const std::string& bytes() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void head(uint8_t code) { out_ += static_cast<char>(code); }
  template <typename Word>
  void big_endian(Word value);

  std::string out_;
};

}  // namespace quire::server
