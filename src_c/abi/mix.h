/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014), which makes random numbers of counters: every kernel that
   draws uses it, and fastseq/decoding/arguments.py does the same in NumPy. */
#ifndef FS_MIX_H
#define FS_MIX_H
#include <stdint.h>

static inline uint64_t fs_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
#endif
