/* What an engine in C does with the installed headers and library alone:
 *
 *   package_c LAYOUT_FILE
 *
 * Writes a prompt's pages, finds them again and compares every byte. Exit code 0 only if all did.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/quire_c.h"

#define BLOCKS 3u

static void require(int condition, const char* step, const char* why) {
  if (condition) return;
  fprintf(stderr, "package_c: %s: %s\n", step, why);
  exit(1);
}

static unsigned char page_byte(uint32_t end_tokens, uint32_t group, uint64_t i) {
  return (unsigned char)(end_tokens * 131u + group * 17u + i * 7u + (i >> 8));
}

static void store(quire_session* session, enum quire_fill_kind kind, uint32_t end_tokens) {
  quire_fill fill = {.size = sizeof fill};
  require(quire_begin_fill(session, kind, end_tokens, NULL, &fill) == QUIRE_OK, "begin_fill",
          quire_session_error(session));
  require(fill.duplicate == 0, "begin_fill", "was there before");
  for (uint32_t p = 0; p < fill.page_count; ++p) {
    unsigned char* bytes = fill.pages[p].data;
    for (uint64_t i = 0; i < fill.pages[p].bytes; ++i) {
      bytes[i] = page_byte(end_tokens, fill.pages[p].group, i);
    }
  }
  quire_commit_result result = {.size = sizeof result};
  require(quire_commit(session, &fill, &result) == QUIRE_OK && result.visible == 1, "commit",
          quire_session_error(session));
}

static uint64_t compare(quire_session* session, uint32_t prompt, uint32_t block) {
  quire_match_result hit = {.size = sizeof hit};
  require(quire_match(session, prompt, 0, &hit) == QUIRE_OK, "match", quire_session_error(session));
  require(hit.lease != 0 && hit.exact_tokens == BLOCKS * block, "match", "not what was written");
  quire_pages pages = {.size = sizeof pages};
  require(quire_load(session, hit.lease, NULL, &pages) == QUIRE_OK, "load",
          quire_session_error(session));
  const size_t spans = pages.page_count - pages.checkpoint_count;
  uint64_t compared = 0;
  for (size_t p = 0; p < pages.page_count; ++p) {
    const quire_page_view* page = &pages.pages[p];
    const unsigned char* bytes = page->data;
    const uint32_t end =
        p < spans ? (uint32_t)(p * pages.block_count / spans + 1) * block : BLOCKS * block;
    for (uint64_t i = 0; i < page->bytes; ++i) {
      require(bytes[i] == page_byte(end, page->group, i), "compare", "a byte differs");
    }
    compared += page->bytes;
  }
  require(quire_release(session, hit.lease) == QUIRE_OK, "release", quire_session_error(session));
  return compared;
}

int main(int argc, char** argv) {
  char error[256] = "";
  const quire_text_buffer text = {error, sizeof error};
  quire_layout* layout = NULL;
  require(argc == 2, "usage", "package_c LAYOUT_FILE");
  require(quire_layout_load(argv[1], &layout, text) == QUIRE_OK, "layout", error);
  quire_client_options client_options;
  quire_client_options_init(&client_options);
  client_options.client_name = "package_c";
  client_options.daemon_wait_ms = 10000;
  quire_client* client = NULL;
  require(quire_connect(&client_options, &client, text) == QUIRE_OK, "connect", error);
  quire_session_options options;
  quire_session_options_init(&options);
  options.layout = layout;
  options.namespace_name = "package_c";
  quire_session* session = NULL;
  require(quire_open_session(client, &options, &session) == QUIRE_OK, "open_session",
          quire_client_error(client));
  const uint32_t block = quire_layout_block_tokens(layout);
  const uint32_t prompt = BLOCKS * block + 1;
  uint32_t* tokens = calloc(prompt, sizeof *tokens);
  require(tokens != NULL, "tokens", "out of memory");
  for (uint32_t i = 0; i < prompt; ++i) tokens[i] = i * 3u + 1u;
  require(quire_append_tokens(session, tokens, prompt) == QUIRE_OK, "append_tokens",
          quire_session_error(session));
  free(tokens);
  for (uint32_t b = 1; b <= BLOCKS; ++b) store(session, QUIRE_FILL_SPAN, b * block);
  if (quire_layout_checkpoint_groups(layout) != 0) {
    store(session, QUIRE_FILL_CHECKPOINT, BLOCKS * block);
  }
  printf("package_c: %llu bytes came back as they were\n",
         (unsigned long long)compare(session, prompt, block));
  require(quire_close_session(session) == QUIRE_OK, "close", "failed");
  quire_disconnect(client);
  quire_layout_free(layout);
  return 0;
}
