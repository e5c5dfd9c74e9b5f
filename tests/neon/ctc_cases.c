/* Connectionist temporal classification: the loss, its gradient, and what decodes. */
#include "harness.h"

enum { BATCH = 3, TIMESTEPS = 12 };

/* Labels with repeats, and lengths of all kinds: none, more than there are, none that can be reached. */
static fs_ctc_loss_args loss_of(int64_t classes, int64_t longest, int64_t blank, int exact, int odd)
{
    static const int32_t label_lengths[][BATCH] = {{2, 0, 9}, {2, 1, 3}}, lengths[][BATCH] = {{12, 5, 3}, {12, 5, 9}};
    const int64_t wide = 2 * longest + 1 + FS_CTC_PAD, deep = classes + FS_CTC_PAD;
    fs_ctc_loss_args a = {.batch = BATCH, .timesteps = TIMESTEPS, .classes = classes, .longest = longest,
                          .blank = blank, .exact = exact, .groups = 2, .wide = wide, .deep = deep};
    a.x = odd ? odd_floats_in(BATCH * TIMESTEPS * classes) : floats_in(BATCH * TIMESTEPS * classes, 4.0f);
    int32_t *labels = ints_in(BATCH * longest, (int32_t)classes - 1);
    for (int64_t i = 0; i < BATCH * longest; i++)
        labels[i] = i % 3 == 1 ? labels[i - 1] : labels[i] + (blank == 0);
    a.labels = labels;
    a.label_lengths = label_lengths[exact];
    a.lengths = lengths[exact];
    a.scratch = scratch(2 * 2 * ((TIMESTEPS + 7) * wide + 3 * deep));
    return a;
}

static void losses(void)
{
    static const int64_t sizes[][2] = {{4, 3}, {23, 9}, {70, 40}};
    for (int i = 0; i < COUNT_OF(sizes); i++)
        for (int exact = 0; exact < 2; exact++)
            for (int odd = 0; odd < 2; odd++) {
                const int64_t classes = sizes[i][0], longest = sizes[i][1], blank = exact ? classes - 1 : i;
                begin("classes%d-exact%d-odd%d", (int)classes, exact, odd);
                fs_ctc_loss_args a = loss_of(classes, longest, blank, exact, odd);
                a.y = floats_out(BATCH);
                finish(FS_OP_CTC_LOSS, &a, 2);
                begin("classes%d-exact%d-odd%d-gradient", (int)classes, exact, odd);
                a = loss_of(classes, longest, blank, exact, odd);
                a.dy = floats_in(BATCH, 1.0f);
                a.dx = floats_out(BATCH * TIMESTEPS * classes);
                finish(FS_OP_CTC_LOSS, &a, 2);
            }
}

void ctc_cases(void)
{
    losses();
    static const int32_t lengths[BATCH] = {12, 5, 1}, too_long[BATCH] = {12, 13, 1};
    static const int64_t cases[][4] = {{5, 0, 1, 1}, {5, 0, 1, 0}, {40, 0, 1, 1}, {5, 4, 1, 0},
                                       {5, 30, 4, 1}, {40, 20, 3, 0}, {3, 9, 9, 0}}; /* which has less paths */
    for (int i = 0; i < COUNT_OF(cases); i++)
        for (int odd = 0; odd < 3; odd++) {
            const int64_t classes = cases[i][0], beams = cases[i][1], top = cases[i][2], merges = cases[i][3];
            const int64_t deep = classes + FS_CTC_PAD;
            const int64_t room = 2 * deep + 12 * beams + (5 * (TIMESTEPS * beams + 1) + 1) / 2;
            begin("classes%d-beams%d-top%d-merges%d-odd%d", (int)classes, (int)beams, (int)top, (int)merges, odd);
            fs_ctc_decode_args a = {.lengths = odd == 2 ? too_long : lengths, .batch = BATCH, .timesteps = TIMESTEPS,
                                    .classes = classes, .blank = classes / 2, .beams = beams, .top = top,
                                    .merges = merges, .groups = 2, .deep = deep, .room = room};
            a.x = odd == 1 ? odd_floats_in(BATCH * TIMESTEPS * classes)
                           : floats_in(BATCH * TIMESTEPS * classes, 3.0f);
            a.scratch = scratch(2 * 2 * room);
            a.paths = ints_out(top * BATCH * TIMESTEPS);
            a.scores = floats_out(BATCH * top);
            finish(FS_OP_CTC_DECODE, &a, 1);
        }
}
