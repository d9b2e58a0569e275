/* Part of quire_c.h, which includes it: which checkpoints the daemon asks a session for. An
 * operator may change that at any time; both calls read a word of shared memory and ask nobody. */
#ifndef QUIRE_C_CHECKPOINTS_H
#define QUIRE_C_CHECKPOINTS_H

/* Each asks for whatever the one before it asks for, and more. */
enum quire_checkpoint_word {
  QUIRE_CHECKPOINTS_DEFAULT = 0, /* turn ends */
  QUIRE_CHECKPOINTS_NONE = 1,
  QUIRE_CHECKPOINTS_BRANCH = 2, /* where an earlier session left this prompt */
  QUIRE_CHECKPOINTS_TURN_ENDS = 3,
  QUIRE_CHECKPOINTS_EVERY = 4, /* also at multiples of every_tokens, rounded up to units */
  QUIRE_CHECKPOINTS_ALL = 5    /* at every unit */
};
typedef struct quire_checkpoint_policy {
  size_t size;
  uint32_t word;         /* quire_checkpoint_word, never 0 */
  uint32_t every_tokens; /* of QUIRE_CHECKPOINTS_EVERY, else 0 */
  uint64_t reserved[2];
} quire_checkpoint_policy;
QUIRE_API quire_status quire_session_checkpoint_policy(const quire_session* session,
                                                       quire_checkpoint_policy* policy);
/* As quire_wanted_checkpoints(), with the session's own layout, tail and present policy; those of
 * `options` are not looked at. Ask anew for each turn, or chunk. */
QUIRE_API quire_status quire_session_wanted_checkpoints(quire_session* session,
                                                        const quire_wanted_options* options,
                                                        quire_wanted_checkpoint* wanted,
                                                        size_t capacity, size_t* count);
/* How far apart checkpoints are kept that are begun with QUIRE_OFFERED, at positions that nobody
 * asked for: by the session's option, its layout and the present policy. 0: none is kept. */
QUIRE_API uint32_t quire_session_offer_tokens(const quire_session* session);
/* How far before a prompt's end the checkpoint before its tail lies, as given or learnt; 0: none.
 */
QUIRE_API uint32_t quire_session_tail_tokens(const quire_session* session);

#endif
