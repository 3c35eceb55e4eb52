/*
 * The intrusive list and the growable array.
 */
#include "base/list.h"
#include "base/vec.h"

#include "test.h"

struct member {
    int value;
    struct list link;
};

static int value(const struct list *l)
{
    return LIST_OF(l, struct member, link)->value;
}

TEST(members_stand_in_the_order_they_came_and_pushed_ones_before)
{
    struct list head;
    struct member m[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 0}};
    int want = 0;

    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 3; i++)
        list_add(&head, &m[i].link);
    list_push(&head, &m[3].link);
    LIST_EACH (&head, l)
        assert_int_equal(value(l), want++);
    assert_int_equal(want, 4);
}

TEST(the_current_member_may_go_while_all_are_visited)
{
    struct list head;
    struct member m[5];
    int seen = 0, left = 0;

    list_init(&head);
    for (int i = 0; i < 5; i++) {
        m[i].value = i;
        list_add(&head, &m[i].link);
    }
    LIST_EACH (&head, l) {
        seen++;
        if (value(l) % 2 == 0)
            list_drop(l);
    }
    assert_int_equal(seen, 5);
    LIST_EACH (&head, l) {
        assert_int_equal(value(l) % 2, 1);
        left++;
    }
    assert_int_equal(left, 2);
}

TEST(dropping_twice_is_harmless)
{
    struct list head;
    struct member m = {.value = 1};

    list_init(&head);
    list_add(&head, &m.link);
    list_drop(&m.link);
    list_drop(&m.link);
    assert_true(list_empty(&head));
}

TEST(an_array_grows_and_new_elements_are_zero)
{
    VEC(struct member) v = {0};
    int sum = 0;

    for (int i = 0; i < 1000; i++) {
        struct member *m = VEC_ADD(&v);
        assert_int_equal(m->value, 0);
        assert_null(m->link.next);
        m->value = i;
    }
    assert_int_equal(v.n, 1000);
    VEC_EACH (&v, m)
        sum += m->value;
    assert_int_equal(sum, 499500);
    VEC_FREE(&v);
    assert_null(v.at);
    VEC_EACH (&v, m)
        fail();
}

RUN_TESTS(T(members_stand_in_the_order_they_came_and_pushed_ones_before),
          T(the_current_member_may_go_while_all_are_visited), T(dropping_twice_is_harmless),
          T(an_array_grows_and_new_elements_are_zero))
