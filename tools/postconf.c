/*
 * NAME
 *     postconf - show and change the configuration
 *
 * SYNOPSIS
 *     postconf [-dfhHnopvx] [-C class,...] [-c config_dir] [-o name=value] [name ...]
 *     postconf [-e] [-c config_dir] name=value ...
 *     postconf -# | -X [-c config_dir] name ...
 *     postconf -M [-fovx] [-c config_dir] [service[/type] ...]
 *     postconf -F [-fhHovx] [-c config_dir] [service[/type[/field]] ...]
 *     postconf -P [-fhHovx] [-c config_dir] [service[/type[/parameter]] ...]
 *     postconf -M | -F | -P [-e] service/type[/name]=value ...
 *     postconf -M# | -MX | -PX service/type[/parameter] ...
 *     postconf -m | -a | -A | -l
 *     postconf -b | -t [template_file]
 *
 * DESCRIPTION
 *     Without options, shows all parameters of main.cf with their values. With names, those.
 *
 *     -a -A   The SASL implementations of the server, of the client.
 *     -C      builtin, service (made by master.cf), user (defined in main.cf), all.
 *     -b -t   The words of delivery reports: with values for $name, and as bounce_template_file (or
 *             the file given) has them.
 *     -c      Another configuration directory than $MAIL_CONFIG or /etc/postfix.
 *     -d      Defaults instead of values; main.cf is not read.
 *     -e      Change values in place. Comments stay. "name=value" alone does the same.
 *     -F      Fields of master.cf: service type private unprivileged chroot wakeup process_limit
 *             command.
 *     -f      Fold long lines.
 *     -h -H   Values without names, names without values.
 *     -l      How mailbox files can be locked.
 *     -M      Services of master.cf.
 *     -m      The types of lookup tables.
 *     -n      Only what main.cf sets.
 *     -o      Set a parameter for this run.
 *     -P      The -o parameters of the services in master.cf.
 *     -p      Parameters of main.cf (as without).
 *     -X -#   Remove; turn into a comment.
 *     -x      Expand $name in values.
 *
 *     A name that is set and that nothing uses is reported: "unused parameter". So is a $name
 *     without a value: "undefined parameter".
 *
 * DIAGNOSTICS
 *     Exit status 1 when a file cannot be read or written, or an argument is wrong; else 0.
 *
 * FILES
 *     main.cf, master.cf
 *
 * SEE ALSO
 *     postconf(5), master(5)
 */
#include "postconf.h"

#include <getopt.h>
#include <stdarg.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "queue/report_words.h"

static void report(const char *level, const char *fmt, va_list ap)
{
    struct buf text = BUF_TEXT(10000);

    fflush(stdout);
    buf_addv(&text, fmt, ap);
    fprintf(stderr, "postconf: %s: %s\n", level, text.p);
    buf_free(&text);
}

void postconf_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report("warning", fmt, ap);
    va_end(ap);
}

void postconf_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report("fatal", fmt, ap);
    va_end(ap);
    exit(1);
}

void postconf_fits(const struct buf *b)
{
    if (!buf_ok(b))
        postconf_fatal("a text becomes longer than %zu bytes", b->max);
}

static void log_line(const char *level, const char *text)
{
    if (strcmp(level, "info") != 0)
        postconf_warn("%s", text);
}

static unsigned parse_classes(const char *text)
{
    static const struct str_flag names[] = {{"builtin", CLASS_BUILTIN},
                                            {"service", CLASS_SERVICE},
                                            {"user", CLASS_USER},
                                            {"all", CLASS_ALL},
                                            {0}};
    unsigned classes;
    struct str unknown;

    if (!str_flags(text, names, &classes, &unknown))
        postconf_fatal("unknown -C option value \"%.*s\" in \"%s\"", (int)unknown.n, unknown.p,
                       text);
    return classes;
}

static void print_lines(const char *const *lines)
{
    for (; *lines != NULL; lines++)
        puts(*lines);
}

static void print_table_types(void)
{
    for (size_t i = 0; dict_type_at(i) != NULL; i++)
        puts(dict_type_at(i)->name);
}

/* -m -a -A -l: lists that need no configuration. */
static void print_list(int what)
{
    static const char *const servers[] = {"dovecot", NULL}, *const clients[] = {"cyrus", NULL};
    static const char *const locks[] = {"flock", "fcntl", "dotlock", NULL};

    if (what == 'm')
        print_table_types();
    else
        print_lines(what == 'a' ? servers : what == 'A' ? clients : locks);
}

/* -b, -t: the words of delivery reports, with or without values in the place of $name. */
static void print_words(struct postconf *p, int what, const char *path)
{
    struct dsn_words words[DSN_REPORT_KINDS];
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(1 << 24);
    struct why why = WHY;

    if (conf_load(p->dir, "bounce", NULL, &why) < 0)
        postconf_fatal("%s", why_text(&why));
    if (report_words_load(path != NULL ? path : conf.bounce_template_file, mem, words, &why) < 0)
        postconf_warn("%s", why_text(&why));
    if (what == 't')
        dsn_words_format(words, &out);
    for (size_t i = 0; what == 'b' && i < DSN_REPORT_KINDS; i++) {
        buf_addf(&out, "%sexpanded_%s_text = <<EOF\n", i > 0 ? "\n" : "", dsn_words_name(i));
        report_words_expand(words[i].text, &out);
        buf_addz(&out, "EOF\n");
    }
    postconf_fits(&out);
    fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
    why_free(&why);
    arena_free(&mem);
}

struct options {
    int list; /* m, a, A or l */
    int words; /* b or t */
    int view; /* M, F or P */
};

static void set_option(struct postconf *p, struct options *o, int letter)
{
    switch (letter) {
    case 'c':
        p->dir = optarg;
        break;
    case 'C':
        p->classes = parse_classes(optarg);
        break;
    case 'd':
        p->defaults = true;
        break;
    case 'e':
        p->edit = EDIT_SET;
        break;
    case '#':
        p->edit = EDIT_COMMENT;
        break;
    case 'X':
        p->edit = EDIT_REMOVE;
        break;
    case 'f':
        p->fold = true;
        break;
    case 'h':
        p->hide_name = true;
        break;
    case 'H':
        p->hide_value = true;
        break;
    case 'n':
        p->only_set = true;
        break;
    case 'o':
        if (strchr(optarg, '=') == NULL)
            postconf_fatal("-o option requires name=value argument");
        *VEC_ADD(&p->overrides) = optarg;
        break;
    case 'M':
    case 'F':
    case 'P':
        if (o->view != 0 && o->view != letter)
            postconf_fatal("specify one of -%c -%c", o->view, letter);
        o->view = letter;
        break;
    case 'm':
    case 'a':
    case 'A':
    case 'l':
        o->list = letter;
        break;
    case 'b':
    case 't':
        o->words = letter;
        break;
    case 'x':
        p->expand = true;
        break;
    case 'p':
    case 'v':
        break;
    default:
        postconf_fatal("usage: postconf [-aAbdefhHlmnptvxX#] [-M | -F | -P] [-C class] "
                       "[-c config_dir] [-o name=value] [name...]");
    }
}

static void check_options(const struct postconf *p, const struct options *o)
{
    if (p->defaults && p->only_set)
        postconf_fatal("specify one of -d -n");
    if (p->edit != EDIT_NONE && (p->defaults || p->only_set))
        postconf_fatal("specify one of %s -%c", p->edit == EDIT_SET ? "-e" : "-X or -#",
                       p->defaults ? 'd' : 'n');
    if (o->words == 'b' && (p->defaults || p->only_set))
        postconf_fatal("with option -b, do not specify -%c", p->defaults ? 'd' : 'n');
    if (o->view != 0 && (p->defaults || p->only_set))
        postconf_fatal("with option -%c, do not specify -%c", o->view, p->defaults ? 'd' : 'n');
    if (o->view == VIEW_SERVICES && (p->hide_name || p->hide_value))
        postconf_fatal("with option -M, do not specify -%c", p->hide_value ? 'H' : 'h');
    if (o->view == VIEW_FIELDS && p->edit > EDIT_SET)
        postconf_fatal("-%c does not apply to -F", p->edit == EDIT_COMMENT ? '#' : 'X');
}

static void read_master(struct postconf *p, bool must_exist)
{
    struct why why = WHY;

    if (conf_master_load(&p->master, &why) == 0)
        return;
    if (must_exist)
        postconf_fatal("%s", why_text(&why));
    if (!p->defaults)
        postconf_warn("%s", why_text(&why));
    why_free(&why);
}

static void read_configuration(struct postconf *p, bool wants_master)
{
    struct why why = WHY;

    *VEC_ADD(&p->overrides) = NULL;
    if (conf_read(p->dir, p->defaults, p->overrides.at, &why) < 0)
        postconf_fatal("%s", why_text(&why));
    if (!p->defaults && p->edit == EDIT_NONE)
        conf_warn_duplicates();
    read_master(p, wants_master);
    if (p->edit == EDIT_NONE)
        postconf_find_names(p);
}

static bool any_has_equals(char **args, int n)
{
    for (int i = 0; i < n; i++)
        if (strchr(args[i], '=') != NULL)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct postconf p = {.classes = CLASS_ALL};
    struct options o = {0};
    int letter;

    msg_open("postconf");
    msg_capture(log_line);
    while ((letter = getopt(argc, argv, "+aAbc:C:deEf#hFHlmMno:pPtvxX")) > 0)
        set_option(&p, &o, letter);
    argv += optind;
    argc -= optind;
    check_options(&p, &o);
    if (o.list != 0) {
        print_list(o.list);
        return 0;
    }
    if (o.words != 0) {
        print_words(&p, o.words, argc > 0 ? argv[0] : NULL);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (p.edit == EDIT_NONE && any_has_equals(argv, argc))
        p.edit = EDIT_SET;
    if (p.edit != EDIT_NONE && argc == 0)
        postconf_fatal("-e, -X, or -# requires at least one argument");
    read_configuration(&p, o.view != 0);
    if (p.edit != EDIT_NONE && o.view != 0)
        postconf_edit_master(&p, (enum master_view)o.view, argv, argc);
    else if (p.edit != EDIT_NONE)
        postconf_edit_main(&p, argv, argc);
    else if (o.view != 0)
        postconf_master_list(&p, (enum master_view)o.view, argv, argc);
    else
        postconf_list(&p, argv, argc);
    if (p.edit == EDIT_NONE && !p.defaults)
        postconf_warn_unused(&p, o.view == 0);
    hash_free(&p.valid, NULL);
    conf_master_free(&p.master);
    VEC_FREE(&p.overrides);
    return fflush(stdout) == 0 ? 0 : 1;
}
