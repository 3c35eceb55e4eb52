/*
 * The lines of the authentication protocol.
 */
#include "auth/auth_wire.h"

#include "base/num.h"
#include "base/str.h"

static const struct {
    const char *name;
    bool has_id;
} verbs[AUTH_VERBS] = {
    [AUTH_V_UNKNOWN] = {"", false},         [AUTH_V_VERSION] = {"VERSION", false},
    [AUTH_V_MECH] = {"MECH", false},        [AUTH_V_SPID] = {"SPID", false},
    [AUTH_V_CUID] = {"CUID", false},        [AUTH_V_COOKIE] = {"COOKIE", false},
    [AUTH_V_DONE] = {"DONE", false},        [AUTH_V_CPID] = {"CPID", false},
    [AUTH_V_AUTH] = {"AUTH", true},         [AUTH_V_CONT] = {"CONT", true},
    [AUTH_V_CANCEL] = {"CANCEL", true},     [AUTH_V_OK] = {"OK", true},
    [AUTH_V_FAIL] = {"FAIL", true},         [AUTH_V_REQUEST] = {"REQUEST", true},
    [AUTH_V_USER] = {"USER", true},         [AUTH_V_NOTFOUND] = {"NOTFOUND", true},
    [AUTH_V_EXCHANGE] = {"EXCHANGE", true}, [AUTH_V_TICKET] = {"TICKET", true},
};

const char *auth_verb_name(enum auth_verb verb)
{
    return verbs[verb].name;
}

/* Escapes are as long as or longer than what they stand for, so it is done in place. */
static bool unescape(char *p, size_t *n)
{
    size_t to = 0;

    for (size_t from = 0; from < *n; from++) {
        char c = p[from];
        if (c == '\001') {
            static const char from_set[] = "tnr01", to_set[] = "\t\n\r\0\001";
            const char *at;
            if (++from == *n || p[from] == '\0' || (at = strchr(from_set, p[from])) == NULL)
                return false;
            c = to_set[at - from_set];
        }
        p[to++] = c;
    }
    *n = to;
    return true;
}

static enum auth_verb find_verb(struct str word)
{
    for (int v = AUTH_V_UNKNOWN + 1; v < AUTH_VERBS; v++)
        if (str_eqz(word, verbs[v].name))
            return (enum auth_verb)v;
    return AUTH_V_UNKNOWN;
}

/* The next field up to a tab, unescaped; its start in *p moves on. */
static bool take_field(char **p, char *end, struct str *field)
{
    char *tab = memchr(*p, '\t', (size_t)(end - *p));
    size_t n = (size_t)((tab != NULL ? tab : end) - *p);

    field->p = *p;
    if (!unescape(*p, &n))
        return false;
    field->n = n;
    *p = tab != NULL ? tab + 1 : end + 1;
    return true;
}

bool auth_msg_parse(char *line, size_t n, struct auth_msg *m)
{
    char *p = line, *end = line + n;
    struct str field;

    m->id = 0;
    m->n = 0;
    if (!take_field(&p, end, &field))
        return false;
    m->verb = find_verb(field);
    if (m->verb == AUTH_V_UNKNOWN)
        return true;
    if (verbs[m->verb].has_id &&
        (p > end || !take_field(&p, end, &field) || !num_parse_u32(field, 1, UINT32_MAX, &m->id)))
        return false;
    while (p <= end) {
        if (m->n == AUTH_ARGS_MAX || !take_field(&p, end, &m->arg[m->n]))
            return false;
        m->n++;
    }
    return true;
}

struct str auth_msg_get(const struct auth_msg *m, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < m->n; i++)
        if (m->arg[i].n > n && m->arg[i].p[n] == '=' && memcmp(m->arg[i].p, name, n) == 0)
            return str_from(m->arg[i], n + 1);
    return (struct str){NULL, 0};
}

bool auth_msg_has(const struct auth_msg *m, const char *flag)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eqz(m->arg[i], flag))
            return true;
    return false;
}

struct str auth_msg_arg(const struct auth_msg *m, size_t i)
{
    return i < m->n ? m->arg[i] : STR("");
}

void auth_wire_begin(struct buf *out, enum auth_verb verb)
{
    buf_addz(out, verbs[verb].name);
}

void auth_wire_begin_id(struct buf *out, enum auth_verb verb, uint32_t id)
{
    buf_addf(out, "%s\t%u", verbs[verb].name, id);
}

static void add_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '\t':
            buf_addz(out, "\001t");
            break;
        case '\n':
            buf_addz(out, "\001n");
            break;
        case '\r':
            buf_addz(out, "\001r");
            break;
        case '\0':
            buf_add(out, (struct str){"\0010", 2});
            break;
        case '\001':
            buf_add(out, (struct str){"\0011", 2});
            break;
        default:
            buf_addc(out, s.p[i]);
        }
    }
}

void auth_wire_arg(struct buf *out, struct str value)
{
    buf_addc(out, '\t');
    add_escaped(out, value);
}

void auth_wire_argn(struct buf *out, int64_t value)
{
    buf_addf(out, "\t%lld", (long long)value);
}

void auth_wire_pair(struct buf *out, const char *name, struct str value)
{
    buf_addf(out, "\t%s=", name);
    add_escaped(out, value);
}

void auth_wire_end(struct buf *out)
{
    buf_addc(out, '\n');
}
