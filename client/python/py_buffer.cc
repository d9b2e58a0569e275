#include "client/python/py_buffer.h"

#include <memory>

namespace quire::client {

namespace {

// DLPack 1.0's structures (dmlc/dlpack, include/dlpack/dlpack.h), CPU memory of uint8 alone.
constexpr int32_t kDlCpu = 1;
constexpr uint8_t kDlUInt = 1;
constexpr uint64_t kDlReadOnly = 1;
struct DlTensor {
  void* data;
  int32_t device_type;
  int32_t device_id;
  int32_t ndim;
  uint8_t type_code;
  uint8_t type_bits;
  uint16_t type_lanes;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DlManaged {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManaged*);
};
struct DlManagedVersioned {
  uint32_t major;
  uint32_t minor;
  void* context;
  void (*deleter)(DlManagedVersioned*);
  uint64_t flags;
  DlTensor tensor;
};

// The context is the Export, owned. A consumer may call this on any thread, also while the
// interpreter ends.
template <typename Managed>
void delete_managed(Managed* managed) {
  if (Py_IsInitialized() != 0) {
    const nb::gil_scoped_acquire gil;
    Py_DECREF(static_cast<PyObject*>(managed->context));
  }
  delete managed;
}

template <typename Managed>
constexpr const char* kCapsuleName = nullptr;
template <>
constexpr const char* kCapsuleName<DlManaged> = "dltensor";
template <>
constexpr const char* kCapsuleName<DlManagedVersioned> = "dltensor_versioned";

DlTensor tensor_of(Export& from) {
  return {.data = const_cast<void*>(from.block().data),
          .device_type = kDlCpu,
          .device_id = 0,
          .ndim = from.dimensions(),
          .type_code = kDlUInt,
          .type_bits = 8,
          .type_lanes = 1,
          .shape = from.wide_shape(),
          .strides = from.wide_strides(),
          .byte_offset = 0};
}

template <typename Managed>
nb::object capsule_of(std::unique_ptr<Managed> managed, nb::object owned) {
  managed->context = owned.ptr();
  managed->deleter = delete_managed<Managed>;
  // A capsule that was consumed has another name, and is its consumer's.
  PyObject* capsule = PyCapsule_New(managed.get(), kCapsuleName<Managed>, [](PyObject* unused) {
    if (PyCapsule_IsValid(unused, kCapsuleName<Managed>) == 0) return;
    auto* left = static_cast<Managed*>(PyCapsule_GetPointer(unused, kCapsuleName<Managed>));
    left->deleter(left);
  });
  if (capsule == nullptr) nb::raise_python_error();
  owned.release();
  managed.release();
  return nb::steal(capsule);
}

bool knows_versions(const nb::kwargs& options) {
  if (!options.contains("max_version") || options["max_version"].is_none()) return false;
  return nb::cast<int>(options["max_version"][0]) >= 1;
}

// Whether a consumer that asks so can make sense of the block.
bool suits(const Block& block, int flags) {
  const auto asks = [flags](int order) { return (flags & order) == order; };
  // Rows of bytes lie in C's order; one row, or one dimension, lies in both.
  if (asks(PyBUF_F_CONTIGUOUS) && !block.flat && block.rows > 1) return false;
  const bool needs_order =
      !asks(PyBUF_STRIDES) || asks(PyBUF_C_CONTIGUOUS) || asks(PyBUF_ANY_CONTIGUOUS);
  return block.contiguous() || !needs_order;
}

[[noreturn]] void refuse_capsule(const char* text) {
  PyErr_SetString(PyExc_BufferError, text);
  nb::raise_python_error();
}

int refuse_view(Py_buffer* view, const char* text) {
  view->obj = nullptr;
  PyErr_SetString(PyExc_BufferError, text);
  return -1;
}

}  // namespace

Export::Export(nb::object owner, Exporter& exporter, const Block& block)
    : owner_(std::move(owner)), exporter_(exporter), block_(block) {
  shape_[0] = static_cast<Py_ssize_t>(block.flat ? block.row_bytes : block.rows);
  shape_[1] = static_cast<Py_ssize_t>(block.row_bytes);
  strides_[0] = block.flat ? 1 : static_cast<Py_ssize_t>(block.stride);
  strides_[1] = 1;
  for (int i = 0; i < 2; ++i) {
    wide_shape_[i] = shape_[i];
    wide_strides_[i] = strides_[i];
  }
  if (exporter_.export_count_++ == 0) exporter_.first_export();
}

Export::~Export() {
  if (--exporter_.export_count_ == 0) exporter_.exports_over();
}

nb::object make_export(const Exportable& from) {
  if (!from.exporter->open()) raise_error(QUIRE_CLOSED, from.exporter->closed_text());
  auto made = std::make_unique<Export>(from.owner, *from.exporter, from.block);
  nb::object object = nb::cast(made.get(), nb::rv_policy::take_ownership);
  made.release();
  return object;
}

int fill_view(const Exportable& from, Py_buffer* view, int flags) noexcept {
  try {
    view->obj = nullptr;
    const Block& block = from.block;
    if ((flags & PyBUF_WRITABLE) != 0 && !block.writable) {
      return refuse_view(view, "a page of the store is read-only: copy it to change it");
    }
    if (!suits(block, flags)) {
      return refuse_view(view, "the pages of this run do not lie in that order: ask with strides");
    }
    nb::object owned = make_export(from);
    Export& made = nb::cast<Export&>(owned);
    view->buf = const_cast<void*>(block.data);
    view->len = static_cast<Py_ssize_t>(block.bytes());
    view->itemsize = 1;
    view->readonly = block.writable ? 0 : 1;
    view->format = (flags & PyBUF_FORMAT) != 0 ? const_cast<char*>("B") : nullptr;
    const bool shaped = (flags & PyBUF_ND) == PyBUF_ND;
    view->ndim = shaped ? made.dimensions() : 1;
    view->shape = shaped ? made.shape() : nullptr;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? made.strides() : nullptr;
    view->suboffsets = nullptr;
    view->internal = nullptr;
    view->obj = owned.release().ptr();
    return 0;
  } catch (nb::python_error& error) {
    error.restore();
  } catch (...) {
    PyErr_NoMemory();
  }
  return -1;
}

nb::object dlpack_capsule(const Exportable& from, const nb::kwargs& options) {
  const bool versioned = knows_versions(options);
  if (!versioned && !from.block.writable) {
    refuse_capsule(
        "a page is read-only, and this consumer knows DLPack before 1.0 only, which cannot say so: "
        "go through a memoryview or NumPy");
  }
  if (options.contains("copy") && options["copy"].is(nb::bool_(true))) {
    refuse_capsule("pages are lent, never copied: take the tensor, and copy that");
  }
  if (options.contains("dl_device") && !options["dl_device"].is_none() &&
      !options["dl_device"].equal(dlpack_device())) {
    refuse_capsule("pages lie in CPU memory: take the tensor, and move that");
  }
  nb::object owned = make_export(from);
  Export& made = nb::cast<Export&>(owned);
  if (!versioned) {
    auto managed = std::make_unique<DlManaged>();
    managed->tensor = tensor_of(made);
    return capsule_of(std::move(managed), std::move(owned));
  }
  auto managed = std::make_unique<DlManagedVersioned>();
  managed->major = 1;
  managed->minor = 0;
  managed->flags = from.block.writable ? 0 : kDlReadOnly;
  managed->tensor = tensor_of(made);
  return capsule_of(std::move(managed), std::move(owned));
}

nb::tuple dlpack_device() { return nb::make_tuple(kDlCpu, 0); }

void bind_buffer(nb::module_& m) {
  nb::class_<Export>(m, "_Export", "A claim on the memory of a hit or fill, while a buffer lives.");
}

}  // namespace quire::client
