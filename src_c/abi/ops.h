/* Every operation a program step can be, once. The lists below and the arguments in the files of each family become
   - the args structs that kernels read (fs_<op>_args),
   - the field tables by which Cython fills them by name (tables.c),
   - the kernels of every ISA and form of weights, fs_<form>_<op>__<isa> (isa/kernel_list.h).
   IN and OUT rows give a pointer's element type, name and shape; INT rows are int64_t, NUM rows float. Packed weights
   are void: their type is the form of the row.
   B batch, T timesteps, I inputs, H units; P = ceil(H / 16) panels of 16 units; G gates. */
#ifndef FS_OPS_H
#define FS_OPS_H
#include "abi/constants.h"
#include "abi/kinds.h"
#include "abi/ops_attention.h"
#include "abi/ops_chains.h"
#include "abi/ops_convolutions.h"
#include "abi/ops_ctc.h"
#include "abi/ops_elementwise.h"
#include "abi/ops_normalization.h"
#include "abi/ops_places.h"
#include "abi/ops_pooling.h"
#include "abi/ops_products.h"
#include "abi/ops_recurrent.h"
#include "abi/ops_training.h"
#include <stdint.h>

/* Bytes of a weight, by form. */
enum { FS_BYTES_f32 = 4 };

/* All rows: a row is what a step can be, its number FS_OP_<first>_<form>. */
#define FS_OPS(OP) FS_OPS_f32(OP)

/* Those of an optimizer's step. */
#define FS_OPS_UPDATES(OP)                                                                                             \
    OP(SGD, sgd, f32, update, PIECES)                                                                                  \
    OP(RMSPROP, rmsprop, f32, update, PIECES)                                                                          \
    OP(ADAM, adam, f32, update, PIECES)                                                                                \
    OP(NADAM, nadam, f32, update, PIECES)                                                                              \
    OP(ADAGRAD, adagrad, f32, update, PIECES)                                                                          \
    OP(ADADELTA, adadelta, f32, update, PIECES)                                                                        \
    OP(SUM_SQUARES, sum_squares, f32, sum_squares, PIECES)                                                             \
    OP(CLIP_SCALE, clip_scale, f32, clip_scale, PIECES)

/* Those of ops_normalization.h. */
#define FS_OPS_NORMALIZATION(OP)                                                                                       \
    OP(LAYER_NORM, layer_norm, f32, layer_norm, PIECES)                                                                \
    OP(LAYER_NORM_BACKWARD, layer_norm_backward, f32, layer_norm_backward, PIECES)                                     \
    OP(BATCH_NORM, batch_norm, f32, batch_norm, PIECES)                                                                \
    OP(CHANNEL_SUMS, channel_sums, f32, channel_sums, PIECES)

/* All operations, with float32 weights or none. A list FS_OPS_<form> has those that take weights of another form too;
   their arguments and bodies are the same.
   A row: the operation (FS_OP_<first>), its name, the form of the weights that it reads (kernels/weights_inl.h), how
   its work is divided (fs_<name>_extent, run/extents.c), and how a long one is interrupted: LOOKS, its kernel asks
   FS_STOPS; PIECES, it gets its rows in pieces and the caller looks between them (run/steps.c). */
#define FS_OPS_f32(OP)                                                                                                 \
    OP(DENSE, dense, f32, dense, LOOKS)                                                                                \
    OP(CONV1D, conv1d, f32, conv1d, LOOKS)                                                                             \
    OP(DEPTHWISE_CONV1D, depthwise_conv1d, f32, depthwise_conv1d, PIECES)                                              \
    OP(LSTM, lstm, f32, recurrent, LOOKS)                                                                              \
    OP(GRU, gru, f32, recurrent, LOOKS)                                                                                \
    OP(GRU_RESET_BEFORE, gru_reset_before, f32, recurrent, LOOKS)                                                      \
    OP(SIMPLE_RNN, simple_rnn, f32, recurrent, LOOKS)                                                                  \
    OP(RECURRENT_GENERAL, recurrent_general, f32, recurrent_general, LOOKS)                                            \
    OP(CHECK_IDS, check_ids, f32, check_ids, PIECES)                                                                   \
    OP(EMBEDDING, embedding, f32, embedding, PIECES)                                                                   \
    OP(ONE_HOT, one_hot, f32, one_hot, PIECES)                                                                         \
    OP(CAST, cast, f32, cast, PIECES)                                                                                  \
    OP(COPY, copy, f32, copy, PIECES)                                                                                  \
    OP(ACTIVATION, activation, f32, activation, PIECES)                                                                \
    OP(ROW_ACTIVATION, row_activation, f32, row_activation, PIECES)                                                    \
    OP(BINARY, binary, f32, binary, PIECES)                                                                            \
    OP(AFFINE, affine, f32, affine, PIECES)                                                                            \
    OP(SELECT, select, f32, select, PIECES)                                                                            \
    OP(MASKING, masking, f32, masking, PIECES)                                                                         \
    OP(MASK_LOGIC, mask_logic, f32, mask_logic, PIECES)                                                                \
    OP(RANDOM, random, f32, random, PIECES)                                                                            \
    OP(CHOICE, choice, f32, choice, PIECES)                                                                            \
    OP(MATMUL, matmul, f32, matmul, PIECES)                                                                            \
    OP(ATTENTION, attention, f32, attention, PIECES)                                                                   \
    OP(NORMALIZE, normalize, f32, normalize, PIECES)                                                                   \
    FS_OPS_NORMALIZATION(OP)                                                                                           \
    FS_OPS_UPDATES(OP)                                                                                                 \
    OP(LSTM_BACKWARD, lstm_backward, f32, recurrent_backward, LOOKS)                                                   \
    OP(GRU_BACKWARD, gru_backward, f32, recurrent_backward, LOOKS)                                                     \
    OP(GRU_RESET_BEFORE_BACKWARD, gru_reset_before_backward, f32, recurrent_backward, LOOKS)                           \
    OP(SIMPLE_RNN_BACKWARD, simple_rnn_backward, f32, recurrent_backward, LOOKS)                                       \
    OP(RECURRENT_GENERAL_BACKWARD, recurrent_general_backward, f32, recurrent_general_backward, LOOKS)                 \
    OP(PRODUCT_TN, product_tn, f32, product_tn, PIECES)                                                                \
    OP(PACK, pack, f32, pack, PIECES)                                                                                  \
    OP(ACTIVATION_BACKWARD, activation_backward, f32, activation_backward, PIECES)                                     \
    OP(ROW_ACTIVATION_BACKWARD, row_activation_backward, f32, row_activation_backward, PIECES)                         \
    OP(EMBEDDING_BACKWARD, embedding_backward, f32, embedding_backward, PIECES)                                        \
    OP(EMBEDDING_PLACES, embedding_places, f32, embedding_places, PIECES)                                              \
    OP(REDUCE_SUM, reduce_sum, f32, reduce_sum, PIECES)                                                                \
    OP(NORMALIZE_BACKWARD, normalize_backward, f32, normalize_backward, PIECES)                                        \
    OP(LOSS_WEIGHTS, loss_weights, f32, loss_weights, PIECES)                                                          \
    OP(LOSS, loss, f32, loss, PIECES)                                                                                  \
    OP(HITS, hits, f32, hits, PIECES)                                                                                  \
    OP(COLUMN_SUMS, column_sums, f32, column_sums, PIECES)                                                             \
    OP(ELEMENTWISE, elementwise, f32, elementwise, PIECES)                                                             \
    OP(REDUCE, reduce, f32, reduce, PIECES)                                                                            \
    OP(GATHER, gather, f32, gather, PIECES)                                                                            \
    OP(SCATTER, scatter, f32, scatter, PIECES)                                                                         \
    OP(ARGSORT, argsort, f32, argsort, PIECES)                                                                         \
    OP(SEARCH, search, f32, search, PIECES)                                                                            \
    OP(CUMULATE, cumulate, f32, cumulate, PIECES)                                                                      \
    OP(FOURIER, fourier, f32, fourier, PIECES)                                                                         \
    OP(CTC_LOSS, ctc_loss, f32, ctc_loss, PIECES)                                                                      \
    OP(CTC_DECODE, ctc_decode, f32, ctc_decode, PIECES)                                                                \
    OP(POOL, pool, f32, pool, PIECES)                                                                                  \
    OP(POOL_BACKWARD, pool_backward, f32, pool_backward, PIECES)

#define FS_STRUCT_IN(type, name, shape) const type *name;
#define FS_STRUCT_OUT(type, name, shape) type *name;
#define FS_STRUCT_INT(name) int64_t name;
#define FS_STRUCT_NUM(name) float name;
#define FS_STRUCT(upper, lower, ...)                                                                                   \
    typedef struct {                                                                                                   \
        FS_##upper##_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)                                   \
    } fs_##lower##_args;
typedef struct {
    FS_RECURRENT_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_recurrent_args; /* the four recurrent ops share one layout */
typedef struct {
    FS_UPDATE_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_update_args; /* and so do the optimizers */
typedef struct {
    FS_RECURRENT_BACKWARD_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_recurrent_backward_args; /* and so do their backward ones */
typedef struct {
    FS_CHAIN_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_chain_args; /* and what elementwise and reduce begin with */
FS_OPS_f32(FS_STRUCT)

enum fs_op_id {
#define FS_OP_ID(upper, lower, form, ...) FS_OP_##upper##_##form,
    FS_OPS(FS_OP_ID)
#undef FS_OP_ID
        FS_OP_COUNT,
/* An operation's own number is that of its row with float32. */
#define FS_OPERATION(upper, lower, form, ...) FS_OP_##upper = FS_OP_##upper##_##form,
    FS_OPS_f32(FS_OPERATION)
#undef FS_OPERATION
};
#endif
