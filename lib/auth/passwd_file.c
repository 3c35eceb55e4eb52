/*
 * The text of the file stays in memory as it is; the index leads to lines, which are taken apart
 * when somebody asks for them.
 */
#include "auth/passwd_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/password.h"
#include "auth/user.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

struct passwd_file {
    char *path;
    struct buf text;
    struct hash *lines; /* name to the start of its line in text */
    struct timespec mtime;
    ino_t inode;
    off_t size;
    bool settled; /* it had not been written to just before it was read */
    passwd_open_fn *again;
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

/* The extra fields follow in line. Null: a user's line. */
static const char *parse(struct str *line, struct passwd_entry *e)
{
    struct str field[7] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}, {"", 0}, {"", 0}, {"", 0}};
    size_t n = 0;

    if (str_find(*line, '\0') >= 0)
        return "it has a zero byte";
    while (n < 7 && str_split(line, ':', &field[n]))
        n++;
    if (n < 7)
        *line = STR("");
    *e = (struct passwd_entry){.name = field[0],
                               .password = field[1],
                               .uid = USER_NOBODY,
                               .gid = USER_NOBODY,
                               .home = field[5],
                               .mail = STR(""),
                               .quota_rule = STR("")};
    if (n < 2)
        return "it has no colon after the name";
    if (e->name.n == 0)
        return "it has no name";
    if (!parse_id(field[2], &e->uid) || !parse_id(field[3], &e->gid))
        return "uid and gid must be numbers";
    return NULL;
}

static struct str without_cr(struct str line)
{
    return str_ends(line, STR("\r")) ? str_upto(line, line.n - 1) : line;
}

static bool is_comment(struct str line)
{
    return line.n == 0 || line.p[0] == '#';
}

bool passwd_line_parse(struct str line, struct passwd_entry *e, const char **problem)
{
    const char *found = NULL;

    line = without_cr(line);
    if (problem != NULL)
        *problem = NULL;
    if (is_comment(line))
        return false;
    found = parse(&line, e);
    for (struct str word; found == NULL && str_word(&line, " \t", &word);)
        if (!parse_extra(word, e))
            found = "userdb_uid and userdb_gid must be numbers";
    if (problem != NULL)
        *problem = found;
    return found == NULL;
}

/* Dovecot's fields that limit a user; the beginning is enough. */
static bool is_limit(struct str field)
{
    static const char *const limits[] = {
        "userdb_quota",    "userdb_acl", "userdb_mail_max_userip_connections",
        "allow_real_nets", "proxy",      "userdb_mail_plugins"};

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (str_starts(field, strz(limits[i])))
            return true;
    return false;
}

struct str passwd_line_unenforced(struct str line)
{
    struct passwd_entry e;

    line = without_cr(line);
    if (is_comment(line) || parse(&line, &e) != NULL)
        return STR("");
    for (struct str word; str_word(&line, " \t", &word);) {
        ptrdiff_t is = str_find(word, '=');
        struct str field = is < 0 ? word : str_upto(word, (size_t)is);
        if (is_limit(field))
            return field;
    }
    return STR("");
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

/* What is written within the same tick of the clock after it was read has the same time. */
static bool is_settled(const struct stat *st)
{
    return clock_ns(&st->st_mtim) < clock_tick_ns();
}

/* fd is closed. */
static int load(struct passwd_file *f, int fd, struct why *why)
{
    struct buf text = BUF(PASSWD_FILE_MAX);
    struct stat st;
    bool ok = fstat(fd, &st) == 0, settled = ok && is_settled(&st);

    ok = ok && file_read_fd(fd, &text) == 0;

    if (!ok)
        why_errno(why, "4.3.0", "read passwd-file %s", f->path);
    close(fd);
    if (ok && !buf_ok(&text)) {
        why_set(why, "4.3.0", "passwd-file %s is too large", f->path);
        ok = false;
    }
    if (!ok) {
        buf_free(&text);
        return -1;
    }
    hash_free(&f->lines, NULL);
    if (f->text.room > 0)
        explicit_bzero(f->text.p, f->text.room);
    buf_free(&f->text);
    f->text = text;
    f->lines = make_index(&f->text);
    f->mtime = st.st_mtim;
    f->inode = st.st_ino;
    f->size = st.st_size;
    f->settled = settled;
    return 0;
}

static int open_now(const struct passwd_file *f, struct why *why)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == EACCES && f->again != NULL)
        return f->again(f->path, why);
    return fd >= 0 ? fd : why_errno(why, "4.3.5", "open passwd-file %s", f->path);
}

struct passwd_file *passwd_file_open(const char *path, passwd_open_fn *again, struct why *why)
{
    struct passwd_file *f = mem_new(sizeof *f);

    f->path = mem_dupz(path);
    f->text = BUF(PASSWD_FILE_MAX);
    int fd = open_now(f, why);
    if (fd < 0 || load(f, fd, why) < 0)
        passwd_file_close(&f);
    else
        f->again = again;
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
    return start != NULL &&
           passwd_line_parse(line_at(&f->text, (size_t)(start - f->text.p)), e, NULL);
}

static bool is_same(const struct passwd_file *f, const struct stat *st)
{
    return f->settled && st->st_ino == f->inode && st->st_size == f->size &&
           st->st_mtim.tv_sec == f->mtime.tv_sec && st->st_mtim.tv_nsec == f->mtime.tv_nsec;
}

int passwd_file_refresh(struct passwd_file *f, struct why *why)
{
    struct stat st;
    bool unchanged = f->settled;
    ino_t inode = f->inode;

    if (stat(f->path, &st) == 0) {
        if (is_same(f, &st))
            return 0;
    } else if (errno != EACCES || f->again == NULL) {
        return why_errno(why, "4.3.5", "passwd-file %s", f->path);
    }
    int fd = open_now(f, why); /* waits: f may have been read again meanwhile */
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && is_same(f, &st)) {
        close(fd);
        return 0;
    }
    if (load(f, fd, why) < 0)
        return -1;
    return unchanged || inode != f->inode ? 1 : 0;
}

/* ---- what is wrong in the file */

static void check_line(const struct passwd_file *f, unsigned number, struct str line,
                       passwd_tell_fn *tell)
{
    struct passwd_entry e;
    const char *problem = NULL;
    struct why why = WHY;

    if (!passwd_line_parse(line, &e, &problem)) {
        if (problem != NULL)
            tell(f, number, problem);
    } else if (!e.nopassword && e.password.n > 0 &&
               password_understood(e.password, conf.auth_default_pass_scheme, &why) < 0) {
        tell(f, number, why_text(&why));
    }
    why_free(&why);
}

void passwd_file_problems(const struct passwd_file *f, passwd_tell_fn *tell)
{
    unsigned number = 0;
    struct str line;

    for (size_t at = 0; at < f->text.n; at += line.n + 1) {
        line = line_at(&f->text, at);
        check_line(f, ++number, line, tell);
    }
}

unsigned passwd_file_unenforced(const struct passwd_file *f, const char *accepted,
                                struct str *field)
{
    unsigned number = 0, found = 0;
    struct str line;

    for (size_t at = 0; at < f->text.n && found == 0; at += line.n + 1) {
        line = line_at(&f->text, at);
        number++;
        *field = passwd_line_unenforced(line);
        if (field->n > 0 && !str_has_word(accepted, *field))
            found = number;
    }
    return found;
}
