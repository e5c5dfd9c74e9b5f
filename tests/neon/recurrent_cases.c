/* LSTM, GRU of both kinds and SimpleRNN: odd sizes, masks, states in and out, directions, threads, all activations. */
#include "harness.h"

/* B, T, I, H: single rows (input product hoisted), few rows (threads own units), many, units short of a panel and past
   one, more than one group of four panels. */
static const int64_t shapes[][4] = {
    {1, 1, 1, 1}, {1, 40, 7, 16}, {2, 9, 33, 40}, {7, 5, 3, 17}, {19, 4, 20, 65}, {37, 3, 5, 100}};

typedef struct {
    const char *name;
    int masked, states, backward, last_only, zero_masked, threads, finite_kernel;
} variant;

static const variant variants[] = {
    {.name = "plain", .threads = 1, .finite_kernel = 1},
    {.name = "states", .states = 1, .threads = 1},
    {.name = "masked", .masked = 1, .states = 1, .threads = 1},
    {.name = "masked_zeros", .masked = 1, .zero_masked = 1, .threads = 1, .finite_kernel = 1},
    {.name = "masked_last", .masked = 1, .last_only = 1, .threads = 1},
    {.name = "backward", .masked = 1, .states = 1, .backward = 1, .threads = 1},
    {.name = "threads", .masked = 1, .states = 1, .threads = 3},
};

static const char *const op_names[] = {[FS_OP_LSTM] = "lstm", [FS_OP_GRU] = "gru",
                                       [FS_OP_GRU_RESET_BEFORE] = "before", [FS_OP_SIMPLE_RNN] = "rnn"};

/* The weights are random numbers in whatever layout the kernels read: the same for every instruction set. There are
   enough for any number of gates with the panels filled up to groups of four. */
static void run(int op, const int64_t *shape, const variant *v, int activation, int recurrent_activation)
{
    int64_t B = shape[0], T = shape[1], I = shape[2], H = shape[3], width = (H + 63) / 64 * 64;
    fs_recurrent_args a = {
        .batch = B, .timesteps = T, .inputs = I, .units = H,
        .x_row = T * I, .x_time = I, .mask_row = T, .mask_time = 1,
        .y_row = v->last_only ? H : T * H, .y_time = v->last_only ? 0 : H,
        .sequences = !v->last_only, .zero_masked = v->zero_masked, .finite_kernel = v->finite_kernel,
        .activation = activation, .a0 = 0.3f, .a1 = 6.0f, .a2 = 0.1f,
        .recurrent_activation = recurrent_activation, .r0 = 0.2f, .r1 = 4.0f, .r2 = 0.3f,
    };
    a.x = floats_in(B * T * I, 1.0f);
    a.w_x = floats_in(width * I * 4, 0.3f);
    a.w_h = floats_in(width * H * 4, 0.2f);
    if (op == FS_OP_GRU_RESET_BEFORE)
        a.w_c = floats_in(width * H, 0.2f);
    a.bias = floats_in(width * 4, 0.5f);
    if (v->masked)
        a.mask = bytes_in(B * T);
    if (v->states) {
        a.h0 = floats_in(B * H, 1.0f);
        a.hn = floats_out(B * H);
        if (op == FS_OP_LSTM) {
            a.c0 = floats_in(B * H, 1.0f);
            a.cn = floats_out(B * H);
        }
    }
    a.y = floats_out(v->last_only ? B * H : B * T * H);
    a.scratch = scratch(fs_recurrent_scratch(op, B, T, I, H));
    if (v->backward) {
        a.x += (T - 1) * I;
        a.y += (T - 1) * H;
        a.x_time = -I;
        a.y_time = -H;
        if (a.mask) {
            a.mask += T - 1;
            a.mask_time = -1;
        }
    }
    finish(op, &a, v->threads);
}

void recurrent_cases(void)
{
    static const int ops[] = {FS_OP_LSTM, FS_OP_GRU, FS_OP_GRU_RESET_BEFORE, FS_OP_SIMPLE_RNN};
    static const int64_t small[4] = {5, 3, 6, 20}, wide[4] = {2, 30, 256, 272};
    for (int64_t o = 0; o < COUNT_OF(ops); o++) {
        for (int64_t s = 0; s < COUNT_OF(shapes); s++)
            for (int64_t i = 0; i < COUNT_OF(variants); i++) {
                begin("%s-%dx%dx%dx%d-%s", op_names[ops[o]], (int)shapes[s][0], (int)shapes[s][1], (int)shapes[s][2],
                      (int)shapes[s][3], variants[i].name);
                run(ops[o], shapes[s], &variants[i], FS_ACT_TANH, FS_ACT_SIGMOID);
            }
        /* Work enough for threads that share rows. */
        const variant *threads = &variants[COUNT_OF(variants) - 1];
        begin("%s-wide-threads", op_names[ops[o]]);
        run(ops[o], wide, threads, FS_ACT_TANH, FS_ACT_SIGMOID);
        for (int kind = 0; kind < FS_ACT_FIRST_ROWWISE; kind++) {
            begin("%s-%s", op_names[ops[o]], fs_kind_name(FS_FAMILY_activation, kind));
            run(ops[o], small, &variants[1], kind, FS_ACT_SIGMOID);
            begin("%s-sigmoid-%s", op_names[ops[o]], fs_kind_name(FS_FAMILY_activation, kind));
            run(ops[o], small, &variants[1], FS_ACT_TANH, kind);
        }
    }
}

static void run_general(int cell, int masked, int dropout_masks, int activation, int traced)
{
    const int64_t B = 5, T = 4, I = 7, H = 19, gates = cell == FS_CELL_LSTM ? 4 : cell == FS_CELL_SIMPLE_RNN ? 1 : 3;
    fs_recurrent_general_args a = {
        .cell = cell, .batch = B, .timesteps = T, .inputs = I, .units = H,
        .x_row = T * I, .x_time = I, .mask_row = T, .mask_time = 1, .y_row = T * H, .y_time = H,
        .sequences = 1, .x_masks = dropout_masks, .h_masks = dropout_masks,
        .activation = activation, .recurrent_activation = FS_ACT_SIGMOID,
    };
    a.x = floats_in(B * T * I, 1.0f);
    a.kernel = floats_in(I * gates * H, 0.4f);
    a.recurrent_kernel = floats_in(H * gates * H, 0.3f);
    a.bias = floats_in((cell == FS_CELL_GRU ? 2 : 1) * gates * H, 0.5f);
    a.h0 = floats_in(B * H, 1.0f);
    a.c0 = cell == FS_CELL_LSTM ? floats_in(B * H, 1.0f) : NULL;
    a.mask = masked ? bytes_in(B * T) : NULL;
    if (dropout_masks) {
        a.x_dropout = floats_in(dropout_masks * B * I, 1.5f);
        a.h_dropout = floats_in(dropout_masks * B * H, 1.5f);
    }
    a.y = floats_out(B * T * H);
    a.hn = floats_out(B * H);
    a.cn = cell == FS_CELL_LSTM ? floats_out(B * H) : NULL;
    a.scratch = scratch(B * 14 * H);
    if (traced) {
        a.trace = floats_out(B * T * 5 * H);
        a.states = floats_out(B * T * H);
    }
    finish(FS_OP_RECURRENT_GENERAL, &a, 1);
}

void general_cases(void)
{
    static const char *const cells[] = {[FS_CELL_LSTM] = "lstm", [FS_CELL_GRU] = "gru",
                                        [FS_CELL_GRU_RESET_BEFORE] = "before", [FS_CELL_SIMPLE_RNN] = "rnn"};
    static const int kinds[] = {FS_ACT_TANH, FS_ACT_SOFTMAX, FS_ACT_LOG_SOFTMAX, FS_ACT_SPARSEMAX};
    for (int cell = 0; cell < COUNT_OF(cells); cell++) {
        int gates = cell == FS_CELL_LSTM ? 4 : cell == FS_CELL_SIMPLE_RNN ? 1 : 3;
        for (int64_t i = 0; i < COUNT_OF(kinds); i++) {
            begin("%s-%s", cells[cell], fs_kind_name(FS_FAMILY_activation, kinds[i]));
            run_general(cell, 0, 0, kinds[i], 0);
        }
        begin("%s-masked-dropout", cells[cell]);
        run_general(cell, 1, 1, FS_ACT_TANH, 0);
        begin("%s-dropout-by-gate", cells[cell]);
        run_general(cell, 0, gates, FS_ACT_TANH, 0);
        begin("%s-traced", cells[cell]);
        run_general(cell, 1, gates, FS_ACT_TANH, 1);
    }
}
