"""Postfix and Pombal side by side, each with a milter of its own that does the same: what clients hear, what is logged, and what
the milters are sent are to be the same."""
import re, struct

import milter
import pombal
from real_postfix import RECEIVING, RECEIVING_AGENTS, RealPostfix, started

# macros of the content are a matter of its own, and come with each packet
CONTENT = (b"L", b"N", b"B", b"E")


class Side:
    def __init__(self, suite, ports, filters):
        self.suite, self.ports, self.filters = suite, ports, filters

    def play(self, service, commands, source):
        """replies, log lines, and what each milter was sent"""
        raw, said = pombal.Raw(self.ports[service], source=source), []
        said.append(mask_reply(raw.reply()))
        for command in commands:
            try:
                said.append(mask_reply(raw.ask(command)))
            except OSError:
                said.append("(closed)")
            if said[-1] == "(closed)":
                break
        raw.close()
        pombal.wait_for(lambda: "disconnect from unknown[%s]" % source in self.suite.log())
        for one in self.filters:
            one.wait_idle()
        return said, self.logged(source), [[mask_packets(s) for s in one.take()] for one in self.filters]

    def logged(self, source):
        """what smtpd has to say of filters and refusals, up to the end of the session"""
        found, last = [], None
        for line in self.suite.log().split("\n"):
            m = re.search(r" postfix/smtpd\[(\d+)\]: (.*)", line)
            if not m:
                continue
            if "connect from unknown[%s]" % source in m.group(2):
                last = m.group(1)
            if m.group(1) == last and re.match(r"warning: (milter|connect to)", m.group(2)):
                found.append(mask_warning(m.group(2)))
            elif "[%s]" % source in m.group(2) and re.match(r"\w+: (milter-|reject|hold|discard)", m.group(2)):
                found.append(re.sub(r"^\w+: ", "ID: ", m.group(2)).replace(source, "CLIENT"))
        return found

    def close(self):
        self.suite.close()
        for one in self.filters:
            one.close()


def mask_reply(reply):
    if reply is None:
        return "(closed)"
    reply = re.sub(r"queued as [0-9A-F]+", "queued as ID", reply)
    reply = re.sub(r"(221 2\.7\.0 Error: ).*", r"\1not SMTP", reply)  # each in words of its own
    keep = [line for line in reply.split("\n") if line[4:] != "REQUIRETLS"]
    return "\n".join(line[:3] + " " + line[4:] for line in keep)


def mask_warning(text):
    """Postfix has other words, or the wrong ones, for why a connection has ended"""
    text = re.sub(r"inet:127.0.0.1:\d+", "NAME", text)
    return re.sub(r"(can't read \S+ reply packet header: ).*", r"\1...", text).rstrip()


def macros(data):
    """the letter of the command, and the macros: [(name, value)]"""
    words = data[2:].split(b"\0")[:-1]
    return data[1:2], list(zip(words[::2], words[1::2]))


def mask_macro(command, name, value):
    if name == b"v":
        return b"VERSION"
    if name in (b"{client_port}", b"{daemon_port}"):
        return b"PORT" if value.isdigit() and value != b"0" else value
    if name.strip(b"{}") == b"i" and re.fullmatch(rb"[0-9A-F]{6,}", value):
        return b"ID"
    return value


def mask_packets(session):
    """without what cleanup sends, notes that a message is over (Postfix repeats them), and the queue id before DATA, which
    Postfix knows from the first recipient on"""
    masked = []
    for data in session:
        if data[:1] == b"A" or data[:1] in CONTENT or (data[:1] == b"D" and data[1:2] in CONTENT):
            continue
        if data[:1] == b"D":
            command, pairs = macros(data)
            masked.append((b"D" + command, [(n, mask_macro(command, n, v)) for n, v in pairs if n.strip(b"{}") != b"i" or command == b"T"]))
        elif data[:1] == b"C":
            end = data.index(b"\0")
            masked.append((data[:end + 2], b"PORT" if struct.unpack(">H", data[end + 2:end + 4])[0] else b"0", data[end + 4:]))
        else:
            masked.append(data)
    return masked


def both_sides(main, services, filters=1):
    """services(names of the filters) -> {name: [options]}. Yields ours, theirs."""
    made = [[milter.Milter(offer=None) for _ in range(filters)] for _ in range(2)]
    options = [services(*("inet:127.0.0.1:%d" % one.port for one in side)) for side in made]

    def lines(ports, number):
        for name, opts in options[number].items():
            yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
            for option in opts:
                yield "    -o { %s }\n" % option

    def free_ports():
        return {name: pombal.free_port() for name in options[0]}

    ours = pombal.Instance(start=False)
    theirs = None
    try:
        ports = free_ports()
        ours.add_main(RECEIVING + main + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(lines(ports, 0)))
        ours.start()
        theirs, their_ports = started(lambda p: RealPostfix(RECEIVING + main, agents=RECEIVING_AGENTS, master=lambda where: lines(p, 1)), free_ports)
        yield Side(ours, ports, made[0]), Side(theirs, their_ports, made[1])
    finally:
        if theirs:
            theirs.close()
        ours.close()
        for side in made:
            for one in side:
                one.close()
