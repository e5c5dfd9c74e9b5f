/* y = softmax(q k' scale) v, head by head, the scores of FS_ATTENTION_KEYS keys at a time.

   Blocks of keys begin at places 0, 64, 128 ... whatever the batch, the threads, or how many queries there are. In a
   block a query's scores are chains of fused multiply-adds over the size of a head, as those of fs_matmul; its maximum
   is that of the blocks so far, and what was summed before is multiplied by e^(old - new) where that is not 1. Powers
   are summed over 16 lanes, by place, which are then folded; values are added key after key. So a query has the same
   bits alone, among others, and in a stream whose later keys are not there yet: a causal query does not touch what lies
   behind its own place, and blocks there are left out.

   The sums wait in y between blocks, as fs_matmul's do; keys and values of a block are packed on the thread's stack. */

/* What a score is that a mask hides, as in Keras: less than any other, and no infinity. */
#define FS_ATTENTION_HIDDEN (-0.7f * 3.40282347e38f)

typedef struct {
    const fs_attention_args *a;
    const float *k, *v; /* of this head */
    const uint8_t *mask;
    int64_t b, head, row, place; /* its first query, which stands at `place` among the keys */
    int64_t block, count; /* the first key of the block, and how many it has */
    float max[FS_ATTENTION_ROWS], sum[FS_ATTENTION_ROWS];
    float powers[FS_MOST_ROWS * FS_ATTENTION_KEYS] __attribute__((aligned(64)));
    float keys[FS_ATTENTION_SIZE * FS_ATTENTION_KEYS] __attribute__((aligned(64)));
    float values[FS_ATTENTION_SIZE * FS_ATTENTION_KEYS] __attribute__((aligned(64)));
} fs_attention_run;

/* Keys of the block that the query `row` of the chunk sees. */
FS_INLINE int64_t fs_attention_seen(const fs_attention_run *s, int64_t row)
{
    const int64_t seen = s->a->causal ? s->place + row + 1 - s->block : s->count;
    return seen < 0 ? 0 : fs_smaller(seen, s->count);
}

FS_INLINE float *fs_attention_y(const fs_attention_run *s, int64_t row)
{
    const fs_attention_args *a = s->a;
    return a->y + ((s->b * a->queries + s->row + row) * a->heads + s->head) * a->value_size;
}

/* e^x for x <= 0; zero below e^-87, where the results would be denormal. */
FS_INLINE vf fs_power(vf x)
{
    const vf t = v_fma(x, v_set1(FS_LOG2E), v_set1(FS_ROUND_127)), n = v_sub(t, v_set1(FS_ROUND_127));
    const vf r = v_fnma(n, v_set1(FS_LN2_LO), v_fnma(n, v_set1(FS_LN2_HI), x));
    return v_select(v_lt(x, v_set1(-87.0f)), v_zero(), v_mul(v_exp_core(r), v_exp2_of_sum(t)));
}

static const float fs_lane_numbers[FS_PANEL] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Scores that the mask hides, in the row of the block. */
static void fs_attention_hide(const fs_attention_run *s, int64_t row, float *scores, int64_t seen)
{
    const fs_attention_args *a = s->a;
    const uint8_t *mask = s->mask + (s->row + row) * a->m_time + s->block * a->m_key;
    for (int64_t j = 0; j < seen; j++)
        if (!mask[j * a->m_key])
            scores[j] = FS_ATTENTION_HIDDEN;
}

#define FS_ATTENTION_VECTORS (FS_ATTENTION_KEYS / VLEN)

/* The scores of a query of the chunk become powers; its maximum, its sum, and what it summed of values follow. */
FS_INLINE void fs_attention_powers(fs_attention_run *s, int64_t row, float *scores, int64_t seen)
{
    const fs_attention_args *a = s->a;
    const vf scale = v_set1(a->scale);
    vf x[FS_ATTENTION_VECTORS], total[FS_VECTORS];
    FS_UNROLL for (int i = 0; i < FS_ATTENTION_VECTORS; i++) x[i] = v_mul(v_load(scores + i * VLEN), scale);
    if (s->mask) {
        FS_UNROLL for (int i = 0; i < FS_ATTENTION_VECTORS; i++) v_store(scores + i * VLEN, x[i]);
        fs_attention_hide(s, row, scores, seen);
        FS_UNROLL for (int i = 0; i < FS_ATTENTION_VECTORS; i++) x[i] = v_load(scores + i * VLEN);
    }
    if (seen < FS_ATTENTION_KEYS) {
        FS_UNROLL for (int i = 0; i < FS_ATTENTION_VECTORS; i++)
        {
            const vf place = v_load(fs_lane_numbers + i * VLEN % FS_PANEL);
            const vm there = v_lt(place, v_set1((float)(seen - i * VLEN / FS_PANEL * FS_PANEL)));
            x[i] = v_select(there, x[i], v_set1(-__builtin_inff()));
        }
    }
    vf largest = x[0];
    FS_UNROLL for (int i = 1; i < FS_ATTENTION_VECTORS; i++) largest = v_max(largest, x[i]);
    const float before = s->max[row], found = v_fold_max(largest), max = found > before ? found : before;
    const vf maximum = v_set1(max);
    FS_UNROLL for (int i = 0; i < FS_VECTORS; i++) total[i] = v_zero();
    FS_UNROLL for (int i = 0; i < FS_ATTENTION_VECTORS; i++)
    {
        const vf power = fs_power(v_sub(x[i], maximum));
        v_store(scores + i * VLEN, power);
        total[i % FS_VECTORS] = i < FS_VECTORS ? power : v_add(total[i % FS_VECTORS], power);
    }
    FS_UNROLL for (int half = FS_VECTORS / 2; half > 0; half /= 2)
        FS_UNROLL for (int i = 0; i < half; i++) total[i] = v_add(total[i], total[i + half]);
    float sum = v_fold_sum(total[0]);
    if (max != before && s->block) {
        const vf shrunk = fs_power(v_set1(before - max));
        float *y = fs_attention_y(s, row), lanes[VLEN] __attribute__((aligned(64)));
        for (int64_t at = 0; at < a->value_size; at += VLEN)
            fs_store_units(y, at, a->value_size, v_mul(fs_load_units(y, at, a->value_size), shrunk));
        v_store(lanes, shrunk);
        s->sum[row] *= lanes[0];
    }
    s->max[row] = max;
    s->sum[row] = s->block ? s->sum[row] + sum : sum;
}

/* Adds the values of keys [from, to) of the block to R rows from `row` on. */
static void fs_attention_add(fs_attention_run *s, int64_t row, const int R, const float *powers, int64_t from,
                             int64_t to)
{
    static void (*const *const tables[])(fs_matmul_run *, const int32_t *, int64_t) = {
        0, fs_matmul_1_table, fs_matmul_2_table, fs_matmul_3_table, fs_matmul_4_table};
    const fs_attention_args *a = s->a;
    const fs_matrices shape = {
        .n = a->value_size, .am = FS_ATTENTION_KEYS, .ak = 1, .ym = a->heads * a->value_size, .yn = 1};
    const int32_t none = 0;
    fs_matmul_run run = {.s = &shape, .a = powers + from, .depth = to - from, .y = fs_attention_y(s, row)};
    run.first = s->block + from == 0;
    for (run.column = 0; run.column < a->value_size; run.column += FS_PRODUCT_COLUMNS) {
        const int64_t columns = fs_smaller(a->value_size - run.column, FS_PRODUCT_COLUMNS);
        const int panels = (int)((columns + FS_PANEL - 1) / FS_PANEL);
        run.apart = panels * FS_PANEL;
        run.w = s->values + run.column * FS_ATTENTION_KEYS + from * run.apart;
        for (int64_t lane = 0; lane < fs_smaller(FS_PANEL, columns); lane += VLEN)
            tables[panels][R](&run, &none, lane);
    }
}

/* R queries of the chunk and the block of keys. */
static void fs_attention_tile(fs_attention_run *s, int64_t row, const int R)
{
    static void (*const *const tables[])(fs_matmul_run *, const int32_t *, int64_t) = {
        0, fs_matmul_1_table, fs_matmul_2_table, fs_matmul_3_table, fs_matmul_4_table};
    const fs_attention_args *a = s->a;
    const int panels = (int)((s->count + FS_PANEL - 1) / FS_PANEL);
    const fs_matrices shape = {.n = panels * FS_PANEL, .am = a->q_time, .ak = 1, .ym = FS_ATTENTION_KEYS, .yn = 1};
    const int32_t none = 0;
    fs_matmul_run run = {.s = &shape, .first = 1, .depth = a->size, .w = s->keys, .apart = panels * FS_PANEL};
    run.a = a->q + s->b * a->q_batch + (s->row + row) * a->q_time + s->head * a->q_head;
    run.y = s->powers;
    for (int64_t lane = 0; lane < FS_PANEL; lane += VLEN)
        tables[panels][R](&run, &none, lane);
    for (int r = 0; r < R; r++) {
        const int64_t seen = fs_attention_seen(s, row + r);
        if (seen)
            fs_attention_powers(s, row + r, s->powers + r * FS_ATTENTION_KEYS, seen);
    }
    /* What all see, and then what each sees more, one key for each query on the way. */
    const int64_t all = fs_attention_seen(s, row);
    if (all)
        fs_attention_add(s, row, R, s->powers, 0, all);
    for (int r = 1; r < R; r++) {
        const int64_t seen = fs_attention_seen(s, row + r);
        if (seen > all)
            fs_attention_add(s, row + r, 1, s->powers + r * FS_ATTENTION_KEYS, all, seen);
    }
}

static void fs_attention_pack(fs_attention_run *s)
{
    const fs_attention_args *a = s->a;
    const fs_matrices turned = {.bk = 1, .bn = a->k_time}, plain = {.bk = a->v_time, .bn = 1};
    const float *k = s->k + s->block * a->k_time, *v = s->v + s->block * a->v_time;
    fs_matmul_pack(&turned, k, a->size, s->count, (int)((s->count + FS_PANEL - 1) / FS_PANEL), s->keys);
    for (int64_t column = 0; column < a->value_size; column += FS_PRODUCT_COLUMNS) {
        const int64_t columns = fs_smaller(a->value_size - column, FS_PRODUCT_COLUMNS);
        fs_matmul_pack(&plain, v + column, s->count, columns, (int)((columns + FS_PANEL - 1) / FS_PANEL),
                       s->values + column * FS_ATTENTION_KEYS);
    }
}

/* A causal query from which its mask hides all that it sees: it gets the mean of the others too, as in Keras. */
static void fs_attention_add_unseen(fs_attention_run *s, int64_t row)
{
    const fs_attention_args *a = s->a;
    float *y = fs_attention_y(s, row);
    for (int64_t j = s->place + row + 1; j < a->keys; j++) {
        for (int64_t d = 0; d < a->value_size; d++)
            y[d] += s->v[j * a->v_time + d];
        s->sum[row] += 1.0f;
    }
}

static void fs_attention_end(fs_attention_run *s, int64_t row)
{
    const fs_attention_args *a = s->a;
    float *y = fs_attention_y(s, row);
    if (s->mask && a->causal && s->max[row] == FS_ATTENTION_HIDDEN)
        fs_attention_add_unseen(s, row);
    const vf sum = v_set1(s->sum[row]);
    for (int64_t at = 0; at < a->value_size; at += VLEN) /* + 0: a sum that is -0 is 0 */
        fs_store_units(y, at, a->value_size,
                       v_one_nan(v_add(v_div(fs_load_units(y, at, a->value_size), sum), v_zero())));
    if (a->stats) {
        float *stats = a->stats + ((s->b * a->queries + s->row + row) * a->heads + s->head) * 2;
        stats[0] = s->max[row], stats[1] = s->sum[row];
    }
}

/* How many queries go together: there is a product of so many rows for the block's panels of keys, and for those of the
   values. That of three panels takes 4 rows where vectors have 8 lanes. */
FS_INLINE int fs_attention_most(const fs_attention_run *s)
{
    const int three = fs_panels(s->count) == 3 || fs_panels(s->a->value_size % FS_PRODUCT_COLUMNS) == 3;
    return three && FS_ROWS_3 < FS_ROWS_4 ? FS_ROWS_3 : FS_ROWS_4;
}

static int fs_attention(const fs_attention_args *a, const fs_share *share)
{
    const int64_t rows = fs_attention_rows(a), chunks = (a->queries + rows - 1) / rows;
    fs_attention_run s;
    s.a = a;
    __builtin_memset(s.powers, 0, sizeof s.powers); /* lanes behind a short block are read, and count nothing */
    for (int64_t piece = share->row_lo; piece < share->row_hi; piece++) {
        s.head = piece / chunks % a->heads;
        s.b = piece / chunks / a->heads;
        s.row = piece % chunks * rows;
        s.place = s.row + (a->place ? (int64_t)a->place[s.b] : 0);
        s.k = a->k + s.b * a->k_batch + s.head / a->group * a->k_head;
        s.v = a->v + s.b * a->v_batch + s.head / a->group * a->v_head;
        s.mask = a->mask ? a->mask + s.b * a->m_batch + s.head * a->m_head : NULL;
        const int64_t count = fs_smaller(rows, a->queries - s.row);
        const int64_t keys = a->causal ? fs_smaller(a->keys, s.place + count) : a->keys;
        for (int64_t r = 0; r < count; r++)
            s.max[r] = -__builtin_inff(), s.sum[r] = 0.0f;
        for (s.block = 0; s.block < keys; s.block += FS_ATTENTION_KEYS) {
            s.count = fs_smaller(FS_ATTENTION_KEYS, a->keys - s.block);
            fs_attention_pack(&s);
            const int most = fs_attention_most(&s);
            for (int64_t row = 0; row < count;) {
                const int n = fs_block_rows((int)(count - row), most);
                if (fs_attention_seen(&s, row + n - 1))
                    fs_attention_tile(&s, row, n);
                row += n;
            }
        }
        for (int64_t r = 0; r < count; r++)
            fs_attention_end(&s, r);
    }
    return 0;
}
