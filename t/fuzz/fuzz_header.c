#include <stdint.h>

#include "base/str.h"
#include "mail/domain.h"
#include "mail/header.h"
#include "mail/msgid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, name, value, id;
    struct buf flat = BUF(1u << 20), folded = BUF(1u << 21);

    if (header_split(text, &name, &value)) {
        header_unfold(value, &flat);
        header_fold(name, buf_str(&flat), 78, &folded);
    }
    for (size_t at = 0; header_find(text, "a", &at, &value);)
        while (msgid_next(&value, &id))
            domain_valid(id);
    domain_is_literal(text, &id);
    buf_free(&flat);
    buf_free(&folded);
    return 0;
}
