#ifndef FS_CPU_FEATURES_H
#define FS_CPU_FEATURES_H

/* Whether both the CPU and the operating system support the instruction set (cpu_features.c). */
int fs_cpu_has(const char *isa);
#endif
