/* Part of quire_c.h, which includes it: how far all processes of a session have come, and handing a
 * prompt from prefill to decode while it is computed. All of it is read from shared memory. */
#ifndef QUIRE_C_PROGRESS_H
#define QUIRE_C_PROGRESS_H

/* What a process does in a session (quire_session_options.role). */
enum quire_session_role { QUIRE_ROLE_BOTH = 0, QUIRE_ROLE_PREFILL = 1, QUIRE_ROLE_DECODE = 2 };
enum quire_handover {
  QUIRE_HANDOVER_NONE = 0, /* no process said that it does prefill */
  QUIRE_HANDOVER_RUNNING = 1,
  QUIRE_HANDOVER_ENDED = 2,    /* all of them closed the session: nothing more comes */
  QUIRE_HANDOVER_ABANDONED = 3 /* the last one went without a word */
};
typedef struct quire_progress {
  size_t size;
  uint32_t committed_tokens;
  uint32_t checkpoint_tokens;
  uint32_t members;
  uint32_t handover;     /* quire_handover */
  uint32_t taken_tokens; /* loads of the slowest decode process have brought them */
  uint32_t ahead_tokens; /* how far prefill may be in front of these now; 0: no bound */
  uint64_t reserved[3];
} quire_progress;
QUIRE_API quire_status quire_session_progress(const quire_session* session,
                                              quire_progress* progress);
QUIRE_API uint32_t quire_layer_ready_tokens(const quire_session* session, uint32_t layer);
/* Until so many tokens are committed. QUIRE_DEADLINE_EXCEEDED; QUIRE_UNAVAILABLE when the prefill
 * processes of the session went before: what is committed stays. */
QUIRE_API quire_status quire_wait_for_tokens(quire_session* session, uint32_t tokens,
                                             uint32_t timeout_ms);
/* Of prefill: until a span that ends there may be begun, by what decode has taken. Likewise. */
QUIRE_API quire_status quire_wait_for_room(quire_session* session, uint32_t end_tokens,
                                           uint32_t timeout_ms);

#endif
