/* The next token of each row: the most probable one, the best few, or one drawn at random. Choosing needs no softmax:
   the order of logits is that of probabilities. Exponentials are computed for what is asked for: the log-probabilities
   of the tokens, or a draw. */

/* Where the first of the largest values of x (n) stands, and whether one of them is NaN. n is at most 2^24. */
static int64_t fs_first_best(const float *x, int64_t n, float max, int *nan)
{
    static const float lanes[FS_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf first = v_set1(-16777216.0f), any = v_zero(); /* minus the smallest index of each lane */
    for (int64_t i = 0; i < n; i += VLEN) {
        int left = n - i < VLEN ? (int)(n - i) : VLEN;
        vf value = left == VLEN ? v_load(x + i) : v_load_part(x + i, left);
        vf place = v_sub(v_set1((float)-i), v_load(lanes));
        any = v_select(v_isnan(value), v_set1(1.0f), any);
        /* Lanes past the end read as zeros, and lie behind every index. */
        vf found = v_select(v_eq(value, v_set1(max)), place, v_set1(-16777216.0f));
        first = v_max(first, v_select(v_gt(place, v_set1((float)-n)), found, v_set1(-16777216.0f)));
    }
    *nan = v_fold_max(any) > 0.0f;
    return (int64_t)-v_fold_max(first);
}

/* Up to so many are found by insertion; more by a heap. */
#define FS_FEW 64

/* ids (k): where the k largest of x (n) stand, largest first, equal ones in their order; k <= n. */
static void fs_best_few(const float *x, int64_t n, int32_t *ids, int64_t k)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += VLEN) {
        int left = n - i < VLEN ? (int)(n - i) : VLEN;
        /* Most vectors hold nothing that is better than the worst of those found. */
        if (count == k && left == VLEN && v_fold_max(v_load(x + i)) <= x[ids[k - 1]])
            continue;
        for (int64_t j = i; j < i + left; j++) {
            if (count == k && x[j] <= x[ids[k - 1]])
                continue;
            int64_t at = count < k ? count++ : k - 1;
            for (; at > 0 && x[ids[at - 1]] < x[j]; at--)
                ids[at] = ids[at - 1];
            ids[at] = (int32_t)j;
        }
    }
}

/* ---- a heap of indices: the most probable ones, one after the other ---- */

FS_INLINE int fs_before(const float *x, int32_t a, int32_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); }

static void fs_heap_sink(const float *x, int32_t *heap, int64_t size, int64_t at)
{
    int32_t moved = heap[at];
    for (int64_t child = 2 * at + 1; child < size; child = 2 * at + 1) {
        child += child + 1 < size && fs_before(x, heap[child + 1], heap[child]);
        if (!fs_before(x, heap[child], moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* Puts the best of x (n) at the END of ids (n), best last, until there are `most` of them or their sum is `enough`, and
   returns how many. */
static int64_t fs_heap_best(const float *x, int32_t *ids, int64_t n, int64_t most, double enough)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)i;
    for (int64_t at = n / 2; at-- > 0;)
        fs_heap_sink(x, ids, n, at);
    double sum = 0.0;
    int64_t count = 0;
    while (count < most && (count == 0 || sum < enough)) {
        int32_t best = ids[0];
        count++;
        ids[0] = ids[n - count];
        ids[n - count] = best;
        fs_heap_sink(x, ids, n - count, 0);
        sum += x[best];
    }
    return count;
}

/* ---- a draw ---- */

#define FS_DRAW_BLOCK 256

FS_INLINE int64_t fs_draw_end(int64_t i, int64_t n) { return n - i < FS_DRAW_BLOCK ? n : i + FS_DRAW_BLOCK; }

static double fs_draw_total(const float *e, int64_t n)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i += FS_DRAW_BLOCK)
        total += fs_sum(e + i, fs_draw_end(i, n) - i);
    return total;
}

/* The first i at which the running sum of e (n) passes u times the sum of all: first by blocks, then within one. */
static int32_t fs_draw_all(const float *e, int64_t n, double u)
{
    double passed = u * fs_draw_total(e, n), before = 0.0;
    int64_t last = 0;
    for (int64_t i = 0; i < n; i += FS_DRAW_BLOCK) {
        int64_t end = fs_draw_end(i, n);
        double block = fs_sum(e + i, end - i);
        if (before + block <= passed && end < n) {
            before += block;
            continue;
        }
        for (int64_t j = i; j < end; j++) {
            before += e[j];
            last = e[j] > 0.0f ? j : last;
            if (before > passed)
                return (int32_t)j;
        }
        break;
    }
    return (int32_t)last; /* u is so near to 1 that rounding hides the last of them */
}

/* e (n) weights, ids (n) scratch; top_k 0 for all, top_p 1 for all: a share of what top_k leaves. */
static int32_t fs_draw(const float *e, int64_t n, int32_t *ids, int64_t top_k, float top_p, double u)
{
    int64_t most = top_k > 0 && top_k < n ? top_k : n;
    if (most == n && top_p >= 1.0f)
        return fs_draw_all(e, n, u);
    double enough = most < n ? __builtin_inf() : (double)top_p * fs_draw_total(e, n), total = 0.0, sum = 0.0;
    const int32_t *best = ids; /* best[rank * step] */
    int64_t count = most, step = 1, kept = 0;
    if (most <= FS_FEW) {
        fs_best_few(e, n, ids, most);
    } else {
        count = fs_heap_best(e, ids, n, most, enough);
        best = ids + n - 1;
        step = -1;
    }
    if (most < n) {
        for (int64_t rank = 0; rank < count; rank++)
            total += e[best[rank * step]];
        enough = (double)top_p * total;
    }
    while (kept < count && (kept == 0 || sum < enough))
        sum += e[best[kept++ * step]];
    double before = 0.0;
    for (int64_t rank = 0; rank < kept; rank++) {
        before += e[best[rank * step]];
        if (before > u * sum)
            return best[rank * step];
    }
    return best[0];
}

/* ---- rows ---- */

static int fs_choose(const fs_choice_args *a, int64_t row)
{
    int64_t n = a->n;
    const float *x = a->x + row * n;
    float *e = a->scratch + row * a->scratch_row;
    int32_t *ids = a->ids + row * a->best;
    if (a->probabilities) {
        float *logs = e + 2 * n;
        FS_MAP(logs, x, n, v_log(v));
        x = logs;
    }
    float max = fs_max(x, n);
    int nan;
    int64_t first = fs_first_best(x, n, max, &nan);
    if (nan || !(max > -__builtin_inff() && max < __builtin_inff()))
        return 1;
    /* A token's log-probability is (x - base) - log_sum; probabilities are taken as they are. */
    float base = a->probabilities ? 0.0f : max, log_sum = 0.0f;
    int summed = a->log_probs && !a->probabilities;
    if (summed) {
        float lanes[VLEN];
        FS_MAP(e, x, n, v_exp(v_sub(v, v_set1(max))));
        v_store(lanes, v_log(v_set1(fs_sum(e, n))));
        log_sum = lanes[0];
    }
    if (a->kind == FS_CHOICE_DRAW) {
        if (!summed || a->temperature != 1.0f)
            FS_MAP(e, x, n, v_exp(v_div(v_sub(v, v_set1(max)), v_set1(a->temperature))));
        double u = (double)(fs_mix(a->keys[row]) >> 11) * 0x1p-53; /* [0, 1) */
        ids[0] = fs_draw(e, n, (int32_t *)(e + n), a->top_k, a->top_p, u);
    } else if (a->best == 1) {
        ids[0] = (int32_t)first;
    } else {
        fs_best_few(x, n, ids, a->best);
    }
    if (a->log_probs)
        for (int64_t i = 0; i < a->best; i++)
            a->log_probs[row * a->best + i] = (x[ids[i]] - base) - log_sum;
    return 0;
}

static int fs_choice(const fs_choice_args *a, const fs_share *share)
{
    for (int64_t row = share->row_lo; row < share->row_hi; row++)
        if (fs_choose(a, row)) {
            share->failure->position = row;
            share->failure->value = 0;
            return 1;
        }
    return 0;
}
