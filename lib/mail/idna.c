#include "mail/idna.h"

#include <idn2.h>

#include "base/str.h"
#include "base/utf8.h"

enum { DOMAIN_MOST = 255 * 4 }; /* bytes; each of at most 255 code points has at most 4 */

static int mapping = IDN2_NONTRANSITIONAL;

void idna_set_2003(bool compatible)
{
    mapping = compatible ? IDN2_TRANSITIONAL : IDN2_NONTRANSITIONAL;
}

bool idna_to_ascii(struct str domain, struct buf *out)
{
    char text[DOMAIN_MOST + 1], *ascii = NULL;

    if (utf8_is_ascii(domain)) {
        buf_add(out, domain);
        return buf_ok(out);
    }
    if (domain.n > DOMAIN_MOST || !utf8_valid(domain) || str_find(domain, 0) >= 0)
        return false;
    memcpy(text, domain.p, domain.n);
    text[domain.n] = 0;
    bool good = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | mapping) == IDN2_OK;
    if (good)
        buf_addz(out, ascii);
    idn2_free(ascii);
    return good && buf_ok(out);
}
