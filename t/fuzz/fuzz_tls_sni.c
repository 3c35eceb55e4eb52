/* SNI: the name in a client's first message, and the keys and certificates that a table has. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/tls_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct why why = WHY;
    char *name = tls_sni_name(data, size);
    bool said;

    if (name != NULL &&
        (name[0] == 0 || strlen(name) > 255 || memcmp(name, data + 5, strlen(name)) != 0))
        abort();
    free(name);
    said = tls_chain_check((struct str){(const char *)data, size}, &why) < 0;
    if (said != (why_text(&why)[0] != 0))
        abort();
    why_free(&why);
    return 0;
}
