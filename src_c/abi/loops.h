/* Loops among the steps of a program (run/loops.c). */
#ifndef FS_LOOPS_H
#define FS_LOOPS_H
#include "abi/fastseq.h"

/* Steps [first, last) that run `times` times one after the other; after each time pointers among the arguments move on
   by some bytes, and after the last one they are back where they were. With a condition they stop before a time at
   which the byte that it points to is 0. With cuts they may run for some of the `rows` by themselves. */
typedef struct {
    int64_t where, bytes; /* a pointer's place among the arguments */
} fs_move;
typedef struct {
    int64_t first, last, times;
    int64_t condition; /* place of a pointer among the arguments, or -1 */
    int64_t first_move, move_count;
    int64_t rows, first_cut, cut_count;
} fs_loop;

/* What differs among the arguments for rows [lo, hi): a size is (hi - lo) * of_row, a pointer lies lo * of_row bytes
   further on. */
typedef struct {
    int64_t where, of_row, is_size;
} fs_cut;

/* Steps with loops, in their order; `arguments`, so many bytes, is what the steps' arguments point into. */
typedef struct {
    const fs_step *steps;
    char *arguments;
    const fs_loop *loops;
    const fs_move *moves;
    const fs_cut *cuts;
    int64_t count, bytes, loop_count;
} fs_looped;

/* fs_run with loops. */
int fs_run_loops(const fs_looped *program, int threads, fs_failure *failure);
#endif
