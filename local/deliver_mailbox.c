#include "deliver_mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "conf/conf.h"
#include "service/become.h"
#include "store/mailbox.h"
#include "store/store_conf.h"

#include "content.h"
#include "disposition.h"
#include "mbox.h"

enum { PREPEND_LIMIT = 1024 * 1024, KEPT_STORES = 200 };

static struct store_pool *pool;

void deliver_mailbox_open(void)
{
    struct store_settings settings = store_conf();

    pool = store_pool_new(&settings, KEPT_STORES);
}

static bool put(void *arg, struct str bytes)
{
    mail_in_put(arg, bytes);
    return true;
}

static int add_message(struct job *job, struct store *store, const struct mailbox_target *t,
                       struct why *why)
{
    struct mail_in *mail = mail_in_new(store, "INBOX", NULL, why);
    struct disposition what;
    struct buf head = BUF(PREPEND_LIMIT);

    if (mail == NULL)
        return -1;
    content_prepend(&head, job->d.sender, t->original, t->delivered);
    bool fits = buf_ok(&head);
    mail_in_put(mail, buf_str(&head));
    buf_free(&head);
    if (!fits)
        why_set(why, "5.3.0", "an address is too long");
    if (!fits || content_copy(job, put, mail, why) < 0) {
        mail_in_abort(&mail);
        return -1;
    }
    disposition_decide(job, t, &what);
    return mail_in_commit_to(&mail, what.places, what.nplaces, why);
}

static int into_store(struct job *job, const struct mailbox_target *t, struct why *why)
{
    struct store *store = store_keep(pool, t->path, true, why);
    int status;

    if (store == NULL)
        return -1;
    status = add_message(job, store, t, why);
    store_release(pool, store);
    return status;
}

/* Not something that passes, such as a full or read-only disk. */
static bool is_for_good(int error)
{
    return error == EACCES || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG ||
           error == ENOENT;
}

/* A directory that is there, and that files can be made in. */
static bool is_usable(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

    if (dir < 0)
        return !is_for_good(errno);
    int file = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    bool usable = file >= 0 || errno != EACCES;
    close(dir);
    if (file >= 0)
        close(file);
    return usable;
}

/* Whatever made the delivery fail: is the Maildir one that waiting does not mend? What is not there
 * yet is made. */
static bool is_broken(const char *maildir)
{
    static const char *const parts[] = {"tmp/", "new/", "cur/"};
    struct buf path = BUF(8192);
    bool usable = true;

    for (size_t i = 0; usable && i < sizeof parts / sizeof *parts; i++) {
        buf_clear(&path);
        buf_addf(&path, "%s%s", maildir, parts[i]);
        if (!buf_ok(&path))
            break;
        if (file_make_dirs(path.p, 0700, NULL) == 0 || is_for_good(errno))
            usable = is_usable(path.p);
    }
    buf_free(&path);
    return !usable;
}

/* A mailbox that is not in order is put in order by its owner or administrator: the mail waits. The
 * exceptions are those that waiting does not mend. */
static void make_temporary(struct why *why)
{
    if (why->code[0] != '5' || strcmp(why->code, "5.2.2") == 0 || strcmp(why->code, "5.2.3") == 0)
        return;
    why->code[0] = '4';
}

/* A typing error in main.cf must not cost mail. */
static int limits_fit(const struct mailbox_target *t, struct why *why)
{
    if (t->size_limit == 0 ||
        (conf.message_size_limit > 0 && t->size_limit >= conf.message_size_limit))
        return 0;
    return why_set(why, "4.3.5",
                   "mail system configuration error: the limit of mailboxes is smaller than "
                   "message_size_limit");
}

int deliver_maildir(struct job *job, const struct mailbox_target *t, struct why *why)
{
    bool broken = false;
    int status;

    if (limits_fit(t, why) < 0)
        return -1;
    if (t->size_limit > 0 && job->d.content_size > t->size_limit)
        return why_set(why, "5.2.2", "maildir delivery failed: the message is larger than %lld",
                       (long long)t->size_limit);
    status = become_begin(t->uid, t->gid, why);
    if (status == 0) {
        status = into_store(job, t, why);
        broken = status < 0 && t->give_back && is_broken(t->path);
        become_end();
    }
    if (status < 0) {
        make_temporary(why);
        if (broken)
            snprintf(why->code, sizeof why->code, "5.2.0");
        why_in(why, "maildir delivery failed");
    }
    return status;
}

static bool put_line(void *arg, struct str bytes)
{
    mbox_put(arg, bytes);
    return true;
}

static int into_mbox(struct job *job, struct mbox **m, const struct mailbox_target *t,
                     struct why *why)
{
    struct buf head = BUF(PREPEND_LIMIT);

    content_from_line(&head, job->d.sender, clock_wall());
    content_prepend(&head, job->d.sender, t->original, t->delivered);
    bool fits = buf_ok(&head);
    mbox_put_raw(*m, buf_str(&head));
    buf_free(&head);
    if (!fits)
        why_set(why, "5.3.0", "an address is too long");
    if (!fits || content_copy(job, put_line, *m, why) < 0) {
        mbox_abort(m);
        return -1;
    }
    return mbox_commit(m, why);
}

/* Of the directory that the mailbox is in; 0 if there is none: the mailbox cannot be opened then.
 */
static int directory_mode(const char *path, mode_t *mode, struct why *why)
{
    struct buf dir = BUF(8192);
    struct stat st = {0};
    int result = 0;

    buf_addz(&dir, path);
    if (!buf_ok(&dir))
        result = why_set(why, "5.2.0", "the name of mailbox %s is too long", path);
    else if (stat(dirname(dir.p), &st) < 0 && errno != ENOENT && errno != ENOTDIR)
        result = why_errno(why, "4.2.0", "cannot look at the directory of mailbox %s", path);
    *mode = st.st_mode;
    buf_free(&dir);
    return result;
}

/*
 * In a spool directory that is not open to users, the file and its lock are made by root and the
 * file is given away: its group stays that of the directory, where the directory's group may write.
 * Where users may write they could prepare links for root: there it is done with their rights.
 * 1: as root; 0: as the user; -1 and why: it cannot be told now.
 */
static int as_root(const struct mailbox_target *t, struct mbox_rules *r, const gid_t *keep,
                   struct why *why)
{
    mode_t mode;

    if (!t->in_spool || geteuid() != 0)
        return 0;
    if (directory_mode(t->path, &mode, why) < 0)
        return -1;
    if ((mode & S_IWOTH) != 0 && t->uid != 0)
        return 0;
    r->give_to = &t->uid;
    r->give_to_group = (mode & S_IWGRP) != 0 ? keep : &t->gid;
    return 1;
}

int deliver_mbox(struct job *job, const struct mailbox_target *t, struct why *why)
{
    static const gid_t keep = (gid_t)-1;
    struct mbox_rules rules = {
        .locks = t->locks,
        .size_limit = t->size_limit,
        .owner = t->check_owner ? &t->uid : NULL,
        .any_file = t->any_file,
    };
    int status = -1;

    if (limits_fit(t, why) < 0)
        return -1;
    int root = as_root(t, &rules, &keep, why);
    if (root < 0 || (root == 0 && become_begin(t->uid, t->gid, why) < 0))
        return -1;
    struct mbox *m = mbox_open(t->path, &rules, why);
    if (m != NULL)
        status = into_mbox(job, &m, t, why);
    if (root == 0)
        become_end();
    if (status < 0 && !t->give_back)
        make_temporary(why);
    return status;
}
