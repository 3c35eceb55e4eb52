/*
 * LIST and LSUB, with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154). RFC 3501 6.3.8, 6.3.9.
 */
#include "base/str.h"

#include "imap.h"

/* "*" matches anything, "%" anything but the separator. One pass with a place to go back to, for
 * each of both, so that no pattern takes long. */
static bool matches(struct str pattern, struct str name, char separator)
{
    size_t p = 0, n = 0;
    size_t star = SIZE_MAX, star_n = 0, percent = SIZE_MAX, percent_n = 0;

    while (n < name.n || p < pattern.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = ++p, star_n = n;
            percent = SIZE_MAX;
        } else if (p < pattern.n && pattern.p[p] == '%') {
            percent = ++p, percent_n = n;
        } else if (p < pattern.n && n < name.n && pattern.p[p] == name.p[n]) {
            p++, n++;
        } else if (percent != SIZE_MAX && percent_n < name.n && name.p[percent_n] != separator) {
            p = percent, n = ++percent_n;
        } else if (star != SIZE_MAX && star_n < name.n) {
            p = star, n = ++star_n;
            percent = SIZE_MAX;
        } else {
            return false;
        }
    }
    return true;
}

static void put_entry(struct imap *c, const char *kind, const struct folder_entry *e)
{
    stream_putf(c->client, "* %s (", kind);
    if (e->attrs & FOLDER_NOSELECT)
        stream_putz(c->client, "\\Noselect ");
    stream_putz(c->client, e->attrs & FOLDER_HAS_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
    if (e->special_use != NULL)
        stream_putf(c->client, " %s", e->special_use);
    stream_putf(c->client, ") \"%c\" ", store_separator(c->store));
    imap_put_folder(c, e->name);
    stream_putz(c->client, "\r\n");
}

/* INBOX is the same in any case: RFC 3501 5.1. */
static struct str with_inbox(struct imap *c, struct str pattern)
{
    char next = pattern.n > 5 ? pattern.p[5] : store_separator(c->store);

    if (!str_istarts(pattern, STR("INBOX")) ||
        (next != store_separator(c->store) && next != '*' && next != '%'))
        return pattern;
    return (struct str){arena_printf(c->mem, "INBOX%.*s", (int)(pattern.n - 5), pattern.p + 5),
                        pattern.n};
}

static bool take_pattern(struct imap *c, struct str *pattern, bool *hierarchy_only)
{
    struct str reference, name;

    if (!imap_take_space(&c->args) || !imap_take_astring(&c->args, &reference) ||
        !imap_take_space(&c->args) || !imap_take_list_mailbox(&c->args, &name)) {
        imap_bad(c, "Error in IMAP command %s: Invalid arguments.", c->command->name);
        return false;
    }
    *hierarchy_only = name.n == 0;
    struct buf whole = BUF(reference.n + name.n);
    buf_add(&whole, reference);
    buf_add(&whole, name);
    *pattern = with_inbox(c, arena_str(c->mem, buf_str(&whole)));
    buf_free(&whole);
    return imap_end(c);
}

void cmd_list(struct imap *c)
{
    struct folder_list list;
    struct str pattern;
    struct why why = WHY;
    bool hierarchy_only;

    if (!take_pattern(c, &pattern, &hierarchy_only))
        return;
    if (hierarchy_only) {
        stream_putf(c->client, "* LIST (\\Noselect) \"%c\" \"\"\r\n", store_separator(c->store));
        imap_ok(c, "List completed.");
        return;
    }
    if (store_list(c->store, c->mem, false, &list, &why) < 0) {
        imap_no_why(c, &why);
    } else {
        for (size_t i = 0; i < list.n; i++)
            if (matches(pattern, list.at[i].name, store_separator(c->store)))
                put_entry(c, "LIST", &list.at[i]);
        imap_ok(c, "List completed.");
    }
    why_free(&why);
}

/* For a pattern with "%": a subscribed folder below shows its parent, not selectable. */
static void put_hidden_parent(struct imap *c, struct str pattern, struct str name, struct str *last)
{
    char separator = store_separator(c->store);

    if (str_find(pattern, '%') < 0)
        return;
    for (size_t end = name.n; end > 0; end--) {
        if (name.p[end - 1] != separator)
            continue;
        struct str parent = str_upto(name, end - 1);
        if (!matches(pattern, parent, separator) || str_eq(parent, *last))
            continue;
        *last = parent;
        stream_putf(c->client, "* LSUB (\\Noselect) \"%c\" ", separator);
        imap_put_folder(c, parent);
        stream_putz(c->client, "\r\n");
        return;
    }
}

void cmd_lsub(struct imap *c)
{
    struct folder_list list;
    struct str pattern, last = {"", 0};
    struct why why = WHY;
    bool hierarchy_only;

    if (!take_pattern(c, &pattern, &hierarchy_only))
        return;
    if (hierarchy_only) {
        stream_putf(c->client, "* LSUB (\\Noselect) \"%c\" \"\"\r\n", store_separator(c->store));
        imap_ok(c, "Lsub completed.");
        return;
    }
    if (store_list(c->store, c->mem, true, &list, &why) < 0) {
        imap_no_why(c, &why);
    } else {
        for (size_t i = 0; i < list.n; i++) {
            struct folder_entry *e = &list.at[i];
            if (!(e->attrs & FOLDER_SUBSCRIBED))
                continue;
            if (matches(pattern, e->name, store_separator(c->store))) {
                stream_putf(c->client, "* LSUB (%s) \"%c\" ",
                            e->special_use == NULL ? "" : e->special_use,
                            store_separator(c->store));
                imap_put_folder(c, e->name);
                stream_putz(c->client, "\r\n");
                last = e->name;
            } else {
                put_hidden_parent(c, pattern, e->name, &last);
            }
        }
        imap_ok(c, "Lsub completed.");
    }
    why_free(&why);
}
