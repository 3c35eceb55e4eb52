/*
 * The first open of a Maildir that Dovecot or Courier served: numbers and keywords are kept, so
 * clients download nothing again.
 */
#include "store/takeover.h"

#include <errno.h>
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
#include "task/task.h"

enum { UIDLIST_MAX = 256 << 20, READ_PIECE = 4 << 20, LINES_A_TURN = 10000 };

/* The state is filled through the same door as by a journal, some entries at a time. */
struct filling {
    struct state *state;
    struct buf payload;
    struct journal_add head;
    uint32_t last;
    bool bad; /* sticks */
};

/* (waits) in a daemon: a user may have as long a list as he likes. */
static void pause_in_daemon(void)
{
    if (task_self() != NULL)
        task_yield();
}

static void takeover_begin(struct filling *f, struct state *state)
{
    *f = (struct filling){.state = state, .payload = BUF(JOURNAL_MAX)};
    buf_add(&f->payload, (struct str){(const char *)&f->head, sizeof f->head});
}

static bool takeover_add(struct filling *f, uint32_t uid, struct str name, uint64_t size)
{
    struct maildir_name parsed;
    struct slot slot = {.m = {.uid = uid, .size = size, .flags = SLOT_BARE}};

    if (uid <= f->last || !maildir_name_parse(name, &parsed) || parsed.odd)
        return false;
    f->last = uid;
    uint64_t told = maildir_name_vsize(parsed.base);
    bool good = maildir_size_fits(maildir_name_size(parsed.base), told);
    slot.m.size = good ? told : size;
    state_entry(&slot, parsed.base, &f->payload);
    f->head.count++;
    return true;
}

static void apply(struct filling *f, uint32_t uidnext)
{
    struct journal_rec rec = {.type = J_ADD, .modseq = f->state->modseq, .uidnext = uidnext};

    memcpy(f->payload.p, &f->head, sizeof f->head);
    f->bad =
        f->bad || !buf_ok(&f->payload) || !state_apply(f->state, &rec, buf_str(&f->payload), NULL);
    f->head.count = 0;
    buf_cut(&f->payload, sizeof f->head);
}

static bool finish(struct filling *f, uint32_t uidnext)
{
    bool good = uidnext < UINT32_MAX;

    if (uidnext <= f->last)
        uidnext = f->last + 1;
    good = good && uidnext > f->last;
    if (good)
        apply(f, uidnext);
    good = good && !f->bad;
    /* Who had a server before has seen these. */
    f->state->recent = f->state->uidnext;
    buf_free(&f->payload);
    return good;
}

/* Version 3: "3 V<uidvalidity> N<nextuid> G<guid>"; version 1: "1 uidvalidity nextuid". */
static bool parse_head(struct str line, uint32_t *uidvalidity, uint32_t *uidnext)
{
    struct str word;
    bool v3;

    *uidvalidity = *uidnext = 0;
    if (!str_word(&line, " ", &word))
        return false;
    v3 = str_eqz(word, "3");
    if (!v3 && !str_eqz(word, "1"))
        return false;
    for (size_t i = 0; str_word(&line, " ", &word); i++) {
        bool first = v3 ? word.p[0] == 'V' : i == 0, second = v3 ? word.p[0] == 'N' : i == 1;
        if (first && !num_parse_u32(str_from(word, v3), 1, UINT32_MAX, uidvalidity))
            return false;
        if (second && !num_parse_u32(str_from(word, v3), 1, UINT32_MAX, uidnext))
            return false;
    }
    return *uidvalidity != 0 && *uidnext != 0;
}

/* "uid [W<size> ...] :name" or, in version 1, "uid name". */
static bool parse_line(struct str line, uint32_t *uid, uint64_t *size, struct str *name)
{
    struct str word;

    *size = 0;
    if (!str_word(&line, " ", &word) || !num_parse_u32(word, 1, UINT32_MAX - 1, uid))
        return false;
    for (line = str_trim(line); line.n > 0 && line.p[0] != ':'; line = str_trim(line)) {
        struct str whole = line;
        if (str_find(whole, ' ') < 0) { /* the last word: a name without a colon */
            *name = whole;
            return true;
        }
        str_word(&line, " ", &word);
        if (word.p[0] == 'W' && !num_parse_u64(str_from(word, 1), 0, INT64_MAX, size))
            return false;
    }
    *name = str_from(line, 1);
    return name->n > 0;
}

static uint32_t parse_uidlist(struct str text, struct state *state)
{
    struct filling f;
    struct str line, name;
    uint32_t uidvalidity, uidnext, uid;
    uint64_t size;

    if (!str_split(&text, '\n', &line) || !parse_head(line, &uidvalidity, &uidnext))
        return 0;
    takeover_begin(&f, state);
    for (size_t n = 1; str_split(&text, '\n', &line); n++) {
        if (parse_line(line, &uid, &size, &name))
            takeover_add(&f, uid, name, size);
        if (n % LINES_A_TURN == 0) {
            apply(&f, f.last + 1);
            pause_in_daemon();
        }
    }
    return finish(&f, uidnext) ? uidvalidity : 0;
}

uint32_t takeover_dovecot(struct str text, struct state *state)
{
    return parse_uidlist(text, state);
}

/* Courier's lines have the same form as Dovecot's version 1: "uid name". */
uint32_t takeover_courier(struct str text, struct state *state)
{
    return str_starts(text, STR("1 ")) ? parse_uidlist(text, state) : 0;
}

/* "0 $Forwarded" ...: the letter a is keyword 0. */
void takeover_keywords(struct str text, struct state *state)
{
    struct str line, word;
    uint32_t i;

    while (str_split(&text, '\n', &line)) {
        struct str name = line;
        if (str_split(&name, ' ', &word) && num_parse_u32(word, 0, KEYWORD_LETTERS - 1, &i) &&
            state_keyword_ok(name) && state_keyword_name(state, i).n == 0 &&
            state_keyword(state, name) < 0)
            state_name_keyword(state, i, name);
    }
}

static bool is_of_no_use(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == EPERM ||
           error == ELOOP || error == EINVAL;
}

int takeover_read_file(const struct folder *f, const char *name, struct buf *out, struct why *why)
{
    int fd = file_open_plain(f->dirfd, name, O_RDONLY, 0);
    struct stat st;
    ssize_t got = 1;

    if (fd < 0 && is_of_no_use(errno))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        got = -1;
    while (got > 0 && st.st_size >= 0 && (uint64_t)st.st_size <= out->max) {
        size_t room = out->max - out->n, want = room < READ_PIECE ? room : READ_PIECE;
        got = want > 0 ? read(fd, buf_room(out, want), want) : 0;
        if (got <= 0)
            break;
        buf_grown(out, (size_t)got);
        pause_in_daemon();
    }
    if (got < 0)
        why_errno(why, "4.3.0", "read %s of folder %s", name, f->name);
    if (fd >= 0)
        close(fd);
    return got < 0 ? -1 : got == 0;
}

/* The numbers of a list; 0, and an empty state: there is none. */
static int take_numbers(struct folder *f, const char *name,
                        uint32_t (*parse)(struct str text, struct state *state),
                        struct state *state, uint32_t *uidvalidity, struct why *why)
{
    struct buf text = BUF(UIDLIST_MAX); /* fits: takeover_read_file reads no more */
    int result = takeover_read_file(f, name, &text, why);

    if (result > 0)
        *uidvalidity = parse(buf_str(&text), state);
    if (*uidvalidity == 0) {
        state_free(state);
        state_init(state);
    }
    buf_free(&text);
    return result < 0 ? -1 : 0;
}

int takeover(struct folder *f, struct state *state, uint32_t *uidvalidity, struct why *why)
{
    struct buf text = BUF(UIDLIST_MAX); /* fits: takeover_read_file reads no more */
    int result = take_numbers(f, "dovecot-uidlist", takeover_dovecot, state, uidvalidity, why);

    if (result == 0 && *uidvalidity == 0)
        result = take_numbers(f, "courierimapuiddb", takeover_courier, state, uidvalidity, why);
    if (result == 0)
        result = takeover_read_file(f, "dovecot-keywords", &text, why);
    if (result > 0)
        takeover_keywords(buf_str(&text), state);
    buf_free(&text);
    if (result >= 0 && *uidvalidity != 0)
        msg_info("folder %s of %s: taken over, uidvalidity %u, %zu messages", f->name,
                 f->store->path, *uidvalidity, state->n);
    return result < 0 ? -1 : 0;
}
