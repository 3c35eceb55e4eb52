/*
 * Substring search without regard to case, through transfer encodings and character sets.
 */
#include "store/search_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "mail/charset.h"
#include "mail/encoded.h"
#include "mail/header.h"
#include "mail/imap_text.h"
#include "mail/mime_tree.h"
#include "mail/transfer.h"
#include "store/view.h"

enum {
    MESSAGE_MAX = 1 << 30,
    DEPTH_MAX = 1000,
    FIELD_MAX = 4 << 20, /* a field as UTF-8; a longer one does not match */
    ADDRESSES_MAX = 1 << 20, /* of a field, taken apart */
    TEXT_PIECE = 256 << 10, /* between two looks at the clock */
    MISSES = 8, /* bytes compared in vain, for each of the text */
};

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Where the rarest byte of the needle is, by what mail usually holds. */
static size_t rarest(struct str needle)
{
    static const char common[] = " etaoinshrdlcumwfgypbvkjxqz";
    size_t best = 0, best_rank = 0;

    for (size_t i = 0; i < needle.n; i++) {
        const char *at = needle.p[i] == '\0' ? NULL : strchr(common, needle.p[i]);
        size_t rank = at == NULL ? sizeof common : (size_t)(at - common) + 1;
        if (rank > best_rank) {
            best = i;
            best_rank = rank;
        }
    }
    return best;
}

/* How many bytes are the same; the needle's length: it stands there. */
static size_t same_bytes(const char *p, struct str needle)
{
    size_t n = 0;

    while (n < needle.n && lower(p[n]) == (unsigned char)needle.p[n])
        n++;
    return n;
}

/* next[i]: of the first i + 1 bytes of the needle, how many at their end are its beginning. */
static void find_borders(struct str needle, uint32_t *next)
{
    size_t n = 0;

    next[0] = 0;
    for (size_t i = 1; i < needle.n; i++) {
        while (n > 0 && needle.p[i] != needle.p[n])
            n = next[n - 1];
        n += needle.p[i] == needle.p[n];
        next[i] = (uint32_t)n;
    }
}

/* Knuth, Morris and Pratt: slower for what mail is like, but never more than two looks at a byte.
 */
static ptrdiff_t find_steadily(struct str text, struct str needle)
{
    uint32_t *next = mem_array(needle.n, sizeof *next);
    ptrdiff_t found = -1;
    size_t n = 0;

    find_borders(needle, next);
    for (size_t i = 0; i < text.n && found < 0; i++) {
        while (n > 0 && lower(text.p[i]) != (unsigned char)needle.p[n])
            n = next[n - 1];
        n += lower(text.p[i]) == (unsigned char)needle.p[n];
        if (n == needle.n)
            found = (ptrdiff_t)(i + 1 - n);
    }
    free(next);
    return found;
}

/* memchr(3) looks for the rarest byte in both cases, faster than any loop of ours, unless the text
 * is full of near misses. needle has no capitals. */
static ptrdiff_t search_text_find(struct str text, struct str needle)
{
    if (needle.n == 0)
        return 0;
    if (needle.n > text.n)
        return -1;
    size_t rare = rarest(needle);
    const char *p = text.p + rare, *end = text.p + text.n - needle.n + rare + 1;
    char small = needle.p[rare], big = small >= 'a' && small <= 'z' ? (char)(small - 32) : small;
    const char *a = memchr(p, small, (size_t)(end - p));
    const char *b = big == small ? NULL : memchr(p, big, (size_t)(end - p));
    size_t compared = 0;
    while (a != NULL || b != NULL) {
        bool first = b == NULL || (a != NULL && a < b);
        const char *at = first ? a : b;
        size_t same = same_bytes(at - rare, needle);
        if (same == needle.n)
            return at - rare - text.p;
        compared += same + 1;
        if (compared > MISSES * text.n)
            return find_steadily(text, needle);
        p = at + 1;
        if (first)
            a = memchr(p, small, (size_t)(end - p));
        else
            b = memchr(p, big, (size_t)(end - p));
    }
    return -1;
}

static bool contains(struct str text, struct str needle)
{
    return search_text_find(text, needle) >= 0;
}

/* ---- needles ---- */

static struct search_key *copy_key(const struct search_key *key, struct arena *mem, size_t depth)
{
    struct search_key *copy, **end;
    struct buf text = BUF(key != NULL ? key->text.n * 3 + 8 : 0); /* folding can lengthen */

    if (key == NULL || depth > DEPTH_MAX)
        return NULL;
    copy = arena_alloc(mem, sizeof *copy);
    *copy = *key;
    if (key->what >= SEARCH_HEADER) {
        charset_fold(key->text, &text);
        copy->text = buf_ok(&text) ? arena_str(mem, buf_str(&text)) : key->text;
        buf_free(&text);
    }
    copy->child = NULL;
    end = &copy->child;
    for (const struct search_key *c = key->child; c != NULL; c = c->next) {
        *end = copy_key(c, mem, depth + 1);
        if (*end == NULL)
            break;
        end = &(*end)->next;
    }
    copy->next = NULL;
    return copy;
}

struct search_key *search_fold(const struct search_key *key, struct search_needles *needles)
{
    needles->mem = arena_new(NULL);
    return copy_key(key, needles->mem, 0);
}

void search_needles_free(struct search_needles *needles)
{
    arena_free(&needles->mem);
}

struct str search_needle(const struct search_key *key)
{
    return key->text;
}

bool search_is_ascii(struct str needle)
{
    return utf8_is_ascii(needle);
}

/* ---- a message ---- */

void search_message_init(struct search_message *m)
{
    /* asked: by view_read */
    *m = (struct search_message){.bytes = BUF(MESSAGE_MAX),
                                 .decoded = BUF(MESSAGE_MAX),
                                 .utf8 = BUF(MESSAGE_MAX),
                                 .folded = BUF(MESSAGE_MAX)};
    m->mem = arena_new(NULL);
}

void search_message_clear(struct search_message *m)
{
    m->is_read = m->has_header = false;
    if (m->root != NULL)
        arena_reset(m->mem);
    m->root = NULL;
}

void search_message_free(struct search_message *m)
{
    arena_free(&m->mem);
    buf_free(&m->bytes);
    buf_free(&m->decoded);
    buf_free(&m->utf8);
    buf_free(&m->folded);
}

struct str search_header(const struct search_message *m)
{
    struct str bytes = buf_str(&m->bytes);

    for (size_t at = 0; at < bytes.n;) {
        const char *lf = memchr(bytes.p + at, '\n', bytes.n - at);
        size_t n = lf == NULL ? bytes.n - at : (size_t)(lf - bytes.p) - at;
        if (n == 0 || (n == 1 && bytes.p[at] == '\r'))
            return str_upto(bytes, at);
        at += n + 1;
    }
    return bytes;
}

/* The field at *at, with its continuation lines. */
static bool next_field(struct str fields, size_t *at, struct str *field)
{
    size_t start = *at;

    if (start >= fields.n)
        return false;
    do {
        const char *lf = memchr(fields.p + *at, '\n', fields.n - *at);
        *at = lf == NULL ? fields.n : (size_t)(lf - fields.p) + 1;
    } while (*at < fields.n && header_continues(str_from(fields, *at)));
    *field = str_part(fields, start, *at - start);
    return true;
}

bool search_field(struct str fields, struct str name, size_t *at, struct str *value)
{
    struct str field, found;

    while (next_field(fields, at, &field))
        if (str_istarts(field, name) && header_split(field, &found, value) && str_ieq(found, name))
            return true;
    return false;
}

/* Runs of blanks become one blank, as where ENVELOPE shows a text; in place. */
static void join_blanks(struct buf *text)
{
    size_t to = 0;

    for (size_t i = 0; i < text->n; i++) {
        char c = text->p[i];
        bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (blank && to > 0 && text->p[to - 1] == ' ')
            continue;
        text->p[to++] = blank ? ' ' : c;
    }
    buf_cut(text, to);
}

/* In a needle, which has no capitals. */
static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The longest run of letters and digits: nothing that is shown otherwise than it stands. */
static struct str longest_run(struct str needle)
{
    struct str longest = STR("");

    for (size_t i = 0; i < needle.n; i++) {
        size_t n = 0;
        while (i + n < needle.n && is_alnum(needle.p[i + n]))
            n++;
        if (n > longest.n)
            longest = str_part(needle, i, n);
        i += n;
    }
    return longest;
}

/*
 * A quick test before a field is decoded and its addresses are taken apart: false if neither can
 * show the run. Only an encoded word, a backslash or a carriage return that ends no line can stand
 * within what is shown as one run. Where an address is broken, SYNTAX_ERROR is shown.
 */
static bool may_show(struct str value, struct str run)
{
    if (run.n == 0 || contains(value, run) || contains(STR("SYNTAX_ERROR"), run) ||
        str_search(value, STR("=?")) >= 0 || str_find(value, '\\') >= 0)
        return true;
    for (ptrdiff_t cr; (cr = str_find(value, '\r')) >= 0; value = str_from(value, (size_t)cr + 1))
        if (!str_starts(str_from(value, (size_t)cr), STR("\r\n")))
            return true;
    return false;
}

/* A field's text for people: encoded words decoded, unfolded. needle has had its blanks joined. */
static bool in_value(struct str value, struct str needle)
{
    struct buf utf8 = BUF(FIELD_MAX), folded = BUF(2 * FIELD_MAX);
    bool found;

    encoded_to_utf8(value, &utf8);
    charset_fold(buf_str(&utf8), &folded);
    if (str_find(needle, ' ') >= 0) /* else it is found between blanks as well */
        join_blanks(&folded);
    found = buf_ok(&utf8) && buf_ok(&folded) && contains(buf_str(&folded), needle);
    buf_free(&utf8);
    buf_free(&folded);
    return found;
}

/* As the addresses of ENVELOPE: without comments, where they stand in between. */
static bool in_addresses(struct str value, struct str needle)
{
    struct mime_values one = {.value = str_upto(value, ADDRESSES_MAX)};
    struct buf words = BUF(2 * FIELD_MAX);

    imap_text_address_words(&one, &words);
    bool found = buf_ok(&words) && in_value(buf_str(&words), needle);
    buf_free(&words);
    return found;
}

bool search_in_fields(struct str fields, const struct search_key *key)
{
    struct str value, run = longest_run(key->text);
    size_t at = 0;
    struct buf needle = BUF(key->text.n);
    bool found = false;
    int64_t turn = 0;

    buf_add(&needle, key->text);
    join_blanks(&needle);
    while (!found && search_field(fields, key->name, &at, &value)) {
        found = may_show(value, run) && (needle.n == 0 || in_value(value, buf_str(&needle)) ||
                                         (key->addresses && in_addresses(value, buf_str(&needle))));
        view_yield_if_due(&turn);
    }
    found = buf_ok(&needle) && found;
    buf_free(&needle);
    return found;
}

bool search_in_header(struct str header, struct str text)
{
    struct str field, run = longest_run(text);
    size_t at = 0;
    struct buf needle = BUF(text.n);
    bool found = false;
    int64_t turn = 0;

    buf_add(&needle, text);
    join_blanks(&needle);
    while (!found && next_field(header, &at, &field)) {
        field = str_rtrim(field);
        found = may_show(field, run) && in_value(field, buf_str(&needle));
        view_yield_if_due(&turn);
    }
    found = buf_ok(&needle) && found;
    buf_free(&needle);
    return found;
}

/* ---- bodies ---- */

static struct str span(const struct search_message *m, const struct mime_span *s)
{
    return str_part(buf_str(&m->bytes), s->at, s->size);
}

static void pause_turn(void *turn)
{
    view_yield_if_due(turn);
}

/* The steps of in_text: each lets others have their turns in a long text. */
static void decode(struct transfer *t, struct str text, struct buf *out, int64_t *turn)
{
    buf_clear(out);
    while (text.n > 0) {
        struct str piece = str_upto(text, TEXT_PIECE);
        if (text.n > TEXT_PIECE)
            view_yield_if_due(turn);
        transfer_decode(t, piece, out);
        text = str_from(text, piece.n);
    }
}

static void fold(struct str text, struct buf *out, int64_t *turn)
{
    buf_clear(out);
    while (text.n > 0) {
        size_t n = charset_utf8_piece(text, TEXT_PIECE);
        if (text.n > TEXT_PIECE)
            view_yield_if_due(turn);
        charset_fold(str_upto(text, n), out);
        text = str_from(text, n);
    }
}

/* A text part, decoded and as UTF-8. (waits) */
static bool in_text(struct search_message *m, const struct mime_part *p, struct str needle)
{
    struct transfer t = {.encoding = transfer_named(p->encoding)};
    struct str text = span(m, &p->body), charset = mime_param_find(p->params, "charset");
    int64_t turn = 0;

    if (t.encoding == TRANSFER_UNKNOWN)
        return false;
    if (t.encoding == TRANSFER_IDENTITY && search_is_ascii(needle) &&
        charset_is_ascii_based(charset))
        return contains(text, needle);
    if (t.encoding != TRANSFER_IDENTITY) {
        decode(&t, text, &m->decoded, &turn);
        text = buf_str(&m->decoded);
    }
    buf_clear(&m->utf8);
    if (charset.n == 0 || !charset_to_utf8_in_pieces(charset, text, &m->utf8, pause_turn, &turn))
        charset_to_utf8_in_pieces(STR("utf-8"), text, &m->utf8, pause_turn, &turn);
    if (!buf_ok(&m->decoded) || !buf_ok(&m->utf8))
        return false; /* over a gigabyte */
    if (search_is_ascii(needle))
        return contains(buf_str(&m->utf8), needle);
    fold(buf_str(&m->utf8), &m->folded, &turn);
    return buf_ok(&m->folded) && contains(buf_str(&m->folded), needle);
}

static bool in_part(struct search_message *m, const struct mime_part *p, struct str needle)
{
    if (p->parent != NULL && search_in_header(span(m, &p->header), needle))
        return true;
    if (p->kind == MIME_LEAF && (str_ieq(p->type, STR("text")) || str_ieq(p->type, STR("message"))))
        return in_text(m, p, needle);
    for (const struct mime_part *c = p->child; c != NULL; c = c->next)
        if (in_part(m, c, needle))
            return true;
    return false;
}

bool search_in_body(struct search_message *m, struct str needle)
{
    if (m->root == NULL)
        m->root = view_parse(m->mem, &m->limits, buf_str(&m->bytes));
    return in_part(m, m->root, needle);
}

/* ---- ruling out ---- */

/* A charset whose bytes are not those of ASCII, or that is not told plainly. */
static bool has_other_charset(struct str structure)
{
    static const char name[] = "\"charset";

    for (ptrdiff_t at; (at = search_text_find(structure, STR(name))) >= 0;) {
        structure = str_from(structure, (size_t)at + sizeof name - 1);
        if (!str_starts(structure, STR("\" \"")))
            return true; /* "charset*", or a literal */
        structure = str_from(structure, 3);
        ptrdiff_t end = str_find(structure, '"');
        if (end < 0 || !charset_is_ascii_based(str_upto(structure, (size_t)end)))
            return true;
    }
    return false;
}

bool search_is_encoded(struct str structure)
{
    return contains(structure, STR("base64")) || contains(structure, STR("quoted-printable")) ||
           contains(structure, STR("uuencode")) || has_other_charset(structure);
}

/* The longest word: between words, a header may be folded. */
static struct str longest_word(struct str needle)
{
    struct str word, longest = STR("");

    while (str_word(&needle, " \t\r\n", &word))
        if (word.n > longest.n)
            longest = word;
    return longest;
}

bool search_raw(struct str bytes, struct str needle)
{
    struct str word = longest_word(needle);

    return word.n == 0 || contains(bytes, word) || contains(bytes, STR("=?"));
}
