#include "postdrop_sender.h"

#include <pwd.h>
#include <unistd.h>

#include "conf/conf.h"
#include "dict/addr_find.h"
#include "dict/maps.h"

/* The login name, or "uid:1000". */
static void add_login(struct buf *key)
{
    const struct passwd *pw = getpwuid(getuid());

    if (pw != NULL)
        buf_addz(key, pw->pw_name);
    else
        buf_addf(key, "uid:%ld", (long)getuid());
}

/* "user%domain", "domain!user": of which cleanup makes user@domain. */
static bool is_routed(struct str sender)
{
    return str_find(sender, '@') < 0 && (str_find(sender, '%') >= 0 || str_find(sender, '!') >= 0);
}

/* The address without its extension. Other than in Postfix no domain is one: with "user" a user
 * would have "user+x%any.domain". */
static void add_sender(struct str sender, struct buf *out)
{
    ptrdiff_t at = str_rfind(sender, '@');
    struct str localpart = at < 0 ? sender : str_upto(sender, (size_t)at);
    size_t user = is_routed(sender) ? localpart.n : addr_user_length(localpart);

    buf_add(out, str_upto(localpart, user));
    buf_add(out, str_from(sender, localpart.n));
}

static bool fits(struct str pattern, struct str sender)
{
    ptrdiff_t at = str_rfind(sender, '@');

    if (str_eqz(pattern, "*"))
        return true;
    if (str_eqz(pattern, conf.empty_address_local_login_sender_maps_lookup_key))
        return sender.n == 0;
    if (pattern.n > 1 && pattern.p[0] == '@' && at >= 0)
        return str_ieq(pattern, str_from(sender, (size_t)at));
    return str_ieq(pattern, sender);
}

bool postdrop_is_allowed(struct str patterns, struct str sender)
{
    struct buf key = BUF(70000);
    struct str pattern;
    bool allowed = false;

    add_sender(sender, &key);
    while (buf_ok(&key) && !allowed && str_word(&patterns, ", \t\r\n", &pattern))
        allowed = fits(pattern, buf_str(&key));
    buf_free(&key);
    return allowed;
}

/* The patterns of the user. DICT_FOUND: one of them is the sender's. */
static enum dict_answer find_patterns(struct str sender, const char *login)
{
    struct maps *m = maps_open("local_login_sender_maps", conf.local_login_sender_maps,
                               DICT_FOLD | DICT_MAY_FAIL);
    struct buf patterns = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = maps_find(m, login, &patterns, &why);

    if (answer == DICT_FOUND && !postdrop_is_allowed(buf_str(&patterns), sender))
        answer = DICT_NONE;
    buf_free(&patterns);
    why_free(&why);
    maps_close(&m);
    return answer;
}

int postdrop_may_send(struct str sender, struct why *why)
{
    struct buf login = BUF(1000);
    enum dict_answer answer = DICT_NONE;

    if (strcmp(conf.local_login_sender_maps, "static:*") == 0)
        return 0;
    add_login(&login);
    if (buf_ok(&login))
        answer = find_patterns(sender, login.p);
    buf_free(&login);
    if (answer == DICT_FAILED)
        return why_set(why, "4.3.0", "local_login_sender_maps: lookup error");
    if (answer == DICT_NONE)
        return why_set(why, "5.7.1", "not authorized to use sender='%.*s'", (int)sender.n,
                       sender.p);
    return 0;
}
