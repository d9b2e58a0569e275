#include "client/python/py_layout.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <array>
#include <optional>
#include <vector>

#include "client/python/py_input.h"
#include "client/python/py_words.h"

namespace quire::client {

namespace {

struct ErrorText {
  std::array<char, 512> bytes{};
  quire_text_buffer buffer() { return {bytes.data(), bytes.size()}; }
};

PyLayout* parse(std::string_view toml) {
  ErrorText text;
  quire_layout* layout = nullptr;
  const quire_status status = quire_layout_parse(toml.data(), toml.size(), &layout, text.buffer());
  if (status != QUIRE_OK) raise_error(status, text.bytes.data());
  return new PyLayout(layout);
}

PyLayout* load(const std::string& path) {
  ErrorText text;
  quire_layout* layout = nullptr;
  const quire_status status = quire_layout_load(path.c_str(), &layout, text.buffer());
  if (status != QUIRE_OK) raise_error(status, text.bytes.data());
  return new PyLayout(layout);
}

nb::tuple layers_of(const quire_layout* layout, uint32_t group, uint32_t layer_count) {
  std::vector<quire_layer_range> ranges(layer_count);
  size_t count = 0;
  quire_layout_layers(layout, group, ranges.data(), ranges.size(), &count);
  nb::list layers;
  for (const quire_layer_range& range : ranges) {
    layers.append(nb::make_tuple(range.layer, range.offset, range.bytes));
  }
  return nb::tuple(layers);
}

nb::tuple groups(const PyLayout& layout) {
  const nb::object made = nb::module_::import_("quire._layout").attr("Group");
  nb::list list;
  for (uint32_t g = 0; g < quire_layout_group_count(layout.raw()); ++g) {
    quire_group_info info{};
    info.size = sizeof info;
    quire_layout_group(layout.raw(), g, &info);
    list.append(made(info.name, kGroupKinds.word(info.kind), info.page_bytes,
                     layers_of(layout.raw(), g, info.layer_count), info.window_tokens, info.shard,
                     info.shard_count, kRules.word(info.checkpoint_rule),
                     info.checkpoint_every_tokens, info.replay_tokens, info.replay_exact != 0));
  }
  return nb::tuple(list);
}

struct Plan {
  std::array<quire_planned_page, QUIRE_MAX_OBJECT_PAGES> pages{};
  size_t count = 0;
  uint64_t staging_bytes = 0;
};

Plan plan_of(const PyLayout& layout, std::string_view kind, uint32_t end_tokens, uint64_t groups) {
  Plan plan;
  const auto value = static_cast<quire_fill_kind>(kFillKinds.value(kind));
  const quire_status status =
      quire_plan_pages(layout.raw(), value, end_tokens, groups, plan.pages.data(),
                       plan.pages.size(), &plan.count, &plan.staging_bytes);
  if (status != QUIRE_OK) {
    raise_error(status,
                "no such object: a span ends at multiples of block_tokens, a checkpoint of "
                "unit_tokens, and groups are the layout's");
  }
  return plan;
}

nb::list plan_pages(const PyLayout& layout, std::string_view kind, uint32_t end_tokens,
                    uint64_t groups) {
  const Plan plan = plan_of(layout, kind, end_tokens, groups);
  nb::list list;
  for (size_t i = 0; i < plan.count; ++i) list.append(nb::cast(plan.pages[i]));
  return list;
}

nb::list wanted(const PyLayout& layout, uint32_t from_tokens, uint32_t end_tokens,
                uint32_t branch_tokens, std::optional<uint32_t> tail_tokens,
                std::string_view policy, uint32_t every_tokens) {
  quire_wanted_options options{};
  options.size = sizeof options;
  options.from_tokens = from_tokens;
  options.end_tokens = end_tokens;
  options.branch_tokens = branch_tokens;
  options.tail_tokens = tail_tokens.value_or(0) == 0 ? QUIRE_NO_TAIL : *tail_tokens;
  options.policy = kPolicies.value(policy);
  options.every_tokens = every_tokens;
  size_t count = 0;
  quire_status status = quire_wanted_checkpoints(layout.raw(), &options, nullptr, 0, &count);
  std::vector<quire_wanted_checkpoint> found(count);
  if (status == QUIRE_OK) {
    status = quire_wanted_checkpoints(layout.raw(), &options, found.data(), count, &count);
  }
  if (status != QUIRE_OK) {
    raise_error(status, "every_tokens goes with the policy \"every\", and with no other");
  }
  return wanted_list(found.data(), count);
}

nb::bytes chain_hashes(const PyLayout& layout, const nb::bytes& previous, nb::handle tokens,
                       uint32_t first_token, nb::handle keys) {
  if (previous.size() != QUIRE_HASH_BYTES) {
    raise_error(QUIRE_INVALID_ARGUMENT, "previous: 32 bytes are needed");
  }
  const TokenList given(tokens);
  const KeyList given_keys(keys);
  quire_keyed_tokens from{};
  from.size = sizeof from;
  from.tokens = given.data();
  from.count = given.size();
  from.keys = given_keys.data();
  from.key_count = given_keys.size();
  from.first_token = first_token;
  from.unit_tokens = quire_layout_unit_tokens(layout.raw());
  std::vector<uint8_t> hashes(given.size() / from.unit_tokens * QUIRE_HASH_BYTES);
  size_t count = 0;
  const quire_status status =
      quire_chain_hashes(static_cast<const uint8_t*>(previous.data()), &from, hashes.data(),
                         hashes.size() / QUIRE_HASH_BYTES, &count);
  if (status != QUIRE_OK) raise_error(status, "first_token: where a unit begins is needed");
  return nb::bytes(hashes.data(), count * QUIRE_HASH_BYTES);
}

}  // namespace

nb::list wanted_list(const quire_wanted_checkpoint* wanted, size_t count) {
  nb::list list;
  for (size_t i = 0; i < count; ++i) {
    list.append(nb::make_tuple(wanted[i].tokens, kReasons.word(wanted[i].reason)));
  }
  return list;
}

namespace {

void bind_boundaries(nb::class_<PyLayout>& layout) {
  layout
      .def(
          "unit_floor",
          [](const PyLayout& self, uint32_t tokens) {
            return quire_unit_floor(self.raw(), tokens);
          },
          nb::arg("tokens"))
      .def(
          "block_floor",
          [](const PyLayout& self, uint32_t tokens) {
            return quire_block_floor(self.raw(), tokens);
          },
          nb::arg("tokens"), "The span end that a resume at `tokens` needs.")
      .def(
          "last_resume_point",
          [](const PyLayout& self, uint32_t prompt_tokens) {
            return quire_last_resume_point(self.raw(), prompt_tokens);
          },
          nb::arg("prompt_tokens"), "The largest legal resume point of a prompt.")
      .def(
          "has_tail",
          [](const PyLayout& self, uint32_t tokens) {
            return quire_has_tail(self.raw(), tokens) != 0;
          },
          nb::arg("tokens"), "Whether a checkpoint there cuts a block and holds tail pages.");
}

}  // namespace

void bind_layout(nb::module_& m) {
  nb::class_<quire_planned_page>(m, "PlannedPage", "A page of an object, and where it is staged.")
      .def_ro("group", &quire_planned_page::group)
      .def_prop_ro("tail", [](const quire_planned_page& page) { return page.tail != 0; })
      .def_ro("nbytes", &quire_planned_page::bytes)
      .def_ro("staging_offset", &quire_planned_page::staging_offset);
  nb::class_<PyLayout> layout(
      m, "Layout", nb::is_final(),
      "What a model's pages look like: groups, bytes, layers, checkpoint rules.");
  bind_boundaries(layout);
  layout.def_static("parse", &parse, nb::arg("toml"), "From TOML as in configs/models.")
      .def_static("load", &load, nb::arg("path"), "From a TOML file.")
      .def_static(
          "from_groups",
          [](nb::handle groups, uint32_t unit_tokens, uint32_t block_tokens, nb::str name) {
            const nb::object toml =
                nb::module_::import_("quire._layout")
                    .attr("layout_toml")(groups, nb::arg("unit_tokens") = unit_tokens,
                                         nb::arg("block_tokens") = block_tokens,
                                         nb::arg("name") = name);
            return parse(nb::cast<std::string>(toml));
          },
          nb::arg("groups"), nb::kw_only(), nb::arg("unit_tokens"), nb::arg("block_tokens"),
          nb::arg("name") = "python", "From quire.Group objects.")
      .def_prop_ro("unit_tokens",
                   [](const PyLayout& self) { return quire_layout_unit_tokens(self.raw()); })
      .def_prop_ro("block_tokens",
                   [](const PyLayout& self) { return quire_layout_block_tokens(self.raw()); })
      .def_prop_ro("groups", &groups)
      .def_prop_ro("append_groups",
                   [](const PyLayout& self) { return quire_layout_append_groups(self.raw()); })
      .def_prop_ro("checkpoint_groups",
                   [](const PyLayout& self) { return quire_layout_checkpoint_groups(self.raw()); })
      .def("plan_pages", &plan_pages, nb::arg("kind"), nb::arg("end_tokens"), nb::arg("groups") = 0,
           "The pages of an object, in the order of Fill.pages.")
      .def(
          "staging_bytes",
          [](const PyLayout& self, std::string_view kind, uint32_t end_tokens, uint64_t groups) {
            return plan_of(self, kind, end_tokens, groups).staging_bytes;
          },
          nb::arg("kind"), nb::arg("end_tokens"), nb::arg("groups") = 0,
          "Staging memory that an object takes while it is written.")
      .def("wanted_checkpoints", &wanted, nb::arg("from_tokens"), nb::arg("end_tokens"),
           nb::kw_only(), nb::arg("branch_tokens") = 0, nb::arg("tail_tokens").none() = 256,
           nb::arg("policy") = "default", nb::arg("every_tokens") = 0,
           "(tokens, reason) of the checkpoints wanted in (from_tokens, end_tokens].")
      .def("chain_hashes", &chain_hashes, nb::arg("previous"), nb::arg("tokens").none(),
           nb::kw_only(), nb::arg("first_token") = 0, nb::arg("keys") = nb::make_tuple(),
           "Chain hashes of whole units, 32 bytes each.");
}

}  // namespace quire::client
