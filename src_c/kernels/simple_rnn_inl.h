/* SimpleRNN: h' = act(x W + h U + b); see keras.layers.SimpleRNN. Its one gate leaves room for four panels at a time. */

FS_INLINE void fs_simple_rnn_block(const fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const fs_recurrent_args *a = s->a;
    int64_t group = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    const float *h[FS_ROWS];
    vf acc[FS_ROWS][4];
    fs_start_block(s, rows, block, acc, R, 4);
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_accumulate(acc, h, a->w_h + group * a->units * 4 * FS_PANEL + lane, a->units, 4 * FS_PANEL, R, 4);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < 4; g++)
            fs_finish_units(s, rows[r], (group * 4 + g) * FS_PANEL + lane,
                            fs_vact((int)a->activation, acc[r][g], s->act));
    }
}
FS_BY_ROWS(fs_simple_rnn_block, fs_run_state)

static int fs_simple_rnn(const fs_simple_rnn_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {fs_sum4_block_table, {fs_simple_rnn_block_table}, 1, 4, 4, 0};
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
