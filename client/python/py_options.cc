#include "client/python/py_options.h"

#include <nanobind/stl/string.h>

#include <array>
#include <optional>
#include <utility>

#include "client/python/py_layout.h"

namespace quire::client {

namespace {

template <typename T>
T cast_option(std::string_view name, nb::handle value, std::string_view what) {
  T result{};
  if (nb::try_cast(value, result)) return result;
  raise_error(QUIRE_INVALID_ARGUMENT, std::string(name).append(": ").append(what));
}

template <typename T>
struct Field {
  std::string_view name;
  T quire_session_options::*member;
};

constexpr std::array<Field<uint32_t>, 6> kNumbers = {
    {{"ring_entries", &quire_session_options::ring_entries},
     {"offer_tokens", &quire_session_options::offer_tokens},
     {"ahead_tokens", &quire_session_options::ahead_tokens},
     {"max_tokens", &quire_session_options::max_tokens},
     {"max_load_pages", &quire_session_options::max_load_pages},
     {"admission_wait_ms", &quire_session_options::admission_wait_ms}}};
constexpr std::array<Field<uint64_t>, 3> kLargeNumbers = {
    {{"weights_epoch", &quire_session_options::weights_epoch},
     {"conversation", &quire_session_options::conversation},
     {"reserve_bytes", &quire_session_options::reserve_bytes}}};

template <typename T, size_t N>
bool take_field(const std::array<Field<T>, N>& fields, std::string_view name, nb::handle value,
                quire_session_options& options) {
  for (const Field<T>& field : fields) {
    if (field.name != name) continue;
    options.*field.member = cast_option<T>(name, value, "a number of 0 or more is needed");
    return true;
  }
  return false;
}

}  // namespace

SessionArguments::SessionArguments(nb::handle layout, const nb::kwargs& given) {
  quire_session_options_init(&raw_);
  const PyLayout* known = nullptr;
  if (!nb::try_cast(layout, known) || known == nullptr) {
    raise_error(QUIRE_INVALID_ARGUMENT, "layout: a quire.Layout is needed");
  }
  raw_.layout = known->raw();
  for (const auto [key, value] : given) {
    const auto name = nb::cast<std::string>(key);
    if (take_text(name, value) || take_number(name, value) || take_word(name, value)) continue;
    PyErr_Format(PyExc_TypeError, "open_session() got an unexpected keyword argument '%s'",
                 name.c_str());
    nb::raise_python_error();
  }
  raw_.tenant = tenant_.c_str();
  raw_.namespace_name = namespace_.c_str();
  raw_.salt = salt_.c_str();
  raw_.model = model_.c_str();
  raw_.service_tier = service_tier_.c_str();
  raw_.retention = retention_.c_str();
}

bool SessionArguments::take_text(std::string_view name, nb::handle value) {
  const std::pair<std::string_view, std::string*> texts[] = {
      {"tenant", &tenant_}, {"namespace", &namespace_},       {"salt", &salt_},
      {"model", &model_},   {"service_tier", &service_tier_}, {"retention", &retention_}};
  for (const auto& [known, text] : texts) {
    if (known != name) continue;
    *text = cast_option<std::string>(name, value, "a str is needed");
    if (text->find('\0') != std::string::npos) {
      raise_error(QUIRE_INVALID_ARGUMENT, std::string(name) + ": it has a zero character");
    }
    return true;
  }
  return false;
}

bool SessionArguments::take_number(std::string_view name, nb::handle value) {
  return take_field(kNumbers, name, value, raw_) || take_field(kLargeNumbers, name, value, raw_);
}

bool SessionArguments::take_word(std::string_view name, nb::handle value) {
  if (name == "load_class") {
    raw_.load_class = kLoadClasses.value(cast_option<std::string>(name, value, "a str is needed"));
    return true;
  }
  if (name == "role") {
    raw_.role = kRoles.value(cast_option<std::string>(name, value, "a str is needed"));
    return true;
  }
  if (name == "tail_tokens") {
    if (nb::isinstance<nb::str>(value)) {
      raw_.tail_tokens = kTails.value(nb::cast<std::string>(value));
      return true;
    }
    const uint32_t tokens =
        value.is_none()
            ? 0
            : cast_option<uint32_t>(name, value, "a number of tokens, None, or \"learnt\"");
    raw_.tail_tokens = tokens == 0 ? QUIRE_NO_TAIL : tokens;
    return true;
  }
  if (name == "explicit_caching") {
    raw_.explicit_caching = cast_option<bool>(name, value, "True or False") ? 1 : 0;
    return true;
  }
  return false;
}

}  // namespace quire::client
