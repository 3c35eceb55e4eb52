/*
 * Tables: every type finds, does not find, or fails; files are noticed when they change.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "dict/dict_make.h"

#include "test.h"

static char folder[] = "/tmp/test_dict.XXXXXX";
static struct buf logged = {buf_none, 0, 0, 65536, false};

static void sink(const char *level, const char *text)
{
    buf_addf(&logged, "%s: %s\n", level, text);
}

static void prepare(void)
{
    conf.berkeley_db_create_buffer_size = 1 << 20;
    conf.berkeley_db_read_buffer_size = 1 << 17;
    conf.pcre_match_limit = 100000;
    conf.pcre_heap_limit = 20000000;
    conf.smtputf8_enable = true;
    conf.myhostname = "mail.example.com";
    if (strstr(folder, "XXXXXX") != NULL && mkdtemp(folder) == NULL)
        abort();
    if (chdir(folder) < 0)
        abort();
    msg_capture(sink);
    buf_clear(&logged);
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(file_replace(name, strz(text), 0644, NULL), 0);
}

/* "=value", "none" or "fail" */
static const char *ask_flags(const char *spec, const char *key, unsigned flags)
{
    static char answer[500];
    struct buf value = BUF(1000);
    struct why why = WHY;
    struct dict *d = dict_open(spec, DICT_READ, flags, &why);

    if (d == NULL)
        snprintf(answer, sizeof answer, "open: %s", why_text(&why));
    else if (dict_find(d, key, &value, &why) == DICT_FAILED)
        snprintf(answer, sizeof answer, "fail: %s", why_text(&why));
    else
        snprintf(answer, sizeof answer, "%s", value.p);
    dict_close(&d);
    buf_free(&value);
    why_free(&why);
    return answer;
}

static const char *ask(const char *spec, const char *key)
{
    return ask_flags(spec, key, DICT_FOLD);
}

TEST(simple_types_answer_from_their_argument)
{
    static const struct {
        const char *spec, *key, *answer;
    } t[] = {
        {"static:all", "x", "all"},
        {"static:{ a b }", "x", "a b"},
        {"static:{", "x", "open: bad static:name syntax: missing '}' in \"{\""},
        {"inline:{a=b, {c = d e}}", "C", "d e"},
        {"inline:{a=b}", "x", ""},
        {"inline:{a}", "a",
         "open: missing '=' after attribute name: \"inline:{a}\"; need \"inline:{name=value...}\""},
        {"inline:x", "a", "open: bad syntax: \"inline:x\"; need \"inline:{name=value...}\""},
        {"unionmap:{static:x, static:y, inline:{a=z}}", "a", "x,y,z"},
        {"unionmap:{inline:{b=z}}", "a", ""},
        {"unionmap:{static:x, fail:y}", "a", "fail: table fail:y always fails"},
        {"pipemap:{inline:{a=b}, inline:{b=c}}", "a", "c"},
        {"pipemap:{inline:{a=b}, inline:{x=c}}", "a", ""},
        {"randmap:{same, same}", "a", "same"},
        {"randmap:{}", "a", "open: bad syntax: \"randmap:{}\"; need \"randmap:{value...}\""},
        {"proxy:static:x", "a", "x"},
        {"fail:x", "a", "fail: table fail:x always fails"},
        {"nosuch:x", "a", "open: unsupported dictionary type: nosuch"},
        {"static", "a",
         "open: open dictionary: expecting \"type:name\" form instead of \"static\""},
        {"hash:nosuch", "a", "open: open database nosuch.db: No such file or directory"},
        {"unix:passwd.byname", "root", "root:x:0:0:root:/root:/bin/bash"},
        {"unix:passwd.byname", "no such user", ""},
    };

    prepare();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        assert_string_equal(ask(t[i].spec, t[i].key), t[i].answer);
}

TEST(a_table_that_cannot_be_opened_fails_each_lookup)
{
    prepare();
    assert_string_equal(ask_flags("hash:nosuch", "a", DICT_FOLD | DICT_MAY_FAIL),
                        "fail: open database nosuch.db: No such file or directory");
    assert_non_null(strstr(logged.p, "error: open database nosuch.db"));
    assert_non_null(strstr(logged.p, "warning: hash:nosuch is unavailable. open database"));
}

/* The next descriptor is one too many. */
static void let_no_file_be_opened(struct rlimit *was)
{
    int next = dup(0);
    struct rlimit few;

    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, was), 0);
    few = *was;
    few.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

TEST(accounts_that_cannot_be_read_now_are_not_unknown)
{
    static const char *const specs[] = {"unix:passwd.byname", "unix:group.byname"};

    prepare();
    conf.transport_retry_time = 0;
    for (size_t i = 0; i < 2; i++) {
        struct rlimit was;
        let_no_file_be_opened(&was);
        struct dict *d = dict_open(specs[i], DICT_READ, DICT_MAY_FAIL, NULL);
        setrlimit(RLIMIT_NOFILE, &was);
        struct buf value = BUF(10);
        assert_int_equal(dict_find(d, "no such user", &value, NULL), DICT_FAILED);
        buf_free(&value);
        assert_string_equal(dicts_changed(), specs[i]); /* it is tried again */
        dict_close(&d);
    }
}

static void make(const char *spec, enum dict_mode mode, unsigned flags, const char *text)
{
    struct why why = WHY;
    struct dict *d = dict_open(spec, mode, flags, &why);

    assert_non_null(d);
    assert_int_equal(dict_make(d, SOURCE_MAP, "src", strz(text), &why), 0);
    assert_int_equal(dict_commit(d, &why), 0);
    dict_close(&d);
    why_free(&why);
}

TEST(berkeley_db_tables_are_made_changed_and_read)
{
    static const char *const types[] = {"hash:t", "btree:t"};

    prepare();
    for (size_t i = 0; i < 2; i++) {
        unlink("t.db");
        make(types[i], DICT_REBUILD, DICT_FOLD, "Key1 a\nk2 b\n");
        assert_string_equal(ask(types[i], "kEY1"), "a");
        assert_string_equal(ask_flags(types[i], "Key1", 0), "");
        make(types[i], DICT_UPDATE, DICT_FOLD | DICT_REPLACE_DUPLICATE, "k2 c\nk3 d\n");
        make(types[i], DICT_UPDATE, DICT_FOLD | DICT_IGNORE_DUPLICATE, "k3 e\n");
        assert_string_equal(ask(types[i], "k2"), "c");
        assert_string_equal(ask(types[i], "k3"), "d");
        assert_string_equal(ask(types[i], "key1"), "a");
        make(types[i], DICT_REBUILD, DICT_FOLD | DICT_KEY_BARE, "k9 nine\n");
        assert_string_equal(ask(types[i], "k9"), "nine");
        assert_string_equal(ask(types[i], "k2"), "");
    }
}

TEST(a_change_that_is_not_committed_leaves_the_table_as_it_was)
{
    struct why why = WHY;

    prepare();
    make("hash:u", DICT_REBUILD, DICT_FOLD, "a b\n");
    struct dict *d = dict_open("hash:u", DICT_UPDATE, DICT_FOLD, &why);
    assert_int_equal(dict_drop(d, "a", &why), DICT_FOUND);
    assert_int_equal(dict_drop(d, "a", &why), DICT_NONE);
    dict_close(&d);
    assert_string_equal(ask("hash:u", "a"), "b");
    assert_int_equal(access("u.db.tmp", F_OK), -1);
    assert_null(dict_open("texthash:x", DICT_UPDATE, 0, &why));
    assert_null(dict_open("hash:missing", DICT_UPDATE, 0, &why));
    why_free(&why);
}

TEST(a_table_older_than_its_source_is_told)
{
    struct timespec late[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};

    prepare();
    write_file("v", "a b\n");
    make("hash:v", DICT_REBUILD, DICT_FOLD, "a b\n");
    assert_string_equal(ask("hash:v", "a"), "b");
    assert_null(strstr(logged.p, "older"));
    assert_int_equal(utimensat(AT_FDCWD, "v", late, 0), 0);
    assert_string_equal(ask("hash:v", "a"), "b");
    assert_non_null(strstr(logged.p, "warning: database v.db is older than source file v\n"));
}

TEST(a_damaged_table_fails_and_is_never_taken_for_empty)
{
    prepare();
    write_file("w.db", "this is not a database");
    assert_int_equal(strncmp(ask("hash:w", "a"), "open: open database w.db: ", 26), 0);
    make("btree:w2", DICT_REBUILD, DICT_FOLD, "a b\n");
    assert_int_equal(strncmp(ask("hash:w2", "a"), "open: open database w2.db: ", 27), 0);
}

/* What a lookup says of a value of n bytes, in a table of the type. */
static const char *ask_long(const char *type, const char *format, size_t n)
{
    struct buf text = BUF(10000);
    char spec[100];

    for (const char *p = format; *p != '\0'; p++)
        for (size_t i = 0; i < (*p == '@' ? n : 1); i++)
            buf_addc(&text, *p == '@' ? 'x' : *p);
    assert_true(buf_ok(&text));
    snprintf(spec, sizeof spec, "long%zu", n);
    write_file(spec, text.p);
    snprintf(spec, sizeof spec, "%s:long%zu", type, n);
    buf_free(&text);
    return ask(spec, strcmp(type, "cidr") == 0 ? "10.0.0.1" : "key");
}

TEST(a_value_that_does_not_fit_fails_the_lookup)
{
    static const struct {
        const char *type, *format;
    } t[] = {{"texthash", "key @\n"},
             {"pcre", "/^key$/ @\n"},
             {"regexp", "/^key$/ @\n"},
             {"cidr", "10.0.0.0/8 @\n"}};

    prepare();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        assert_int_equal(strlen(ask_long(t[i].type, t[i].format, 400)), 400);
        const char *answer = ask_long(t[i].type, t[i].format, 1001); /* ask has room for 1,000 */
        if (strstr(answer, "too long") == NULL)
            fail_msg("%s: %s", t[i].type, answer);
    }
}

static const char *ask_long_key(const char *spec, size_t n)
{
    char *key = malloc(n + 1);

    memset(key, 'k', n);
    key[n] = '\0';
    const char *answer = ask(spec, key);
    free(key);
    return answer;
}

/* Tables of words cannot hold it. */
TEST(a_key_that_is_too_long_is_not_there_but_patterns_cannot_tell)
{
    prepare();
    write_file("words", "k v\n");
    write_file("rules", "/^k*$/ v\n");
    assert_string_equal(ask_long_key("texthash:words", (1 << 20) + 1), "");
    assert_string_equal(ask_long_key("inline:{k=v}", (1 << 20) + 1), "");
    assert_string_equal(ask_long_key("static:v", 1 << 20), "v");
    assert_string_equal(ask_long_key("pcre:rules", 1 << 20), "v");
    assert_non_null(strstr(ask_long_key("pcre:rules", (1 << 20) + 1), "too long"));
    assert_string_equal(ask_long_key("regexp:rules", 1000), "v");
    assert_non_null(strstr(ask_long_key("regexp:rules", (256 << 10) + 1), "too long"));
}

TEST(files_that_are_replaced_or_edited_are_noticed)
{
    struct dict *d;

    prepare();
    write_file("x", "a b\n");
    make("hash:x", DICT_REBUILD, DICT_FOLD, "a b\n");
    d = dict_open("hash:x", DICT_READ, 0, NULL);
    assert_null(dicts_changed());
    make("hash:x", DICT_REBUILD, DICT_FOLD, "a c\n");
    assert_string_equal(dicts_changed(), "hash:x");
    dict_close(&d);
    d = dict_open("texthash:x", DICT_READ, 0, NULL);
    assert_null(dicts_changed());
    int fd = open("x", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "c d\n", 4), 4);
    close(fd);
    assert_string_equal(dicts_changed(), "texthash:x");
    dict_close(&d);
    d = dict_open("hash:later", DICT_READ, DICT_MAY_FAIL, NULL);
    assert_null(dicts_changed());
    make("hash:later", DICT_REBUILD, DICT_FOLD, "a c\n");
    assert_string_equal(dicts_changed(), "hash:later");
    dict_close(&d);
}

static void point(const char *link, const char *to)
{
    assert_int_equal(symlink(to, "link.new"), 0);
    assert_int_equal(rename("link.new", link), 0);
}

TEST(a_table_below_a_link_that_is_pointed_elsewhere_is_noticed)
{
    struct why why = WHY;

    prepare();
    assert_int_equal(file_make_dirs("maps1", 0700, &why), 0);
    assert_int_equal(file_make_dirs("maps2", 0700, &why), 0);
    make("hash:maps1/x", DICT_REBUILD, DICT_FOLD, "a b\n");
    make("hash:maps2/x", DICT_REBUILD, DICT_FOLD, "a c\n");
    make("hash:maps2/later", DICT_REBUILD, DICT_FOLD, "a c\n");
    point("current", "maps1");
    struct dict *d = dict_open("hash:current/x", DICT_READ, 0, NULL);
    assert_null(dicts_changed());
    write_file("maps1/another", "a file beside it\n");
    assert_null(dicts_changed());
    point("current", "maps2");
    assert_string_equal(dicts_changed(), "hash:current/x");
    dict_close(&d);
    point("current", "maps1");
    d = dict_open("hash:current/later", DICT_READ, DICT_MAY_FAIL, NULL);
    assert_null(dicts_changed());
    point("current", "maps2");
    assert_string_equal(dicts_changed(), "hash:current/later");
    dict_close(&d);
}

/* Else a process would end for it each transport_retry_time. */
TEST(a_table_whose_directory_is_not_there_has_changed_when_it_comes)
{
    prepare();
    conf.transport_retry_time = 0;
    struct dict *d = dict_open("hash:no/such//y", DICT_READ, DICT_MAY_FAIL, NULL);
    assert_null(dicts_changed());
    assert_int_equal(mkdir("no", 0755), 0);
    assert_int_equal(mkdir("no/such", 0755), 0);
    assert_null(dicts_changed());
    make("hash:no/such/y", DICT_REBUILD, DICT_FOLD, "a c\n");
    assert_string_equal(dicts_changed(), "hash:no/such//y");
    dict_close(&d);
}

TEST(a_table_named_twice_is_opened_once)
{
    prepare();
    make("hash:y", DICT_REBUILD, DICT_FOLD, "a b\n");
    struct dict *a = dict_open("hash:y", DICT_READ, DICT_FOLD, NULL);
    struct dict *b = dict_open("hash:y", DICT_READ, DICT_FOLD, NULL);
    assert_ptr_equal(a, b);
    dict_close(&a);
    struct buf value = BUF(10);
    assert_int_equal(dict_find(b, "A", &value, NULL), DICT_FOUND);
    buf_free(&value);
    dict_close(&b);
}

TEST(texthash_takes_the_first_of_two_and_tells)
{
    prepare();
    write_file("z", "K a\nk b\nbad\n\"q r\" s\n");
    assert_string_equal(ask("texthash:z", "k"), "a");
    assert_string_equal(ask("texthash:z", "\"q r\""), "s");
    assert_non_null(strstr(logged.p, "z, line 2: duplicate entry: \"k\""));
    assert_non_null(strstr(logged.p, "z, line 3: expected format: key whitespace value"));
}

TEST(values_can_be_files)
{
    struct why why = WHY;

    prepare();
    write_file("cert", "one\n");
    write_file("key", "two\n");
    make("hash:f", DICT_REBUILD, DICT_FOLD | DICT_FILE_VALUES, "a cert, key\n");
    assert_string_equal(ask_flags("hash:f", "a", DICT_FILE_VALUES), "one\n\ntwo\n");
    assert_string_equal(ask_flags("inline:{a=cert}", "a", DICT_FILE_VALUES), "one\n");
    make("hash:g", DICT_REBUILD, DICT_FOLD, "a !!!\n");
    assert_int_equal(strncmp(ask_flags("hash:g", "a", DICT_FILE_VALUES), "fail: ", 6), 0);
    why_free(&why);
}

static int end(void **state __attribute__((unused)))
{
    buf_free(&logged);
    return chdir("/") < 0 ? -1 : file_remove_all(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(simple_types_answer_from_their_argument),
        T(a_table_that_cannot_be_opened_fails_each_lookup),
        T(accounts_that_cannot_be_read_now_are_not_unknown),
        T(berkeley_db_tables_are_made_changed_and_read),
        T(a_change_that_is_not_committed_leaves_the_table_as_it_was),
        T(a_table_older_than_its_source_is_told),
        T(a_damaged_table_fails_and_is_never_taken_for_empty),
        T(a_value_that_does_not_fit_fails_the_lookup),
        T(a_key_that_is_too_long_is_not_there_but_patterns_cannot_tell),
        T(files_that_are_replaced_or_edited_are_noticed),
        T(a_table_below_a_link_that_is_pointed_elsewhere_is_noticed),
        T(a_table_whose_directory_is_not_there_has_changed_when_it_comes),
        T(a_table_named_twice_is_opened_once),
        T(texthash_takes_the_first_of_two_and_tells),
        T(values_can_be_files),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
