#include "conf/conf_main.h"

#include "base/arena.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf_lines.h"

static int parse_line(struct conf_main *m, struct str line, unsigned number, const char *path,
                      struct why *why)
{
    struct str name, value;

    if (line.p[0] == ' ' || line.p[0] == '\t') {
        msg_warn("%s: logical line must not start with whitespace: \"%.*s\"", path, (int)line.n,
                 line.p);
        return 0;
    }
    const char *wrong = memchr(line.p, '\0', line.n) != NULL
                            ? "zero byte in the line"
                            : conf_split_setting(line, &name, &value);
    if (wrong != NULL)
        return why_set(why, "4.3.5", "%s, line %u: %s: \"%.*s\"; a line is: name = value", path,
                       number, wrong, (int)(line.n < 100 ? line.n : 100), line.p);
    *VEC_ADD(&m->settings) =
        (struct conf_setting){arena_strz(m->mem, name), arena_strz(m->mem, value), number};
    return 0;
}

int conf_main_parse(struct str text, const char *path, struct conf_main *out, struct why *why)
{
    struct conf_lines lines = CONF_LINES(text);
    /* fits: a logical line is not longer than the text */
    struct buf line = BUF(text.n + 1);
    unsigned last;
    int result = 0;

    *out = (struct conf_main){.mem = arena_new(NULL)};
    while (result == 0 && conf_lines_next(&lines, &line, NULL, &last))
        result = parse_line(out, buf_str(&line), last, path, why);
    buf_free(&line);
    if (result < 0)
        conf_main_free(out);
    return result;
}

void conf_main_free(struct conf_main *m)
{
    VEC_FREE(&m->settings);
    arena_free(&m->mem);
}
