/* A line of postscreen's cache: what is read is what was written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#include "postscreen_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[LINE_SIZE], again[LINE_SIZE];
    struct screen_stamps first, second;
    struct str address, same;

    screen_line_empty(line);
    memcpy(line, data, size < LINE_SIZE - 1 ? size : LINE_SIZE - 1);
    if (!screen_line_parse((struct str){line, sizeof line}, &address, &first))
        return 0;
    if (!screen_line_format(address, &first, again))
        return 0; /* zeros in front of the numbers, and too little room without them */
    if (!screen_line_parse((struct str){again, sizeof again}, &same, &second) ||
        !str_eq(address, same) || memcmp(&first, &second, sizeof first) != 0)
        abort();
    return 0;
}
