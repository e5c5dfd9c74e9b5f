/* What a meeting at a barrier costs, as last measured (meeting.c), and the least that it can cost. */
#ifndef FS_MEETING_H
#define FS_MEETING_H
#include <stdint.h>

#define FS_LEAST_MEETING_NS 20
int64_t fs_meeting_ns(void);
/* Measures it with so many threads, where that is due: for work whose threads meet, with as many as it might use. */
int fs_meeting_due(int64_t now);
void fs_measure_meeting(int threads, int64_t now);
#endif
