/* SimpleRNN: h' = act(x W + h U + b); see keras.layers.SimpleRNN. Its one gate leaves room for four panels at a time.
   */

FS_INLINE void fs_simple_rnn_block(fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const float *h[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_block_sums(s, rows, block, h, acc, R, 4);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < 4; g++)
            fs_finish_units(s, rows[r], (fs_group(block) * 4 + g) * FS_PANEL + fs_lane(block),
                            fs_vact((int)s->a->activation, acc[r][g], s->act));
    }
}
FS_BY_ROWS_OF_4(fs_simple_rnn_block, fs_run_state)

static int fs_simple_rnn(const fs_simple_rnn_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{fs_simple_rnn_block_table, fs_hoist4_block_table, FS_ROWS_4, FS_ROWS_4_ALONE, 4, 4}},
        .phase_count = 1, .unit_panels = 4,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
