/* banned.h - included in every file by the compiler's -include: functions that must not be used.
 * The comment at the end of each line names the module to use instead */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r gets /* buf */
#pragma GCC poison atoi atol atoll strtol strtoll strtoul strtoull /* num */
#pragma GCC poison gmtime localtime asctime ctime /* clock */
#undef alloca
#pragma GCC poison alloca

#endif
