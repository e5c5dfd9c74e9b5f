/* The loss of connectionist temporal classification (Graves et al. 2006), and its gradient: all ways to lay the labels
   along the frames, with blanks between them, summed over by a recursion from the last frame to the first, and for the
   gradient one from the first to the last.

   State 2 k is the blank behind k labels, state 2 k + 1 label k, state -1 the start. Everything is double; states hold
   logarithms to the base 2, since a path may be less probable than the smallest double. Sums over states and classes
   are eight, of every eighth element, added in pairs: the same on every instruction set. */

#define FS_CTC_LANES (VLEN / 2)
/* The logarithm of 0: below all others, and finite, so that no difference of two is NaN. */
#define FS_CTC_NEVER (-1e200)
/* The float nearest to ln 1e-307, to the base 2: what TensorFlow's ctc_loss takes for the logarithm of 0 where a path
   begins and ends. */
#define FS_CTC_ELSEWHERE (-706.89361572265625 * FS_LOG2E_DOUBLE)
/* States before those that are computed: -2, which nothing reaches, and -1. */
#define FS_CTC_BEFORE 2

/* Which class a state emits, or one of these: a label that is no class, one that is the blank itself. */
enum { FS_CTC_NO_CLASS = -1, FS_CTC_ANOTHER_BLANK = -2 };

FS_INLINE double fs_ctc_first(vd a)
{
    double lanes[FS_CTC_LANES];
    vd_store(lanes, a);
    return lanes[0];
}

static double fs_ctc_total(const double *x, int64_t count)
{
    double sums[8] = {0.0};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int lane = 0; lane < 8; lane++)
            sums[lane] += x[i + lane];
    for (int lane = 0; i < count; i++, lane++)
        sums[lane] += x[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* y = 2^(x - max), rounded up to whole vectors: both have room for them. */
static void fs_ctc_exp2(double *y, const double *x, int64_t count, double max)
{
    for (int64_t i = 0; i < count; i += FS_CTC_LANES)
        vd_store(y + i, vd_exp2_fine(vd_sub(vd_load(x + i), vd_set1(max))));
}

/* A frame: logs = the logarithms of its softmax, which is exps / the returned sum. -inf becomes FS_CTC_NEVER. */
static double fs_ctc_frame(const float *x, int64_t classes, double *exps, double *logs)
{
    double max = (double)x[0];
    for (int64_t c = 1; c < classes; c++)
        max = (double)x[c] > max ? (double)x[c] : max;
    for (int64_t c = 0; c < classes; c++)
        logs[c] = ((double)x[c] - max) * FS_LOG2E_DOUBLE;
    fs_ctc_exp2(exps, logs, classes, 0.0);
    const double sum = fs_ctc_total(exps, classes), of_sum = fs_ctc_first(vd_log2(vd_set1(sum)));
    for (int64_t c = 0; c < classes; c++) {
        const double value = logs[c] - of_sum;
        logs[c] = value < FS_CTC_NEVER ? FS_CTC_NEVER : value;
    }
    return sum;
}

/* log2(2^a + 2^b + 2^c) */
FS_INLINE vd fs_ctc_sum(vd a, vd b, vd c)
{
    const vd max = vd_max(a, vd_max(b, c));
    const vd sum = vd_add(vd_add(vd_exp2_fine(vd_sub(a, max)), vd_exp2_fine(vd_sub(b, max))),
                          vd_exp2_fine(vd_sub(c, max)));
    return vd_add(max, vd_log2_sum(sum, vd_sub(sum, vd_set1(1.0))));
}

/* What one row is computed with. Arrays of states begin FS_CTC_BEFORE before state 0. */
typedef struct {
    double *betas, *alphas; /* states of some timesteps, `wide` apart */
    double *seen, *bars;    /* of a frame, what each state emits; FS_CTC_NEVER where no step goes from u - 2 to u */
    double *shares;         /* of a frame, how much of the probability goes through each state */
    int32_t *emits;         /* the class of each state */
    double *exps, *logs, *through;
    int64_t states, wide;
    double elsewhere;
} fs_ctc_row;

static fs_ctc_row fs_ctc_row_of(const fs_ctc_loss_args *a, int64_t group)
{
    const int64_t wide = a->wide, kept = a->dx ? a->timesteps + 1 : 2;
    fs_ctc_row r = {.states = 2 * a->longest + 1, .wide = wide};
    r.elsewhere = a->exact ? FS_CTC_NEVER : FS_CTC_ELSEWHERE;
    r.betas = (double *)a->scratch + group * ((kept + 6) * wide + 3 * a->deep);
    r.alphas = r.betas + kept * wide;
    r.seen = r.alphas + 2 * wide;
    r.bars = r.seen + wide;
    r.shares = r.bars + wide;
    r.emits = (int32_t *)(r.shares + wide);
    r.exps = r.shares + 2 * wide;
    r.logs = r.exps + a->deep;
    r.through = r.logs + a->deep;
    for (int64_t i = 0; i < a->deep; i++)
        r.logs[i] = 0.0;
    for (int64_t i = 0; i < wide; i++)
        r.seen[i] = r.bars[i] = r.alphas[i] = r.alphas[wide + i] = r.shares[i] = FS_CTC_NEVER;
    return r;
}

/* Which class a label means, as TensorFlow counts them: the blank is the first, the others follow. */
FS_INLINE int64_t fs_ctc_place(const fs_ctc_loss_args *a, int32_t label)
{
    return a->blank && label < a->blank ? (int64_t)label + 1 : label;
}

static int32_t fs_ctc_class(const fs_ctc_loss_args *a, int64_t place)
{
    if (place < 0 || place >= a->classes)
        return FS_CTC_NO_CLASS;
    return place == 0 ? FS_CTC_ANOTHER_BLANK : (int32_t)(place <= a->blank ? place - 1 : place);
}

static void fs_ctc_read_labels(const fs_ctc_loss_args *a, fs_ctc_row *r, const int32_t *labels)
{
    int64_t before = -1;
    for (int64_t u = 0; u < r->states; u++) {
        const int is_label = u % 2 == 1;
        const int64_t place = is_label ? fs_ctc_place(a, labels[u / 2]) : 0;
        r->emits[u] = is_label ? fs_ctc_class(a, place) : (int32_t)a->blank;
        r->bars[FS_CTC_BEFORE + u] = is_label && (u == 1 || place != before) ? 0.0 : FS_CTC_NEVER;
        before = is_label ? place : before;
    }
}

static double fs_ctc_see(const fs_ctc_loss_args *a, const fs_ctc_row *r, const float *frame)
{
    const double sum = fs_ctc_frame(frame, a->classes, r->exps, r->logs);
    for (int64_t u = 0; u < r->states; u++) {
        const int32_t class = r->emits[u];
        r->seen[FS_CTC_BEFORE + u] = class >= 0                       ? r->logs[class]
                                     : class == FS_CTC_ANOTHER_BLANK ? r->logs[a->blank]
                                                                     : 0.0;
    }
    return sum;
}

FS_INLINE double *fs_ctc_beta(const fs_ctc_loss_args *a, const fs_ctc_row *r, int64_t t)
{
    return r->betas + (a->dx ? t : t % 2) * r->wide;
}

/* From the last frame to the first: the logarithm of the probability of all that follows frame t - 1, by the state
   there. Returns that of the whole. */
static double fs_ctc_backwards(const fs_ctc_loss_args *a, const fs_ctc_row *r, const float *x, int64_t frames,
                               int64_t labels)
{
    double *end = fs_ctc_beta(a, r, frames);
    for (int64_t i = 0; i < r->wide; i++)
        end[i] = i >= 1 && i < FS_CTC_BEFORE + r->states ? r->elsewhere : FS_CTC_NEVER;
    if (labels >= 0 && labels <= a->longest)
        end[FS_CTC_BEFORE + 2 * labels] = end[FS_CTC_BEFORE + 2 * labels - 1] = 0.0;
    for (int64_t t = frames - 1; t >= 0; t--) {
        double *now = fs_ctc_beta(a, r, t);
        const double *next = fs_ctc_beta(a, r, t + 1);
        fs_ctc_see(a, r, x + t * a->classes);
        for (int64_t i = 1; i < FS_CTC_BEFORE + r->states; i += FS_CTC_LANES) {
            const vd stays = vd_add(vd_load(r->seen + i), vd_load(next + i));
            const vd steps = vd_add(vd_load(r->seen + i + 1), vd_load(next + i + 1));
            const vd skips = vd_add(vd_load(r->seen + i + 2), vd_load(next + i + 2));
            vd_store(now + i, fs_ctc_sum(stays, steps, vd_add(skips, vd_load(r->bars + i + 2))));
        }
        now[0] = FS_CTC_NEVER; /* and what the last vector wrote behind the states */
        for (int64_t i = FS_CTC_BEFORE + r->states; i < r->wide; i++)
            now[i] = FS_CTC_NEVER;
    }
    return fs_ctc_beta(a, r, 0)[1];
}

/* of each state at frame t + 1 from those at frame t */
static void fs_ctc_forwards(const fs_ctc_row *r, double *now, const double *before)
{
    for (int64_t i = FS_CTC_BEFORE; i < FS_CTC_BEFORE + r->states; i += FS_CTC_LANES) {
        const vd skips = vd_add(vd_load(before + i - 2), vd_load(r->bars + i));
        const vd sum = fs_ctc_sum(vd_load(before + i), vd_load(before + i - 1), skips);
        vd_store(now + i, vd_add(vd_load(r->seen + i), sum));
    }
    now[0] = now[1] = FS_CTC_NEVER;
}

/* through[c] = how much of the probability of the labels goes through class c at a frame. */
static void fs_ctc_share(const fs_ctc_loss_args *a, const fs_ctc_row *r, const double *alpha, const double *beta)
{
    double *shares = r->shares, max = FS_CTC_NEVER;
    for (int64_t u = 0; u < r->states; u++) {
        shares[u] = alpha[FS_CTC_BEFORE + u] + beta[FS_CTC_BEFORE + u];
        max = shares[u] > max ? shares[u] : max;
    }
    fs_ctc_exp2(shares, shares, r->states, max);
    const double sum = fs_ctc_total(shares, r->states);
    for (int64_t u = 0; u < r->states; u++)
        if (r->emits[u] >= 0)
            r->through[r->emits[u]] += shares[u] / sum;
}

static void fs_ctc_gradient(const fs_ctc_loss_args *a, const fs_ctc_row *r, const float *x, float *dx, int64_t frames,
                            double scale, int impossible)
{
    double *now = r->alphas, *next = r->alphas + r->wide;
    for (int64_t i = 1; i < FS_CTC_BEFORE + r->states; i++)
        now[i] = i == 1 ? 0.0 : r->elsewhere;
    for (int64_t t = 0; t < frames; t++) {
        const double sum = fs_ctc_see(a, r, x + t * a->classes);
        fs_ctc_forwards(r, next, now);
        for (int64_t c = 0; c < a->classes; c++)
            r->through[c] = 0.0;
        if (!impossible)
            fs_ctc_share(a, r, next, fs_ctc_beta(a, r, t + 1));
        for (int64_t c = 0; c < a->classes; c++)
            dx[t * a->classes + c] = fs_one_nan((float)(scale * (r->exps[c] / sum - r->through[c])));
        double *swapped = now;
        now = next;
        next = swapped;
    }
}

/* Why a row cannot be computed, where `exact` asks; 0 else. */
static int fs_ctc_fault(const fs_ctc_loss_args *a, const int32_t *labels, int64_t count, int64_t frames)
{
    if (count <= 0)
        return FS_CTC_NO_LABELS;
    if (frames > a->timesteps || count > a->longest)
        return FS_CTC_TOO_LONG;
    if (count > frames)
        return FS_CTC_NO_TIME;
    for (int64_t k = 0; k < count; k++)
        if (labels[k] < 0 || labels[k] >= a->classes || labels[k] == a->blank)
            return FS_CTC_NO_LABEL;
    return 0;
}

static int fs_ctc_is_finite(const float *x, int64_t count)
{
    int all = 1;
    for (int64_t i = 0; i < count; i++)
        all &= x[i] - x[i] == 0.0f;
    return all;
}

/* One row; 0, or why not. */
static int fs_ctc_one(const fs_ctc_loss_args *a, fs_ctc_row *r, int64_t row)
{
    const int32_t *labels = a->labels + row * a->longest;
    const int64_t count = a->label_lengths[row], size = a->timesteps * a->classes;
    const float *x = a->x + row * size;
    float *dx = a->dx ? a->dx + row * size : NULL;
    int64_t frames = a->lengths[row] < 0 ? 0 : a->lengths[row];
    const int fault = a->exact ? fs_ctc_fault(a, labels, count, frames) : 0;
    if (fault)
        return fault;
    frames = fs_smaller(frames, a->timesteps);
    const int finite = a->exact || fs_ctc_is_finite(x, size);
    if (finite) {
        fs_ctc_read_labels(a, r, labels);
        const double found = fs_ctc_backwards(a, r, x, frames, count);
        const int impossible = found < FS_CTC_NEVER / 2;
        if (a->y)
            a->y[row] = impossible ? __builtin_inff() : fs_one_nan((float)(-found * FS_LN2));
        if (dx)
            fs_ctc_gradient(a, r, x, dx, frames, (double)a->dy[row], impossible);
    } else if (a->y) {
        a->y[row] = __builtin_nanf("");
    }
    if (dx)
        for (int64_t i = finite ? frames * a->classes : 0; i < size; i++)
            dx[i] = finite ? 0.0f : __builtin_nanf("");
    return 0;
}

static int fs_ctc_loss(const fs_ctc_loss_args *a, const fs_share *share)
{
    const int64_t groups = fs_smaller(a->batch, a->groups);
    for (int64_t group = share->row_lo; group < share->row_hi; group++) {
        fs_ctc_row r = fs_ctc_row_of(a, group);
        for (int64_t row = a->batch * group / groups; row < a->batch * (group + 1) / groups; row++) {
            const int fault = fs_ctc_one(a, &r, row);
            if (fault) {
                share->failure->position = row;
                share->failure->value = fault;
                return 1;
            }
        }
    }
    return 0;
}
