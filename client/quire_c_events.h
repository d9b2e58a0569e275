/* Part of quire_c.h, which includes it: what routers ask. Events say which objects a host stores on
 * which tier, and removes, as hashes (docs/events.md); quire_locate_chain says how much of a prompt
 * is there, without a session. */
#ifndef QUIRE_C_EVENTS_H
#define QUIRE_C_EVENTS_H

enum quire_event_kind {
  QUIRE_EVENT_START = 1, /* count: the daemon's epoch; sequence: the next event's */
  QUIRE_EVENT_ROOT = 2,  /* names `root`, which later events have */
  QUIRE_EVENT_STORED = 3,
  QUIRE_EVENT_REMOVED = 4,
  QUIRE_EVENT_CLEARED = 5,        /* nothing of `root` can be hit any more */
  QUIRE_EVENT_GAP = 6,            /* of events sequence..last nothing is known */
  QUIRE_EVENT_SNAPSHOT_BEGIN = 7, /* forget everything: what follows is what is held */
  QUIRE_EVENT_HELD = 8,           /* on these tiers now */
  QUIRE_EVENT_SNAPSHOT_END = 9,   /* exact from here on, until a gap */
  QUIRE_EVENT_READABLE = 10       /* tiers that can be read */
};
enum quire_event_snapshot {
  QUIRE_SNAPSHOT_NEVER = 0,
  QUIRE_SNAPSHOT_AFTER_GAPS = 1,
  QUIRE_SNAPSHOT_AT_ONCE = 2 /* and after gaps */
};

/* Names are lent until the next quire_poll_events, and NULL where the event is of no root. */
typedef struct quire_event {
  uint8_t kind;       /* quire_event_kind */
  uint8_t tiers;      /* 1 << QUIRE_TIER_.. */
  uint8_t checkpoint; /* 0: a span */
  uint8_t reserved8[5];
  uint64_t sequence;
  uint64_t last; /* of a gap */
  uint64_t groups;
  uint32_t tokens;
  uint32_t parent_tokens;
  uint32_t root;
  uint32_t uid;
  int64_t time_us; /* wall clock, when it was sent */
  uint64_t count;
  uint8_t hash[QUIRE_HASH_BYTES];
  uint8_t parent[QUIRE_HASH_BYTES];
  const char* domain;
  const char* tenant;
  const char* namespace_name;
  uint64_t weights_epoch;
  uint64_t reserved[4];
} quire_event;

typedef struct quire_events_options {
  size_t size;
  uint32_t snapshot;   /* quire_event_snapshot */
  uint32_t everything; /* 1: of all domains; readers */
  uint32_t resume;     /* 1: go on behind these two */
  uint32_t reserved32;
  uint64_t epoch;
  uint64_t after_sequence;
  uint64_t reserved[4];
} quire_events_options;

typedef struct quire_events quire_events;
/* `options` may be NULL. It ends with its client, and may be freed after it. One thread at a time.
 */
QUIRE_API quire_status quire_subscribe_events(quire_client* client,
                                              const quire_events_options* options,
                                              quire_events** events);
/* The next events, at most `capacity`; none when none came in timeout_ms (-1: for ever).
 * QUIRE_UNAVAILABLE: the subscription ended. */
QUIRE_API quire_status quire_poll_events(quire_events* events, int timeout_ms, quire_event* out,
                                         size_t capacity, size_t* count);
/* Readable when quire_poll_events may have something; what did not fit is there without it. */
QUIRE_API int quire_events_fd(const quire_events* events);
QUIRE_API const char* quire_events_error(const quire_events* events);
QUIRE_API void quire_events_free(quire_events* events);

/* A prefix tree by its names; NULL is empty. */
typedef struct quire_chain_names {
  size_t size;
  const quire_layout* layout;
  const char* domain; /* "uid:1000"; NULL: the client's own */
  const char* tenant;
  const char* namespace_name;
  const char* salt;
  uint64_t weights_epoch;
  uint32_t cluster_wait_ms; /* the cluster is asked, too, and waited for so long; 0: it is not */
  uint32_t reserved32;
  uint64_t reserved[3];
} quire_chain_names;
/* What came of asking the cluster; with the last two it may have more than is told. */
enum quire_cluster_answer {
  QUIRE_CLUSTER_NOT_ASKED = 0,
  QUIRE_CLUSTER_ANSWERED = 1,
  QUIRE_CLUSTER_TOO_LATE = 2,
  QUIRE_CLUSTER_UNAVAILABLE = 3
};
/* `known`: 0 when nothing was stored, or asked for, under these names. */
QUIRE_API quire_status quire_locate_chain(quire_client* client, const quire_chain_names* names,
                                          const uint32_t* tokens, size_t token_count, int* known,
                                          quire_locate_result* result);

#endif
