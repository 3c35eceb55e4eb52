#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/mime_tree.h"
#include "store/cache.h"

#include "test.h"

static int open_dir(char *path)
{
    assert_non_null(mkdtemp(path));
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_dir(char *path, int fd)
{
    unlinkat(fd, "pombal.cache", 0);
    close(fd);
    assert_int_equal(rmdir(path), 0);
}

static void append(struct cache *c, uint32_t uid)
{
    static const struct mime_limits limits;
    struct arena *mem = arena_new(NULL);
    struct buf record = BUF(100000);
    struct str mail = STR("Subject: text\n\nbody\n");

    cache_make(mime_tree_parse(mem, &limits, mail), mail, &record);
    cache_set_uid(&record, uid);
    cache_append(c, buf_str(&record));
    buf_free(&record);
    arena_free(&mem);
}

static void leave_half_a_record(int dir)
{
    int fd = openat(dir, "pombal.cache", O_WRONLY | O_APPEND | O_CLOEXEC);

    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
}

TEST(a_record_that_was_not_written_whole_is_replaced_and_never_cut_off)
{
    char path[] = "/tmp/pombal-cache-XXXXXX";
    int dir = open_dir(path);
    struct cache writer, reader;
    struct cache_entry entry;

    cache_init(&writer, dir, 7);
    cache_init(&reader, dir, 7);
    append(&writer, 1);
    leave_half_a_record(dir);
    off_t size = lseek(writer.fd, 0, SEEK_END);
    int old = dup(writer.fd);
    assert_true(cache_find(&reader, 1, &entry));
    assert_false(cache_find(&writer, 2, &entry)); /* and finds the half one */
    append(&writer, 2);
    assert_true(cache_find(&writer, 2, &entry));
    assert_int_equal(lseek(old, 0, SEEK_END), size); /* readers have read so far */
    assert_true(cache_find(&reader, 1, &entry));
    append(&reader, 3); /* into the file that the writer has made */
    assert_true(cache_find(&reader, 2, &entry));
    assert_true(cache_find(&writer, 3, &entry));
    close(old);
    cache_close(&writer);
    cache_close(&reader);
    remove_dir(path, dir);
}

TEST(a_file_of_another_folder_is_replaced_and_never_cut_off)
{
    char path[] = "/tmp/pombal-cache-XXXXXX";
    int dir = open_dir(path);
    struct cache old, new;
    struct cache_entry entry;

    cache_init(&old, dir, 7);
    append(&old, 1);
    cache_init(&new, dir, 8);
    append(&new, 5);
    assert_true(cache_find(&old, 1, &entry));
    assert_false(cache_find(&new, 1, &entry));
    assert_true(cache_find(&new, 5, &entry));
    cache_close(&old);
    cache_close(&new);
    remove_dir(path, dir);
}

static void append_many(struct cache *c, uint32_t n)
{
    for (uint32_t uid = 1; uid <= n; uid++)
        append(c, uid);
}

TEST(a_file_that_is_cut_or_changed_under_a_reader_only_loses_its_records)
{
    enum { MANY = 4000 }; /* more than is read at once */
    char path[] = "/tmp/pombal-cache-XXXXXX";
    int dir = open_dir(path), fd;
    struct cache writer, reader;
    struct cache_entry entry;

    cache_init(&writer, dir, 7);
    cache_init(&reader, dir, 7);
    append_many(&writer, MANY);
    for (uint32_t uid = 1; uid <= MANY; uid += 7)
        assert_true(cache_find(&reader, uid, &entry));
    fd = openat(dir, "pombal.cache", O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = size / 2; at < size; at += 64)
        assert_int_equal(pwrite(fd, "\377\377\377\377", 4, at), 4);
    for (uint32_t uid = 1; uid <= MANY; uid++)
        cache_find(&reader, uid, &entry);
    assert_true(cache_find(&reader, 1, &entry));
    assert_int_equal(ftruncate(fd, 100), 0);
    close(fd);
    for (uint32_t uid = 1; uid <= MANY; uid++)
        cache_find(&reader, uid, &entry);
    assert_false(cache_find(&reader, MANY, &entry));
    assert_false(cache_find(&reader, MANY + 1, &entry));
    append(&reader, MANY + 1);
    assert_true(cache_find(&reader, MANY + 1, &entry));
    assert_memory_equal(entry.fields.p, "Subject: text", 13);
    cache_close(&writer);
    cache_close(&reader);
    remove_dir(path, dir);
}

/* Its fields are read from the message when they are asked for. */
TEST(of_a_header_above_a_megabyte_no_fields_are_kept)
{
    struct arena *mem = arena_new(NULL);
    struct buf mail = BUF(2 << 20), record = BUF(1 << 20);
    struct cache_entry entry;

    for (int more = 0; more < 2; more++) {
        buf_setz(&mail, "Subject: text\n");
        while (mail.n < (1 << 20) - 8)
            buf_addz(&mail, "X: 345\n");
        while (mail.n < (1u << 20) - 1 + (unsigned)more)
            buf_addc(&mail, 'x');
        buf_addz(&mail, "\nbody\n");
        mail.p[mail.n - 7] = '\n';
        cache_make(mime_tree_parse(mem, NULL, buf_str(&mail)), buf_str(&mail), &record);
        cache_read(buf_str(&record), &entry);
        assert_int_equal(entry.fields.p == NULL, more);
        assert_true(str_search(entry.envelope, STR("text")) >= 0);
    }
    buf_free(&record);
    buf_free(&mail);
    arena_free(&mem);
}

RUN_TESTS(T(a_record_that_was_not_written_whole_is_replaced_and_never_cut_off),
          T(a_file_of_another_folder_is_replaced_and_never_cut_off),
          T(a_file_that_is_cut_or_changed_under_a_reader_only_loses_its_records),
          T(of_a_header_above_a_megabyte_no_fields_are_kept))
