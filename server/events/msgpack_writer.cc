#include "server/events/msgpack_writer.h"

#include <bit>

namespace quire::server {

template <typename Word>
void MsgpackWriter::big_endian(Word value) {
  for (size_t byte = sizeof(Word); byte-- > 0;) head(static_cast<uint8_t>(value >> (8 * byte)));
}

void MsgpackWriter::array(uint32_t count) {
  if (count < 16) return head(static_cast<uint8_t>(0x90 | count));
  if (count <= UINT16_MAX) {
    head(0xdc);
    return big_endian(static_cast<uint16_t>(count));
  }
  head(0xdd);
  big_endian(count);
}

void MsgpackWriter::map(uint32_t count) {
  if (count < 16) return head(static_cast<uint8_t>(0x80 | count));
  head(0xde);
  big_endian(static_cast<uint16_t>(count));
}

void MsgpackWriter::text(std::string_view text) {
  const auto bytes = static_cast<uint32_t>(text.size());
  if (bytes < 32) {
    head(static_cast<uint8_t>(0xa0 | bytes));
  } else if (bytes <= UINT8_MAX) {
    head(0xd9);
    big_endian(static_cast<uint8_t>(bytes));
  } else {
    head(0xdb);
    big_endian(bytes);
  }
  out_.append(text);
}

void MsgpackWriter::binary(std::string_view bytes) {
  if (bytes.size() <= UINT8_MAX) {
    head(0xc4);
    big_endian(static_cast<uint8_t>(bytes.size()));
  } else {
    head(0xc6);
    big_endian(static_cast<uint32_t>(bytes.size()));
  }
  out_.append(bytes);
}

void MsgpackWriter::number(uint64_t value) {
  if (value < 128) return head(static_cast<uint8_t>(value));
  if (value <= UINT8_MAX) {
    head(0xcc);
    return big_endian(static_cast<uint8_t>(value));
  }
  if (value <= UINT16_MAX) {
    head(0xcd);
    return big_endian(static_cast<uint16_t>(value));
  }
  if (value <= UINT32_MAX) {
    head(0xce);
    return big_endian(static_cast<uint32_t>(value));
  }
  head(0xcf);
  big_endian(value);
}

void MsgpackWriter::real(double value) {
  head(0xcb);
  big_endian(std::bit_cast<uint64_t>(value));
}

}  // namespace quire::server
