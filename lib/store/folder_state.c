/*
 * The state of a folder, replayed from the journal. One function per type of record.
 */
#include "store/folder_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static_assert(sizeof(struct slot) == 48, "file format");

void state_init(struct state *s)
{
    *s = (struct state){.uidnext = 1, .recent = 1, .modseq = 1};
}

void state_free(struct state *s)
{
    state_free_keywords(s);
    free(s->slots);
    free(s->names);
    *s = (struct state){0};
}

void state_forget(struct state *s)
{
    struct state kept = {.uidnext = s->uidnext, .modseq = s->modseq, .list = s->list};

    state_free(s);
    state_init(s);
    s->uidnext = kept.uidnext;
    s->modseq = kept.modseq;
    s->list = kept.list;
}

size_t state_find(const struct state *s, uint32_t uid)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->slots[mid].m.uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct slot *state_slot(const struct state *s, uint32_t uid)
{
    size_t i = state_find(s, uid);

    if (i == s->n || s->slots[i].m.uid != uid || s->slots[i].m.flags & SLOT_GONE)
        return NULL;
    return &s->slots[i];
}

struct str state_name(const struct state *s, const struct slot *slot)
{
    return strz(s->names + slot->name);
}

struct blob state_blob(const struct state *s, const struct slot *slot)
{
    return (struct blob){state_name(s, slot), slot->m.flags & SLOT_FILE, slot->letters};
}

static void set_dirty(const struct state *s, struct slot *slot)
{
    uint32_t kept = 1u << LETTER_PASSED | state_unnamed(s);

    slot->m.flags &= ~(uint32_t)SLOT_DIRTY;
    if ((slot->letters & ~kept) != maildir_letters(slot->m.flags, slot->m.keywords))
        slot->m.flags |= SLOT_DIRTY;
}

static void tell(struct events *events, enum event_kind kind, uint32_t low, uint32_t high)
{
    if (events != NULL)
        *VEC_ADD(&events->list) = (struct event){kind, low, high, events->silent};
}

static uint32_t add_name(struct state *s, struct str name)
{
    if (s->names_n + name.n + 1 > s->names_room) {
        s->names_room = (s->names_n + name.n + 1) * 3 / 2 + 1024;
        s->names = mem_resize(s->names, s->names_room);
    }
    uint32_t at = (uint32_t)s->names_n;
    memcpy(s->names + at, name.p, name.n);
    s->names[at + name.n] = '\0';
    s->names_n += name.n + 1;
    return at;
}

/* A name that cannot lead out of the directory. */
static bool name_ok(struct str name)
{
    return name.n > 0 && name.n <= 255 && name.p[0] != '.' && memchr(name.p, '/', name.n) == NULL &&
           memchr(name.p, '\0', name.n) == NULL;
}

static bool take_slots(struct state *s, const struct journal_check *c, struct str slots)
{
    uint32_t last = 0;

    s->slots = mem_array(c->count > 0 ? c->count : 1, sizeof *s->slots);
    memcpy(s->slots, slots.p, slots.n);
    s->n = s->room = c->count;
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->m.uid <= last || slot->name >= c->names)
            return false;
        slot->m.flags &= MSG_FLAGS | SLOT_FILE | SLOT_DIRTY;
        last = slot->m.uid;
    }
    return true;
}

static bool take_names(struct state *s, struct str names)
{
    /* No slash, no hidden file: one look at all of them together. */
    if (names.n > 0 && (names.p[names.n - 1] != '\0' || names.p[0] == '.' ||
                        memchr(names.p, '/', names.n) != NULL))
        return false;
    s->names = mem_resize(NULL, names.n + 1);
    memcpy(s->names, names.p, names.n);
    s->names[names.n] = '\0';
    s->names_n = s->names_room = names.n;
    for (size_t i = 0; i < s->n; i++) {
        const char *name = s->names + s->slots[i].name;
        if (*name == '\0' || *name == '.')
            return false;
    }
    return true;
}

static bool take_check(struct state *s, const struct journal_check *c, struct str rest)
{
    struct str name, slots = str_upto(rest, c->count * sizeof(struct slot));

    rest = str_from(rest, slots.n);
    if (rest.n < c->names || !take_slots(s, c, slots) || !take_names(s, str_upto(rest, c->names)))
        return false;
    rest = str_from(rest, c->names);
    for (uint32_t i = 0; i < c->keywords; i++)
        if (!str_split(&rest, '\0', &name) || !state_name_keyword(s, i, name))
            return false;
    return true;
}

static bool apply_check(struct state *s, const struct journal_rec *rec, struct str p,
                        struct events *events)
{
    const struct journal_check *c = (const void *)p.p;

    (void)events;
    if (p.n < sizeof *c || c->keywords > KEYWORD_PLACES ||
        (p.n - sizeof *c) / sizeof(struct slot) < c->count)
        return false;
    state_free(s);
    state_init(s);
    if (!take_check(s, c, str_from(p, sizeof *c)) ||
        (s->n > 0 && s->slots[s->n - 1].m.uid >= rec->uidnext)) {
        state_free(s);
        state_init(s);
        return false;
    }
    s->recent = c->recent;
    s->seen_new = c->seen_new;
    s->seen_cur = c->seen_cur;
    s->sure_at = c->sure_at;
    s->uidnext = rec->uidnext;
    return true;
}

bool state_next_entry(struct str *p, struct slot *slot, struct str *name)
{
    if (p->n < sizeof *slot)
        return false;
    memcpy(slot, p->p, sizeof *slot);
    size_t n = slot->name, padded = (n + 8) & ~(size_t)7;
    if (n > 255 || p->n - sizeof *slot < padded)
        return false;
    *name = str_part(*p, sizeof *slot, n);
    *p = str_from(*p, sizeof *slot + padded);
    return name_ok(*name);
}

void state_entry(const struct slot *slot, struct str name, struct buf *out)
{
    struct slot copy = *slot;

    copy.name = (uint32_t)name.n;
    buf_add(out, (struct str){(const char *)&copy, sizeof copy});
    buf_add(out, name);
    buf_add(out, (struct str){"\0\0\0\0\0\0\0", 8 - name.n % 8});
}

static struct slot *new_slot(struct state *s)
{
    if (s->n == s->room) {
        s->room = s->room < 16 ? 16 : s->room * 3 / 2;
        s->slots = mem_resize(s->slots, s->room * sizeof *s->slots);
    }
    return &s->slots[s->n++];
}

static bool apply_add(struct state *s, const struct journal_rec *rec, struct str p,
                      struct events *events)
{
    const struct journal_add *a = (const void *)p.p;
    struct slot slot;
    struct str name;
    uint32_t first = 0;

    if (p.n < sizeof *a)
        return false;
    p = str_from(p, sizeof *a);
    for (uint32_t i = 0; i < a->count; i++) {
        if (!state_next_entry(&p, &slot, &name) || slot.m.uid < s->uidnext ||
            slot.m.uid >= rec->uidnext || s->names_n > UINT32_MAX - 300)
            return false;
        slot.m.modseq = rec->modseq;
        slot.m.flags &= MSG_FLAGS | SLOT_FILE;
        slot.name = add_name(s, name);
        set_dirty(s, &slot);
        *new_slot(s) = slot;
        s->uidnext = slot.m.uid + 1;
        if (i == 0)
            first = slot.m.uid;
    }
    int64_t *seen = a->in_cur ? &s->seen_cur : &s->seen_new;
    if (a->before != 0 && *seen == a->before)
        *seen = a->after;
    if (first != 0)
        tell(events, EVENT_ADDED, first, s->uidnext - 1);
    return true;
}

/* The ranges behind a head of the payload. */
static bool get_ranges(struct str p, size_t head, uint32_t count, const struct uid_range **ranges)
{
    *ranges = (const void *)(p.p + head);
    return (p.n - head) / sizeof **ranges >= count;
}

static bool change_slot(const struct state *s, struct slot *slot, const struct journal_flags *f)
{
    uint32_t flags = slot->m.flags & MSG_FLAGS, with = f->flags & MSG_FLAGS;
    uint64_t keywords = slot->m.keywords;

    if (f->op == FLAGS_SET) {
        flags = with;
        keywords = f->keywords;
    } else if (f->op == FLAGS_ADD) {
        flags |= with;
        keywords |= f->keywords;
    } else {
        flags &= ~with;
        keywords &= ~f->keywords;
    }
    if (flags == (slot->m.flags & MSG_FLAGS) && keywords == slot->m.keywords)
        return false;
    slot->m.flags = (slot->m.flags & ~(uint32_t)MSG_FLAGS) | flags;
    slot->m.keywords = keywords;
    set_dirty(s, slot);
    return true;
}

static bool apply_flags(struct state *s, const struct journal_rec *rec, struct str p,
                        struct events *events)
{
    const struct journal_flags *f = (const void *)p.p;
    const struct uid_range *r;

    if (p.n < sizeof *f || f->op > FLAGS_DROP || !get_ranges(p, sizeof *f, f->ranges, &r))
        return false;
    for (uint32_t k = 0; k < f->ranges; k++) {
        uint32_t low = 0, high = 0; /* a run of messages that changed */
        for (size_t i = state_find(s, r[k].low); i < s->n && s->slots[i].m.uid <= r[k].high; i++) {
            struct slot *slot = &s->slots[i];
            if (slot->m.flags & SLOT_GONE)
                continue;
            if (change_slot(s, slot, f)) {
                slot->m.modseq = rec->modseq;
                low = low == 0 ? slot->m.uid : low;
                high = slot->m.uid;
                continue;
            }
            if (low != 0)
                tell(events, EVENT_FLAGS, low, high);
            low = 0;
        }
        if (low != 0)
            tell(events, EVENT_FLAGS, low, high);
    }
    return true;
}

static bool apply_expunge(struct state *s, const struct journal_rec *rec, struct str p,
                          struct events *events)
{
    const struct journal_ranges *head = (const void *)p.p;
    const struct uid_range *r;

    (void)rec;
    if (p.n < sizeof *head || !get_ranges(p, sizeof *head, head->count, &r))
        return false;
    for (uint32_t k = 0; k < head->count; k++) {
        for (size_t i = state_find(s, r[k].low); i < s->n && s->slots[i].m.uid <= r[k].high; i++) {
            if (!(s->slots[i].m.flags & SLOT_GONE)) {
                s->slots[i].m.flags |= SLOT_GONE;
                s->gone++;
            }
        }
        for (size_t i = MSG_KEYWORDS; i < s->keywords.n; i++)
            uidset_drop(&s->keywords.at[i].uids, r[k].low, r[k].high);
        tell(events, EVENT_EXPUNGED, r[k].low, r[k].high);
    }
    return true;
}

static bool apply_keyword(struct state *s, const struct journal_rec *rec, struct str p,
                          struct events *events)
{
    struct str name;

    (void)rec;
    (void)events;
    return str_split(&p, '\0', &name) && name.n > 0 && state_name_keyword(s, s->keywords.n, name);
}

static bool apply_keyword_at(struct state *s, const struct journal_rec *rec, struct str p,
                             struct events *events)
{
    struct journal_keyword_at at;
    struct str name;

    (void)rec;
    (void)events;
    if (p.n < sizeof at)
        return false;
    memcpy(&at, p.p, sizeof at);
    p = str_from(p, sizeof at);
    return str_split(&p, '\0', &name) && state_name_keyword(s, at.index, name);
}

/* Of one message. False: it has it, or has it not, already. */
static bool change_keyword(struct uidset *with, uint32_t uid, uint32_t op)
{
    if (uidset_has(with, uid) == (op != FLAGS_DROP))
        return false;
    if (op == FLAGS_DROP)
        uidset_drop(with, uid, uid);
    else
        uidset_add(with, uid, uid);
    return true;
}

static bool apply_keyword_of(struct state *s, const struct journal_rec *rec, struct str p,
                             struct events *events)
{
    const struct journal_keyword_of *of = (const void *)p.p;
    const struct uid_range *r;

    if (p.n < sizeof *of || of->op == FLAGS_SET || of->op > JOURNAL_HAS ||
        of->index < MSG_KEYWORDS || of->index >= s->keywords.n ||
        !get_ranges(p, sizeof *of, of->ranges, &r))
        return false;
    struct uidset *with = &s->keywords.at[of->index].uids;
    for (uint32_t k = 0; k < of->ranges; k++)
        for (size_t i = state_find(s, r[k].low); i < s->n && s->slots[i].m.uid <= r[k].high; i++) {
            struct slot *slot = &s->slots[i];
            if (slot->m.flags & SLOT_GONE || !change_keyword(with, slot->m.uid, of->op) ||
                of->op == JOURNAL_HAS)
                continue;
            slot->m.modseq = rec->modseq;
            tell(events, EVENT_FLAGS, slot->m.uid, slot->m.uid);
        }
    return true;
}

static bool apply_names(struct state *s, const struct journal_rec *rec, struct str p,
                        struct events *events)
{
    const struct journal_ranges *head = (const void *)p.p;
    const struct uid_range *r;
    uint32_t unnamed = state_unnamed(s);

    (void)rec;
    (void)events;
    if (p.n < sizeof *head || !get_ranges(p, sizeof *head, head->count, &r))
        return false;
    for (uint32_t k = 0; k < head->count; k++) {
        for (size_t i = state_find(s, r[k].low); i < s->n && s->slots[i].m.uid <= r[k].high; i++) {
            struct slot *slot = &s->slots[i];
            if (slot->m.flags & (SLOT_GONE | SLOT_ODD))
                continue;
            slot->letters = maildir_letters(slot->m.flags, slot->m.keywords) |
                            (slot->letters & (1u << LETTER_PASSED | unnamed));
            slot->m.flags &= ~(uint32_t)(SLOT_NEW | SLOT_BARE | SLOT_DIRTY);
        }
    }
    if (head->before != 0 && s->seen_cur == head->before)
        s->seen_cur = head->after;
    return true;
}

static bool apply_moved(struct state *s, const struct journal_rec *rec, struct str p,
                        struct events *events)
{
    const struct journal_ranges *head = (const void *)p.p;
    struct slot to, *slot;
    struct str name;

    if (p.n < sizeof *head)
        return false;
    p = str_from(p, sizeof *head);
    for (uint32_t i = 0; i < head->count; i++) {
        if (!state_next_entry(&p, &to, &name))
            return false;
        slot = state_slot(s, to.m.uid);
        if (slot == NULL)
            continue;
        bool changed = (slot->m.flags & MSG_FLAGS) != (to.m.flags & MSG_FLAGS) ||
                       slot->m.keywords != to.m.keywords;
        slot->m.flags = to.m.flags & (MSG_FLAGS | SLOT_FILE);
        slot->m.keywords = to.m.keywords;
        slot->letters = to.letters;
        if (slot->m.received == 0)
            slot->m.received = to.m.received;
        if (!str_eq(state_name(s, slot), name))
            slot->name = add_name(s, name);
        set_dirty(s, slot);
        if (changed) {
            slot->m.modseq = rec->modseq;
            tell(events, EVENT_FLAGS, slot->m.uid, slot->m.uid);
        }
    }
    return true;
}

static bool apply_recent(struct state *s, const struct journal_rec *rec, struct str p,
                         struct events *events)
{
    const struct journal_recent *r = (const void *)p.p;

    (void)rec;
    (void)events;
    if (p.n < sizeof *r)
        return false;
    if (r->uid > s->recent)
        s->recent = r->uid;
    return true;
}

static bool apply_dirs(struct state *s, const struct journal_rec *rec, struct str p,
                       struct events *events)
{
    const struct journal_dirs *d = (const void *)p.p;

    (void)rec;
    (void)events;
    if (p.n < sizeof *d)
        return false;
    s->seen_new = d->seen_new;
    s->seen_cur = d->seen_cur;
    s->sure_at = d->sure_at;
    return true;
}

static bool apply_uidnext(struct state *s, const struct journal_rec *rec, struct str p,
                          struct events *events)
{
    (void)s;
    (void)rec;
    (void)p;
    (void)events;
    return true;
}

static bool apply_sizes(struct state *s, const struct journal_rec *rec, struct str p,
                        struct events *events)
{
    const struct journal_ranges *head = (const void *)p.p;

    (void)rec;
    (void)events;
    if (p.n < sizeof *head || (p.n - sizeof *head) / sizeof(struct journal_size) < head->count)
        return false;
    const struct journal_size *sizes = (const void *)(head + 1);
    for (uint32_t i = 0; i < head->count; i++) {
        struct slot *slot = state_slot(s, sizes[i].uid);
        if (slot != NULL)
            slot->m.size = sizes[i].size;
    }
    return true;
}

/* Once told, a date stays: RFC 3501 2.3.3. */
static bool apply_dates(struct state *s, const struct journal_rec *rec, struct str p,
                        struct events *events)
{
    const struct journal_ranges *head = (const void *)p.p;

    (void)rec;
    (void)events;
    if (p.n < sizeof *head || (p.n - sizeof *head) / sizeof(struct journal_date) < head->count)
        return false;
    const struct journal_date *dates = (const void *)(head + 1);
    for (uint32_t i = 0; i < head->count; i++) {
        struct slot *slot = state_slot(s, dates[i].uid);
        if (slot != NULL && slot->m.received == 0)
            slot->m.received = dates[i].received;
    }
    return true;
}

static bool apply_list(struct state *s, const struct journal_rec *rec, struct str p,
                       struct events *events)
{
    (void)rec;
    (void)events;
    if (p.n < sizeof s->list)
        return false;
    memcpy(&s->list, p.p, sizeof s->list);
    return true;
}

typedef bool apply_fn(struct state *s, const struct journal_rec *rec, struct str p,
                      struct events *events);
static apply_fn *const by_type[] = {
    [J_CHECK] = apply_check,
    [J_ADD] = apply_add,
    [J_FLAGS] = apply_flags,
    [J_EXPUNGE] = apply_expunge,
    [J_KEYWORD] = apply_keyword,
    [J_NAMES] = apply_names,
    [J_MOVED] = apply_moved,
    [J_RECENT] = apply_recent,
    [J_DIRS] = apply_dirs,
    [J_UIDNEXT] = apply_uidnext,
    [J_SIZES] = apply_sizes,
    [J_DATES] = apply_dates,
    [J_LIST] = apply_list,
    [J_KEYWORD_AT] = apply_keyword_at,
    [J_KEYWORD_OF] = apply_keyword_of,
};

bool state_apply(struct state *s, const struct journal_rec *rec, struct str payload,
                 struct events *events)
{
    if (rec->type == 0 || rec->type >= sizeof by_type / sizeof *by_type ||
        (rec->type != J_CHECK && rec->uidnext < s->uidnext) ||
        !by_type[rec->type](s, rec, payload, events))
        return false;
    s->uidnext = rec->uidnext;
    s->modseq = rec->modseq;
    return true;
}

void state_check(const struct state *s, struct buf *out)
{
    struct journal_check c = {.count = (uint32_t)(s->n - s->gone),
                              .keywords = (uint32_t)s->keywords.n,
                              .recent = s->recent,
                              .seen_new = s->seen_new,
                              .seen_cur = s->seen_cur,
                              .sure_at = s->sure_at};
    size_t head = out->n;

    buf_add(out, (struct str){(const char *)&c, sizeof c});
    for (size_t i = 0; i < s->n; i++) {
        struct slot slot = s->slots[i];
        if (slot.m.flags & SLOT_GONE)
            continue;
        slot.name = c.names;
        c.names += (uint32_t)state_name(s, &s->slots[i]).n + 1;
        buf_add(out, (struct str){(const char *)&slot, sizeof slot});
    }
    for (size_t i = 0; i < s->n; i++) {
        struct str name = state_name(s, &s->slots[i]);
        if (!(s->slots[i].m.flags & SLOT_GONE))
            buf_add(out, (struct str){name.p, name.n + 1});
    }
    for (size_t i = 0; i < s->keywords.n; i++)
        buf_add(out, (struct str){s->keywords.at[i].name, strlen(s->keywords.at[i].name) + 1});
    if (buf_ok(out))
        memcpy(out->p + head, &c, sizeof c);
}

void state_copy(const struct state *s, struct state *to)
{
    struct buf payload = BUF(JOURNAL_MAX);
    struct journal_rec rec = {.type = J_CHECK, .uidnext = s->uidnext, .modseq = s->modseq};

    state_check(s, &payload);
    if (!buf_ok(&payload) || !state_apply(to, &rec, buf_str(&payload), NULL))
        to->uidnext = s->uidnext;
    for (size_t i = MSG_KEYWORDS; i < s->keywords.n && i < to->keywords.n; i++)
        uidset_merge(&to->keywords.at[i].uids, &s->keywords.at[i].uids);
    buf_free(&payload);
}
