/*
 * Settings from main.cf, the same for all who deliver to mailboxes and read them.
 */
#include "store/store_conf.h"

#include <string.h>

#include "conf/conf.h"

struct store_settings store_conf(void)
{
    return (struct store_settings){
        .separator = conf.mail_separator[0] == '/' ? '/' : '.',
        .hostname = conf.myhostname,
        .special_use = conf.mail_special_use,
        .auto_folders = conf.mail_auto_folders,
        .flags_sync = strcmp(conf.maildir_flags_sync, "always") == 0,
        .sync_dirs = strcmp(conf.maildir_sync_directories, "always") == 0,
        .lock_ms = conf.maildir_lock_timeout * 1000,
        .folders = (size_t)conf.mail_folder_limit,
        .keywords = (size_t)conf.maildir_keyword_limit,
        .depth = (size_t)conf.mime_nesting_limit,
        .parts = (size_t)conf.mime_part_limit,
        .header = (size_t)conf.mime_header_limit,
    };
}
