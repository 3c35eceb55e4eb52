/*
 * Parameters of main.cf: their names and values.
 */
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"

#include "postconf.h"

enum { LINE_LIMIT = 80, INDENT = 4 };

/* Words with single blanks between them. */
static void normalize(struct str text, struct buf *out)
{
    struct str word;

    while (str_word(&text, " \t\r\n", &word)) {
        if (out->n > 0)
            buf_addc(out, ' ');
        buf_add(out, word);
    }
}

void postconf_value(const struct postconf *p, const char *raw, struct buf *out)
{
    struct buf expanded = BUF(1 << 20);
    struct why why = WHY;

    if (p->expand && conf_expand(raw, &expanded, &why) < 0) {
        postconf_warn("%s", why_text(&why));
        postconf_fatal("macro processing error");
    }
    normalize(p->expand ? buf_str(&expanded) : strz(raw), out);
    buf_free(&expanded);
}

/* One parameter, its words folded at the width of a screen. */
static void print_folded(const char *name, struct str value, bool hide_name)
{
    struct str word;
    size_t column = 0;

    if (!hide_name) {
        printf("%s =", name);
        column = strlen(name) + 2;
    }
    while (str_word(&value, " \t\r\n", &word)) {
        if (column > 0 && column + 1 + word.n > LINE_LIMIT && column > INDENT) {
            printf("\n%*s", INDENT, "");
            column = INDENT;
        } else if (column > 0) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)word.n, word.p);
        column += word.n;
    }
    putchar('\n');
}

void postconf_print(const struct postconf *p, const char *name, const char *value)
{
    if (p->hide_value)
        printf("%s\n", name);
    else if (p->fold)
        print_folded(name, strz(value), p->hide_name);
    else if (p->hide_name)
        printf("%s\n", value);
    else
        printf("%s =%s%s\n", name, value[0] == '\0' ? "" : " ", value);
}

static void print_parameter(const struct postconf *p, const char *name)
{
    struct buf value = BUF(1 << 20);
    const char *raw = conf_find_raw(strz(name), NULL);

    postconf_value(p, raw == NULL ? "" : raw, &value);
    postconf_fits(&value);
    postconf_print(p, name, value.p);
    buf_free(&value);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What -C and -n leave of the valid names. User-defined ones are shown when they are set. */
static bool is_shown(const struct postconf *p, const char *name, enum postconf_class c)
{
    if (!(p->classes & c))
        return false;
    if (c == CLASS_USER)
        return !p->defaults && conf_is_set(name);
    return !p->only_set || conf_is_set(name);
}

static void list_all(const struct postconf *p)
{
    VEC(const char *) names = {0};
    size_t cursor = 0;
    struct str name;
    void *c;

    while (hash_next(p->valid, &cursor, &name, &c)) {
        if (is_shown(p, name.p, (enum postconf_class)(uintptr_t)c))
            *VEC_ADD(&names) = name.p;
    }
    if (names.n > 0)
        qsort(names.at, names.n, sizeof *names.at, by_name);
    for (size_t i = 0; i < names.n; i++)
        print_parameter(p, names.at[i]);
    VEC_FREE(&names);
}

void postconf_list(const struct postconf *p, char **names, int n)
{
    if (n == 0)
        list_all(p);
    for (int i = 0; i < n; i++) {
        void *c = hash_find(p->valid, strz(names[i]));
        if (c == NULL)
            postconf_warn("%s: unknown parameter", names[i]);
        else if (is_shown(p, names[i], (enum postconf_class)(uintptr_t)c))
            print_parameter(p, names[i]);
    }
}
