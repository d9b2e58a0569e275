// What an engine in C++17 does with the installed headers and library alone:
//
//   package_cc LAYOUT_FILE
//
// Writes a prompt's pages, finds them again and compares every byte, joins its own session, and
// tells what it used. Exit code 0 only if all of that did what it must.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "client/quire_cpp.h"

namespace {

using quire::cpp::Client;
using quire::cpp::Error;
using quire::cpp::Fill;
using quire::cpp::Layout;
using quire::cpp::Result;
using quire::cpp::Session;

constexpr uint32_t kBlocks = 3;

void require(bool condition, const char* step, const std::string& why) {
  if (condition) return;
  std::fprintf(stderr, "package_cc: %s: %s\n", step, why.c_str());
  std::exit(1);
}

template <typename T>
T taken(Result<T> result, const char* step) {
  require(result.ok(), step, result.error().text);
  return std::move(*result);
}

unsigned char page_byte(uint32_t end_tokens, uint32_t group, uint64_t i) {
  return static_cast<unsigned char>(end_tokens * 131u + group * 17u + i * 7u + (i >> 8));
}

void store(Fill fill, uint32_t end_tokens) {
  require(!fill.is_duplicate(), "begin", "was there before");
  for (const quire_fill_page& page : fill) {
    auto* bytes = static_cast<unsigned char*>(page.data);
    for (uint64_t i = 0; i < page.bytes; ++i) bytes[i] = page_byte(end_tokens, page.group, i);
  }
  require(taken(fill.commit(), "commit").visible == 1, "commit", "not visible");
}

uint64_t compare(Session& session, uint32_t prompt, uint32_t block) {
  const auto hit = taken(session.match(prompt), "match");
  require(hit && hit.exact_tokens() == kBlocks * block, "match", "not what was written");
  const auto pages = taken(session.load(hit), "load");
  const size_t spans = pages.size() - pages.checkpoint_count();
  uint64_t compared = 0;
  size_t index = 0;
  for (const quire_page_view& page : pages) {
    const uint32_t end =
        index < spans ? static_cast<uint32_t>(index * pages.block_count() / spans + 1) * block
                      : kBlocks * block;
    const auto* bytes = static_cast<const unsigned char*>(page.data);
    for (uint64_t i = 0; i < page.bytes; ++i) {
      require(bytes[i] == page_byte(end, page.group, i), "compare", "a byte differs");
    }
    compared += page.bytes;
    ++index;
  }
  return compared;
}

void tell_usage(Session& session, uint32_t resumed_tokens) {
  quire_resumed_word word{};
  word.size = sizeof(word);
  word.resumed_tokens = resumed_tokens;
  word.how = QUIRE_RESUMED_EXACT;
  const auto usage = taken(session.resumed(word), "resumed");
  require(usage.hit_tokens == resumed_tokens, "usage", "not what was hit");
  std::printf("package_cc: usage %s\n",
              taken(quire::cpp::usage_json(usage, QUIRE_USAGE_OPENAI), "usage").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  require(argc == 2, "usage", "package_cc LAYOUT_FILE");
  require(!Layout::parse("no layout").ok(), "layout", "nonsense was taken");
  const Layout layout = taken(Layout::load(argv[1]), "layout");
  quire::cpp::ClientOptions client_options;
  client_options.client_name = "package_cc";
  client_options.daemon_wait_ms = 10000;
  auto client = taken(Client::connect(client_options), "connect");
  require(client.ping().ok(), "ping", "failed");
  quire::cpp::SessionOptions options;
  options.layout = &layout;
  options.namespace_name = "package_cc";
  auto session = taken(client.open_session(options), "open_session");

  const uint32_t block = layout.block_tokens();
  const uint32_t prompt = kBlocks * block + 1;
  std::vector<uint32_t> tokens(prompt);
  for (uint32_t i = 0; i < prompt; ++i) tokens[i] = i * 5 + 2;
  const Error appended = session.append_tokens(tokens);
  require(appended.ok(), "append_tokens", appended.text);
  { const Fill forgotten = taken(session.begin_span(block), "begin_span"); }  // is aborted
  for (uint32_t b = 1; b <= kBlocks; ++b) {
    store(taken(session.begin_span(b * block), "begin_span"), b * block);
  }
  if (layout.needs_checkpoints()) {
    store(taken(session.begin_checkpoint(kBlocks * block), "begin_checkpoint"), kBlocks * block);
  }
  const uint64_t bytes = compare(session, prompt, block);
  std::printf("package_cc: %llu bytes came back as they were\n",
              static_cast<unsigned long long>(bytes));
  tell_usage(session, kBlocks * block);
  auto member = taken(client.join_session(session.token(), options), "join_session");
  require(member.append_tokens(tokens).ok(), "append_tokens", "of a member");
  require(compare(member, prompt, block) == bytes, "join", "a member finds less");
  return 0;
}
