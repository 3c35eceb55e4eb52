/*
 * route_ask -c DIR: for the comparison with Postfix's trivial-rewrite. Each line of standard input
 * is a question, each answer a line: "rewrite CONTEXT ADDRESS", "resolve SENDER ADDRESS" (<> is the
 * null sender), "listed ADDRESS".
 */
#include <stdio.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "route/recipient.h"
#include "route/rewrite.h"

static void say_rewrite(const char *context, const char *address)
{
    struct buf in = BUF(1 << 20), out = BUF(1 << 20), quoted = BUF(1 << 20);
    enum rewrite r = REWRITE_LOCAL;

    if (!rewrite_by_name(context, &r))
        msg_fatal("no such context: %s", context);
    if (!path_unquote(strz(address), &in))
        buf_setz(&in, address);
    rewrite_address(r, in.p, &out);
    path_quote(buf_str(&out), &quoted);
    printf("%s\n", quoted.p);
    buf_free(&in);
    buf_free(&out);
    buf_free(&quoted);
}

static void say_resolve(const char *sender, const char *address)
{
    static const char *const class[] = {"local", "alias", "virtual", "relay", "default"};
    struct route r = ROUTE;
    struct why why = WHY;

    if (resolve_address(RESOLVE_MAIL, strcmp(sender, "<>") == 0 ? "" : sender, address, &r, &why) <
        0)
        printf("fail\n");
    else
        printf("%s|%s|%s|%s%s%s\n", r.transport.p, r.nexthop.p, r.recipient.p, class[r.class],
               r.routed ? " routed" : "", r.bad_address ? " error" : "");
    route_free(&r);
    why_free(&why);
}

static void say_listed(const char *address)
{
    struct route r = ROUTE;
    struct why why = WHY;
    int reply = 0;

    if (resolve_address(RESOLVE_MAIL, "", address, &r, &why) < 0)
        printf("fail\n");
    else if (recipient_find(&r, &reply, &why) == DICT_FOUND)
        printf("yes\n");
    else
        printf("%d %s %s\n", reply, why.code, why_text(&why));
    route_free(&r);
    why_free(&why);
}

static void answer(char *line)
{
    char *sp = strchr(line, ' '), *sp2 = sp == NULL ? NULL : strchr(sp + 1, ' ');

    if (sp == NULL)
        msg_fatal("bad question: %s", line);
    *sp = 0;
    if (strcmp(line, "listed") == 0) {
        say_listed(sp + 1);
        return;
    }
    if (sp2 == NULL)
        msg_fatal("bad question: %s", line);
    *sp2 = 0;
    if (strcmp(line, "rewrite") == 0)
        say_rewrite(sp + 1, sp2 + 1);
    else
        say_resolve(sp + 1, sp2 + 1);
}

int main(int argc, char **argv)
{
    struct why why = WHY;
    char *line = NULL;
    size_t room = 0;

    msg_open("route_ask");
    if (argc != 3 || conf_load(argv[2], "route_ask", NULL, &why) < 0)
        msg_fatal("usage: route_ask -c DIR %s", why_text(&why));
    recipient_open();
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
        line[n - 1] = 0;
        answer(line);
    }
    free(line);
    recipient_close();
    why_free(&why);
    return 0;
}
