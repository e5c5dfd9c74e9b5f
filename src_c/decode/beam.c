/* Beam search. At every step a hypothesis that goes on offers its best tokens, and one that has ended offers itself;
   the best `width` of all offers stay. The rows of those that go on are gathered from the rows of their parents. */
#include "decode/worker.h"
#include <math.h>
#include <string.h>

/* Wu et al. 2016, arXiv:1609.08144, equation 14. */
static double penalty(const fs_decoding *d, int64_t length)
{
    return d->length_penalty == 0.0f ? 1.0 : pow((5.0 + (double)length) / 6.0, (double)d->length_penalty);
}

/* Puts `one` among the best `width`, behind its equals; 0 where it is not one of them. */
static int keep_candidate(fs_worker *w, int64_t *count, fs_candidate one)
{
    int64_t at = *count;
    while (at > 0 && w->candidates[at - 1].score < one.score)
        at--;
    if (at == w->d->width)
        return 0;
    int64_t last = *count < w->d->width ? (*count)++ : w->d->width - 1;
    memmove(w->candidates + at + 1, w->candidates + at, (size_t)(last - at) * sizeof one);
    w->candidates[at] = one;
    return 1;
}

/* The group's next hypotheses; those that go on get the rows from *rows on. */
static void advance_group(fs_worker *w, fs_group *group, fs_hypothesis *old, int64_t *rows)
{
    const fs_decoding *d = w->d;
    int64_t offers = fs_offers_of(d), count = 0;
    for (int64_t i = 0; i < group->count; i++) {
        const fs_hypothesis *h = &group->hypotheses[i];
        if (h->row < 0) {
            keep_candidate(w, &count, (fs_candidate){h->score, h->total, (int32_t)i, -1});
            continue;
        }
        double divisor = penalty(d, h->length + 1);
        for (int64_t j = 0; j < offers; j++) {
            double total = h->total + (double)w->log_probs[h->row * offers + j];
            fs_candidate one = {total / divisor, total, (int32_t)i, w->best[h->row * offers + j]};
            if (!keep_candidate(w, &count, one))
                break; /* the row's others are no better */
        }
    }
    memcpy(old, group->hypotheses, (size_t)group->count * sizeof *old);
    for (int64_t i = 0; i < count; i++) {
        const fs_candidate *one = &w->candidates[i];
        fs_hypothesis *h = &group->hypotheses[i];
        *h = old[one->from];
        if (one->token < 0)
            continue;
        group->tree[group->nodes] = (fs_node){h->node, one->token};
        h->node = (int32_t)group->nodes++;
        h->length++;
        h->total = one->total;
        h->score = one->score;
        if (one->token == d->end || h->length == d->max_length) {
            h->row = -1;
            continue;
        }
        w->parents[*rows] = h->row;
        w->chosen[*rows] = one->token;
        h->row = (int32_t)(*rows)++;
    }
    group->count = count;
}

static int has_ended(const fs_group *group)
{
    for (int64_t i = 0; i < group->count; i++)
        if (group->hypotheses[i].row >= 0)
            return 0;
    return 1;
}

void fs_advance_groups(fs_worker *w, fs_hypothesis *old)
{
    const fs_decoding *d = w->d;
    int64_t rows = 0;
    for (int64_t i = 0; i < w->group_count; i++)
        advance_group(w, &w->groups[i], old, &rows);
    for (int64_t i = 0; i < w->group_count;) {
        if (!has_ended(&w->groups[i])) {
            i++;
            continue;
        }
        fs_give_sentence(w, &w->groups[i]);
        fs_drop_group(w, i);
    }
    /* A state that the step left goes back to where it reads; what stays goes to the other side and comes in there. */
    for (int64_t i = 0; i < d->carried_count; i++) {
        int left = d->carried[i].out >= 0;
        int64_t bytes = d->carried[i].bytes;
        char *from = w->carried[i][left], *to = w->carried[i][!left];
        for (int64_t row = 0; row < rows; row++)
            memcpy(to + row * bytes, from + w->parents[row] * bytes, (size_t)bytes);
        w->carried[i][0] = to;
        w->carried[i][1] = from;
    }
    for (int64_t row = 0; row < rows; row++) {
        memcpy(w->tokens_next + row * d->window, w->tokens + w->parents[row] * d->window,
               (size_t)d->window * sizeof(int32_t));
        fs_append_token(w, w->tokens_next, row, w->chosen[row]);
    }
    int32_t *read = w->tokens;
    w->tokens = w->tokens_next;
    w->tokens_next = read;
    w->rows = rows;
}
