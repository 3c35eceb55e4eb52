/* proto.h - every internal protocol: its attributes; who may ask is in trust.c */
#ifndef IPC_PROTO_H
#define IPC_PROTO_H

/* Every request has "request"; every answer "status" (ok, retry, fail) and, if not ok, "why_code"
 * and "why_text". */
#define A_REQUEST    "request"
#define A_ONE_WAY    "one_way" /* in a request: no answer is to be sent */
#define A_STATUS     "status"
#define A_WHY_CODE   "why_code"
#define A_WHY_TEXT   "why_text"
#define STATUS_OK    "ok"
#define STATUS_RETRY "retry"
#define STATUS_FAIL  "fail"

#define A_QUEUE_ID   "queue_id"
#define A_QUEUE_NAME "queue_name"
#define A_FLAGS      "flags"
#define A_SENDER     "sender"
#define A_RECIPIENT  "recipient"
#define A_SIZE       "size"
#define A_REPLY      "reply"

/*
 * private/smtpd, a service of type pass (postscreen): the socket of a client, and who it is if a
 * proxy has told that (lib/service/service_clients.c). The connection is closed when they have been
 * taken; no answer is sent.
 *   ask     client_address client_port server_address server_port, and the descriptor
 */
#define A_CLIENT_ADDRESS "client_address"
#define A_CLIENT_PORT    "client_port"
#define A_SERVER_ADDRESS "server_address"
#define A_SERVER_PORT    "server_port"

/*
 * public/cleanup (smtpd, pickup, bounce, local, verify): queue/submit.h is the client.
 *   ask     request=submit flags=N; then queue file records up to REC_END on the same stream
 *   answer  status queue_id why_code why_text
 *
 * From smtpd, if milters are to see the content. There are two answers: the first comes at once,
 * before the records, with the queue id, and is the last one if its status is not ok. The
 * connections to the milters are a record REC_MILT with their state, and the descriptors with its
 * first byte. ask     request=submit_milters flags=N, and the same answer  status queue_id why_code
 * why_text; then the same again, and reply: what a milter says, an SMTP reply, lines parted by LF
 */
#define REQUEST_SUBMIT         "submit"
#define REQUEST_SUBMIT_MILTERS "submit_milters"

/*
 * public/qmgr (cleanup): a message has arrived. No answer is sent. The recipients' offsets let qmgr
 * schedule it without reading the file back; queue/delivery.h is both ends (delivery_announce). The
 * descriptor is the queue file's, as cleanup wrote it: qmgr believes the envelope only if it is
 * that of incoming/queue_id, and else reads the file.
 *   ask     request=arrived one_way=1, the attributes of struct delivery, and the descriptor
 *
 * Instead one byte (ipc/trigger.h), and the connection is closed: 'I' scan incoming, 'D' scan
 * deferred, 'F' and 'A' both and ignore the retry times, 'W' wake-up. public/pickup takes any
 * letter as a wake-up.
 *
 * From postqueue (and flush, by id), through the same socket:
 *   ask     request=flush_id queue_id, or request=flush_site site: deliver what is deferred now
 *   answer  status count (of messages)
 *
 * public/flush: queue/flush_client.h is the client.
 *   ask     request=flush_site site (smtpd: ETRN): try now what waits for the site
 *   answer  status
 *   ask     request=flush_add one_way=1 site queue_id (qmgr): it waits for the site; no answer
 *   ask     a byte 'W' instead (master): look for old lists
 */
#define REQUEST_FLUSH_ADD  "flush_add"
#define REQUEST_ARRIVED    "arrived"
#define REQUEST_FLUSH_ID   "flush_id"
#define REQUEST_FLUSH_SITE "flush_site"
#define A_SITE_NAME        "site"
#define A_COUNT            "count"

/*
 * private/<transport> (qmgr; local for mailbox_transport): queue/delivery.h is both ends. The
 * descriptor is that of the file in active, open for writing, with a shared lock (flock): the agent
 * reads and marks that file, and opens none.
 *   ask     request=deliver, the attributes of struct delivery, and the descriptor
 *   answer  status fates site why_code why_text
 */
#define REQUEST_DELIVER "deliver"

/*
 * private/bounce, private/defer, private/trace (agents, qmgr, cleanup): queue/bounce_log.h is the
 * client. The service's name says which log is meant.
 *   append  queue_id and the attributes of struct bounce_record: one record, durable when answered
 *   append_owner  the same, of a list whose owner (report_to) is told in the place of the sender
 *   flush   the attributes of struct delivery: send a report made from the log, forget the log
 *   warn    the same, as a delayed-mail warning; the log stays
 *   forget  the same, with no report: what was appended is to be without consequences
 * append (both), flush and forget come with the open descriptor of the message's file, in incoming
 * (from cleanup) or in active (from agents; or in incoming, deferred or hold, where others may have
 * moved it while it was being delivered). Only qmgr need not send it.
 */
#define REQUEST_APPEND       "append"
#define REQUEST_APPEND_OWNER "append_owner"
#define REQUEST_FLUSH        "flush"
#define REQUEST_WARN         "warn"
#define REQUEST_FORGET       "forget"

/*
 * private/verify: queue/verify_client.h is the client. What is known of an address; the answer
 * comes at once, and if nothing is known, or that is old, a probe is on its way.
 *   ask     request=verify address
 *   answer  status verdict=ok|later|never|pending text
 *
 * From the agents and qmgr, what became of a probe (a message with trace_flags=256, which nobody
 * delivers), with its open queue file:
 *   ask     request=verified queue_id address verdict=ok|later|never text, and the descriptor
 *   answer  status
 */
#define REQUEST_VERIFY   "verify"
#define REQUEST_VERIFIED "verified"
#define A_ADDRESS        "address"
#define A_VERDICT        "verdict"
#define A_TEXT           "text"

/*
 * private/auth: not attributes but Dovecot's authentication protocol, see auth/auth_wire.h.
 * auth/auth_client.h is the client. smtpd and the fronts of imapd and pop3d say CPID, then AUTH,
 * CONT and CANCEL; mailbox says EXCHANGE (a front's token for a ticket); imap and pop3 say REQUEST
 * (a ticket for the user).
 *
 * private/mailbox (fronts): login/handover.h is both ends.
 *   ask     request=open token, the attributes of struct handover, and one descriptor: the
 *           client's socket, or one end of a socket pair that the front relays inside TLS
 *   answer  status why_code why_text pid; on ok the user's session process, which has this
 *           number if it is known, has the descriptor
 *
 * private/imap, private/pop3 (mailbox): the programs that fork a user's session process. They
 * redeem the ticket at authd, and believe of the user what authd says and nothing else.
 *   ask     request=serve user ticket, the attributes of struct handover, and two descriptors:
 *           that of the client, and one end of a socket pair between mailbox and the new process
 *   answer  status why_code why_text pid
 *
 * mailbox to a user's session process, on that socket pair; nothing is answered:
 *   ask     request=join user ticket, the attributes of struct handover, and the client's
 *           descriptor. The ticket is needed if the connection is sent back (again)
 * By shutting down its sending side the process says that it takes no more connections; it still
 * serves those that arrive until mailbox has closed the pair. Before that it may send back a
 * connection that it cannot serve, because the user's mail directory is another one than it is
 * confined to:
 *   tell    request=again user ticket, the attributes of struct handover, and the client's
 *           descriptor
 */
#define REQUEST_OPEN  "open"
#define REQUEST_SERVE "serve"
#define REQUEST_JOIN  "join"
#define REQUEST_AGAIN "again"

#define A_TOKEN          "token"
#define A_SERVICE        "service"
#define A_TAG            "tag"
#define A_CLIENT_ADDRESS "client_address"
#define A_CLIENT_PORT    "client_port"
#define A_SERVER_ADDRESS "server_address"
#define A_SERVER_PORT    "server_port"
#define A_SESSION        "session"
#define A_PENDING        "pending"
#define A_USER           "user"
#define A_TICKET         "ticket"
#define A_PID            "pid"

#endif
