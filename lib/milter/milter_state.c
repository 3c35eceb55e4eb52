/*
 * The state of filters on its way from smtpd to cleanup: a line for each, its fields parted by
 * tabs.
 *
 *   name  command_ms  content_ms  default  version  actions  habits  macros at EOH, at EOM
 *
 * A list of macros that the filter has chosen itself begins with '='.
 */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "milter/milter_inside.h"
#include "net/stream.h"
#include "task/task.h"

static void put_list(struct buf *state, struct str list)
{
    buf_addc(state, '\t');
    if (list.p == NULL)
        return;
    buf_addc(state, '=');
    for (size_t i = 0; i < list.n; i++) /* tabs and line ends separate names as well as blanks */
        buf_addc(state, (unsigned char)list.p[i] < ' ' ? ' ' : list.p[i]);
}

static void put_milter(struct buf *state, const struct milter *m)
{
    const struct milter_entry *e = m->entry;

    buf_addf(state, "%s\t%lld\t%lld\t%d\t%u\t%u\t%u", e->name, (long long)e->command_ms,
             (long long)e->content_ms, (int)e->otherwise, (unsigned)m->terms.version,
             (unsigned)m->terms.actions, (unsigned)m->terms.habits);
    put_list(state, m->terms.lists[MILTER_AT_END_OF_HEADER]);
    put_list(state, m->terms.lists[MILTER_AT_END]);
    buf_addc(state, '\n');
}

bool milters_export(struct milters *m, struct buf *state, int fds[MILTERS_MOST], size_t *n)
{
    bool good = true;

    *n = 0;
    for (size_t i = 0; m != NULL && i < m->n; i++)
        if (m->at[i].state == MILTER_ASKED) {
            m->at[i].lent = true;
            stream_set_deadline(m->at[i].stream, task_now() + m->at[i].entry->command_ms);
            good = stream_flush(m->at[i].stream) && good; /* macros that wait for an event */
            put_milter(state, &m->at[i]);
            fds[(*n)++] = stream_fd(m->at[i].stream);
        }
    return good && buf_ok(state) && state->n <= MILTERS_STATE_MOST;
}

void milters_lost(struct milters *m)
{
    for (size_t i = 0; m != NULL && i < m->n; i++)
        if (m->at[i].lent && m->at[i].stream != NULL) {
            milter_closes(&m->at[i]);
            milter_reply(&m->at[i].held, MILTER_SHUTS_DOWN, "421 4.3.0 Service unavailable");
        }
}

static bool get_number(struct str *line, int64_t low, int64_t high, int64_t *number)
{
    struct str field;

    return str_split(line, '\t', &field) && num_parse(field, low, high, number);
}

static bool get_list(struct milter *m, struct str *line, enum milter_stage stage)
{
    struct str field;

    if (!str_split(line, '\t', &field))
        field = (struct str){0};
    if (field.n > 0 && field.p[0] == '=')
        m->terms.lists[stage] = str_from(field, 1);
    return field.n == 0 || field.p[0] == '=';
}

/* Lists are slices of list_text, which has all of the line. */
static bool get_milter(struct milter *m, struct milter_entry *e, struct str line)
{
    int64_t otherwise, version, actions, habits;
    struct str rest, name;

    buf_set(&m->list_text, line);
    rest = buf_str(&m->list_text);
    if (!buf_ok(&m->list_text) || !str_split(&rest, '\t', &name) || name.n == 0 ||
        !get_number(&rest, 1, INT64_MAX / 2, &e->command_ms) ||
        !get_number(&rest, 1, INT64_MAX / 2, &e->content_ms) ||
        !get_number(&rest, 0, MILTER_DEFAULT_SHUTDOWN, &otherwise) ||
        !get_number(&rest, 2, 6, &version) || !get_number(&rest, 0, UINT32_MAX, &actions) ||
        !get_number(&rest, 0, UINT32_MAX, &habits) ||
        !get_list(m, &rest, MILTER_AT_END_OF_HEADER) || !get_list(m, &rest, MILTER_AT_END))
        return false;
    e->name = mem_dup(name.p, name.n);
    e->otherwise = (enum milter_default)otherwise;
    m->terms.version = (uint32_t)version;
    m->terms.actions = (uint32_t)actions;
    m->terms.habits = (uint32_t)habits;
    return true;
}

static void import_line(struct milters *all, struct str line, int fd, bool *good)
{
    struct milter *m = &all->at[all->n];

    *m = (struct milter){.entry = &all->own.at[all->n], .held = MILTER_ANSWER};
    m->list_text = BUF(MILTERS_STATE_MOST); /* asked: by get_milter */
    m->stream = stream_new(fd);
    m->state = MILTER_ASKED;
    m->told = m->borrowed = true;
    *good = *good && get_milter(m, &all->own.at[all->n], line);
    all->n++;
    all->own.n++;
}

struct milters *milters_import(struct str state, const int *fds, size_t n, milter_macro_fn *macro,
                               void *arg, struct why *why)
{
    struct milters *all = mem_new(sizeof *all);
    struct str line;
    bool good = n > 0 && n <= MILTERS_MOST && state.n <= MILTERS_STATE_MOST;

    all->macro = macro;
    all->arg = arg;
    for (size_t i = 0; i < n; i++) {
        line = STR("");
        good = good && str_split(&state, '\n', &line);
        if (i < MILTERS_MOST)
            import_line(all, line, fds[i], &good);
        else
            close(fds[i]);
    }
    if (good && state.n == 0)
        return all;
    why_set(why, "4.3.0", "the state of the mail filters is malformed");
    milters_free(&all);
    return NULL;
}
