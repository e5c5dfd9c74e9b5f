/* GRU: gates z (update), r (reset), candidate; see Cho et al. 2014, arXiv:1406.1078, and keras.layers.GRU.
   h' = z h + (1 - z) candidate.

   Reset after the product (CuDNN's form, arXiv:1406.1078v1): candidate = act(x W + b + r (h U + b')).
   Reset before it (v3): candidate = act(x W + b + (r h) U), which needs every unit's r first: two phases a step. */

FS_INLINE void fs_gru_finish(const fs_run_state *s, const int32_t *rows, int64_t unit, vf acc[FS_ROWS][4], const int R,
                             int act, int rec)
{
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        vf z = fs_vact(rec, acc[r][0], s->rec);
        vf reset = fs_vact(rec, acc[r][1], s->rec);
        vf candidate = fs_vact(act, v_fma(reset, acc[r][3], acc[r][2]), s->act);
        vf h = v_load(fs_h_now(s, rows[r]) + unit);
        fs_finish_units(s, rows[r], unit, v_fma(z, v_sub(h, candidate), candidate));
    }
}

FS_INLINE void fs_gru_block(const fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const fs_recurrent_args *a = s->a;
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    const float *h[FS_ROWS];
    vf acc[FS_ROWS][4], product[FS_ROWS][4];
    fs_start_block(s, rows, block, acc, R, 3);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        h[r] = fs_h_now(s, rows[r]);
        product[r][0] = acc[r][0];
        product[r][1] = acc[r][1];
        product[r][2] = v_load(a->bias + (panel * 4 + 3) * FS_PANEL + lane);
    }
    int64_t count = fs_from_zeros(s) ? 0 : a->units;
    fs_accumulate(product, h, a->w_h + panel * a->units * 3 * FS_PANEL + lane, count, 3 * FS_PANEL, R, 3);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        acc[r][0] = product[r][0];
        acc[r][1] = product[r][1];
        acc[r][3] = product[r][2];
    }
    int64_t unit = panel * FS_PANEL + lane;
    if (a->activation == FS_ACT_TANH && a->recurrent_activation == FS_ACT_SIGMOID)
        fs_gru_finish(s, rows, unit, acc, R, FS_ACT_TANH, FS_ACT_SIGMOID);
    else
        fs_gru_finish(s, rows, unit, acc, R, (int)a->activation, (int)a->recurrent_activation);
}
FS_BY_ROWS(fs_gru_block, fs_run_state)

/* kept: z in the first half of a row's space, r * h in the second. The candidate's input sum waits in h_next. */
FS_INLINE void fs_gru_gates_block(const fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const fs_recurrent_args *a = s->a;
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN, unit = panel * FS_PANEL + lane;
    const float *h[FS_ROWS];
    vf acc[FS_ROWS][4];
    fs_start_block(s, rows, block, acc, R, 3);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        h[r] = fs_h_now(s, rows[r]);
        v_store(fs_h_next(s, rows[r]) + unit, acc[r][2]);
    }
    int64_t count = fs_from_zeros(s) ? 0 : a->units;
    fs_accumulate(acc, h, a->w_h + panel * a->units * 2 * FS_PANEL + lane, count, 2 * FS_PANEL, R, 2);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *kept = s->kept + rows[r] * 2 * s->width + unit;
        v_store(kept, fs_vact((int)a->recurrent_activation, acc[r][0], s->rec));
        vf reset = fs_vact((int)a->recurrent_activation, acc[r][1], s->rec);
        v_store(kept + s->width, v_mul(reset, v_load(h[r] + unit)));
    }
}
FS_BY_ROWS(fs_gru_gates_block, fs_run_state)

FS_INLINE void fs_gru_candidate_block(const fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const fs_recurrent_args *a = s->a;
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN, unit = panel * FS_PANEL + lane;
    const float *reset_h[FS_ROWS];
    vf acc[FS_ROWS][4];
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        reset_h[r] = s->kept + rows[r] * 2 * s->width + s->width;
        acc[r][0] = v_load(fs_h_next(s, rows[r]) + unit);
    }
    int64_t count = fs_from_zeros(s) ? 0 : a->units;
    fs_accumulate(acc, reset_h, a->w_c + panel * a->units * FS_PANEL + lane, count, FS_PANEL, R, 1);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        vf z = v_load(s->kept + rows[r] * 2 * s->width + unit);
        vf candidate = fs_vact((int)a->activation, acc[r][0], s->act);
        vf h = v_load(fs_h_now(s, rows[r]) + unit);
        fs_finish_units(s, rows[r], unit, v_fma(z, v_sub(h, candidate), candidate));
    }
}
FS_BY_ROWS(fs_gru_candidate_block, fs_run_state)

static int fs_gru(const fs_gru_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {fs_sum3_block_table, {fs_gru_block_table}, 1, 3, 1, 0};
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}

static int fs_gru_reset_before(const fs_gru_reset_before_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        fs_sum3_block_table, {fs_gru_gates_block_table, fs_gru_candidate_block_table}, 2, 3, 1, 0};
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
