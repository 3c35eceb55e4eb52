/*
 * The deepest stacks: what an outsider can nest or make long, at its bound, on a task's stack of
 * the size that is shipped. No path may use more than half of it (task.h).
 */
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "mail/addr_list.h"
#include "mail/imap_text.h"
#include "mail/mime_tree.h"
#include "store/search_text.h"
#include "task/task.h"

#include "imap_criteria.h"
#include "test.h"

enum { NESTING = 500, LONG = 200 * 1024 }; /* the highest mime_nesting_limit */

static struct str repeated(struct arena *mem, const char *text, size_t times, struct buf *out)
{
    for (size_t i = 0; i < times; i++)
        buf_addz(out, text);
    assert_true(buf_ok(out));
    return arena_str(mem, buf_str(out));
}

/* Messages within messages and multiparts within multiparts, as BODYSTRUCTURE and searched. */
static void nested_parts(struct arena *mem)
{
    struct mime_limits limits = {.depth = NESTING, .parts = 100000};
    struct buf text = BUF(4 << 20), out = BUF(4 << 20);
    struct search_message m;

    for (int i = 0; i < NESTING / 2; i++)
        buf_addf(&text,
                 "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\nContent-Type: "
                 "message/rfc822\n\nMIME-Version: 1.0\n",
                 i, i);
    const struct mime_part *root = mime_tree_parse(mem, &limits, buf_str(&text));
    size_t depth = 0;
    for (const struct mime_part *p = root; p != NULL; p = p->child)
        depth++;
    assert_int_equal(depth, NESTING);
    imap_text_structure(root, &out);
    imap_text_envelope(root, &out);
    assert_true(buf_ok(&out));
    struct buf body = BUF(4 << 20);
    imap_text_body(buf_str(&out), &body);
    buf_free(&body);
    search_message_init(&m);
    buf_add(&m.bytes, buf_str(&text));
    m.is_read = true;
    m.root = root;
    assert_false(search_in_body(&m, STR("nowhere")));
    m.root = NULL;
    search_message_free(&m);
    buf_free(&text);
    buf_free(&out);
}

static void nested_keys(struct arena *mem)
{
    struct criteria_context context = {
        .star_number = 9, .star_uid = 9, .set_limit = 100, .key_limit = 10000};
    struct search_needles needles;
    struct search_key *key;
    const char *error;
    struct buf text = BUF(10000);

    for (int i = 0; i < CRITERIA_DEPTH / 2 - 1; i++)
        buf_addz(&text, i % 2 ? "(NOT " : "(OR SEEN ");
    buf_addz(&text, "SUBJECT x");
    for (int i = 0; i < CRITERIA_DEPTH / 2 - 1; i++)
        buf_addc(&text, ')');
    struct imap_args a = {buf_str(&text), mem};
    assert_int_equal(criteria_parse(&a, &context, &key, &error), CRITERIA_OK);
    assert_non_null(search_fold(key, &needles));
    search_needles_free(&needles);
    criteria_free(key);
    buf_free(&text);
}

static void nested_comments(struct arena *mem)
{
    struct buf text = BUF(LONG), out = BUF(2 * LONG);
    struct addr_list list;

    addr_list_parse(mem, repeated(mem, "(", LONG, &text), LONG, &list);
    buf_clear(&text);
    addr_list_parse(mem, repeated(mem, "<a:", LONG / 3, &text), LONG, &list);
    buf_clear(&text);
    addr_list_parse(mem, repeated(mem, "g:;", LONG / 3, &text), LONG, &list);
    addr_list_print(&list, &out);
    buf_free(&text);
    buf_free(&out);
}

/* A key as long as tables of the type take, with patterns that go back. */
static void look_up(struct arena *mem, const char *type, size_t length)
{
    char path[] = "/tmp/test_stack.XXXXXX", spec[100];
    struct buf key = BUF(LONG), value = BUF(1000);
    struct why why = WHY;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_replace(path,
                                  STR("/^((a|b)*c|(ab*)*d|(a|ab|b*)*)x$/ 1\n/(a.*b)(.*)z/ 2\n"),
                                  0600, &why),
                     0);
    snprintf(spec, sizeof spec, "%s:%s", type, path);
    struct dict *d = dict_open(spec, DICT_READ, 0, &why);
    assert_non_null(d);
    repeated(mem, "ab", length / 2, &key);
    assert_true(dict_find(d, key.p, &value, &why) != DICT_FOUND); /* or the limit says no */
    dict_close(&d);
    unlink(path);
    buf_free(&key);
    buf_free(&value);
    why_free(&why);
}

static void patterns(struct arena *mem)
{
    look_up(mem, "regexp", 2000);
    look_up(mem, "pcre", LONG);
}

typedef void job_fn(struct arena *mem);

static void run(void *arg)
{
    job_fn *const *job = arg;
    struct arena *mem = arena_new(NULL);

    (*job)(mem);
    arena_free(&mem);
}

/* In a process of its own, since the deepest use of a process is known only in all. */
static void check(job_fn *job)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        size_t most = task_stack_size() / 2;
        task_start("deep", run, &job);
        task_loop();
        print_message("%zu bytes of %zu\n", task_stack_used(), most * 2);
        _exit(task_stack_used() == 0 || task_stack_used() > most);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

TEST(parts_nested_to_the_highest_limit)
{
    check(nested_parts);
}

TEST(search_keys_nested_to_the_limit)
{
    check(nested_keys);
}

TEST(comments_and_routes_without_end)
{
    check(nested_comments);
}

TEST(patterns_that_go_back)
{
    conf.pcre_match_limit = 1000000;
    conf.pcre_heap_limit = 20000000;
    check(patterns);
}

RUN_TESTS(T(parts_nested_to_the_highest_limit), T(search_keys_nested_to_the_limit),
          T(comments_and_routes_without_end), T(patterns_that_go_back))
