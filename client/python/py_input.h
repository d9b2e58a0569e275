// What callers hand over: token ids, unit hashes, keys. Borrowed from the caller where its memory
// will do, and copied where not. Everything raises InvalidArgumentError with what would be right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "client/python/py_errors.h"

namespace quire::client {

// A contiguous buffer of somebody's, held until the end of the object. Needs the GIL at both ends.
class BorrowedBuffer {
 public:
  BorrowedBuffer() = default;
  // Raises; `what` begins the text.
  BorrowedBuffer(nb::handle object, std::string_view what);
  ~BorrowedBuffer();
  BorrowedBuffer(const BorrowedBuffer&) = delete;
  BorrowedBuffer& operator=(const BorrowedBuffer&) = delete;

  const Py_buffer& view() const { return view_; }

 private:
  Py_buffer view_{};
  bool held_ = false;
};

class TokenList {
 public:
  explicit TokenList(nb::handle object);
  const uint32_t* data() const { return data_; }
  size_t size() const { return count_; }

 private:
  void borrow(nb::handle object);
  void copy(nb::handle sequence);

  std::unique_ptr<BorrowedBuffer> borrowed_;
  std::vector<uint32_t> copied_;
  const uint32_t* data_ = nullptr;
  size_t count_ = 0;
};

// 32 bytes a unit.
class HashList {
 public:
  explicit HashList(nb::handle object);
  const uint8_t* data() const { return data_; }
  size_t size() const { return count_; }

 private:
  void copy(nb::handle sequence);

  std::unique_ptr<BorrowedBuffer> borrowed_;
  std::vector<uint8_t> copied_;
  const uint8_t* data_ = nullptr;
  size_t count_ = 0;
};

// (bytes, first token, count) each.
class KeyList {
 public:
  explicit KeyList(nb::handle iterable);
  const quire_unit_key* data() const { return keys_.data(); }
  size_t size() const { return keys_.size(); }

 private:
  std::vector<nb::bytes> bytes_;
  std::vector<quire_unit_key> keys_;
};

}  // namespace quire::client
