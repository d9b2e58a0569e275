/* Part of quire_c.h, which includes it: sessions that reserve RAM and are opened without waiting,
 * and such that go on with another prompt. */
#ifndef QUIRE_C_ADMISSION_H
#define QUIRE_C_ADMISSION_H

/* A session that waits until what it reserves (quire_session_options.reserve_bytes) can be had.
 * Freed, it gives its place in the queue up. One thread at a time; it may outlive its client. */
typedef struct quire_ticket quire_ticket;
typedef struct quire_queue_place {
  size_t size;
  uint64_t estimate_ms;    /* of its turn, where estimate_known is 1; else nobody knows */
  uint32_t estimate_known; /* 0 or 1 */
  uint32_t position;       /* 1: it is next; 0: it does not wait */
  uint64_t reserved[4];
} quire_queue_place;

QUIRE_API quire_status quire_request_session(quire_client* client,
                                             const quire_session_options* options,
                                             quire_ticket** ticket);
/* `session` gets the session, once, or NULL while it is queued; the call asks again now
 * and then, for wait_ms. QUIRE_DEADLINE_EXCEEDED: admission_wait_ms are over. After a failure the
 * ticket is of no use any more. */
QUIRE_API quire_status quire_poll_ticket(quire_ticket* ticket, uint32_t wait_ms,
                                         quire_session** session);
/* As the daemon said last. */
QUIRE_API quire_status quire_ticket_place(quire_ticket* ticket, quire_queue_place* place);
QUIRE_API const char* quire_ticket_error(const quire_ticket* ticket);
QUIRE_API void quire_ticket_free(quire_ticket* ticket);

/* Goes on with another prompt, as if the session had just been opened for it: nothing is appended,
 * the turn is closed and its receipt written. Token, payer and reservation stay. `conversation`: of
 * the new prompt, 0: none. QUIRE_BUSY while leases, fills or requests of the old one are open, or
 * another process is in the session: then nothing has changed. */
QUIRE_API quire_status quire_reset_session(quire_session* session, uint64_t conversation);
/* Without waiting. Nothing else can be submitted or appended until its completion was polled. */
QUIRE_API quire_status quire_submit_reset(quire_session* session, uint64_t conversation,
                                          uint64_t* request);

#endif
