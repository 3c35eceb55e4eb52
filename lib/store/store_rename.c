/*
 * RENAME: a folder with its children, and INBOX, which stays. RFC 3501 6.3.5
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/str.h"
#include "store/store_names.h"

static int rename_dir(struct store *s, const char *from, const char *to, struct why *why)
{
    if (renameat2(s->rootfd, from, s->rootfd, to, RENAME_NOREPLACE) < 0)
        return why_errno(why, "4.3.0", "cannot rename folder %s", from + 1);
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        if (strcmp(f->dir, from) != 0)
            continue;
        free(f->dir);
        free(f->name);
        f->dir = mem_dupz(to);
        f->name = mem_dupz(to + 1);
    }
    return 0;
}

/* INBOX stays, its messages go. */
static int rename_inbox(struct store *s, const char *to, struct why *why)
{
    struct uidset all = UIDSET, from = UIDSET, made = UIDSET;
    struct copied copied = {&from, &made, 0};
    struct mailbox *inbox;
    int result = store_create(s, to, why);

    if (result < 0)
        return -1;
    inbox = mailbox_open(s, "INBOX", false, why);
    uidset_add(&all, 1, UINT32_MAX);
    result = inbox == NULL ? -1 : mailbox_copy(inbox, &all, to, true, &copied, why);
    mailbox_close(&inbox);
    uidset_free(&all);
    uidset_free(&from);
    uidset_free(&made);
    return result;
}

/* A folder and its children: directories below the root, before and after. */
struct renaming {
    struct store *s;
    struct str from, to;
    struct buf old, dir; /* of one of them */
};

/* Is that folder one of them? Then old and dir are its directories. */
static bool is_renamed(struct renaming *r, const char *folder)
{
    buf_clear(&r->old);
    buf_clear(&r->dir);
    if (!store_dir_of(r->s, folder, &r->old, NULL) || !str_starts(buf_str(&r->old), r->from))
        return false;
    struct str below = str_from(buf_str(&r->old), r->from.n);
    buf_add(&r->dir, r->to);
    buf_add(&r->dir, below);
    return below.n == 0 || below.p[0] == '.';
}

/* The first n of the list have their old names again. */
static void rename_back(struct renaming *r, const struct store_names *n, size_t count)
{
    struct why why = WHY;

    for (size_t i = 0; i < count; i++)
        if (is_renamed(r, arena_strz(n->mem, n->list.at[i].name)) &&
            rename_dir(r->s, r->dir.p, r->old.p, &why) < 0)
            msg_warn("mailbox %s: folder %s stays renamed to %s: %s", r->s->path, r->old.p + 1,
                     r->dir.p + 1, why_text(&why));
    why_free(&why);
}

/* All of them and on the disk, or none. */
static int rename_list(struct renaming *r, const struct store_names *n, struct why *why)
{
    bool any = false;
    int result = 0;
    size_t i = 0;

    for (; i < n->list.n && result == 0; i++) {
        if (!is_renamed(r, arena_strz(n->mem, n->list.at[i].name)))
            continue;
        any = true;
        result = !buf_ok(&r->dir) || r->dir.n > NAME_MAX
                     ? why_set(why, "5.1.3", "the new folder name is too long")
                     : rename_dir(r->s, r->old.p, r->dir.p, why);
    }
    if (result == 0 && !any)
        return why_set(why, "5.2.0", "folder %.*s does not exist", (int)r->from.n - 1,
                       r->from.p + 1);
    size_t done = result < 0 ? i - 1 : i;
    if (result == 0)
        result = store_sync_names(r->s, r->to.p + 1, why);
    if (result < 0)
        rename_back(r, n, done);
    return result;
}

static int rename_all(struct store *s, struct str from, struct str to, struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct store_names n = {.s = s, .mem = mem};
    /* fits: store_dir_of has looked at the name; asked: by rename_list */
    struct renaming r = {.s = s, .from = from, .to = to, .old = BUF(300), .dir = BUF(600)};
    int result = store_read_root(&n, why);

    if (result == 0 && n.cut)
        result = why_set(why, "5.2.2", "there are more folders than mail_folder_limit allows");
    if (result == 0)
        result = rename_list(&r, &n, why);
    VEC_FREE(&n.list);
    buf_free(&r.old);
    buf_free(&r.dir);
    arena_free(&mem);
    return result;
}

int store_rename(struct store *s, const char *from, const char *to, struct why *why)
{
    struct buf old = BUF(300), new = BUF(300); /* fits: store_dir_of has looked at the names */
    int result = -1;

    if (store_dir_of(s, from, &old, why) && store_dir_of(s, to, &new, why)) {
        if (str_eqz(buf_str(&new), ".") || store_is_dir(s, new.p))
            why_set(why, "5.2.1", "folder %s exists already", to);
        else if (str_eqz(buf_str(&old), "."))
            result = rename_inbox(s, to, why);
        else if (str_starts(buf_str(&new), buf_str(&old)) && new.p[old.n] == '.')
            why_set(why, "5.1.3", "a folder cannot be moved below itself");
        else
            result = rename_all(s, buf_str(&old), buf_str(&new), why);
    }
    buf_free(&old);
    buf_free(&new);
    return result;
}
