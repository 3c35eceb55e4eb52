#include "mail/dsn_words.h"

#include "base/str.h"
#include "mail/header.h"

#define HOST "This is the mail system at host $myhostname.\n\n"
#define HELP                                                                                       \
    "\n"                                                                                           \
    "If you need help, please write to postmaster and add this report.\n"                          \
    "\n"                                                                                           \
    "                   The mail system\n"
#define FROM "Mail Delivery System <MAILER-DAEMON>"

static const struct {
    const char *name;
    struct dsn_words words;
} kinds[DSN_REPORT_KINDS] = {
    [DSN_REPORT_FAILED] =
        {"failure",
         {"us-ascii", FROM, "Undelivered Mail Returned to Sender",
          "Postmaster Copy: Undelivered Mail",
          HOST "Your message could not be delivered to the recipients below, and no\n"
               "further attempt will be made. It is attached, whole or in part.\n" HELP}},
    [DSN_REPORT_DELAYED] =
        {"delay",
         {"us-ascii", FROM, "Delayed Mail (still being retried)",
          "Postmaster Warning: Delayed Mail",
          HOST
          "This is only a warning: there is no need to send the message again.\n"
          "It could not yet be delivered to the recipients below. Delivery will\n"
          "be tried again, until the message is $maximal_queue_lifetime_days days old.\n" HELP}},
    [DSN_REPORT_SUCCESS] =
        {"success",
         {"us-ascii", FROM, "Successful Mail Delivery Report", NULL,
          HOST "Your message has been delivered to the recipients below. If it was\n"
               "passed to a system that sends no such notices, no other one follows.\n" HELP}},
    [DSN_REPORT_STATUS] = {"verify",
                           {"us-ascii", FROM, "Mail Delivery Status Report", NULL,
                            HOST
                            "Here is the report on mail delivery that you have asked for.\n" HELP}},
};

const char *dsn_words_name(enum dsn_kind kind)
{
    return kinds[kind].name;
}

void dsn_words_builtin(struct dsn_words words[DSN_REPORT_KINDS])
{
    for (size_t i = 0; i < DSN_REPORT_KINDS; i++)
        words[i] = kinds[i].words;
}

/* "failure_template": the kind, or DSN_REPORT_KINDS. */
static size_t kind_of(struct str name)
{
    size_t i = 0;

    if (!str_ends(name, STR("_template")))
        return DSN_REPORT_KINDS;
    name.n -= strlen("_template");
    while (i < DSN_REPORT_KINDS && !str_eqz(name, kinds[i].name))
        i++;
    return i;
}

static const char **field_of(struct dsn_words *w, struct str name)
{
    return str_ieqz(name, "Charset")              ? &w->charset
           : str_ieqz(name, "From")               ? &w->from
           : str_ieqz(name, "Subject")            ? &w->subject
           : str_ieqz(name, "Postmaster-Subject") ? &w->postmaster_subject
                                                  : NULL;
}

static int take_template(struct arena *mem, size_t kind, struct str body, struct dsn_words *words,
                         struct why *why)
{
    struct dsn_words w = words[kind];
    struct str rest = body, line, name, value;

    while (str_split(&rest, '\n', &line) && header_split(line, &name, &value)) {
        const char **field = field_of(&w, name);
        if (field == NULL)
            return why_set(why, "5.3.5", "unknown field \"%.*s\" in %s_template", (int)name.n,
                           name.p, kinds[kind].name);
        *field = arena_strz(mem, value);
        body = rest;
    }
    if (body.n > 0 && *body.p == '\n')
        body = str_from(body, 1);
    if (body.n == 0)
        return why_set(why, "5.3.5", "no text in %s_template", kinds[kind].name);
    w.text = arena_strz(mem, body);
    words[kind] = w;
    return 0;
}

/* The lines up to the one that is mark. False: there is none. */
static bool take_body(struct str *rest, struct str mark, struct str *body)
{
    struct str line;
    const char *start = rest->p;

    while (rest->n > 0 && str_split(rest, '\n', &line))
        if (str_eq(str_rtrim(line), mark)) {
            *body = (struct str){start, (size_t)(line.p - start)};
            return true;
        }
    return false;
}

int dsn_words_parse(struct arena *mem, struct str file, struct dsn_words words[DSN_REPORT_KINDS],
                    struct why *why)
{
    struct str line, body;
    int result = 0;

    while (file.n > 0 && str_split(&file, '\n', &line)) {
        line = str_trim(line);
        ptrdiff_t equals = str_search(line, STR("="));
        struct str mark = str_trim(str_from(line, (size_t)(equals + 1)));
        if (line.n == 0 || *line.p == '#')
            continue;
        size_t kind = kind_of(str_trim(str_upto(line, equals < 0 ? line.n : (size_t)equals)));
        bool here = equals > 0 && str_starts(mark, STR("<<"));
        int status = 0;
        if (!here || !take_body(&file, str_trim(str_from(mark, 2)), &body))
            status = why_set(why, "5.3.5", "no template: \"%.*s\"", (int)line.n, line.p);
        else if (kind == DSN_REPORT_KINDS)
            status = why_set(why, "5.3.5", "unknown template: \"%.*s\"", (int)line.n, line.p);
        else
            status = take_template(mem, kind, body, words, why);
        if (status < 0 && result == 0) {
            result = -1;
            why = NULL; /* the first one is told */
        }
    }
    return result;
}

void dsn_words_format(const struct dsn_words words[DSN_REPORT_KINDS], struct buf *out)
{
    for (size_t i = 0; i < DSN_REPORT_KINDS; i++) {
        const struct dsn_words *w = &words[i];
        buf_addf(out, "%s%s_template = <<EOF\nCharset: %s\nFrom: %s\nSubject: %s\n",
                 i > 0 ? "\n" : "", kinds[i].name, w->charset, w->from, w->subject);
        if (w->postmaster_subject != NULL)
            buf_addf(out, "Postmaster-Subject: %s\n", w->postmaster_subject);
        buf_addf(out, "\n%sEOF\n", w->text);
    }
}
