/* The whole life of a session through the C ABI against a running daemon:
 *
 *   quire_c_client SOCKET LAYOUT_FILE
 *
 * One line per step. Exit code 0 only if every step did what it must and every byte that was
 * committed came back. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/quire_c.h"

#define BLOCKS 3u

static void die(const char* step, const char* why) {
  printf("FAILED %s: %s\n", step, why);
  exit(1);
}

static void require(int condition, const char* step, const char* why) {
  if (!condition) die(step, why);
}

static void step_done(quire_status status, const char* step, const char* text) {
  if (status != QUIRE_OK) {
    printf("FAILED %s: %s: %s\n", step, quire_status_name(status), text);
    exit(1);
  }
  printf("ok %s\n", step);
}

/* Differs by object, group and place in the page. */
static unsigned char page_byte(uint32_t end_tokens, uint32_t group, uint64_t i) {
  return (unsigned char)(end_tokens * 131u + group * 17u + i * 7u + (i >> 8));
}

static void write_pages(const quire_fill* fill, uint32_t end_tokens) {
  for (uint32_t p = 0; p < fill->page_count; ++p) {
    unsigned char* bytes = fill->pages[p].data;
    for (uint64_t i = 0; i < fill->pages[p].bytes; ++i) {
      bytes[i] = page_byte(end_tokens, fill->pages[p].group, i);
    }
  }
}

static void check_page(const quire_page_view* page, uint32_t end_tokens) {
  const unsigned char* bytes = page->data;
  for (uint64_t i = 0; i < page->bytes; ++i) {
    require(bytes[i] == page_byte(end_tokens, page->group, i), "compare", "a byte differs");
  }
  require(quire_verify_page(page) == 1, "compare", "the checksum differs");
}

static void store(quire_session* session, enum quire_fill_kind kind, uint32_t end_tokens,
                  const char* step) {
  quire_fill fill = {.size = sizeof fill};
  step_done(quire_begin_fill(session, kind, end_tokens, NULL, &fill), step,
            quire_session_error(session));
  require(fill.duplicate == 0, step, "is there already: start with an empty daemon");
  write_pages(&fill, end_tokens);
  quire_commit_result result = {.size = sizeof result};
  step_done(quire_commit(session, &fill, &result), "commit", quire_session_error(session));
  require(result.visible == 1, "commit", "not visible");
  require(quire_commit(session, &fill, NULL) == QUIRE_NOT_FOUND, "commit", "worked twice");
}

static quire_session* open_session(quire_client* client, const quire_layout* layout,
                                   const uint8_t* token) {
  quire_session_options options;
  quire_session_options_init(&options);
  options.layout = layout;
  options.tenant = "c-client";
  options.namespace_name = "c-client";
  options.max_tokens = 1u << 17;
  options.staging_bytes = 64u << 20;
  quire_session* session = NULL;
  if (token == NULL) {
    step_done(quire_open_session(client, &options, &session), "open", quire_client_error(client));
  } else {
    step_done(quire_join_session(client, token, &options, &session), "join",
              quire_client_error(client));
  }
  return session;
}

static void append(quire_session* session, uint32_t token_count) {
  uint32_t* tokens = malloc(token_count * sizeof *tokens);
  require(tokens != NULL, "append", "out of memory");
  for (uint32_t i = 0; i < token_count; ++i) tokens[i] = i * 3u + 1u;
  step_done(quire_append_tokens(session, tokens, token_count), "append",
            quire_session_error(session));
  free(tokens);
}

static int has_checkpoints(quire_session* session, uint32_t end_tokens) {
  quire_fill fill = {.size = sizeof fill};
  const quire_status status =
      quire_begin_fill(session, QUIRE_FILL_CHECKPOINT, end_tokens, NULL, &fill);
  if (status == QUIRE_INVALID_ARGUMENT) return 0; /* an append-only layout: no pages */
  step_done(status, "begin checkpoint", quire_session_error(session));
  step_done(quire_abort(session, &fill), "abort", quire_session_error(session));
  require(quire_abort(session, &fill) == QUIRE_NOT_FOUND, "abort", "worked twice");
  return 1;
}

static void read_back(quire_session* session, uint32_t prompt_tokens, uint32_t block_tokens,
                      uint32_t exact_tokens) {
  quire_match_result hit = {.size = sizeof hit};
  step_done(quire_match(session, prompt_tokens, 0, &hit), "match", quire_session_error(session));
  require(hit.lease != 0 && hit.exact_tokens == exact_tokens, "match", "not the expected hit");
  quire_pages pages = {.size = sizeof pages};
  step_done(quire_load(session, hit.lease, NULL, &pages), "load", quire_session_error(session));
  require(pages.block_count == exact_tokens / block_tokens, "load", "not every block");
  const size_t span_pages = pages.page_count - pages.checkpoint_count;
  for (size_t i = 0; i < pages.page_count; ++i) {
    const size_t block = i * pages.block_count / (span_pages == 0 ? 1 : span_pages);
    const uint32_t end = i < span_pages ? (uint32_t)(block + 1) * block_tokens : exact_tokens;
    require(pages.pages[i].of_checkpoint == (i >= span_pages), "load", "page of the wrong kind");
    check_page(&pages.pages[i], end);
  }
  printf("ok compare %zu pages\n", pages.page_count);
  step_done(quire_release(session, hit.lease), "release", quire_session_error(session));
  require(quire_release(session, hit.lease) == QUIRE_NOT_FOUND, "release", "worked twice");
}

static void read_asynchronously(quire_session* session, uint32_t prompt_tokens) {
  uint64_t request = 0;
  quire_completion completion = {.size = sizeof completion};
  size_t count = 0;
  struct pollfd ready = {quire_session_fd(session), POLLIN, 0};
  step_done(quire_submit_match(session, prompt_tokens, 0, &request), "submit match",
            quire_session_error(session));
  quire_flush(session);
  require(poll(&ready, 1, 10000) == 1, "poll", "the descriptor never became readable");
  step_done(quire_wait(session, 10000), "wait", quire_session_error(session));
  step_done(quire_poll(session, &completion, 1, &count), "poll", quire_session_error(session));
  require(count == 1 && completion.request == request, "poll", "not the completion");
  quire_match_result hit = {.size = sizeof hit};
  require(quire_completion_match(&completion, &hit) == QUIRE_OK, "poll", "not a match");
  require(hit.lease != 0, "poll", "no hit");
  step_done(quire_submit_load(session, hit.lease, NULL, &request), "submit load",
            quire_session_error(session));
  quire_flush(session);
  step_done(quire_wait(session, 10000), "wait", quire_session_error(session));
  step_done(quire_poll(session, &completion, 1, &count), "poll", quire_session_error(session));
  quire_pages pages = {.size = sizeof pages};
  step_done(quire_take_pages(session, &completion, &pages), "take pages",
            quire_session_error(session));
  require(pages.page_count > 0, "take pages", "no pages");
  step_done(quire_release(session, hit.lease), "release", quire_session_error(session));
}

/* What an engine asks that chooses by itself, and what it says afterwards. */
static void ask(quire_session* session, uint32_t prompt_tokens, uint32_t exact_tokens) {
  quire_locate_result located = {.size = sizeof located};
  step_done(quire_locate(session, exact_tokens, &located), "locate", quire_session_error(session));
  require(located.span_tokens == exact_tokens, "locate", "not every span");
  require(located.tier_tokens[QUIRE_TIER_RAM] == exact_tokens, "locate", "not in RAM");
  quire_position positions[8];
  quire_positions_result found = {.size = sizeof found};
  step_done(quire_positions(session, prompt_tokens, NULL, positions, 8, &found), "positions",
            quire_session_error(session));
  require(found.count > 0 && positions[0].tokens == exact_tokens, "positions", "not the deepest");
  require(positions[0].how == QUIRE_RESUMED_EXACT, "positions", "not exact");
  quire_match_options options = {.size = sizeof options, .request_id = 77};
  quire_match_result hit = {.size = sizeof hit};
  step_done(quire_match_with(session, prompt_tokens, &options, &hit), "match",
            quire_session_error(session));
  quire_resumed_word word = {.size = sizeof word, .request_id = 77, .how = QUIRE_RESUMED_EXACT};
  word.resumed_tokens = exact_tokens;
  step_done(quire_resumed(session, &word), "resumed", quire_session_error(session));
  word.request_id = 78;
  require(quire_resumed(session, &word) == QUIRE_NOT_FOUND, "resumed", "of another request");
  step_done(quire_release(session, hit.lease), "release", quire_session_error(session));
}

static void use_session(quire_client* client, quire_session* session, const quire_layout* layout) {
  const uint32_t block = quire_layout_block_tokens(layout);
  const uint32_t unit = quire_layout_unit_tokens(layout);
  const uint32_t prompt = BLOCKS * block + unit + 1;
  append(session, prompt);
  step_done(quire_noop(session), "noop", quire_session_error(session));
  for (uint32_t b = 1; b <= BLOCKS; ++b) store(session, QUIRE_FILL_SPAN, b * block, "begin span");
  const uint32_t exact = BLOCKS * block;
  require(quire_block_floor(layout, exact + block - 1) == exact, "boundary", "not the block end");
  const int checkpoints = has_checkpoints(session, exact);
  if (checkpoints) store(session, QUIRE_FILL_CHECKPOINT, exact, "begin checkpoint");
  step_done(quire_wait_for_tokens(session, exact, 10000), "wait for tokens",
            quire_session_error(session));
  read_back(session, prompt, block, exact);
  read_asynchronously(session, prompt);
  ask(session, prompt, exact);

  uint8_t token[QUIRE_TOKEN_BYTES];
  quire_session_token(session, token);
  quire_session* member = open_session(client, layout, token);
  append(member, prompt);
  read_back(member, prompt, block, exact);
  step_done(quire_close_session(member), "close member", "");

  step_done(quire_advise(session, QUIRE_DONE_WITH, exact, 0), "advise",
            quire_session_error(session));
  int dropped = 0;
  if (checkpoints) {
    step_done(quire_supersede(session, exact, &dropped), "supersede", quire_session_error(session));
  }
}

/* What a router does: what is held, then what happens; and how much of a prompt is here. */
static void hear(quire_client* client, const quire_layout* layout) {
  const quire_events_options options = {.size = sizeof options, .snapshot = QUIRE_SNAPSHOT_AT_ONCE};
  quire_events* events = NULL;
  step_done(quire_subscribe_events(client, &options, &events), "events",
            quire_client_error(client));
  require(quire_events_fd(events) >= 0, "events", "no descriptor");
  size_t held = 0;
  for (int whole = 0; !whole;) {
    quire_event some[4];
    size_t count = 0;
    step_done(quire_poll_events(events, 10000, some, 4, &count), "poll events",
              quire_events_error(events));
    require(count > 0, "events", "nothing came");
    for (size_t i = 0; i < count; ++i) {
      whole = whole || some[i].kind == QUIRE_EVENT_SNAPSHOT_END;
      if (some[i].kind != QUIRE_EVENT_HELD) continue;
      ++held;
      require(some[i].domain != NULL && strncmp(some[i].domain, "uid:", 4) == 0, "events",
              "no domain");
    }
  }
  require(held > 0, "events", "nothing is held");
  quire_events_free(events);

  const uint32_t tokens[65536] = {1};
  const quire_chain_names names = {
      .size = sizeof names, .layout = layout, .namespace_name = "nobody's"};
  int known = 1;
  quire_locate_result located = {.size = sizeof located};
  step_done(quire_locate_chain(client, &names, tokens, 65536, &known, &located), "locate chain",
            quire_client_error(client));
  require(known == 0 && located.span_tokens == 0, "locate chain", "it knows what was never said");
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s SOCKET LAYOUT_FILE\n", argv[0]);
    return 2;
  }
  char error[256] = "";
  const quire_text_buffer text = {error, sizeof error};
  quire_layout* layout = NULL;
  step_done(quire_layout_load(argv[2], &layout, text), "layout", error);
  quire_client_options options;
  quire_client_options_init(&options);
  options.socket_path = argv[1];
  options.client_name = "c-client";
  quire_client* client = NULL;
  step_done(quire_connect(&options, &client, text), "connect", error);
  step_done(quire_ping(client), "ping", quire_client_error(client));
  char* status = NULL;
  step_done(quire_status_json(client, &status), "status", quire_client_error(client));
  require(status[0] == '{', "status", "no JSON object");
  quire_text_free(status);
  quire_session* session = open_session(client, layout, NULL);
  use_session(client, session, layout);
  hear(client, layout);
  step_done(quire_close_session(session), "close", "");
  step_done(quire_client_progress(client), "progress", quire_client_error(client));
  step_done(quire_reconnect(client, 1000), "reconnect", quire_client_error(client));
  require(quire_daemon_epoch(client) != 0, "reconnect", "no epoch");
  quire_disconnect(client);
  quire_layout_free(layout);
  printf("done\n");
  return 0;
}
