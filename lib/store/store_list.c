/*
 * The folders of a store: listing, creating, removing.
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
#include "store/store_names.h"
#include "store/subscriptions.h"
#include "task/task.h"

/* ---- listing ---- */

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

static void store_list_add(struct store_names *n, struct str name, unsigned attrs)
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

/* Is it one, and not INBOX? */
static bool is_folder(struct store *s, const struct dirent *e, struct buf *name)
{
    struct stat st;

    buf_clear(name);
    if ((e->d_type != DT_DIR && e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) ||
        !folder_of(s, e->d_name, name) || str_eqz(buf_str(name), "INBOX"))
        return false;
    return e->d_type == DT_DIR ||
           (fstatat(s->rootfd, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode));
}

int store_read_root(struct store_names *n, struct why *why)
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
    struct dirent *e = NULL;
    errno = 0;
    while (!n->cut && (e = file_next_entry(dir)) != NULL) {
        if (!is_folder(s, e, &name))
            continue;
        n->cut = n->list.n == s->set.folders;
        if (!n->cut)
            store_list_add(n, buf_str(&name), 0);
    }
    /* Half a list would look to a client as if the other folders were gone. */
    int result =
        e == NULL && errno != 0 ? why_errno(why, "4.3.0", "cannot read mailbox %s", s->path) : 0;
    closedir(dir);
    buf_free(&name);
    return result;
}

/* Among the first count, which are sorted. */
static struct folder_entry *store_list_find(struct store_names *n, size_t count, struct str name)
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

static void sort(struct store_names *n)
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

static bool is_at_or_below(struct str name, struct str parent, char sep)
{
    return str_starts(name, parent) && (name.n == parent.n || name.p[parent.n] == sep);
}

/* Parents that are no folders themselves. What the name before is below of has been added. No more
 * than there may be folders: each name may have a hundred. */
static void add_parents(struct store_names *n)
{
    size_t count = n->list.n;
    char sep = n->s->set.separator;
    struct str before = STR("");

    for (size_t i = 0; i < count; i++) {
        struct str name = n->list.at[i].name, parent = name;
        for (ptrdiff_t at; (at = str_rfind(parent, sep)) > 0;) {
            parent = str_upto(parent, (size_t)at);
            if (is_at_or_below(before, parent, sep))
                break;
            if (n->list.n >= count + n->s->set.folders)
                n->cut = true;
            else
                *VEC_ADD(&n->list) = (struct folder_entry){parent, FOLDER_NOSELECT, NULL};
        }
        before = name;
    }
    sort(n);
}

static void mark_parents(struct store_names *n)
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

static const char *special_use(const struct store_names *n, struct str name)
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

static int add_subscribed(struct store_names *n, bool missing_too, struct why *why)
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
static void mark_auto(struct store_names *n)
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
    struct store_names n = {.s = s, .mem = mem};

    make_all_auto(s);
    int result = store_read_root(&n, why);

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
        out->cut = n.cut;
    }
    VEC_FREE(&n.list);
    return result;
}

/* ---- one folder ---- */

bool store_dir_of(const struct store *s, const char *folder, struct buf *dir, struct why *why)
{
    struct buf canonical = BUF(300); /* fits: store_name_ok has looked */

    if (!store_name_ok(s, folder, why))
        return false;
    store_canonical(s, folder, &canonical);
    store_dir(buf_str(&canonical), dir);
    buf_free(&canonical);
    return true;
}

bool store_is_dir(const struct store *s, const char *dir)
{
    struct stat st;
    return fstatat(s->rootfd, dir, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int store_has(struct store *s, const char *folder, struct why *why)
{
    struct buf dir = BUF(300); /* fits: store_dir_of has looked at the name */
    struct stat st;
    int result = 0;

    if (store_dir_of(s, folder, &dir, NULL)) {
        if (fstatat(s->rootfd, dir.p, &st, 0) == 0)
            result = S_ISDIR(st.st_mode);
        else if (errno != ENOENT && errno != ENOTDIR)
            result = why_errno(why, "4.3.0", "cannot look for folder %s", folder);
    }
    buf_free(&dir);
    if (result != 0 || !is_auto(s, strz(folder)))
        return result;
    return store_make_auto(s, folder) ? 1
                                      : why_set(why, "4.3.0", "folder %s cannot be made", folder);
}

int store_sync_names(struct store *s, const char *folder, struct why *why)
{
    if (s->set.no_sync || task_fsync(s->rootfd) == 0)
        return 0;
    return why_errno(why, "4.3.0", "cannot sync the name of folder %s", folder);
}

/* Is there room for another one? 1: yes. -1: it cannot be told. */
static int store_list_room(struct store *s, struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct store_names n = {.s = s, .mem = mem};
    int result = store_read_root(&n, why);

    if (result == 0)
        result = n.list.n < s->set.folders;
    if (result == 0)
        why_set(why, "5.2.2", "there are as many folders as mail_folder_limit allows");
    VEC_FREE(&n.list);
    arena_free(&mem);
    return result;
}

static const char folder_mark[] = "maildirfolder";

/* What is in a new folder. */
static bool fill_folder(const struct store *s, int fd)
{
    if (blobs_make(&(struct blobs){fd, s->set.mode}) < 0)
        return false;
    /* Maildir++: this is a folder, its root is one level up */
    int mark = file_open_plain(fd, folder_mark, O_WRONLY | O_CREAT, s->set.mode & 0666);
    if (mark >= 0)
        close(mark);
    return mark >= 0;
}

/* As if it had never been made; but what somebody has put into it meanwhile stays. Keeps errno:
 * whoever asked for the folder is told why, and not that it does not exist. */
static void unmake_folder(const struct store *s, int fd, const char *dir)
{
    int error = errno;

    unlinkat(fd, folder_mark, 0);
    blobs_unmake(&(struct blobs){fd, s->set.mode});
    unlinkat(s->rootfd, dir, AT_REMOVEDIR);
    errno = error;
}

/* (waits, if sync) sync: somebody is told that it is there now. */
static int make_folder(struct store *s, const char *dir, const char *folder, bool sync,
                       struct why *why)
{
    int result = 0;

    if (mkdirat(s->rootfd, dir, s->set.mode) < 0) {
        if (errno == EEXIST)
            return why_set(why, "5.2.1", "folder %s exists already", folder);
        return why_errno(why, "4.3.0", "cannot create folder %s", folder);
    }
    int fd = openat(s->rootfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !fill_folder(s, fd))
        result = why_errno(why, "4.3.0", "cannot create folder %s", folder);
    else if (sync)
        result = store_sync_names(s, folder, why);
    if (result < 0)
        unmake_folder(s, fd, dir);
    if (fd >= 0)
        close(fd);
    return result;
}

int store_create(struct store *s, const char *folder, struct why *why)
{
    struct buf name = BUF(300);
    struct buf dir = BUF(300); /* fits: store_dir_of has looked at the name */
    int result = -1;

    /* RFC 3501 6.3.3: a separator at the end only says that there will be children. */
    buf_addz(&name, folder);
    if (name.n > 1 && name.p[name.n - 1] == s->set.separator)
        buf_cut(&name, name.n - 1);
    if (!buf_ok(&name))
        why_set(why, "5.1.3", "the folder name is too long");
    else if (store_dir_of(s, name.p, &dir, why)) {
        if (str_eqz(buf_str(&dir), "."))
            why_set(why, "5.2.1", "INBOX exists always");
        else if (store_list_room(s, why) > 0)
            result = make_folder(s, dir.p, name.p, true, why);
    }
    buf_free(&name);
    buf_free(&dir);
    return result;
}

bool store_make_auto(struct store *s, const char *folder)
{
    struct buf dir = BUF(NAME_MAX); /* fits: store_dir_of has looked at the name */
    bool made = is_auto(s, strz(folder)) && store_dir_of(s, folder, &dir, NULL) &&
                (store_is_dir(s, dir.p) || make_folder(s, dir.p, folder, false, NULL) == 0);

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
    struct buf dir = BUF(300); /* fits: store_dir_of has looked at the name */
    struct buf gone = BUF(300); /* fits: see ident_maildir */
    int result = -1;

    if (!store_dir_of(s, folder, &dir, why))
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
