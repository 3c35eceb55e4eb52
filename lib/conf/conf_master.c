#include "conf/conf_master.h"

#include "base/arena.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/conf_lines.h"
#include "conf/conf_snapshot.h"

static const char blanks[] = " \t\r\n\v\f";
static const char *const type_names[] = {
    [SERVICE_INET] = "inet",
    [SERVICE_UNIX] = "unix",
    [SERVICE_FIFO] = "fifo",
    [SERVICE_PASS] = "pass",
    [SERVICE_UNIX_DGRAM] = "unix-dgram",
};

struct parser {
    struct arena *mem;
    const char *path;
    unsigned line;
    bool chroot_default;
    int64_t maxproc_default;
    struct why *why;
};

const char *conf_service_type_name(enum conf_service_type t)
{
    return type_names[t];
}

static int wrong(struct parser *p, const char *column, const char *got, const char *expected)
{
    return why_set(p->why, "4.3.5", "%s, line %u: %s \"%s\": expected %s", p->path, p->line, column,
                   got, expected);
}

static int parse_flag(struct parser *p, const char *text, bool if_absent, const char *column,
                      bool *out)
{
    if (strcmp(text, "-") != 0 && strcmp(text, "y") != 0 && strcmp(text, "n") != 0)
        return wrong(p, column, text, "y, n or - (the default)");
    *out = text[0] == '-' ? if_absent : text[0] == 'y';
    return 0;
}

static int parse_type(struct parser *p, struct conf_service *s)
{
    const char *text = s->column[COLUMN_TYPE];

    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (strcmp(text, type_names[i]) == 0) {
            s->type = (enum conf_service_type)i;
            return 0;
        }
    return wrong(p, "type", text, "inet, unix, fifo, pass or unix-dgram");
}

static int parse_wakeup(struct parser *p, struct conf_service *s)
{
    struct str text = strz(s->column[COLUMN_WAKEUP]);

    if (str_eqz(text, "-"))
        return 0;
    if (str_ends(text, STR("?"))) {
        s->wakeup_if_used = true;
        text.n--;
    }
    if (!num_parse(text, 0, INT32_MAX, &s->wakeup))
        return wrong(p, "wakeup time", s->column[COLUMN_WAKEUP],
                     "seconds (0: never), maybe with ? behind");
    return 0;
}

static int parse_maxproc(struct parser *p, struct conf_service *s)
{
    const char *text = s->column[COLUMN_MAXPROC];

    s->maxproc = p->maxproc_default;
    if (strcmp(text, "-") != 0 && !num_parse(strz(text), 0, INT32_MAX, &s->maxproc))
        return wrong(p, "process limit", text, "a number (0: no limit)");
    return 0;
}

static int parse_columns(struct parser *p, struct conf_service *s, struct str *rest)
{
    static const char *const names[] = {"service name", "type",   "private", "unprivileged",
                                        "chroot",       "wakeup", "maxproc", "command"};
    struct str word;

    for (int i = 0; i < CONF_COLUMNS; i++) {
        if (!str_word(rest, blanks, &word))
            return why_set(p->why, "4.3.5",
                           "%s, line %u: missing \"%s\" column; a line is: service type private "
                           "unprivileged chroot wakeup maxproc command arguments",
                           p->path, p->line, names[i]);
        s->column[i] = arena_strz(p->mem, word);
    }
    s->name = s->column[COLUMN_NAME];
    s->command = s->column[COLUMN_COMMAND];
    if (parse_type(p, s) < 0 ||
        parse_flag(p, s->column[COLUMN_PRIVATE], true, "private", &s->is_private) < 0 ||
        parse_flag(p, s->column[COLUMN_UNPRIV], true, "unprivileged", &s->unprivileged) < 0 ||
        parse_flag(p, s->column[COLUMN_CHROOT], p->chroot_default, "chroot", &s->chroot) < 0 ||
        parse_wakeup(p, s) < 0 || parse_maxproc(p, s) < 0)
        return -1;
    if (s->command[0] == '/' || strstr(s->command, "..") != NULL)
        return wrong(p, "command", s->command, "a program in daemon_directory, without directory");
    if (s->type == SERVICE_INET && strcmp(s->column[COLUMN_PRIVATE], "y") == 0)
        return wrong(p, "private", "y", "n or - for an inet service");
    if (s->type == SERVICE_INET)
        s->is_private = false;
    return 0;
}

/* Up to a blank that is not in braces: -o x=inline:{{a = b}},permit is one word, as in Postfix. */
static struct str take_word(struct str *rest)
{
    size_t depth = 0, n = 0;

    for (; n < rest->n && (depth > 0 || strchr(blanks, rest->p[n]) == NULL); n++)
        if (rest->p[n] == '{')
            depth++;
        else if (rest->p[n] == '}' && depth > 0)
            depth--;
    struct str word = str_upto(*rest, n);
    *rest = str_from(*rest, n);
    return word;
}

/* The next argument; one in braces without them and the blanks inside. */
static int next_argument(struct parser *p, struct str *rest, struct str *argument)
{
    while (rest->n > 0 && strchr(blanks, rest->p[0]) != NULL)
        *rest = str_from(*rest, 1);
    if (rest->n == 0)
        return 0;
    if (rest->p[0] != '{') {
        *argument = take_word(rest);
        return 1;
    }
    size_t n = conf_braces(*rest);
    if (n == 0)
        return wrong(p, "argument", arena_strz(p->mem, *rest), "a closing }");
    *argument = str_trim(str_part(*rest, 1, n - 2));
    *rest = str_from(*rest, n);
    if (rest->n > 0 && strchr(blanks, rest->p[0]) == NULL)
        return wrong(p, "argument", arena_strz(p->mem, *rest), "white space after }");
    return 1;
}

/* Each "-o name=value", "-oname=value" and "-o { name = value }" of argv. An argument that does not
 * begin with '-' ends them, as for getopt(3); other options take at most the rest of their word. */
static int collect_options(struct parser *p, struct conf_service *s)
{
    struct conf_option *options = arena_array(p->mem, s->argc, sizeof *options);
    struct str name, value;

    for (size_t i = 1; i < s->argc && s->argv[i][0] == '-'; i++) {
        const char *text = s->argv[i];
        if (strncmp(text, "-o", 2) != 0)
            continue;
        text = text[2] != '\0' ? text + 2 : i + 1 < s->argc ? s->argv[++i] : "";
        const char *bad = conf_split_setting(strz(text), &name, &value);
        if (bad != NULL)
            return wrong(p, "-o", text, "name=value, or { name = value }");
        options[s->noptions++] =
            (struct conf_option){arena_strz(p->mem, name), arena_strz(p->mem, value)};
    }
    s->options = options;
    return 0;
}

/* "-vo" is -v and -o: how many bytes of the word stand before the -o, 0 if none do. After a letter
 * that takes the rest of the word (getopt of service_options.c) there is none. */
static size_t flags_before_o(struct str word)
{
    if (word.n < 3 || word.p[0] != '-' || word.p[1] == '-')
        return 0;
    for (size_t i = 1; i < word.n; i++) {
        if (word.p[i] == 'o')
            return i > 1 ? i : 0;
        if (strchr("cmnst", word.p[i]) != NULL)
            return 0;
    }
    return 0;
}

static int parse_arguments(struct parser *p, struct conf_service *s, struct str rest)
{
    VEC(const char *) words = {0};
    struct str word;
    bool options = true; /* getopt still looks for them */
    bool is_value = false;
    int more;

    *VEC_ADD(&words) = s->command;
    while ((more = next_argument(p, &rest, &word)) > 0) {
        size_t flags = options && !is_value ? flags_before_o(word) : 0;
        options = options && (is_value || (word.n > 1 && word.p[0] == '-'));
        if (flags > 0) {
            *VEC_ADD(&words) = arena_strz(p->mem, str_upto(word, flags));
            *VEC_ADD(&words) = arena_printf(p->mem, "-%.*s", (int)(word.n - flags), word.p + flags);
        } else {
            *VEC_ADD(&words) = arena_strz(p->mem, word);
        }
        is_value = options && strcmp(words.at[words.n - 1], "-o") == 0;
    }
    const char **argv = arena_array(p->mem, words.n + 1, sizeof *argv);
    memcpy(argv, words.at, words.n * sizeof *argv);
    s->argv = argv;
    s->argc = words.n;
    VEC_FREE(&words);
    return more < 0 ? -1 : collect_options(p, s);
}

static int parse_line(struct parser *p, struct str line, struct conf_service *s)
{
    s->first_line = p->line;
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return why_set(p->why, "4.3.5", "%s, line %u: the first line must not begin with a blank",
                       p->path, p->line);
    if (memchr(line.p, '\0', line.n) != NULL)
        return why_set(p->why, "4.3.5", "%s, line %u: zero byte in the line", p->path, p->line);
    return parse_columns(p, s, &line) < 0 ? -1 : parse_arguments(p, s, line);
}

int conf_master_parse(struct str text, const char *path, bool chroot_default,
                      int64_t maxproc_default, struct conf_master *out, struct why *why)
{
    struct conf_lines lines = CONF_LINES(text);
    /* fits: a logical line is not longer than the text */
    struct buf line = BUF(text.n + 1);
    VEC(struct conf_service) services = {0};
    unsigned last;
    int result = 0;

    *out = (struct conf_master){.mem = arena_new(NULL)};
    struct parser p = {out->mem, path, 0, chroot_default, maxproc_default, why};
    while (result == 0 && conf_lines_next(&lines, &line, &p.line, &last)) {
        struct conf_service *s = VEC_ADD(&services);
        result = parse_line(&p, buf_str(&line), s);
        s->last_line = last;
    }
    out->at = arena_array(out->mem, services.n, sizeof *out->at);
    if (services.n > 0)
        memcpy(out->at, services.at, services.n * sizeof *out->at);
    out->n = services.n;
    VEC_FREE(&services);
    buf_free(&line);
    if (result < 0)
        conf_master_free(out);
    return result;
}

int conf_master_load(struct conf_master *out, struct why *why)
{
    struct buf text = BUF(16 << 20), path = BUF_TEXT(5000), level = BUF_TEXT(100);
    int result = -1;

    *out = (struct conf_master){0};
    buf_addf(&path, "%s/master.cf", conf_dir());
    if (conf_expand("${{$compatibility_level} <level {1} ? {y} : {n}}", &level, why) == 0 &&
        conf_file_read(conf_dir(), "master.cf", &text, why) == 0)
        result = conf_master_parse(buf_str(&text), path.p, level.p[0] == 'y',
                                   conf.default_process_limit, out, why);
    buf_free(&level);
    buf_free(&path);
    buf_free(&text);
    return result;
}

void conf_master_free(struct conf_master *m)
{
    arena_free(&m->mem);
    *m = (struct conf_master){0};
}

const struct conf_service *conf_master_find(const struct conf_master *m, const char *name,
                                            enum conf_service_type type)
{
    for (size_t i = m->n; i > 0; i--)
        if (m->at[i - 1].type == type && strcmp(m->at[i - 1].name, name) == 0)
            return &m->at[i - 1];
    return NULL;
}

bool conf_master_again(const struct conf_master *m, const struct conf_service *s)
{
    for (const struct conf_service *t = s + 1; t < m->at + m->n; t++)
        if (t->type == s->type && t->is_private == s->is_private && strcmp(t->name, s->name) == 0)
            return true;
    return false;
}

bool conf_service_matches(const struct conf_service *s, struct str pattern)
{
    ptrdiff_t slash = str_rfind(pattern, '/');
    struct str type = str_from(pattern, (size_t)(slash + 1));

    if (slash >= 0 && !str_eqz(str_upto(pattern, (size_t)slash), "*") &&
        !str_eqz(str_upto(pattern, (size_t)slash), s->name))
        return false;
    return str_eqz(type, "*") || str_eqz(type, s->column[COLUMN_TYPE]);
}

bool conf_master_disabled(const struct conf_service *s)
{
    struct str word, list = strz(conf.master_service_disable);

    while (str_word(&list, ", \t\r\n", &word))
        if (conf_service_matches(s, word))
            return true;
    return false;
}
