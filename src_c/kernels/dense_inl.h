/* y = activation(x w + bias), for any number of rows. */

typedef struct {
    const fs_dense_args *a;
    float p[3];
} fs_dense_run;

/* G panels side by side from `group` * 4 on; a group has 4 of them, the last one what is left. A block is one vector of
   each panel, so a group holds FS_VECTORS of them. */
FS_INLINE void fs_dense_block(const fs_dense_run *c, const int32_t *rows, int64_t block, const int R, const int G)
{
    const fs_dense_args *a = c->a;
    int64_t group = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    int64_t unit = group * 4 * FS_PANEL + lane;
    const float *w = a->w + group * 4 * FS_PANEL * a->inputs + lane;
    const float *x[FS_ROWS];
    vf acc[FS_ROWS][4];
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        x[r] = a->x + rows[r] * a->x_stride;
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_load(a->bias + unit + g * FS_PANEL);
    }
    fs_accumulate(acc, x, w, a->inputs, G * FS_PANEL, R, G);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *y = a->y + rows[r] * a->y_stride;
        FS_UNROLL for (int g = 0; g < G; g++)
            fs_store_units(y, unit + g * FS_PANEL, a->units, fs_vact((int)a->activation, acc[r][g], c->p));
    }
}

#define FS_DENSE_PANELS(G)                                                                                             \
    FS_INLINE void fs_dense_##G(const fs_dense_run *c, const int32_t *rows, int64_t block, const int R)                \
    {                                                                                                                  \
        fs_dense_block(c, rows, block, R, G);                                                                          \
    }                                                                                                                  \
    FS_BY_ROWS(fs_dense_##G, fs_dense_run)
FS_DENSE_PANELS(1)
FS_DENSE_PANELS(2)
FS_DENSE_PANELS(3)
FS_DENSE_PANELS(4)

/* Rows of x that stay in L1 while a group of panels passes over them. */
#define FS_DENSE_ROWS 48

static int fs_dense(const fs_dense_args *a, const fs_share *share)
{
    fs_dense_run run = {a, {a->p0, a->p1, a->p2}};
    int64_t panels = (a->units + FS_PANEL - 1) / FS_PANEL;
    int32_t rows[FS_DENSE_ROWS];
    for (int64_t first = share->row_lo; first < share->row_hi; first += FS_DENSE_ROWS) {
        int count = share->row_hi - first < FS_DENSE_ROWS ? (int)(share->row_hi - first) : FS_DENSE_ROWS;
        for (int i = 0; i < count; i++)
            rows[i] = (int32_t)(first + i);
        for (int64_t group = share->unit_lo; group < share->unit_hi; group++) {
            int64_t left = panels - group * 4;
            void (*const *table)(const fs_dense_run *, const int32_t *, int64_t) =
                left >= 4 ? fs_dense_4_table : left == 3 ? fs_dense_3_table : left == 2 ? fs_dense_2_table : fs_dense_1_table;
            for (int64_t block = group * FS_VECTORS; block < (group + 1) * FS_VECTORS; block++)
                for (int done = 0; done < count;) {
                    int n = fs_block_rows(count - done);
                    table[n](&run, rows + done, block);
                    done += n;
                }
        }
    }
    return 0;
}
