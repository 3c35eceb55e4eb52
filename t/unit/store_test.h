/* store_test.h - a mailbox in a temporary folder, and tests that run as a task */
#ifndef UNIT_STORE_TEST_H
#define UNIT_STORE_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/mailbox.h"
#include "store/store.h"
#include "store/uidset.h"
#include "store/view.h"
#include "task/task.h"

#include "test.h"

static char root[64];
static const struct store_settings settings = {.hostname = "test", .no_sync = true};

static int make_root(void **state)
{
    (void)state;
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* no jumping out of a task */
    snprintf(root, sizeof root, "/tmp/pombal-store.XXXXXX");
    return mkdtemp(root) == NULL;
}

static int drop_root(void **state)
{
    (void)state;
    return file_remove_all(root);
}

static const char *path_of(const char *name)
{
    static char path[4][300];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", root, name);
    return path[next];
}

/* ---- hostile waits (task/task.h): what may move across a wait does so ---- */

static struct store *stores[8]; /* that are open */

static __attribute__((unused)) void keep_store(struct store *old, struct store *now)
{
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        if (stores[i] == old) {
            stores[i] = now;
            return;
        }
}

static void *moved(void *p, size_t n)
{
    if (p == NULL || n == 0)
        return p;
    void *to = mem_resize(NULL, n);
    memcpy(to, p, n);
    free(p);
    return to;
}

static void move_text(struct buf *text)
{
    struct buf to = BUF(1 << 30);

    buf_add(&to, buf_str(text));
    to.max = text->max;
    buf_free(text);
    *text = to;
}

static void move_folder(struct folder *f)
{
    f->state.slots = moved(f->state.slots, f->state.n * sizeof *f->state.slots);
    f->state.room = f->state.n;
    f->state.names = moved(f->state.names, f->state.names_n);
    f->state.names_room = f->state.names_n;
    f->cache.window = moved(f->cache.window, f->cache.window_n);
    f->cache.window_room = f->cache.window_n;
    LIST_EACH (&f->views, l) {
        struct mailbox *b = LIST_OF(l, struct mailbox, link);
        if (b->map != NULL)
            b->map = moved(b->map, b->room * sizeof *b->map);
        if (b->text.n > 0)
            move_text(&b->text);
    }
}

static __attribute__((unused)) void move_all(void)
{
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        if (stores[i] != NULL)
            LIST_EACH (&stores[i]->folders, l)
                move_folder(LIST_OF(l, struct folder, link));
}

static __attribute__((unused)) void close_store(struct store **s)
{
    keep_store(*s, NULL);
    store_close(s);
}
#define store_close(s) close_store(s)

/* TASK_TEST(name) { ... }: the body runs in a task. */
#define TASK_TEST(name)                                                                            \
    static void name##_body(void *arg __attribute__((unused)));                                    \
    static void name(void **state __attribute__((unused)))                                         \
    {                                                                                              \
        task_on_hostile(move_all);                                                                 \
        task_start(#name, name##_body, NULL);                                                      \
        task_loop();                                                                               \
    }                                                                                              \
    static void name##_body(void *arg __attribute__((unused)))
#define TS(name) cmocka_unit_test_setup_teardown(name, make_root, drop_root)

static struct store *open_with(const struct store_settings *with)
{
    struct why why = WHY;
    struct store *s = store_open(root, with, true, &why);
    if (s == NULL)
        print_error("%s\n", why_text(&why));
    assert_non_null(s);
    keep_store(NULL, s);
    return s;
}

static __attribute__((unused)) struct store *open_store(void)
{
    return open_with(&settings);
}

/* As in service: what is written is synced. */
static __attribute__((unused)) struct store *open_safe(void)
{
    struct store_settings safe = settings;

    safe.no_sync = false;
    return open_with(&safe);
}

static __attribute__((unused)) struct mailbox *open_box(struct store *s, const char *folder)
{
    struct why why = WHY;
    struct mailbox *b = mailbox_open(s, folder, false, &why);
    if (b == NULL)
        print_error("%s\n", why_text(&why));
    assert_non_null(b);
    why_free(&why);
    return b;
}

static __attribute__((unused)) uint32_t deliver_flags(struct store *s, const char *folder,
                                                      const char *text, uint32_t flags)
{
    struct why why = WHY;
    struct msg as = {.flags = flags};
    struct mail_in *m = mail_in_new(s, folder, &as, &why);
    uint32_t uid = 0;

    assert_non_null(m);
    mail_in_put(m, strz(text));
    if (mail_in_commit(&m, &uid, NULL, &why) < 0)
        print_error("%s\n", why_text(&why));
    assert_true(uid > 0);
    why_free(&why);
    return uid;
}

static __attribute__((unused)) uint32_t deliver(struct store *s, const char *folder,
                                                const char *text)
{
    return deliver_flags(s, folder, text, 0);
}

static __attribute__((unused)) int files_in(const char *dir)
{
    DIR *d = opendir(path_of(dir));
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static __attribute__((unused)) void put_file(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

/* All events that can be pulled, as text: "+1 f2 -3 k0". */
static __attribute__((unused)) const char *pull_all(struct mailbox *b, bool may_expunge)
{
    static struct buf out = BUF(100000);
    struct why why = WHY;
    enum mail_event e;
    uint32_t number = 0;

    buf_setz(&out, "");
    (void)mailbox_check(b, &why); /* pull tells a failure too */
    while ((e = mailbox_pull(b, may_expunge, &number, &why)) != MAIL_NONE && e != MAIL_FAILED)
        buf_addf(&out, "%s%c%u", out.n > 0 ? " " : "", "0+f-k"[e], number);
    if (e == MAIL_FAILED)
        buf_addz(&out, "failed");
    why_free(&why);
    return out.p;
}

static __attribute__((unused)) struct uidset uids(const char *text)
{
    struct uidset set = UIDSET;
    assert_true(uidset_parse(strz(text), UINT32_MAX, 1000, &set));
    return set;
}

static __attribute__((unused)) void set_flags(struct mailbox *b, const char *which, enum flag_op op,
                                              uint32_t flags, bool silent)
{
    struct uidset set = uids(which);
    struct flag_change change = {.op = op, .flags = flags, .silent = silent};
    struct why why = WHY;
    assert_int_equal(mailbox_flag(b, &set, &change, &why), 0);
    uidset_free(&set);
}

/* keywords: words with a blank between; 0, or -1 and the code in code. */
static __attribute__((unused)) int try_keywords(struct mailbox *b, const char *which,
                                                enum flag_op op, const char *keywords, char *code)
{
    struct str rest = strz(keywords), names[2000];
    struct flag_change change = {.op = op, .keywords = names};
    struct uidset set = uids(which);
    struct why why = WHY;

    while (str_word(&rest, " ", &names[change.nkeywords]))
        change.nkeywords++;
    int result = mailbox_flag(b, &set, &change, &why);
    snprintf(code, 10, "%s", why.code);
    uidset_free(&set);
    why_free(&why);
    return result;
}

static __attribute__((unused)) void set_keywords(struct mailbox *b, const char *which,
                                                 enum flag_op op, const char *keywords)
{
    char code[10];
    assert_int_equal(try_keywords(b, which, op, keywords, code), 0);
}

/* The keywords of message number n: "a b". */
static __attribute__((unused)) const char *keywords_of(struct mailbox *b, uint32_t n)
{
    static struct buf out = BUF(100000);

    buf_setz(&out, "");
    for (uint32_t i = 0; i < mailbox_keyword_count(b); i++)
        if (mailbox_has_keyword(b, n, i))
            buf_addf(&out, "%s%.*s", out.n > 0 ? " " : "", (int)mailbox_keyword(b, i).n,
                     mailbox_keyword(b, i).p);
    return out.p;
}

static __attribute__((unused)) void expunge(struct mailbox *b, const char *which, bool any_flags)
{
    struct uidset set = uids(which);
    struct why why = WHY;
    assert_int_equal(mailbox_expunge(b, &set, any_flags, &why), 0);
    uidset_free(&set);
}

#endif
