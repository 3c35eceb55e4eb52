/*
 * Changing master.cf in place: each argument is one change to the text of the file, which is
 * parsed anew for the next one. Comments stay, also those inside a service's lines.
 */
#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"

#include "postconf.h"

static const char *const fields[CONF_COLUMNS] = {
    "service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"};

struct request {
    const char *text; /* the argument, for messages */
    struct str name, type, item, value;
    bool has_item;
};

static void parse_request(const struct postconf *p, enum master_view view, const char *arg,
                          struct request *r)
{
    struct str rest = strz(arg);
    ptrdiff_t equals = str_find(rest, '=');

    *r = (struct request){.text = arg};
    if (strchr(arg, '\n') != NULL)
        postconf_fatal("-e, -X, or -# accepts no multi-line input");
    if (p->edit == EDIT_SET) {
        if (equals < 0)
            postconf_fatal("missing '=' after attribute name: \"%s\"", arg);
        r->value = str_trim(str_from(rest, (size_t)equals + 1));
        rest = str_trim(str_upto(rest, (size_t)equals));
    } else if (equals >= 0) {
        postconf_fatal("-X or -# requires names without value: \"%s\"", arg);
    }
    bool good = str_split(&rest, '/', &r->name) && str_split(&rest, '/', &r->type);
    r->has_item = good && rest.n > 0;
    r->item = rest;
    if (!good || r->has_item != (view != VIEW_SERVICES))
        postconf_fatal("-%c: expected service/type%s: \"%s\"", view,
                       view == VIEW_SERVICES ? "" : "/name", arg);
}

static bool is_for(const struct request *r, const struct conf_service *s)
{
    return (str_eqz(r->name, "*") || str_eqz(r->name, s->name)) &&
           (str_eqz(r->type, "*") || str_eqz(r->type, s->column[COLUMN_TYPE]));
}

static void put_word(struct buf *out, const char *before, struct str word)
{
    bool braces = word.n == 0 || memchr(word.p, ' ', word.n) || memchr(word.p, '\t', word.n);

    buf_addf(out, "%s%s%.*s%s", before, braces ? "{" : "", (int)word.n, word.p, braces ? "}" : "");
}

/* "-o name=value" with the value of the request instead, or nothing if it is to go. */
static void put_option(const struct postconf *p, const struct request *r,
                       const struct conf_option *o, bool is_it, struct buf *out)
{
    struct buf setting = BUF(1 << 20);

    if (is_it && p->edit != EDIT_SET)
        return;
    buf_addf(&setting, "%s=", o->name);
    if (is_it)
        buf_add(&setting, r->value);
    else
        buf_addz(&setting, o->value);
    postconf_fits(&setting);
    put_word(out, " -o ", buf_str(&setting));
    buf_free(&setting);
}

static void put_new_option(const struct request *r, struct buf *out)
{
    struct buf setting = BUF(1 << 20);

    buf_add(&setting, r->item);
    buf_addc(&setting, '=');
    buf_add(&setting, r->value);
    postconf_fits(&setting);
    put_word(out, " -o ", buf_str(&setting));
    buf_free(&setting);
}

/* The arguments with one parameter changed (-P), or as they are (r null). */
static void put_arguments(const struct postconf *p, const struct request *r,
                          const struct conf_service *s, struct buf *out)
{
    size_t i = 1, option = 0;
    bool found = r == NULL;

    for (; i < s->argc && s->argv[i][0] == '-' && strcmp(s->argv[i], "--") != 0; i++) {
        if (strncmp(s->argv[i], "-o", 2) == 0 && option < s->noptions) {
            const struct conf_option *o = &s->options[option++];
            bool is_it = r != NULL && str_eqz(r->item, o->name);
            put_option(p, r, o, is_it, out);
            found = found || is_it;
            i += s->argv[i][2] == '\0';
        } else {
            put_word(out, " ", strz(s->argv[i]));
        }
    }
    if (!found && p->edit == EDIT_SET)
        put_new_option(r, out);
    for (; i < s->argc; i++)
        put_word(out, " ", strz(s->argv[i]));
}

/* The service's line after the request, unfolded. */
static void build_line(const struct postconf *p, enum master_view view, const struct request *r,
                       const struct conf_service *s, struct buf *out)
{
    bool known = view != VIEW_FIELDS;

    if (view == VIEW_SERVICES) {
        buf_add(out, r->value);
        return;
    }
    for (int i = 0; i < CONF_COLUMNS; i++) {
        bool is_it = view == VIEW_FIELDS && str_eqz(r->item, fields[i]);
        known = known || is_it;
        buf_addz(out, i > 0 ? " " : "");
        if (is_it)
            buf_add(out, r->value);
        else
            buf_addz(out, s->column[i]);
    }
    if (!known)
        postconf_fatal("invalid service attribute name: \"%.*s\"", (int)r->item.n, r->item.p);
    if (view == VIEW_FIELDS && !str_eqz(r->item, "command"))
        put_arguments(p, NULL, s, out);
    else if (view == VIEW_PARAMETERS)
        put_arguments(p, r, s, out);
}

/* Checked and laid out as in the file. */
static void format_line(const struct postconf *p, const struct request *r, const struct buf *line,
                        struct buf *out)
{
    struct postconf plain = {.edit = p->edit};
    struct conf_master one;
    struct why why = WHY;

    if (conf_master_parse(buf_str(line), "the new entry", true, 100, &one, &why) < 0)
        postconf_fatal("%s: \"%s\"", why_text(&why), r->text);
    if (one.n != 1)
        postconf_fatal("no service in \"%s\"", r->text);
    postconf_format_service(&plain, &one.at[0], true, out);
    buf_addc(out, '\n');
    conf_master_free(&one);
}

static void put_change(const struct postconf *p, enum master_view view, const struct request *r,
                       const struct conf_service *s, struct buf *out)
{
    struct buf line = BUF(1 << 20);

    build_line(p, view, r, s, &line);
    postconf_fits(&line);
    format_line(p, r, &line, out);
    buf_free(&line);
}

/* One physical line of a service that changes. */
static void edit_line(const struct postconf *p, enum master_view view, const struct request *r,
                      const struct conf_service *s, unsigned number, struct str line,
                      struct buf *out)
{
    struct str text = str_trim(line);
    bool remark = text.n == 0 || text.p[0] == '#', removes = view == VIEW_SERVICES;

    if (number == s->first_line && !(removes && p->edit != EDIT_SET))
        put_change(p, view, r, s, out);
    if (remark || (removes && p->edit == EDIT_COMMENT)) {
        buf_addz(out, remark ? "" : "#");
        buf_add(out, line);
        buf_addc(out, '\n');
    }
}

static const struct conf_service *service_at(const struct conf_master *m, const struct request *r,
                                             unsigned line)
{
    for (size_t i = 0; i < m->n; i++)
        if (line >= m->at[i].first_line && line <= m->at[i].last_line && is_for(r, &m->at[i]))
            return &m->at[i];
    return NULL;
}

static void edit_text(struct postconf *p, enum master_view view, const struct request *r,
                      struct str text, struct buf *out)
{
    bool found = false;

    for (unsigned number = 1; text.n > 0; number++) {
        ptrdiff_t end = str_find(text, '\n');
        struct str line = end < 0 ? text : str_upto(text, (size_t)end);
        const struct conf_service *s = service_at(&p->master, r, number);
        text = str_from(text, end < 0 ? text.n : (size_t)end + 1);
        if (s != NULL) {
            edit_line(p, view, r, s, number, line, out);
            found = true;
        } else {
            buf_add(out, line);
            buf_addc(out, '\n');
        }
    }
    if (!found && view == VIEW_SERVICES && p->edit == EDIT_SET)
        put_change(p, view, r, NULL, out);
    else if (!found)
        postconf_warn("unmatched request: \"%s\"", r->text);
}

static void parse_again(struct postconf *p, const struct buf *text, const char *path)
{
    struct why why = WHY;

    conf_master_free(&p->master);
    if (conf_master_parse(buf_str(text), path, true, 100, &p->master, &why) < 0)
        postconf_fatal("%s", why_text(&why));
}

void postconf_edit_master(struct postconf *p, enum master_view view, char **args, int n)
{
    struct buf path = BUF(5000); /* fits: or is left out whole, and "" names no file */
    struct buf text = BUF(16 << 20), next = BUF(20 << 20);
    struct why why = WHY;

    buf_addf(&path, "%s/master.cf", conf_dir());
    postconf_lock();
    if (file_read(path.p, &text, &why) < 0)
        postconf_fatal("%s", why_text(&why));
    for (int i = 0; i < n; i++) {
        struct request r;
        parse_request(p, view, args[i], &r);
        parse_again(p, &text, path.p);
        buf_clear(&next);
        edit_text(p, view, &r, buf_str(&text), &next);
        postconf_fits(&next);
        buf_swap(&text, &next);
    }
    postconf_replace_file(path.p, &text);
    buf_free(&path);
    buf_free(&text);
    buf_free(&next);
}
