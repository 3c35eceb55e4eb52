/*
 * How a connection before login ended, in the words of Dovecot 2.3: fail2ban's filter and others
 * read them.
 */
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "login/login.h"
#include "login/login_parts.h"
#include "net/peer.h"
#include "task/task.h"

static void login_log_say(const struct login *l, const struct buf *text)
{
    struct buf who = BUF_TEXT(200);

    if (*conf.login_syslog_name != '\0')
        buf_addf(&who, "%s[%d]", conf.login_syslog_name, (int)getpid());
    if (who.n > 0)
        msg_info_as(who.p, "%s-login: %s", l->front->service, text->p);
    else
        msg_info("%s-login: %s", l->front->service, text->p);
    buf_free(&who);
}

/* user= to session=, as Dovecot's login_log_format_elements. */
static void add_elements(struct buf *text, const struct login *l, struct str user,
                         const char *method, int64_t pid)
{
    buf_addf(text, "user=<%.*s>", (int)user.n, user.p != NULL ? user.p : "");
    if (*method != '\0')
        buf_addf(text, ", method=%s", method);
    buf_addf(text, ", rip=%s, lip=%s", l->peer->addr_text, l->server_address);
    if (pid > 0)
        buf_addf(text, ", mpid=%lld", (long long)pid);
    if (l->tls || l->secured)
        buf_addf(text, ", %s", l->tls ? "TLS" : "secured");
    buf_addf(text, ", session=<%s>", l->session);
}

void login_log_success(const struct login *l, const char *user, const char *mech, int64_t pid)
{
    struct buf text = BUF_TEXT(2000);

    buf_addz(&text, "Login: ");
    add_elements(&text, l, strz(user), mech, pid);
    login_log_say(l, &text);
    buf_free(&text);
}

static void add_attempts(struct buf *text, const struct login *l)
{
    long long seconds = (long long)((task_now() - l->began) / 1000);

    if (l->refused != NULL && l->attempts == 0)
        buf_addz(text, l->refused);
    else if (l->in_sasl)
        buf_addf(text, "client didn't finish SASL auth, waited %lld secs", seconds);
    else if (l->attempts > 0)
        buf_addf(text, "auth failed, %d attempts in %lld secs", l->attempts, seconds);
    else
        buf_addf(text, "no auth attempts in %lld secs", seconds);
}

void login_log_end(const struct login *l, const char *how)
{
    struct buf text = BUF_TEXT(2000);

    buf_addf(&text, "Disconnected: %s (", how);
    add_attempts(&text, l);
    buf_addz(&text, "): ");
    add_elements(&text, l, l->name, l->method, 0);
    login_log_say(l, &text);
    buf_free(&text);
}
