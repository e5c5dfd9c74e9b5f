/* What decode.c, sentences.c and beam.c share: a thread's batch of rows. */
#ifndef FS_WORKER_H
#define FS_WORKER_H
#include "decode/slide.h"

typedef struct {
    int32_t parent, token;
} fs_node; /* of a group's tree of tokens */

typedef struct {
    double total;   /* sum of log-probabilities */
    double score;   /* the same with the length penalty */
    int32_t length, node;
    int32_t row;    /* where its state is, -1 once it has ended */
} fs_hypothesis;

/* A sentence and its hypotheses; without a beam, one. */
typedef struct {
    int64_t sentence;
    int64_t count, nodes;
    fs_hypothesis *hypotheses; /* (width,) */
    fs_node *tree;             /* (width * max_length,), of a beam */
} fs_group;

typedef struct {
    double score, total;
    int32_t from, token; /* hypothesis of the step before; -1 for one that had ended and stays */
} fs_candidate;

typedef struct fs_decoding_run fs_decoding_run;

typedef struct {
    fs_decoding_run *run;
    const fs_decoding *d;
    const fs_rows_worker *own;
    fs_slide *slide;
    fs_runner runner;
    int failed_in_first; /* the step that failed is one of d->sliding */
    int64_t rows, group_count, most_groups;
    fs_group *groups;
    char *(*carried)[2];      /* (carried_count,): what the step reads, and where it writes */
    int32_t *tokens, *tokens_next; /* (capacity, window) */
    char *values;             /* (capacity, vocabulary) floats */
    int32_t *best;            /* (capacity, most) */
    float *log_probs;         /* (capacity, most) */
    uint64_t *keys;           /* (capacity,) */
    float *scratch;           /* (3 vocabulary,) */
    int32_t *parents, *chosen; /* (capacity,): for each row of the next batch its row in this one, and its token */
    fs_candidate *candidates; /* (width,) */
} fs_worker;

struct fs_decoding_run {
    fs_decoding *d;
    int64_t next_sentence, working;
    int status;
    fs_watch watch;
    fs_team *team; /* of threads that run the steps of the only worker together, or null */
};

static inline int64_t fs_hypotheses_of(const fs_decoding *d) { return d->width ? d->width : 1; }
/* Tokens that a row offers: all that matters of a beam, and no more than there are. */
static inline int64_t fs_offers_of(const fs_decoding *d)
{
    int64_t most = fs_hypotheses_of(d);
    return most < d->vocabulary ? most : d->vocabulary;
}

/* Takes sentences that wait, while there is room for all the rows that they may come to. */
void fs_take_sentences(fs_worker *w);
/* Writes the results of a sentence that has ended. */
void fs_give_sentence(const fs_worker *w, const fs_group *group);
/* The last group takes the place of one that has ended. */
void fs_drop_group(fs_worker *w, int64_t number);
/* tokens (capacity, window): the row's window moves on by a token. */
void fs_append_token(const fs_worker *w, int32_t *tokens, int64_t row, int32_t token);

/* A step of a beam: from what each row offers to the next rows. old (width,): room for a group's hypotheses. */
void fs_advance_groups(fs_worker *w, fs_hypothesis *old);
#endif
