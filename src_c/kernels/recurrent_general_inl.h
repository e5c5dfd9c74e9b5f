/* Any recurrent cell, row by row, with the weights as Keras keeps them: for what the fast kernels leave out, that is
   activations over a whole row of units (softmax) and dropout factors per gate while training. */

typedef struct {
    float *x_part, *h_part; /* (G, H) sums of the input and of the recurrent product */
    float *h, *c, *product, *scratch; /* (H,), scratch (3, H) */
    float *kept;                      /* (n, H) what the trace has of the step, or null */
} fs_general_row;

/* sums (gates, H) += value k of `row` times its factors, times kernel (count, all_gates, H) from gate `first` on. */
static void fs_general_product(float *sums, const float *row, const float *factors, int64_t factor_gates,
                               int64_t factor_apart, const float *kernel, int64_t count, int64_t units,
                               int64_t all_gates, int64_t first, int64_t gates)
{
    for (int64_t k = 0; k < count; k++)
        for (int64_t g = first; g < first + gates; g++) {
            float value = row[k];
            if (factors)
                value *= factors[(factor_gates > 1 ? g : 0) * factor_apart + k];
            const float *w = kernel + (k * all_gates + g) * units;
            float *to = sums + g * units;
            int64_t u = 0;
            for (; u + VLEN <= units; u += VLEN)
                v_store(to + u, v_fma(v_set1(value), v_load(w + u), v_load(to + u)));
            if (u < units) {
                int n = (int)(units - u);
                v_store_part(to + u, n, v_fma(v_set1(value), v_load_part(w + u, n), v_load_part(to + u, n)));
            }
        }
}

static void fs_general_activate(int64_t kind, const float *p, float *row, int64_t units, float *scratch)
{
    if (kind >= FS_ACT_FIRST_ROWWISE)
        fs_row_apply((int)kind, row, row, units, scratch);
    else
        fs_act_array((int)kind, p, row, row, units);
}

/* `count` rows of the trace's step from row `first` on. */
static void fs_general_keep(const fs_general_row *w, int64_t first, const float *from, int64_t count, int64_t units)
{
    if (w->kept)
        __builtin_memcpy(w->kept + first * units, from, (size_t)(count * units) * sizeof(float));
}

/* A step's end, of each cell: from the sums in x_part, and for a GRU h_part, to the state. */
FS_INLINE void fs_general_simple_rnn(const fs_recurrent_general_args *a, const fs_general_row *w, const float *act)
{
    fs_general_keep(w, 0, w->x_part, 1, a->units);
    fs_general_activate(a->activation, act, w->x_part, a->units, w->scratch);
    for (int64_t u = 0; u < a->units; u++)
        w->h[u] = w->x_part[u];
}

FS_INLINE void fs_general_lstm(const fs_recurrent_general_args *a, const fs_general_row *w, const float *act,
                               const float *rec)
{
    int64_t H = a->units;
    float *in = w->x_part, *forget = in + H, *candidate = forget + H, *out = candidate + H;
    fs_general_keep(w, 0, in, 4, H);
    fs_general_keep(w, 4, w->c, 1, H);
    fs_general_activate(a->recurrent_activation, rec, in, H, w->scratch);
    fs_general_activate(a->recurrent_activation, rec, forget, H, w->scratch);
    fs_general_activate(a->activation, act, candidate, H, w->scratch);
    fs_general_activate(a->recurrent_activation, rec, out, H, w->scratch);
    for (int64_t u = 0; u < H; u++)
        w->product[u] = w->c[u] = forget[u] * w->c[u] + in[u] * candidate[u];
    fs_general_activate(a->activation, act, w->product, H, w->scratch);
    for (int64_t u = 0; u < H; u++)
        w->h[u] = out[u] * w->product[u];
}

/* h_factors: of the state, for a GRU that resets before the product, whose candidate's recurrent sum is made here. */
FS_INLINE void fs_general_gru(const fs_recurrent_general_args *a, const fs_general_row *w, const float *h_factors,
                              const float *act, const float *rec)
{
    int64_t H = a->units;
    float *z = w->x_part, *reset = z + H, *candidate = reset + H;
    for (int64_t u = 0; u < 2 * H; u++)
        z[u] += w->h_part[u];
    fs_general_keep(w, 0, z, 2, H);
    fs_general_activate(a->recurrent_activation, rec, z, H, w->scratch);
    fs_general_activate(a->recurrent_activation, rec, reset, H, w->scratch);
    if (a->cell == FS_CELL_GRU) {
        fs_general_keep(w, 3, w->h_part + 2 * H, 1, H);
        for (int64_t u = 0; u < H; u++)
            candidate[u] += reset[u] * w->h_part[2 * H + u];
    } else {
        for (int64_t u = 0; u < H; u++)
            w->product[u] = reset[u] * w->h[u];
        fs_general_product(w->x_part, w->product, h_factors, a->h_masks, a->batch * H, a->recurrent_kernel, H, H, 3, 2,
                           1);
    }
    fs_general_keep(w, 2, candidate, 1, H);
    fs_general_activate(a->activation, act, candidate, H, w->scratch);
    for (int64_t u = 0; u < H; u++)
        w->h[u] = z[u] * w->h[u] + (1.0f - z[u]) * candidate[u];
}

static void fs_general_step(const fs_recurrent_general_args *a, const fs_general_row *w, int64_t row, const float *x)
{
    const float act[3] = {a->a0, a->a1, a->a2}, rec[3] = {a->r0, a->r1, a->r2};
    int64_t H = a->units, cell = a->cell;
    int64_t gates = cell == FS_CELL_LSTM ? 4 : cell == FS_CELL_SIMPLE_RNN ? 1 : 3;
    int gru = cell == FS_CELL_GRU || cell == FS_CELL_GRU_RESET_BEFORE;
    /* A GRU that resets after the product keeps it apart from the input's, with a bias of its own. */
    float *h_part = gru ? w->h_part : w->x_part;
    for (int64_t u = 0; u < gates * H; u++) {
        w->x_part[u] = a->bias ? a->bias[u] : 0.0f;
        if (gru)
            w->h_part[u] = a->bias && cell == FS_CELL_GRU ? a->bias[gates * H + u] : 0.0f;
    }
    const float *x_factors = a->x_dropout ? a->x_dropout + row * a->inputs : NULL;
    const float *h_factors = a->h_dropout ? a->h_dropout + row * H : NULL;
    fs_general_product(w->x_part, x, x_factors, a->x_masks, a->batch * a->inputs, a->kernel, a->inputs, H, gates, 0,
                       gates);
    int64_t at_once = cell == FS_CELL_GRU_RESET_BEFORE ? 2 : gates;
    fs_general_product(h_part, w->h, h_factors, a->h_masks, a->batch * H, a->recurrent_kernel, H, H, gates, 0, at_once);
    if (cell == FS_CELL_SIMPLE_RNN)
        fs_general_simple_rnn(a, w, act);
    else if (cell == FS_CELL_LSTM)
        fs_general_lstm(a, w, act, rec);
    else
        fs_general_gru(a, w, h_factors, act, rec);
    /* FS_MAP: which NaN it is does not depend on the instruction set. */
    FS_MAP(w->h, w->h, H, v);
    FS_MAP(w->c, w->c, H, v);
}

/* Rows (H,) that the trace has of a step. */
static int64_t fs_general_kept(int64_t cell)
{
    return cell == FS_CELL_LSTM               ? FS_LSTM_GENERAL_KEPT
           : cell == FS_CELL_GRU              ? FS_GRU_GENERAL_KEPT
           : cell == FS_CELL_GRU_RESET_BEFORE ? FS_GRU_RESET_BEFORE_GENERAL_KEPT
                                              : FS_SIMPLE_RNN_GENERAL_KEPT;
}

static int fs_recurrent_general(const fs_recurrent_general_args *a, const fs_share *share)
{
    int64_t H = a->units, kept = fs_general_kept(a->cell) * H;
    double unlooked = 0, step_work = (double)(a->inputs + H) * (double)H * 4 + 100;
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        float *own = a->scratch + row * FS_GENERAL_SCRATCH * H;
        fs_general_row w = {
            .x_part = own,
            .h_part = own + 4 * H,
            .h = own + 8 * H,
            .c = own + 9 * H,
            .product = own + 10 * H,
            .scratch = own + 11 * H,
        };
        int seen = 0, active = 1;
        for (int64_t u = 0; u < H; u++) {
            w.h[u] = a->h0 ? a->h0[row * H + u] : 0.0f;
            w.c[u] = a->c0 ? a->c0[row * H + u] : 0.0f;
        }
        for (int64_t t = 0; t < a->timesteps; t++) {
            active = !a->mask || a->mask[row * a->mask_row + t * a->mask_time];
            if (active) {
                w.kept = a->trace ? a->trace + (row * a->timesteps + t) * kept : NULL;
                fs_general_step(a, &w, row, a->x + row * a->x_row + t * a->x_time);
                seen = 1;
            }
            if (FS_STOPS(share, &unlooked, step_work))
                return 0;
            if (a->states)
                __builtin_memcpy(a->states + (row * a->timesteps + t) * H, w.h, (size_t)H * sizeof(float));
            if (!a->sequences)
                continue;
            float *y = a->y + row * a->y_row + t * a->y_time;
            int given = active || (seen && !a->zero_masked);
            for (int64_t u = 0; u < H; u++)
                y[u] = given ? w.h[u] : 0.0f;
        }
        for (int64_t u = 0; u < H; u++) {
            if (!a->sequences)
                a->y[row * a->y_row + u] = seen && (active || !a->zero_masked) ? w.h[u] : 0.0f;
            if (a->hn)
                a->hn[row * H + u] = w.h[u];
            if (a->cn)
                a->cn[row * H + u] = w.c[u];
        }
    }
    return 0;
}
