/*
 * Patterns of LIST: the first line is a pattern, the second a name. Short ones are compared with
 * what a pattern means, tried in every way; no pattern takes more steps than the product of both
 * lengths.
 */
#include <assert.h>

#include "base/arena.h"
#include "base/str.h"

#include "imap_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool plainly(struct str pattern, struct str name)
{
    if (pattern.n == 0)
        return name.n == 0;
    if (*pattern.p == '*' || *pattern.p == '%')
        return plainly(str_from(pattern, 1), name) ||
               (name.n > 0 && (*pattern.p == '*' || *name.p != '.') &&
                plainly(pattern, str_from(name, 1)));
    return name.n > 0 && *pattern.p == *name.p && plainly(str_from(pattern, 1), str_from(name, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str name = {(const char *)data, size}, pattern = STR("");
    struct arena *mem = arena_new(NULL);

    str_split(&name, '\n', &pattern);
    struct list_request l = {.patterns = &pattern, .n = 1};
    l.row = arena_array(mem, pattern.n + 1, sizeof *l.row);
    bool matches = list_matches(&l, name, '.');
    assert(l.steps <= 2 * (uint64_t)(pattern.n + 1) * (name.n + 1));
    if (pattern.n <= 8 && name.n <= 12)
        assert(matches == plainly(pattern, name));
    arena_free(&mem);
    return 0;
}
