#include "service/conf_values.h"

#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "base/why.h"
#include "conf/conf.h"
#include "conf/conf_main.h"
#include "conf/conf_param.h"
#include "dict/dict.h"
#include "mail/domain.h"
#include "milter/milter_list.h"
#include "net/addr.h"
#include "route/nexthop.h"

static const char separators[] = ", \t\r\n";

/* -1: why says what is wrong with the value, which is not empty. words: what may be said. */
typedef int value_fn(const char *value, const char *words, struct why *why);

static int not_one_of(struct str word, const char *words, struct why *why)
{
    return why_set(why, "4.3.5", "\"%.*s\" is none of: %s", (int)word.n, word.p, words);
}

static int one_word(const char *value, const char *words, struct why *why)
{
    struct str word = str_trim(strz(value));

    return str_has_word(words, word) ? 0 : not_one_of(word, words, why);
}

static int many_words(const char *value, const char *words, struct why *why)
{
    struct str rest = strz(value), word;

    while (str_word(&rest, separators, &word))
        if (!str_has_word(words, word))
            return not_one_of(word, words, why);
    return 0;
}

/* "name/type", or a type alone. */
static int service_patterns(const char *value, const char *words, struct why *why)
{
    struct str rest = strz(value), word;

    while (str_word(&rest, separators, &word)) {
        struct str type = str_from(word, (size_t)(str_rfind(word, '/') + 1));
        if (!str_has_word(words, type))
            return why_set(why, "4.3.5", "\"%.*s\": the type of a service is one of: %s",
                           (int)word.n, word.p, words);
    }
    return 0;
}

static int next_hops(const char *value, const char *words, struct why *why)
{
    return nexthop_check(strz(value), strcmp(words, "lmtp") == 0, why);
}

static int host_name(const char *value, const char *words, struct why *why)
{
    (void)words;
    if (domain_valid(strz(value)) || domain_is_literal(strz(value), NULL))
        return 0;
    return why_set(why, "4.3.5", "\"%s\" is neither a host name nor an [address]", value);
}

static int ip_address(const char *value, const char *words, struct why *why)
{
    struct addr a;
    sa_family_t family = strcmp(words, "ipv6") == 0 ? AF_INET6 : AF_INET;

    if (addr_parse(str_trim(strz(value)), &a) && a.family == family)
        return 0;
    return why_set(why, "4.3.5", "\"%s\" is not an %s address", value,
                   family == AF_INET ? "IPv4" : "IPv6");
}

static int name_servers(const char *value, const char *words, struct why *why)
{
    struct str rest = strz(value), word;
    struct hostport hp;
    struct addr a;
    in_port_t port;

    (void)words;
    while (str_word(&rest, separators, &word))
        if (!addr_parse(word, &a) && (!hostport_parse(word, &hp) || !addr_parse(hp.host, &a) ||
                                      (hp.port.n > 0 && !port_parse(hp.port, &port))))
            return why_set(why, "4.3.5", "\"%.*s\" is neither an address nor address:port",
                           (int)word.n, word.p);
    return 0;
}

static int tcp_port(const char *value, const char *words, struct why *why)
{
    in_port_t port;

    (void)words;
    if (port_parse(str_trim(strz(value)), &port) && port != 0)
        return 0;
    return why_set(why, "4.3.5", "there is no port \"%s\"", value);
}

static int absolute_path(const char *value, const char *words, struct why *why)
{
    (void)words;
    return value[0] == '/' ? 0 : why_set(why, "4.3.5", "a path that begins with / is wanted");
}

static int octal_mode(const char *value, const char *words, struct why *why)
{
    uint32_t mode;

    (void)words;
    if (num_parse_octal(str_trim(strz(value)), 0777, &mode))
        return 0;
    return why_set(why, "4.3.5", "\"%s\" is not an octal number up to 0777", value);
}

/* "Folder=\\Use", as IMAP clients are told of it (RFC 6154). */
static int special_uses(const char *value, const char *words, struct why *why)
{
    struct str rest = strz(value), word;

    while (str_word(&rest, separators, &word)) {
        ptrdiff_t at = str_find(word, '=');
        if (at <= 0 || !str_has_word(words, str_from(word, (size_t)at + 1)))
            return why_set(why, "4.3.5", "\"%.*s\": Folder=\\Use is wanted, with one of: %s",
                           (int)word.n, word.p, words);
    }
    return 0;
}

/* A parameter's name, as in relay_domains, or that of all access tables. */
static int parameter_names(const char *value, const char *words, struct why *why)
{
    struct str rest = strz(value), word;

    while (str_word(&rest, separators, &word))
        if (conf_param_find(word) == NULL && !str_has_word(words, word))
            return why_set(why, "4.3.5", "there is no parameter \"%.*s\"", (int)word.n, word.p);
    return 0;
}

/* Of tools: no service opens these tables when it tries its start. words: "list", of names, some of
 * which may be tables. */
static int tool_tables(const char *value, const char *words, struct why *why)
{
    struct buf spec = BUF(strlen(value)); /* fits: a part of it */
    struct str rest = strz(value), word;
    int result = 0;

    while (result == 0 && str_word_braces(&rest, separators, &word)) {
        while (word.n > 0 && word.p[0] == '!')
            word = str_from(word, 1);
        buf_set(&spec, word);
        if (words[0] == 0 || str_find(word, ':') >= 0)
            result = dict_spec_check(spec.p, why);
    }
    buf_free(&spec);
    return result;
}

static int milter_protocol(const char *value, const char *words, struct why *why)
{
    (void)words;
    return milter_protocol_check(value, why);
}

#define CLASSES        "envelope_sender, envelope_recipient, header_sender, header_recipient"
#define LOCKS          "fcntl, flock, dotlock"
#define ORIGINS        "alias, forward, include"
#define FAMILIES       "any, ipv4, ipv6"
#define DNS_LEVEL      "disabled, enabled, dnssec"
#define SCREEN_ACTIONS "ignore, enforce, drop"
#define USES           "\\All, \\Archive, \\Drafts, \\Flagged, \\Junk, \\Sent, \\Trash"
#define TEMPFAIL       "defer, defer_if_permit"
#define LOG_LEVEL      "0, 1, 2, 3, 4"
#define FACILITIES                                                                                 \
    "auth, authpriv, cron, daemon, ftp, kern, lpr, mail, news, security, syslog, user, uucp, "     \
    "local0, local1, local2, local3, local4, local5, local6, local7"

static const struct {
    const char *name;
    value_fn *check;
    const char *words;
} values[] = {
    {"address_verify_relayhost", next_hops, ""},
    {"allow_mail_to_commands", many_words, ORIGINS},
    {"allow_mail_to_files", many_words, ORIGINS},
    {"authorized_flush_users", tool_tables, "list"},
    {"authorized_mailq_users", tool_tables, "list"},
    {"authorized_submit_users", tool_tables, "list"},
    {"canonical_classes", many_words, CLASSES},
    {"command_directory", absolute_path, ""},
    {"daemon_directory", absolute_path, ""},
    {"data_directory", absolute_path, ""},
    {"dns_servers", name_servers, ""},
    {"fallback_relay", next_hops, ""},
    {"header_from_format", one_word, "standard, obsolete"},
    {"inet_protocols", many_words, "all, ipv4, ipv6"},
    {"internal_mail_filter_classes", many_words, "bounce, notify"},
    {"lmtp_address_preference", one_word, FAMILIES},
    {"lmtp_address_verify_target", one_word, "rcpt, data"},
    {"lmtp_bind_address", ip_address, "ipv4"},
    {"lmtp_bind_address6", ip_address, "ipv6"},
    {"lmtp_dns_support_level", one_word, DNS_LEVEL},
    {"lmtp_fallback_relay", next_hops, "lmtp"},
    {"lmtp_host_lookup", many_words, "dns, native"},
    {"lmtp_lhlo_name", host_name, ""},
    {"lmtp_tcp_port", tcp_port, ""},
    {"lmtp_tls_loglevel", one_word, LOG_LEVEL},
    {"local_login_sender_maps", tool_tables, ""},
    {"mail_separator", one_word, "., /"},
    {"mail_special_use", special_uses, USES},
    {"mail_spool_directory", absolute_path, ""},
    {"mailbox_delivery_lock", many_words, LOCKS},
    {"maildir_flags_sync", one_word, "lazy, always"},
    {"maildir_sync_directories", one_word, "auto, always"},
    {"maillog_file_permissions", octal_mode, ""},
    {"masquerade_classes", many_words, CLASSES},
    {"master_service_disable", service_patterns, "inet, unix, fifo, pass, unix-dgram, *"},
    {"milter_default_action", one_word, "accept, quarantine, reject, tempfail, shutdown"},
    {"milter_protocol", milter_protocol, ""},
    {"mynetworks_style", one_word, "class, subnet, host"},
    {"notify_classes", many_words,
     "bounce, 2bounce, data, delay, policy, protocol, resource, software"},
    {"parent_domain_matches_subdomains", parameter_names, "smtpd_access_maps"},
    {"postscreen_bare_newline_action", one_word, SCREEN_ACTIONS},
    {"postscreen_denylist_action", one_word, SCREEN_ACTIONS},
    {"postscreen_dnsbl_action", one_word, SCREEN_ACTIONS},
    {"postscreen_greet_action", one_word, SCREEN_ACTIONS},
    {"postscreen_non_smtp_command_action", one_word, SCREEN_ACTIONS},
    {"postscreen_pipelining_action", one_word, SCREEN_ACTIONS},
    {"postscreen_upstream_proxy_protocol", one_word, "haproxy"},
    {"non_empty_end_of_header_action", one_word, "fix_quietly, add_header, reject"},
    {"prepend_delivered_header", many_words, "command, file, forward"},
    {"propagate_unmatched_extensions", many_words,
     "alias, canonical, forward, generic, include, virtual"},
    {"queue_directory", absolute_path, ""},
    {"recipient_canonical_classes", many_words, "envelope_recipient, header_recipient"},
    {"relayhost", next_hops, ""},
    {"sender_canonical_classes", many_words, "envelope_sender, header_sender"},
    {"sendmail_fix_line_endings", one_word, "always, never, strict"},
    {"reject_tempfail_action", one_word, TEMPFAIL},
    {"smtp_address_preference", one_word, FAMILIES},
    {"smtp_address_verify_target", one_word, "rcpt, data"},
    {"smtp_bind_address", ip_address, "ipv4"},
    {"smtp_bind_address6", ip_address, "ipv6"},
    {"smtp_dns_support_level", one_word, DNS_LEVEL},
    {"smtp_fallback_relay", next_hops, ""},
    {"smtp_helo_name", host_name, ""},
    {"smtp_host_lookup", many_words, "dns, native"},
    {"smtp_tcp_port", tcp_port, ""},
    {"smtp_tls_loglevel", one_word, LOG_LEVEL},
    {"smtpd_forbid_bare_newline", one_word, "normalize, note, reject, yes, no"},
    {"smtpd_tls_loglevel", one_word, LOG_LEVEL},
    {"smtpd_upstream_proxy_protocol", one_word, "haproxy"},
    {"smtputf8_autodetect_classes", many_words,
     "sendmail, smtpd, qmqpd, forward, bounce, notify, verify, all"},
    {"syslog_facility", one_word, FACILITIES},
    {"tlsproxy_tls_loglevel", one_word, LOG_LEVEL},
    {"unknown_address_tempfail_action", one_word, TEMPFAIL},
    {"unknown_helo_hostname_tempfail_action", one_word, TEMPFAIL},
    {"unverified_recipient_tempfail_action", one_word, TEMPFAIL},
    {"unverified_sender_tempfail_action", one_word, TEMPFAIL},
    {"virtual_mailbox_base", absolute_path, ""},
    {"virtual_mailbox_lock", many_words, LOCKS},
};

static void tell_of(const char *name, conf_values_fn *tell, void *arg, struct why *why)
{
    conf_blame(name, why);
    tell(arg, why);
    why_clear(why);
}

/* Names such as relay_destination_concurrency_limit: conf_load does not know the services. */
static void check_families(conf_values_fn *tell, void *arg)
{
    const struct conf_main *set = conf_settings();
    struct why why = WHY;

    for (size_t i = 0; i < set->settings.n; i++)
        if (conf_family_check(set->settings.at[i].name, &why) < 0)
            tell_of(set->settings.at[i].name, tell, arg, &why);
    why_free(&why);
}

void conf_check_values(conf_values_fn *tell, void *arg)
{
    struct why why = WHY;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const char *value = conf_is_set(values[i].name) ? conf_find(values[i].name) : NULL;
        if (value != NULL && str_trim(strz(value)).n > 0 &&
            values[i].check(value, values[i].words, &why) < 0)
            tell_of(values[i].name, tell, arg, &why);
    }
    check_families(tell, arg);
    why_free(&why);
}
