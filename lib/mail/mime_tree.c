/*
 * The tree, built from the events of the walk.
 */
#include "mail/mime_tree.h"

#include <string.h>

#include "base/str.h"

enum { FIELDS_MAX = 1000 };

struct mime_builder {
    struct arena *mem;
    struct mime_walk *walk;
    struct mime_part *root, *top;
    struct mime_part **next; /* where a part below top goes */
    size_t fields; /* address fields kept: their lists are walked */
};

/* Where a part and its body began is kept in the spans until their ends are known. */
static struct mime_span span_from(const struct mime_pos *at)
{
    return (struct mime_span){at->bytes, 0, at->bare, at->lines};
}

static void span_end(struct mime_span *s, const struct mime_pos *at)
{
    s->size = at->bytes - s->at;
    s->vsize = s->size + (at->bare - s->vsize);
    s->lines = at->lines - s->lines;
}

static void on_begin(void *self, bool is_message, const struct mime_pos *at)
{
    struct mime_builder *b = self;
    struct mime_part *part = arena_alloc(b->mem, sizeof *part), **last;

    part->parent = b->top;
    part->is_message = is_message;
    part->is_mime = !is_message;
    if (is_message)
        part->envelope = arena_alloc(b->mem, sizeof *part->envelope);
    part->header = span_from(at);
    if (b->top == NULL) {
        b->root = part;
    } else {
        last = b->next != NULL ? b->next : &b->top->child;
        *last = part;
    }
    b->top = part;
    b->next = NULL;
}

/* No body: the header's last line end belongs to the boundary. */
static void cut_header(struct mime_part *p, const struct mime_pos *at)
{
    p->header.size = at->bytes - p->header.at;
    p->header.vsize -= 2;
    p->header.lines--;
    p->body = (struct mime_span){.at = at->bytes};
}

static void on_end(void *self, const struct mime_pos *at)
{
    struct mime_builder *b = self;

    if (at->bytes < b->top->body.at)
        cut_header(b->top, at);
    else
        span_end(&b->top->body, at);
    b->next = &b->top->next;
    b->top = b->top->parent;
}

/* RFC 2045 4: without MIME-Version this is plain text, whatever else is said. */
static void drop_content_fields(struct mime_part *p)
{
    p->id = p->description = p->encoding = p->md5 = p->disposition = p->location =
        (struct str){NULL, 0};
    p->disposition_params = NULL;
    p->languages = 0;
}

static void on_header_end(void *self, enum mime_kind kind, const struct mime_type *type,
                          const struct mime_pos *at)
{
    struct mime_builder *b = self;

    span_end(&b->top->header, at);
    b->top->body = span_from(at);
    if (!b->top->is_mime)
        drop_content_fields(b->top);
    b->top->kind = kind;
    b->top->type = type->type;
    b->top->subtype = type->subtype;
    b->top->params = type->params;
}

static void take_disposition(struct mime_builder *b, struct str value)
{
    struct str s = value;

    if (b->top->disposition_params != NULL)
        return;
    b->top->disposition = arena_str(b->mem, mime_token(&s));
    b->top->disposition_params = mime_params_parse(b->mem, s);
}

static void take_encoding(struct mime_builder *b, struct str value)
{
    struct str s = value, token = mime_token(&s);

    if (token.n > 0 && s.n == 0 && b->top->encoding.p == NULL)
        b->top->encoding = arena_str(b->mem, token);
}

/* RFC 3282: tags parted by commas. */
static void take_language(struct mime_builder *b, struct str value)
{
    struct mime_part *p = b->top;
    struct str s = value, tag;

    if (p->languages > 0)
        return;
    for (size_t n = 0; n < sizeof p->language / sizeof *p->language; n++) {
        tag = mime_token(&s);
        if (tag.n == 0)
            break;
        p->language[n] = arena_str(b->mem, tag);
        p->languages = n + 1;
        if (s.n == 0 || *s.p != ',')
            break;
        s = str_from(s, 1);
    }
}

static void take_text(struct mime_builder *b, struct str *to, struct str value, bool first_counts)
{
    if (first_counts && to->p != NULL)
        return;
    *to = arena_str(b->mem, value);
}

static void take_addresses(struct mime_builder *b, struct mime_values **to, struct str value)
{
    while (*to != NULL)
        to = &(*to)->next;
    *to = arena_alloc(b->mem, sizeof **to);
    (*to)->value = arena_str(b->mem, value);
}

static void on_content_field(struct mime_builder *b, struct str name, struct str value)
{
    struct mime_part *p = b->top;

    if (str_ieq(name, STR("Content-Type")))
        p->is_mime = true;
    else if (str_ieq(name, STR("Content-Transfer-Encoding")))
        take_encoding(b, value);
    else if (str_ieq(name, STR("Content-Disposition")))
        take_disposition(b, value);
    else if (str_ieq(name, STR("Content-ID")))
        take_text(b, &p->id, value, true);
    else if (str_ieq(name, STR("Content-Description")))
        take_text(b, &p->description, value, true);
    else if (str_ieq(name, STR("Content-MD5")))
        take_text(b, &p->md5, value, true);
    else if (str_ieq(name, STR("Content-Language")))
        take_language(b, value);
    else if (str_ieq(name, STR("Content-Location")))
        take_text(b, &p->location, value, true);
}

static void on_field(void *self, struct str name, struct str value)
{
    struct mime_builder *b = self;
    struct mime_envelope *e = b->top->envelope;

    if (str_istarts(name, STR("Content-"))) {
        on_content_field(b, name, value);
        return;
    }
    if (str_ieq(name, STR("MIME-Version")))
        b->top->is_mime = true;
    if (e == NULL || name.n > 11)
        return;
    const struct {
        const char *name;
        struct str *text;
        struct mime_values **addresses;
    } known[] = {
        {"Date", &e->date, NULL},
        {"Subject", &e->subject, NULL},
        {"From", NULL, &e->from},
        {"Sender", NULL, &e->sender},
        {"Reply-To", NULL, &e->reply_to},
        {"To", NULL, &e->to},
        {"Cc", NULL, &e->cc},
        {"Bcc", NULL, &e->bcc},
        {"In-Reply-To", &e->in_reply_to, NULL},
        {"Message-ID", &e->message_id, NULL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!str_ieqz(name, known[i].name))
            continue;
        if (known[i].text != NULL)
            take_text(b, known[i].text, value, false);
        else if (b->fields++ < FIELDS_MAX)
            take_addresses(b, known[i].addresses, value);
        return;
    }
}

static void on_header_cut(void *self)
{
    struct mime_builder *b = self;

    b->top->header_cut = true;
}

static const struct mime_handler builder_handler = {.begin = on_begin,
                                                    .field = on_field,
                                                    .header_end = on_header_end,
                                                    .end = on_end,
                                                    .header_cut = on_header_cut};

struct mime_builder *mime_builder_new(struct arena *mem, const struct mime_limits *limits)
{
    struct mime_builder *b = arena_alloc(mem, sizeof *b);

    b->mem = mem;
    b->walk = mime_walk_new(mem, limits, &builder_handler, b);
    return b;
}

void mime_builder_put(struct mime_builder *b, struct str bytes)
{
    mime_walk_put(b->walk, bytes);
}

struct mime_part *mime_builder_end(struct mime_builder *b)
{
    mime_walk_end(b->walk);
    return b->root;
}

struct mime_part *mime_tree_parse(struct arena *mem, const struct mime_limits *limits,
                                  struct str message)
{
    struct mime_builder *b = mime_builder_new(mem, limits);

    mime_builder_put(b, message);
    return mime_builder_end(b);
}

/* RFC 3501 6.4.5: a number picks from the parts of a multipart; the body of any other message is
 * its part 1. */
const struct mime_part *mime_tree_find(const struct mime_part *root, const uint32_t *path,
                                       size_t depth)
{
    const struct mime_part *p = root;

    for (size_t i = 0; i < depth; i++) {
        bool in_message = i == 0;
        if (!in_message && p->kind == MIME_MESSAGE && p->child != NULL) {
            p = p->child;
            in_message = true;
        }
        if (p->kind != MIME_MULTIPART) {
            if (!in_message || path[i] != 1)
                return NULL;
            continue;
        }
        uint32_t n = path[i];
        for (p = p->child; p != NULL && n > 1; n--)
            p = p->next;
        if (p == NULL || n == 0)
            return NULL;
    }
    return p;
}
