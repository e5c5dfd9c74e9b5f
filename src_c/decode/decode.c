/* Decoding: the model's step, choices, ends and states of all rows in one call.

   Rows do not depend on each other, so each thread decodes a batch of rows of its own and takes the next row that waits
   where one has ended: no thread waits for another one, and no step is spent on a row that has ended. A row has the
   same bits whatever other rows are in the batch, as in every kernel. */
#include "decode/worker.h"
#include "run/extents.h"
#include "threads/clock.h"
#include "threads/parallel.h"
#include "threads/stress.h"
#include "threads/turns.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- memory: one block for each worker ---- */

static void *take(char **at, int64_t bytes)
{
    char *memory = *at;
    if (*at)
        *at += (bytes + 63) / 64 * 64;
    return memory;
}

/* Lays the worker's arrays into `memory`; with null only the size counts. */
static int64_t lay_out(fs_worker *w, char *memory)
{
    const fs_decoding *d = w->d;
    int64_t rows = d->capacity, width = fs_hypotheses_of(d), offers = fs_offers_of(d), size = 0;
    char *at = memory;
#define FS_TAKE(target, count)                                                                                         \
    do {                                                                                                               \
        int64_t bytes = (int64_t)(count) * (int64_t)sizeof *(target);                                                  \
        (target) = take(&at, bytes);                                                                                   \
        size += (bytes + 63) / 64 * 64;                                                                                \
    } while (0)
    w->most_groups = rows / width;
    FS_TAKE(w->carried, d->carried_count);
    for (int64_t i = 0; i < d->carried_count; i++)
        for (int side = 0; side < 2; side++) {
            char *array;
            FS_TAKE(array, rows * d->carried[i].bytes);
            if (memory)
                w->carried[i][side] = array;
        }
    FS_TAKE(w->tokens, rows * d->window);
    FS_TAKE(w->tokens_next, rows * d->window);
    FS_TAKE(w->values, rows * d->vocabulary * (int64_t)sizeof(float));
    FS_TAKE(w->best, rows * offers);
    FS_TAKE(w->log_probs, rows * offers);
    FS_TAKE(w->keys, rows);
    FS_TAKE(w->scratch, 3 * d->vocabulary);
    FS_TAKE(w->parents, rows);
    FS_TAKE(w->chosen, rows);
    FS_TAKE(w->candidates, width);
    FS_TAKE(w->groups, w->most_groups);
    for (int64_t i = 0; i < w->most_groups; i++) {
        fs_hypothesis *hypotheses;
        fs_node *tree;
        FS_TAKE(hypotheses, width);
        FS_TAKE(tree, d->width ? width * d->max_length : 0);
        if (memory) {
            w->groups[i].hypotheses = hypotheses;
            w->groups[i].tree = tree;
        }
    }
#undef FS_TAKE
    return size;
}

/* ---- a step: the model, and what each row offers ---- */

static int decoding_status(int status)
{
    return status == FS_DONE ? FS_DECODED : status == FS_FAILED ? FS_DECODING_STEP_FAILED : FS_DECODING_STOPPED;
}

static int run_model(fs_worker *w, fs_failure *failure)
{
    const fs_decoding *d = w->d;
    const fs_rows_worker *own = w->own;
    if (w->slide) {
        int fresh = w->groups[0].hypotheses[0].length == 0;
        int status = fs_slide_feed(w->slide, w->tokens, fresh, own->data, failure);
        w->failed_in_first = status == FS_FAILED;
        if (status != FS_DONE)
            return decoding_status(status);
    }
    for (int64_t i = 0; i < d->carried_count; i++) {
        own->data[d->carried[i].in] = w->carried[i][0];
        if (d->carried[i].out >= 0)
            own->data[d->carried[i].out] = w->carried[i][1];
    }
    own->data[d->tokens_in] = (char *)w->tokens;
    own->data[d->values_out] = w->values;
    int status = d->run ? d->run(d->context, failure) : fs_run_rows(&d->step, own, w->rows, &w->runner, failure);
    if (d->run && fs_orphaned(&w->run->watch))
        status = FS_INTERRUPTED;
    return decoding_status(status);
}

static int choose(fs_worker *w, fs_failure *failure)
{
    const fs_decoding *d = w->d;
    for (int64_t i = 0; i < w->group_count && d->draw; i++) {
        const fs_hypothesis *h = &w->groups[i].hypotheses[0];
        w->keys[h->row] = d->seeds[w->groups[i].sentence] + (uint64_t)(h->length + 1) * 0x9E3779B97F4A7C15ull;
    }
    fs_choice_args choice = {
        .x = (const float *)w->values, .keys = w->keys, .ids = w->best, .log_probs = d->scores ? w->log_probs : NULL,
        .scratch = w->scratch, .rows = w->rows, .n = d->vocabulary, .best = fs_offers_of(d),
        .kind = d->draw ? FS_CHOICE_DRAW : FS_CHOICE_BEST, .probabilities = d->probabilities, .top_k = d->top_k,
        .temperature = d->temperature, .top_p = d->top_p,
    };
    fs_share share = {.row_lo = 0, .row_hi = w->rows, .unit_lo = 0, .unit_hi = 1, .failure = failure};
    if (!fs_kernels_now()[FS_OP_CHOICE](&choice, &share))
        return FS_DECODED;
    for (int64_t i = 0; i < w->group_count; i++)
        for (int64_t j = 0; j < w->groups[i].count; j++)
            if (w->groups[i].hypotheses[j].row == failure->position) {
                failure->value = w->groups[i].hypotheses[j].length;
                failure->position = w->groups[i].sentence;
                return FS_DECODING_NO_CHOICE;
            }
    return FS_DECODING_NO_CHOICE;
}

/* ---- one token for each row ---- */

/* What the step left becomes what the next one reads. */
static void swap_states(fs_worker *w)
{
    for (int64_t i = 0; i < w->d->carried_count; i++)
        if (w->d->carried[i].out >= 0) {
            char *read = w->carried[i][0];
            w->carried[i][0] = w->carried[i][1];
            w->carried[i][1] = read;
        }
}

/* Without a beam a row and its group have the same number. The last row takes the place of one that has ended. */
static void advance_rows(fs_worker *w)
{
    const fs_decoding *d = w->d;
    swap_states(w);
    for (int64_t row = 0; row < w->rows; row++)
        w->chosen[row] = w->best[row];
    for (int64_t row = 0; row < w->rows;) {
        fs_group *group = &w->groups[row];
        fs_hypothesis *h = &group->hypotheses[0];
        int32_t token = w->chosen[row];
        d->ids[group->sentence * d->max_length + h->length++] = token;
        if (d->scores)
            h->score += w->log_probs[row];
        if (token != d->end && h->length < d->max_length) {
            fs_append_token(w, w->tokens, row++, token);
            continue;
        }
        fs_give_sentence(w, group);
        fs_drop_group(w, row);
        int64_t last = --w->rows;
        if (row == last)
            break;
        w->groups[row].hypotheses[0].row = (int32_t)row;
        w->chosen[row] = w->chosen[last];
        w->log_probs[row] = w->log_probs[last];
        memcpy(w->tokens + row * d->window, w->tokens + last * d->window, (size_t)d->window * sizeof(int32_t));
        for (int64_t i = 0; i < d->carried_count; i++) {
            int64_t bytes = d->carried[i].bytes;
            memcpy(w->carried[i][0] + row * bytes, w->carried[i][0] + last * bytes, (size_t)bytes);
        }
    }
}

/* ---- the loop ---- */

/* The first status other than FS_DECODED is the call's, with its failure. */
static void report(fs_decoding_run *run, int status, const fs_failure *failure, int in_first)
{
    int none = FS_DECODED;
    if (__atomic_compare_exchange_n(&run->status, &none, status, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        run->d->failure = *failure;
        run->d->in_first = status == FS_DECODING_STEP_FAILED && in_first;
    }
}

static void decode_rows(fs_worker *w, fs_hypothesis *old)
{
    fs_failure failure = {0};
    for (;;) {
        fs_stress_pause(4);
        fs_take_sentences(w);
        if (w->rows == 0 || __atomic_load_n(&w->run->status, __ATOMIC_RELAXED))
            return;
        int status = run_model(w, &failure);
        if (status == FS_DECODED)
            status = choose(w, &failure);
        if (status == FS_DECODED && fs_look(&w->run->watch, w->runner.polls))
            status = FS_DECODING_STOPPED;
        if (status) {
            report(w->run, status, &failure, w->failed_in_first);
            return;
        }
        if (w->d->width)
            fs_advance_groups(w, old);
        else
            advance_rows(w);
    }
}

/* The calling thread listens for an interrupt while others are still at work. */
static void wait_for_others(fs_decoding_run *run)
{
    fs_failure none = {0};
    for (int spins = 0; __atomic_load_n(&run->working, __ATOMIC_ACQUIRE) > 0; spins++) {
        if (fs_orphaned(&run->watch))
            return;
        if (fs_look(&run->watch, 1))
            report(run, FS_DECODING_STOPPED, &none, 0);
        if (spins > 100000) /* some ms */
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

static void run_worker(fs_decoding_run *run, int number)
{
    fs_decoding *d = run->d;
    fs_worker w = {.run = run, .d = d, .own = &d->workers[number],
                   .runner = {run->team, &run->watch, number == 0}};
    fs_hypothesis *old = malloc((size_t)fs_hypotheses_of(d) * sizeof *old);
    char *memory = aligned_alloc(64, (size_t)lay_out(&w, NULL) + 64);
    w.slide = d->sliding ? fs_slide_new(d, number, &w.runner) : NULL;
    if (memory && old && (w.slide || d->sliding == NULL)) {
        memset(memory, 0, (size_t)lay_out(&w, NULL));
        lay_out(&w, memory);
        decode_rows(&w, old);
    } else {
        report(run, FS_DECODING_NO_MEMORY, &(fs_failure){0}, 0);
    }
    fs_slide_free(w.slide);
    free(memory);
    free(old);
}

static void worker_body(void *context, int thread, int threads)
{
    fs_decoding_run *run = context;
    if (thread == 0)
        fs_watch_threads(&run->watch, threads);
    __atomic_add_fetch(&run->working, 1, __ATOMIC_ACQ_REL);
    run_worker(run, thread);
    __atomic_sub_fetch(&run->working, 1, __ATOMIC_ACQ_REL);
    if (thread > 0)
        return;
    if (threads > 1)
        wait_for_others(run);
    fs_leave_orphaned(&run->watch);
}

static void team_body(void *context, int thread, int threads)
{
    fs_decoding_run *run = context;
    if (thread > 0) {
        fs_team_follow(run->team, thread, threads);
        return;
    }
    fs_watch_threads(&run->watch, threads);
    fs_team_begin(run->team, threads);
    run_worker(run, 0);
    fs_leave_orphaned(&run->watch);
    fs_team_end(run->team);
}

/* Multiply-adds of a program for all the rows that it was made for. */
static double work_of(const fs_rows_program *program, const fs_rows_worker *worker)
{
    double work = 0;
    for (int64_t i = 0; i < program->step_count; i++) {
        fs_extent extent;
        fs_extent_of(worker->steps[i].op, worker->steps[i].args, 1, &extent);
        work += (double)extent.rows * extent.row_work;
    }
    return work;
}

/* Multiply-adds of the whole call, where each sentence goes to its full length. */
static double work_of_call(const fs_decoding *d)
{
    double tokens = (double)(d->rows * (d->width ? d->width : 1) * d->max_length);
    double of_token = work_of(&d->step, d->workers) / (double)d->capacity;
    if (d->sliding)
        of_token += work_of(&d->sliding->first, d->sliding->workers);
    return tokens * of_token;
}

int fs_decode(fs_decoding *decoding)
{
    fs_decoding_run run = {.d = decoding};
    fs_team team = {0};
    fs_watch_begin(&run.watch);
    /* Where the step is run by others, only what comes before it is a team's work. */
    int in_team = decoding->step_threads > 1 && (decoding->run == NULL || decoding->sliding);
    int threads = (int)(in_team ? decoding->step_threads : decoding->worker_count);
    /* What a step in Python has to do nobody knows here. */
    int may_take_turns = threads > 1 && decoding->run == NULL;
    int64_t began = may_take_turns ? fs_now_ns() : 0;
    double work = may_take_turns ? work_of_call(decoding) : 0;
    if (may_take_turns && fs_threads_take_turns(work, began)) {
        in_team = may_take_turns = 0;
        threads = 1; /* the first worker takes all sentences */
    }
    run.team = in_team ? &team : NULL;
    fs_watch_region(&run.watch, threads, in_team ? team_body : worker_body, &run);
    if (may_take_turns)
        fs_note_region(work, began);
    return run.status;
}
