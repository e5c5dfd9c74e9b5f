/* Runs the steps of a program, each on as many threads as pay: one parallel region per step, however many timesteps it
   has. */
#include "run/steps.h"
#include "run/extents.h"
#include "run/kernel_table.h"
#include "run/outcome.h"
#include "run/plan.h"
#include "run/region.h"
#include "threads/clock.h"
#include "threads/meeting.h"
#include "threads/stress.h"

/* Threads [first, first + count) of a region work on one step. */
typedef struct {
    const fs_step *step;
    fs_kernel_fn kernel;
    fs_extent extent;
    fs_barrier barrier;
} fs_job;

typedef struct {
    fs_job jobs[2];
    int job_count;
    int64_t number; /* of the first job's step */
    fs_outcome outcome;
    fs_watch *watch; /* null: nothing stops it */
    int polls;       /* thread 0 asks */
} fs_region;

static __attribute__((noinline)) int run_watched(const fs_job *job, const fs_share *share)
{
    if (job->extent.rows == 1 || fs_looks_itself(job->step->op))
        return job->kernel(job->step->args, share);
    double rows = FS_WORK_PER_LOOK / (job->extent.row_work > 1 ? job->extent.row_work : 1);
    int64_t at_once = rows < 64 ? (int64_t)rows + 1 : (int64_t)rows / 64 * 64;
    fs_share piece = *share;
    for (int64_t row = share->row_lo; row < share->row_hi; row += at_once) {
        piece.row_lo = row;
        piece.row_hi = share->row_hi - row < at_once ? share->row_hi : row + at_once;
        int status = job->kernel(job->step->args, &piece);
        if (status || fs_look(share->watch, share->polls))
            return status;
    }
    return 0;
}

static void run_share(fs_region *region, int number, int thread, int threads, int polls)
{
    fs_job *job = &region->jobs[number];
    fs_failure failure;
    fs_share share = {.failure = &failure, .watch = region->watch, .polls = polls};
    fs_take_part(&share, &job->extent, &job->barrier, thread, threads);
    if (share.watch ? run_watched(job, &share) : job->kernel(job->step->args, &share))
        fs_note_failure(&region->outcome, region->number + number, &failure);
}

static void run_jobs(fs_region *region, int thread, int threads)
{
    int polls = region->watch && region->polls && thread == 0;
    if (region->job_count == 1) {
        if (region->jobs[0].extent.by_units)
            fs_barrier_of(&region->jobs[0].barrier, threads);
        run_share(region, 0, thread, threads, polls);
        return;
    }
    /* Two jobs: the first half of the threads takes one, the rest the other; a thread alone does both in turn. */
    int half = threads / 2;
    for (int i = 0; i < 2; i++) {
        int count = half == 0 ? 1 : i == 0 ? half : threads - half;
        int own = half == 0 ? 0 : i == 0 ? thread : thread - half;
        if (own < 0 || own >= count)
            continue;
        fs_barrier_of(&region->jobs[i].barrier, count);
        run_share(region, i, own, count, polls);
    }
}

static void region_body(void *context, int thread, int threads)
{
    fs_stress_pause(4);
    run_jobs(context, thread, threads);
}

/* Measures what a meeting costs, where that is due, with as many threads as the step might use; for a step that is too
   small for several threads it measures nothing. */
static void measure_meeting(const fs_extent *extent, int threads)
{
    int most = fs_threads_for(extent, threads, FS_LEAST_MEETING_NS);
    int64_t now = most > 1 ? fs_now_ns() : 0;
    if (most > 1 && fs_meeting_due(now))
        fs_measure_meeting(most, now);
}

/* begun: whether `watch` has begun; else it begins with the first step that is watched (reading the floating-point mode
   takes 25 ns, a tenth of a small call). */
static __attribute__((noinline)) int run_steps(const fs_step *steps, int64_t count, int threads,
                                                           fs_watch *watch, int begun, int polls, fs_failure *failure)
{
    const fs_kernel_fn *kernels = fs_kernels_now();
    double work = 0;
    for (int64_t i = 0; i < count; i++) {
        /* The jobs, 256 bytes, get their values below, one by one: setting all of them to 0 first took 6 ns. */
        fs_region region;
        region.job_count = steps[i].with_next ? 2 : 1;
        region.number = i;
        region.outcome = (fs_outcome){.failure = failure};
        region.watch = NULL;
        int wanted = 0;
        double before = work;
        for (int j = 0; j < region.job_count; j++) {
            fs_job *job = &region.jobs[j];
            int share = region.job_count == 2 && threads > 1 ? threads / 2 : threads;
            job->step = &steps[i + j];
            job->kernel = kernels[job->step->op];
            fs_extent_of(job->step->op, job->step->args, share, &job->extent);
            if (job->extent.meets && share > 1)
                measure_meeting(&job->extent, share);
            wanted += fs_threads_for(&job->extent, share, fs_meeting_ns());
            work += (double)job->extent.rows * job->extent.row_work;
        }
        if (__builtin_expect(work > FS_WATCHED_WORK, 0) && watch) {
            if (!begun)
                fs_watch_begin(watch);
            begun = 1;
            if (fs_look(watch, polls))
                return FS_INTERRUPTED;
            region.watch = watch;
            region.polls = polls;
        }
        if (region.job_count == 2 && (threads < 2 || !fs_worth_a_thread(&region.jobs[0].extent)))
            wanted = 1;
        for (int j = 0; wanted > 1 && j < region.job_count; j++)
            region.jobs[j].barrier = (fs_barrier){0};
        if (wanted <= 1 || !fs_run_region(region_body, &region, wanted, work - before, region.watch, polls))
            run_jobs(&region, 0, 1);
        /* First: an exception of Python's is waiting. */
        if (region.watch && __atomic_load_n(&watch->stop, __ATOMIC_RELAXED))
            return FS_INTERRUPTED;
        if (region.outcome.failed)
            return FS_FAILED;
        i += region.job_count - 1;
    }
    return FS_DONE;
}

int fs_run_watched(const fs_step *steps, int64_t count, int threads, fs_watch *watch, int polls, fs_failure *failure)
{
    return run_steps(steps, count, threads, watch, 1, polls, failure);
}

int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure)
{
    fs_watch watch;
    return run_steps(steps, count, threads, &watch, 0, 1, failure);
}

void fs_run_to_end(const fs_step *steps, int64_t count, int threads)
{
    fs_failure failure;
    run_steps(steps, count, threads, NULL, 1, 0, &failure);
}
