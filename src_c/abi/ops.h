/* Every operation a program step can be, once. The list below and the arguments in the files of each family become
   - the args structs that kernels read (fs_<op>_args),
   - the field tables by which Cython fills them by name (tables.c),
   - the kernels of every ISA (isa/kernel_list.h).
   IN and OUT rows give a pointer's element type, name and shape; INT rows are int64_t, NUM rows float.
   B batch, T timesteps, I inputs, H units; P = ceil(H / 16) panels of 16 units; G gates. */
#ifndef FS_OPS_H
#define FS_OPS_H
#include "abi/kinds.h"
#include "abi/ops_elementwise.h"
#include "abi/ops_products.h"
#include "abi/ops_recurrent.h"
#include "abi/ops_training.h"
#include <stdint.h>

#define FS_PANEL 16 /* units that stand side by side in packed weights, on every ISA */

#define FS_OPS(OP)                                                                                                     \
    OP(DENSE, dense)                                                                                                   \
    OP(LSTM, lstm)                                                                                                     \
    OP(GRU, gru)                                                                                                       \
    OP(GRU_RESET_BEFORE, gru_reset_before)                                                                             \
    OP(SIMPLE_RNN, simple_rnn)                                                                                         \
    OP(RECURRENT_GENERAL, recurrent_general)                                                                           \
    OP(CHECK_IDS, check_ids)                                                                                           \
    OP(EMBEDDING, embedding)                                                                                           \
    OP(ONE_HOT, one_hot)                                                                                               \
    OP(CAST, cast)                                                                                                     \
    OP(COPY, copy)                                                                                                     \
    OP(ACTIVATION, activation)                                                                                         \
    OP(ROW_ACTIVATION, row_activation)                                                                                 \
    OP(BINARY, binary)                                                                                                 \
    OP(AFFINE, affine)                                                                                                 \
    OP(SELECT, select)                                                                                                 \
    OP(MASKING, masking)                                                                                               \
    OP(MASK_LOGIC, mask_logic)                                                                                         \
    OP(RANDOM, random)                                                                                                 \
    OP(CHOICE, choice)                                                                                                 \
    OP(MATMUL, matmul)                                                                                                 \
    OP(NORMALIZE, normalize)                                                                                           \
    OP(SGD, sgd)                                                                                                       \
    OP(RMSPROP, rmsprop)                                                                                               \
    OP(ADAM, adam)                                                                                                     \
    OP(NADAM, nadam)                                                                                                   \
    OP(ADAGRAD, adagrad)                                                                                               \
    OP(ADADELTA, adadelta)                                                                                             \
    OP(SUM_SQUARES, sum_squares)                                                                                       \
    OP(CLIP_SCALE, clip_scale)                                                                                         \
    OP(LSTM_BACKWARD, lstm_backward)                                                                                   \
    OP(GRU_BACKWARD, gru_backward)                                                                                     \
    OP(GRU_RESET_BEFORE_BACKWARD, gru_reset_before_backward)                                                           \
    OP(SIMPLE_RNN_BACKWARD, simple_rnn_backward)                                                                       \
    OP(RECURRENT_GENERAL_BACKWARD, recurrent_general_backward)                                                         \
    OP(PRODUCT_TN, product_tn)                                                                                         \
    OP(PACK, pack)                                                                                                     \
    OP(ACTIVATION_BACKWARD, activation_backward)                                                                       \
    OP(ROW_ACTIVATION_BACKWARD, row_activation_backward)                                                               \
    OP(EMBEDDING_BACKWARD, embedding_backward)                                                                         \
    OP(EMBEDDING_PLACES, embedding_places)                                                                             \
    OP(REDUCE_SUM, reduce_sum)                                                                                         \
    OP(NORMALIZE_BACKWARD, normalize_backward)                                                                         \
    OP(LOSS_WEIGHTS, loss_weights)                                                                                     \
    OP(LOSS, loss)                                                                                                     \
    OP(HITS, hits)                                                                                                     \
    OP(COLUMN_SUMS, column_sums)

#define FS_STRUCT_IN(type, name, shape) const type *name;
#define FS_STRUCT_OUT(type, name, shape) type *name;
#define FS_STRUCT_INT(name) int64_t name;
#define FS_STRUCT_NUM(name) float name;
#define FS_STRUCT(upper, lower)                                                                                        \
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
FS_OPS(FS_STRUCT)

enum fs_op_id {
#define FS_OP_ID(upper, lower) FS_OP_##upper,
    FS_OPS(FS_OP_ID)
#undef FS_OP_ID
        FS_OP_COUNT
};
#endif
