/*
 * Adding a message: it is written, parsed and counted while it streams by; then synced, named, and
 * recorded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "mail/crlf.h"
#include "mail/mime_tree.h"
#include "store/uidlist.h"
#include "task/task.h"

enum { WRITE_SIZE = 64 << 10, HEADER_KEPT = 64 << 10, KEYWORD_BYTES = 64 << 10 };

/* Where the message is already. */
struct entered {
    struct folder *f; /* to be released */
    struct str name; /* there; in the arena */
};

struct mail_in {
    struct folder *f;
    struct blob_in in;
    struct slot slot;
    struct buf name; /* with sizes */
    struct buf out, head, keywords; /* not yet written; the message's first bytes; names */
    VEC(uint32_t) places; /* of the keywords that are no bits of the message */
    bool held_cr;
    bool dated;
    uint64_t size;
    struct arena *mem;
    struct mime_builder *builder;
    uint32_t uidvalidity; /* of the number that the message got */
    struct str entered_as; /* the name that it got; in mem */
    VEC(struct entered) entered;
    struct why why; /* what sticks */
};

static int fail_if_stuck(const struct mail_in *m, struct why *why)
{
    if (m->why.code[0] == '\0')
        return 0;
    why_copy(why, &m->why);
    return -1;
}

static void mail_in_fail(struct mail_in *m, const char *what)
{
    const char *code = errno == ENOSPC || errno == EDQUOT ? "4.2.2" : "4.3.0";

    if (m->why.code[0] == '\0')
        why_errno(&m->why, code, "cannot %s a message in folder %s", what, m->f->name);
}

struct mail_in *mail_in_new(struct store *s, const char *folder, const struct msg *as,
                            struct why *why)
{
    struct folder *f = folder_open(s, folder, why);

    if (f == NULL)
        return NULL;
    struct mime_limits limits = folder_mime_limits(f);
    if (folder_writable(f, why) < 0) {
        folder_release(f);
        return NULL;
    }
    struct mail_in *m = mem_new(sizeof *m);
    m->f = f;
    m->why = WHY;
    m->name = BUF(250);
    m->out = BUF(WRITE_SIZE * 2);
    /* fits: take adds what there is room for */
    m->head = BUF(HEADER_KEPT);
    /* asked: by mail_in_keyword */
    m->keywords = BUF(KEYWORD_BYTES);
    m->mem = arena_new(NULL);
    m->builder = mime_builder_new(m->mem, &limits);
    if (as != NULL) {
        m->slot.m.flags = as->flags & MSG_FLAGS;
        m->slot.m.received = as->received;
        m->dated = as->received != 0;
    }
    if (!m->dated)
        m->slot.m.received = clock_wall();
    if (blob_create(&m->in, &f->blobs, s->set.hostname) == 0)
        return m;
    mail_in_fail(m, "create");
    why_copy(why, &m->why);
    mail_in_abort(&m);
    return NULL;
}

static void write_out(struct mail_in *m)
{
    if (m->why.code[0] == '\0' && blob_write(&m->in, buf_str(&m->out)) < 0)
        mail_in_fail(m, "write");
    buf_clear(&m->out);
}

/* Bytes with LF. */
static void mail_in_take(struct mail_in *m, struct str bytes)
{
    mime_builder_put(m->builder, bytes);
    m->size += bytes.n;
    if (m->head.n < HEADER_KEPT)
        buf_add(&m->head, str_upto(bytes, HEADER_KEPT - m->head.n));
}

void mail_in_put(struct mail_in *m, struct str bytes)
{
    while (bytes.n > 0) {
        struct str piece = str_upto(bytes, WRITE_SIZE);
        size_t before = m->out.n;
        crlf_drop(&m->out, piece, &m->held_cr);
        mail_in_take(m, str_from(buf_str(&m->out), before));
        if (m->out.n >= WRITE_SIZE)
            write_out(m);
        bytes = str_from(bytes, piece.n);
    }
}

void mail_in_keyword(struct mail_in *m, struct str name)
{
    buf_add(&m->keywords, name);
    buf_addc(&m->keywords, '\n');
    if (!buf_ok(&m->keywords) && m->why.code[0] == '\0')
        why_set(&m->why, "5.3.4", "the keywords are longer than %d bytes", KEYWORD_BYTES);
}

void mail_in_abort(struct mail_in **in)
{
    struct mail_in *m = *in;

    if (m == NULL)
        return;
    if (m->builder != NULL)
        mime_builder_end(m->builder);
    blob_abort(&m->in);
    arena_free(&m->mem);
    buf_free(&m->name);
    buf_free(&m->out);
    buf_free(&m->head);
    buf_free(&m->keywords);
    VEC_FREE(&m->places);
    why_free(&m->why);
    folder_release(m->f);
    free(m);
    *in = NULL;
}

/* The end of the bytes: all on disk, synced, counted. */
static void finish(struct mail_in *m, struct buf *cache)
{
    if (m->held_cr) {
        buf_addc(&m->out, '\r');
        mail_in_take(m, STR("\r"));
    }
    write_out(m);
    const struct mime_part *root = mime_builder_end(m->builder);
    m->builder = NULL;
    m->slot.m.size = root->header.vsize + root->body.vsize;
    folder_warn_cut(m->f, root);
    cache_make(root, buf_str(&m->head), cache);
    int64_t received = m->slot.m.received != MSG_EPOCH ? m->slot.m.received : 0;
    if (m->why.code[0] == '\0' &&
        blob_finish(&m->in, m->dated ? &received : NULL, !m->f->store->set.no_sync) < 0)
        mail_in_fail(m, "sync");
}

/* The keywords that were named; under the lock. One that cannot be kept is left out: the message is
 * worth more. */
static int resolve_keywords(struct mail_in *m, struct why *why)
{
    struct str rest = buf_str(&m->keywords), name;

    if (rest.n == 0)
        return 0;
    if (folder_load(m->f, true, why) < 0)
        return -1;
    while (str_split(&rest, '\n', &name)) {
        int i = folder_define_keyword(m->f, name, NULL);
        if (i >= MSG_KEYWORDS)
            *VEC_ADD(&m->places) = (uint32_t)i;
        else if (i >= 0)
            m->slot.m.keywords |= (uint64_t)1 << i;
    }
    return 0;
}

static struct blob blob_of(const struct mail_in *m)
{
    return (struct blob){buf_str(&m->name), m->slot.m.flags & SLOT_FILE, m->slot.letters};
}

/* It is new, or not if there are flags to tell. */
static int give_name(struct mail_in *m, struct journal_add *head, struct why *why)
{
    const struct blobs *blobs = &m->f->blobs;
    bool in_cur = m->slot.m.flags != 0 || m->slot.m.keywords != 0;
    enum blobs_dir dir = in_cur ? BLOBS_CUR : BLOBS_NEW;

    buf_addf(&m->name, "%s,S=%llu,W=%llu", m->in.base.p, (unsigned long long)m->size,
             (unsigned long long)m->slot.m.size);
    m->slot.letters = maildir_letters(m->slot.m.flags, m->slot.m.keywords);
    m->slot.m.flags |= in_cur ? 0 : SLOT_NEW | SLOT_BARE;
    struct blob name = blob_of(m);
    head->in_cur = in_cur;
    head->before = blobs_time(blobs, dir);
    if (!buf_ok(&m->name) || blob_commit(&m->in, &name) < 0)
        return why_errno(why, "4.3.0", "cannot name a message in folder %s", m->f->name);
    head->after = blobs_time(blobs, dir);
    return 0;
}

/* Under the lock: Dovecot may have given the next numbers. */
static int follow_list(struct folder *f, struct why *why)
{
    if (!uidlist_changed(f))
        return 0;
    if (folder_load(f, true, why) < 0)
        return -1;
    return uidlist_changed(f) ? maildir_merge(f, true, why) : 0;
}

/* Under the lock. */
static int record(struct mail_in *m, struct buf *cache, struct why *why)
{
    struct folder *f = m->f;
    struct journal_add head = {.count = 1};
    struct buf out = BUF(2000);
    int result = 0;

    if (folder_refresh(f, true, why) < 0 || follow_list(f, why) < 0 ||
        resolve_keywords(m, why) < 0 || give_name(m, &head, why) < 0)
        return -1;
    m->slot.m.uid = folder_out_uidnext(f);
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    state_entry(&m->slot, buf_str(&m->name), &out);
    if (m->slot.m.uid == UINT32_MAX) {
        result = why_set(why, "4.2.0", "folder %s has no numbers left", f->name);
    } else {
        folder_record_buf(f, J_ADD, &out, m->slot.m.uid + 1);
        VEC_EACH (&m->places, place)
            folder_record_keyword(
                f, FLAGS_ADD, *place,
                &(struct uidset){&(struct uid_range){m->slot.m.uid, m->slot.m.uid}, 1, 1});
        result = folder_commit(f, why);
    }
    if (result < 0) {
        struct blob name = blob_of(m);
        blob_remove(&f->blobs, &name);
    } else {
        m->uidvalidity = f->j.head.uidvalidity;
        cache_set_uid(cache, m->slot.m.uid);
        cache_append(&f->cache, buf_str(cache));
    }
    buf_free(&out);
    return result;
}

/* RFC 3501 6.3.11: if it fails, the folder is as it was before. */
static int enter(struct mail_in *m, struct buf *cache, struct why *why)
{
    if (folder_lock(m->f, why) < 0)
        return -1;
    int result = record(m, cache, why);
    folder_unlock(m->f);
    m->entered_as = arena_str(m->mem, buf_str(&m->name));
    if (result < 0 || folder_sync(m->f, m->slot.m.flags & SLOT_NEW ? SYNC_NEW : SYNC_CUR, why) == 0)
        return result;
    folder_take_back(m->f, &m->entered_as, 1);
    return -1;
}

/* One more name for the message, in f; what is m's own stays with m. */
static int enter_copy(struct mail_in *m, struct folder *f, struct buf *cache, struct why *why)
{
    struct mail_in copy = *m;
    int result = -1;

    if (folder_writable(f, why) < 0)
        return -1;
    copy.f = f;
    copy.name = BUF(250);
    memset(&copy.places, 0, sizeof copy.places);
    if (blob_share(&m->in, &f->blobs, &copy.in) < 0)
        why_errno(why, "4.3.0", "cannot link a message into folder %s", f->name);
    else
        result = enter(&copy, cache, why);
    m->slot.m.uid = copy.slot.m.uid;
    m->uidvalidity = copy.uidvalidity;
    m->entered_as = copy.entered_as;
    blob_abort(&copy.in);
    buf_free(&copy.name);
    VEC_FREE(&copy.places);
    return result;
}

/* The folder, to be released. */
static struct folder *open_place(struct mail_in *m, const struct mail_place *place, struct why *why)
{
    if (place->folder != NULL)
        return folder_open(m->f->store, place->folder, why);
    m->f->uses++;
    return m->f;
}

static int take_marks(struct mail_in *m, const struct mail_place *place, struct why *why)
{
    m->slot.m.flags = place->flags & MSG_FLAGS;
    m->slot.m.keywords = 0;
    buf_clear(&m->keywords);
    for (const char *const *k = place->keywords; k != NULL && *k != NULL; k++)
        mail_in_keyword(m, strz(*k));
    return fail_if_stuck(m, why);
}

/* Uses f up. */
static int enter_place(struct mail_in *m, struct mail_place *place, struct folder *f,
                       struct buf *cache, struct why *why)
{
    if ((place->folder != NULL && take_marks(m, place, why) < 0) ||
        (f == m->f ? enter(m, cache, why) : enter_copy(m, f, cache, why)) < 0) {
        folder_release(f);
        return -1;
    }
    place->uid = m->slot.m.uid;
    place->uidvalidity = m->uidvalidity;
    *VEC_ADD(&m->entered) = (struct entered){f, m->entered_as};
    return 0;
}

/* Copies first: what is written in m's own folder's tmp/ then becomes the message there. That place
 * is not looked for by its name again: meanwhile another folder may have the name. */
static int enter_places(struct mail_in *m, struct mail_place *places, size_t n, struct buf *cache,
                        struct why *why)
{
    struct mail_place *own = NULL;

    for (size_t i = 0; i < n; i++) {
        struct folder *f = open_place(m, &places[i], why);
        if (f == NULL)
            return -1;
        if (f == m->f) {
            own = &places[i];
            folder_release(f);
        } else if (enter_place(m, &places[i], f, cache, why) < 0) {
            return -1;
        }
    }
    if (own == NULL)
        return 0;
    m->f->uses++;
    return enter_place(m, own, m->f, cache, why);
}

/* Whoever is told to try again would else make a second copy where the message is already. */
static void leave_places(struct mail_in *m, bool keep)
{
    VEC_EACH (&m->entered, e) {
        if (!keep)
            folder_take_back(e->f, &e->name, 1);
        folder_release(e->f);
    }
    VEC_FREE(&m->entered);
}

int mail_in_commit_to(struct mail_in **in, struct mail_place *places, size_t n, struct why *why)
{
    struct mail_in *m = *in;
    /* asked: by cache_make */
    struct buf cache = BUF(8 << 20);

    finish(m, &cache);
    int result = fail_if_stuck(m, why);
    if (result == 0)
        result = enter_places(m, places, n, &cache, why);
    leave_places(m, result == 0);
    buf_free(&cache);
    mail_in_abort(in);
    return result;
}

int mail_in_commit(struct mail_in **in, uint32_t *uid, uint32_t *uidvalidity, struct why *why)
{
    struct mail_place here = {.folder = NULL};

    if (mail_in_commit_to(in, &here, 1, why) < 0)
        return -1;
    if (uid != NULL)
        *uid = here.uid;
    if (uidvalidity != NULL)
        *uidvalidity = here.uidvalidity;
    return 0;
}
