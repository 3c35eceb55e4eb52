/*
 * News of a folder, as a view tells them: each message once, with what it is by then.
 */
#include "store/view.h"

enum { EVENTS_KEPT = 1000 };

/* RFC 3501 2.3.2: each message is recent in one session only. */
static void claim_recent(struct mailbox *b, uint32_t low, uint32_t high)
{
    struct state *s = &b->f->state;

    if (low < s->recent)
        low = s->recent;
    if (low > high)
        return;
    uidset_add(&b->recent, low, high);
    if (!b->read_only) {
        s->recent = high + 1;
        b->recent_claimed = true;
    }
}

void view_begin_news(struct mailbox *b)
{
    const struct state *s = &b->f->state;

    b->next_event = b->f->events_base + b->f->events.list.n;
    b->renamed = s->renamed;
    b->last_uid = b->told_uid = s->uidnext - 1;
    claim_recent(b, 1, s->uidnext - 1);
}

/* The events that all views have taken are dropped. */
static void trim_events(struct folder *f)
{
    uint64_t next = f->events_base + f->events.list.n;

    if (f->events.list.n == 0)
        return;
    LIST_EACH (&f->views, l) {
        const struct mailbox *b = LIST_OF(l, struct mailbox, link);
        if (b->next_event < next)
            next = b->next_event;
    }
    size_t done = (size_t)(next - f->events_base);
    f->events.list.n -= done;
    memmove(f->events.list.at, f->events.list.at + done,
            f->events.list.n * sizeof *f->events.list.at);
    f->events_base = next;
}

void view_end_news(struct mailbox *b)
{
    uidset_free(&b->changed);
    uidset_free(&b->telling);
    uidset_free(&b->gone);
    trim_events(b->f);
}

/* Flags of a message that the owner does not know of are no news. */
static void take_events(struct mailbox *b)
{
    const struct folder *f = b->f;
    uint64_t end = f->events_base + f->events.list.n;

    for (; b->next_event < end; b->next_event++) {
        const struct event *e = &f->events.list.at[b->next_event - f->events_base];
        if (e->kind == EVENT_ADDED && e->high > b->add_to)
            b->add_to = e->high;
        else if (e->kind == EVENT_FLAGS && e->silent != b && e->low <= b->told_uid)
            uidset_add(&b->changed, e->low, e->high < b->told_uid ? e->high : b->told_uid);
        else if (e->kind == EVENT_EXPUNGED)
            uidset_add(&b->gone, e->low, e->high);
    }
}

void mailbox_take_events(struct folder *f)
{
    if (f->events.list.n < EVENTS_KEPT)
        return;
    LIST_EACH (&f->views, l)
        take_events(LIST_OF(l, struct mailbox, link));
    trim_events(f);
}

int mailbox_check(struct mailbox *b, struct why *why)
{
    if (b->date_told)
        view_flush(b);
    if (folder_refresh(b->f, false, why) < 0)
        return -1;
    folder_tidy(b->f);
    return maildir_changed(b->f, false) ? view_merge(b, false, why) : 0;
}

/* ---- one by one; false: there are no more ---- */

static bool pull_added(struct mailbox *b, uint32_t *number)
{
    const struct state *s = &b->f->state;

    if (b->last_uid >= b->add_to)
        return false;
    for (size_t i = state_find(s, b->last_uid + 1); i < s->n && s->slots[i].m.uid <= b->add_to;
         i++) {
        b->last_uid = s->slots[i].m.uid;
        if (s->slots[i].m.flags & SLOT_GONE)
            continue;
        view_append(b, i);
        claim_recent(b, b->last_uid, b->last_uid);
        *number = b->count;
        return true;
    }
    b->last_uid = b->add_to;
    return false;
}

/* What changes again while it is told is told again. */
static bool pull_flags(struct mailbox *b, uint32_t *number)
{
    if (b->telling_i == b->telling.n) {
        struct uidset told = b->telling;
        b->telling = b->changed;
        b->changed = told;
        uidset_clear(&b->changed);
        b->telling_i = 0;
    }
    while (b->telling_i < b->telling.n) {
        struct uid_range *r = &b->telling.at[b->telling_i];
        uint32_t n = mailbox_number_from(b, r->low);
        const struct slot *slot = n <= b->count ? view_slot(b, n) : NULL;
        if (slot == NULL || slot->m.uid > r->high) {
            b->telling_i++;
            continue;
        }
        if (slot->m.uid == r->high)
            b->telling_i++;
        else
            r->low = slot->m.uid + 1;
        if (slot->m.flags & SLOT_GONE)
            continue;
        *number = n;
        return true;
    }
    return false;
}

/* From the highest number down. */
static bool pull_expunged(struct mailbox *b, uint32_t *number)
{
    while (b->gone.n > 0) {
        struct uid_range *r = &b->gone.at[b->gone.n - 1];
        uint32_t n = r->high == UINT32_MAX ? b->count : mailbox_number_from(b, r->high + 1) - 1;
        if (n == 0 || view_slot(b, n)->m.uid < r->low) {
            b->gone.n--;
            continue;
        }
        const struct slot *slot = view_slot(b, n);
        if (slot->m.uid > r->low)
            r->high = slot->m.uid - 1;
        else
            b->gone.n--;
        if (!(slot->m.flags & SLOT_GONE))
            continue;
        view_drop(b, n);
        *number = n;
        return true;
    }
    return false;
}

enum mail_event mailbox_pull(struct mailbox *b, bool may_expunge, uint32_t *number, struct why *why)
{
    struct folder *f = b->f;

    if (f->failed) {
        why_set(why, "4.2.0", "folder %s is no longer available", f->name);
        return MAIL_FAILED;
    }
    take_events(b);
    if (pull_added(b, number))
        return MAIL_ADDED;
    if (b->renamed != f->state.renamed) {
        b->renamed = f->state.renamed;
        *number = 0;
        return MAIL_KEYWORD;
    }
    if (pull_flags(b, number))
        return MAIL_FLAGS;
    if (may_expunge && pull_expunged(b, number))
        return MAIL_EXPUNGED;
    b->told_uid = b->last_uid;
    trim_events(f);
    return MAIL_NONE;
}
