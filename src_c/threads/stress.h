/* Pauses that tests put between what threads do (FASTSEQ_TEST_BUILD=stress): a build for people has none. */
#ifndef FS_STRESS_H
#define FS_STRESS_H

#ifdef FS_STRESS
/* One of so many calls sleeps, up to 0.2 ms. */
void fs_stress_pause(int one_of);
#else
#define fs_stress_pause(one_of) ((void)0)
#endif
#endif
