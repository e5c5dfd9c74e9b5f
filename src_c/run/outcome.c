/* What fails in steps that threads share. */
#include "run/outcome.h"
#include <sched.h>

void fs_note_failure(fs_outcome *outcome, int64_t step, const fs_failure *failure)
{
    while (__atomic_exchange_n(&outcome->lock, 1, __ATOMIC_ACQUIRE))
        sched_yield();
    if (!outcome->failed || failure->position < outcome->failure->position) {
        *outcome->failure = *failure;
        outcome->failure->step = step;
    }
    __atomic_store_n(&outcome->failed, step + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&outcome->lock, 0, __ATOMIC_RELEASE);
}
