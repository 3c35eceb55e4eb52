/*
 * LIST and LSUB. RFC 3501 6.3.8, 6.3.9; RFC 3348 (CHILDREN), RFC 5258 (LIST-EXTENDED), RFC 5819
 * (LIST-STATUS), RFC 6154 (SPECIAL-USE).
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"

#include "imap.h"
#include "imap_list.h"

enum { TURN_MS = 20 }; /* then the user's other sessions have theirs */

/* A list while it is answered. */
struct listing {
    struct imap *c;
    struct list_request *asked;
    int64_t turn; /* when it began */
    struct folder_list folders;
    char separator;
    struct str last_parent; /* that was told without being a folder */
};

/* (waits) now and then */
static bool is_named(struct listing *l, struct str name)
{
    if (clock_ms() - l->turn > TURN_MS) {
        task_yield();
        l->turn = clock_ms();
    }
    return list_matches(l->asked, name, l->separator);
}

static void put_attr(struct imap *c, const char *attr, const char **gap)
{
    stream_putz(c->client, *gap);
    stream_putz(c->client, attr);
    *gap = " ";
}

/* A parent that is no folder is \Noselect to plain clients, \NonExistent to others (RFC 5258 3). */
static void put_attrs(struct listing *l, const struct folder_entry *e)
{
    struct imap *c = l->c;
    unsigned give = l->asked->give;
    const char *gap = "";

    if ((give & LIST_GIVE_SUBSCRIBED) != 0 && (e->attrs & FOLDER_SUBSCRIBED) != 0)
        put_attr(c, "\\Subscribed", &gap);
    if ((e->attrs & FOLDER_NOSELECT) != 0)
        put_attr(c, l->asked->extended ? "\\NonExistent" : "\\Noselect", &gap);
    if ((give & LIST_GIVE_CHILDREN) != 0)
        put_attr(c, e->attrs & FOLDER_HAS_CHILDREN ? "\\HasChildren" : "\\HasNoChildren", &gap);
    if ((give & LIST_GIVE_SPECIAL_USE) != 0 && e->special_use != NULL)
        put_attr(c, e->special_use, &gap);
}

static void put_name(struct listing *l, struct str name)
{
    stream_putf(l->c->client, ") \"%c\" ", l->separator);
    imap_put_folder(l->c, name);
}

/* has_selected: a folder below it is what was asked for. RFC 5258 3.5 */
static void put_entry(struct listing *l, const struct folder_entry *e, bool has_selected)
{
    struct stream *client = l->c->client;

    stream_putz(client, "* LIST (");
    put_attrs(l, e);
    put_name(l, e->name);
    if (has_selected)
        stream_putz(client, " (CHILDINFO (\"SUBSCRIBED\"))");
    stream_putz(client, "\r\n");
    if ((l->asked->give & LIST_GIVE_STATUS) != 0 && (e->attrs & FOLDER_NOSELECT) == 0) {
        imap_put_status(l->c, e->name, l->asked->status, NULL); /* left out if it cannot be had */
        task_yield();
    }
}

static bool is_selected(const struct listing *l, const struct folder_entry *e)
{
    unsigned select = l->asked->select;

    return ((select & LIST_SUBSCRIBED) == 0 || (e->attrs & FOLDER_SUBSCRIBED) != 0) &&
           ((select & LIST_SPECIAL_USE) == 0 || e->special_use != NULL);
}

static bool is_below(const struct listing *l, struct str name, struct str parent)
{
    return name.n > parent.n && str_starts(name, parent) && name.p[parent.n] == l->separator;
}

/* What is below an entry: any that is selected; one that the patterns do not name, so that only the
 * parent can tell of it. */
static void look_below(struct listing *l, size_t i, bool *any, bool *hidden)
{
    const struct folder_list *all = &l->folders;

    *any = *hidden = false;
    /* Children follow their parent, but for those of INBOX, which comes first of all. */
    for (size_t k = i + 1; k < all->n; k++) {
        bool below = is_below(l, all->at[k].name, all->at[i].name);
        if (!below && i > 0)
            break;
        if (!below || !is_selected(l, &all->at[k]))
            continue;
        *any = true;
        *hidden = *hidden || !is_named(l, all->at[k].name);
    }
}

static bool is_listed(const struct listing *l, size_t before, struct str name)
{
    for (size_t k = before; k > 0; k--)
        if (str_eq(l->folders.at[k - 1].name, name))
            return true;
    return false;
}

/* The nearest parent that the patterns name, of a folder that they do not; empty if the list has it
 * anyway, or if it has been told. */
static struct str hidden_parent(struct listing *l, size_t i)
{
    struct str name = l->folders.at[i].name;

    for (size_t end = name.n; end > 0; end--) {
        struct str parent = str_upto(name, end - 1);
        if (name.p[end - 1] != l->separator || !is_named(l, parent))
            continue;
        if (str_eq(parent, l->last_parent))
            return STR("");
        l->last_parent = parent; /* of its many children, only one looks through the list */
        return is_listed(l, i, parent) ? STR("") : parent;
    }
    return STR("");
}

static void list_one(struct listing *l, size_t i)
{
    struct folder_entry *e = &l->folders.at[i];
    bool named = is_named(l, e->name), selected = is_selected(l, e);
    bool any = false, hidden = false;

    if ((l->asked->select & LIST_SUBSCRIBED) != 0 && (l->asked->select & LIST_RECURSIVE) != 0) {
        if (named)
            look_below(l, i, &any, &hidden);
        else if (selected && (e->attrs & FOLDER_MISSING) != 0) {
            struct folder_entry parent = {.name = hidden_parent(l, i),
                                          .attrs = FOLDER_NOSELECT | FOLDER_HAS_CHILDREN};
            if (parent.name.n > 0)
                put_entry(l, &parent, true);
        }
    }
    if (named && (selected || hidden))
        put_entry(l, e, any);
}

static void put_separator(struct listing *l, const char *kind)
{
    stream_putf(l->c->client, "* %s (\\Noselect) \"%c\" \"\"\r\n", kind, l->separator);
}

/* False: the client was told. */
static bool cmd_list_start(struct listing *l, struct list_request *asked, bool extended)
{
    struct imap *c = l->c;
    struct why why = WHY;
    bool missing_too = !extended;

    l->separator = store_separator(c->store);
    l->asked = asked;
    const char *error = list_parse(&c->args, l->separator, extended, asked);
    if (error != NULL) {
        imap_bad(c, "Error in IMAP command %s: %s", c->command->name, error);
        return false;
    }
    missing_too = missing_too || (asked->select & LIST_SUBSCRIBED) != 0;
    bool good = store_list(c->store, c->mem, missing_too, &l->folders, &why) == 0;
    if (!good)
        imap_no_why(c, &why);
    why_free(&why);
    return good;
}

/* An empty pattern asks for the separator only: RFC 3501 6.3.8. */
static bool asks_separator(const struct list_request *asked)
{
    return asked->n == 1 && asked->patterns[0].n == 0;
}

/* Most clients show what they were told, whatever the end of the command says. */
static void list_end(struct listing *l, const char *command)
{
    if (!l->folders.cut) {
        imap_ok(l->c, "%s completed.", command);
        return;
    }
    msg_warn("user %s: there are more folders than mail_folder_limit: some are not listed",
             session_user()->name);
    imap_no(l->c, "[LIMIT] There are more folders than can be listed.");
}

void cmd_list(struct imap *c)
{
    struct list_request asked;
    struct listing l = {.c = c, .turn = clock_ms(), .last_parent = STR("")};

    if (!cmd_list_start(&l, &asked, true))
        return;
    if (asks_separator(&asked))
        put_separator(&l, "LIST");
    else
        for (size_t i = 0; i < l.folders.n && stream_state(c->client) == STREAM_OK; i++)
            list_one(&l, i);
    list_end(&l, "List");
}

static void put_lsub(struct listing *l, const char *attr, struct str name)
{
    stream_putf(l->c->client, "* LSUB (%s", attr);
    put_name(l, name);
    stream_putz(l->c->client, "\r\n");
}

/* For a pattern with "%": a subscribed folder below shows its parent, not selectable. */
static void put_hidden_parent(struct listing *l, struct str name)
{
    if (str_find(l->asked->patterns[0], '%') < 0)
        return;
    for (size_t end = name.n; end > 0; end--) {
        struct str parent = str_upto(name, end - 1);
        if (name.p[end - 1] != l->separator || !is_named(l, parent) ||
            str_eq(parent, l->last_parent))
            continue;
        l->last_parent = parent;
        put_lsub(l, "\\Noselect", parent);
        return;
    }
}

static void lsub_one(struct listing *l, const struct folder_entry *e)
{
    if (!(e->attrs & FOLDER_SUBSCRIBED))
        return;
    if (!is_named(l, e->name)) {
        put_hidden_parent(l, e->name);
        return;
    }
    put_lsub(l, e->special_use == NULL ? "" : e->special_use, e->name);
    l->last_parent = e->name;
}

void cmd_lsub(struct imap *c)
{
    struct list_request asked;
    struct listing l = {.c = c, .turn = clock_ms(), .last_parent = STR("")};

    if (!cmd_list_start(&l, &asked, false))
        return;
    if (asks_separator(&asked))
        put_separator(&l, "LSUB");
    else
        for (size_t i = 0; i < l.folders.n && stream_state(c->client) == STREAM_OK; i++)
            lsub_one(&l, &l.folders.at[i]);
    list_end(&l, "Lsub");
}
