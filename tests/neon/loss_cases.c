/* Losses with and without a gradient, their weights, accuracies and sums. */
#include "harness.h"

static double *doubles_out(int64_t count) { return (double *)floats_out(2 * count); }

static void loss_case(int64_t rows, int64_t n, int kind, int logits, int weighted, int odd)
{
    begin("rows%d-n%d-kind%d-logits%d-weighted%d-odd%d", (int)rows, (int)n, kind, logits, weighted, odd);
    fs_loss_args a = {.rows = rows, .n = n, .kind = kind, .logits = logits, .even = 0.125f, .factor = 0.7f,
                      .label_scale = 0.9f, .label_shift = 0.01f, .delta = 0.4f};
    float *x = odd ? odd_floats_in(rows * n) : floats_in(rows * n, logits ? 9.0f : 0.5f);
    for (int64_t i = 0; i < rows * n && !logits && !odd; i++)
        x[i] += 0.5f; /* probabilities */
    a.x = x;
    if (kind == FS_LOSS_SPARSE)
        a.classes = ints_in(rows, (int32_t)n);
    else
        a.y = floats_in(rows * n, 1.0f);
    a.weights = weighted ? floats_in(rows, 1.0f) : NULL;
    a.dx = weighted || odd ? floats_out(rows * n) : NULL;
    a.partial = doubles_out((rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK);
    finish(FS_OP_LOSS, &a, 2);
}

void loss_cases(void)
{
    static const int64_t sizes[][2] = {{1, 3}, {33, 1}, {70, 16}, {5, 301}};
    for (int64_t i = 0; i < COUNT_OF(sizes); i++)
        for (int kind = FS_LOSS_SQUARED; kind <= FS_LOSS_PERCENTAGE; kind++)
            for (int logits = 0; logits <= (kind >= FS_LOSS_BINARY && kind <= FS_LOSS_SPARSE); logits++)
                for (int form = 0; form < 3; form++)
                    loss_case(sizes[i][0], sizes[i][1], kind, logits, form == 1, form == 2);
    for (int form = 0; form < 4; form++)
        for (int reduction = FS_REDUCE_SUM; reduction <= FS_REDUCE_WEIGHTED_MEAN; reduction++) {
            begin("form%d-reduction%d", form, reduction);
            fs_loss_weights_args a = {.rows = 41, .reduction = reduction};
            a.mask = form & 1 ? bytes_in(41) : NULL;
            a.weights = form & 2 ? floats_in(41, 1.0f) : NULL;
            a.y = floats_out(41);
            finish(FS_OP_LOSS_WEIGHTS, &a, 1);
        }
    for (int form = 0; form < 8; form++) {
        begin("form%d", form);
        fs_hits_args a = {.rows = 45, .n = 19, .kind = form % 4 == 3 ? FS_HITS_ABOVE : FS_HITS_LARGEST};
        a.x = form & 4 ? odd_floats_in(45 * 19) : floats_in(45 * 19, 1.0f);
        if (form % 4 == 0)
            a.classes = ints_in(45, 19);
        else
            a.y = floats_in(45 * 19, 1.0f);
        a.mask = form & 1 ? bytes_in(45) : NULL;
        a.weights = form & 2 ? floats_in(45, 1.0f) : NULL;
        a.partial = doubles_out(4);
        finish(FS_OP_HITS, &a, 2);
    }
    begin("sums");
    double *x = doubles_out(21);
    for (int i = 0; i < 21; i++)
        x[i] = 0.1 * i;
    fs_column_sums_args a = {.x = x, .y = doubles_out(3), .count = 7, .width = 3};
    finish(FS_OP_COLUMN_SUMS, &a, 1);
}
