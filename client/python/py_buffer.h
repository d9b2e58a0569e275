// Memory of pages as Python's buffers and DLPack capsules. What is exported is an Export, never the
// page itself: consumers keep it in different ways (a memoryview its buffer, torch.frombuffer the
// object alone), and the object's life covers all of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "client/python/py_errors.h"

namespace quire::client {

// Whose memory buffers point into: a hit or a fill. Counts them, and is told when the last one
// went. Everything with the GIL.
class Exporter {
 public:
  Exporter() = default;
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;
  virtual ~Exporter() = default;

  // Whether the memory may be looked at.
  virtual bool open() const = 0;
  virtual std::string_view closed_text() const = 0;
  uint32_t export_count() const { return export_count_; }

 private:
  friend class Export;
  virtual void first_export() = 0;
  // The last one went. Nobody can be told of a failure.
  virtual void exports_over() = 0;

  uint32_t export_count_ = 0;
};

// Bytes in rows, as they lie in memory.
struct Block {
  const void* data = nullptr;
  uint64_t row_bytes = 0;
  uint64_t rows = 1;
  uint64_t stride = 0;  // between rows; not looked at for one row of a flat block
  bool flat = true;     // one dimension
  bool writable = false;

  uint64_t bytes() const { return rows * row_bytes; }
  bool contiguous() const { return flat || rows == 1 || stride == row_bytes; }
};

// A claim on a hit's or fill's memory, as long as the object lives. Keeps its owner.
class Export {
 public:
  // Precondition: exporter->open(). `owner` is the Python object that holds `exporter`.
  Export(nb::object owner, Exporter& exporter, const Block& block);
  ~Export();
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  const Block& block() const { return block_; }
  Py_ssize_t* shape() { return shape_; }
  Py_ssize_t* strides() { return strides_; }
  int64_t* wide_shape() { return wide_shape_; }
  int64_t* wide_strides() { return wide_strides_; }
  int dimensions() const { return block_.flat ? 1 : 2; }

 private:
  nb::object owner_;
  Exporter& exporter_;
  Block block_;
  Py_ssize_t shape_[2];
  Py_ssize_t strides_[2];
  int64_t wide_shape_[2];  // as DLPack has them
  int64_t wide_strides_[2];
};

// What a class of pages gives: its owner and where it lies.
struct Exportable {
  nb::object owner;
  Exporter* exporter = nullptr;
  Block block;
};

// Raises ClosedError once the owner is closed. The object is an Export's.
nb::object make_export(const Exportable& from);
// bf_getbuffer of an object that gives `from`.
int fill_view(const Exportable& from, Py_buffer* view, int flags) noexcept;
// A capsule, as __dlpack__(max_version=...) asks for; BufferError for consumers that know no
// read-only memory when it is.
nb::object dlpack_capsule(const Exportable& from, const nb::kwargs& options);
nb::tuple dlpack_device();

// Type slots of a class whose `exportable()` says what a buffer of it is. The Export's end
// releases, so bf_releasebuffer has nothing to do; but without one NumPy keeps the page and not its
// buffer.
template <typename T>
PyType_Slot* buffer_slots() {
  static PyType_Slot slots[] = {
      {Py_bf_getbuffer, reinterpret_cast<void*>(+[](PyObject* self, Py_buffer* view, int flags) {
         return fill_view(nb::inst_ptr<T>(self)->exportable(), view, flags);
       })},
      {Py_bf_releasebuffer, reinterpret_cast<void*>(+[](PyObject*, Py_buffer*) {})},
      {0, nullptr}};
  return slots;
}

void bind_buffer(nb::module_& m);

}  // namespace quire::client
