/* GRU: gates z (update), r (reset), candidate; see Cho et al. 2014, arXiv:1406.1078, and keras.layers.GRU.
   h' = z h + (1 - z) candidate.

   Reset after the product (CuDNN's form, arXiv:1406.1078v1): candidate = act(x W + b + r (h U + b')).
   Reset before it (v3): candidate = act(x W + b + (r h) U), which needs every unit's r first: two phases a step. */

/* acc: z, r, the candidate's sum over x, its sum over h. */
FS_INLINE void fs_gru_finish(const fs_run_state *s, const int32_t *rows, int64_t unit, fs_sums acc, const int R,
                             int act, int rec)
{
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        vf reset = fs_vact(rec, acc[r][1], s->rec);
        acc[r][2] = v_fma(reset, acc[r][3], acc[r][2]);
    }
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        vf z = fs_vact(rec, acc[r][0], s->rec);
        vf candidate = fs_vact(act, acc[r][2], s->act);
        vf h = v_load(fs_h_now(s, rows[r]) + unit);
        fs_finish_units(s, rows[r], unit, v_fma(z, v_sub(h, candidate), candidate));
    }
}

FS_FINISH_ANY(fs_gru_finish)

FS_INLINE void fs_gru_block(fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const float *h[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_block_sums(s, rows, block, h, acc, R, 3);
    int64_t unit = fs_group(block) * FS_PANEL + fs_lane(block);
    fs_gru_finish_block(s, rows, unit, acc, R);
}
FS_BY_ROWS_OF_3(fs_gru_block, fs_run_state)

static int fs_gru(const fs_gru_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{fs_gru_block_table, fs_hoist3_block_table, FS_ROWS_3, FS_ROWS_3, 3, 1}},
        .phase_count = 1, .unit_panels = 1, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}

/* Reset before the product. First phase: z and r of two panels at a time, four vectors as an LSTM has them; `kept`
   takes z in the first half of a row's space, r * h in the second. */
FS_INLINE void fs_gru_gates_block(fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const float *h[FS_MOST_ROWS];
    fs_sums acc;
    int rec = (int)s->a->recurrent_activation;
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_block_sums(s, rows, block, h, acc, R, 4);
    int64_t first = fs_group(block) * 2 * FS_PANEL + fs_lane(block);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *kept = s->kept + rows[r] * 2 * s->width + first;
        FS_UNROLL for (int panel = 0; panel < 2; panel++)
        {
            int64_t unit = panel * FS_PANEL;
            v_store(kept + unit, fs_vact(rec, acc[r][panel * 2], s->rec));
            vf reset = fs_vact(rec, acc[r][panel * 2 + 1], s->rec);
            v_store(kept + s->width + unit, v_mul(reset, v_load(h[r] + first + unit)));
        }
    }
}
FS_BY_ROWS_OF_4(fs_gru_gates_block, fs_run_state)

/* Second phase: the candidates of four panels at a time. */
FS_INLINE void fs_gru_candidate_block(fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const float *reset_h[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++) reset_h[r] = s->kept + (rows[r] * 2 + 1) * s->width;
    fs_block_sums(s, rows, block, reset_h, acc, R, 4);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < 4; g++)
        {
            int64_t unit = (fs_group(block) * 4 + g) * FS_PANEL + fs_lane(block);
            vf z = v_load(s->kept + rows[r] * 2 * s->width + unit);
            vf candidate = fs_vact((int)s->a->activation, acc[r][g], s->act);
            vf h = v_load(fs_h_now(s, rows[r]) + unit);
            fs_finish_units(s, rows[r], unit, v_fma(z, v_sub(h, candidate), candidate));
        }
    }
}
FS_BY_ROWS_OF_4(fs_gru_candidate_block, fs_run_state)

static int fs_gru_reset_before(const fs_gru_reset_before_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{fs_gru_gates_block_table, fs_hoist4_block_table, FS_ROWS_4, FS_ROWS_4_ALONE, 4, 2},
                   {fs_gru_candidate_block_table, fs_hoist4_block_table, FS_ROWS_4, FS_ROWS_4_ALONE, 4, 4}},
        .phase_count = 2, .unit_panels = 4, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
