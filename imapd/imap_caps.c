#include "imap_caps.h"

#include "base/str.h"
#include "conf/conf.h"

enum state { BEFORE = 1, AFTER = 2, ALWAYS = BEFORE | AFTER };
enum need { NOTHING, START_TLS, NO_PLAIN };

static const struct {
    const char *name;
    enum state state; /* when it is told: before login, clients need what changes the login only */
    enum need need; /* told only then, and whatever imap_capability says */
} caps[] = {
    {"IMAP4rev1", ALWAYS, NOTHING},    {"SASL-IR", ALWAYS, NOTHING}, /* RFC 4959 */
    {"LITERAL+", ALWAYS, NOTHING}, /* RFC 7888 */
    {"ID", ALWAYS, NOTHING}, /* RFC 2971 */
    {"ENABLE", ALWAYS, NOTHING}, /* RFC 5161 */
    {"IDLE", ALWAYS, NOTHING}, /* RFC 2177 */
    {"CHILDREN", AFTER, NOTHING}, /* RFC 3348 */
    {"NAMESPACE", AFTER, NOTHING}, /* RFC 2342 */
    {"UIDPLUS", AFTER, NOTHING}, /* RFC 4315 */
    {"UNSELECT", AFTER, NOTHING}, /* RFC 3691 */
    {"MOVE", AFTER, NOTHING}, /* RFC 6851 */
    {"SPECIAL-USE", AFTER, NOTHING}, /* RFC 6154 */
    {"LIST-EXTENDED", AFTER, NOTHING}, /* RFC 5258 */
    {"LIST-STATUS", AFTER, NOTHING}, /* RFC 5819 */
    {"STARTTLS", BEFORE, START_TLS},   {"LOGINDISABLED", BEFORE, NO_PLAIN},
};

static bool is_told(const struct imap_caps_facts *facts, size_t i)
{
    if ((caps[i].state & (facts->logged_in ? AFTER : BEFORE)) == 0)
        return false;
    if (caps[i].need == START_TLS)
        return facts->may_start_tls;
    return caps[i].need != NO_PLAIN || !facts->may_plain;
}

static void put_word(struct buf *out, struct str word)
{
    if (out->n > 0)
        buf_addc(out, ' ');
    buf_add(out, word);
}

void imap_caps_put(const struct imap_caps_facts *facts, struct buf *out)
{
    struct str set = str_trim(strz(conf.imap_capability));
    bool adds = str_starts(set, STR("+"));
    bool replaces = set.n > 0 && !adds;

    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        if (caps[i].need == NOTHING && !replaces && is_told(facts, i))
            put_word(out, strz(caps[i].name));
    if (adds)
        set = str_from(set, 1);
    for (struct str word; str_word(&set, " ", &word);)
        put_word(out, word);
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        if (caps[i].need != NOTHING && is_told(facts, i))
            put_word(out, strz(caps[i].name));
}
