/* Part of quire_c.h, which includes it: prefill and decode on two hosts, through the cluster. */
#ifndef QUIRE_C_HAND_OVER_H
#define QUIRE_C_HAND_OVER_H

#define QUIRE_HAND_OVER_BYTES 64
/* Gives the session to another host: what it commits goes to the cluster at once. `address` goes to
 * whoever is to follow, as it is. QUIRE_UNAVAILABLE: no cluster takes writes now. */
QUIRE_API quire_status quire_hand_over(quire_session* session,
                                       uint8_t address[QUIRE_HAND_OVER_BYTES]);
/* Follows a session of another host, which works on the first `prompt_tokens` tokens of this one:
 * quire_session_progress and quire_wait_for_tokens tell what is here of it. The latter says
 * QUIRE_UNAVAILABLE when no more will come. */
QUIRE_API quire_status quire_follow(quire_session* session,
                                    const uint8_t address[QUIRE_HAND_OVER_BYTES],
                                    uint32_t prompt_tokens);

#endif
