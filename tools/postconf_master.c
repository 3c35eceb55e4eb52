/*
 * Services of master.cf: whole (-M), their fields (-F), their -o parameters (-P).
 */
#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"

#include "postconf.h"

enum { LINE_LIMIT = 80, INDENT = 4 };

static const char *const fields[CONF_COLUMNS] = {
    "service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"};

/* $name in an option: the service's own options go before main.cf. */
static const char *find_in_service(struct str name, void *arg)
{
    const struct conf_service *s = arg;

    for (size_t i = s->noptions; i > 0; i--)
        if (str_eqz(name, s->options[i - 1].name))
            return s->options[i - 1].value;
    if (str_eqz(name, "service_name"))
        return s->name;
    if (str_eqz(name, "process_name"))
        return s->command;
    return conf_find_raw(name, NULL);
}

/* An option's value as shown. */
static void option_value(const struct postconf *p, const struct conf_service *s, const char *raw,
                         struct buf *out)
{
    struct why why = WHY;

    if (!p->expand) {
        buf_addz(out, raw);
    } else if (conf_expand_text(strz(raw), EXPAND_RECURSE, find_in_service, (void *)(uintptr_t)s,
                                out, &why) < 0) {
        postconf_warn("%s", why_text(&why));
        postconf_fatal("macro processing error");
    }
}

struct layout {
    struct buf *out;
    size_t column;
    bool fold;
};

static void put_item(struct layout *l, struct str item)
{
    if (l->column > INDENT && l->fold && l->column + 1 + item.n >= LINE_LIMIT) {
        buf_addf(l->out, "\n%*s", INDENT, "");
        l->column = INDENT;
    } else if (l->column > INDENT) {
        buf_addc(l->out, ' ');
        l->column++;
    }
    buf_add(l->out, item);
    l->column += item.n;
}

static void put_quoted(struct layout *l, const char *before, const char *text)
{
    struct buf item = BUF(1 << 20);
    bool braces = text[strcspn(text, " \t\r\n")] != '\0';

    buf_addf(&item, "%s%s%s%s", before, braces ? "{" : "", text, braces ? "}" : "");
    postconf_fits(&item);
    put_item(l, buf_str(&item));
    buf_free(&item);
}

/* "-o name=value" from argv at *i, a line of its own when folding. */
static void put_option(const struct postconf *p, const struct conf_service *s, size_t *i,
                       size_t *option, struct layout *l)
{
    struct buf text = BUF(1 << 20);
    const struct conf_option *o = &s->options[(*option)++];

    if (s->argv[*i][2] == '\0')
        (*i)++;
    buf_addf(&text, "%s=", o->name);
    option_value(p, s, o->value, &text);
    postconf_fits(&text);
    l->column = l->fold ? LINE_LIMIT : l->column;
    put_quoted(l, "-o ", text.p);
    l->column = l->fold ? LINE_LIMIT : l->column;
    buf_free(&text);
}

/* The arguments behind the command: daemon options, then the rest. The first of the rest stays
 * without braces, as Postfix shows it. */
static void put_arguments(const struct postconf *p, const struct conf_service *s, struct layout *l)
{
    size_t i = 1, option = 0;

    for (; i < s->argc && s->argv[i][0] == '-' && strcmp(s->argv[i], "--") != 0; i++) {
        if (strncmp(s->argv[i], "-o", 2) == 0 && option < s->noptions)
            put_option(p, s, &i, &option, l);
        else
            put_item(l, strz(s->argv[i]));
    }
    if (i < s->argc)
        put_item(l, strz(s->argv[i++]));
    for (; i < s->argc; i++)
        put_quoted(l, "", s->argv[i]);
}

static void put_command(const struct postconf *p, const struct conf_service *s, struct layout *l)
{
    buf_addz(l->out, s->command);
    l->column += strlen(s->command);
    put_arguments(p, s, l);
}

void postconf_format_service(const struct postconf *p, const struct conf_service *s, bool fold,
                             struct buf *out)
{
    static const size_t columns[CONF_COLUMNS] = {0, 11, 17, 25, 33, 41, 49, 57};
    struct layout l = {out, 0, fold};

    for (int i = 0; i < COLUMN_COMMAND; i++) {
        size_t n = strlen(s->column[i]), next = columns[i + 1];
        size_t blanks = l.column + n < next ? next - l.column - n : 1;
        buf_addf(out, "%s%*s", s->column[i], (int)blanks, "");
        l.column += n + blanks;
    }
    put_command(p, s, &l);
}

/* "name[/type[/item]]"; "*" and what is missing match all. */
static bool matches(const struct conf_service *s, const char *request, struct str *item)
{
    struct str rest = strz(request), name, type = STR("*");

    str_split(&rest, '/', &name);
    if (rest.n > 0)
        str_split(&rest, '/', &type);
    *item = rest.n > 0 ? rest : STR("*");
    return (str_eqz(name, "*") || str_eqz(name, s->name)) &&
           (str_eqz(type, "*") || str_eqz(type, s->column[COLUMN_TYPE]));
}

static void print_item(const struct postconf *p, const struct conf_service *s, const char *item,
                       const char *value)
{
    if (!p->hide_name || p->hide_value)
        printf("%s/%s/%s%s", s->name, s->column[COLUMN_TYPE], item,
               p->hide_value      ? ""
               : value[0] == '\0' ? " ="
                                  : " = ");
    printf("%s\n", p->hide_value ? "" : value);
}

static bool print_fields(const struct postconf *p, const struct conf_service *s, struct str item)
{
    bool any = false;

    for (int i = 0; i < CONF_COLUMNS; i++) {
        struct buf value = BUF(1 << 20);
        if (!str_eqz(item, "*") && !str_eqz(item, fields[i]))
            continue;
        struct layout l = {&value, strlen(s->name) + strlen(s->column[COLUMN_TYPE]) + 12, p->fold};
        if (i == COLUMN_COMMAND)
            put_command(p, s, &l);
        else
            buf_addz(&value, s->column[i]);
        postconf_fits(&value);
        print_item(p, s, fields[i], value.p);
        buf_free(&value);
        any = true;
    }
    return any;
}

static int by_name(const void *a, const void *b)
{
    const struct conf_option *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Each parameter once, with its last value, by name. */
static bool print_options(const struct postconf *p, const struct conf_service *s, struct str item)
{
    VEC(const struct conf_option *) shown = {0};
    bool any = false;

    for (size_t i = 0; i < s->noptions; i++) {
        bool later = false;
        for (size_t j = i + 1; j < s->noptions; j++)
            later = later || strcmp(s->options[i].name, s->options[j].name) == 0;
        if (!later && (str_eqz(item, "*") || str_eqz(item, s->options[i].name)))
            *VEC_ADD(&shown) = &s->options[i];
    }
    if (shown.n > 0)
        qsort(shown.at, shown.n, sizeof *shown.at, by_name);
    for (size_t i = 0; i < shown.n; i++) {
        struct buf text = BUF(1 << 20), value = BUF(1 << 20);
        struct str word;
        option_value(p, s, shown.at[i]->value, &text);
        struct str rest = buf_str(&text);
        while (str_word_braces(&rest, " \t\r\n", &word)) {
            buf_addz(&value, value.n > 0 ? " " : "");
            buf_add(&value, word);
        }
        postconf_fits(&text);
        postconf_fits(&value);
        print_item(p, s, shown.at[i]->name, value.p);
        buf_free(&text);
        buf_free(&value);
        any = true;
    }
    VEC_FREE(&shown);
    return any;
}

static void print_service(const struct postconf *p, const struct conf_service *s)
{
    struct buf line = BUF(1 << 20);

    postconf_format_service(p, s, p->fold, &line);
    postconf_fits(&line);
    printf("%s\n", line.p);
    buf_free(&line);
}

static bool print_matching(const struct postconf *p, enum master_view view, const char *request)
{
    bool any = false;
    struct str item;

    for (size_t i = 0; i < p->master.n; i++) {
        const struct conf_service *s = &p->master.at[i];
        if (!matches(s, request, &item))
            continue;
        if (view == VIEW_SERVICES)
            print_service(p, s);
        any |= view == VIEW_SERVICES ||
               (view == VIEW_FIELDS ? print_fields(p, s, item) : print_options(p, s, item));
    }
    return any;
}

static void check_request(enum master_view view, const char *request)
{
    size_t slashes = 0;
    for (const char *c = request; *c != '\0'; c++)
        slashes += *c == '/';
    if (view == VIEW_SERVICES && slashes > 1)
        postconf_fatal("-M option requires service_name[/type]");
    if (slashes > 2)
        postconf_fatal("-%c option requires service_name[/type[/%s]]", view,
                       view == VIEW_FIELDS ? "field" : "parameter");
}

static void check_field(const char *request)
{
    struct str item, rest = strz(request);

    for (int i = 0; i < 2; i++)
        if (!str_split(&rest, '/', &item))
            return;
    bool known = rest.n == 0 || str_eqz(rest, "*");
    for (int i = 0; i < CONF_COLUMNS; i++)
        known = known || str_eqz(rest, fields[i]);
    if (!known)
        postconf_fatal("invalid service attribute name: \"%.*s\"", (int)rest.n, rest.p);
}

void postconf_master_list(const struct postconf *p, enum master_view view, char **names, int n)
{
    if (n == 0)
        print_matching(p, view, "*");
    for (int i = 0; i < n; i++) {
        check_request(view, names[i]);
        if (view == VIEW_FIELDS)
            check_field(names[i]);
        if (!print_matching(p, view, names[i]))
            postconf_warn("unmatched request: \"%s\"", names[i]);
    }
}
