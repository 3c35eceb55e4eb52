/*
 * The entries of an alias, a .forward line or an :include: line: address, |command, /file, ~/file,
 * :include:/file.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/alias_text.h"
#include "mail/addr_list.h"
#include "task/task.h"

#include "local.h"

#define INCLUDE STR(":include:")

enum { ITEM_LIMIT = 1024 * 1024, STEPS_A_TURN = 64 };

static bool allowed(const char *parameter, enum origin origin)
{
    return str_listed(parameter, origin == FROM_ALIAS     ? "alias"
                                 : origin == FROM_FORWARD ? "forward"
                                                          : "include");
}

static void local_target_fail(struct local *l, const struct address *a, const char *code,
                              const char *text)
{
    struct why why = WHY;

    why_set(&why, code, "%s", text);
    local_failed(l, a, &why);
    why_free(&why);
}

static void to_file(struct local *l, const struct address *a, const char *path)
{
    if (allowed(conf.allow_mail_to_files, a->origin))
        local_file(l, a, path);
    else
        local_target_fail(l, a, "5.7.1", "mail to file is restricted");
}

static void to_home_file(struct local *l, const struct address *a, const char *path)
{
    struct buf full = BUF(ITEM_LIMIT);

    if (path[1] != '/' || a->rights.uid == 0 || *a->rights.home != '/') {
        msg_warn("%s: %s",
                 path[1] == '/' ? "unknown home directory for" : "bad home directory syntax for",
                 path);
        local_target_fail(l, a, "5.3.5", "mail system configuration error");
    } else {
        buf_addf(&full, "%s%s", a->rights.home, path + 1);
        if (buf_ok(&full))
            to_file(l, a, full.p);
        else
            local_target_fail(l, a, "5.3.5", "mail system configuration error");
    }
    buf_free(&full);
}

static void to_command(struct local *l, const struct address *a, const char *command)
{
    if (allowed(conf.allow_mail_to_commands, a->origin))
        local_command(l, a, command + strspn(command, " \t"));
    else
        local_target_fail(l, a, "5.7.1", "mail to command is restricted");
}

/* "<>" is nobody; an empty local part ("") is an address like any other, as it is for Postfix. */
static bool is_address(const struct addr *a)
{
    return a->kind == ADDR_MAILBOX && a->spec.n > 0;
}

static void to_entry(struct local *l, const struct address *a, const char *item)
{
    if (item[0] == '|')
        to_command(l, a, item + 1);
    else if (item[0] == '/')
        to_file(l, a, item);
    else if (item[0] == '~')
        to_home_file(l, a, item);
    else if (str_istarts(strz(item), INCLUDE))
        local_include(l, a, item + INCLUDE.n + strspn(item + INCLUDE.n, " \t"));
    else
        local_address(l, a, item);
}

/* How many: several may stand there with only blanks between them, files and commands, too, as in
 * name "|command". */
static size_t to_entries(struct local *l, const struct address *a, const struct addr_list *list,
                         const char *item)
{
    struct buf address = BUF(ITEM_LIMIT);
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        local_step(l);
        if (!is_address(&list->at[i]))
            continue;
        buf_clear(&address);
        addr_internal(&list->at[i], &address);
        if (buf_ok(&address))
            to_entry(l, a, address.p);
        else
            local_address(l, a, item);
        n++;
    }
    buf_free(&address);
    return n;
}

/* Without quotes a command stands as it was written, also with what is special in addresses. */
static void to_unquoted_command(struct local *l, const struct address *a, struct str raw)
{
    struct buf command = BUF(ITEM_LIMIT);

    buf_add(&command, str_from(str_trim(raw), 1));
    if (buf_ok(&command))
        to_command(l, a, command.p);
    else
        local_target_fail(l, a, "5.3.5", "mail system configuration error");
    buf_free(&command);
}

/* How many addresses, commands and files it is. ends: a group ends behind raw before another one
 * begins. A command without quotes may have blanks in it. */
static size_t to_target(struct local *l, const struct address *a, struct str raw, bool ends,
                        const char *item)
{
    struct addr_list list;

    if (str_starts(str_trim(raw), STR("|"))) {
        if (str_find(raw, '"') < 0)
            to_unquoted_command(l, a, raw);
        else
            to_entry(l, a, item);
        return 1;
    }
    struct arena *mem = arena_new(l->mem);
    addr_list_parse_entry(mem, raw, ends, &list);
    size_t n = to_entries(l, a, &list, item);
    arena_free(&mem);
    return n;
}

void local_step(struct local *l)
{
    if (++l->steps % STEPS_A_TURN == 0)
        task_yield();
}

size_t local_targets(struct local *l, const struct address *a, struct str line)
{
    struct buf item = BUF(ITEM_LIMIT);
    struct str start = line, mark = line; /* where a group begins or ends */
    size_t n = 0;

    while (alias_item(&line, &item)) {
        local_step(l);
        struct str raw = {start.p, (size_t)(line.p - start.p)};
        if (raw.n > 0 && raw.p[raw.n - 1] == ',' && line.n + raw.n <= start.n)
            raw.n--;
        start = line;
        if (mark.n > line.n)
            mark = alias_find(line, ":;");
        if (buf_ok(&item) && raw.n <= ITEM_LIMIT)
            n += to_target(l, a, raw, str_starts(mark, STR(";")), item.p);
        else {
            local_target_fail(l, a, "5.3.5",
                              "mail system configuration error: an entry is too long");
            n++;
        }
    }
    buf_free(&item);
    return n;
}
