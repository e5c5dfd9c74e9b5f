/* The kernels' bodies with weights of another form than float32, for tests/native/test_weight_forms.py. This file is
   compiled once for each form, and once more with the `main` that compares them: bfloat16 weights, widened as they are
   loaded, must give the bits that float32 weights of the same values give. Where the library has that form its own file
   is compiled, else what stands for it here. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHTS (1 << 18)
#define ROOM (1 << 20)

typedef struct {
    const uint16_t *weights; /* (WEIGHTS,) the upper halves of float32 numbers */
    const float *numbers;    /* (WEIGHTS,) inputs, biases, states, whatever is float32 in every form */
    float *out;              /* (ROOM,) all that the kernels wrote, one after the other */
    int64_t count;
} run;

void cases_f32(run *r);
void cases_bf16(run *r);

#ifdef FORM

#define VALUE_(name, form) name##form
#define VALUE(name, form) VALUE_(name, form)
#include WORDS

#if defined(BFLOAT16) && __has_include("kernels/weights_bf16_inl.h")
#include "kernels/weights_bf16_inl.h"
#elif defined(BFLOAT16)
#define FS_FORM bf16
typedef uint16_t fs_weight;
FS_INLINE vf w_load(const fs_weight *w)
{
    float lanes[VLEN];
    for (int i = 0; i < VLEN; i++) {
        uint32_t bits = (uint32_t)w[i] << 16;
        memcpy(&lanes[i], &bits, sizeof bits);
    }
    return v_load(lanes);
}
#endif

#include "kernels/kernels_inl.h"

/* The weights in this file's form. */
static const fs_weight *weights_of(const run *r)
{
    static fs_weight weights[WEIGHTS];
    for (int64_t i = 0; i < WEIGHTS; i++) {
#ifdef BFLOAT16
        weights[i] = r->weights[i];
#else
        uint32_t bits = (uint32_t)r->weights[i] << 16;
        memcpy(&weights[i], &bits, sizeof bits);
#endif
    }
    return weights;
}

static float *room(run *r, int64_t count)
{
    float *to = r->out + r->count;
    r->count += count;
    if (r->count > ROOM)
        abort();
    return to;
}

static void dense(run *r, const fs_weight *w, int64_t rows, int64_t inputs, int64_t units, int64_t activation)
{
    fs_failure failure;
    fs_share share = {.row_hi = rows, .unit_hi = (fs_panels(units) + 3) / 4, .failure = &failure};
    fs_dense_args args = {.x = r->numbers, .w = w, .bias = r->numbers, .y = room(r, rows * units), .rows = rows,
                          .inputs = inputs, .units = units, .x_stride = inputs, .y_stride = units,
                          .activation = activation, .p1 = __builtin_inff()};
    fs_dense(&args, &share);
}

typedef int (*recurrent_fn)(const void *, const fs_share *);

/* A forward run, and the backward one of what it left. with_ids: the input's sums are looked up, in float32. */
static void recurrent(run *r, const fs_weight *w, int op, recurrent_fn forward, recurrent_fn backward, int64_t batch,
                      int64_t units, int with_ids)
{
    static float scratch[ROOM], dz_scratch[ROOM];
    static const int32_t ids[] = {2, 0, 1, 3, 3, 1, 0, 2, 1, 1, 2, 0};
    int64_t T = 3, inputs = 4, width = fs_unit_blocks(op, units) * fs_unit_panels(op) * FS_PANEL;
    int64_t kept = 5, gates = op == FS_OP_GRU ? 4 : fs_gates_of(op);
    fs_failure failure;
    fs_share share = {.row_hi = batch, .unit_hi = fs_unit_blocks(op, units), .failure = &failure};
    fs_recurrent_args args = {
        .x = r->numbers, .ids = with_ids ? ids : NULL, .w_h = w + 4096, .w_c = w + 99999, .bias = r->numbers + 512,
        .h0 = r->numbers + 77, .c0 = r->numbers + 99, .y = room(r, batch * T * units), .hn = room(r, batch * units),
        .cn = room(r, batch * units), .scratch = scratch, .batch = batch, .timesteps = T, .inputs = inputs,
        .units = units, .x_row = with_ids ? T : T * inputs, .x_time = with_ids ? 1 : inputs, .y_row = T * units,
        .y_time = units, .sequences = 1, .activation = FS_ACT_TANH, .recurrent_activation = FS_ACT_SIGMOID};
    args.w_x = with_ids ? (const void *)r->numbers : (const void *)w;
    args.trace = room(r, T * batch * width * kept);
    args.states = room(r, batch * T * units);
    forward(&args, &share);
    share.unit_hi = fs_panels(units);
    fs_recurrent_backward_args back = {
        .dy = r->numbers, .trace = args.trace, .h = args.y, .h0 = args.h0, .w_h = w + 64, .w_c = w + 88888,
        .dz = room(r, batch * T * gates * units), .dh0 = room(r, batch * units), .dc0 = room(r, batch * units),
        .scratch = dz_scratch, .batch = batch, .timesteps = T, .units = units, .dy_row = T * units, .dy_time = units,
        .h_row = T * units, .h_time = units, .dz_row = T * gates * units, .dz_time = gates * units, .sequences = 1,
        .activation = FS_ACT_TANH, .recurrent_activation = FS_ACT_SIGMOID};
    backward(&back, &share);
}

static void general_back(run *r, const fs_weight *w, int64_t batch, int64_t units)
{
    static float scratch[ROOM];
    int64_t T = 3;
    fs_failure failure;
    fs_share share = {.row_hi = batch, .unit_hi = 1, .failure = &failure};
    fs_recurrent_general_backward_args back = {
        .dy = r->numbers, .trace = r->numbers + 31, .h = r->numbers, .w_h = w + 64, .scratch = scratch,
        .dz = room(r, batch * T * 4 * units), .dh0 = room(r, batch * units), .dc0 = room(r, batch * units),
        .cell = FS_CELL_LSTM, .batch = batch, .timesteps = T, .units = units, .dy_row = T * units, .dy_time = units,
        .h_row = T * units, .h_time = units, .dz_row = T * 4 * units, .dz_time = 4 * units, .sequences = 1,
        .h_masks = 1, .activation = FS_ACT_TANH, .recurrent_activation = FS_ACT_SIGMOID};
    fs_recurrent_general_backward(&back, &share);
}

void VALUE(cases_, FORM)(run *r)
{
    static const struct {
        int op;
        recurrent_fn forward, backward;
    } cells[] = {
        {FS_OP_LSTM, (recurrent_fn)fs_lstm, (recurrent_fn)fs_lstm_backward},
        {FS_OP_GRU, (recurrent_fn)fs_gru, (recurrent_fn)fs_gru_backward},
        {FS_OP_GRU_RESET_BEFORE, (recurrent_fn)fs_gru_reset_before, (recurrent_fn)fs_gru_reset_before_backward},
        {FS_OP_SIMPLE_RNN, (recurrent_fn)fs_simple_rnn, (recurrent_fn)fs_simple_rnn_backward},
    };
    const fs_weight *w = weights_of(r);
    for (int64_t rows = 1; rows < 20; rows += 6)
        for (int64_t units = 7; units < 120; units += 31) {
            dense(r, w, rows, 33, units, FS_ACT_RELU);
            dense(r, w, rows, 5, units, FS_ACT_TANH);
        }
    dense(r, w, 12, 21, 16, FS_ACT_LINEAR); /* one panel, its weights in registers */
    for (int i = 0; i < 4; i++)
        for (int64_t batch = 1; batch < 20; batch += 9)
            for (int64_t units = 5; units < 70; units += 30)
                recurrent(r, w, cells[i].op, cells[i].forward, cells[i].backward, batch, units, 0);
    recurrent(r, w, FS_OP_GRU_RESET_BEFORE, cells[2].forward, cells[2].backward, 4, 20, 1);
    general_back(r, w, 3, 20);
}

#else

int main(void)
{
    static uint16_t weights[WEIGHTS];
    static float numbers[WEIGHTS], outs[2][ROOM];
    uint32_t state = 12345;
    for (int64_t i = 0; i < WEIGHTS; i++) {
        state = state * 1664525u + 1013904223u;
        numbers[i] = (float)(int32_t)state * 0x1p-31f;
        float weight = numbers[i] * 0.3f;
        uint32_t bits;
        memcpy(&bits, &weight, sizeof bits);
        weights[i] = (uint16_t)(bits >> 16);
    }
    run wide = {weights, numbers, outs[0], 0}, narrow = {weights, numbers, outs[1], 0};
    cases_f32(&wide);
    cases_bf16(&narrow);
    int64_t different = wide.count != narrow.count, zeros = 0;
    for (int64_t i = 0; i < wide.count; i++) {
        different += memcmp(&outs[0][i], &outs[1][i], sizeof(float)) != 0;
        zeros += outs[0][i] == 0.0f;
    }
    printf("%lld numbers, %lld zeros, %lld different\n", (long long)wide.count, (long long)zeros,
           (long long)different);
    return different != 0 || zeros > wide.count / 2;
}

#endif
