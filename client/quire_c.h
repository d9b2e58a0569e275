/* libquire for C: the same calls as client/quire.h, nothing throws.
 *
 * Every call returns a quire_status: QUIRE_OK or why not. The text of a handle's last failure comes
 * from quire_client_error() / quire_session_error(); calls without a handle take a text buffer,
 * which may be NULL. Every struct that may grow starts with `size`, which its owner sets to sizeof
 * the struct: quire_match_result hit = {.size = sizeof hit}. In options zero means the default
 * (quire_*_options_init() sets `size` and zeroes the rest). Of results as much is written as the
 * caller's struct has room for; what a newer caller's struct has beyond this library's is zeroed.
 * Fields are only ever added, in the reserved room or at the end.
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

/* What the shared library exports, and nothing else. */
#if defined(__GNUC__)
#define QUIRE_API __attribute__((visibility("default")))
#else
#define QUIRE_API
#endif

typedef struct quire_client quire_client;
typedef struct quire_session quire_session;
typedef struct quire_layout quire_layout;

#define QUIRE_MAX_OBJECT_PAGES 64 /* a page per group */
#define QUIRE_TOKEN_BYTES 16
#define QUIRE_HASH_BYTES 32

/* "resource_exhausted" and so on. */
QUIRE_API const char* quire_status_name(quire_status status);

/* --- layouts: TOML as in configs/models ------------------------------------------------------ */
typedef struct quire_text_buffer {
  char* data; /* gets a zero-terminated text, cut to fit; may be NULL */
  size_t bytes;
} quire_text_buffer;

QUIRE_API quire_status quire_layout_parse(const char* toml, size_t bytes, quire_layout** layout,
                                          quire_text_buffer error);
QUIRE_API quire_status quire_layout_load(const char* path, quire_layout** layout,
                                         quire_text_buffer error);
QUIRE_API void quire_layout_free(quire_layout* layout);
QUIRE_API uint32_t quire_layout_unit_tokens(const quire_layout* layout);
QUIRE_API uint32_t quire_layout_block_tokens(const quire_layout* layout);
QUIRE_API uint32_t quire_layout_group_count(const quire_layout* layout);
/* NULL / 0 beyond the last group. */
QUIRE_API const char* quire_layout_group_name(const quire_layout* layout, uint32_t group);
QUIRE_API uint64_t quire_layout_group_page_bytes(const quire_layout* layout, uint32_t group);

/* Bit g of a mask is group g. */
QUIRE_API uint64_t quire_layout_append_groups(const quire_layout* layout);
QUIRE_API uint64_t quire_layout_checkpoint_groups(const quire_layout* layout);

enum quire_group_kind { QUIRE_GROUP_APPEND = 0, QUIRE_GROUP_WINDOW = 1, QUIRE_GROUP_STATE = 2 };
enum quire_checkpoint_rule {
  QUIRE_RULE_TURN_ENDS = 0,
  QUIRE_RULE_ALL = 1,
  QUIRE_RULE_EVERY = 2,
  QUIRE_RULE_NONE = 3
};
typedef struct quire_group_info {
  size_t size;
  const char* name; /* the layout's */
  uint64_t page_bytes;
  uint32_t kind; /* quire_group_kind */
  uint32_t window_tokens;
  uint32_t shard;
  uint32_t shard_count;
  uint32_t checkpoint_rule; /* quire_checkpoint_rule */
  uint32_t checkpoint_every_tokens;
  uint32_t replay_tokens; /* 0: not allowed */
  uint32_t replay_exact;
  uint32_t layer_count;
  uint32_t reserved32;
  uint64_t reserved[4];
} quire_group_info;
/* QUIRE_NOT_FOUND beyond the last group. */
QUIRE_API quire_status quire_layout_group(const quire_layout* layout, uint32_t group,
                                          quire_group_info* info);
/* Lists: `count` gets how many there are, of which at most `capacity` are written. */
typedef struct quire_layer_range {
  uint32_t layer;
  uint32_t reserved;
  uint64_t offset; /* in the group's page */
  uint64_t bytes;
} quire_layer_range;
QUIRE_API quire_status quire_layout_layers(const quire_layout* layout, uint32_t group,
                                           quire_layer_range* layers, size_t capacity,
                                           size_t* count);

/* --- boundaries and page plans: the rules that the daemon goes by ----------------------------- */
QUIRE_API uint32_t quire_unit_floor(const quire_layout* layout, uint32_t tokens);
/* The span end that a resume at `tokens` needs. */
QUIRE_API uint32_t quire_block_floor(const quire_layout* layout, uint32_t tokens);
/* The largest legal resume point of a prompt: one token at least is left to compute. */
QUIRE_API uint32_t quire_last_resume_point(const quire_layout* layout, uint32_t prompt_tokens);
/* 1: a checkpoint there cuts a block and holds tail pages. */
QUIRE_API int quire_has_tail(const quire_layout* layout, uint32_t tokens);

typedef struct quire_wanted_options {
  size_t size;
  uint32_t from_tokens; /* where the turn resumed */
  uint32_t end_tokens;
  uint32_t branch_tokens; /* of the match; 0: none */
  uint32_t tail_tokens;   /* as in quire_session_options */
  uint32_t policy;        /* quire_checkpoint_word; as the next of quire_checkpoint_policy */
  uint32_t every_tokens;
} quire_wanted_options;
typedef struct quire_wanted_checkpoint {
  uint32_t tokens;
  uint32_t reason; /* quire_checkpoint_reason */
} quire_wanted_checkpoint;
/* Checkpoints wanted while computing (from_tokens, end_tokens], ascending. */
QUIRE_API quire_status quire_wanted_checkpoints(const quire_layout* layout,
                                                const quire_wanted_options* options,
                                                quire_wanted_checkpoint* wanted, size_t capacity,
                                                size_t* count);
#include "client/quire_c_checkpoints.h" /* what a session is asked for, by the daemon's word */

enum quire_fill_kind { QUIRE_FILL_SPAN = 0, QUIRE_FILL_CHECKPOINT = 1 };
typedef struct quire_planned_page {
  uint32_t group;
  uint32_t tail; /* 1: a partly filled append page */
  uint64_t bytes;
  uint64_t staging_offset; /* from the start of the object's staging memory */
} quire_planned_page;
/* The pages of an object that ends at `end_tokens`, of `groups` (0: all), in the order of fills and
 * of a load's pages; at most QUIRE_MAX_OBJECT_PAGES. `staging_bytes` may be NULL. */
QUIRE_API quire_status quire_plan_pages(const quire_layout* layout, enum quire_fill_kind kind,
                                        uint32_t end_tokens, uint64_t groups,
                                        quire_planned_page* pages, size_t capacity, size_t* count,
                                        uint64_t* staging_bytes);

/* --- client ---------------------------------------------------------------------------------- */
/* Segments as they are mapped, read-only, so that an engine can register them with a device. Each
 * is told once before any page view points into it, and once before it is unmapped; on whichever
 * thread does that, for different segments possibly at once. The functions must not call this
 * library, and may be NULL. */
typedef struct quire_segment {
  size_t size;
  uint64_t daemon_epoch; /* an id is one segment's within it */
  const void* data;
  uint64_t bytes;
  uint32_t segment;
  uint32_t reserved32;
  uint64_t reserved[2];
} quire_segment;
typedef struct quire_segment_observer {
  size_t size;
  void* context;
  void (*mapped)(void* context, const quire_segment* segment);
  void (*unmapping)(void* context, const quire_segment* segment);
} quire_segment_observer;

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
  uint32_t reserved;
  const quire_segment_observer* observer; /* copied; NULL: none */
  uint64_t staging_bytes; /* of all its sessions; 0: two of the largest objects, 32 MiB or more */
} quire_client_options;
QUIRE_API void quire_client_options_init(quire_client_options* options);

QUIRE_API quire_status quire_connect(const quire_client_options* options, quire_client** client,
                                     quire_text_buffer error);
QUIRE_API void quire_disconnect(quire_client* client);
QUIRE_API const char* quire_client_error(const quire_client* client);
QUIRE_API quire_status quire_ping(quire_client* client);
/* Text for the caller to free with quire_text_free(). */
QUIRE_API quire_status quire_status_json(quire_client* client, char** text);
QUIRE_API void quire_text_free(char* text);
QUIRE_API quire_status quire_reconnect(quire_client* client, uint32_t timeout_ms);
QUIRE_API uint64_t quire_daemon_epoch(const quire_client* client);
QUIRE_API int quire_client_fd(const quire_client* client);
QUIRE_API quire_status quire_client_progress(quire_client* client);

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
  uint64_t staging_bytes; /* that it needs; 0: one span and one checkpoint of the layout */
  uint32_t ring_entries;
  uint32_t max_tokens;
  uint32_t max_load_pages;
  uint32_t load_class; /* quire_load_class */
  /* How far before a prompt's end a checkpoint (QUIRE_BEFORE_TAIL) stays beside the conversation's
   * last turn end. 0: as far as earlier prompts taught, at first 256; QUIRE_NO_TAIL: none stays. */
  uint32_t tail_tokens;
  uint32_t admission_wait_ms; /* opening waits so long until reserve_bytes can be had */
  /* RAM that fills and loads of the session may count on; in quire_join_session: loads and leases
   * of this process alone, had at once. */
  uint64_t reserve_bytes;
  /* For who bills by receipts; NULL: "". At most 63 bytes each. */
  const char* model;         /* as prices are listed; "": the namespace */
  const char* service_tier;  /* "": the standard one */
  const char* retention;     /* class that written content is kept by, "5m"; "": none; 15 bytes */
  uint32_t explicit_caching; /* 1: the user asked for caching by name */
  uint32_t offer_tokens; /* how far apart QUIRE_OFFERED is kept; 0: by policy and layout alone */
  uint32_t role; /* quire_session_role: of this process in a hand-over, join it or open it */
  uint32_t ahead_tokens; /* of the opener: spans that prefill may commit beyond what decode took */
} quire_session_options;
QUIRE_API void quire_session_options_init(quire_session_options* options);

QUIRE_API quire_status quire_open_session(quire_client* client,
                                          const quire_session_options* options,
                                          quire_session** session);
QUIRE_API quire_status quire_join_session(quire_client* client,
                                          const uint8_t token[QUIRE_TOKEN_BYTES],
                                          const quire_session_options* options,
                                          quire_session** session);
/* Ends the session, with what it was still committing, and frees the handle, whatever it returns.
 * Its fills' memory may be another session's from here on. */
QUIRE_API quire_status quire_close_session(quire_session* session);
QUIRE_API const char* quire_session_error(const quire_session* session);
QUIRE_API uint64_t quire_session_id(const quire_session* session);
QUIRE_API void quire_session_token(const quire_session* session, uint8_t token[QUIRE_TOKEN_BYTES]);

/* What an engine owes: two contexts with equal hashes must have equal pages. Whatever changes the
 * pages besides the token ids (images, audio, prompt embeddings, adapters) goes into the hash of
 * every unit that it overlaps, or into salt when it holds for the whole context. A placeholder
 * token alone would let one image be answered with another's pages. */
QUIRE_API quire_status quire_append_tokens(quire_session* session, const uint32_t* tokens,
                                           size_t count);
/* What else a unit's pages depend on: folded into each unit that its tokens overlap, wherever it
 * begins, exactly as model/unit_keys.h writes down. */
typedef struct quire_unit_key {
  const void* bytes; /* of any length; hashed */
  size_t byte_count;
  uint32_t first_token; /* from the start of the context */
  uint32_t token_count; /* 0: 1; UINT32_MAX: to the end */
} quire_unit_key;
/* A key must not begin in a unit whose last token was appended before. */
QUIRE_API quire_status quire_append_keyed_tokens(quire_session* session, const uint32_t* tokens,
                                                 size_t count, const quire_unit_key* keys,
                                                 size_t key_count);
/* Chain hashes without a session: `previous` is the one before tokens[0] (the root at token 0),
 * which is token `first_token` of the context and begins a unit. Whole units only. */
typedef struct quire_keyed_tokens {
  size_t size;
  const uint32_t* tokens;
  size_t count;
  const quire_unit_key* keys;
  size_t key_count;
  uint32_t first_token;
  uint32_t unit_tokens;
} quire_keyed_tokens;
QUIRE_API quire_status quire_chain_hashes(const uint8_t previous[QUIRE_HASH_BYTES],
                                          const quire_keyed_tokens* from, uint8_t* hashes,
                                          size_t capacity, size_t* count);
/* The root's hash, and those of the session's units from `first_unit` on. */
QUIRE_API void quire_session_root(const quire_session* session, uint8_t root[QUIRE_HASH_BYTES]);
QUIRE_API quire_status quire_session_chain(const quire_session* session, size_t first_unit,
                                           uint8_t* hashes, size_t capacity, size_t* count);
/* `hashes`: count x QUIRE_HASH_BYTES, one a unit. After tokens that ended inside a unit the first
 * one completes that unit and is hashed together with them. */
QUIRE_API quire_status quire_append_unit_hashes(quire_session* session, const uint8_t* hashes,
                                                size_t count);
QUIRE_API uint32_t quire_token_count(const quire_session* session);

enum quire_match_limit {
  QUIRE_LIMIT_END_OF_PROMPT = 0,
  QUIRE_LIMIT_NO_SPAN = 1,
  QUIRE_LIMIT_NO_CHECKPOINT = 2,
  QUIRE_LIMIT_GROUP = 3,
  QUIRE_LIMIT_DEADLINE = 4
};
/* Index of tier_tokens; a place without a tier is 0. */
enum quire_tier { QUIRE_TIER_RAM = 0, QUIRE_TIER_SSD = 1, QUIRE_TIER_CLUSTER = 2 };
#define QUIRE_TIER_PLACES 4
typedef struct quire_match_result {
  size_t size;
  uint64_t lease; /* 0: nothing was found */
  uint32_t exact_tokens;
  uint32_t span_tokens;
  uint32_t replay_tokens;
  uint32_t branch_tokens;
  uint32_t limit_tokens;
  uint32_t cut_tokens; /* resume here for the earliest first token; exact_tokens without a cost */
  uint32_t load_estimate_us;
  uint32_t tier_tokens[QUIRE_TIER_PLACES]; /* of exact_tokens */
  uint8_t limit;                           /* quire_match_limit */
  uint8_t limit_group;
  uint8_t replay_exact;
  uint8_t reserved8;
  uint64_t reserved[8];
} quire_match_result;
QUIRE_API quire_status quire_match(quire_session* session, uint32_t prompt_tokens,
                                   uint32_t have_tokens, quire_match_result* result);
/* A thousand tokens at position p cost prefill_us_per_ktoken + prefill_us_per_ktoken_per_mtoken * p
 * / 1e6 microseconds to compute; both 0: unknown. */
typedef struct quire_match_options {
  size_t size;
  uint32_t have_tokens;
  uint32_t prefill_us_per_ktoken;
  uint32_t prefill_us_per_ktoken_per_mtoken;
  uint32_t reserved;
  /* The engine's own number of its request, under which the turn is metered. All processes of a
   * session give the same one. 0: none. */
  uint64_t request_id;
} quire_match_options;
/* `options` may be NULL. */
QUIRE_API quire_status quire_match_with(quire_session* session, uint32_t prompt_tokens,
                                        const quire_match_options* options,
                                        quire_match_result* result);

/* Where the engine really went on in the present turn: the last word before the next match counts.
 * Any process of the session may say it. */
enum quire_resumed_how {
  QUIRE_RESUMED_EXACT = 1,
  QUIRE_RESUMED_SPAN = 2, /* at the spans' end, after a replay */
  QUIRE_RESUMED_CUT = 3,
  QUIRE_RESUMED_NOTHING = 4
};
typedef struct quire_resumed_word {
  size_t size;
  uint64_t request_id; /* as in the match; 0: whichever turn is present */
  uint32_t resumed_tokens;
  uint32_t replayed_tokens;
  uint32_t output_tokens; /* so far */
  uint32_t how;           /* quire_resumed_how */
} quire_resumed_word;
QUIRE_API quire_status quire_resumed(quire_session* session, const quire_resumed_word* word);

/* All positions at which a prompt could be resumed, the deepest first. Nothing is pinned. */
typedef struct quire_position {
  uint32_t tokens;
  uint32_t replay_tokens;
  uint32_t tier_tokens[QUIRE_TIER_PLACES];
  uint32_t load_estimate_us;
  uint8_t how; /* QUIRE_RESUMED_EXACT or _SPAN */
  uint8_t replay_exact;
  uint8_t reserved8[2];
  uint32_t reserved[4];
} quire_position;
typedef struct quire_positions_options {
  size_t size;
  uint32_t have_tokens;
  uint32_t every_block; /* 1: block ends too that take a replay */
} quire_positions_options;
typedef struct quire_positions_result {
  size_t size;
  size_t count; /* written */
  uint32_t span_tokens;
  uint32_t exact_tokens;
  uint32_t complete; /* 0: there may be more */
  uint32_t reserved32;
  uint64_t reserved[4];
} quire_positions_result;
#define QUIRE_MAX_POSITIONS 4096
/* `options` may be NULL; `capacity`: at most QUIRE_MAX_POSITIONS and max_load_pages. */
QUIRE_API quire_status quire_positions(quire_session* session, uint32_t prompt_tokens,
                                       const quire_positions_options* options,
                                       quire_position* positions, size_t capacity,
                                       quire_positions_result* result);

typedef struct quire_locate_result {
  size_t size;
  uint32_t span_tokens; /* present from token 0 on */
  uint32_t exact_tokens;
  uint32_t tier_tokens[QUIRE_TIER_PLACES]; /* of span_tokens */
  uint32_t load_estimate_us;
  uint32_t cluster_answer; /* enum quire_cluster_answer; of quire_locate_chain alone */
  uint64_t reserved[4];
} quire_locate_result;
/* How much of the first `tokens` tokens is here. Pins nothing and is no use of it. */
QUIRE_API quire_status quire_locate(quire_session* session, uint32_t tokens,
                                    quire_locate_result* result);

typedef struct quire_page_view {
  const void* data;
  uint64_t bytes;
  uint32_t crc32c;
  uint32_t generation;
  uint32_t segment; /* of quire_segment_observer */
  uint8_t group;
  uint8_t of_checkpoint;
  uint8_t reserved[2];
  uint64_t offset; /* in the segment */
  uint64_t room;
} quire_page_view; /* never larger: an array of them lies in the library's memory */
typedef struct quire_pages {
  size_t size;
  const quire_page_view* pages; /* until the lease is released */
  size_t page_count;
  uint32_t block_count;
  uint32_t checkpoint_count;
  /* QUIRE_OK: everything asked for; deadline exceeded, io error or corrupt: why no more. */
  quire_status limited_by;
  uint32_t reserved32;
  uint64_t reserved[4];
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
QUIRE_API quire_status quire_load(quire_session* session, uint64_t lease,
                                  const quire_load_options* options, quire_pages* pages);
/* 1 when the bytes have the checksum they were sealed with. */
QUIRE_API int quire_verify_page(const quire_page_view* page);
QUIRE_API quire_status quire_release(quire_session* session, uint64_t lease);

enum quire_checkpoint_reason {
  QUIRE_TURN_END = 0,
  QUIRE_INTERVAL = 1,
  QUIRE_BRANCH = 2,
  QUIRE_BEFORE_TAIL = 3,
  QUIRE_OFFERED = 4 /* nobody asked for it: kept quire_session_offer_tokens() apart */
};
typedef struct quire_fill_page {
  void* data; /* staging memory to be written */
  uint64_t bytes;
  uint32_t group;
  uint32_t tail; /* 1: a partly filled append page */
} quire_fill_page;
typedef struct quire_fill {
  size_t size;
  uint64_t id;
  uint64_t staging_offset;
  uint32_t duplicate; /* 1: present already; no pages, nothing to commit */
  uint32_t page_count;
  uint32_t incomplete; /* 1: a duplicate that other processes have a part of to write yet */
  uint32_t unwanted;   /* 1: a duplicate of nothing: QUIRE_OFFERED, and another one serves */
  uint64_t reserved[3];
  quire_fill_page pages[QUIRE_MAX_OBJECT_PAGES];
} quire_fill;
typedef struct quire_fill_options {
  size_t size;
  uint64_t groups;
  uint32_t reason; /* quire_checkpoint_reason */
  /* 1: QUIRE_BUSY while another session fills the object (of processes of one session always). */
  uint32_t unless_begun;
} quire_fill_options;
/* `options` may be NULL. */
QUIRE_API quire_status quire_begin_fill(quire_session* session, enum quire_fill_kind kind,
                                        uint32_t end_tokens, const quire_fill_options* options,
                                        quire_fill* fill);
typedef struct quire_commit_result {
  size_t size;
  uint8_t visible;
  uint8_t duplicate;
  uint8_t superseded;
  uint8_t reserved8[5];
  uint64_t reserved[7];
} quire_commit_result;
/* `result` may be NULL. A commit refused with busy, deadline exceeded or invalid argument
 * leaves the fill to be committed again or aborted; any other outcome ends it. */
QUIRE_API quire_status quire_commit(quire_session* session, const quire_fill* fill,
                                    quire_commit_result* result);
QUIRE_API quire_status quire_abort(quire_session* session, const quire_fill* fill);
/* `dropped` may be NULL. */
QUIRE_API quire_status quire_supersede(quire_session* session, uint32_t end_tokens, int* dropped);

enum quire_advice { QUIRE_PREFETCH = 0, QUIRE_PAUSE_UNTIL = 1, QUIRE_DONE_WITH = 2 };
QUIRE_API quire_status quire_advise(quire_session* session, enum quire_advice advice,
                                    uint32_t end_tokens, uint32_t pause_ms);
QUIRE_API quire_status quire_noop(quire_session* session);

/* --- asynchronous: submit, flush, poll; then take what a fill or load stands for -------------- */
/* Of an array the first one's `size` counts. */
typedef struct quire_completion {
  size_t size;
  uint64_t request;
  int32_t status; /* quire_status */
  uint16_t verb;
  uint16_t flags;
  uint64_t words[14]; /* for quire_completion_*() and quire_take_*() */
  uint64_t reserved[4];
} quire_completion;
QUIRE_API quire_status quire_submit_match(quire_session* session, uint32_t prompt_tokens,
                                          uint32_t have_tokens, uint64_t* request);
QUIRE_API quire_status quire_submit_match_with(quire_session* session, uint32_t prompt_tokens,
                                               const quire_match_options* options,
                                               uint64_t* request);
QUIRE_API quire_status quire_submit_load(quire_session* session, uint64_t lease,
                                         const quire_load_options* options, uint64_t* request);
QUIRE_API quire_status quire_submit_release(quire_session* session, uint64_t lease,
                                            uint64_t* request);
QUIRE_API quire_status quire_submit_begin_fill(quire_session* session, enum quire_fill_kind kind,
                                               uint32_t end_tokens,
                                               const quire_fill_options* options,
                                               uint64_t* request);
QUIRE_API quire_status quire_submit_commit(quire_session* session, const quire_fill* fill,
                                           uint64_t* request);
QUIRE_API quire_status quire_submit_resumed(quire_session* session, const quire_resumed_word* word,
                                            uint64_t* request);
QUIRE_API quire_status quire_submit_positions(quire_session* session, uint32_t prompt_tokens,
                                              const quire_positions_options* options,
                                              uint32_t max_positions, uint64_t* request);
QUIRE_API quire_status quire_submit_locate(quire_session* session, uint32_t tokens,
                                           uint64_t* request);
QUIRE_API quire_status quire_submit_noop(quire_session* session, uint64_t* request);
QUIRE_API void quire_flush(quire_session* session);
QUIRE_API quire_status quire_poll(quire_session* session, quire_completion* completions,
                                  size_t capacity, size_t* count);
QUIRE_API quire_status quire_wait(quire_session* session, uint32_t timeout_ms);
QUIRE_API quire_status quire_completion_match(const quire_completion* completion,
                                              quire_match_result* result);
QUIRE_API quire_status quire_completion_commit(const quire_completion* completion,
                                               quire_commit_result* result);
QUIRE_API quire_status quire_completion_locate(const quire_completion* completion,
                                               quire_locate_result* result);
QUIRE_API quire_status quire_take_positions(quire_session* session,
                                            const quire_completion* completion,
                                            quire_position* positions, size_t capacity,
                                            quire_positions_result* result);
QUIRE_API quire_status quire_take_fill(quire_session* session, const quire_completion* completion,
                                       quire_fill* fill);
/* A load's completion with deadline exceeded, io error or corrupt may have pages too. */
QUIRE_API quire_status quire_take_pages(quire_session* session, const quire_completion* completion,
                                        quire_pages* pages);
#include "client/quire_c_admission.h" /* sessions that reserve, and that are reset */
#include "client/quire_c_events.h"    /* what is stored and removed, for routers */
#include "client/quire_c_hand_over.h" /* prefill and decode on two hosts */
#include "client/quire_c_runs.h"      /* the same as runs of adjacent pages */
#include "client/quire_c_usage.h"     /* what a request is reported to have used */
/* What a load submitted with `progress` delivered so far: sets `pages` and `page_count`, zero the
 * rest. Valid like all pages, until the lease is released. Never blocks. */
QUIRE_API quire_status quire_pages_so_far(quire_session* session, uint64_t request,
                                          quire_pages* pages);
/* Readable when quire_poll() may have something; -1 when there is none. */
QUIRE_API int quire_session_fd(quire_session* session);

/* Memory that fills are written to, for registration with a device: the same for all sessions of a
 * client, but for one that needed a larger area. */
QUIRE_API void quire_session_staging(const quire_session* session, void** data, uint64_t* bytes);

#include "client/quire_c_progress.h" /* how far all processes of a session have come */

#ifdef __cplusplus
}
#endif

#endif
