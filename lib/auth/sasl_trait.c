/*
 * Properties of mechanisms by name. Apart from the mechanisms: whoever asks authd needs the names
 * and not the cryptography.
 */
#include "auth/sasl.h"
#include "base/str.h"

static const struct {
    const char *name; /* on the wire of the authentication protocol */
    const char *option; /* in smtpd_sasl_security_options */
    unsigned trait;
    bool required;
} traits[] = {
    {"plaintext", "noplaintext", AUTH_PLAINTEXT, false},
    {"dictionary", "nodictionary", AUTH_DICTIONARY, false},
    {"active", "noactive", AUTH_ACTIVE, false},
    {"anonymous", "noanonymous", AUTH_ANONYMOUS, false},
    {"forward-secrecy", "forward_secrecy", AUTH_FORWARD_SECRECY, true},
    {"mutual-auth", "mutual_auth", AUTH_MUTUAL, true},
    {"private", NULL, AUTH_PRIVATE, false},
};
enum { NTRAITS = sizeof traits / sizeof traits[0] };

int sasl_options(struct str words, unsigned *forbid, unsigned *require, struct why *why)
{
    *forbid = *require = 0;
    for (struct str word; str_word(&words, " ,\t\r\n", &word);) {
        size_t i = 0;
        while (i < NTRAITS && (traits[i].option == NULL || !str_ieqz(word, traits[i].option)))
            i++;
        if (i == NTRAITS)
            return why_set(why, "4.3.5", "unknown SASL security option \"%.*s\"", (int)word.n,
                           word.p);
        *(traits[i].required ? require : forbid) |= traits[i].trait;
    }
    return 0;
}

unsigned sasl_trait(struct str name)
{
    for (size_t i = 0; i < NTRAITS; i++)
        if (str_eqz(name, traits[i].name))
            return traits[i].trait;
    return 0;
}

void sasl_put_traits(struct buf *out, unsigned set, char separator)
{
    for (size_t i = 0; i < NTRAITS; i++)
        if (set & traits[i].trait) {
            buf_addc(out, separator);
            buf_addz(out, traits[i].name);
        }
}
