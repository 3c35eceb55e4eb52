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

/* The address without its extension. */
static void add_sender(struct str sender, struct buf *out)
{
    ptrdiff_t at = str_rfind(sender, '@');
    struct str localpart = at < 0 ? sender : str_upto(sender, (size_t)at);

    buf_add(out, str_upto(localpart, addr_user_length(localpart)));
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

static bool is_allowed(struct str patterns, struct str sender)
{
    struct str pattern;

    while (str_word(&patterns, ", \t\r\n", &pattern))
        if (fits(pattern, sender))
            return true;
    return false;
}

/* The patterns of the user. DICT_FOUND: one of them is the sender's. */
static enum dict_answer find_patterns(struct str sender, const char *login)
{
    struct maps *m = maps_open("local_login_sender_maps", conf.local_login_sender_maps,
                               DICT_FOLD | DICT_MAY_FAIL);
    struct buf patterns = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = maps_find(m, login, &patterns, &why);

    if (answer == DICT_FOUND && !is_allowed(buf_str(&patterns), sender))
        answer = DICT_NONE;
    buf_free(&patterns);
    why_free(&why);
    maps_close(&m);
    return answer;
}

int postdrop_may_send(struct str sender, struct why *why)
{
    struct buf login = BUF(1000), key = BUF(70000);
    enum dict_answer answer = DICT_NONE;

    if (strcmp(conf.local_login_sender_maps, "static:*") == 0)
        return 0;
    add_login(&login);
    add_sender(sender, &key);
    if (buf_ok(&login) && buf_ok(&key))
        answer = find_patterns(buf_str(&key), login.p);
    buf_free(&login);
    buf_free(&key);
    if (answer == DICT_FAILED)
        return why_set(why, "4.3.0", "local_login_sender_maps: lookup error");
    if (answer == DICT_NONE)
        return why_set(why, "5.7.1", "not authorized to use sender='%.*s'", (int)sender.n,
                       sender.p);
    return 0;
}
