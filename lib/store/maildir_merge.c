/*
 * What other programs did to the directories of a folder is merged into the journal.
 */
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "store/uidlist.h"
#include "task/task.h"

#ifndef ZFS_MAGIC
#define ZFS_MAGIC 0x2fc12fc1
#endif

enum {
    REMOTE_NS = 2000000000, /* where times are coarse or another machine's */
    FEW = 8,
    STAT_MOST = 1000,
    ADOPT_YIELD = 4096, /* messages that are only looked at in memory */
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
    uint32_t uid; /* of a new one, if dovecot-uidlist has it; 0 */
    uint64_t age; /* the number at the start of the name */
};

/* Slots of a state by their names, open addressing. */
struct by_name {
    const struct state *state;
    uint32_t *table; /* slot + 1; null: not made yet */
    size_t mask;
    uint64_t seed; /* so that nobody can choose names that meet */
};

struct scan {
    struct folder *f;
    struct arena *mem;
    VEC(struct found) found;
    struct by_name names; /* of the folder */
    bool *seen; /* by slot */
    size_t slots; /* as many: more may come while this waits */
};

static uint64_t hash_name(const struct by_name *n, struct str s)
{
    uint64_t h = n->seed;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static void make_table(struct by_name *n)
{
    const struct state *s = n->state;

    random_bytes(&n->seed, sizeof n->seed);
    n->mask = 64;
    while (n->mask < s->n * 2)
        n->mask *= 2;
    n->table = mem_array(n->mask, sizeof *n->table);
    n->mask--;
    for (size_t i = 0; i < s->n; i++) {
        if (s->slots[i].m.flags & SLOT_GONE)
            continue;
        size_t at = hash_name(n, state_name(s, &s->slots[i])) & n->mask;
        while (n->table[at] != 0)
            at = (at + 1) & n->mask;
        n->table[at] = (uint32_t)i + 1;
    }
}

/* The index of the slot, SIZE_MAX: none. few: not worth a table. */
static size_t look_up(struct by_name *n, struct str base, bool few)
{
    const struct state *s = n->state;

    if (s->n == s->gone)
        return SIZE_MAX;
    if (n->table == NULL && few) {
        for (size_t i = s->n; i-- > 0;)
            if (!(s->slots[i].m.flags & SLOT_GONE) && str_eq(state_name(s, &s->slots[i]), base))
                return i;
        return SIZE_MAX;
    }
    if (n->table == NULL)
        make_table(n);
    for (size_t at = hash_name(n, base) & n->mask; n->table[at] != 0; at = (at + 1) & n->mask) {
        size_t i = n->table[at] - 1;
        if (str_eq(state_name(s, &s->slots[i]), base))
            return i;
    }
    return SIZE_MAX;
}

static int read_dir(struct scan *sc, enum blobs_dir dir, struct why *why)
{
    struct blob_list *list = blobs_list(&sc->f->blobs, dir);

    if (list == NULL)
        return why_errno(why, "4.3.0", "cannot read the messages of folder %s", sc->f->name);
    for (const char *name; (name = blob_list_next(list)) != NULL;) {
        struct maildir_name parsed;
        struct str whole = arena_str(sc->mem, strz(name));
        if (maildir_name_parse(whole, &parsed))
            *VEC_ADD(&sc->found) = (struct found){
                .name = parsed, .whole = whole, .in_new = dir == BLOBS_NEW, .slot = SIZE_MAX};
        if (sc->found.n % ADOPT_YIELD == ADOPT_YIELD - 1)
            task_yield();
    }
    /* What was not read would look as if somebody had removed it. */
    int result = blob_list_failed(list)
                     ? why_errno(why, "4.3.0", "cannot read the messages of folder %s", sc->f->name)
                     : 0;
    blob_list_close(&list);
    return result;
}

/* Finds the slots; an odd name is looked up whole, then by what it was before it became odd. */
static void match(struct scan *sc, size_t from)
{
    bool few = sc->found.n <= FEW;

    for (size_t i = from; i < sc->found.n; i++) {
        struct found *found = &sc->found.at[i];
        found->slot = look_up(&sc->names, found->name.base, few);
        if (found->slot == SIZE_MAX && found->name.odd) {
            ptrdiff_t colon = str_find(found->whole, ':');
            if (colon > 0)
                found->slot = look_up(&sc->names, str_upto(found->whole, (size_t)colon), few);
        }
        if (found->slot < sc->slots)
            sc->seen[found->slot] = true;
        if (i % ADOPT_YIELD == ADOPT_YIELD - 1)
            task_yield();
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
    return maildir_keywords(letters & ~state_unnamed(s));
}

static uint64_t age_of(struct str name)
{
    uint64_t age = 0;

    for (size_t i = 0; i < name.n && name.p[i] >= '0' && name.p[i] <= '9'; i++)
        age = age < UINT64_MAX / 10 ? age * 10 + (uint64_t)(name.p[i] - '0') : UINT64_MAX;
    return age;
}

/* By the number that Dovecot gave; then by the time in the name, then by the name: the order of
 * delivery, as far as names tell. */
static int by_age(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    if (x->uid != y->uid)
        return x->uid - 1 < y->uid - 1 ? -1 : 1; /* 0 last */
    if (x->age != y->age)
        return x->age < y->age ? -1 : 1;
    return str_cmp(x->whole, y->whole);
}

/* Only what is new stays in the list, in the order in which it gets numbers. */
static void sort_new(struct scan *sc)
{
    size_t n = 0;

    for (size_t i = 0; i < sc->found.n; i++)
        if (sc->found.at[i].slot == SIZE_MAX)
            sc->found.at[n++] = sc->found.at[i];
    sc->found.n = n;
    for (size_t i = 0; i < n; i++)
        sc->found.at[i].age = age_of(sc->found.at[i].whole);
    if (n > 0)
        qsort(sc->found.at, n, sizeof *sc->found.at, by_age);
}

/*
 * The size with CRLF that the name tells, if it can be true: not less than the bytes of the file
 * (each LF counts twice at most). Of very many new messages, which come at a take-over, the files
 * are not asked: then the name must agree with itself, and reading finds the rest out.
 */
static uint64_t named_size(const struct folder *f, const struct found *found, bool ask)
{
    uint64_t vsize = maildir_name_vsize(found->name.base);
    uint64_t size = maildir_name_size(found->name.base);
    struct blob file = {found->whole, (found->in_new ? SLOT_NEW : 0u) | SLOT_ODD, 0};
    struct stat st;

    if (vsize == 0)
        return 0;
    if (ask && blob_stat(&f->blobs, &file, &st) == 0) {
        bool said = size == 0 || size == (uint64_t)st.st_size;
        size = said ? (uint64_t)st.st_size : 0;
    }
    return maildir_size_fits(size, vsize) ? vsize : 0;
}

/* least: no number below is given to a message that has none yet. */
static int adopt(struct scan *sc, uint32_t least, struct why *why)
{
    struct folder *f = sc->f;
    struct buf out = BUF(JOURNAL_MAX);
    struct journal_add head = {0};
    uint32_t uid = folder_out_uidnext(f);

    sort_new(sc);
    size_t n = sc->found.n;
    if (n == 0)
        return 0;
    if ((least > uid ? least : uid) > UINT32_MAX - n - 1)
        return why_set(why, "4.2.0", "folder %s has no numbers left", f->name);
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    for (size_t i = 0; i < n; i++) {
        const struct found *found = &sc->found.at[i];
        struct slot slot = {.letters = found->name.letters};
        if (found->uid != 0)
            uid = found->uid;
        else if (uid < least)
            uid = least;
        slot.m.uid = uid++;
        slot.m.flags = maildir_flags(found->name.letters) | place_bits(found);
        slot.m.keywords = known_keywords(&f->state, found->name.letters);
        slot.m.size = named_size(f, found, n <= STAT_MOST);
        state_entry(&slot, found->name.base, &out);
        head.count++;
        if (i % ADOPT_YIELD == ADOPT_YIELD - 1)
            task_yield();
    }
    if (buf_ok(&out))
        memcpy(out.p, &head, sizeof head);
    folder_record_buf(f, J_ADD, &out, uid);
    int result =
        buf_ok(&out) ? 0 : why_set(why, "4.2.2", "folder %s has too many messages", f->name);
    buf_free(&out);
    return result;
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
        folder_record_buf(f, J_MOVED, &out, 0);
    }
    buf_free(&out);
}

static void take_missing(struct scan *sc)
{
    struct folder *f = sc->f;
    struct uidset gone = UIDSET;
    struct buf out = BUF(JOURNAL_MAX);
    struct journal_ranges head = {0};

    for (size_t i = 0; i < sc->slots; i++)
        if (!sc->seen[i] && !(f->state.slots[i].m.flags & SLOT_GONE))
            uidset_add(&gone, f->state.slots[i].m.uid, f->state.slots[i].m.uid);
    if (gone.n > 0) {
        head.count = (uint32_t)gone.n;
        buf_add(&out, (struct str){(const char *)&head, sizeof head});
        folder_ranges(&gone, &out);
        folder_record_buf(f, J_EXPUNGE, &out, 0);
    }
    uidset_free(&gone);
    buf_free(&out);
}

static bool any_missing(const struct scan *sc, bool only_new)
{
    for (size_t i = 0; i < sc->slots; i++) {
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
    if (read_dir(sc, BLOBS_NEW, why) < 0 || (cur_too && read_dir(sc, BLOBS_CUR, why) < 0))
        return -1;
    match(sc, 0);
    if (!any_missing(sc, !cur_too))
        return 0;
    size_t before = sc->found.n;
    if (read_dir(sc, BLOBS_CUR, why) < 0 || read_dir(sc, BLOBS_NEW, why) < 0)
        return -1;
    *whole = true;
    match(sc, before);
    /* The second look is the newer one; what it shows again is not to be taken twice. */
    if (before > 0)
        memmove(sc->found.at, sc->found.at + before, (sc->found.n - before) * sizeof *sc->found.at);
    sc->found.n -= before;
    return 0;
}

/* ---- dovecot-uidlist, if somebody else wrote it ---- */

/*
 * Does it go on with our numbers? Not if it gives a message of ours another number, or one of our
 * numbers, or one that we may have given, to another message. New messages get its numbers.
 */
static bool continues(struct scan *sc, const struct state *list)
{
    struct by_name listed = {.state = list};
    const struct state *s = &sc->f->state;
    bool good = true;

    for (size_t i = 0; i < list->n && good; i++) {
        size_t slot = look_up(&sc->names, state_name(list, &list->slots[i]), false);
        uint32_t uid = list->slots[i].m.uid;
        good = slot != SIZE_MAX ? s->slots[slot].m.uid == uid : state_slot(s, uid) == NULL;
    }
    for (size_t i = 0; i < sc->found.n && good; i++) {
        struct found *found = &sc->found.at[i];
        size_t at = found->slot == SIZE_MAX ? look_up(&listed, found->name.base, false) : SIZE_MAX;
        if (at == SIZE_MAX)
            continue;
        found->uid = list->slots[at].m.uid;
        good = found->uid >= s->uidnext;
    }
    free(listed.table);
    return good;
}

/* What we know of the messages by those names: flags, dates, sizes. */
static void carry_over(const struct state *from, struct state *to)
{
    struct by_name names = {.state = from};

    for (size_t i = 0; i < from->keywords.n; i++)
        state_name_keyword(to, i, state_keyword_name(from, i));
    for (size_t i = 0; i < to->n; i++) {
        struct slot *slot = &to->slots[i];
        size_t at = look_up(&names, state_name(to, slot), false);
        if (at == SIZE_MAX)
            continue;
        const struct slot *old = &from->slots[at];
        slot->m.flags = old->m.flags & (MSG_FLAGS | SLOT_FILE | SLOT_DIRTY);
        slot->m.keywords = old->m.keywords;
        slot->m.received = old->m.received;
        slot->m.size = old->m.size;
        slot->letters = old->letters;
        for (size_t k = MSG_KEYWORDS; k < from->keywords.n; k++)
            if (state_has_keyword(from, old, k))
                uidset_add(&to->keywords.at[k].uids, slot->m.uid, slot->m.uid);
    }
    free(names.table);
}

/*
 * The numbers of the two do not go together. Newer ones of Dovecot's are taken; else all messages
 * get new ones, and so does Dovecot.
 */
static int renumber(struct folder *f, struct state *list, uint32_t uidvalidity, struct why *why)
{
    struct state fresh;

    state_init(&fresh);
    if (uidvalidity > f->j.head.uidvalidity) {
        carry_over(&f->state, list);
        fresh = *list;
        state_init(list);
        msg_info("folder %s of %s: Dovecot has numbered it anew, uidvalidity %u", f->name,
                 f->store->path, uidvalidity);
    } else {
        state_copy(&f->state, &fresh);
        uidvalidity = 0;
        msg_warn("folder %s of %s: dovecot-uidlist gives numbers that were given before: "
                 "all messages get new ones",
                 f->name, f->store->path);
    }
    fresh.seen_new = fresh.seen_cur = 0;
    bool shown = !list_empty(&f->views);
    if (shown) {
        f->failed = true;
    } else {
        state_forget(&f->state);
        f->loaded = false;
    }
    int result = folder_make(f, &fresh, uidvalidity, false, why);
    state_free(&fresh);
    if (result == 0 && shown)
        return why_set(why, "4.2.0", "folder %s was numbered anew", f->name);
    return result;
}

/* ---- the merge ---- */

/*
 * Why cur/ is read, and not only new/: a mail program moves a file from new/ to cur/, so what is
 * missing in new/ makes it read too (look).
 */
enum reason {
    CUR_CHANGED = 1, /* its time is another one */
    FORCED = 2, /* a file was not where it should be, or a directory was missing */
    OVERDUE = 4, /* MAILDIR_STALE: times may lie */
    LIST_CHANGED = 8, /* somebody else wrote dovecot-uidlist */
};

struct merge {
    struct folder *f;
    unsigned reasons;
    struct journal_dirs dirs; /* as they were before they were read */
    int64_t tick;
    struct scan scan;
    bool whole; /* both directories were read */
    struct state list; /* of dovecot-uidlist */
    uint32_t list_uidvalidity;
};

static int find_reasons(struct merge *m, bool force, struct why *why)
{
    struct folder *f = m->f;

    m->dirs = (struct journal_dirs){blobs_time(&f->blobs, BLOBS_NEW),
                                    blobs_time(&f->blobs, BLOBS_CUR), clock_wall()};
    m->tick = clock_tick_ns();
    m->reasons = (force ? FORCED : 0u) |
                 (m->dirs.seen_cur != f->state.seen_cur ? CUR_CHANGED : 0u) |
                 (f->state.sure_at + MAILDIR_STALE < m->dirs.sure_at ? OVERDUE : 0u) |
                 (uidlist_changed(f) ? LIST_CHANGED : 0u);
    if (m->dirs.seen_new != 0 && m->dirs.seen_cur != 0)
        return 0;
    m->reasons |= FORCED;
    if (blobs_make(&f->blobs) == 0)
        return 0;
    return why_errno(why, "4.3.0", "cannot create the directories of folder %s", f->name);
}

/* Somebody else gave names a letter, or gave a letter a name. */
static bool has_unknown_letters(const struct merge *m)
{
    uint32_t unnamed = state_unnamed(&m->f->state);

    for (size_t i = 0; i < m->scan.found.n; i++)
        if (m->scan.found.at[i].name.letters & unnamed)
            return true;
    return m->reasons & LIST_CHANGED;
}

/* 1: the list of numbers does not go on with ours. */
static int take_found(struct merge *m, struct why *why)
{
    uint32_t least = m->list_uidvalidity != 0 ? m->list.uidnext : 0;

    if (has_unknown_letters(m) && folder_learn_keywords(m->f, why) < 0)
        return -1;
    if (m->list_uidvalidity != 0 &&
        (m->list_uidvalidity != m->f->j.head.uidvalidity || !continues(&m->scan, &m->list)))
        return 1;
    take_renamed(&m->scan);
    if (m->whole)
        take_missing(&m->scan);
    if (adopt(&m->scan, least, why) < 0)
        return -1;
    if (least > folder_out_uidnext(m->f))
        folder_record(m->f, J_UIDNEXT, STR(""), least);
    return 0;
}

/*
 * | read      | seen_new | seen_cur  | sure_at   |
 * | new/      | now      | as it was | as it was |
 * | both      | now      | now       | now       |
 */
static void record_dirs(struct merge *m)
{
    struct folder *f = m->f;
    const struct state *s = &f->state;
    struct journal_dirs d = {.seen_cur = s->seen_cur, .sure_at = s->sure_at};

    f->again_at = 0;
    f->looked_new = m->dirs.seen_new;
    f->looked_cur = m->whole ? m->dirs.seen_cur : 0;
    d.seen_new = sure_time(f, m->dirs.seen_new, m->tick);
    if (m->whole) {
        d.seen_cur = sure_time(f, m->dirs.seen_cur, m->tick);
        d.sure_at = m->dirs.sure_at;
    }
    if (f->out.n > 0 || d.seen_new != s->seen_new || d.seen_cur != s->seen_cur ||
        d.sure_at != s->sure_at)
        folder_record(f, J_DIRS, (struct str){(const char *)&d, sizeof d}, 0);
}

/* It is written anew with all that there is now, or not kept any more if it was removed. */
static int rewrite_list(struct folder *f, struct why *why)
{
    if (uidlist_wanted(f))
        uidlist_write(f);
    else
        f->state.list = (struct journal_list){0};
    struct journal_list mark = f->state.list;
    folder_record(f, J_LIST, (struct str){(const char *)&mark, sizeof mark}, 0);
    return folder_commit(f, why);
}

static int record_found(struct merge *m, struct why *why)
{
    struct folder *f = m->f;
    bool any_new = m->scan.found.n > 0;

    record_dirs(m);
    int result = folder_commit(f, why);
    if (result == 0 && m->reasons & LIST_CHANGED)
        result = rewrite_list(f, why);
    /* Nobody may be told numbers that a power cut would take back. */
    if (result == 0 && any_new)
        result = folder_sync(f, 0, why);
    return result;
}

int maildir_merge(struct folder *f, bool force, struct why *why)
{
    struct merge m = {.f = f, .scan = {.f = f, .names = {.state = &f->state}}};

    if (f->frozen)
        return 0;
    if (find_reasons(&m, force, why) < 0)
        return -1;
    if (m.reasons & LIST_CHANGED && uidlist_read(f, &m.list, &m.list_uidvalidity, why) < 0)
        return -1;
    m.scan.mem = arena_new(NULL);
    m.scan.slots = f->state.n;
    m.scan.seen = mem_array(m.scan.slots + 1, sizeof *m.scan.seen);
    int result = look(&m.scan, m.reasons != 0, &m.whole, why);
    if (result == 0)
        result = take_found(&m, why);
    if (result == 0)
        result = record_found(&m, why);
    else
        buf_clear(&f->out);
    VEC_FREE(&m.scan.found);
    free(m.scan.names.table);
    free(m.scan.seen);
    arena_free(&m.scan.mem);
    if (result > 0)
        result = renumber(f, &m.list, m.list_uidvalidity, why);
    state_free(&m.list);
    return result;
}
