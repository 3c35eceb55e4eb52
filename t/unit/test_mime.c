/*
 * The walk and the tree: the same in pieces as at once; places, sizes, part numbers, limits.
 */
#include "base/str.h"
#include "mail/mime_tree.h"

#include "test.h"

static const char sample[] =
    "Subject: x\nContent-Type: multipart/mixed; boundary=\"out\"\n\npreamble\n"
    "--out\nContent-Type: text/plain\n\none\ntwo\n\n--out\n"
    "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: "
    "multipart/alternative; boundary=in\n\n--in\n\nA\n--in\n\nB\n--in--\n"
    "--out--\nepilogue\n";

struct log {
    struct buf text;
};

static void on_begin(void *self, bool is_message, const struct mime_pos *at)
{
    struct log *l = self;
    buf_addf(&l->text, "%s@%d ", is_message ? "message" : "part", (int)at->bytes);
}

static void on_field(void *self, struct str name, struct str value)
{
    struct log *l = self;
    buf_addf(&l->text, "%.*s=%.*s ", (int)name.n, name.p, (int)value.n, value.p);
}

static void on_header_end(void *self, enum mime_kind kind, const struct mime_type *type,
                          const struct mime_pos *at)
{
    struct log *l = self;
    buf_addf(&l->text, "kind%d:%.*s@%d ", kind, (int)type->subtype.n, type->subtype.p,
             (int)at->bytes);
}

static void on_bytes(void *self, struct str bytes)
{
    struct log *l = self;
    buf_addc(&l->text, '[');
    buf_add(&l->text, bytes);
    buf_addc(&l->text, ']');
}

static void on_end(void *self, const struct mime_pos *at)
{
    struct log *l = self;
    buf_addf(&l->text, "end@%d,%d ", (int)at->bytes, (int)at->lines);
}

static const struct mime_handler logger = {on_begin, on_field, on_header_end, on_bytes, on_end};

static void walk(struct str s, size_t piece, struct buf *out)
{
    struct arena *mem = arena_new(NULL);
    struct log log = {BUF(100000)};
    struct mime_walk *w = mime_walk_new(mem, NULL, &logger, &log);

    for (; s.n > 0; s = str_from(s, piece))
        mime_walk_put(w, str_upto(s, piece));
    mime_walk_end(w);
    buf_clear(out);
    for (size_t i = 0; i < log.text.n; i++) /* where pieces of a body were parted does not count */
        if (!(log.text.p[i] == ']' && log.text.p[i + 1] == '[') &&
            !(i > 0 && log.text.p[i] == '[' && log.text.p[i - 1] == ']'))
            buf_addc(out, log.text.p[i]);
    buf_free(&log.text);
    arena_free(&mem);
}

TEST(pieces_of_any_length_give_the_same_events)
{
    struct buf whole = BUF(100000), pieces = BUF(100000);

    walk(strz(sample), sizeof sample, &whole);
    assert_string_equal(
        whole.p,
        "message@0 Subject=x Content-Type=multipart/mixed; boundary=\"out\" kind1:mixed@58 "
        "part@73 Content-Type=text/plain kind0:plain@99 [one\ntwo\n]end@107,9 "
        "part@114 Content-Type=message/rfc822 kind2:rfc822@144 message@144 Subject=inner "
        "Content-Type=multipart/alternative; boundary=in kind1:alternative@209 "
        "part@214 kind0:plain@215 [A]end@216,18 part@222 kind0:plain@223 [B]end@224,21 "
        "end@232,23 end@232,23 end@249,25 ");
    for (size_t n = 1; n < 40; n++) {
        walk(strz(sample), n, &pieces);
        assert_string_equal(pieces.p, whole.p);
    }
    buf_free(&whole);
    buf_free(&pieces);
}

TEST(part_numbers_are_those_of_rfc_3501)
{
    struct arena *mem = arena_new(NULL);
    const struct mime_part *root = mime_tree_parse(mem, NULL, strz(sample)), *p;

    p = mime_tree_find(root, (uint32_t[]){1}, 1);
    assert_non_null(p);
    assert_int_equal(p->body.at, 99);
    assert_int_equal(p->body.size, 8);
    assert_int_equal(p->body.vsize, 10);
    p = mime_tree_find(root, (uint32_t[]){2, 2}, 2);
    assert_non_null(p);
    assert_int_equal(p->body.at, 223);
    p = mime_tree_find(root, (uint32_t[]){2}, 1);
    assert_int_equal(p->kind, MIME_MESSAGE);
    assert_ptr_equal(mime_tree_find(root, NULL, 0), root);
    assert_null(mime_tree_find(root, (uint32_t[]){3}, 1));
    assert_null(mime_tree_find(root, (uint32_t[]){0}, 1));
    assert_null(mime_tree_find(root, (uint32_t[]){1, 1}, 2));
    assert_null(mime_tree_find(root, (uint32_t[]){2, 2, 1}, 3));

    root = mime_tree_parse(mem, NULL, STR("Subject: x\n\nhi\n"));
    assert_ptr_equal(mime_tree_find(root, (uint32_t[]){1}, 1), root);
    assert_null(mime_tree_find(root, (uint32_t[]){2}, 1));
    assert_null(mime_tree_find(root, (uint32_t[]){1, 1}, 2));
    arena_free(&mem);
}

TEST(nesting_and_parts_are_bounded)
{
    struct arena *mem = arena_new(NULL);
    struct buf deep = BUF(1 << 20);
    struct mime_limits limits = {5, 7, 0};
    size_t depth = 0, parts = 0;

    for (int i = 0; i < 50; i++)
        buf_addf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
    for (const struct mime_part *p = mime_tree_parse(mem, &limits, buf_str(&deep)); p != NULL;
         p = p->child)
        depth++;
    assert_int_equal(depth, 5);

    buf_setz(&deep, "Content-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 50; i++)
        buf_addz(&deep, "--b\n\nx\n");
    const struct mime_part *root = mime_tree_parse(mem, &limits, buf_str(&deep));
    for (const struct mime_part *p = root->child; p != NULL; p = p->next)
        parts++;
    assert_int_equal(parts, 6);
    buf_free(&deep);
    arena_free(&mem);
}

TEST(a_header_behind_its_limit_is_not_read_and_said)
{
    struct arena *mem = arena_new(NULL);
    struct mime_limits limits = {.header = 40};
    const char *texts[] = {"Subject: 890123456789012345678\nTo: 5678\n\nx\n", /* 40 */
                           "Subject: 890123456789012345678\nTo: 56789\n\nx\n", "A: b\n\nx\n"};
    bool cut[] = {false, true, false};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct mime_part *p = mime_tree_parse(mem, &limits, strz(texts[i]));
        assert_int_equal(p->header_cut, cut[i]);
        assert_int_equal(p->header.size, strstr(texts[i], "\n\n") + 2 - texts[i]);
        assert_int_equal(p->body.size, 2);
    }
    assert_null(mime_tree_parse(mem, &limits, strz(texts[1]))->envelope->to);
    assert_non_null(mime_tree_parse(mem, &limits, strz(texts[0]))->envelope->to);
    arena_free(&mem);
}

/* A header of a megabyte with many parameters at its beginning; many parts with many of them. */
TEST(what_is_kept_of_a_message_is_no_more_than_its_length)
{
    struct arena *mem = arena_new(NULL);
    struct buf text = BUF(20 << 20);

    buf_addz(&text, "Content-Type: text/plain");
    for (int i = 0; i < 190; i++)
        buf_addz(&text, "; a=\"x\"");
    for (int i = 0; i < 900000; i++)
        buf_addc(&text, 'x');
    buf_addz(&text, "\n\n");
    mime_tree_parse(mem, NULL, buf_str(&text));
    assert_in_range(arena_used(mem), 1, text.n);
    arena_reset(mem);
    buf_setz(&text, "Content-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 10000; i++) {
        buf_addz(&text, "--b\nContent-Type: text/plain");
        for (int k = 0; k < 190; k++)
            buf_addz(&text, "; a*1=x");
        buf_addz(&text, "\n\n");
    }
    assert_true(buf_ok(&text));
    mime_tree_parse(mem, NULL, buf_str(&text));
    assert_in_range(arena_used(mem), 1 << 20, 33 << 20);
    buf_free(&text);
    arena_free(&mem);
}

TEST(sizes_are_those_with_crlf)
{
    struct arena *mem = arena_new(NULL);
    const struct mime_part *lf = mime_tree_parse(mem, NULL, STR("A: b\n\nx\ny\n"));
    const struct mime_part *crlf = mime_tree_parse(mem, NULL, STR("A: b\r\n\r\nx\r\ny\r\n"));

    assert_int_equal(lf->header.vsize, 8);
    assert_int_equal(crlf->header.vsize, 8);
    assert_int_equal(lf->body.vsize, 6);
    assert_int_equal(crlf->body.vsize, 6);
    assert_int_equal(lf->body.size, 4);
    assert_int_equal(crlf->body.lines, 2);
    arena_free(&mem);
}

/* RFC 2046 5.1.1: the line end before a boundary is the boundary's, also if it ends a header. */
TEST(a_part_without_a_body_leaves_the_line_end_to_the_boundary)
{
    static const char text[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
                               "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n"
                               "--b\r\nA: b\r\n\r\n--b\r\n\r\n--b\nA: b\n--b--\r\n";
    struct arena *mem = arena_new(NULL);
    const struct mime_part *p = mime_tree_parse(mem, NULL, STR(text))->child;

    assert_int_equal(p->child->header.vsize, strlen("Subject: x"));
    assert_int_equal(p->child->body.size, 0);
    assert_int_equal(p->body.vsize, strlen("Subject: x\r\n")); /* as in Dovecot */
    p = p->next;
    assert_int_equal(p->header.vsize, strlen("A: b\r\n"));
    p = p->next;
    assert_int_equal(p->header.vsize, 0);
    p = p->next;
    assert_int_equal(p->header.size, strlen("A: b"));
    assert_int_equal(p->header.vsize, strlen("A: b"));
    assert_null(p->next);
    arena_free(&mem);
}

TEST(parameters_that_should_be_quoted_are_taken_up_to_a_blank)
{
    static const struct {
        const char *text, *name, *x;
    } cases[] = {
        {"; name==?utf-8?B?VGhp?=; x=y", "=?utf-8?B?VGhp?=", "y"},
        {"; name==?utf-8?Q?a_b=3D?= (c); x=y", "=?utf-8?Q?a_b=3D?=", "y"},
        {"; name= =?u?q?a b?=; x=y", "=?u?q?a", "y"},
        {"; name==_x=1", "=_x=1", NULL},
        {"; name=a=b?c; x=y", "a", "y"},
        {"; name==", "=", NULL},
        {"; name=\"=?utf-8?B?VGhp?=\"; x=y", "=?utf-8?B?VGhp?=", "y"},
    };
    struct arena *mem = arena_new(NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mime_param *p = mime_params_parse(mem, strz(cases[i].text));
        struct str x = mime_param_find(p, "x");
        assert_true(str_eqz(mime_param_find(p, "name"), cases[i].name));
        assert_true(cases[i].x == NULL ? x.p == NULL : str_eqz(x, cases[i].x));
    }
    arena_free(&mem);
}

RUN_TESTS(T(pieces_of_any_length_give_the_same_events), T(part_numbers_are_those_of_rfc_3501),
          T(nesting_and_parts_are_bounded), T(a_header_behind_its_limit_is_not_read_and_said),
          T(what_is_kept_of_a_message_is_no_more_than_its_length), T(sizes_are_those_with_crlf),
          T(a_part_without_a_body_leaves_the_line_end_to_the_boundary),
          T(parameters_that_should_be_quoted_are_taken_up_to_a_blank))
