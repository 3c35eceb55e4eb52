/* clock.h - wall and monotonic time, and its text forms */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_ms(void); /* monotonic milliseconds */
int64_t clock_wall(void); /* seconds since 1970 */
int64_t clock_wall_us(void);
int64_t clock_tick_ns(void); /* the wall clock as file systems of this machine take it: by ticks */

void clock_local(int64_t wall, struct tm *tm, int *offset_minutes); /* offset: east of UTC */
void clock_utc(int64_t wall, struct tm *tm);

#endif
