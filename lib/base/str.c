#include "base/str.h"

#include <stdint.h>

#include "base/sixteen.h"

struct str strz(const char *s)
{
    return s == NULL ? (struct str){"", 0} : (struct str){s, strlen(s)};
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eqz(struct str a, const char *b)
{
    return str_eq(a, strz(b));
}

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (fold(a.p[i]) != fold(b.p[i]))
            return false;
    return true;
}

bool str_ieqz(struct str a, const char *b)
{
    return str_ieq(a, strz(b));
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str with)
{
    return s.n >= with.n && str_eq(str_upto(s, with.n), with);
}

bool str_istarts(struct str s, struct str with)
{
    return s.n >= with.n && str_ieq(str_upto(s, with.n), with);
}

bool str_ends(struct str s, struct str with)
{
    return s.n >= with.n && str_eq(str_from(s, s.n - with.n), with);
}

bool str_iends(struct str s, struct str with)
{
    return s.n >= with.n && str_ieq(str_from(s, s.n - with.n), with);
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
    return at == NULL ? -1 : at - s.p;
}

ptrdiff_t str_rfind(struct str s, char c)
{
    const char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;
    return at == NULL ? -1 : at - s.p;
}

ptrdiff_t str_search(struct str s, struct str part)
{
    const char *at = part.n == 0 ? s.p : s.n > 0 ? memmem(s.p, s.n, part.p, part.n) : NULL;
    return at == NULL ? (part.n == 0 ? 0 : -1) : at - s.p;
}

ptrdiff_t str_isearch(struct str s, struct str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (str_ieq(str_part(s, i, part.n), part))
            return (ptrdiff_t)i;
    return -1;
}

struct str str_from(struct str s, size_t start)
{
    if (start > s.n)
        start = s.n;
    return start == 0 ? s : (struct str){s.p + start, s.n - start};
}

struct str str_upto(struct str s, size_t end)
{
    return (struct str){s.p, end < s.n ? end : s.n};
}

struct str str_part(struct str s, size_t start, size_t n)
{
    return str_upto(str_from(s, start), n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_rtrim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = str_from(s, 1);
    return str_rtrim(s);
}

bool str_split(struct str *rest, char at, struct str *field)
{
    if (rest->p == NULL)
        return false;
    ptrdiff_t i = str_find(*rest, at);
    if (i < 0) {
        *field = *rest;
        *rest = (struct str){NULL, 0};
    } else {
        *field = str_upto(*rest, (size_t)i);
        *rest = str_from(*rest, (size_t)i + 1);
    }
    return true;
}

/* Which characters are separators: a bit for each. The zero byte is none. */
struct charset {
    uint64_t bits[4];
};

static struct charset charset_of(const char *characters)
{
    struct charset set = {{0}};

    for (; *characters != 0; characters++)
        set.bits[(unsigned char)*characters / 64] |= (uint64_t)1 << (unsigned char)*characters % 64;
    return set;
}

static bool in_charset(const struct charset *set, char c)
{
    return (set->bits[(unsigned char)c / 64] >> (unsigned char)c % 64 & 1) != 0;
}

static bool next_word(struct str *rest, const struct charset *separators, bool braces,
                      struct str *word)
{
    size_t start = 0, end;
    int depth = 0;

    while (start < rest->n && in_charset(separators, rest->p[start]))
        start++;
    if (start == rest->n) {
        *rest = str_from(*rest, start);
        return false;
    }
    for (end = start; end < rest->n; end++) {
        char c = rest->p[end];
        if (braces && c == '{')
            depth++;
        else if (braces && c == '}' && depth > 0)
            depth--;
        else if (depth == 0 && in_charset(separators, c))
            break;
    }
    *word = str_part(*rest, start, end - start);
    *rest = str_from(*rest, end);
    return true;
}

bool str_word(struct str *rest, const char *separators, struct str *word)
{
    struct charset set = charset_of(separators);

    return next_word(rest, &set, false, word);
}

bool str_word_braces(struct str *rest, const char *separators, struct str *word)
{
    struct charset set = charset_of(separators);

    return next_word(rest, &set, true, word);
}

bool str_unbrace(struct str *s)
{
    int depth = 0;
    size_t i;

    for (i = 0; i < s->n; i++) {
        depth += (s->p[i] == '{') - (s->p[i] == '}');
        if (depth <= 0)
            break;
    }
    if (i == 0 || i + 1 != s->n)
        return false;
    *s = str_trim(str_part(*s, 1, s->n - 2));
    return true;
}

void str_lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = fold(p[i]);
}

size_t str_printable(struct str s)
{
    size_t i = 0;

    while (s.n - i >= sizeof(sixteen)) {
        sixteen v = sixteen_load(s.p + i);
        if (sixteen_any((sixteen)(v < ' ') | (sixteen)(v > '~')))
            break;
        i += sizeof v;
    }
    while (i < s.n && s.p[i] >= ' ' && s.p[i] <= '~')
        i++;
    return i;
}

bool str_is_printable(struct str s)
{
    return str_printable(s) == s.n;
}

#define LIST_SEPARATORS ", \t\r\n"

bool str_has_word(const char *list, struct str word)
{
    struct charset separators = charset_of(LIST_SEPARATORS);
    struct str rest = strz(list), found;

    while (next_word(&rest, &separators, false, &found))
        if (str_eq(found, word))
            return true;
    return false;
}

bool str_listed(const char *list, const char *word)
{
    return str_has_word(list, strz(word));
}

bool str_ilisted(const char *list, struct str word)
{
    struct charset separators = charset_of(LIST_SEPARATORS);
    struct str rest = strz(list), found;

    while (next_word(&rest, &separators, false, &found))
        if (str_ieq(found, word))
            return true;
    return false;
}

bool str_flags(const char *list, const struct str_flag *names, unsigned *bits, struct str *unknown)
{
    struct str rest = strz(list), word;

    *bits = 0;
    while (str_word(&rest, LIST_SEPARATORS, &word)) {
        const struct str_flag *f = names;
        while (f->name != NULL && !str_ieqz(word, f->name))
            f++;
        if (f->name == NULL) {
            *unknown = word;
            return false;
        }
        *bits |= f->bit;
    }
    return true;
}
