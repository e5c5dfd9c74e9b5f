/* What training adds: forward with a trace, backward through time, products, packing, sums, slopes. */
#include "harness.h"
#include <string.h>

/* B, T, H */
static const int64_t shapes[][3] = {{1, 1, 1}, {1, 7, 64}, {2, 5, 40}, {7, 3, 17}, {19, 4, 65}, {37, 2, 100}};

typedef struct {
    int op, backward;
    const char *name;
    int64_t kept, dz_gates, unit_panels;
} cell;

static const cell cells[] = {
    {FS_OP_LSTM, FS_OP_LSTM_BACKWARD, "lstm", 5, 4, 1},
    {FS_OP_GRU, FS_OP_GRU_BACKWARD, "gru", 4, 4, 1},
    {FS_OP_GRU_RESET_BEFORE, FS_OP_GRU_RESET_BEFORE_BACKWARD, "before", 3, 3, 4},
    {FS_OP_SIMPLE_RNN, FS_OP_SIMPLE_RNN_BACKWARD, "rnn", 1, 1, 4},
};

static int64_t width_of(const cell *c, int64_t H)
{
    int64_t apart = c->unit_panels * 16;
    return (H + apart - 1) / apart * apart;
}

static void forward(const cell *c, const int64_t *shape, int activation, int recurrent_activation)
{
    int64_t B = shape[0], T = shape[1], H = shape[2], I = 9, width = (H + 63) / 64 * 64;
    fs_recurrent_args a = {
        .batch = B, .timesteps = T, .inputs = I, .units = H, .x_row = T * I, .x_time = I, .mask_row = T, .mask_time = 1,
        .y_row = H, .activation = activation, .a0 = 0.3f, .a1 = 6.0f, .a2 = 0.1f,
        .recurrent_activation = recurrent_activation, .r0 = 0.2f, .r1 = 4.0f, .r2 = 0.3f,
    };
    a.x = floats_in(B * T * I, 1.0f);
    a.mask = bytes_in(B * T);
    a.w_x = floats_in(width * I * 4, 0.3f);
    a.w_h = floats_in(width * H * 4, 0.2f);
    a.w_c = floats_in(width * H, 0.2f);
    a.bias = floats_in(width * 4, 0.5f);
    a.y = floats_out(B * H);
    a.trace = floats_out(T * B * width_of(c, H) * c->kept);
    a.states = floats_out(B * T * H);
    a.scratch = scratch(fs_recurrent_scratch(c->op, B, T, I, H));
    finish(c->op, &a, 1);
}

static void backward(const cell *c, const int64_t *shape, int activation, int recurrent_activation, int plain,
                     int threads)
{
    int64_t B = shape[0], T = shape[1], H = shape[2], width = width_of(c, H), columns = c->dz_gates * H;
    fs_recurrent_backward_args a = {
        .batch = B, .timesteps = T, .units = H, .sequences = 1, .dy_row = T * H, .dy_time = H,
        .mask_row = T, .mask_time = 1, .h_row = T * H, .h_time = H, .dz_row = T * columns, .dz_time = columns,
        .activation = activation, .a0 = 0.3f, .a1 = 6.0f, .a2 = 0.1f,
        .recurrent_activation = recurrent_activation, .r0 = 0.2f, .r1 = 4.0f, .r2 = 0.3f,
    };
    a.dy = floats_in(B * T * H, 1.0f);
    a.trace = floats_in(T * B * width * c->kept, 0.9f);
    a.h = floats_in(B * T * H, 0.9f);
    a.w_h = floats_in((H + 15) / 16 * 16 * columns, 0.2f);
    a.w_c = floats_in((H + 15) / 16 * 16 * H, 0.2f);
    a.dz = floats_out(B * T * columns);
    if (!plain) {
        a.mask = bytes_in(B * T);
        a.dhn = floats_in(B * H, 1.0f);
        a.h0 = floats_in(B * H, 1.0f);
        a.dh0 = floats_out(B * H);
        a.reset_h = floats_out(B * T * H);
        if (c->op == FS_OP_LSTM) {
            a.dcn = floats_in(B * H, 1.0f);
            a.dc0 = floats_out(B * H);
        }
    }
    a.scratch = scratch(2 * B * width);
    finish(c->backward, &a, threads);
}

static void through_time(void)
{
    for (int64_t i = 0; i < COUNT_OF(cells); i++) {
        const cell *c = &cells[i];
        for (int64_t s = 0; s < COUNT_OF(shapes); s++) {
            const int64_t *shape = shapes[s];
            begin("%s-%dx%dx%d-traced", c->name, (int)shape[0], (int)shape[1], (int)shape[2]);
            forward(c, shape, FS_ACT_TANH, FS_ACT_SIGMOID);
            for (int threads = 1; threads <= 3; threads += 2) {
                begin("%s-%dx%dx%d-threads%d", c->name, (int)shape[0], (int)shape[1], (int)shape[2], threads);
                backward(c, shape, FS_ACT_TANH, FS_ACT_SIGMOID, threads == 1, threads);
            }
        }
        for (int kind = 0; kind < FS_ACT_FIRST_ROWWISE; kind++) {
            begin("%s-traced-%s", c->name, fs_kind_name(FS_FAMILY_activation, kind));
            forward(c, shapes[3], kind, kind);
            begin("%s-%s", c->name, fs_kind_name(FS_FAMILY_activation, kind));
            backward(c, shapes[3], kind, kind, 0, 1);
        }
    }
}

static void general_backward(int cell, const int64_t *shape, int activation, int recurrent_activation, int factors,
                             int plain, int threads)
{
    int64_t B = shape[0], T = shape[1], H = shape[2], width = (H + 15) / 16 * 16;
    int64_t gates = cell == FS_CELL_LSTM ? 4 : cell == FS_CELL_SIMPLE_RNN ? 1 : 3;
    int64_t columns = (cell == FS_CELL_GRU ? 4 : gates) * H;
    fs_recurrent_general_backward_args a = {
        .cell = cell, .batch = B, .timesteps = T, .units = H, .sequences = 1, .dy_row = T * H, .dy_time = H,
        .mask_row = T, .mask_time = 1, .h_row = T * H, .h_time = H, .dz_row = T * columns, .dz_time = columns,
        .h_masks = factors, .activation = activation, .a0 = 0.3f, .a1 = 6.0f, .a2 = 0.1f,
        .recurrent_activation = recurrent_activation, .r0 = 0.2f, .r1 = 4.0f, .r2 = 0.3f,
    };
    a.dy = floats_in(B * T * H, 1.0f);
    a.trace = floats_in(B * T * 5 * H, 0.9f);
    a.h = floats_in(B * T * H, 0.9f);
    a.w_h = floats_in(width * gates * H, 0.2f);
    a.h_dropout = factors ? floats_in(factors * B * H, 1.5f) : NULL;
    a.dz = floats_out(B * T * columns);
    if (!plain) {
        a.mask = bytes_in(B * T);
        a.dhn = floats_in(B * H, 1.0f);
        a.h0 = floats_in(B * H, 1.0f);
        a.dh0 = floats_out(B * H);
        a.reset_h = floats_out(B * T * H);
        if (cell == FS_CELL_LSTM) {
            a.dcn = floats_in(B * H, 1.0f);
            a.dc0 = floats_out(B * H);
        }
    }
    a.scratch = scratch(B * 12 * width);
    finish(FS_OP_RECURRENT_GENERAL_BACKWARD, &a, threads);
}

static void through_time_in_general(void)
{
    static const char *const names[] = {[FS_CELL_LSTM] = "lstm", [FS_CELL_GRU] = "gru",
                                        [FS_CELL_GRU_RESET_BEFORE] = "before", [FS_CELL_SIMPLE_RNN] = "rnn"};
    for (int cell = 0; cell < COUNT_OF(names); cell++) {
        int gates = cell == FS_CELL_LSTM ? 4 : cell == FS_CELL_SIMPLE_RNN ? 1 : 3;
        for (int64_t s = 0; s < COUNT_OF(shapes); s++)
            for (int threads = 1; threads <= 3; threads += 2) {
                begin("%s-%dx%dx%d-threads%d", names[cell], (int)shapes[s][0], (int)shapes[s][1], (int)shapes[s][2],
                      threads);
                general_backward(cell, shapes[s], FS_ACT_TANH, FS_ACT_SIGMOID, gates, threads == 1, threads);
            }
        for (int kind = 0; kind < FS_ACT_GLU; kind++) {
            begin("%s-%s", names[cell], fs_kind_name(FS_FAMILY_activation, kind));
            general_backward(cell, shapes[3], kind, kind, kind % 2, 0, 1);
        }
    }
}

static void products(void)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {300, 6, 64}, {257, 7, 65}, {64, 25, 48}, {513, 130, 31}, {0, 4, 20}};
    for (int64_t i = 0; i < COUNT_OF(sizes); i++)
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            int64_t rows = sizes[i][0], m = sizes[i][1], n = sizes[i][2];
            begin("%dx%dx%d-%d", (int)rows, (int)m, (int)n, accumulate);
            fs_product_tn_args a = {.n0 = 1, .n1 = rows, .m = m, .n = n, .a1 = m, .b1 = n, .c_stride = n,
                                    .accumulate = accumulate};
            a.a = floats_in(rows * m + 1, 1.0f);
            a.b = floats_in(rows * n + 1, 1.0f);
            a.c = floats_out(m * n);
            a.sums = floats_out(n);
            finish(FS_OP_PRODUCT_TN, &a, 2);
        }
    for (int64_t splits = 2; splits < 5; splits++) {
        begin("splits%d", (int)splits);
        fs_product_tn_args a = {.n0 = 1, .n1 = 700, .m = 31, .n = 20, .a1 = 31, .b1 = 20, .c_stride = 20,
                                .splits = splits};
        a.a = floats_in(700 * 31 + 1, 1.0f);
        a.b = floats_in(700 * 20 + 1, 1.0f);
        a.c = floats_out(splits * 31 * 20);
        a.sums = floats_out(splits * 20);
        finish(FS_OP_PRODUCT_TN, &a, 2);
    }
    static const int64_t packs[][3] = {{5, 1, 70}, {37, 4, 17}, {16, 2, 64}}; /* rows, gates, units */
    for (int64_t i = 0; i < COUNT_OF(packs); i++)
        for (int turned = 0; turned < 2; turned++) {
            int64_t rows = packs[i][0], gates = packs[i][1], units = packs[i][2], panels = (units + 15) / 16;
            begin("%dx%dx%d-%d", (int)rows, (int)gates, (int)units, turned);
            fs_pack_args a = {.rows = rows, .gates = gates, .units = units, .panels = panels, .beside = 4 / gates,
                              .x_k = turned ? 1 : gates * units, .x_gate = units * (turned ? rows : 1),
                              .x_unit = turned ? rows : 1};
            a.x = floats_in(rows * gates * units, 1.0f);
            a.y = floats_out(rows * gates * panels * 16);
            finish(FS_OP_PACK, &a, 2);
        }
}

static void slopes(void)
{
    for (int kind = 0; kind < FS_ACT_FIRST_ROWWISE; kind++) {
        begin("%s", fs_kind_name(FS_FAMILY_activation, kind));
        fs_activation_backward_args a = {.count = 203, .kind = kind, .p0 = 0.3f, .p1 = 6.0f, .p2 = 0.1f};
        a.x = odd_floats_in(203);
        a.dy = floats_in(203, 1.0f);
        a.dx = floats_out(203);
        finish(FS_OP_ACTIVATION_BACKWARD, &a, 1);
        begin("%s-of-value", fs_kind_name(FS_FAMILY_activation, kind));
        a.x = NULL;
        a.y = floats_in(203, 1.0f);
        a.dy = floats_in(203, 1.0f);
        a.dx = floats_out(203);
        finish(FS_OP_ACTIVATION_BACKWARD, &a, 1);
    }
    static const int rowwise[] = {FS_ACT_SOFTMAX, FS_ACT_LOG_SOFTMAX, FS_ACT_SPARSEMAX, FS_ACT_GLU};
    for (int64_t i = 0; i < COUNT_OF(rowwise); i++) {
        begin("%s", fs_kind_name(FS_FAMILY_activation, rowwise[i]));
        fs_row_activation_backward_args a = {.outer = 3, .n = 22, .inner = 5, .kind = rowwise[i]};
        a.x = floats_in(330, 3.0f);
        a.y = floats_in(330, 1.0f);
        a.dy = floats_in(330, 1.0f);
        a.dx = floats_out(330);
        a.scratch = scratch(198);
        finish(FS_OP_ROW_ACTIVATION_BACKWARD, &a, 1);
    }
}

void backward_cases(void)
{
    through_time();
    through_time_in_general();
    products();
    slopes();
    begin("table");
    fs_embedding_backward_args embedding = {.count = 300, .width = 37, .rows = 11};
    embedding.ids = ints_in(300, 11);
    embedding.dy = floats_in(300 * 37, 1.0f);
    embedding.d_table = floats_out(11 * 37);
    finish(FS_OP_EMBEDDING_BACKWARD, &embedding, 2);
    begin("places");
    fs_embedding_places_args places = {.count = 60, .ids = ints_in(60, 25)};
    places.numbers = ints_out(60);
    places.places = ints_out(25);
    places.seen = ints_out(60);
    places.count_seen = ints_out(1);
    memset(places.places, 0, 25 * sizeof *places.places);
    places.places[7] = 3; /* of the run before */
    places.seen[0] = 7;
    places.count_seen[0] = 1;
    finish(FS_OP_EMBEDDING_PLACES, &places, 1);
    begin("columns");
    fs_reduce_sum_args columns = {.k0 = 1, .k1 = 3, .k2 = 300, .r0 = 1, .r1 = 2, .r2 = 200,
                                  .xk1 = 300, .xk2 = 1, .xr1 = 900, .xr2 = 1800};
    columns.x = floats_in(400 * 900, 1.0f);
    columns.y = floats_out(900);
    finish(FS_OP_REDUCE_SUM, &columns, 2);
    begin("rows");
    fs_reduce_sum_args rows = {.k0 = 1, .k1 = 1, .k2 = 5, .r0 = 1, .r1 = 2, .r2 = 333,
                               .xk2 = 333, .xr1 = 5 * 333, .xr2 = 1};
    rows.x = floats_in(10 * 333, 1.0f);
    rows.y = floats_out(5);
    finish(FS_OP_REDUCE_SUM, &rows, 1);
    begin("unit-length");
    fs_normalize_backward_args normalize = {.outer = 3, .n = 21, .inner = 5, .epsilon = 1e-7f};
    normalize.x = floats_in(315, 2.0f);
    normalize.dy = floats_in(315, 2.0f);
    normalize.dx = floats_out(315);
    finish(FS_OP_NORMALIZE_BACKWARD, &normalize, 1);
}
