/*
 * The entries of an alias, a .forward line or an :include: line: address, |command, /file, ~/file,
 * :include:/file.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/alias_text.h"
#include "mail/addr_list.h"

#include "local.h"

enum { ITEM_LIMIT = 1024 * 1024 };

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

    if (a->rights.uid == 0 || *a->rights.home != '/') {
        msg_warn("unknown home directory for: %s", path);
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

/* "error:" and the like: a group that is never closed and has no members is taken as an address,
 * which nobody has, so that the mail comes back. "group:;" is a list that is empty. */
static bool is_odd_address(struct str raw, const struct addr_list *list)
{
    return list->n > 0 && list->at[0].kind == ADDR_GROUP && str_find(raw, ';') < 0;
}

static void to_entry(struct local *l, const struct address *a, const char *item)
{
    if (item[0] == '|')
        to_command(l, a, item + 1);
    else if (item[0] == '/')
        to_file(l, a, item);
    else if (item[0] == '~' && item[1] == '/')
        to_home_file(l, a, item);
    else
        local_address(l, a, item);
}

/* How many. Several may stand there with only blanks between them, files and commands, too, as in
 * name "|command". */
static size_t to_addresses(struct local *l, const struct address *a, struct str raw,
                           const char *item)
{
    struct arena *mem = arena_new(l->mem);
    struct addr_list list;
    struct buf address = BUF(ITEM_LIMIT);
    size_t n = 0;

    addr_list_parse(mem, raw, raw.n + 1, &list); /* all of it */
    for (size_t i = 0; i < list.n; i++) {
        if (!is_address(&list.at[i]))
            continue;
        buf_clear(&address);
        addr_internal(&list.at[i], &address);
        if (buf_ok(&address))
            to_entry(l, a, address.p);
        else
            local_address(l, a, item);
        n++;
    }
    if (n == 0 && is_odd_address(raw, &list)) {
        local_address(l, a, item);
        n++;
    }
    buf_free(&address);
    arena_free(&mem);
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

static bool is_command_or_file(const char *item)
{
    return item[0] == '|' || item[0] == '/' || (item[0] == '~' && item[1] == '/');
}

/* Is there more than one? A command without quotes may have blanks in it. */
static bool is_several(struct local *l, struct str raw)
{
    struct arena *mem = arena_new(l->mem);
    struct addr_list list;
    size_t n = 0;

    addr_list_parse(mem, raw, raw.n + 1, &list);
    for (size_t i = 0; i < list.n; i++)
        n += is_address(&list.at[i]);
    arena_free(&mem);
    return n > 1 && !str_starts(str_trim(raw), STR("|"));
}

/* How many addresses, commands and files it is. */
static size_t to_target(struct local *l, const struct address *a, struct str raw, const char *item)
{
    if (item[0] == '|' && str_find(raw, '"') < 0 && str_trim(raw).p[0] == '|')
        to_unquoted_command(l, a, raw);
    else if (is_command_or_file(item) && !is_several(l, raw))
        to_entry(l, a, item);
    else if (str_istarts(strz(item), STR(":include:")))
        local_include(l, a, item + 9 + strspn(item + 9, " \t"));
    else
        return to_addresses(l, a, raw, item);
    return 1;
}

size_t local_targets(struct local *l, const struct address *a, struct str line)
{
    struct buf item = BUF(ITEM_LIMIT);
    struct str start = line;
    size_t n = 0;

    while (alias_item(&line, &item)) {
        struct str raw = {start.p, (size_t)(line.p - start.p)};
        if (raw.n > 0 && raw.p[raw.n - 1] == ',' && line.n + raw.n <= start.n)
            raw.n--;
        start = line;
        if (buf_ok(&item))
            n += to_target(l, a, raw, item.p);
        else {
            local_target_fail(l, a, "5.3.5",
                              "mail system configuration error: an entry is too long");
            n++;
        }
    }
    buf_free(&item);
    return n;
}
