/* libquire for C: the same calls as client/quire.h, nothing throws.
 *
 * Every call returns a quire_status: QUIRE_OK or why not. The text of a handle's last failure comes
 * from quire_client_error() / quire_session_error(); calls without a handle take a text buffer,
 * which may be NULL. Option structs start with `size`: set it to sizeof the struct, zero the rest,
 * and zero means the default; quire_*_options_init() does both. Fields are only ever added at the
 * end. Result structs never change.
 *
 * Threads: a client handle by one thread at a time; a session handle likewise. Sessions may outlive
 * their client handle.
 */
#ifndef QUIRE_CLIENT_QUIRE_C_H
#define QUIRE_CLIENT_QUIRE_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The values of quire::model::Errc (model/result.h); append only. */
enum quire_errc {
  QUIRE_OK = 0,
  QUIRE_INVALID_ARGUMENT = 1,
  QUIRE_UNSUPPORTED_VERSION = 2,
  QUIRE_MALFORMED_FRAME = 3,
  QUIRE_FRAME_TOO_LARGE = 4,
  QUIRE_UNEXPECTED_DESCRIPTORS = 5,
  QUIRE_INVALID_LAYOUT = 6,
  QUIRE_UNKNOWN_LAYOUT = 7,
  QUIRE_NOT_FOUND = 8,
  QUIRE_PERMISSION_DENIED = 9,
  QUIRE_BUSY = 10,
  QUIRE_RESOURCE_EXHAUSTED = 11,
  QUIRE_UNAVAILABLE = 12,
  QUIRE_STALE_HANDLE = 13,
  QUIRE_FORKED = 14,
  QUIRE_NO_PARENT = 15,
  QUIRE_DEADLINE_EXCEEDED = 16,
  QUIRE_CLOSED = 17,
  QUIRE_CORRUPT = 18,
  QUIRE_IO_ERROR = 19,
  QUIRE_ALREADY_EXISTS = 20,
  QUIRE_INTERNAL = 21
};
typedef int quire_status;

typedef struct quire_client quire_client;
typedef struct quire_session quire_session;
typedef struct quire_layout quire_layout;

#define QUIRE_MAX_OBJECT_PAGES 64 /* a page per group */
#define QUIRE_TOKEN_BYTES 16
#define QUIRE_HASH_BYTES 32

/* "resource_exhausted" and so on. */
const char* quire_status_name(quire_status status);

/* --- layouts: TOML as in configs/models ------------------------------------------------------ */
typedef struct quire_text_buffer {
  char* data; /* gets a zero-terminated text, cut to fit; may be NULL */
  size_t bytes;
} quire_text_buffer;

quire_status quire_layout_parse(const char* toml, size_t bytes, quire_layout** layout,
                                quire_text_buffer error);
quire_status quire_layout_load(const char* path, quire_layout** layout, quire_text_buffer error);
void quire_layout_free(quire_layout* layout);
uint32_t quire_layout_unit_tokens(const quire_layout* layout);
uint32_t quire_layout_block_tokens(const quire_layout* layout);
uint32_t quire_layout_group_count(const quire_layout* layout);
/* NULL / 0 beyond the last group. */
const char* quire_layout_group_name(const quire_layout* layout, uint32_t group);
uint64_t quire_layout_group_page_bytes(const quire_layout* layout, uint32_t group);

/* --- client ---------------------------------------------------------------------------------- */
typedef struct quire_client_options {
  size_t size;
  const char* socket_path;     /* NULL: $QUIRE_SOCKET, else /run/quire/quired.sock */
  const char* client_name;     /* NULL: "client" */
  uint32_t connect_timeout_ms; /* of a daemon that is there */
  uint32_t call_timeout_ms;
  uint32_t spin_us;
  uint32_t lazy_segments; /* 1: fault segments in on first read, not when they are mapped */
  /* How long connect, open and join wait for a daemon that is not there; 0: they fail at once with
     QUIRE_UNAVAILABLE. */
  uint32_t daemon_wait_ms;
} quire_client_options;
void quire_client_options_init(quire_client_options* options);

quire_status quire_connect(const quire_client_options* options, quire_client** client,
                           quire_text_buffer error);
void quire_disconnect(quire_client* client);
const char* quire_client_error(const quire_client* client);
quire_status quire_ping(quire_client* client);
/* Text for the caller to free with quire_text_free(). */
quire_status quire_status_json(quire_client* client, char** text);
void quire_text_free(char* text);
quire_status quire_reconnect(quire_client* client, uint32_t timeout_ms);
uint64_t quire_daemon_epoch(const quire_client* client);
int quire_client_fd(const quire_client* client);
quire_status quire_client_progress(quire_client* client);

/* --- session --------------------------------------------------------------------------------- */
#define QUIRE_NO_TAIL UINT32_MAX
enum quire_load_class { QUIRE_INTERACTIVE = 0, QUIRE_BATCH = 1 };
typedef struct quire_session_options {
  size_t size;
  const quire_layout* layout;
  const char* tenant; /* NULL: "" */
  const char* namespace_name;
  const char* salt;
  uint64_t weights_epoch;
  uint64_t conversation;
  uint64_t staging_bytes; /* 0: one span and one checkpoint of the layout, at least 16 MiB */
  uint32_t ring_entries;
  uint32_t max_tokens;
  uint32_t max_load_pages;
  uint32_t load_class; /* quire_load_class */
  /* How far before a prompt's end a checkpoint (QUIRE_BEFORE_TAIL) stays beside the conversation's
   * last turn end. 0: 256; QUIRE_NO_TAIL: none stays. */
  uint32_t tail_tokens;
  uint32_t reserved;
} quire_session_options;
void quire_session_options_init(quire_session_options* options);

quire_status quire_open_session(quire_client* client, const quire_session_options* options,
                                quire_session** session);
quire_status quire_join_session(quire_client* client, const uint8_t token[QUIRE_TOKEN_BYTES],
                                const quire_session_options* options, quire_session** session);
/* Ends the session and frees the handle, whatever it returns. */
quire_status quire_close_session(quire_session* session);
const char* quire_session_error(const quire_session* session);
uint64_t quire_session_id(const quire_session* session);
void quire_session_token(const quire_session* session, uint8_t token[QUIRE_TOKEN_BYTES]);

/* What an engine owes: two contexts with equal hashes must have equal pages. Whatever changes the
 * pages besides the token ids (images, audio, prompt embeddings, adapters) goes into the hash of
 * every unit that it overlaps, or into salt when it holds for the whole context. A placeholder
 * token alone would let one image be answered with another's pages. */
quire_status quire_append_tokens(quire_session* session, const uint32_t* tokens, size_t count);
/* `hashes`: count x QUIRE_HASH_BYTES, one a unit. After tokens that ended inside a unit the first
 * one completes that unit and is hashed together with them. */
quire_status quire_append_unit_hashes(quire_session* session, const uint8_t* hashes, size_t count);
uint32_t quire_token_count(const quire_session* session);

enum quire_match_limit {
  QUIRE_LIMIT_END_OF_PROMPT = 0,
  QUIRE_LIMIT_NO_SPAN = 1,
  QUIRE_LIMIT_NO_CHECKPOINT = 2,
  QUIRE_LIMIT_GROUP = 3,
  QUIRE_LIMIT_DEADLINE = 4
};
typedef struct quire_match_result {
  uint64_t lease; /* 0: nothing was found */
  uint32_t exact_tokens;
  uint32_t span_tokens;
  uint32_t replay_tokens;
  uint32_t branch_tokens;
  uint32_t limit_tokens;
  uint32_t tokens_ram;
  uint32_t tokens_ssd;
  uint32_t load_estimate_us;
  uint8_t limit; /* quire_match_limit */
  uint8_t limit_group;
  uint8_t replay_exact;
  uint8_t reserved[1];
  uint32_t cut_tokens; /* resume here for the earliest first token; exact_tokens without a cost */
} quire_match_result;
quire_status quire_match(quire_session* session, uint32_t prompt_tokens, uint32_t have_tokens,
                         quire_match_result* result);
/* A thousand tokens at position p cost prefill_us_per_ktoken + prefill_us_per_ktoken_per_mtoken * p
 * / 1e6 microseconds to compute; both 0: unknown. */
typedef struct quire_match_options {
  size_t size;
  uint32_t have_tokens;
  uint32_t prefill_us_per_ktoken;
  uint32_t prefill_us_per_ktoken_per_mtoken;
} quire_match_options;
/* `options` may be NULL. */
quire_status quire_match_with(quire_session* session, uint32_t prompt_tokens,
                              const quire_match_options* options, quire_match_result* result);

typedef struct quire_page_view {
  const void* data;
  uint64_t bytes;
  uint32_t crc32c;
  uint32_t generation;
  uint8_t group;
  uint8_t of_checkpoint;
  uint8_t reserved[6];
} quire_page_view;
typedef struct quire_pages {
  const quire_page_view* pages; /* until the lease is released */
  size_t page_count;
  uint32_t block_count;
  uint32_t checkpoint_count;
  /* QUIRE_OK: everything asked for; deadline exceeded, io error or corrupt: why no more. */
  quire_status limited_by;
  uint32_t reserved;
} quire_pages;
typedef struct quire_load_options {
  size_t size;
  uint64_t groups;
  uint32_t first_block;
  uint32_t block_count;
  uint32_t skip_checkpoint;
  uint32_t layer_major;
  uint32_t deadline_ms;
  uint32_t progress; /* 1: for quire_pages_so_far() */
} quire_load_options;
/* `options` may be NULL: everything. A failure only when nothing was delivered: see limited_by. */
quire_status quire_load(quire_session* session, uint64_t lease, const quire_load_options* options,
                        quire_pages* pages);
/* 1 when the bytes have the checksum they were sealed with. */
int quire_verify_page(const quire_page_view* page);
quire_status quire_release(quire_session* session, uint64_t lease);

enum quire_fill_kind { QUIRE_FILL_SPAN = 0, QUIRE_FILL_CHECKPOINT = 1 };
enum quire_checkpoint_reason {
  QUIRE_TURN_END = 0,
  QUIRE_INTERVAL = 1,
  QUIRE_BRANCH = 2,
  QUIRE_BEFORE_TAIL = 3
};
typedef struct quire_fill_page {
  void* data; /* staging memory to be written */
  uint64_t bytes;
  uint32_t group;
  uint32_t tail; /* 1: a partly filled append page */
} quire_fill_page;
typedef struct quire_fill {
  uint64_t id;
  uint64_t staging_offset;
  uint32_t duplicate; /* 1: present already; no pages, nothing to commit */
  uint32_t page_count;
  quire_fill_page pages[QUIRE_MAX_OBJECT_PAGES];
} quire_fill;
typedef struct quire_fill_options {
  size_t size;
  uint64_t groups;
  uint32_t reason; /* quire_checkpoint_reason */
} quire_fill_options;
/* `options` may be NULL. */
quire_status quire_begin_fill(quire_session* session, enum quire_fill_kind kind,
                              uint32_t end_tokens, const quire_fill_options* options,
                              quire_fill* fill);
typedef struct quire_commit_result {
  uint8_t visible;
  uint8_t duplicate;
  uint8_t superseded;
  uint8_t reserved[45];
} quire_commit_result;
/* `result` may be NULL. A commit refused with busy, deadline exceeded or invalid argument
 * leaves the fill to be committed again or aborted; any other outcome ends it. */
quire_status quire_commit(quire_session* session, const quire_fill* fill,
                          quire_commit_result* result);
quire_status quire_abort(quire_session* session, const quire_fill* fill);
/* `dropped` may be NULL. */
quire_status quire_supersede(quire_session* session, uint32_t end_tokens, int* dropped);

enum quire_advice { QUIRE_PREFETCH = 0, QUIRE_PAUSE_UNTIL = 1, QUIRE_DONE_WITH = 2 };
quire_status quire_advise(quire_session* session, enum quire_advice advice, uint32_t end_tokens,
                          uint32_t pause_ms);
quire_status quire_noop(quire_session* session);

/* --- asynchronous: submit, flush, poll; then take what a fill or load stands for -------------- */
typedef struct quire_completion {
  uint64_t request;
  int32_t status; /* quire_status */
  uint16_t verb;
  uint16_t flags;
  uint64_t words[6]; /* for quire_completion_*() and quire_take_*() */
} quire_completion;
quire_status quire_submit_match(quire_session* session, uint32_t prompt_tokens,
                                uint32_t have_tokens, uint64_t* request);
quire_status quire_submit_match_with(quire_session* session, uint32_t prompt_tokens,
                                     const quire_match_options* options, uint64_t* request);
quire_status quire_submit_load(quire_session* session, uint64_t lease,
                               const quire_load_options* options, uint64_t* request);
quire_status quire_submit_release(quire_session* session, uint64_t lease, uint64_t* request);
quire_status quire_submit_begin_fill(quire_session* session, enum quire_fill_kind kind,
                                     uint32_t end_tokens, const quire_fill_options* options,
                                     uint64_t* request);
quire_status quire_submit_commit(quire_session* session, const quire_fill* fill, uint64_t* request);
quire_status quire_submit_noop(quire_session* session, uint64_t* request);
void quire_flush(quire_session* session);
quire_status quire_poll(quire_session* session, quire_completion* completions, size_t capacity,
                        size_t* count);
quire_status quire_wait(quire_session* session, uint32_t timeout_ms);
quire_match_result quire_completion_match(const quire_completion* completion);
quire_commit_result quire_completion_commit(const quire_completion* completion);
quire_status quire_take_fill(quire_session* session, const quire_completion* completion,
                             quire_fill* fill);
/* A load's completion with deadline exceeded, io error or corrupt may have pages too. */
quire_status quire_take_pages(quire_session* session, const quire_completion* completion,
                              quire_pages* pages);
/* What a load submitted with `progress` delivered so far: sets `pages` and `page_count`, zero the
 * rest. Valid like all pages, until the lease is released. Never blocks. */
quire_status quire_pages_so_far(quire_session* session, uint64_t request, quire_pages* pages);
/* Readable when quire_poll() may have something; -1 when there is none. */
int quire_session_fd(quire_session* session);

typedef struct quire_progress {
  uint32_t committed_tokens;
  uint32_t checkpoint_tokens;
  uint32_t members;
} quire_progress;
quire_progress quire_session_progress(const quire_session* session);
uint32_t quire_layer_ready_tokens(const quire_session* session, uint32_t layer);
quire_status quire_wait_for_tokens(quire_session* session, uint32_t tokens, uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
