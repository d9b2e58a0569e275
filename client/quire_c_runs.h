/* Part of quire_c.h, which includes it: a load told as runs of adjacent pages. */
#ifndef QUIRE_C_RUNS_H
#define QUIRE_C_RUNS_H

/* Pages of one group that lie behind each other: page i is of block first_block + i, at
 * data + i * stride, and has page_bytes. */
typedef struct quire_run_view {
  const void* data;
  uint64_t page_bytes;
  uint64_t stride;
  uint64_t offset;      /* of the first page, in the segment */
  uint32_t first_block; /* of the context; of a checkpoint's page: its place among these */
  uint32_t page_count;
  uint32_t generation; /* of each page's slot */
  uint32_t segment;    /* of quire_segment_observer */
  uint8_t group;
  uint8_t of_checkpoint;
  uint8_t reserved[2];
  uint32_t reserved32;
  uint64_t room;
} quire_run_view; /* never larger: an array of them lies in the library's memory */
typedef struct quire_runs {
  size_t size;
  const quire_run_view* runs; /* the checkpoint's first; until the lease is released */
  size_t run_count;
  uint64_t page_count;  /* of all runs */
  uint32_t block_count; /* as in quire_pages; so the next two */
  uint32_t checkpoint_count;
  quire_status limited_by;
  uint32_t reserved32;
  uint64_t reserved[4];
} quire_runs;
/* What quire_load() loads. `max_runs`: room for so many, 0 for 1,024; resource exhausted when
 * memory is too fragmented for it: load pages then, or give more. No checksums: load the blocks
 * that are to be verified as pages. Invalid argument with `progress`. */
QUIRE_API quire_status quire_load_runs(quire_session* session, uint64_t lease,
                                       const quire_load_options* options, uint32_t max_runs,
                                       quire_runs* runs);
QUIRE_API quire_status quire_submit_load_runs(quire_session* session, uint64_t lease,
                                              const quire_load_options* options, uint32_t max_runs,
                                              uint64_t* request);

/* As quire_take_pages(); each is not found for the other's load. */
QUIRE_API quire_status quire_take_runs(quire_session* session, const quire_completion* completion,
                                       quire_runs* runs);

#endif
