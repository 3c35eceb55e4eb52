/* The action of a policy service's reply is one line of text, and says the same when it is said
 * again; no value makes a second attribute of a request. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "mail/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { LIMIT = 500 };

static enum policy_line read_lines(struct policy_reply *r, struct str text)
{
    enum policy_line what = POLICY_MORE;
    struct str line;

    while (what == POLICY_MORE && str_split(&text, '\n', &line))
        what = policy_reply_line(r, line, NULL);
    return what;
}

static void say_again(const struct buf *action)
{
    struct policy_reply r = POLICY_REPLY(2 * LIMIT);
    struct buf text = BUF(2 * LIMIT);

    buf_addz(&text, "x=y\naction=");
    buf_add(&text, buf_str(action));
    buf_addz(&text, "\n\n");
    if (!buf_ok(&text) || read_lines(&r, buf_str(&text)) != POLICY_DONE ||
        !str_eq(buf_str(&r.action), buf_str(action)))
        abort();
    buf_free(&text);
    policy_reply_free(&r);
}

static void ask(const char *value)
{
    struct buf request = BUF(LIMIT);

    policy_put(&request, "sender", value);
    if (buf_ok(&request) && str_find(buf_str(&request), '\n') != (ptrdiff_t)request.n - 1)
        abort();
    buf_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct policy_reply r = POLICY_REPLY(LIMIT);
    struct str text = {(const char *)p, n};

    if (read_lines(&r, text) == POLICY_DONE)
        say_again(&r.action);
    if (strlen(r.action.p) != r.action.n || str_find(buf_str(&r.action), '\r') >= 0)
        abort();
    policy_reply_free(&r);
    char *value = mem_dup(text.p, text.n);
    ask(value);
    free(value);
    return 0;
}
