/* LSTM: gates i, f, g (candidate), o; see Hochreiter & Schmidhuber 1997 and keras.layers.LSTM.
   c' = f c + i g,  h = o act(c'). */

FS_INLINE void fs_lstm_finish(const fs_run_state *s, const int32_t *rows, int64_t unit, vf acc[FS_ROWS][4], const int R,
                              int act, int rec)
{
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *c = s->kept + rows[r] * s->width + unit;
        vf in = fs_vact(rec, acc[r][0], s->rec);
        vf forget = fs_vact(rec, acc[r][1], s->rec);
        vf candidate = fs_vact(act, acc[r][2], s->act);
        vf out = fs_vact(rec, acc[r][3], s->rec);
        vf state = v_fma(forget, v_load(c), v_mul(in, candidate));
        v_store(c, state);
        fs_finish_units(s, rows[r], unit, v_mul(out, fs_vact(act, state, s->act)));
    }
}

FS_INLINE void fs_lstm_block(const fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const fs_recurrent_args *a = s->a;
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    const float *h[FS_ROWS];
    vf acc[FS_ROWS][4];
    fs_start_block(s, rows, block, acc, R, 4);
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    int64_t count = fs_from_zeros(s) ? 0 : a->units;
    fs_accumulate(acc, h, a->w_h + panel * a->units * 4 * FS_PANEL + lane, count, 4 * FS_PANEL, R, 4);
    int64_t unit = panel * FS_PANEL + lane;
    if (a->activation == FS_ACT_TANH && a->recurrent_activation == FS_ACT_SIGMOID)
        fs_lstm_finish(s, rows, unit, acc, R, FS_ACT_TANH, FS_ACT_SIGMOID);
    else
        fs_lstm_finish(s, rows, unit, acc, R, (int)a->activation, (int)a->recurrent_activation);
}
FS_BY_ROWS(fs_lstm_block, fs_run_state)

static int fs_lstm(const fs_lstm_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {fs_sum4_block_table, {fs_lstm_block_table}, 1, 4, 1, 1};
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
