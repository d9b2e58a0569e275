#include "client/python/py_input.h"

#include <cstring>
#include <limits>

namespace quire::client {

namespace {

[[noreturn]] void refuse(std::string_view text) { raise_error(QUIRE_INVALID_ARGUMENT, text); }

// 'I' and 'L' of four bytes in this machine's order; "<I" is the same on the machines there are.
bool holds_uint32(const Py_buffer& view) {
  const std::string_view format = view.format == nullptr ? "B" : view.format;
  const std::string_view order = "@=<";
  const bool has_order = !format.empty() && order.find(format.front()) != std::string_view::npos;
  const std::string_view letters = format.substr(has_order ? 1 : 0);
  return view.itemsize == 4 && (letters == "I" || letters == "L");
}

nb::object as_list(nb::handle object, std::string_view otherwise) {
  const bool is_text = PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr());
  PyObject* list = is_text || !PySequence_Check(object.ptr()) ? nullptr
                   : PyList_Check(object.ptr())               ? object.inc_ref().ptr()
                                                              : PySequence_List(object.ptr());
  if (list == nullptr) {
    PyErr_Clear();
    refuse(otherwise);
  }
  return nb::steal(list);
}

}  // namespace

BorrowedBuffer::BorrowedBuffer(nb::handle object, std::string_view what) {
  if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) {
    PyErr_Clear();
    refuse(std::string(what).append(": a contiguous buffer in the machine's memory is needed"));
  }
  held_ = true;
}

BorrowedBuffer::~BorrowedBuffer() {
  if (held_) PyBuffer_Release(&view_);
}

TokenList::TokenList(nb::handle object) {
  if (PyObject_CheckBuffer(object.ptr()) != 0) {
    borrow(object);
  } else {
    copy(object);
  }
}

void TokenList::borrow(nb::handle object) {
  borrowed_ = std::make_unique<BorrowedBuffer>(object, "tokens");
  const Py_buffer& view = borrowed_->view();
  if (view.ndim != 1 || !holds_uint32(view)) {
    std::string text("tokens: a one-dimensional buffer of uint32 is needed, this one has ");
    text.append(std::to_string(view.ndim)).append(" dimensions of format \"");
    text.append(view.format == nullptr ? "B" : view.format);
    refuse(text.append("\"; convert it, as in tokens.astype('uint32')"));
  }
  data_ = static_cast<const uint32_t*>(view.buf);
  count_ = static_cast<size_t>(view.len) / sizeof(uint32_t);
}

void TokenList::copy(nb::handle sequence) {
  const nb::object list =
      as_list(sequence,
              "tokens: a buffer of uint32 or a sequence of ints is needed; of a tensor "
              "give tensor.to(torch.uint32).numpy()");
  const Py_ssize_t count = PyList_Size(list.ptr());
  copied_.reserve(static_cast<size_t>(count));
  // A list's length is asked again: __index__ of what it holds may change it.
  for (Py_ssize_t i = 0; i < PyList_Size(list.ptr()); ++i) {
    const unsigned long token = PyLong_AsUnsignedLong(PyList_GetItem(list.ptr(), i));
    if (PyErr_Occurred() != nullptr || token > std::numeric_limits<uint32_t>::max()) {
      PyErr_Clear();
      refuse("tokens: item " + std::to_string(i) + " is no int of 0 to 2**32 - 1");
    }
    copied_.push_back(static_cast<uint32_t>(token));
  }
  data_ = copied_.data();
  count_ = copied_.size();
}

HashList::HashList(nb::handle object) {
  if (PyObject_CheckBuffer(object.ptr()) == 0) {
    copy(object);
    return;
  }
  borrowed_ = std::make_unique<BorrowedBuffer>(object, "hashes");
  const Py_buffer& view = borrowed_->view();
  if (view.len % QUIRE_HASH_BYTES != 0) {
    refuse("hashes: a buffer of 32 bytes a unit is needed, this one has " +
           std::to_string(view.len));
  }
  data_ = static_cast<const uint8_t*>(view.buf);
  count_ = static_cast<size_t>(view.len) / QUIRE_HASH_BYTES;
}

void HashList::copy(nb::handle sequence) {
  constexpr Py_ssize_t kShortest = 16;
  const nb::object list =
      as_list(sequence, "hashes: a buffer of 32 bytes a unit or a sequence of bytes is needed");
  for (Py_ssize_t i = 0; i < PyList_Size(list.ptr()); ++i) {
    char* bytes = nullptr;
    Py_ssize_t length = 0;
    if (PyBytes_AsStringAndSize(PyList_GetItem(list.ptr(), i), &bytes, &length) != 0 ||
        length < kShortest || length > QUIRE_HASH_BYTES) {
      PyErr_Clear();
      refuse("hashes: item " + std::to_string(i) + " is no bytes object of 16 to 32 bytes");
    }
    copied_.resize(copied_.size() + QUIRE_HASH_BYTES);
    std::memcpy(copied_.data() + copied_.size() - QUIRE_HASH_BYTES, bytes,
                static_cast<size_t>(length));
  }
  data_ = copied_.data();
  count_ = copied_.size() / QUIRE_HASH_BYTES;
}

KeyList::KeyList(nb::handle iterable) {
  for (const nb::handle item : iterable) {
    nb::tuple key;
    nb::bytes bytes;
    uint32_t first = 0;
    uint32_t count = 0;
    if (!nb::try_cast(item, key) || key.size() != 3 || !nb::try_cast(key[0], bytes) ||
        !nb::try_cast(key[1], first) || !nb::try_cast(key[2], count)) {
      refuse("keys: each is (bytes, first token, count of tokens)");
    }
    keys_.push_back({.bytes = bytes.data(),
                     .byte_count = bytes.size(),
                     .first_token = first,
                     .token_count = count});
    bytes_.push_back(std::move(bytes));
  }
}

}  // namespace quire::client
