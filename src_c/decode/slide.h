/* The first part of a model that slides over tokens (slide.c). */
#ifndef FS_SLIDE_H
#define FS_SLIDE_H
#include "run/rows.h"

typedef struct fs_slide fs_slide;
fs_slide *fs_slide_new(const fs_decoding *decoding, int worker, const fs_runner *runner); /* null without memory */
void fs_slide_free(fs_slide *slide);
/* Feeds the window's last token, or all of a fresh one's, and points `data` at what the complete window passes on. As
   fs_run. */
int fs_slide_feed(fs_slide *slide, const int32_t *window, int fresh, char **data, fs_failure *failure);
#endif
