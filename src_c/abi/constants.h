/* Sizes that C and Python both count with, each once: Python reads name -> value (fs_constant_name,
   fastseq/native/kinds.py). */
#ifndef FS_CONSTANTS_H
#define FS_CONSTANTS_H

#define FS_PANEL 16 /* units that stand side by side in packed weights, on every ISA */
#define FS_GROUP_PANELS 4 /* panels of a product without gates that stand side by side there */

/* Weight gradients (product_tn): threads own columns of c, in blocks of four panels, or rows of it where there is one
   such block. */
#define FS_PRODUCT_COLUMNS (4 * FS_PANEL)
#define FS_PRODUCT_ROWS 24

#define FS_ATTENTION_KEYS 64  /* keys of a block, of which a query's scores are there at a time */
#define FS_ATTENTION_SIZE 256 /* the largest head */
#define FS_ATTENTION_ROWS 512 /* the most queries for which a block of keys is packed once */

#define FS_FOURIER_GROUPS 16 /* of rows that are transformed, each with scratch of its own */
#define FS_FOURIER_PRIME 31  /* prime factors of a length that are larger make Bluestein's convolution of it */

#define FS_CTC_PAD 24 /* doubles behind an array of states or classes that vectors may read and write */

#define FS_LOSS_BLOCK 32   /* rows whose loss, or hits, make one partial sum */
#define FS_NORM_BLOCK 4096 /* elements whose squares do */
#define FS_LAYER_NORM_ROWS 32 /* rows whose gradients of gamma and beta make one partial sum */

/* hyper[0..] of every optimizer; what an optimizer has beside them begins at FS_HYPER_OWN. */
enum { FS_HYPER_RATE, FS_HYPER_DECAY, FS_HYPER_CLIP, FS_HYPER_UNSCALE, FS_HYPER_OWN, FS_HYPER_SIZE = 10 };

/* Rows of H floats that recurrent_general, and its backward op, want for each row of the batch. */
#define FS_GENERAL_SCRATCH 14
#define FS_GENERAL_BACKWARD_SCRATCH 12

/* Multiply-adds (5 to 10 us) from which on a thread is worth its part of a region: starting one costs 0.4 us when its
   threads are awake, more when they sleep, and a scheduling quantum when another process has their core. */
#define FS_MIN_WORK_PER_THREAD 600000

/* What a chain of elementwise operations has at most (kernels/chain_inl.h). */
#define FS_CHAIN_INPUTS 8
#define FS_CHAIN_OUTPUTS 4
#define FS_CHAIN_REGISTERS 32

/* A cell: its gates, the panels of units that stay together in its kernel, and what a traced step keeps for the
   backward op: vectors of each panel, or rows of H in recurrent_general. */
#define FS_CELL_SIZES(X)                                                                                               \
    X(LSTM, 4, 1, 5, 5)                                                                                                \
    X(GRU, 3, 1, 4, 4)                                                                                                 \
    X(GRU_RESET_BEFORE, 3, 4, 3, 3)                                                                                    \
    X(SIMPLE_RNN, 1, 4, 1, 1)

#define FS_CELL_SIZE(cell, gates, panels, kept, general_kept)                                                          \
    FS_##cell##_GATES = gates, FS_##cell##_PANELS = panels, FS_##cell##_KEPT = kept,                                   \
    FS_##cell##_GENERAL_KEPT = general_kept,
enum { FS_CELL_SIZES(FS_CELL_SIZE) };
#undef FS_CELL_SIZE

#define FS_CELL_CONSTANTS(X, cell) X(cell##_GATES) X(cell##_PANELS) X(cell##_KEPT) X(cell##_GENERAL_KEPT)
#define FS_CONSTANTS(X)                                                                                                \
    X(FS_PANEL)                                                                                                        \
    X(FS_GROUP_PANELS)                                                                                                 \
    X(FS_PRODUCT_COLUMNS)                                                                                              \
    X(FS_ATTENTION_KEYS)                                                                                               \
    X(FS_ATTENTION_SIZE)                                                                                               \
    X(FS_FOURIER_GROUPS)                                                                                               \
    X(FS_FOURIER_PRIME)                                                                                                \
    X(FS_CTC_PAD)                                                                                                      \
    X(FS_LAYER_NORM_ROWS)                                                                                              \
    X(FS_PRODUCT_ROWS)                                                                                                 \
    X(FS_LOSS_BLOCK)                                                                                                   \
    X(FS_NORM_BLOCK)                                                                                                   \
    X(FS_HYPER_UNSCALE)                                                                                                \
    X(FS_HYPER_OWN)                                                                                                    \
    X(FS_HYPER_SIZE)                                                                                                   \
    X(FS_GENERAL_SCRATCH)                                                                                              \
    X(FS_GENERAL_BACKWARD_SCRATCH)                                                                                     \
    X(FS_MIN_WORK_PER_THREAD)                                                                                          \
    X(FS_CHAIN_INPUTS)                                                                                                 \
    X(FS_CHAIN_OUTPUTS)                                                                                                \
    X(FS_CHAIN_REGISTERS)                                                                                              \
    FS_CELL_CONSTANTS(X, FS_LSTM)                                                                                      \
    FS_CELL_CONSTANTS(X, FS_GRU)                                                                                       \
    FS_CELL_CONSTANTS(X, FS_GRU_RESET_BEFORE)                                                                          \
    FS_CELL_CONSTANTS(X, FS_SIMPLE_RNN)
#endif
