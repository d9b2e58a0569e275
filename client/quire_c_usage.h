/* Part of quire_c.h, which includes it: what a request is reported to have used. */
#ifndef QUIRE_C_USAGE_H
#define QUIRE_C_USAGE_H

/* Of the present turn, as its receipt will say: prompt = hit + replayed + missed. */
typedef struct quire_turn_usage {
  size_t size;
  uint32_t prompt_tokens;
  uint32_t hit_tokens;
  uint32_t replayed_tokens;
  uint32_t missed_tokens;
  uint32_t output_tokens;
  uint32_t written_tokens; /* so far */
} quire_turn_usage;
/* As quire_resumed, and what the turn's receipt says from then on. */
QUIRE_API quire_status quire_resumed_usage(quire_session* session, const quire_resumed_word* word,
                                           quire_turn_usage* usage);

enum quire_usage_shape {
  QUIRE_USAGE_DEEPSEEK = 0,
  QUIRE_USAGE_OPENAI = 1,
  QUIRE_USAGE_RESPONSES = 2, /* OpenAI's Responses */
  QUIRE_USAGE_ANTHROPIC = 3
};
/* One JSON object, zero-terminated. `retention`: class that written content is kept by ("5m",
 * "1h"), or NULL. *length: without the zero. QUIRE_RESOURCE_EXHAUSTED: it does not fit; *length
 * says what is needed. */
QUIRE_API quire_status quire_usage_json(const quire_turn_usage* usage, uint32_t shape,
                                        const char* retention, char* text, size_t capacity,
                                        size_t* length);

#endif
