/*
 * The text of the file stays in memory as it is; the index leads to lines, which are taken apart
 * when somebody asks for them.
 */
#include "auth/passwd_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/user.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"

struct passwd_file {
    char *path;
    struct buf text;
    struct hash *lines; /* name to the start of its line in text */
    struct timespec mtime;
    ino_t inode;
    off_t size;
    int64_t looked;
};

static bool parse_id(struct str s, uint32_t *id)
{
    return s.n == 0 || num_parse_u32(s, 0, UINT32_MAX - 1, id);
}

/* One of the extra fields. False: malformed in a way that must not be skipped. */
static bool parse_extra(struct str word, struct passwd_entry *e)
{
    ptrdiff_t is = str_find(word, '=');
    struct str name = is < 0 ? word : str_upto(word, (size_t)is);
    struct str value = is < 0 ? str_from(word, word.n) : str_from(word, (size_t)is + 1);

    if (str_eqz(name, "userdb_mail"))
        e->mail = value;
    else if (str_eqz(name, "userdb_home"))
        e->home = value;
    else if (str_eqz(name, "userdb_quota_rule"))
        e->quota_rule = value;
    else if (str_eqz(name, "userdb_uid"))
        return parse_id(value, &e->uid);
    else if (str_eqz(name, "userdb_gid"))
        return parse_id(value, &e->gid);
    else if (str_eqz(name, "allow_nets"))
        e->allow_nets = value;
    else if (str_eqz(name, "nologin"))
        e->nologin = value;
    else if (str_eqz(name, "nopassword"))
        e->nopassword = true;
    return true;
}

bool passwd_line_parse(struct str line, struct passwd_entry *e)
{
    struct str field[7] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}, {"", 0}, {"", 0}, {"", 0}};
    size_t n = 0;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#' || str_find(line, '\0') >= 0)
        return false;
    while (n < 7 && str_split(&line, ':', &field[n]))
        n++;
    *e = (struct passwd_entry){.name = field[0],
                               .password = field[1],
                               .uid = USER_NOBODY,
                               .gid = USER_NOBODY,
                               .home = field[5],
                               .mail = STR(""),
                               .quota_rule = STR("")};
    if (n < 2 || e->name.n == 0 || !parse_id(field[2], &e->uid) || !parse_id(field[3], &e->gid))
        return false;
    if (n == 7)
        for (struct str word; str_word(&line, " \t", &word);)
            if (!parse_extra(word, e))
                return false;
    return true;
}

static struct str line_at(const struct buf *text, size_t start)
{
    struct str rest = str_from(buf_str(text), start);
    ptrdiff_t end = str_find(rest, '\n');
    return end < 0 ? rest : str_upto(rest, (size_t)end);
}

static struct hash *make_index(const struct buf *text)
{
    struct hash *lines = hash_new();

    for (size_t at = 0; at < text->n;) {
        struct str line = line_at(text, at);
        ptrdiff_t colon = str_find(line, ':');
        if (colon > 0 && line.p[0] != '#') {
            struct str name = str_upto(line, (size_t)colon);
            if (hash_find(lines, name) == NULL)
                hash_put(lines, name, text->p + at);
        }
        at += line.n + 1;
    }
    return lines;
}

static int load(struct passwd_file *f, struct why *why)
{
    struct buf text = BUF(PASSWD_FILE_MAX);
    struct stat st;

    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return why_errno(why, "4.3.5", "open passwd-file %s", f->path);
    if (fstat(fd, &st) < 0 || file_read_fd(fd, &text) < 0) {
        why_errno(why, "4.3.0", "read passwd-file %s", f->path);
        close(fd);
        buf_free(&text);
        return -1;
    }
    close(fd);
    hash_free(&f->lines, NULL);
    if (f->text.room > 0)
        explicit_bzero(f->text.p, f->text.room);
    buf_free(&f->text);
    f->text = text;
    f->lines = make_index(&f->text);
    f->mtime = st.st_mtim;
    f->inode = st.st_ino;
    f->size = st.st_size;
    return 0;
}

struct passwd_file *passwd_file_open(const char *path, struct why *why)
{
    struct passwd_file *f = mem_new(sizeof *f);

    f->path = mem_dupz(path);
    f->text = BUF(PASSWD_FILE_MAX);
    f->looked = INT64_MIN;
    if (load(f, why) < 0)
        passwd_file_close(&f);
    return f;
}

void passwd_file_close(struct passwd_file **fp)
{
    struct passwd_file *f = *fp;

    if (f == NULL)
        return;
    hash_free(&f->lines, NULL);
    if (f->text.room > 0)
        explicit_bzero(f->text.p, f->text.room);
    buf_free(&f->text);
    free(f->path);
    free(f);
    *fp = NULL;
}

const char *passwd_file_path(const struct passwd_file *f)
{
    return f->path;
}

bool passwd_file_find(const struct passwd_file *f, struct str name, struct passwd_entry *e)
{
    const char *start = hash_find(f->lines, name);
    return start != NULL && passwd_line_parse(line_at(&f->text, (size_t)(start - f->text.p)), e);
}

int passwd_file_refresh(struct passwd_file *f, int64_t now_ms, struct why *why)
{
    struct stat st;

    if (f->looked != INT64_MIN && now_ms - f->looked < 1000)
        return 0;
    f->looked = now_ms;
    if (stat(f->path, &st) < 0)
        return why_errno(why, "4.3.5", "passwd-file %s", f->path);
    if (st.st_ino == f->inode && st.st_size == f->size && st.st_mtim.tv_sec == f->mtime.tv_sec &&
        st.st_mtim.tv_nsec == f->mtime.tv_nsec)
        return 0;
    return load(f, why) < 0 ? -1 : 1;
}
