/*
 * A line of a passwd-file: every slice lies inside of the line.
 */
#include <assert.h>
#include <stdint.h>

#include "auth/passwd_file.h"

static void inside(struct str part, struct str line)
{
    assert(part.n == 0 || (part.p >= line.p && part.p + part.n <= line.p + line.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = {(const char *)data, size};
    struct passwd_entry e;
    const char *problem;

    inside(passwd_line_unenforced(line), line);
    if (!passwd_line_parse(line, &e, &problem))
        return 0;
    assert(problem == NULL);
    assert(e.name.n > 0);
    inside(e.name, line);
    inside(e.password, line);
    inside(e.home, line);
    inside(e.mail, line);
    inside(e.quota_rule, line);
    inside(e.allow_nets, line);
    inside(e.nologin, line);
    return 0;
}
