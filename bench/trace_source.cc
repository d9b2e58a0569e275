#include "bench/trace_source.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <memory>
#include <random>
#include <set>

namespace quire::bench {

namespace {

namespace json = boost::json;
using model::Errc;
using model::make_error;

void add_stream(const json::array& requests, double start_s, TraceSession& session) {
  TraceStream stream;
  for (const json::value& value : requests) {
    const json::object& request = value.as_object();
    if (const json::value* nested = request.if_contains("requests")) {
      add_stream(nested->as_array(), start_s + value.at("t").to_number<double>(), session);
      continue;
    }
    TraceRequest one;
    one.prompt_tokens = value.at("in").to_number<uint32_t>();
    if (const json::value* t = request.if_contains("t")) {
      one.time_us = static_cast<int64_t>((start_s + t->to_number<double>()) * 1e6);
    }
    for (const json::value& id : value.at("hash_ids").as_array()) {
      one.ids.push_back(id.to_number<uint32_t>());
    }
    one.ids.resize(std::min<size_t>(one.ids.size(), one.prompt_tokens / kTraceBlockTokens));
    if (one.prompt_tokens > 0) stream.push_back(std::move(one));
  }
  session.push_back(std::move(stream));
}

size_t fingerprint(const TraceSession& session) {
  size_t hash = 0;
  const auto mix = [&](uint64_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ull; };
  for (const TraceStream& stream : session) {
    for (const TraceRequest& request : stream) {
      mix(request.prompt_tokens);
      mix(static_cast<uint64_t>(request.time_us));
      for (const uint32_t id : request.ids) mix(id);
    }
    mix(stream.size());
  }
  return hash;
}

// The library's exceptions end here.
model::Result<TraceSession> to_session(const json::value& document) {
  try {
    TraceSession session;
    add_stream(document.at("requests").as_array(), 0, session);
    return session;
  } catch (const std::exception& error) {
    return make_error(Errc::kInvalidArgument,
                      std::string("no session of a trace: ") + error.what());
  }
}

std::string quoted(const std::string& path) {
  std::string text = "'";
  for (const char c : path) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// Documents that stand one behind the other.
class DocumentReader {
 public:
  explicit DocumentReader(std::function<model::Result<bool>(json::value)> take)
      : take_(std::move(take)) {}

  // False: no more is wanted.
  model::Result<bool> read(std::string_view text) {
    while (!text.empty()) {
      json::error_code failure;
      const size_t used = parser_.write_some(text.data(), text.size(), failure);
      if (failure) return make_error(Errc::kInvalidArgument, "not JSON: " + failure.message());
      text.remove_prefix(used);
      if (!parser_.done()) continue;
      const bool more = QUIRE_TRY(take_(parser_.release()));
      parser_.reset();
      if (!more) return false;
      text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \r\n\t")));
    }
    return true;
  }

 private:
  std::function<model::Result<bool>(json::value)> take_;
  json::stream_parser parser_;
};

std::string command_to_read(const std::string& path) {
  if (path.ends_with(".tar.zst")) return "zstd -dc --long=27 " + quoted(path) + " | tar -xO";
  return (path.ends_with(".zst") ? "zstd -dc " : "cat ") + quoted(path);
}

model::Result<void> read_documents(const std::string& path, DocumentReader& reader) {
  const std::string command = command_to_read(path);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  if (pipe == nullptr) return make_error(Errc::kIoError, "cannot run: " + command);
  std::vector<char> buffer(1 << 20);
  while (const size_t bytes = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    if (!QUIRE_TRY(reader.read({buffer.data(), bytes}))) break;
  }
  return {};
}

}  // namespace

model::Result<void> for_each_session(const std::string& path, uint32_t limit,
                                     const std::function<void(const TraceSession&)>& visit) {
  uint32_t count = 0;
  std::set<size_t> seen;
  DocumentReader reader([&](const json::value& document) -> model::Result<bool> {
    const TraceSession session = QUIRE_TRY(to_session(document));
    if (!seen.insert(fingerprint(session)).second) return true;
    visit(session);
    return ++count != limit;
  });
  QUIRE_TRY(read_documents(path, reader));
  if (count == 0) return make_error(Errc::kInvalidArgument, path + " holds no session of a trace");
  return {};
}

std::vector<TraceSession> synthetic_trace() {
  std::mt19937 random(37);
  std::vector<TraceSession> sessions;
  for (int s = 0; s < 12; ++s) {
    TraceStream stream;
    std::vector<uint32_t> ids;
    uint32_t next = 1;
    uint32_t tokens = 0;
    const auto grow = [&](uint32_t by) {
      for (tokens += by; (ids.size() + 1) * kTraceBlockTokens <= tokens;) ids.push_back(next++);
    };
    grow(8000 + random() % 8000);
    for (int turn = 0; turn < 40; ++turn) {
      stream.push_back({.prompt_tokens = tokens, .ids = ids});
      if (random() % 16 == 0) {  // a template puts another tail there
        const auto kept = static_cast<uint32_t>(ids.size() - 1 - random() % 3);
        ids.resize(kept);
        tokens = kept * kTraceBlockTokens;
      }
      grow(100 + random() % 3000);
    }
    sessions.push_back({std::move(stream)});
  }
  return sessions;
}

}  // namespace quire::bench
