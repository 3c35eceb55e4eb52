/*
 * Keywords of a folder: defined, freed, and learned from dovecot-keywords, which says what the
 * letters a to z in file names mean.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "store/folder.h"
#include "store/takeover.h"

static const char file_name[] = "dovecot-keywords";
static const char new_name[] = "dovecot-keywords.tmp";
enum { FILE_MAX = 64 << 10 };

/* ---- which place is free ---- */

static uint32_t used_letters(const struct state *s)
{
    uint32_t letters = 0;

    for (size_t i = 0; i < s->n; i++)
        if (!(s->slots[i].m.flags & SLOT_GONE))
            letters |= s->slots[i].letters;
    return letters;
}

/* A letter that some file name has without a name for it is not given away: who knows what it means
 * to whoever wrote it? */
static uint32_t free_place(const struct state *s)
{
    uint32_t letters = used_letters(s);

    for (uint32_t i = 0; i < s->keywords.n; i++)
        if (s->keywords.at[i].name[0] == '\0' && (i >= KEYWORD_LETTERS || !(letters >> i & 1)))
            return i;
    for (uint32_t i = (uint32_t)s->keywords.n;; i++)
        if (i >= KEYWORD_LETTERS || !(letters >> i & 1))
            return i;
}

size_t folder_keyword_room(const struct folder *f)
{
    size_t used = 0, limit = f->store->set.keywords;

    for (size_t i = 0; i < f->state.keywords.n; i++)
        used += f->state.keywords.at[i].name[0] != '\0';
    return used < limit ? limit - used : 0;
}

/* ---- dovecot-keywords ---- */

/* Other programs read there what the letters mean. What cannot be written is tried next time. */
static void write_letters(const struct folder *f)
{
    const struct state *s = &f->state;
    /* asked: by read_letters */
    struct buf text = BUF(FILE_MAX);

    for (uint32_t i = 0; i < s->keywords.n && i < KEYWORD_LETTERS; i++)
        if (s->keywords.at[i].name[0] != '\0')
            buf_addf(&text, "%u %s\n", i, s->keywords.at[i].name);
    int fd = file_open_plain(f->dirfd, new_name, O_WRONLY | O_CREAT | O_TRUNC,
                             f->store->set.mode & 0666);
    if (fd < 0 || !buf_ok(&text) || file_write_all(fd, text.p, text.n) < 0 ||
        renameat(f->dirfd, new_name, f->dirfd, file_name) < 0)
        msg_warn("folder %s of %s: cannot write %s", f->name, f->store->path, file_name);
    if (fd >= 0)
        close(fd);
    buf_free(&text);
}

static void record_keyword(struct folder *f, uint32_t i, struct str name)
{
    struct journal_keyword_at head = {.index = i};
    struct buf out = BUF(1000);

    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    buf_add(&out, name);
    buf_addc(&out, '\0');
    if (buf_ok(&out))
        folder_record_buf(f, J_KEYWORD_AT, &out, 0);
    buf_free(&out);
}

int folder_define_keyword(struct folder *f, struct str name, struct why *why)
{
    int i = state_keyword(&f->state, name);

    if (i >= 0)
        return i;
    if (!state_keyword_ok(name))
        return why_set(why, "5.5.4", "not a keyword");
    if (folder_keyword_room(f) == 0)
        return why_set(why, "5.2.2", "folder %s has %zu keywords already", f->name,
                       f->store->set.keywords);
    uint32_t place = free_place(&f->state);
    record_keyword(f, place, name);
    if (folder_commit(f, why) < 0)
        return -1;
    if (place < KEYWORD_LETTERS && !f->in_memory)
        write_letters(f);
    return (int)place;
}

void folder_record_keyword(struct folder *f, enum flag_op op, uint32_t place,
                           const struct uidset *which)
{
    struct journal_keyword_of head = {
        .op = (uint32_t)op, .index = place, .ranges = (uint32_t)which->n};
    struct buf out = BUF(JOURNAL_MAX);

    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    folder_ranges(which, &out);
    if (which->n > 0 && buf_ok(&out))
        folder_record_buf(f, J_KEYWORD_OF, &out, 0);
    buf_free(&out);
}

/* ---- learned from others ---- */

static bool read_letters(const struct folder *f, struct buf *text)
{
    int fd = file_open_plain(f->dirfd, file_name, O_RDONLY, 0);
    bool good = fd >= 0 && file_read_fd(fd, text) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

/* The messages whose file names have had the letter all along get the keyword. */
static void record_named(struct folder *f, uint32_t i)
{
    struct journal_flags head = {.op = FLAGS_ADD, .keywords = (uint64_t)1 << i};
    const struct state *s = &f->state;
    struct uidset with = UIDSET;
    struct buf out = BUF(JOURNAL_MAX);

    for (size_t k = 0; k < s->n; k++)
        if (!(s->slots[k].m.flags & SLOT_GONE) && s->slots[k].letters >> i & 1)
            uidset_add(&with, s->slots[k].m.uid, s->slots[k].m.uid);
    head.ranges = (uint32_t)with.n;
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    folder_ranges(&with, &out);
    if (with.n > 0 && buf_ok(&out))
        folder_record_buf(f, J_FLAGS, &out, 0);
    uidset_free(&with);
    buf_free(&out);
}

static bool has_name(const struct state *s, uint32_t i)
{
    return i < s->keywords.n && s->keywords.at[i].name[0] != '\0';
}

/* A letter keeps the meaning that it has here. */
int folder_learn_keywords(struct folder *f, struct why *why)
{
    /* asked: by read_letters */
    struct buf text = BUF(FILE_MAX);
    struct state theirs;

    state_init(&theirs);
    if (!f->frozen && read_letters(f, &text))
        takeover_keywords(buf_str(&text), &theirs);
    for (uint32_t i = 0; i < theirs.keywords.n; i++) {
        struct str name = state_keyword_name(&theirs, i);
        if (name.n == 0 || has_name(&f->state, i) || state_keyword(&f->state, name) >= 0 ||
            folder_keyword_room(f) == 0)
            continue;
        record_keyword(f, i, name);
        record_named(f, i);
    }
    state_free(&theirs);
    buf_free(&text);
    return f->out.n > 0 ? folder_commit(f, why) : 0;
}

/* ---- freed ---- */

void folder_free_keywords(struct folder *f)
{
    struct state *s = &f->state;
    uint32_t letters = used_letters(s);
    uint64_t bits = 0;

    for (size_t i = 0; i < s->n; i++)
        if (!(s->slots[i].m.flags & SLOT_GONE))
            bits |= s->slots[i].m.keywords;
    for (uint32_t i = 0; i < s->keywords.n; i++) {
        bool used = i < MSG_KEYWORDS ? bits >> i & 1 : s->keywords.at[i].uids.n > 0;
        if (!used && (i >= KEYWORD_LETTERS || !(letters >> i & 1)))
            state_name_keyword(s, i, STR(""));
    }
}
