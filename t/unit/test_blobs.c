/*
 * What lib/store asks of the place where bytes are kept: whatever takes the Maildir's place must
 * pass this, too, but for the last tests, which look at the files.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store/blobs.h"

#include "store_test.h"

static struct blobs a, b;

static int make_blobs(void **state)
{
    int result = make_root(state);

    assert_int_equal(mkdir(path_of("a"), 0700), 0);
    assert_int_equal(mkdir(path_of("b"), 0700), 0);
    a = (struct blobs){open(path_of("a"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0700};
    b = (struct blobs){open(path_of("b"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0700};
    return result;
}

static int drop_blobs(void **state)
{
    close(a.dirfd);
    close(b.dirfd);
    return drop_root(state);
}
#define BLOB_TEST(name) cmocka_unit_test_setup_teardown(name, make_blobs, drop_blobs)

static const char *bytes_of(const struct blobs *where, const struct blob *name)
{
    static char text[100];
    int fd = blob_open(where, name);

    if (fd < 0)
        return errno == ENOENT ? "none" : "error";
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

/* The names in both places, sorted: "new/x cur/y". */
static const char *names_in(const struct blobs *where)
{
    static char text[500];
    char names[8][60];
    size_t n = 0, used = 0;

    for (int dir = BLOBS_NEW; dir <= BLOBS_CUR; dir++) {
        struct blob_list *l = blobs_list(where, dir);
        assert_non_null(l);
        for (const char *name; (name = blob_list_next(l)) != NULL && n < 8; n++)
            snprintf(names[n], sizeof names[n], "%s/%s", dir == BLOBS_NEW ? "new" : "cur", name);
        blob_list_close(&l);
        assert_null(l);
        blob_list_close(&l);
    }
    qsort(names, n, sizeof *names, (int (*)(const void *, const void *))strcmp);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", names[i]);
    return text;
}

static void put(const struct blobs *where, const struct blob *name, const char *bytes)
{
    struct blob_in in = BLOB_IN;

    assert_int_equal(blob_create(&in, where, "host.test"), 0);
    assert_int_equal(blob_write(&in, strz(bytes)), 0);
    assert_int_equal(blob_finish(&in, NULL, false), 0);
    assert_int_equal(blob_commit(&in, name), 0);
    blob_abort(&in);
}

static const struct blob one = {{"one", 3}, SLOT_NEW | SLOT_BARE, 0};
static const struct blob two = {{"two", 3}, 0, 1u << LETTER_SEEN};

static void a_blob_is_there_when_it_is_committed(void **state)
{
    struct blob_in in = BLOB_IN;
    int64_t received = 12345;
    struct stat st;

    (void)state;
    assert_int_equal(blob_create(&in, &a, "host.test"), 0);
    assert_true(str_ends(buf_str(&in.base), STR(".host.test")));
    assert_int_equal(blob_write(&in, STR("some ")), 0);
    assert_int_equal(blob_write(&in, STR("bytes")), 0);
    assert_string_equal(names_in(&a), "");
    assert_int_equal(blob_finish(&in, &received, true), 0);
    assert_string_equal(names_in(&a), "");
    assert_int_equal(blob_commit(&in, &two), 0);
    blob_abort(&in); /* the blob stays */
    blob_abort(&in);
    assert_string_equal(names_in(&a), "cur/two:2,S");
    assert_string_equal(bytes_of(&a, &two), "some bytes");
    assert_int_equal(blob_stat(&a, &two, &st), 0);
    assert_int_equal(st.st_size, 10);
    assert_int_equal(st.st_mtim.tv_sec, 12345);
    assert_string_equal(bytes_of(&b, &two), "none");
    assert_int_equal(files_in("a/tmp"), 0);
}

static void nothing_is_left_of_an_aborted_one(void **state)
{
    struct blob_in in = BLOB_IN;
    struct blob bad = {STR("no/such/directory"), 0, 0};

    (void)state;
    blob_abort(&in);
    assert_int_equal(blob_create(&in, &a, "host.test"), 0);
    assert_int_equal(blob_write(&in, STR("x")), 0);
    assert_int_equal(files_in("a/tmp"), 1);
    blob_abort(&in);
    assert_int_equal(files_in("a/tmp"), 0);
    /* Nor of one that could not be named. */
    assert_int_equal(blob_create(&in, &a, "host.test"), 0);
    assert_int_equal(blob_commit(&in, &bad), -1);
    assert_int_equal(files_in("a/tmp"), 1);
    blob_abort(&in);
    assert_int_equal(files_in("a/tmp"), 0);
    assert_string_equal(names_in(&a), "");
}

static void one_that_is_written_can_be_shared(void **state)
{
    struct blob_in in = BLOB_IN, copy = BLOB_IN, dropped = BLOB_IN;
    struct stat st;

    (void)state;
    assert_int_equal(blob_create(&in, &a, "host.test"), 0);
    assert_int_equal(blob_write(&in, STR("same")), 0);
    assert_int_equal(blob_finish(&in, NULL, false), 0);
    assert_int_equal(blob_share(&in, &b, &copy), 0); /* its directories are made */
    assert_int_equal(blob_commit(&copy, &one), 0);
    blob_abort(&copy);
    assert_int_equal(blob_share(&in, &b, &dropped), 0);
    assert_true(str_eq(buf_str(&dropped.base), buf_str(&in.base)));
    blob_abort(&dropped);
    assert_int_equal(files_in("b/tmp"), 0);
    assert_int_equal(blob_commit(&in, &two), 0);
    blob_abort(&in);
    assert_string_equal(bytes_of(&b, &one), "same");
    assert_string_equal(bytes_of(&a, &two), "same");
    assert_int_equal(blob_stat(&a, &two, &st), 0);
    assert_int_equal(st.st_nlink, 2); /* kept once */
}

static void names_are_moved_copied_removed(void **state)
{
    struct blob seen = {one.base, 0, 1u << LETTER_SEEN};

    (void)state;
    assert_int_equal(blobs_make(&a), 0);
    assert_int_equal(blobs_make(&a), 0); /* again does no harm */
    assert_int_equal(blobs_make(&b), 0);
    put(&a, &one, "1");
    put(&a, &two, "2");
    assert_int_equal(blob_rename(&a, &one, &a, &seen), 0);
    assert_string_equal(names_in(&a), "cur/one:2,S cur/two:2,S");
    assert_int_equal(blob_rename(&a, &one, &a, &seen), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(blob_rename(&a, &two, &b, &one), 0);
    assert_int_equal(blob_copy(&a, &seen, &b, &two), 0);
    assert_int_equal(blob_copy(&a, &one, &b, &seen), -1);
    assert_int_equal(errno, ENOENT);
    assert_string_equal(names_in(&a), "cur/one:2,S");
    assert_string_equal(names_in(&b), "cur/two:2,S new/one");
    assert_string_equal(bytes_of(&b, &one), "2");
    assert_string_equal(bytes_of(&b, &two), "1");
    assert_int_equal(blob_remove(&a, &seen), 0);
    assert_int_equal(blob_remove(&a, &seen), -1);
    assert_int_equal(errno, ENOENT);
    assert_string_equal(names_in(&a), "");
    assert_string_equal(bytes_of(&b, &two), "1");
}

static void the_time_tells_that_names_changed(void **state)
{
    (void)state;
    assert_int_equal(blobs_time(&a, BLOBS_NEW), 0);
    assert_int_equal(blobs_make(&a), 0);
    struct timespec past[2] = {{1000, 5}, {1000, 5}};
    utimensat(a.dirfd, "new", past, 0);
    utimensat(a.dirfd, "cur", past, 0);
    assert_int_equal(blobs_time(&a, BLOBS_NEW), 1000000000005);
    put(&a, &one, "1");
    assert_true(blobs_time(&a, BLOBS_NEW) > 1000000000005);
    assert_int_equal(blobs_time(&a, BLOBS_CUR), 1000000000005);
    assert_int_equal(blobs_sync(&a, BLOBS_NEW), 0);
    assert_int_equal(blobs_sync(&b, BLOBS_NEW), -1);
    assert_null(blobs_list(&b, BLOBS_CUR));
    assert_int_equal(errno, ENOENT);
}

static void only_one_has_the_lock(void **state)
{
    (void)state;
    assert_int_equal(blobs_lock(&a), -1);
    assert_int_equal(blobs_make(&a), 0);
    int fd = blobs_lock(&a);
    assert_true(fd >= 0);
    assert_int_equal(blobs_lock(&a), -1);
    close(fd);
    fd = blobs_lock(&a);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- of a Maildir ---- */

static void files_are_named_as_a_maildir_has_them(void **state)
{
    static const struct {
        struct blob name;
        const char *file;
    } cases[] = {
        {{{"x", 1}, SLOT_NEW | SLOT_BARE, 0}, "new/x"},
        {{{"x", 1}, SLOT_NEW, 0}, "new/x:2,"},
        {{{"x", 1}, 0, 1u << LETTER_FLAGGED | 1}, "cur/x:2,Fa"},
        {{{"x", 1}, SLOT_BARE, 1u << LETTER_SEEN}, "cur/x"},
        {{{"x:odd", 5}, SLOT_ODD, 1u << LETTER_SEEN}, "cur/x:odd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(&a, &cases[i].name, "x");
        assert_string_equal(names_in(&a), cases[i].file);
        assert_int_equal(blob_remove(&a, &cases[i].name), 0);
    }
}

static void what_is_no_file_is_not_listed(void **state)
{
    (void)state;
    assert_int_equal(blobs_make(&a), 0);
    assert_int_equal(mkdir(path_of("a/cur/directory"), 0700), 0);
    assert_int_equal(mkfifo(path_of("a/cur/fifo"), 0600), 0);
    put_file("a/cur/.hidden", "");
    put_file("a/elsewhere", "there");
    assert_int_equal(symlink("../elsewhere", path_of("a/cur/link")), 0);
    assert_int_equal(symlink("nowhere", path_of("a/cur/broken")), 0);
    assert_int_equal(symlink("directory", path_of("a/cur/to-directory")), 0);
    assert_string_equal(names_in(&a), "cur/link");
    assert_string_equal(bytes_of(&a, &(struct blob){STR("link"), SLOT_BARE, 0}), "there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOB_TEST(a_blob_is_there_when_it_is_committed),
        BLOB_TEST(nothing_is_left_of_an_aborted_one),
        BLOB_TEST(one_that_is_written_can_be_shared),
        BLOB_TEST(names_are_moved_copied_removed),
        BLOB_TEST(the_time_tells_that_names_changed),
        BLOB_TEST(only_one_has_the_lock),
        BLOB_TEST(files_are_named_as_a_maildir_has_them),
        BLOB_TEST(what_is_no_file_is_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
