/* What a client of IMAP sends before login. */
#include "front.h"
#include "imapd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    front_run(&imapd_front, data, size);
    return 0;
}
