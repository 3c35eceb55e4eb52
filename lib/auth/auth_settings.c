#include "auth/auth_settings.h"

#include "auth/password.h"
#include "auth/sasl.h"
#include "auth/user.h"
#include "auth/user_source.h"
#include "base/str.h"
#include "conf/conf.h"

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
static int check_source(struct str spec, bool again, struct why *why)
{
    struct user_source *s = user_source_open(spec, NULL, why);

    if (s == NULL)
        return -1;
    if (!again)
        user_source_tell_problems(s);
    int result = user_source_enforced(s, conf.pombal_accept_missing, why);
    user_source_close(&s);
    return result;
}

static int check_sources(const char *parameter, const char *specs, const char *before,
                         struct why *why)
{
    struct str rest = strz(specs), spec;

    while (str_word(&rest, ", \t\r\n", &spec))
        if (check_source(spec, str_has_word(before, spec), why) < 0)
            return conf_blame(parameter, why);
    return 0;
}

int auth_check_settings(struct why *why)
{
    struct user_rules rules;

    if (auth_check_words(why) < 0 || check_sources("auth_passdb", conf.auth_passdb, "", why) < 0 ||
        check_sources("auth_userdb", conf.auth_userdb, conf.auth_passdb, why) < 0)
        return -1;
    return user_rules_load(&rules, why);
}
