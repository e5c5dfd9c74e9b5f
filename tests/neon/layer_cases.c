/* Everything but the recurrent kernels: Dense, activations, element by element, ids and masks, random numbers. */
#include "harness.h"

static void run_dense(int64_t rows, int64_t inputs, int64_t units, int apart, int activation, int threads, int softmax)
{
    fs_dense_args a = {
        .rows = rows, .inputs = inputs, .units = units, .x_stride = inputs + apart, .y_stride = units + apart,
        .activation = activation, .p0 = 0.2f, .p1 = 6.0f, .p2 = 0.1f, .softmax = softmax,
    };
    a.x = floats_in(rows * a.x_stride, 1.0f);
    a.w = floats_in((units + 63) / 64 * 64 * inputs, 0.4f);
    a.bias = floats_in((units + 63) / 64 * 64, 0.5f);
    a.y = floats_out(rows * a.y_stride);
    finish(FS_OP_DENSE, &a, threads);
}

void dense_cases(void)
{
    static const int64_t shapes[][3] = {{1, 1, 1}, {1, 64, 32}, {13, 21, 70}, {50, 5, 128}, {7, 33, 15}, {101, 16, 8}};
    for (int64_t s = 0; s < COUNT_OF(shapes); s++)
        for (int apart = 0; apart < 4; apart += 3) {
            begin("%dx%dx%d-apart%d", (int)shapes[s][0], (int)shapes[s][1], (int)shapes[s][2], apart);
            run_dense(shapes[s][0], shapes[s][1], shapes[s][2], apart, FS_ACT_LINEAR, 1, 0);
        }
    begin("rows-by-threads");
    run_dense(600, 40, 70, 0, FS_ACT_TANH, 3, 0);
    begin("units-by-threads");
    run_dense(2, 1024, 1000, 0, FS_ACT_TANH, 3, 0);
    for (int kind = 0; kind < FS_ACT_FIRST_ROWWISE; kind++) {
        begin("%s", fs_kind_name(FS_FAMILY_activation, kind));
        run_dense(13, 21, 70, 0, kind, 1, 0);
    }
    for (int64_t s = 0; s < COUNT_OF(shapes); s++) {
        begin("%dx%dx%d-softmax", (int)shapes[s][0], (int)shapes[s][1], (int)shapes[s][2]);
        run_dense(shapes[s][0], shapes[s][1], shapes[s][2], 3, FS_ACT_LINEAR, 1, 1);
    }
    begin("softmax-by-threads");
    run_dense(600, 40, 70, 0, FS_ACT_LINEAR, 3, 1);
}

void activation_cases(void)
{
    for (int kind = 0; kind < FS_ACT_FIRST_ROWWISE; kind++)
        for (int odd = 0; odd < 2; odd++) {
            begin("%s%s", fs_kind_name(FS_FAMILY_activation, kind), odd ? "-odd" : "");
            fs_activation_args a = {.count = 803, .kind = kind, .p0 = 0.2f, .p1 = 6.0f, .p2 = 0.1f};
            a.x = odd ? odd_floats_in(a.count) : floats_in(a.count, 12.0f);
            a.y = floats_out(a.count);
            finish(FS_OP_ACTIVATION, &a, 1);
        }
    static const int64_t shapes[][3] = {{1, 1, 1}, {5, 16, 1}, {4, 37, 1}, {3, 1001, 1}, {2, 22, 3}, {3, 5, 17}};
    for (int kind = FS_ACT_FIRST_ROWWISE; kind < FS_ACT_COUNT; kind++)
        for (int64_t s = 0; s < COUNT_OF(shapes); s++) {
            fs_row_activation_args a = {.outer = shapes[s][0], .n = shapes[s][1], .inner = shapes[s][2], .kind = kind};
            if (kind == FS_ACT_GLU)
                a.n += a.n % 2;
            begin("%s-%dx%dx%d", fs_kind_name(FS_FAMILY_activation, kind), (int)a.outer, (int)a.n, (int)a.inner);
            a.x = floats_in(a.outer * a.n * a.inner, 9.0f);
            a.y = floats_out(a.outer * (kind == FS_ACT_GLU ? a.n / 2 : a.n) * a.inner);
            a.scratch = scratch(a.outer * 3 * a.n);
            finish(FS_OP_ROW_ACTIVATION, &a, 1);
        }
}

/* b, (1, 1, n2, 1, n4) or one of each last axis's elements, against a whole a: strides of 0 where it repeats. */
static void binary_case(int kind, int repeat_last)
{
    begin("kind%d%s", kind, repeat_last ? "-repeated" : "");
    fs_binary_args a = {
        .kind = kind, .n0 = 2, .n1 = 3, .n2 = 5, .n3 = 1, .n4 = 37, .a0 = 555, .a1 = 185, .a2 = 37, .a4 = 1,
        .b2 = repeat_last ? 1 : 37, .b4 = !repeat_last,
    };
    if (kind >= FS_ADD_I32) {
        a.a = ints_in(1110, INT32_MAX);
        a.b = ints_in(185, INT32_MAX);
        a.y = ints_out(1110);
    } else {
        a.a = odd_floats_in(1110);
        a.b = floats_in(185, 3.0f);
        a.y = floats_out(1110);
    }
    finish(FS_OP_BINARY, &a, 1);
}

static void product_cases(void)
{
    begin("products");
    fs_matmul_args matmul = {
        .n0 = 1, .n1 = 1, .n2 = 2, .m = 11, .k = 300, .n = 89, .a2 = 3300, .am = 300, .ak = 1, .b2 = 26700, .bk = 89,
        .bn = 1, .y2 = 979, .ym = 89, .yn = 1,
    };
    matmul.a = floats_in(6600, 1.0f);
    matmul.b = floats_in(53400, 1.0f);
    matmul.y = floats_out(1958);
    finish(FS_OP_MATMUL, &matmul, 1);
    begin("products-turned"); /* all transposed; a b of one entry for both */
    matmul = (fs_matmul_args){.n0 = 1, .n1 = 1, .n2 = 2, .m = 3, .k = 41, .n = 37, .a2 = 123, .am = 1, .ak = 3, .bk = 1,
                              .bn = 41, .y2 = 111, .ym = 1, .yn = 3};
    matmul.a = floats_in(246, 1.0f);
    matmul.b = odd_floats_in(1517);
    matmul.y = floats_out(222);
    finish(FS_OP_MATMUL, &matmul, 1);
}

static void transform_cases(void)
{
    static double turns[2 * 64]; /* any numbers do in the place of roots of unity */
    for (int j = 0; j < 128; j++)
        turns[j] = (double)(j * 37 % 101) / 50.0 - 1.0;
    for (int padded = 0; padded <= 64; padded += 64) {
        begin("transform%d", padded);
        fs_fourier_args fourier = {.rows = 3, .n = 30, .padded = padded, .given = 16, .wanted = 30, .sign = -1,
                                   .hermitian = 1, .doubled = 1, .divides = 1, .roots = turns, .chirp = turns};
        fourier.re = floats_in(48, 2.0f);
        fourier.im = odd_floats_in(48);
        fourier.scratch = scratch(3 * (60 + 3 * 64) * 4);
        fourier.y_re = floats_out(90);
        fourier.y_im = floats_out(90);
        finish(FS_OP_FOURIER, &fourier, 3);
    }
}

static void random_cases(void)
{
    for (int kind = FS_RANDOM_KEEP; kind <= FS_RANDOM_NORMAL; kind++) {
        begin("kind%d", kind);
        fs_random_args random = {.count = 501, .kind = kind, .p0 = 0.3f, .p1 = 1.4f};
        uint32_t *counter = (uint32_t *)ints_out(2); /* the kernel reads it too and writes it back */
        counter[0] = 42;
        counter[1] = 7;
        random.state = counter;
        random.y = floats_out(501);
        finish(FS_OP_RANDOM, &random, 1);
    }
}

void elementwise_cases(void)
{
    for (int kind = FS_ADD; kind <= FS_MINIMUM_I32; kind++)
        for (int repeat = 0; repeat < 2; repeat++)
            binary_case(kind, repeat);
    for (int size = 1; size <= 4; size += 3) {
        begin("transposed-%d", size);
        fs_copy_args copy = {
            .size = size, .n0 = 2, .n1 = 1, .n2 = 1, .n3 = 11, .n4 = 13, .x0 = 143, .x3 = 1, .x4 = 11,
            .y0 = 143, .y3 = 13, .y4 = 1,
        };
        copy.x = ints_in(286, INT32_MAX);
        copy.y = size == 1 ? (void *)bytes_out(286) : (void *)ints_out(286);
        finish(FS_OP_COPY, &copy, 1);
    }
    begin("selected");
    fs_select_args select = {
        .n0 = 3, .n1 = 1, .n2 = 1, .n3 = 7, .n4 = 19, .m0 = 7, .m3 = 1, .a0 = 133, .a3 = 19, .a4 = 1, .b4 = 1,
        .mask = bytes_in(21), .a = floats_in(399, 2.0f), .b = floats_in(19, 2.0f), .y = floats_out(399),
    };
    finish(FS_OP_SELECT, &select, 1);
    begin("scaled");
    fs_affine_args affine = {.count = 203, .scale = 1.7f, .shift = -0.3f};
    affine.x = odd_floats_in(203);
    affine.y = floats_out(203);
    finish(FS_OP_AFFINE, &affine, 1);
    begin("unit-length");
    fs_normalize_args normalize = {.outer = 3, .n = 21, .inner = 5, .epsilon = 1e-7f};
    normalize.x = floats_in(315, 2.0f);
    normalize.y = floats_out(315);
    finish(FS_OP_NORMALIZE, &normalize, 1);
    product_cases();
    transform_cases();
    random_cases();
}

static void choice_cases(void)
{
    static const struct {
        int64_t n, best, kind, probabilities, top_k;
        float temperature, top_p;
    } cases[] = {
        {5, 1, FS_CHOICE_BEST, 0, 0, 1.0f, 1.0f},  {90, 4, FS_CHOICE_BEST, 0, 0, 1.0f, 1.0f},
        {37, 1, FS_CHOICE_BEST, 1, 0, 1.0f, 1.0f}, {300, 1, FS_CHOICE_DRAW, 0, 0, 0.7f, 1.0f},
        {90, 1, FS_CHOICE_DRAW, 0, 10, 1.0f, 0.9f}, {300, 1, FS_CHOICE_DRAW, 0, 80, 1.5f, 0.8f},
        {300, 1, FS_CHOICE_DRAW, 1, 0, 1.0f, 0.5f},
    };
    for (int64_t i = 0; i < COUNT_OF(cases); i++)
        for (int bad = 0; bad < 2; bad++) {
            begin("case%d%s", (int)i, bad ? "bad" : "");
            int64_t rows = 9, n = cases[i].n;
            float *x = floats_in(rows * n, cases[i].probabilities ? 0.5f : 4.0f);
            for (int64_t j = 0; j < rows * n && cases[i].probabilities; j++)
                x[j] += 0.5f;
            if (bad)
                x[6 * n + n / 2] = NAN;
            fs_choice_args a = {
                .x = x, .keys = (const uint64_t *)ints_in(2 * rows, 1 << 30), .ids = ints_out(rows * cases[i].best),
                .log_probs = floats_out(rows * cases[i].best), .scratch = scratch(rows * 3 * n), .rows = rows, .n = n,
                .best = cases[i].best, .kind = cases[i].kind, .probabilities = cases[i].probabilities,
                .scratch_row = 3 * n, .top_k = cases[i].top_k, .temperature = cases[i].temperature,
                .top_p = cases[i].top_p,
            };
            finish(FS_OP_CHOICE, &a, 1);
        }
}

void id_and_mask_cases(void)
{
    choice_cases();
    static const int64_t widths[] = {1, 16, 37};
    for (int64_t i = 0; i < COUNT_OF(widths); i++) {
        begin("width%d", (int)widths[i]);
        fs_embedding_args a = {.count = 50, .width = widths[i]};
        a.ids = ints_in(50, 20);
        a.table = floats_in(20 * widths[i], 1.0f);
        a.y = floats_out(50 * widths[i]);
        finish(FS_OP_EMBEDDING, &a, 1);
        begin("ones%d", (int)widths[i] + 4);
        fs_one_hot_args ones = {.count = 50, .width = widths[i] + 4};
        ones.ids = ints_in(50, 5);
        ones.y = floats_out(50 * ones.width);
        finish(FS_OP_ONE_HOT, &ones, 1);
    }
    for (int bad = 0; bad < 3; bad++) { /* no bad id, one too large, a negative one */
        begin("bad%d", bad);
        int32_t *ids = ints_in(50, 20);
        if (bad)
            ids[33] = bad == 1 ? 20 : -1;
        fs_check_ids_args a = {.ids = ids, .count = 50, .limit = 20};
        finish(FS_OP_CHECK_IDS, &a, 1);
    }
    for (int kind = FS_CAST_F32_I32; kind <= FS_CAST_F32_U8; kind++) {
        int from_float = kind == FS_CAST_F32_I32 || kind == FS_CAST_F32_U8;
        int to_float = kind == FS_CAST_I32_F32 || kind == FS_CAST_U8_F32;
        int of_bytes = kind == FS_CAST_U8_F32 || kind == FS_CAST_U8_I32;
        begin("kind%d", kind);
        fs_cast_args a = {.count = 203, .kind = kind};
        if (from_float)
            a.x = odd_floats_in(203);
        else
            a.x = of_bytes ? (void *)bytes_in(203) : (void *)ints_in(203, INT32_MAX);
        if (to_float)
            a.y = floats_out(203);
        else
            a.y = kind == FS_CAST_I32_U8 || kind == FS_CAST_F32_U8 ? (void *)bytes_out(203) : (void *)ints_out(203);
        finish(FS_OP_CAST, &a, 1);
    }
    begin("masked-rows");
    float *rows = floats_in(21 * 13, 1.0f);
    for (int i = 0; i < 5 * 13; i++)
        rows[13 * 4 + i] = 0.5f;
    fs_masking_args masking = {.x = rows, .rows = 21, .width = 13, .value = 0.5f};
    masking.y = floats_out(21 * 13);
    masking.mask = bytes_out(21);
    finish(FS_OP_MASKING, &masking, 1);
    for (int kind = FS_MASK_AND; kind <= FS_MASK_NONZERO_F32; kind++) {
        begin("kind%d", kind);
        fs_mask_logic_args a = {.count = 61, .kind = kind};
        a.a = kind == FS_MASK_NONZERO_I32 ? (void *)ints_in(61, 2)
            : kind == FS_MASK_NONZERO_F32 ? (void *)odd_floats_in(61)
                                          : (void *)bytes_in(61);
        a.b = kind <= FS_MASK_OR ? bytes_in(61) : NULL;
        a.y = bytes_out(61);
        finish(FS_OP_MASK_LOGIC, &a, 1);
    }
}
