/* Whether work of so many multiply-adds is left to one thread, because threads have lately had to take turns on their
   cores; and what a region that began then tells of that (turns.c). */
#ifndef FS_TURNS_H
#define FS_TURNS_H
#include <stdint.h>

int fs_threads_take_turns(double work, int64_t now);
void fs_note_region(double work, int64_t began);
#endif
