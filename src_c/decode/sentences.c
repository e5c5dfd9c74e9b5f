/* Sentences of a worker: those that wait come in, those that have ended go out. */
#include "decode/worker.h"
#include <math.h>
#include <string.h>

void fs_take_sentences(fs_worker *w)
{
    const fs_decoding *d = w->d;
    while (w->group_count < w->most_groups) {
        int64_t sentence = __atomic_fetch_add(&w->run->next_sentence, 1, __ATOMIC_RELAXED);
        if (sentence >= d->rows)
            return;
        fs_group *group = &w->groups[w->group_count++];
        int64_t row = w->rows++;
        group->sentence = sentence;
        group->count = 1;
        group->nodes = 0;
        group->hypotheses[0] = (fs_hypothesis){.node = -1, .row = (int32_t)row};
        memcpy(w->tokens + row * d->window, d->prompts + sentence * d->window, (size_t)d->window * sizeof(int32_t));
        for (int64_t i = 0; i < d->carried_count; i++) {
            size_t bytes = (size_t)d->carried[i].bytes;
            memcpy(w->carried[i][0] + row * d->carried[i].bytes, d->carried[i].initial + sentence * d->carried[i].bytes,
                   bytes);
        }
    }
}

void fs_give_sentence(const fs_worker *w, const fs_group *group)
{
    const fs_decoding *d = w->d;
    int64_t width = fs_hypotheses_of(d), first = group->sentence * width;
    for (int64_t i = 0; i < width; i++) {
        const fs_hypothesis *h = &group->hypotheses[i];
        d->lengths[first + i] = i < group->count ? h->length : 0;
        if (d->scores)
            d->scores[first + i] = i < group->count ? (float)h->score : -INFINITY;
        if (d->width && i < group->count)
            for (int32_t node = h->node, at = h->length; at-- > 0; node = group->tree[node].parent)
                d->ids[(first + i) * d->max_length + at] = group->tree[node].token;
    }
}

/* Groups change places, and with them the memory of their hypotheses. */
void fs_drop_group(fs_worker *w, int64_t number)
{
    fs_group dropped = w->groups[number];
    w->groups[number] = w->groups[--w->group_count];
    w->groups[w->group_count] = dropped;
}

void fs_append_token(const fs_worker *w, int32_t *tokens, int64_t row, int32_t token)
{
    int64_t window = w->d->window;
    int32_t *own = tokens + row * window;
    memmove(own, own + 1, (size_t)(window - 1) * sizeof *own);
    own[window - 1] = token;
}
