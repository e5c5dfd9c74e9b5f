/* GRU: gates z (update), r (reset), candidate; see Cho et al. 2014, arXiv:1406.1078, and keras.layers.GRU.
   h' = z h + (1 - z) candidate.

   Reset after the product (CuDNN's form, arXiv:1406.1078v1): candidate = act(x W + b + r (h U + b')).
   Reset before it (v3): candidate = act(x W + b + (r h) U), which needs every unit's r first: two phases a step. */

/* The trace of a panel, FS_GRU_KEPT vectors: z, r, candidate, the candidate's sum over h; without the last where the
   reset comes before, FS_GRU_RESET_BEFORE_KEPT. */

/* acc: z, r, the candidate's sum over x, its sum over h. */
FS_INLINE void fs_gru_end(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                          const int N, int act, int rec, const int traced)
{
    int values = fs_keeps_values(act, rec);
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        vf reset = fs_vact(rec, acc[v][1], s->rec);
        if (traced) {
            int32_t row = FS_TILE_ROW(rows, v);
            int64_t unit = fs_unit(FS_TILE_BLOCK(block, v));
            fs_keep(s, row, unit, FS_GRU_KEPT, 1, values ? reset : acc[v][1]);
            fs_keep(s, row, unit, FS_GRU_KEPT, 3, acc[v][3]);
        }
        acc[v][2] = v_fma(reset, acc[v][3], acc[v][2]);
    }
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        int32_t row = FS_TILE_ROW(rows, v);
        int64_t unit = fs_unit(FS_TILE_BLOCK(block, v));
        vf z = fs_vact(rec, acc[v][0], s->rec);
        vf candidate = fs_vact(act, acc[v][2], s->act);
        vf h = v_load(fs_h_now(s, row) + unit);
        h = v_fma(z, v_sub(h, candidate), candidate);
        if (traced) {
            fs_keep(s, row, unit, FS_GRU_KEPT, 0, values ? z : acc[v][0]);
            fs_keep(s, row, unit, FS_GRU_KEPT, 2, values ? candidate : acc[v][2]);
            fs_keep_state(s, row, unit, h);
        }
        fs_finish_units(s, row, unit, h);
    }
}

FS_INLINE void fs_gru_sums(fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R, const int N)
{
    const float *h[FS_MOST_ROWS];
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_tile_sums(s, rows, block, h, acc, R, N, 3);
}
FS_CELL_TILES(fs_gru, FS_IS_USUAL(s), FS_ACT_TANH, FS_ACT_SIGMOID, FS_BY_ROWS_OF_3)

static int fs_gru(const fs_gru_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{FS_PHASE_OF_3(fs_gru_tile), .panels = 1}},
        .phase_count = 1, .unit_panels = 1, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}

/* Reset before the product. First phase: z and r of two panels at a time, four vectors as an LSTM has them; `kept`
   takes z in the first half of a row's space, r * h in the second. */
FS_INLINE void fs_gru_gates_sums(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                                 const int N)
{
    const float *h[FS_MOST_ROWS];
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_tile_sums(s, rows, block, h, acc, R, N, 4);
}

FS_INLINE void fs_gru_gates_end(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                                const int N, int act, int rec, const int traced)
{
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        FS_UNROLL for (int panel = 0; panel < 2; panel++)
        {
            int32_t row = FS_TILE_ROW(rows, v);
            int64_t unit = fs_unit_of(FS_TILE_BLOCK(block, v), 2, panel);
            float *kept = s->kept + row * 2 * s->width + unit;
            vf z = fs_vact(rec, acc[v][panel * 2], s->rec);
            v_store(kept, z);
            vf reset = fs_vact(rec, acc[v][panel * 2 + 1], s->rec);
            if (traced) {
                int values = fs_keeps_values(act, rec);
                fs_keep(s, row, unit, FS_GRU_RESET_BEFORE_KEPT, 0, values ? z : acc[v][panel * 2]);
                fs_keep(s, row, unit, FS_GRU_RESET_BEFORE_KEPT, 1, values ? reset : acc[v][panel * 2 + 1]);
            }
            v_store(kept + s->width, v_mul(reset, v_load(fs_h_now(s, row) + unit)));
        }
    }
}
FS_CELL_TILES(fs_gru_gates, FS_IS_SIGMOID(s), (int)s->a->activation, FS_ACT_SIGMOID, FS_BY_ROWS_OF_4)

/* Second phase: the candidates of four panels at a time. */
FS_INLINE void fs_gru_candidate_sums(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc,
                                     const int R, const int N)
{
    const float *reset_h[FS_MOST_ROWS];
    FS_UNROLL for (int r = 0; r < R; r++) reset_h[r] = s->kept + (rows[r] * 2 + 1) * s->width;
    fs_tile_sums(s, rows, block, reset_h, acc, R, N, 4);
}

FS_INLINE void fs_gru_candidate_end(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc,
                                    const int R, const int N, int act, int rec, const int traced)
{
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        FS_UNROLL for (int g = 0; g < 4; g++)
        {
            int32_t row = FS_TILE_ROW(rows, v);
            int64_t unit = fs_unit_of(FS_TILE_BLOCK(block, v), 4, g);
            vf z = v_load(s->kept + row * 2 * s->width + unit);
            vf candidate = fs_vact(act, acc[v][g], s->act);
            vf h = v_load(fs_h_now(s, row) + unit);
            h = v_fma(z, v_sub(h, candidate), candidate);
            if (traced) {
                fs_keep(s, row, unit, FS_GRU_RESET_BEFORE_KEPT, 2, fs_keeps_values(act, rec) ? candidate : acc[v][g]);
                fs_keep_state(s, row, unit, h);
            }
            v_store(fs_h_next(s, row) + unit, v_one_nan(h));
        }
    }
    if (s->a->sequences)
        fs_write_panels(s, rows, block, R, N);
}
FS_CELL_TILES(fs_gru_candidate, FS_IS_TANH(s), FS_ACT_TANH, (int)s->a->recurrent_activation, FS_BY_ROWS_OF_4)

static int fs_gru_reset_before(const fs_gru_reset_before_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{FS_PHASE_OF_4(fs_gru_gates_tile), .panels = 2},
                   {FS_PHASE_OF_4(fs_gru_candidate_tile), .panels = 4}},
        .phase_count = 2, .unit_panels = 4, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
