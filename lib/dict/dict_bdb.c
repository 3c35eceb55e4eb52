/*
 * hash: and btree:, Berkeley DB files that Postfix reads and writes too.
 *
 * Keys and values carry their zero byte when written here; when read, a file shows with the first
 * key that is found whether its keys have it. A table is always changed as a copy beside it, which
 * takes its place by rename: readers see the old table or the new one, whole. Whoever changes a
 * table holds an exclusive flock(2) on the old file, as Postfix's tools do.
 */
#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict_types.h"

enum { PATH_LIMIT = 4096, GRACE_SECONDS = 5 };

enum key_form { KEY_UNKNOWN, KEY_WITH_NUL, KEY_BARE };

struct bdb {
    struct dict dict;
    DB_ENV *env;
    DB *db;
    DBC *walk;
    enum key_form form;
    char *path; /* the table, "x.db" */
    char *new_path; /* its successor while it is made, or null */
    int lock; /* on the old file while it is being replaced, or -1 */
};

static void complain(const DB_ENV *env __attribute__((unused)),
                     const char *prefix __attribute__((unused)), const char *text)
{
    msg_debug("dict", "Berkeley DB: %s", text);
}

static int dict_bdb_failed(const struct bdb *b, int error, const char *what, struct why *why)
{
    return why_set(why, "4.3.0", "%s %s: %s", what, b->path, db_strerror(error));
}

/* A private environment with an absolute home, so that no DB_CONFIG file of the working directory
 * is read; names are absolute for the same reason. */
static int open_absolute(struct bdb *b, DBTYPE type, const char *path, uint32_t flags,
                         int64_t cache)
{
    int error;

    if ((error = db_env_create(&b->env, 0)) != 0)
        return error;
    b->env->set_errcall(b->env, complain);
    if ((error = b->env->set_cachesize(b->env, 0, (uint32_t)cache, 0)) != 0 ||
        (error = b->env->open(b->env, "/", DB_INIT_MPOOL | DB_CREATE | DB_PRIVATE, 0)) != 0 ||
        (error = db_create(&b->db, b->env, 0)) != 0)
        return error;
    return b->db->open(b->db, NULL, path, NULL, type, flags, 0600);
}

static int open_handle(struct bdb *b, DBTYPE type, const char *path, uint32_t flags, int64_t cache)
{
    struct buf full = BUF(2 * PATH_LIMIT);
    char *cwd = path[0] == '/' ? NULL : get_current_dir_name();

    if (cwd != NULL)
        buf_addf(&full, "%s/", cwd);
    free(cwd);
    buf_addz(&full, path);
    int error = buf_ok(&full) ? open_absolute(b, type, full.p, flags, cache) : ENAMETOOLONG;
    buf_free(&full);
    return error;
}

/* Who has just saved the source is about to run postmap: that is no mistake yet. */
static void warn_if_older(const struct bdb *b, int fd, const char *arg)
{
    struct stat made, source;
    int64_t now = clock_wall();

    if (stat(arg, &source) < 0 || fstat(fd, &made) < 0)
        return;
    bool just_now = source.st_mtim.tv_sec <= now && source.st_mtim.tv_sec + GRACE_SECONDS > now;
    if (clock_ns(&source.st_mtim) > clock_ns(&made.st_mtim) && !just_now)
        msg_warn("database %s is older than source file %s", b->path, arg);
}

static int open_for_reading(struct bdb *b, DBTYPE type, const char *arg, struct why *why)
{
    int fd = open(b->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return why_errno(why, "4.3.0", "open database %s", b->path);
    while (flock(fd, LOCK_SH) < 0) /* until somebody's edit in place has ended */
        if (errno != EINTR) {
            close(fd);
            return why_errno(why, "4.3.0", "lock database %s", b->path);
        }
    int error = open_handle(b, type, b->path, DB_RDONLY, conf.berkeley_db_read_buffer_size);
    flock(fd, LOCK_UN);
    int status = error != 0 ? dict_bdb_failed(b, error, "open database", why)
                            : dict_file_watch(&b->dict, fd, b->path, why);
    if (status == 0)
        warn_if_older(b, fd, arg);
    close(fd);
    return status;
}

/* The lock on the file that has that name now: it may be replaced while we wait. */
static int lock_old(struct bdb *b, struct why *why)
{
    for (;;) {
        struct stat by_fd, by_name;
        b->lock = open(b->path, O_RDONLY | O_CLOEXEC);
        if (b->lock < 0)
            return errno == ENOENT ? 0 : why_errno(why, "4.3.0", "open database %s", b->path);
        while (flock(b->lock, LOCK_EX) < 0)
            if (errno != EINTR)
                return why_errno(why, "4.3.0", "lock database %s", b->path);
        if (fstat(b->lock, &by_fd) == 0 && stat(b->path, &by_name) == 0 &&
            by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino)
            return 0;
        close(b->lock);
    }
}

static int copy_file(int from, int to)
{
    struct stat st;
    off_t at = 0;

    if (fstat(from, &st) < 0)
        return -1;
    while (at < st.st_size) {
        ssize_t n = sendfile(to, from, &at, (size_t)(st.st_size - at));
        if (n <= 0)
            return -1;
    }
    return 0;
}

/* The new file has the old one's owner and permissions; the first one has those of its source, or
 * 0644. */
static int take_over_owner(struct bdb *b, const char *arg, unsigned flags, int fd)
{
    struct stat st;

    if (b->lock >= 0) {
        if (fstat(b->lock, &st) < 0 || fchmod(fd, st.st_mode & 07777) < 0)
            return -1;
        if ((st.st_uid != geteuid() || st.st_gid != getegid()) &&
            fchown(fd, st.st_uid, st.st_gid) < 0)
            return geteuid() == 0 ? -1 : 0;
        return 0;
    }
    if ((flags & DICT_SOURCE_MODE) == 0 || stat(arg, &st) < 0)
        return fchmod(fd, 0644);
    return fchmod(fd, st.st_mode & 0644);
}

static int open_for_writing(struct bdb *b, DBTYPE type, const char *arg, enum dict_mode mode,
                            unsigned flags, struct why *why)
{
    struct buf path = BUF(PATH_LIMIT);

    if (lock_old(b, why) < 0)
        return -1;
    if (b->lock < 0 && mode == DICT_UPDATE && (flags & DICT_CREATE) == 0) {
        errno = ENOENT;
        return why_errno(why, "4.3.0", "open database %s", b->path);
    }
    buf_addf(&path, "%s.tmp-%d", b->path, (int)getpid());
    if (!buf_ok(&path))
        return why_set(why, "4.3.5", "%s: the name is too long", b->path);
    b->new_path = buf_take(&path);
    unlink(b->new_path); /* of a process that died and had this id */
    int fd = open(b->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        why_errno(why, "4.3.0", "open database %s", b->new_path);
        free(b->new_path);
        b->new_path = NULL;
        return -1;
    }
    bool copied = mode == DICT_UPDATE && b->lock >= 0;
    if ((copied && copy_file(b->lock, fd) < 0) || take_over_owner(b, arg, flags, fd) < 0) {
        close(fd);
        return why_errno(why, "4.3.0", "write %s", b->new_path);
    }
    close(fd);
    int error = open_handle(b, type, b->new_path, copied ? 0 : DB_CREATE | DB_TRUNCATE,
                            conf.berkeley_db_create_buffer_size);
    return error == 0 ? 0 : dict_bdb_failed(b, error, "open database", why);
}

static void bdb_close(struct dict *d)
{
    struct bdb *b = (struct bdb *)d;

    if (b->walk != NULL)
        b->walk->close(b->walk);
    if (b->db != NULL)
        b->db->close(b->db, DB_NOSYNC);
    if (b->env != NULL)
        b->env->close(b->env, 0);
    if (b->new_path != NULL)
        unlink(b->new_path);
    if (b->lock >= 0)
        close(b->lock);
    free(b->new_path);
    free(b->path);
}

static struct dict *bdb_open(const struct dict_type *kind, DBTYPE type, const char *arg,
                             enum dict_mode mode, unsigned flags, struct why *why)
{
    struct bdb *b = (struct bdb *)dict_new(kind, sizeof *b);
    struct buf path = BUF(PATH_LIMIT);
    struct dict *d = &b->dict;

    b->lock = -1;
    buf_addf(&path, "%s.db", arg);
    bool fits = buf_ok(&path);
    b->path = buf_take(&path);
    if (!fits)
        why_set(why, "4.3.5", "%.100s...: the name is too long", arg);
    else if ((mode == DICT_READ ? open_for_reading(b, type, arg, why)
                                : open_for_writing(b, type, arg, mode, flags, why)) == 0)
        return d;
    dict_close(&d);
    return NULL;
}

/* With a zero byte or without: which one, the first hit tells. */
static enum dict_answer get(struct bdb *b, const char *key, DBT *v, enum key_form *form,
                            struct why *why)
{
    DBT k = {.data = (void *)(uintptr_t)key, .size = (uint32_t)strlen(key) + 1};

    for (enum key_form f = KEY_WITH_NUL; f <= KEY_BARE; f++) {
        if (b->form != KEY_UNKNOWN && b->form != f)
            continue;
        k.size = (uint32_t)strlen(key) + (f == KEY_WITH_NUL);
        int error = b->db->get(b->db, NULL, &k, v, 0);
        if (error == 0) {
            *form = f;
            return DICT_FOUND;
        }
        if (error != DB_NOTFOUND) {
            dict_bdb_failed(b, error, "error reading", why);
            return DICT_FAILED;
        }
    }
    return DICT_NONE;
}

static void add_text(struct buf *out, const DBT *t)
{
    buf_add(out, (struct str){t->data, strnlen(t->data, t->size)});
}

static enum dict_answer bdb_find(struct dict *d, const char *key, struct buf *value,
                                 struct why *why)
{
    struct bdb *b = (struct bdb *)d;
    DBT v = {0};
    enum dict_answer answer = get(b, key, &v, &b->form, why);

    if (answer == DICT_FOUND)
        add_text(value, &v);
    return answer;
}

/* A key may stand in the file in either form: the other one must not stay behind. */
static enum dict_answer bdb_drop(struct dict *d, const char *key, struct why *why)
{
    struct bdb *b = (struct bdb *)d;
    enum dict_answer answer = DICT_NONE;

    for (uint32_t nul = 0; nul < 2; nul++) {
        DBT k = {.data = (void *)(uintptr_t)key, .size = (uint32_t)strlen(key) + nul};
        int error = b->db->del(b->db, NULL, &k, 0);
        if (error == 0)
            answer = DICT_FOUND;
        else if (error != DB_NOTFOUND) {
            dict_bdb_failed(b, error, "error deleting from", why);
            return DICT_FAILED;
        }
    }
    return answer;
}

static enum dict_answer duplicate(const struct bdb *b, const char *key, struct why *why)
{
    if ((b->dict.flags & DICT_IGNORE_DUPLICATE) != 0)
        return DICT_NONE;
    if ((b->dict.flags & DICT_WARN_DUPLICATE) != 0) {
        msg_warn("%s: duplicate entry: \"%s\"", b->path, key);
        return DICT_NONE;
    }
    why_set(why, "4.3.5", "%s: duplicate entry: \"%s\"", b->path, key);
    return DICT_FAILED;
}

static enum dict_answer bdb_put(struct dict *d, const char *key, const char *value, struct why *why)
{
    struct bdb *b = (struct bdb *)d;
    uint32_t nul = (d->flags & DICT_KEY_BARE) == 0;
    DBT k = {.data = (void *)(uintptr_t)key, .size = (uint32_t)strlen(key) + nul};
    DBT v = {.data = (void *)(uintptr_t)value, .size = (uint32_t)strlen(value) + nul};
    int error =
        b->db->put(b->db, NULL, &k, &v, d->flags & DICT_REPLACE_DUPLICATE ? 0 : DB_NOOVERWRITE);

    if (error == 0)
        return DICT_FOUND;
    if (error == DB_KEYEXIST)
        return duplicate(b, key, why);
    dict_bdb_failed(b, error, "error writing", why);
    return DICT_FAILED;
}

static enum dict_answer bdb_next(struct dict *d, struct buf *key, struct buf *value,
                                 struct why *why)
{
    struct bdb *b = (struct bdb *)d;
    DBT k = {0}, v = {0};
    int error = b->walk == NULL ? b->db->cursor(b->db, NULL, &b->walk, 0) : 0;

    if (error == 0)
        error = b->walk->get(b->walk, &k, &v, DB_NEXT);
    if (error == DB_NOTFOUND)
        return DICT_NONE;
    if (error != 0) {
        dict_bdb_failed(b, error, "error reading", why);
        return DICT_FAILED;
    }
    add_text(key, &k);
    add_text(value, &v);
    return DICT_FOUND;
}

static int sync_and_rename(struct bdb *b, struct why *why)
{
    struct buf copy = BUF(PATH_LIMIT);
    int fd = open(b->new_path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0) {
        why_errno(why, "4.3.0", "write database %s", b->new_path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    close(fd);
    if (rename(b->new_path, b->path) < 0)
        return why_errno(why, "4.3.0", "rename %s to %s", b->new_path, b->path);
    free(b->new_path);
    b->new_path = NULL;
    buf_addz(&copy, b->path);
    if (buf_ok(&copy))
        file_sync_dir(dirname(copy.p)); /* not every file system can */
    buf_free(&copy);
    return 0;
}

static int bdb_commit(struct dict *d, struct why *why)
{
    struct bdb *b = (struct bdb *)d;

    if (b->walk != NULL)
        b->walk->close(b->walk);
    b->walk = NULL;
    int error = b->db->close(b->db, 0);
    b->db = NULL;
    if (error != 0)
        return dict_bdb_failed(b, error, "error writing", why);
    return sync_and_rename(b, why);
}

static struct dict *hash_open(const char *arg, enum dict_mode mode, unsigned flags, struct why *why)
{
    return bdb_open(&dict_hash, DB_HASH, arg, mode, flags, why);
}

static struct dict *btree_open(const char *arg, enum dict_mode mode, unsigned flags,
                               struct why *why)
{
    return bdb_open(&dict_btree, DB_BTREE, arg, mode, flags, why);
}

#define BDB_TYPE(called, opener)                                                                   \
    {                                                                                              \
        .name = (called), .can = DICT_WRITES | DICT_WALKS | DICT_SURVIVES_JAIL, .suffix = ".db",   \
        .open = (opener), .find = bdb_find, .put = bdb_put, .drop = bdb_drop, .next = bdb_next,    \
        .commit = bdb_commit, .close = bdb_close                                                   \
    }
const struct dict_type dict_hash = BDB_TYPE("hash", hash_open);
const struct dict_type dict_btree = BDB_TYPE("btree", btree_open);
