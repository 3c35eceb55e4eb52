/*
 * The folders of a store: listing, creating, removing, renaming.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ident.h"
#include "base/str.h"
#include "store/folder.h"
#include "store/subscriptions.h"
#include "task/task.h"

enum { CREATE_DIRS = 3 };

/* ---- listing ---- */

struct names {
    struct store *s;
    struct arena *mem;
    VEC(struct folder_entry) list;
};

/* Children come right behind their parent: the separator sorts before all else. */
static int compare(struct str a, struct str b, char sep)
{
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        unsigned char x = a.p[i] == sep ? 0 : (unsigned char)a.p[i];
        unsigned char y = b.p[i] == sep ? 0 : (unsigned char)b.p[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b, void *sep)
{
    const struct folder_entry *x = a, *y = b;
    bool inbox_x = str_eqz(x->name, "INBOX"), inbox_y = str_eqz(y->name, "INBOX");

    if (inbox_x != inbox_y)
        return inbox_x ? -1 : 1;
    return compare(x->name, y->name, *(const char *)sep);
}

static void store_list_add(struct names *n, struct str name, unsigned attrs)
{
    *VEC_ADD(&n->list) = (struct folder_entry){arena_str(n->mem, name), attrs, NULL};
}

/* A directory's name to a folder's; false: not a folder. */
static bool folder_of(struct store *s, const char *dir, struct buf *out)
{
    if (dir[0] != '.' || dir[1] == '\0' || dir[1] == '.')
        return false;
    for (const char *p = dir + 1; *p != '\0'; p++) {
        if (s->set.separator != '.' && *p == s->set.separator)
            return false;
        buf_addc(out, *p == '.' ? s->set.separator : *p);
    }
    return store_name_ok(s, out->p, NULL);
}

static int read_root(struct names *n, struct why *why)
{
    struct store *s = n->s;
    int fd = openat(s->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct buf name = BUF(300); /* fits: a name of the file system */

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return why_errno(why, "4.3.0", "cannot read mailbox %s", s->path);
    }
    store_list_add(n, STR("INBOX"), 0);
    for (struct dirent *e; (e = readdir(dir)) != NULL && n->list.n < s->set.folders;) {
        struct stat st;
        buf_clear(&name);
        if ((e->d_type != DT_DIR && e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) ||
            !folder_of(s, e->d_name, &name) || str_eqz(buf_str(&name), "INBOX"))
            continue;
        if (e->d_type != DT_DIR &&
            (fstatat(s->rootfd, e->d_name, &st, 0) < 0 || !S_ISDIR(st.st_mode)))
            continue;
        store_list_add(n, buf_str(&name), 0);
    }
    closedir(dir);
    buf_free(&name);
    return 0;
}

/* Among the first count, which are sorted. */
static struct folder_entry *store_list_find(struct names *n, size_t count, struct str name)
{
    char sep = n->s->set.separator;
    struct folder_entry key = {.name = name};

    for (size_t low = 0, high = count; low < high;) {
        size_t mid = low + (high - low) / 2;
        int order = by_name(&n->list.at[mid], &key, &sep);
        if (order == 0)
            return &n->list.at[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void sort(struct names *n)
{
    char sep = n->s->set.separator;
    size_t kept = 0;

    qsort_r(n->list.at, n->list.n, sizeof *n->list.at, by_name, &sep);
    for (size_t i = 0; i < n->list.n; i++) {
        struct folder_entry *e = &n->list.at[i];
        if (kept > 0 && str_eq(n->list.at[kept - 1].name, e->name))
            n->list.at[kept - 1].attrs &= e->attrs; /* exists if one of the two does */
        else
            n->list.at[kept++] = *e;
    }
    n->list.n = kept;
}

/* Parents that are no folders themselves. */
static void add_parents(struct names *n)
{
    size_t count = n->list.n;
    char sep = n->s->set.separator;

    for (size_t i = 0; i < count; i++) {
        struct str name = n->list.at[i].name;
        for (ptrdiff_t at; (at = str_rfind(name, sep)) > 0;) {
            name = str_upto(name, (size_t)at);
            *VEC_ADD(&n->list) = (struct folder_entry){name, FOLDER_NOSELECT, NULL};
        }
    }
    sort(n);
}

static void mark_parents(struct names *n)
{
    for (size_t i = 0; i + 1 < n->list.n; i++) {
        struct str parent = n->list.at[i].name, next = n->list.at[i + 1].name;
        if (next.n > parent.n && str_starts(next, parent) &&
            next.p[parent.n] == n->s->set.separator)
            n->list.at[i].attrs |= FOLDER_HAS_CHILDREN;
    }
    /* INBOX stands first, its children elsewhere. */
    for (size_t i = 1; i < n->list.n; i++)
        if (str_starts(n->list.at[i].name, STR("INBOX")) && n->list.at[i].name.n > 5 &&
            n->list.at[i].name.p[5] == n->s->set.separator)
            n->list.at[0].attrs |= FOLDER_HAS_CHILDREN;
}

static const char *special_use(const struct names *n, struct str name)
{
    struct str rest = strz(n->s->set.special_use), word;

    while (str_word(&rest, ", \t", &word)) {
        ptrdiff_t at = str_find(word, '=');
        if (at > 0 && str_ieq(str_upto(word, (size_t)at), name))
            return arena_strz(n->mem, str_from(word, (size_t)at + 1));
    }
    return NULL;
}

static bool is_auto(const struct store *s, struct str name)
{
    return str_has_word(s->set.auto_folders, name);
}

static int add_subscribed(struct names *n, bool missing_too, struct why *why)
{
    struct subscriptions subs;
    size_t count = n->list.n;

    if (subscriptions_read(n->s, n->mem, &subs, why) < 0)
        return -1;
    for (size_t i = 0; i < subs.n; i++) {
        struct folder_entry *e = store_list_find(n, count, subs.at[i]);
        if (e != NULL)
            e->attrs |= FOLDER_SUBSCRIBED;
        else if (missing_too)
            store_list_add(n, subs.at[i], FOLDER_SUBSCRIBED | FOLDER_NOSELECT | FOLDER_MISSING);
    }
    return 0;
}

/* As a mailbox of Dovecot's with auto = subscribe. */
static void mark_auto(struct names *n)
{
    VEC_EACH (&n->list, e)
        if (!(e->attrs & FOLDER_NOSELECT) && is_auto(n->s, e->name))
            e->attrs |= FOLDER_SUBSCRIBED;
}

/* Those that cannot be made (a mailbox that is only read, a name that cannot be) are not there. */
static void make_all_auto(struct store *s)
{
    struct str rest = strz(s->set.auto_folders), word;
    struct buf name = BUF(NAME_MAX);

    while (str_word(&rest, ", \t\r\n", &word)) {
        buf_set(&name, word);
        if (buf_ok(&name))
            store_make_auto(s, name.p);
    }
    buf_free(&name);
}

int store_list(struct store *s, struct arena *mem, bool subscribed, struct folder_list *out,
               struct why *why)
{
    struct names n = {.s = s, .mem = mem};

    make_all_auto(s);
    int result = read_root(&n, why);

    if (result == 0) {
        sort(&n);
        add_parents(&n);
        result = add_subscribed(&n, subscribed, why);
    }
    if (result == 0) {
        char sep = s->set.separator;
        qsort_r(n.list.at, n.list.n, sizeof *n.list.at, by_name, &sep);
        mark_parents(&n);
        mark_auto(&n);
        VEC_EACH (&n.list, e)
            if (!(e->attrs & FOLDER_NOSELECT))
                e->special_use = special_use(&n, e->name);
        out->at = arena_array(mem, n.list.n, sizeof *out->at);
        memcpy(out->at, n.list.at, n.list.n * sizeof *out->at);
        out->n = n.list.n;
    }
    VEC_FREE(&n.list);
    return result;
}

/* ---- one folder ---- */

static bool dir_of(const struct store *s, const char *folder, struct buf *dir, struct why *why)
{
    struct buf canonical = BUF(300); /* fits: store_name_ok has looked */

    if (!store_name_ok(s, folder, why))
        return false;
    store_canonical(s, folder, &canonical);
    store_dir(buf_str(&canonical), dir);
    buf_free(&canonical);
    return true;
}

static bool is_dir(const struct store *s, const char *dir)
{
    struct stat st;
    return fstatat(s->rootfd, dir, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

bool store_has(struct store *s, const char *folder)
{
    struct buf dir = BUF(300); /* fits: dir_of has looked at the name */
    bool has = dir_of(s, folder, &dir, NULL) && is_dir(s, dir.p);

    buf_free(&dir);
    return has || store_make_auto(s, folder);
}

/* (waits) Whoever is told of a folder's name finds it after a power cut, too. */
static int sync_names(struct store *s, const char *folder, struct why *why)
{
    if (s->set.no_sync || task_fsync(s->rootfd) == 0)
        return 0;
    return why_errno(why, "4.3.0", "cannot sync the name of folder %s", folder);
}

static int make_folder(struct store *s, const char *dir, const char *folder, struct why *why)
{
    static const char *const below[CREATE_DIRS] = {"cur", "new", "tmp"};

    if (mkdirat(s->rootfd, dir, s->set.mode) < 0) {
        if (errno == EEXIST)
            return why_set(why, "5.2.1", "folder %s exists already", folder);
        return why_errno(why, "4.3.0", "cannot create folder %s", folder);
    }
    int fd = openat(s->rootfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), mark = -1;
    bool good = fd >= 0;
    for (size_t i = 0; good && i < CREATE_DIRS; i++)
        good = mkdirat(fd, below[i], s->set.mode) == 0;
    if (good) /* Maildir++: this is a folder, its root is one level up */
        mark = file_open_plain(fd, "maildirfolder", O_WRONLY | O_CREAT, s->set.mode & 0666);
    if (mark >= 0)
        close(mark);
    if (fd >= 0)
        close(fd);
    return good ? 0 : why_errno(why, "4.3.0", "cannot create folder %s", folder);
}

int store_create(struct store *s, const char *folder, struct why *why)
{
    struct buf name = BUF(300);
    struct buf dir = BUF(300); /* fits: dir_of has looked at the name */
    int result = -1;

    /* RFC 3501 6.3.3: a separator at the end only says that there will be children. */
    buf_addz(&name, folder);
    if (name.n > 1 && name.p[name.n - 1] == s->set.separator)
        buf_cut(&name, name.n - 1);
    if (!buf_ok(&name))
        why_set(why, "5.1.3", "the folder name is too long");
    else if (dir_of(s, name.p, &dir, why)) {
        if (str_eqz(buf_str(&dir), "."))
            why_set(why, "5.2.1", "INBOX exists always");
        else
            result = make_folder(s, dir.p, name.p, why);
    }
    buf_free(&name);
    buf_free(&dir);
    return result;
}

bool store_make_auto(struct store *s, const char *folder)
{
    struct buf dir = BUF(NAME_MAX); /* fits: dir_of has looked at the name */
    bool made = is_auto(s, strz(folder)) && dir_of(s, folder, &dir, NULL) &&
                (is_dir(s, dir.p) || make_folder(s, dir.p, folder, NULL) == 0);

    buf_free(&dir);
    return made;
}

/* A directory and what is in it, at most three levels. */
static int remove_tree(int at, const char *name, int depth)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    size_t count = 0;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) < 0 && depth > 0)
            remove_tree(fd, e->d_name, depth - 1);
        if (++count % 64 == 0)
            task_yield();
    }
    closedir(dir);
    return unlinkat(at, name, AT_REMOVEDIR);
}

/* Open folders of this process by that name are no longer what they were. */
static void store_list_forget(struct store *s, const char *dir)
{
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        if (strcmp(f->dir, dir) != 0)
            continue;
        f->failed = true;
        if (f->uses == 0)
            folder_close(f);
    }
}

int store_remove(struct store *s, const char *folder, struct why *why)
{
    struct buf dir = BUF(300); /* fits: dir_of has looked at the name */
    struct buf gone = BUF(300); /* fits: see ident_maildir */
    int result = -1;

    if (!dir_of(s, folder, &dir, why))
        return -1;
    if (str_eqz(buf_str(&dir), ".")) {
        why_set(why, "5.1.3", "INBOX cannot be removed");
    } else {
        /* Out of sight with one rename; two dots in front are no folder. */
        buf_addz(&gone, "..pombal-removed.");
        ident_maildir(&gone, s->set.hostname);
        if (renameat(s->rootfd, dir.p, s->rootfd, gone.p) == 0) {
            store_list_forget(s, dir.p);
            remove_tree(s->rootfd, gone.p, 3);
            result = 0;
        } else if (errno == ENOENT) {
            why_set(why, "5.2.0", "folder %s does not exist", folder);
        } else {
            why_errno(why, "4.3.0", "cannot remove folder %s", folder);
        }
    }
    buf_free(&dir);
    buf_free(&gone);
    return result;
}

/* ---- renaming ---- */

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

/* INBOX stays, its messages go. RFC 3501 6.3.5 */
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

static int rename_all(struct store *s, struct str from, struct str to, struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct names n = {.s = s, .mem = mem};
    struct buf old = BUF(300); /* fits: dir_of has looked at the name */
    struct buf dir = BUF(600);
    bool any = false;
    int result = read_root(&n, why);

    for (size_t i = 0; i < n.list.n && result == 0; i++) {
        buf_clear(&old);
        buf_clear(&dir);
        if (!dir_of(s, arena_strz(mem, n.list.at[i].name), &old, NULL))
            continue;
        struct str below = str_from(buf_str(&old), from.n);
        if (!str_starts(buf_str(&old), from) || (below.n > 0 && below.p[0] != '.'))
            continue;
        buf_add(&dir, to);
        buf_add(&dir, below);
        any = true;
        result = !buf_ok(&dir) || dir.n > NAME_MAX
                     ? why_set(why, "5.1.3", "the new folder name is too long")
                     : rename_dir(s, old.p, dir.p, why);
    }
    if (result == 0 && !any)
        result = why_set(why, "5.2.0", "folder %.*s does not exist", (int)from.n - 1, from.p + 1);
    VEC_FREE(&n.list);
    buf_free(&old);
    buf_free(&dir);
    arena_free(&mem);
    return result;
}

int store_rename(struct store *s, const char *from, const char *to, struct why *why)
{
    struct buf old = BUF(300), new = BUF(300); /* fits: dir_of has looked at the names */
    int result = -1;

    if (dir_of(s, from, &old, why) && dir_of(s, to, &new, why)) {
        if (str_eqz(buf_str(&new), ".") || is_dir(s, new.p))
            why_set(why, "5.2.1", "folder %s exists already", to);
        else if (str_eqz(buf_str(&old), "."))
            result = rename_inbox(s, to, why);
        else if (str_starts(buf_str(&new), buf_str(&old)) && new.p[old.n] == '.')
            why_set(why, "5.1.3", "a folder cannot be moved below itself");
        else
            result =
                rename_all(s, buf_str(&old), buf_str(&new), why) < 0 ? -1 : sync_names(s, to, why);
    }
    buf_free(&old);
    buf_free(&new);
    return result;
}
