/*
 * NAME
 *   postcat - shows the contents of queue files
 *
 * SYNOPSIS
 *   postcat [-bdehorv] [-c config_dir] [-q] [-s offset] [files...]
 *
 * DESCRIPTION
 *   Prints queue files so that people can read them: by default everything, with -e the envelope,
 *   -h the header, -b the body. Without files it reads standard input. -q looks for the files, by
 *   queue id, in the queue; -d prints the type of each record as a number, -o its offset; -r prints
 *   the records as they stand in the file and does not follow pointers; -s begins at an offset. -v
 *   prints every record with its type.
 *
 * SEE ALSO
 *   postqueue(1), postsuper(1)
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "queue/qfile.h"
#include "queue/qid.h"

enum { SHOW_ENVELOPE = 1, SHOW_HEADER = 2, SHOW_BODY = 4 };
enum section { IN_ENVELOPE, IN_HEADER, IN_BODY, IN_EXTRACTED };

static struct {
    unsigned show;
    bool types, offsets, file_order, verbose, by_id;
    off_t start;
} cat;

struct view {
    const char *name;
    enum section section;
    bool in_line; /* the record before was a piece of a line */
    size_t sizes, lines; /* records seen */
    off_t at; /* where reading the record began: before the pointers that led to it */
};

static void put_prefix(const struct view *v, int type)
{
    if (cat.offsets)
        printf("%9lld ", (long long)v->at);
    if (cat.types)
        printf("%3d ", type);
}

/* The form of ctime(3). */
static void put_time(struct str seconds)
{
    struct str word = {"", 0};
    char text[60];
    struct tm tm;
    int64_t wall = 0;

    if (str_word(&seconds, " ", &word))
        num_parse(word, 0, INT64_MAX / 2000, &wall);
    clock_local(wall, &tm, NULL);
    strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm);
    puts(text);
}

static void put_text(struct str s)
{
    fwrite(s.p, 1, s.n, stdout);
}

static void show_attribute(const struct view *v, int type, struct str body)
{
    struct str name, value;

    if (!qrec_parse_attr(body, &name, &value)) {
        msg_warn("%s: malformed attribute: missing '=' after attribute name: %.*s", v->name,
                 (int)body.n, body.p);
    } else if (str_eqz(name, "create_time")) {
        fputs("create_time: ", stdout);
        put_time(value);
    } else {
        printf("%s: ", qrec_name(type));
        put_text(name);
        putchar('=');
        put_text(value);
        putchar('\n');
    }
}

static void show_envelope_record(struct view *v, int type, struct str body)
{
    switch (type) {
    case REC_ATTR:
        show_attribute(v, type, body);
        break;
    case REC_TIME:
    case REC_WARN:
        printf("%s: ", qrec_name(type));
        put_time(body);
        break;
    case REC_SIZE:
        if (v->sizes++ > 0)
            msg_warn("file contains multiple size records");
        /* fall through */
    default:
        printf("%s: ", qrec_name(type));
        put_text(body);
        putchar('\n');
    }
}

/* Ends the header: what has no name and a colon, and does not continue a field. */
static bool is_header_line(struct str line, bool first)
{
    if (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
        return !first;
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == ':')
            return i > 0;
        if ((unsigned char)line.p[i] <= ' ' || line.p[i] == 0x7f)
            return false;
    }
    return false;
}

static void show_line(struct view *v, int type, struct str body)
{
    if (v->section == IN_HEADER && !v->in_line && !is_header_line(body, v->lines == 0))
        v->section = IN_BODY;
    v->lines++;
    v->in_line = type == REC_CONT;
    if (!(cat.show & (v->section == IN_HEADER ? SHOW_HEADER : SHOW_BODY)))
        return;
    put_prefix(v, type);
    if (cat.verbose)
        printf("%s: ", type == REC_CONT ? "unterminated_text" : "regular_text");
    put_text(body);
    if (type != REC_CONT || cat.offsets || cat.verbose)
        putchar('\n');
}

static void show_marker(const struct view *v, int type, const char *text)
{
    if (!(cat.show & SHOW_ENVELOPE))
        return;
    put_prefix(v, type);
    printf("*** %s %s ***\n", text, v->name);
}

static void begin_content(struct view *v)
{
    if (v->section != IN_ENVELOPE)
        msg_warn("%s: out-of-order message content marker", v->name);
    show_marker(v, REC_MESG, "MESSAGE CONTENTS");
    v->section = IN_HEADER;
}

static void begin_extracted(struct view *v)
{
    if (v->section != IN_HEADER && v->section != IN_BODY)
        msg_warn("%s: out-of-order extracted segment marker", v->name);
    show_marker(v, REC_XTRA, "HEADER EXTRACTED");
    v->section = IN_EXTRACTED;
}

static enum rec next_record(struct qfile *f, struct str *body)
{
    /* Pointers and padding are to be seen, or not to be followed. */
    return cat.verbose || cat.file_order ? qfile_next_raw(f, body) : qfile_next(f, body);
}

static void follow(struct qfile *f, struct str body)
{
    int64_t to;

    if (!cat.file_order && num_parse(str_trim(body), 1, INT64_MAX / 2, &to))
        qfile_seek(f, to, NULL);
}

/* What may stand at the start of a queue file. */
static bool is_start(enum rec type)
{
    return type == REC_SIZE || type == REC_TIME;
}

static void show_record(struct view *v, enum rec type, struct str body)
{
    static const char text_types[] = {REC_NORM, REC_CONT, 0};
    bool text =
        strchr(text_types, type) != NULL && v->section != IN_ENVELOPE && v->section != IN_EXTRACTED;

    if (text)
        show_line(v, type, body);
    else if (type == REC_MESG)
        begin_content(v);
    else if (type == REC_XTRA)
        begin_extracted(v);
    else if (type == REC_END)
        show_marker(v, REC_END, "MESSAGE FILE END");
    else if (cat.show & SHOW_ENVELOPE) {
        if ((type == REC_PTR || type == REC_DTXT) && !cat.verbose)
            return;
        put_prefix(v, type);
        show_envelope_record(v, type, body);
    }
}

static void show_file(struct qfile *f, const char *name)
{
    struct view v = {.name = name};
    struct str body;
    enum rec type;
    bool first = true;

    if (cat.start > 0 && (cat.start >= qfile_stat(f)->st_size || qfile_seek(f, cat.start, NULL)))
        msg_fatal("bad offset: %s", name);
    while (v.at = qfile_tell(f), (type = next_record(f, &body)) != REC_EOF) {
        if (type == REC_BAD && !(first && cat.start == 0))
            msg_fatal("%s: record read error", name);
        if (first && cat.start == 0) {
            if (!is_start(type)) {
                msg_warn("%s: input is not a valid queue file", name);
                return;
            }
            if (cat.show & SHOW_ENVELOPE)
                printf("*** ENVELOPE RECORDS %s ***\n", name);
        }
        first = false;
        show_record(&v, type, body);
        if (type == REC_PTR)
            follow(f, body);
        if (type == REC_END)
            break;
    }
    fflush(stdout);
}

/* Standard input is no file that can be read twice: a copy is. */
static void show_input(void)
{
    char path[] = "/tmp/postcat.XXXXXX";
    struct buf all = BUF(1 << 30);
    struct why why = WHY;
    int fd = mkstemp(path);

    if (fd < 0 || file_read_fd(STDIN_FILENO, &all) < 0 || file_write_all(fd, all.p, all.n) < 0)
        msg_fatal("standard input: %s", strerror(errno));
    close(fd);
    struct qfile *f = qfile_open_path(path, &why);
    unlink(path);
    if (f == NULL)
        msg_fatal("%s", why_text(&why));
    show_file(f, "stdin");
    qfile_close(&f);
    buf_free(&all);
    why_free(&why);
}

static struct qfile *open_by_id(const char *id, struct buf *path)
{
    static const enum queue places[] = {Q_MAILDROP, Q_INCOMING, Q_ACTIVE, Q_DEFERRED,
                                        Q_HOLD,     Q_CORRUPT,  Q_COUNT};

    for (const enum queue *q = places; qid_valid(strz(id)) && *q != Q_COUNT; q++) {
        queue_path(path, *q, id);
        struct qfile *f = qfile_open_path(path->p, NULL);
        if (f != NULL)
            return f;
    }
    errno = ENOENT;
    return NULL;
}

static void show_named(const char *name)
{
    /* fits: or is left out whole: for people only; by id see queue_path */
    struct buf path = BUF(4096);
    struct why why = WHY;
    struct qfile *f;

    buf_setz(&path, name);
    f = cat.by_id ? open_by_id(name, &path) : qfile_open_path(name, &why);
    if (f == NULL)
        msg_fatal("open queue file %s: %s", name, strerror(errno));
    show_file(f, path.p);
    qfile_close(&f);
    buf_free(&path);
    why_free(&why);
}

static off_t parse_offset(const char *text)
{
    int64_t n;

    if (!num_parse(strz(text), 0, INT64_MAX / 2, &n))
        msg_fatal("bad offset: %s", text);
    return n;
}

static const char *options(int argc, char **argv)
{
    const char *dir = NULL;
    int option;

    while ((option = getopt(argc, argv, "bc:dehoqrs:v")) != -1)
        switch (option) {
        case 'b':
            cat.show |= SHOW_BODY;
            break;
        case 'c':
            dir = optarg;
            break;
        case 'd':
            cat.types = true;
            break;
        case 'e':
            cat.show |= SHOW_ENVELOPE;
            break;
        case 'h':
            cat.show |= SHOW_HEADER;
            break;
        case 'o':
            cat.offsets = true;
            break;
        case 'q':
            cat.by_id = true;
            break;
        case 'r':
            cat.file_order = true;
            break;
        case 's':
            cat.start = parse_offset(optarg);
            break;
        case 'v':
            cat.verbose = true;
            break;
        default:
            msg_fatal("usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] "
                      "[-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] "
                      "[file(s)...]");
        }
    if (cat.show == 0)
        cat.show = SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY;
    return dir;
}

int main(int argc, char **argv)
{
    struct why why = WHY;

    msg_open("postcat");
    msg_to_stderr(true);
    if (conf_load(options(argc, argv), NULL, NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    if (cat.by_id && chdir(conf.queue_directory) < 0)
        msg_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
    if (optind == argc && !cat.by_id)
        show_input();
    for (int i = optind; i < argc; i++)
        show_named(argv[i]);
    return 0;
}
