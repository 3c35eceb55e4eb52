/* clock.h - wall and monotonic time, and its text forms */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_ms(void); /* monotonic milliseconds */
int64_t clock_us(void); /* the same clock in microseconds */
int64_t clock_wall(void); /* seconds since 1970 */
int64_t clock_wall_us(void); /* microseconds since 1970 */
int64_t clock_ns(const struct timespec *t); /* t in ns, say a time of struct stat */
int64_t clock_tick_ns(void); /* wall clock in ns as the kernel stamps files with it: it advances by
                                timer ticks, so it may lag behind clock_wall_us */

void clock_local(int64_t wall, struct tm *tm, int *offset_minutes); /* offset: east of UTC */
void clock_utc(int64_t wall, struct tm *tm); /* wall: seconds since 1970 */

#endif
