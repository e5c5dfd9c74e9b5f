/* What a thread does between two looks at what another one is to change. */
#ifndef FS_PAUSE_H
#define FS_PAUSE_H

#if defined(__x86_64__) || defined(__i386__)
#define FS_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FS_PAUSE() __asm__ volatile("yield")
#else
#define FS_PAUSE() ((void)0)
#endif

#define FS_SPINS 256 /* pauses, some us */
#endif
