#include "mail/policy.h"

#include <inttypes.h>

#include "base/str.h"

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

void policy_put(struct buf *request, const char *name, const char *value)
{
    buf_addf(request, "%s=", name);
    for (const char *p = value != NULL ? value : ""; *p != 0; p++)
        buf_addc(request, is_control(*p) ? '?' : *p);
    buf_addc(request, '\n');
}

void policy_put_number(struct buf *request, const char *name, int64_t value)
{
    buf_addf(request, "%s=%" PRId64 "\n", name, value);
}

void policy_end(struct buf *request)
{
    buf_addc(request, '\n');
}

static enum policy_line wrong(struct why *why, const char *text)
{
    why_set(why, "4.3.0", "%s", text);
    return POLICY_WRONG;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (is_control(s.p[i]) && s.p[i] != '\t')
            return true;
    return false;
}

enum policy_line policy_reply_line(struct policy_reply *r, struct str line, struct why *why)
{
    ptrdiff_t is = str_find(line, '=');

    r->bytes += line.n + 1;
    if (r->bytes > r->action.max)
        return wrong(why, "the reply is too long");
    if (line.n == 0)
        return r->has_action ? POLICY_DONE : wrong(why, "the reply has no action");
    if (is <= 0)
        return wrong(why, "a line of the reply is not name=value");
    if (has_control(line))
        return wrong(why, "the reply has a control character");
    if (!r->has_action && str_eqz(str_upto(line, (size_t)is), "action")) {
        r->has_action = true;
        buf_add(&r->action, str_from(line, (size_t)is + 1));
    }
    return buf_ok(&r->action) ? POLICY_MORE : wrong(why, "the reply is too long");
}

void policy_reply_clear(struct policy_reply *r)
{
    buf_clear(&r->action);
    r->bytes = 0;
    r->has_action = false;
}

void policy_reply_free(struct policy_reply *r)
{
    buf_free(&r->action);
    policy_reply_clear(r);
}
