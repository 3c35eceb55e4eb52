#include "auth/auth_settings.h"

#include "auth/password.h"
#include "auth/sasl.h"
#include "auth/user.h"
#include "auth/user_source.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

enum { FORMATTED_MAX = 4096 };

static int check_mechanisms(struct why *why)
{
    struct str rest = strz(conf.auth_mechanisms), word;

    while (str_word(&rest, ", \t\r\n", &word))
        if (sasl_find(word) == NULL)
            return why_set(why, "4.3.5", "unknown mechanism \"%.*s\"", (int)word.n, word.p);
    return 0;
}

int auth_check_words(struct why *why)
{
    if (check_mechanisms(why) < 0)
        return conf_blame("auth_mechanisms", why);
    if (password_is_scheme(conf.auth_default_pass_scheme))
        return 0;
    why_set(why, "4.3.5", "unknown password scheme");
    return conf_blame("auth_default_pass_scheme", why);
}

/* again: the table was looked at before, as one of the other parameter. */
static void check_source(const char *parameter, struct str spec, bool again)
{
    struct why why = WHY;
    struct user_source *s = user_source_open(spec, NULL, &why);

    if (s != NULL && !again)
        user_source_tell_problems(s);
    if ((s == NULL || user_source_enforced(s, conf.pombal_accept_missing, &why) < 0) && !again)
        conf_fault(parameter, "%s", why_text(&why));
    if (s != NULL)
        user_source_close(&s);
    why_free(&why);
}

static void check_sources(const char *parameter, const char *specs, const char *before)
{
    struct str rest = strz(specs), spec;

    while (str_word(&rest, ", \t\r\n", &spec))
        check_source(parameter, spec, str_has_word(before, spec));
}

/* A letter behind % that stands for nothing: nobody could log in. */
static void check_format(const char *parameter, const char *format)
{
    struct buf out = BUF(FORMATTED_MAX); /* whatever it would be */
    struct why why = WHY;

    if (user_expand(format, "user@example.com", "/home/user", &out, &why) < 0)
        conf_fault(parameter, "%s", why_text(&why));
    why_free(&why);
    buf_free(&out);
}

void auth_check_settings(void)
{
    struct user_rules rules;
    struct why why = WHY;

    if (auth_check_words(&why) < 0)
        conf_fault(NULL, "%s", why_text(&why));
    check_sources("auth_passdb", conf.auth_passdb, "");
    check_sources("auth_userdb", conf.auth_userdb, conf.auth_passdb);
    if (str_trim(strz(conf.auth_passdb)).n == 0)
        msg_warn("auth_passdb is empty: nobody can log in");
    check_format("auth_username_format", conf.auth_username_format);
    check_format("mail_location", conf.mail_location);
    why_clear(&why);
    if (user_rules_load(&rules, &why) < 0)
        conf_fault(NULL, "%s", why_text(&why));
    why_free(&why);
}
