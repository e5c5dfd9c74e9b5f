/* Reductions of a chain over some of its dimensions (FS_REDUCE_ARGS says in which order elements are taken). */

#define FS_REDUCE_LANES 32
#define FS_REDUCE_COLS 512

/* What has been taken together so far: for one output in lanes, or for neighbouring outputs in columns. */
typedef struct {
    double value[FS_REDUCE_COLS]; /* float kinds */
    int64_t whole[FS_REDUCE_COLS];
    int64_t place[FS_REDUCE_COLS]; /* of the largest or smallest one so far */
} fs_reduced;

/* Kinds of int32, and the number of the kind for floats that they are like. */
FS_INLINE int fs_is_whole(int kind) { return kind >= FS_REDUCED_SUM_I32; }

static void fs_reduced_begin(fs_reduced *r, int kind, int n)
{
    const double inf = __builtin_inf();
    for (int u = 0; u < n; u++) {
        r->place[u] = 0;
        r->value[u] = kind == FS_REDUCED_PROD                                ? 1.0
                      : kind == FS_REDUCED_MAX || kind == FS_REDUCED_ARGMAX ? -inf
                      : kind == FS_REDUCED_MIN || kind == FS_REDUCED_ARGMIN ? inf
                                                                            : 0.0;
        r->whole[u] = kind == FS_REDUCED_PROD_I32                                    ? 1
                      : kind == FS_REDUCED_MAX_I32 || kind == FS_REDUCED_ARGMAX_I32 ? INT64_MIN
                      : kind == FS_REDUCED_MIN_I32 || kind == FS_REDUCED_ARGMIN_I32 ? INT64_MAX
                                                                                    : 0;
    }
}

#define FS_TAKE(expression)                                                                                            \
    for (int64_t u = 0; u < n; u++) {                                                                                  \
        const double x = v[u], before = value[u];                                                                      \
        value[u] = (expression);                                                                                       \
    }                                                                                                                  \
    return;
#define FS_TAKE_PLACE(type, held, better)                                                                              \
    for (int64_t u = 0; u < n; u++) {                                                                                  \
        const type x = v[u], before = held[u];                                                                         \
        if (better)                                                                                                    \
            held[u] = x, r->place[u] = at;                                                                             \
    }                                                                                                                  \
    return;

/* value[u] takes v[u]; `at` is the number of the element among those that are reduced. A NaN stays once it is there,
   and counts as the largest and as the smallest. */
FS_INLINE void fs_take_floats(fs_reduced *r, double *value, int kind, const float *v, int64_t n, int64_t at)
{
    switch (kind) {
    case FS_REDUCED_SUM:
    case FS_REDUCED_MEAN:
        FS_TAKE(before + x)
    case FS_REDUCED_PROD:
        FS_TAKE(before * x)
    case FS_REDUCED_MAX:
        FS_TAKE(x > before || x != x ? x : before)
    case FS_REDUCED_MIN:
        FS_TAKE(x < before || x != x ? x : before)
    case FS_REDUCED_ARGMAX:
        FS_TAKE_PLACE(double, value, (at == 0 || x > before || (x != x && before == before)))
    default: /* FS_REDUCED_ARGMIN */
        FS_TAKE_PLACE(double, value, (at == 0 || x < before || (x != x && before == before)))
    }
}

FS_INLINE void fs_take_whole(fs_reduced *r, int kind, const int32_t *v, int64_t n, int64_t at)
{
    int64_t *whole = r->whole;
    switch (kind) {
    case FS_REDUCED_SUM_I32:
        for (int64_t u = 0; u < n; u++)
            whole[u] = (int64_t)((uint64_t)whole[u] + (uint64_t)(int64_t)v[u]);
        return;
    case FS_REDUCED_PROD_I32:
        for (int64_t u = 0; u < n; u++)
            whole[u] = (int64_t)((uint64_t)whole[u] * (uint64_t)(int64_t)v[u]);
        return;
    case FS_REDUCED_MAX_I32:
    case FS_REDUCED_ARGMAX_I32:
        FS_TAKE_PLACE(int64_t, whole, (x > before))
    default: /* FS_REDUCED_MIN_I32, FS_REDUCED_ARGMIN_I32 */
        FS_TAKE_PLACE(int64_t, whole, (x < before))
    }
}

/* The result of place u, written as element `o` of y. */
static void fs_reduced_store(const fs_reduce_args *s, const fs_reduced *r, int64_t u, int64_t o, int64_t count)
{
    const int kind = (int)s->kind;
    if (kind == FS_REDUCED_ARGMAX || kind == FS_REDUCED_ARGMIN || kind == FS_REDUCED_ARGMAX_I32 ||
        kind == FS_REDUCED_ARGMIN_I32) {
        ((int32_t *)s->y)[o] = (int32_t)r->place[u];
    } else if (s->bool_out) {
        ((uint8_t *)s->y)[o] = r->whole[u] != 0 && r->whole[u] != INT64_MIN;
    } else if (fs_is_whole(kind)) {
        ((int32_t *)s->y)[o] = (int32_t)(uint32_t)(uint64_t)r->whole[u];
    } else {
        const double value = kind == FS_REDUCED_MEAN ? r->value[u] / (double)count : r->value[u];
        ((float *)s->y)[o] = value != value ? __builtin_nanf("") : (float)value;
    }
}

/* n elements that are reduced to one, the first of them number `at`: each to its lane. */
static void fs_take_lanes(fs_reduced *r, int kind, const float *v, int64_t n, int64_t at)
{
    const int whole = fs_is_whole(kind), places = kind == FS_REDUCED_ARGMAX || kind == FS_REDUCED_ARGMIN;
    if (whole || places) { /* any order gives the same: one after the other */
        for (int64_t i = 0; i < n; i++)
            if (whole)
                fs_take_whole(r, kind, (const int32_t *)v + i, 1, at + i);
            else
                fs_take_floats(r, r->value, kind, v + i, 1, at + i);
        return;
    }
    int64_t i = 0;
    for (; i < n && (at + i) % FS_REDUCE_LANES; i++)
        fs_take_floats(r, r->value + (at + i) % FS_REDUCE_LANES, kind, v + i, 1, at + i);
    if (kind == FS_REDUCED_SUM || kind == FS_REDUCED_MEAN) {
        double lanes[FS_REDUCE_LANES]; /* in registers */
        for (int l = 0; l < FS_REDUCE_LANES; l++)
            lanes[l] = r->value[l];
        for (; i + FS_REDUCE_LANES <= n; i += FS_REDUCE_LANES)
            for (int l = 0; l < FS_REDUCE_LANES; l++)
                lanes[l] += (double)v[i + l];
        for (int l = 0; l < FS_REDUCE_LANES; l++)
            r->value[l] = lanes[l];
    }
    for (; i + FS_REDUCE_LANES <= n; i += FS_REDUCE_LANES)
        fs_take_floats(r, r->value, kind, v + i, FS_REDUCE_LANES, at + i);
    fs_take_floats(r, r->value, kind, v + i, n - i, at + i);
}

/* The lanes folded in half until one is left. */
static void fs_fold_lanes(fs_reduced *r, int kind)
{
    if (fs_is_whole(kind) || kind == FS_REDUCED_ARGMAX || kind == FS_REDUCED_ARGMIN)
        return;
    for (int half = FS_REDUCE_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) {
            const double x = r->value[l + half], before = r->value[l];
            switch (kind) {
            case FS_REDUCED_PROD:
                r->value[l] = before * x;
                break;
            case FS_REDUCED_MAX:
                r->value[l] = x > before || x != x ? x : before;
                break;
            case FS_REDUCED_MIN:
                r->value[l] = x < before || x != x ? x : before;
                break;
            default:
                r->value[l] = before + x;
            }
        }
}

/* The sum of a row: its elements in lanes, and these folded, as by fs_take_lanes and fs_fold_lanes, in registers.
   32 rows of 256: 6.5 -> 4.6 thousand cycles. */
static double fs_row_sum(const float *v, int64_t n)
{
    double lanes[FS_REDUCE_LANES] = {0.0};
    int64_t i = 0;
    for (; i + FS_REDUCE_LANES <= n; i += FS_REDUCE_LANES)
        for (int l = 0; l < FS_REDUCE_LANES; l++)
            lanes[l] += (double)v[i + l];
    for (int l = 0; l < n - i; l++)
        lanes[l] += (double)v[i + l];
    for (int l = 0; l < 16; l++)
        lanes[l] += lanes[l + 16];
    for (int l = 0; l < 8; l++)
        lanes[l] += lanes[l + 8];
    for (int l = 0; l < 4; l++)
        lanes[l] += lanes[l + 4];
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/* Where a piece of work stands: indices of the dimensions 0 to 3, of which the reduced ones are counted through. */
typedef struct {
    int64_t sizes[5], i[4];
    int reduced; /* bits */
} fs_reduce_walk;

/* The next of the reduced indices 0 to `last`; 0 behind the last one. */
FS_INLINE int fs_reduce_next(fs_reduce_walk *w, int last)
{
    for (int d = last; d >= 0; d--)
        if (w->reduced >> d & 1) {
            if (++w->i[d] < w->sizes[d])
                return 1;
            w->i[d] = 0;
        }
    return 0;
}

/* The kept indices of output number `o` of those dimensions. */
static void fs_reduce_seek(fs_reduce_walk *w, int64_t o)
{
    for (int d = 3; d >= 0; d--) {
        w->i[d] = 0;
        if (!(w->reduced >> d & 1))
            w->i[d] = o % w->sizes[d], o /= w->sizes[d];
    }
}

/* The chain on rows [from, from + rows) of dimension 3 and `cols` columns from `first` on; what it gives. */
FS_INLINE const float *fs_reduce_block(fs_chain *c, const fs_reduce_walk *w, int64_t from, int64_t rows, int64_t first,
                                       int64_t cols)
{
    const fs_chain_args *a = c->chain;
    for (int k = 0; k < (int)a->inputs; k++) {
        const int64_t at = from * c->strides[k][3] + first * c->strides[k][4];
        fs_chain_load(c, k, fs_chain_place(c, k, w->i[0], w->i[1], w->i[2]) + at * (a->bytes_in >> k & 1 ? 1 : 4), rows,
                      cols);
    }
    if (a->instructions == 1 && a->code[0] == FS_CHAIN_COPY) /* nothing to compute: the elements as they are */
        return c->at[a->code[2]];
    fs_chain_run(c, rows * cols);
    return c->at[a->code[5 * a->instructions + 1]];
}

/* Fetches what the inputs have of rows [row, row + rows) of dimension 3: a processor does not see rows coming that lie
   apart. */
FS_INLINE void fs_reduce_fetch(const fs_chain *c, const fs_reduce_walk *w, int64_t row, int64_t rows, int64_t first,
                               int64_t cols)
{
    for (int k = 0; k < (int)c->chain->inputs; k++) {
        const int64_t *s = c->strides[k];
        const char *from = fs_chain_place(c, k, w->i[0], w->i[1], w->i[2]);
        if (s[4] != 1 || s[3] == cols || c->chain->bytes_in >> k & 1)
            continue;
        for (int64_t r = row; r < row + rows; r++)
            for (int64_t e = 0; e < cols; e += 16)
                __builtin_prefetch(from + 4 * (r * s[3] + first + e));
    }
}

#define FS_REDUCE_AHEAD 16 /* rows that are fetched before they are read: (4096, 1024) 10 -> 13 GB/s */

/* Outputs [first, first + cols) of the last dimension, which stays. */
static void fs_reduce_columns_of(fs_chain *c, const fs_reduce_args *s, fs_reduce_walk *w, int64_t o, int64_t first,
                                 int64_t cols, int64_t count)
{
    fs_reduced r;
    const int kind = (int)s->kind, whole = fs_is_whole(kind), down = w->reduced >> 3 & 1;
    const int64_t most = FS_CHAIN_BLOCK / cols, rows_of = down ? w->sizes[3] : 1;
    int64_t at = 0;
    fs_reduced_begin(&r, kind, (int)cols);
    do
        for (int64_t row = 0; row < rows_of; row += most) {
            const int64_t rows = fs_smaller(most, rows_of - row);
            const float *v = fs_reduce_block(c, w, down ? row : w->i[3], rows, first, cols);
            if (row + FS_REDUCE_AHEAD + rows <= rows_of)
                fs_reduce_fetch(c, w, row + FS_REDUCE_AHEAD, rows, first, cols);
            for (int64_t k = 0; k < rows; k++, at++, v += cols)
                if (whole)
                    fs_take_whole(&r, kind, (const int32_t *)v, cols, at);
                else
                    fs_take_floats(&r, r.value, kind, v, cols, at);
        }
    while (fs_reduce_next(w, down ? 2 : 3));
    for (int64_t u = 0; u < cols; u++)
        fs_reduced_store(s, &r, u, o * s->n4 + first + u, count);
}

/* Output o, where the last dimension is reduced. */
static void fs_reduce_rows_of(fs_chain *c, const fs_reduce_args *s, fs_reduce_walk *w, int64_t o, int64_t count)
{
    fs_reduced r;
    int64_t at = 0;
    fs_reduced_begin(&r, (int)s->kind, FS_REDUCE_LANES);
    do
        for (int64_t first = 0; first < s->n4; first += FS_CHAIN_BLOCK) {
            const int64_t cols = fs_smaller(FS_CHAIN_BLOCK, s->n4 - first);
            fs_take_lanes(&r, (int)s->kind, fs_reduce_block(c, w, w->i[3], 1, first, cols), cols, at);
            at += cols;
        }
    while (fs_reduce_next(w, 3));
    fs_fold_lanes(&r, (int)s->kind);
    fs_reduced_store(s, &r, 0, o, count);
}

/* Outputs [lo, hi), each the sum of a short row of its own, many rows at a time. */
static void fs_reduce_short_rows(fs_chain *c, const fs_reduce_args *s, fs_reduce_walk *w, int64_t lo, int64_t hi)
{
    const int64_t most = FS_CHAIN_BLOCK / s->n4;
    while (lo < hi) {
        fs_reduce_seek(w, lo);
        const int64_t rows = fs_smaller(fs_smaller(most, hi - lo), s->n3 - w->i[3]);
        const float *v = fs_reduce_block(c, w, w->i[3], rows, 0, s->n4);
        for (int64_t k = 0; k < rows; k++, lo++, v += s->n4) {
            fs_reduced r;
            if (s->kind == FS_REDUCED_SUM || s->kind == FS_REDUCED_MEAN) {
                r.value[0] = fs_row_sum(v, s->n4);
                fs_reduced_store(s, &r, 0, lo, s->n4);
                continue;
            }
            fs_reduced_begin(&r, (int)s->kind, FS_REDUCE_LANES);
            fs_take_lanes(&r, (int)s->kind, v, s->n4, 0);
            fs_fold_lanes(&r, (int)s->kind);
            fs_reduced_store(s, &r, 0, lo, s->n4);
        }
    }
}

static int fs_reduce(const fs_reduce_args *s, const fs_share *share)
{
    fs_chain c;
    const fs_reduce_plan plan = fs_plan_reduce(s);
    fs_reduce_walk w = {.sizes = {s->n0, s->n1, s->n2, s->n3, s->n4}, .reduced = (int)s->reduced};
    if (plan.count == 0) { /* nothing to take together: each output is what a reduction begins with */
        fs_reduced r;
        fs_reduced_begin(&r, (int)s->kind, 1);
        for (int64_t o = share->row_lo; o < share->row_hi; o++)
            fs_reduced_store(s, &r, 0, o, 0);
        return 0;
    }
    fs_chain_begin(&c, (const fs_chain_args *)s);
    if (s->last && s->reduced == 1 << 4 && s->n4 <= FS_CHAIN_BLOCK) {
        fs_reduce_short_rows(&c, s, &w, share->row_lo * plan.step, fs_smaller(share->row_hi * plan.step, plan.outputs));
        return 0;
    }
    const int64_t hi = s->last ? fs_smaller(share->row_hi * plan.step, plan.outputs) : share->row_hi;
    for (int64_t piece = share->row_lo * plan.step; piece < hi; piece++) {
        const int64_t o = piece / plan.across, first = piece % plan.across * plan.cols;
        fs_reduce_seek(&w, o);
        if (s->last)
            fs_reduce_rows_of(&c, s, &w, o, plan.count);
        else
            fs_reduce_columns_of(&c, s, &w, o, first, fs_smaller(plan.cols, s->n4 - first), plan.count);
    }
    return 0;
}
