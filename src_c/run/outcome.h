/* Of steps that threads share: which failed, and where first, whoever came first. */
#ifndef FS_OUTCOME_H
#define FS_OUTCOME_H
#include "abi/fastseq.h"

typedef struct {
    fs_failure *failure;
    int64_t failed; /* number of the step, from 1; 0: none */
    int lock;
} fs_outcome;

void fs_note_failure(fs_outcome *outcome, int64_t step, const fs_failure *failure);

static inline int64_t fs_failed_step(const fs_outcome *outcome)
{
    return __atomic_load_n(&outcome->failed, __ATOMIC_RELAXED);
}
#endif
