/* What decodes the output of a model that was trained with connectionist temporal classification. Beam search (Graves
   et al. 2012) sums over all ways to write a prefix: its probability has a part of the ways that end with a blank, and
   one of those that end with its last label, and both are kept as logarithms to the base 2. */

/* What becomes of a prefix of the beam at the next frame: it may be pushed out by others, and then be barren. */
enum { FS_CTC_HELD, FS_CTC_PUSHED_OUT, FS_CTC_BARREN };

/* A prefix in the beam, or one that may get there. node: -1 where it has none yet; came: when it was found, which for
   those of the beam before is their place there. */
typedef struct {
    double total, blank, labelled;
    int32_t node, parent, label, came;
    int64_t fate;
} fs_ctc_prefix;
_Static_assert(sizeof(fs_ctc_prefix) == 6 * sizeof(double), "scratch is counted in doubles (abi/ops_ctc.h)");

/* Every prefix that ever was in the beam is a node of a tree, whose root is the empty one. */
typedef struct {
    int32_t *parent, *label, *child, *sibling, *place; /* of each node; place: in the beam, or -1 */
    int32_t count;
    fs_ctc_prefix *beam, *heap;
    int64_t size, held; /* of the two */
    double *exps, *logs;
    int32_t *longer; /* by class: the place in the beam of a prefix with this label more, or -1; lies in exps */
} fs_ctc_search;

static fs_ctc_search fs_ctc_search_of(const fs_ctc_decode_args *a, int64_t group)
{
    const int64_t nodes = a->timesteps * a->beams + 1;
    double *room = (double *)a->scratch + group * a->room;
    fs_ctc_search s = {.exps = room, .logs = room + a->deep};
    s.longer = (int32_t *)s.exps;
    s.beam = (fs_ctc_prefix *)(s.logs + a->deep);
    s.heap = s.beam + a->beams;
    s.parent = (int32_t *)(s.heap + a->beams);
    s.label = s.parent + nodes;
    s.child = s.label + nodes;
    s.sibling = s.child + nodes;
    s.place = s.sibling + nodes;
    for (int64_t i = 0; i < a->deep; i++)
        s.logs[i] = 0.0;
    return s;
}

static int32_t fs_ctc_new_node(fs_ctc_search *s, int32_t parent, int32_t label)
{
    const int32_t node = s->count++;
    s->parent[node] = parent;
    s->label[node] = label;
    s->child[node] = s->place[node] = -1;
    s->sibling[node] = parent < 0 ? -1 : s->child[parent];
    if (parent >= 0)
        s->child[parent] = node;
    return node;
}

static int32_t fs_ctc_child(const fs_ctc_search *s, int32_t parent, int32_t label)
{
    int32_t node = s->child[parent];
    while (node >= 0 && s->label[node] != label)
        node = s->sibling[node];
    return node;
}

/* log2(2^a + 2^b) */
static double fs_ctc_sum_of_two(double a, double b)
{
    return fs_ctc_first(fs_ctc_sum(vd_set1(a), vd_set1(b), vd_set1(FS_CTC_NEVER)));
}

/* Whether a prefix is behind another one: less probable, or as probable and later found. */
FS_INLINE int fs_ctc_is_behind(const fs_ctc_prefix *p, const fs_ctc_prefix *other)
{
    return p->total < other->total || (p->total == other->total && p->came > other->came);
}

/* Puts `p` into the heap, the last of all at its root, from place `at` downwards. */
static void fs_ctc_sink(fs_ctc_search *s, int64_t at, fs_ctc_prefix p)
{
    for (;;) {
        int64_t next = 2 * at + 1;
        if (next >= s->held)
            break;
        if (next + 1 < s->held && fs_ctc_is_behind(&s->heap[next + 1], &s->heap[next]))
            next++;
        if (!fs_ctc_is_behind(&s->heap[next], &p))
            break;
        s->heap[at] = s->heap[next];
        at = next;
    }
    s->heap[at] = p;
}

static void fs_ctc_push(fs_ctc_search *s, int64_t most, fs_ctc_prefix p)
{
    if (s->held == most) {
        if (s->heap[0].came < s->size)
            s->beam[s->heap[0].came].fate = FS_CTC_PUSHED_OUT;
        fs_ctc_sink(s, 0, p);
        return;
    }
    int64_t at = s->held++;
    for (; at > 0 && fs_ctc_is_behind(&p, &s->heap[(at - 1) / 2]); at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = p;
}

/* Whether a new prefix of this probability gets into the heap; not one that is as probable as the last. */
FS_INLINE int fs_ctc_gets_in(const fs_ctc_search *s, int64_t most, double total)
{
    return total > FS_CTC_NEVER / 2 && (s->held < most || total > s->heap[0].total);
}

/* A prefix of the beam one frame later, as it is. */
static fs_ctc_prefix fs_ctc_stays(const fs_ctc_decode_args *a, const fs_ctc_search *s, const fs_ctc_prefix *p)
{
    fs_ctc_prefix now = *p;
    if (p->parent >= 0) {
        const int32_t place = s->place[p->parent];
        double ways = p->labelled;
        if (place >= 0) {
            const fs_ctc_prefix *parent = &s->beam[place];
            ways = fs_ctc_sum_of_two(ways, parent->label == p->label ? parent->blank : parent->total);
        }
        now.labelled = ways + s->logs[p->label];
    }
    now.blank = p->total + s->logs[a->blank];
    now.total = fs_ctc_sum_of_two(now.blank, now.labelled);
    return now;
}

/* The heap's prefixes become the beam, the most probable first. */
static void fs_ctc_settle(fs_ctc_search *s)
{
    for (int64_t i = 0; i < s->size; i++)
        s->place[s->beam[i].node] = -1;
    s->size = s->held;
    while (s->held > 0) {
        fs_ctc_prefix p = s->heap[0];
        s->held--;
        fs_ctc_sink(s, 0, s->heap[s->held]);
        if (p.node < 0)
            p.node = fs_ctc_child(s, p.parent, p.label);
        if (p.node < 0)
            p.node = fs_ctc_new_node(s, p.parent, p.label);
        p.came = (int32_t)s->held;
        p.fate = FS_CTC_HELD;
        s->place[p.node] = (int32_t)s->held;
        s->beam[s->held] = p;
    }
}

/* A prefix of the beam with each label more. As in TensorFlow, a longer one that is in the beam and has been pushed out
   by then grows no more itself. */
static int32_t fs_ctc_grow(const fs_ctc_decode_args *a, fs_ctc_search *s, const fs_ctc_prefix *p, int32_t came)
{
    for (int32_t node = s->child[p->node]; node >= 0; node = s->sibling[node])
        s->longer[s->label[node]] = s->place[node];
    for (int64_t c = 0; c < a->classes; c++) {
        const int32_t longer = s->longer[c];
        const double total = s->logs[c] + (c == p->label ? p->blank : p->total);
        if (longer >= 0 && s->beam[longer].fate == FS_CTC_PUSHED_OUT)
            s->beam[longer].fate = FS_CTC_BARREN;
        if (longer >= 0 || c == a->blank || !fs_ctc_gets_in(s, a->beams, total))
            continue;
        const int32_t known = fs_ctc_child(s, p->node, (int32_t)c);
        fs_ctc_push(s, a->beams, (fs_ctc_prefix){total, FS_CTC_NEVER, total, known, p->node, (int32_t)c, came++, 0});
    }
    for (int32_t node = s->child[p->node]; node >= 0; node = s->sibling[node])
        s->longer[s->label[node]] = -1;
    return came;
}

/* One frame. */
static void fs_ctc_advance(const fs_ctc_decode_args *a, fs_ctc_search *s, const float *frame)
{
    fs_ctc_frame(frame, a->classes, s->exps, s->logs);
    for (int64_t c = 0; c < a->classes; c++)
        s->longer[c] = -1;
    s->held = 0;
    for (int64_t i = 0; i < s->size; i++)
        fs_ctc_push(s, a->beams, fs_ctc_stays(a, s, &s->beam[i]));
    int32_t came = (int32_t)s->size;
    for (int64_t i = 0; i < s->size; i++) {
        if (!fs_ctc_gets_in(s, a->beams, s->beam[i].total))
            break; /* what it grows to is less probable yet, and so are the next ones */
        if (s->beam[i].fate != FS_CTC_BARREN)
            came = fs_ctc_grow(a, s, &s->beam[i], came);
    }
    fs_ctc_settle(s);
}

/* Writes `count` labels, the last one first, as a path of `timesteps`. */
static void fs_ctc_write(const fs_ctc_decode_args *a, const fs_ctc_search *s, int32_t node, int32_t *path)
{
    int64_t count = 0;
    for (int32_t label = -1; s->parent[node] >= 0; label = s->label[node], node = s->parent[node])
        if (!a->merges || s->label[node] != label)
            path[count++] = s->label[node];
    for (int64_t i = 0; i < count / 2; i++) {
        const int32_t swapped = path[i];
        path[i] = path[count - 1 - i];
        path[count - 1 - i] = swapped;
    }
    for (int64_t i = count; i < a->timesteps; i++)
        path[i] = -1;
}

static int fs_ctc_search_row(const fs_ctc_decode_args *a, fs_ctc_search *s, int64_t row, int64_t frames)
{
    s->count = 0;
    s->size = 1;
    s->beam[0] = (fs_ctc_prefix){0.0, 0.0, FS_CTC_NEVER, fs_ctc_new_node(s, -1, -1), -1, -1, 0, FS_CTC_HELD};
    s->place[0] = 0;
    for (int64_t t = 0; t < frames; t++)
        fs_ctc_advance(a, s, a->x + (row * a->timesteps + t) * a->classes);
    if (s->size < a->top)
        return FS_CTC_FEW_PATHS;
    for (int64_t i = 0; i < a->top; i++) {
        fs_ctc_write(a, s, s->beam[i].node, a->paths + (i * a->batch + row) * a->timesteps);
        a->scores[row * a->top + i] = fs_one_nan((float)(s->beam[i].total * FS_LN2));
    }
    return 0;
}

/* The largest logit of each frame. */
static void fs_ctc_best_row(const fs_ctc_decode_args *a, int64_t row, int64_t frames)
{
    int32_t *path = a->paths + row * a->timesteps;
    int64_t count = 0, before = -1;
    double sum = 0.0;
    for (int64_t t = 0; t < frames; t++) {
        const float *x = a->x + (row * a->timesteps + t) * a->classes;
        int64_t best = 0;
        for (int64_t c = 1; c < a->classes; c++)
            best = x[c] > x[best] ? c : best;
        sum -= (double)x[best];
        if (best != a->blank && !(a->merges && best == before))
            path[count++] = (int32_t)best;
        before = best;
    }
    for (int64_t i = count; i < a->timesteps; i++)
        path[i] = -1;
    a->scores[row] = fs_one_nan((float)sum);
}

static int fs_ctc_decode(const fs_ctc_decode_args *a, const fs_share *share)
{
    const int64_t groups = fs_smaller(a->batch, a->groups);
    for (int64_t group = share->row_lo; group < share->row_hi; group++)
        for (int64_t row = a->batch * group / groups; row < a->batch * (group + 1) / groups; row++) {
            const int64_t frames = a->lengths[row] < 0 ? 0 : a->lengths[row];
            int fault = frames > a->timesteps ? FS_CTC_TOO_LONG : 0;
            if (!fault && a->beams) {
                fs_ctc_search s = fs_ctc_search_of(a, group);
                fault = fs_ctc_search_row(a, &s, row, frames);
            } else if (!fault) {
                fs_ctc_best_row(a, row, frames);
            }
            if (fault) {
                share->failure->position = row;
                share->failure->value = fault;
                return 1;
            }
        }
    return 0;
}
