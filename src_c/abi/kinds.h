/* What an integer argument names, each list once: C reads it as an enum, Python reads name -> number from it
   (fs_kind_name, fastseq/native/kinds.py). The order is the number. Activations have a file of their own,
   activation_kinds.h. */
#ifndef FS_KINDS_H
#define FS_KINDS_H
#include "abi/activation_kinds.h"
#include "abi/chain_kinds.h"

#define FS_CASTS(X)                                                                                                    \
    X(FS_CAST_F32_I32, float32_to_int32)                                                                               \
    X(FS_CAST_I32_F32, int32_to_float32)                                                                               \
    X(FS_CAST_U8_F32, bool_to_float32)                                                                                 \
    X(FS_CAST_U8_I32, bool_to_int32)                                                                                   \
    X(FS_CAST_I32_U8, int32_to_bool)                                                                                   \
    X(FS_CAST_F32_U8, float32_to_bool)

#define FS_BINARIES(X)                                                                                                 \
    X(FS_ADD, add)                                                                                                     \
    X(FS_SUBTRACT, subtract)                                                                                           \
    X(FS_MULTIPLY, multiply)                                                                                           \
    X(FS_DIVIDE, divide)                                                                                               \
    X(FS_MAXIMUM, maximum)                                                                                             \
    X(FS_MINIMUM, minimum)                                                                                             \
    X(FS_PRELU, prelu)                                                                                                 \
    X(FS_AT_LEAST, at_least)                                                                                           \
    X(FS_ABOVE, above)                                                                                                 \
    /* on int32 */                                                                                                     \
    X(FS_ADD_I32, add_int32)                                                                                           \
    X(FS_SUBTRACT_I32, subtract_int32)                                                                                 \
    X(FS_MULTIPLY_I32, multiply_int32)                                                                                 \
    X(FS_MAXIMUM_I32, maximum_int32)                                                                                   \
    X(FS_MINIMUM_I32, minimum_int32)

#define FS_MASK_KINDS(X)                                                                                               \
    X(FS_MASK_AND, and)                                                                                                \
    X(FS_MASK_OR, or)                                                                                                  \
    X(FS_MASK_NOT, not)                                                                                                \
    X(FS_MASK_NONZERO_I32, nonzero_int32)                                                                              \
    X(FS_MASK_NONZERO_F32, nonzero_float32)

#define FS_RANDOM_KINDS(X)                                                                                             \
    X(FS_RANDOM_KEEP, keep)                                                                                            \
    X(FS_RANDOM_NORMAL, normal)

#define FS_CHOICES(X)                                                                                                  \
    X(FS_CHOICE_BEST, best)                                                                                            \
    X(FS_CHOICE_DRAW, draw)

#define FS_LOSSES(X)                                                                                                   \
    X(FS_LOSS_SQUARED, squared)                                                                                        \
    X(FS_LOSS_ABSOLUTE, absolute)                                                                                      \
    X(FS_LOSS_HUBER, huber)                                                                                            \
    X(FS_LOSS_DIVERGENCE, divergence)                                                                                  \
    X(FS_LOSS_BINARY, binary)                                                                                          \
    X(FS_LOSS_CATEGORICAL, categorical)                                                                                \
    X(FS_LOSS_SPARSE, sparse)                                                                                          \
    X(FS_LOSS_PERCENTAGE, percentage)

#define FS_REDUCTIONS(X)                                                                                               \
    X(FS_REDUCE_SUM, sum)                                                                                              \
    X(FS_REDUCE_MEAN, mean)                                                                                            \
    X(FS_REDUCE_WEIGHTED_MEAN, weighted_mean)

#define FS_HITS_KINDS(X)                                                                                               \
    X(FS_HITS_LARGEST, largest)                                                                                        \
    X(FS_HITS_ABOVE, above)

#define FS_CELLS(X)                                                                                                    \
    X(FS_CELL_LSTM, lstm)                                                                                              \
    X(FS_CELL_GRU, gru)                                                                                                \
    X(FS_CELL_GRU_RESET_BEFORE, gru_reset_before)                                                                      \
    X(FS_CELL_SIMPLE_RNN, simple_rnn)

/* What becomes of an element where another one is put into its place. */
#define FS_PUT_KINDS(X)                                                                                                \
    X(FS_PUT_SET, set)                                                                                                 \
    X(FS_PUT_ADD, add)                                                                                                 \
    X(FS_PUT_MULTIPLY, mul)                                                                                            \
    X(FS_PUT_MAXIMUM, max)                                                                                             \
    X(FS_PUT_MINIMUM, min)

#define FS_CUMULATIONS(X)                                                                                              \
    X(FS_CUMULATED_SUM, sum)                                                                                           \
    X(FS_CUMULATED_PROD, prod)

/* Why a row has no loss of connectionist temporal classification, or cannot be decoded. */
#define FS_CTC_FAILURES(X)                                                                                             \
    X(FS_CTC_FINE, fine)                                                                                               \
    X(FS_CTC_NO_LABELS, no_labels)                                                                                     \
    X(FS_CTC_TOO_LONG, too_long)                                                                                       \
    X(FS_CTC_NO_TIME, no_time)                                                                                         \
    X(FS_CTC_NO_LABEL, no_label)                                                                                       \
    X(FS_CTC_FEW_PATHS, few_paths)

#define FS_POOLS(X)                                                                                                    \
    X(FS_POOL_MAX, max)                                                                                                \
    X(FS_POOL_MAX_SHARED, max_shared)                                                                                  \
    X(FS_POOL_MEAN, mean)

/* All families, by the name that Python asks for. */
#define FS_KIND_FAMILIES(F)                                                                                            \
    F(activation, FS_ACTIVATIONS)                                                                                      \
    F(cast, FS_CASTS)                                                                                                  \
    F(binary, FS_BINARIES)                                                                                             \
    F(mask, FS_MASK_KINDS)                                                                                             \
    F(random, FS_RANDOM_KINDS)                                                                                         \
    F(choice, FS_CHOICES)                                                                                              \
    F(loss, FS_LOSSES)                                                                                                 \
    F(reduction, FS_REDUCTIONS)                                                                                        \
    F(hits, FS_HITS_KINDS)                                                                                             \
    F(cell, FS_CELLS)                                                                                                  \
    F(chain, FS_CHAIN_KINDS)                                                                                           \
    F(reduce, FS_REDUCE_KINDS)                                                                                         \
    F(put, FS_PUT_KINDS)                                                                                               \
    F(cumulation, FS_CUMULATIONS)                                                                                      \
    F(ctc_failure, FS_CTC_FAILURES)                                                                                    \
    F(pool, FS_POOLS)

#define FS_FAMILY_NUMBER(family, LIST) FS_FAMILY_##family,
enum fs_kind_family { FS_KIND_FAMILIES(FS_FAMILY_NUMBER) };
#undef FS_FAMILY_NUMBER

#define FS_KIND_NUMBER(number, ...) number,
enum fs_cast_kind { FS_CASTS(FS_KIND_NUMBER) };
enum fs_binary_kind { FS_BINARIES(FS_KIND_NUMBER) };
enum fs_mask_kind { FS_MASK_KINDS(FS_KIND_NUMBER) };
enum fs_random_kind { FS_RANDOM_KINDS(FS_KIND_NUMBER) };
enum fs_choice_kind { FS_CHOICES(FS_KIND_NUMBER) };
enum fs_loss_kind { FS_LOSSES(FS_KIND_NUMBER) };
enum fs_loss_reduction { FS_REDUCTIONS(FS_KIND_NUMBER) };
enum fs_hits_kind { FS_HITS_KINDS(FS_KIND_NUMBER) };
enum fs_cell { FS_CELLS(FS_KIND_NUMBER) };
enum fs_chain_kind { FS_CHAIN_KINDS(FS_KIND_NUMBER) };
enum fs_reduce_kind { FS_REDUCE_KINDS(FS_KIND_NUMBER) };
enum fs_put_kind { FS_PUT_KINDS(FS_KIND_NUMBER) };
enum fs_cumulation { FS_CUMULATIONS(FS_KIND_NUMBER) };
enum fs_pool_kind { FS_POOLS(FS_KIND_NUMBER) };
enum fs_ctc_failure { FS_CTC_FAILURES(FS_KIND_NUMBER) };
#undef FS_KIND_NUMBER
#endif
