/*
 * dovecot-uidlist: "3 V<uidvalidity> N<next uid> G<guid>", then a line "uid [W<size> ...] :name"
 * for each message. A line whose number is N or above counts too, so new messages need no new head.
 */
#include "store/uidlist.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "store/takeover.h"
#include "task/task.h"

static const char file_name[] = "dovecot-uidlist";
static const char new_name[] = "dovecot-uidlist.tmp"; /* Dovecot's own name for it */
enum { LIST_MAX = 256 << 20, HEAD_MAX = 1000, GUID_BYTES = 16, HEAD_SUMMED = 32 };

bool uidlist_wanted(const struct folder *f)
{
    return faccessat(f->dirfd, file_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           faccessat(f->store->rootfd, file_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static uint64_t head_sum(struct str bytes)
{
    char head[HEAD_SUMMED] = {0};
    ptrdiff_t lf = str_find(bytes, '\n');

    bytes = str_upto(bytes, lf >= 0 && (size_t)lf < sizeof head ? (size_t)lf : sizeof head);
    memcpy(head, bytes.p, bytes.n);
    return journal_sum(head, sizeof head, 0);
}

/* By place, size and head: a copy may be written over it, and have the same size. */
static bool is_marked(const struct folder *f, const struct journal_list *mark)
{
    int fd = file_open_plain(f->dirfd, file_name, O_RDONLY, 0);
    char head[HEAD_SUMMED];
    struct stat st;
    bool same = fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == mark->ino &&
                (uint64_t)st.st_size == mark->size;

    if (same) {
        ssize_t n = pread(fd, head, sizeof head, 0);
        same = n >= 0 && head_sum((struct str){head, (size_t)n}) == mark->head;
    }
    if (fd >= 0)
        close(fd);
    return same;
}

bool uidlist_changed(const struct folder *f)
{
    const struct journal_list *mark = &f->state.list;
    struct stat st;

    if (f->in_memory || f->frozen)
        return false;
    if (fstatat(f->dirfd, file_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(st.st_mode) && !is_marked(f, mark);
    return errno == ENOENT && mark->ino != 0;
}

int uidlist_read(const struct folder *f, struct state *list, uint32_t *uidvalidity, struct why *why)
{
    struct buf text = BUF(LIST_MAX); /* fits: takeover_read_file reads no more */
    int result = takeover_read_file(f, file_name, &text, why);

    state_init(list);
    *uidvalidity = result > 0 ? takeover_dovecot(buf_str(&text), list) : 0;
    if (*uidvalidity == 0) {
        state_free(list);
        state_init(list);
    }
    buf_free(&text);
    return result < 0 ? -1 : 0;
}

/* ---- writing ---- */

static void add_line(struct buf *out, uint32_t uid, struct str name)
{
    buf_addf(out, "%u :", uid);
    buf_add(out, name);
    buf_addc(out, '\n');
}

/* What Dovecot keeps in the head besides the numbers, and needs again: the folder's own name. */
static void add_extras(const struct folder *f, struct buf *out)
{
    char head[HEAD_MAX];
    int fd = file_open_plain(f->dirfd, file_name, O_RDONLY, 0);
    ssize_t n = fd < 0 ? 0 : pread(fd, head, sizeof head, 0);
    struct str text = {head, n > 0 ? (size_t)n : 0}, line, word;
    unsigned char guid[GUID_BYTES];
    size_t before = out->n;

    if (fd >= 0)
        close(fd);
    if (str_starts(text, STR("3 ")) && str_split(&text, '\n', &line)) {
        str_word(&line, " ", &word);
        while (str_word(&line, " ", &word))
            if (word.p[0] != 'V' && word.p[0] != 'N') {
                buf_addc(out, ' ');
                buf_add(out, word);
            }
    }
    if (out->n == before) {
        random_bytes(guid, sizeof guid);
        buf_addz(out, " G");
        encode_hex(out, (struct str){(const char *)guid, sizeof guid});
    }
}

static void add_all(const struct folder *f, struct buf *out)
{
    const struct state *s = &f->state;

    buf_addf(out, "3 V%u N%u", f->j.head.uidvalidity, s->uidnext);
    add_extras(f, out);
    buf_addc(out, '\n');
    for (size_t i = 0; i < s->n; i++)
        if (!(s->slots[i].m.flags & (SLOT_GONE | SLOT_ODD)))
            add_line(out, s->slots[i].m.uid, state_name(s, &s->slots[i]));
}

void uidlist_write(struct folder *f)
{
    /* asked: by read_file */
    struct buf text = BUF(LIST_MAX);
    struct stat st;
    int fd = file_open_plain(f->dirfd, new_name, O_WRONLY | O_CREAT | O_TRUNC,
                             f->store->set.mode & 0666);

    add_all(f, &text);
    f->state.list = (struct journal_list){0};
    if (fd >= 0 && buf_ok(&text) && file_write_all(fd, text.p, text.n) == 0 &&
        (f->store->set.no_sync || task_fdatasync(fd) == 0) && fstat(fd, &st) == 0 &&
        renameat(f->dirfd, new_name, f->dirfd, file_name) == 0)
        f->state.list =
            (struct journal_list){st.st_ino, (uint64_t)st.st_size, head_sum(buf_str(&text))};
    else
        msg_warn("folder %s of %s: cannot write %s", f->name, f->store->path, file_name);
    if (fd >= 0)
        close(fd);
    buf_free(&text);
}

static void lines_of_add(struct str payload, struct buf *lines)
{
    struct journal_add head;
    struct slot slot;
    struct str name;

    if (payload.n < sizeof head)
        return;
    payload = str_from(payload, sizeof head);
    while (state_next_entry(&payload, &slot, &name))
        if (!(slot.m.flags & SLOT_ODD))
            add_line(lines, slot.m.uid, name);
}

void uidlist_lines(struct str out, struct buf *lines)
{
    struct journal_rec rec;

    for (; out.n >= sizeof rec; out = str_from(out, rec.size)) {
        memcpy(&rec, out.p, sizeof rec);
        if (rec.size < sizeof rec + sizeof(struct journal_tail) || rec.size > out.n)
            break;
        size_t n = rec.size - sizeof rec - sizeof(struct journal_tail) - rec.padding;
        if (rec.type == J_ADD)
            lines_of_add(str_part(out, sizeof rec, n), lines);
    }
}

/* What cannot be written now is found missing by the mark, and then all is written anew. */
void uidlist_append(const struct folder *f, struct str lines, const struct journal_list *mark)
{
    int fd = file_open_plain(f->dirfd, file_name, O_WRONLY | O_APPEND, 0);

    if (fd >= 0 && is_marked(f, mark) && file_write_all(fd, lines.p, lines.n) < 0)
        msg_warn("folder %s of %s: cannot append to %s", f->name, f->store->path, file_name);
    if (fd >= 0)
        close(fd);
}
