/*
 * What other programs did to the directories of a folder is merged into the journal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"
#include "store/folder.h"
#include "task/task.h"

#ifndef ZFS_MAGIC
#define ZFS_MAGIC 0x2fc12fc1
#endif

enum {
    REMOTE_NS = 2000000000, /* where times are coarse or another machine's */
    FEW = 8,
    ADOPT_YIELD = 4096, /* that ask the file system nothing */
};

/* File systems of this machine whose times are fine. */
static bool has_fine_times(const struct folder *f)
{
    static const unsigned long local[] = {EXT4_SUPER_MAGIC,     XFS_SUPER_MAGIC,  BTRFS_SUPER_MAGIC,
                                          TMPFS_MAGIC,          F2FS_SUPER_MAGIC, ZFS_MAGIC,
                                          OVERLAYFS_SUPER_MAGIC};
    struct statfs fs;

    for (size_t i = 0; fstatfs(f->dirfd, &fs) == 0 && i < sizeof local / sizeof *local; i++)
        if ((unsigned long)fs.f_type == local[i])
            return true;
    return false;
}

/*
 * A directory's time that is this tick's does not prove that nothing more comes in the same tick.
 * It is then recorded as a time that the directory does not have, so that whoever looks next reads
 * it once more. tick: of after the time was taken, and before the directory was read.
 */
static int64_t sure_time(struct folder *f, int64_t time, int64_t tick)
{
    if (time + REMOTE_NS < tick)
        return time;
    bool fine = has_fine_times(f);
    if (fine && time < tick)
        return time;
    if (!fine) /* not at each command */
        f->again_at = task_now() + REMOTE_NS / 1000000;
    return time - 1;
}

/* ---- what is there ---- */

struct found {
    struct maildir_name name; /* in the arena */
    struct str whole;
    bool in_new;
    size_t slot; /* SIZE_MAX: not known */
    uint64_t age; /* the number at the start of the name */
};

struct scan {
    struct folder *f;
    struct arena *mem;
    VEC(struct found) found;
    uint32_t *table; /* name to slot + 1, open addressing */
    size_t mask;
    bool *seen; /* by slot */
};

static uint64_t hash_name(struct str s, uint64_t seed)
{
    uint64_t h = seed;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static void make_table(struct scan *sc)
{
    const struct state *s = &sc->f->state;

    sc->mask = 64;
    while (sc->mask < s->n * 2)
        sc->mask *= 2;
    sc->table = mem_array(sc->mask, sizeof *sc->table);
    sc->mask--;
    for (size_t i = 0; i < s->n; i++) {
        if (s->slots[i].m.flags & SLOT_GONE)
            continue;
        size_t at = hash_name(state_name(s, &s->slots[i]), sc->f->j.head.generation) & sc->mask;
        while (sc->table[at] != 0)
            at = (at + 1) & sc->mask;
        sc->table[at] = (uint32_t)i + 1;
    }
}

static size_t look_up(struct scan *sc, struct str base)
{
    const struct state *s = &sc->f->state;

    if (s->n == s->gone)
        return SIZE_MAX;
    if (sc->table == NULL && sc->found.n <= FEW) {
        for (size_t i = s->n; i-- > 0;)
            if (!(s->slots[i].m.flags & SLOT_GONE) && str_eq(state_name(s, &s->slots[i]), base))
                return i;
        return SIZE_MAX;
    }
    if (sc->table == NULL)
        make_table(sc);
    for (size_t at = hash_name(base, sc->f->j.head.generation) & sc->mask; sc->table[at] != 0;
         at = (at + 1) & sc->mask) {
        size_t i = sc->table[at] - 1;
        if (str_eq(state_name(s, &s->slots[i]), base))
            return i;
    }
    return SIZE_MAX;
}

/* Directories, sockets and so on are no messages. A link is one if it leads to a file, as in
 * Dovecot: what it may lead to is bounded where messages are read, by the jail of the session. */
static bool is_message(int dirfd, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_REG;
    return fstatat(dirfd, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static int read_dir(struct scan *sc, const char *name, struct why *why)
{
    int fd = openat(sc->f->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        why_errno(why, "4.3.0", "cannot read %s of folder %s", name, sc->f->name);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct maildir_name parsed;
        if (e->d_name[0] == '.' || !is_message(fd, e))
            continue;
        struct str whole = arena_str(sc->mem, strz(e->d_name));
        if (maildir_name_parse(whole, &parsed))
            *VEC_ADD(&sc->found) = (struct found){
                .name = parsed, .whole = whole, .in_new = name[0] == 'n', .slot = SIZE_MAX};
    }
    closedir(dir);
    return 0;
}

/* Finds the slots; an odd name is looked up whole, then by what it was before it became odd. */
static void match(struct scan *sc, size_t from)
{
    for (size_t i = from; i < sc->found.n; i++) {
        struct found *found = &sc->found.at[i];
        found->slot = look_up(sc, found->name.base);
        if (found->slot == SIZE_MAX && found->name.odd) {
            ptrdiff_t colon = str_find(found->whole, ':');
            if (colon > 0)
                found->slot = look_up(sc, str_upto(found->whole, (size_t)colon));
        }
        if (found->slot != SIZE_MAX)
            sc->seen[found->slot] = true;
    }
}

/* ---- what follows from it ---- */

static uint32_t place_bits(const struct found *found)
{
    return (found->in_new ? SLOT_NEW : 0u) | (found->name.bare ? SLOT_BARE : 0u) |
           (found->name.odd ? SLOT_ODD : 0u);
}

/* Letters that stand for no keyword here mean nothing. */
static uint64_t known_keywords(const struct state *s, uint32_t letters)
{
    uint64_t known = s->nkeywords < 64 ? ((uint64_t)1 << s->nkeywords) - 1 : UINT64_MAX;
    return maildir_keywords(letters) & known;
}

static uint64_t age_of(struct str name)
{
    uint64_t age = 0;

    for (size_t i = 0; i < name.n && name.p[i] >= '0' && name.p[i] <= '9'; i++)
        age = age < UINT64_MAX / 10 ? age * 10 + (uint64_t)(name.p[i] - '0') : UINT64_MAX;
    return age;
}

/* By the time in the name, then by the name: the order of delivery, as far as names tell. */
static int by_age(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    if (x->age != y->age)
        return x->age < y->age ? -1 : 1;
    return str_cmp(x->whole, y->whole);
}

static int adopt(struct scan *sc, struct why *why)
{
    struct folder *f = sc->f;
    struct buf out = BUF(JOURNAL_MAX);
    struct journal_add head = {0};
    uint32_t uid = folder_out_uidnext(f);
    size_t n = 0;

    for (size_t i = 0; i < sc->found.n; i++)
        if (sc->found.at[i].slot == SIZE_MAX)
            sc->found.at[n++] = sc->found.at[i];
    sc->found.n = n;
    for (size_t i = 0; i < n; i++)
        sc->found.at[i].age = age_of(sc->found.at[i].whole);
    if (n == 0)
        return 0;
    if (uid > UINT32_MAX - n - 1)
        return why_set(why, "4.2.0", "folder %s has no numbers left", f->name);
    qsort(sc->found.at, n, sizeof *sc->found.at, by_age);
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    for (size_t i = 0; i < n; i++) {
        const struct found *found = &sc->found.at[i];
        struct slot slot = {.letters = found->name.letters};
        slot.m.uid = uid++;
        slot.m.flags = maildir_flags(found->name.letters) | place_bits(found);
        slot.m.keywords = known_keywords(&f->state, found->name.letters);
        slot.m.size = maildir_name_vsize(found->name.base);
        state_entry(&slot, found->name.base, &out);
        head.count++;
        if (i % ADOPT_YIELD == ADOPT_YIELD - 1)
            task_yield();
    }
    memcpy(out.p, &head, sizeof head);
    folder_record(f, J_ADD, buf_str(&out), uid);
    buf_free(&out);
    return 0;
}

/* Files that others renamed: a letter that changed there changes the flag here. */
static void take_renamed(struct scan *sc)
{
    struct folder *f = sc->f;
    struct buf out = BUF(JOURNAL_MAX);
    struct journal_ranges head = {0};

    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    VEC_EACH (&sc->found, found) {
        if (found->slot == SIZE_MAX)
            continue;
        struct slot slot = f->state.slots[found->slot];
        uint32_t bits = place_bits(found), changed = slot.letters ^ found->name.letters;
        if ((slot.m.flags & SLOT_FILE) == bits && changed == 0 &&
            str_eq(state_name(&f->state, &f->state.slots[found->slot]), found->name.base))
            continue;
        uint32_t flags = maildir_flags(changed);
        uint64_t keywords = known_keywords(&f->state, changed);
        slot.m.flags = (slot.m.flags & MSG_FLAGS & ~flags) |
                       (maildir_flags(found->name.letters) & flags) | bits;
        slot.m.keywords =
            (slot.m.keywords & ~keywords) | (maildir_keywords(found->name.letters) & keywords);
        slot.letters = found->name.letters;
        state_entry(&slot, found->name.base, &out);
        head.count++;
    }
    if (head.count > 0) {
        memcpy(out.p, &head, sizeof head);
        folder_record(f, J_MOVED, buf_str(&out), 0);
    }
    buf_free(&out);
}

static void take_missing(struct scan *sc)
{
    struct folder *f = sc->f;
    struct uidset gone = UIDSET;
    struct buf out = BUF(JOURNAL_MAX);
    struct journal_ranges head = {0};

    for (size_t i = 0; i < f->state.n; i++)
        if (!sc->seen[i] && !(f->state.slots[i].m.flags & SLOT_GONE))
            uidset_add(&gone, f->state.slots[i].m.uid, f->state.slots[i].m.uid);
    if (gone.n > 0) {
        head.count = (uint32_t)gone.n;
        buf_add(&out, (struct str){(const char *)&head, sizeof head});
        folder_ranges(&gone, &out);
        folder_record(f, J_EXPUNGE, buf_str(&out), 0);
    }
    uidset_free(&gone);
    buf_free(&out);
}

static bool any_missing(const struct scan *sc, bool only_new)
{
    for (size_t i = 0; i < sc->f->state.n; i++) {
        uint32_t flags = sc->f->state.slots[i].m.flags;
        if (!sc->seen[i] && !(flags & SLOT_GONE) && (!only_new || flags & SLOT_NEW))
            return true;
    }
    return false;
}

/* Reads what has changed. A file that is renamed while a directory is read may not show: what is
 * missing is looked for once more. */
static int look(struct scan *sc, bool cur_too, bool *whole, struct why *why)
{
    *whole = cur_too;
    if (read_dir(sc, "new", why) < 0 || (cur_too && read_dir(sc, "cur", why) < 0))
        return -1;
    match(sc, 0);
    if (!any_missing(sc, !cur_too))
        return 0;
    size_t before = sc->found.n;
    if (read_dir(sc, "cur", why) < 0 || read_dir(sc, "new", why) < 0)
        return -1;
    *whole = true;
    match(sc, before);
    /* The second look is the newer one; what it shows again is not to be taken twice. */
    if (before > 0)
        memmove(sc->found.at, sc->found.at + before, (sc->found.n - before) * sizeof *sc->found.at);
    sc->found.n -= before;
    return 0;
}

int maildir_merge(struct folder *f, bool force, struct why *why)
{
    struct journal_dirs dirs = {maildir_time(f, "new"), maildir_time(f, "cur"), clock_wall()};
    struct scan sc = {.f = f};
    bool cur_too =
        force || dirs.seen_cur != f->state.seen_cur || f->state.sure_at + MAILDIR_STALE < dirs.sure_at;
    bool whole = false;
    int64_t tick = clock_tick_ns();

    if (f->frozen)
        return 0;
    if (dirs.seen_new == 0 || dirs.seen_cur == 0) {
        if (maildir_make_dirs(f, why) < 0)
            return -1;
        force = true;
    }
    sc.mem = arena_new(NULL);
    sc.seen = mem_array(f->state.n + 1, sizeof *sc.seen);
    int result = look(&sc, cur_too || force, &whole, why);
    if (result == 0) {
        take_renamed(&sc);
        if (whole)
            take_missing(&sc);
        result = adopt(&sc, why);
    }
    if (result == 0) {
        bool told_new = sc.found.n > 0;
        f->again_at = 0;
        f->looked_new = dirs.seen_new;
        f->looked_cur = whole ? dirs.seen_cur : 0;
        dirs.seen_new = sure_time(f, dirs.seen_new, tick);
        dirs.seen_cur = whole ? sure_time(f, dirs.seen_cur, tick) : f->state.seen_cur;
        if (!whole)
            dirs.sure_at = f->state.sure_at;
        if (f->out.n > 0 || dirs.seen_new != f->state.seen_new ||
            dirs.seen_cur != f->state.seen_cur || dirs.sure_at != f->state.sure_at)
            folder_record(f, J_DIRS, (struct str){(const char *)&dirs, sizeof dirs}, 0);
        result = folder_commit(f, why);
        /* Nobody may be told numbers that a power cut would take back. */
        if (result == 0 && told_new)
            result = folder_sync(f, why);
    } else {
        buf_clear(&f->out);
    }
    VEC_FREE(&sc.found);
    free(sc.table);
    free(sc.seen);
    arena_free(&sc.mem);
    return result;
}
