#include "net/dns_hosts.h"

#include <stdint.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"

enum { FILE_MOST = 4 * 1024 * 1024, LINES_MOST = 10000 };

static struct {
    VEC(struct hosts_line) lines;
} hosts;

static void add_line(struct str line)
{
    struct str word, rest = line;
    ptrdiff_t comment = str_find(line, '#');
    struct addr addr;

    if (comment >= 0)
        rest = str_upto(line, (size_t)comment);
    if (!str_word(&rest, " \t\r", &word) || !addr_parse(word, &addr))
        return;
    rest = str_trim(rest);
    if (rest.n == 0 || hosts.lines.n >= LINES_MOST)
        return;
    *VEC_ADD(&hosts.lines) = (struct hosts_line){.addr = addr, .names = mem_dup(rest.p, rest.n)};
}

void hosts_read(const char *path)
{
    struct buf text = BUF(FILE_MOST);
    struct str rest, line;

    hosts_free();
    if (file_read(path, &text, NULL) == 0)
        for (rest = buf_str(&text); str_split(&rest, '\n', &line);)
            add_line(line);
    buf_free(&text);
}

void hosts_free(void)
{
    VEC_EACH (&hosts.lines, l)
        free((char *)(uintptr_t)l->names);
    VEC_FREE(&hosts.lines);
}

const struct hosts_line *hosts_find(const char *name, size_t *cursor)
{
    while (*cursor < hosts.lines.n) {
        const struct hosts_line *l = &hosts.lines.at[(*cursor)++];
        struct str rest = strz(l->names), word;
        while (str_word(&rest, " \t", &word))
            if (str_ieqz(word, name))
                return l;
    }
    return NULL;
}

struct str hosts_name_of(const struct addr *addr)
{
    struct str rest, word = STR("");

    VEC_EACH (&hosts.lines, l)
        if (addr_same_host(&l->addr, addr)) {
            rest = strz(l->names);
            str_word(&rest, " \t", &word);
            return word;
        }
    return word;
}
