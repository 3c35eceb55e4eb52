"""permit_mx_backup beside Postfix: run as dns_world.py is, and prints the same."""
from dns_world import SETTINGS, ask_both, world

ZONES = {
    "b.test": "here A 127.0.0.1\nprimary A 127.0.0.2\nother A 127.0.0.3\nboth A 127.0.0.2\nboth A 127.0.0.3\n"
              "backup MX 20 here\nbackup MX 10 primary\nforeign MX 10 other\nforeign MX 20 here\nnone MX 10 primary\nself MX 10 here\n"
              "two MX 10 primary\ntwo MX 10 other\ntwo MX 20 here\nfirst MX 10 here\nfirst MX 20 primary\nsame MX 10 here\nsame MX 10 primary\n"
              "bare A 127.0.0.1\nbareother A 127.0.0.3\nlost MX 10 nobody\nlost MX 20 here\nhalf MX 10 primary\nhalf MX 10 nobody\nhalf MX 20 here\n"
              "many MX 10 both\nmany MX 20 here\nnull MX 0 .\nalias CNAME backup\nrelay MX 10 primary\nrelay MX 20 here\nva MX 10 other\nvm MX 10 other\n"
              "slow MX 10 primary\nslow MX 20 mx.nobody.answers.example.\nslowfirst MX 10 mx.nobody.answers.example.\nslowfirst MX 20 here\n",
}
MAIN = SETTINGS + """
relay_domains = relay.b.test, norelay.b.test
virtual_alias_domains = va.b.test
virtual_alias_maps = inline:{ { x@va.b.test = x@here.test } }
virtual_mailbox_domains = vm.b.test
virtual_mailbox_base = /
virtual_mailbox_maps =
mynetworks = 127.0.0.7
smtpd_reject_unlisted_recipient = no
permit_mx_backup_networks = 127.0.0.2
smtpd_relay_restrictions = permit_mx_backup, reject
inet_interfaces = 127.0.0.1
"""
NAMES = ("backup foreign none self two first same bare bareother lost half many null alias relay norelay va vm slow slowfirst nobody here primary").split()


def questions():
    for address in ["x@%s.b.test" % name for name in NAMES] + [
            "x@here.test", "x", "x@mx.here.test", "x%backup.b.test@here.test", "x%y@backup.b.test", "x!y@backup.b.test", '"x@backup.b.test"@here.test', '"x@y"@backup.b.test',
            "x@[127.0.0.1]", "x@[127.0.0.2]", "x@BACKUP.b.test", "x@backup.b.test.", "x@nobody.answers.example", "postmaster"]:
        yield address, "127.0.0.2", "c.test", "a@x.test", address


if __name__ == "__main__":
    world(ZONES, MAIN, "", lambda ours, theirs, port: ask_both(questions(), ours, port))
