/*
 * A parameter's list of tables.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/maps.h"

#include "test.h"

static struct buf logged = {buf_none, 0, 0, 65536, false};

static void sink(const char *level __attribute__((unused)), const char *text)
{
    buf_addf(&logged, "%s\n", text);
}

static const char *find(struct maps *m, const char *key)
{
    static char answer[300];
    struct buf value = BUF(1000);
    struct why why = WHY;
    enum dict_answer a = maps_find(m, key, &value, &why);

    snprintf(answer, sizeof answer, "%s",
             a == DICT_FOUND  ? value.p
             : a == DICT_NONE ? "(none)"
                              : why_text(&why));
    buf_free(&value);
    why_free(&why);
    return answer;
}

TEST(the_first_table_that_knows_the_key_answers)
{
    struct maps *m =
        maps_open("test_maps", "inline:{a=1}, inline:{ {a = 2} {b = two words} } static:x", 0);

    assert_int_equal(maps_count(m), 3);
    assert_string_equal(maps_parameter(m), "test_maps");
    assert_string_equal(find(m, "a"), "1");
    assert_string_equal(find(m, "b"), "two words");
    assert_string_equal(find(m, "c"), "x");
    maps_close(&m);
    assert_null(m);
}

TEST(no_table_is_an_empty_list)
{
    struct maps *m = maps_open("test_maps", " , ", 0);

    assert_true(maps_empty(m));
    assert_true(maps_empty(NULL));
    assert_string_equal(find(m, "a"), "(none)");
    maps_close(&m);
}

TEST(a_table_that_fails_stops_the_search_and_strangers_learn_no_more)
{
    struct maps *m = maps_open("test_maps", "inline:{a=1} fail:broken inline:{b=2}", 0);

    msg_capture(sink);
    buf_clear(&logged);
    assert_string_equal(find(m, "a"), "1");
    assert_string_equal(find(m, "b"), "Temporary lookup failure");
    assert_non_null(strstr(logged.p, "broken"));
    maps_close(&m);
}

TEST(a_table_that_cannot_be_opened_is_logged_and_fails_each_lookup)
{
    msg_capture(sink);
    buf_clear(&logged);
    struct maps *m = maps_open("test_maps", "texthash:/nonexistent/table", 0);

    assert_non_null(strstr(logged.p, "/nonexistent/table"));
    assert_string_equal(find(m, "a"), "Temporary lookup failure");
    maps_close(&m);
}

TEST(an_empty_value_is_a_failure_too)
{
    char path[] = "/tmp/test_maps.XXXXXX", spec[100];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_replace(path, STR("/^a$/ \n/^b$/ 2\n"), 0600, NULL), 0);
    snprintf(spec, sizeof spec, "regexp:%s", path);
    msg_capture(sink);
    struct maps *m = maps_open("test_maps", spec, 0);
    assert_string_equal(find(m, "b"), "2");
    assert_string_equal(find(m, "a"), "Temporary lookup failure");
    maps_close(&m);
    unlink(path);
}

RUN_TESTS(T(the_first_table_that_knows_the_key_answers), T(no_table_is_an_empty_list),
          T(a_table_that_fails_stops_the_search_and_strangers_learn_no_more),
          T(a_table_that_cannot_be_opened_is_logged_and_fails_each_lookup),
          T(an_empty_value_is_a_failure_too))
