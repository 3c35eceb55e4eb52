/*
 * Hash tables and heaps against plain models.
 */
#include "base/hash.h"
#include "base/heap.h"
#include "base/random.h"

#include "test.h"

TEST(a_table_agrees_with_an_array_after_many_changes)
{
    enum { KEYS = 300 };
    static char model[KEYS];
    struct hash *h = hash_new();

    for (int i = 0; i < 20000; i++) {
        uint32_t k = random_below(KEYS);
        char key[16];
        int n = snprintf(key, sizeof key, "key%u", k);
        struct str s = {key, (size_t)n};
        if (random_below(2) == 0) {
            assert_ptr_equal(hash_put(h, s, &model[k]), model[k] ? &model[k] : NULL);
            model[k] = 1;
        } else {
            assert_ptr_equal(hash_drop(h, s), model[k] ? &model[k] : NULL);
            model[k] = 0;
        }
        assert_ptr_equal(hash_find(h, s), model[k] ? &model[k] : NULL);
    }
    size_t count = 0, cursor = 0, walked = 0;
    for (int k = 0; k < KEYS; k++)
        count += (size_t)model[k];
    assert_int_equal(hash_count(h), count);
    while (hash_next(h, &cursor, NULL, NULL))
        walked++;
    assert_int_equal(walked, count);
    hash_free(&h, NULL);
    assert_null(h);
}

TEST(dropping_while_walking_sees_every_entry_once)
{
    struct hash *h = hash_new();
    char seen[100] = {0};

    for (int i = 0; i < 100; i++) {
        char key[8];
        int n = snprintf(key, sizeof key, "%d", i);
        hash_put(h, (struct str){key, (size_t)n}, &seen[i]);
    }
    size_t cursor = 0;
    struct str key;
    void *value;
    while (hash_next(h, &cursor, &key, &value)) {
        ++*(char *)value;
        hash_drop(h, key);
    }
    assert_int_equal(hash_count(h), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    hash_free(&h, NULL);
}

TEST(a_heap_gives_the_smallest_first_whatever_was_moved_or_dropped)
{
    enum { N = 500 };
    static struct heap_node nodes[N];
    struct heap h = {0};

    for (size_t i = 0; i < N; i++)
        heap_put(&h, &nodes[i], random_below(1000));
    for (size_t i = 0; i < N; i += 3)
        heap_put(&h, &nodes[i], random_below(1000));
    for (size_t i = 0; i < N; i += 5)
        heap_drop(&h, &nodes[i]);
    int64_t last = -1;
    size_t left = 0;
    for (struct heap_node *first; (first = heap_first(&h)) != NULL; left++) {
        assert_true(first->key >= last);
        last = first->key;
        heap_drop(&h, first);
    }
    assert_int_equal(left, N - N / 5);
    heap_free(&h);
}

RUN_TESTS(T(a_table_agrees_with_an_array_after_many_changes),
          T(dropping_while_walking_sees_every_entry_once),
          T(a_heap_gives_the_smallest_first_whatever_was_moved_or_dropped))
