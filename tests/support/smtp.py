"""A mail server for tests: keeps what it receives, and fails on demand.

Prints its port, and ends when its standard input does. Every message is kept in the folder as NUMBER.json, when the
server has taken it. What comes before the @ of a recipient says what goes wrong, and how often before it goes well:

  refuse-rcpt          550 when the recipient is named
  refuse-data          554 after the message
  later-rcpt-N         451 when the recipient is named, N times
  later-data-N         451 after the message, N times
  drop-rcpt-N          the connection ends when the recipient is named, N times
  drop-data-N          the connection ends within the message, N times
  drop-taken-N         the message is taken, and the connection ends before that is said, N times
  relay                554 "Relay access denied" when the recipient is named

Whoever authenticates must give the password in the folder's file `password`, as user `bridge`.
"""

import argparse
import asyncio
import base64
import email
import email.policy
import json
import logging
import pathlib
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Keeper:
    def __init__(self, folder, only_counts):
        self.folder, self.only_counts, self.number, self.seen = folder, only_counts, 0, {}

    def fails(self, address, step):
        """Whether this try of a recipient fails at a step."""
        found = re.match(rf"{step}-(\d+)\b", address)
        if not found:
            return False
        self.seen[(address, step)] = self.seen.get((address, step), 0) + 1
        return self.seen[(address, step)] <= int(found[1])

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refuse-rcpt"):
            return f"550 5.1.1 <{address}>: no such user"
        if address.startswith("relay"):
            return f"554 5.7.1 <{address}>: Relay access denied"
        if self.fails(address, "later-rcpt"):
            return "451 4.7.1 greylisted, come again"
        if self.fails(address, "drop-rcpt"):
            server.transport.abort()
            return "451 never seen"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        if address.startswith("refuse-data"):
            return "554 5.6.0 we do not want this"
        if self.fails(address, "later-data"):
            return "451 4.3.0 come again"
        self.keep(session, envelope)
        if self.fails(address, "drop-taken"):
            server.transport.abort()
        return "250 2.0.0 taken"

    def keep(self, session, envelope):
        self.number += 1
        if self.only_counts:
            return
        raw = envelope.original_content
        message = email.message_from_bytes(raw, policy=email.policy.default)
        parts = [
            {
                "type": part.get_content_type(),
                "charset": part.get_content_charset(),
                "encoding": part.get("Content-Transfer-Encoding"),
                "name": part.get_filename(),
                "bytes": base64.b64encode(part.get_payload(decode=True)).decode(),
            }
            for part in message.walk()
            if not part.is_multipart()
        ]
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or server_is_encrypted,
            "user": session.auth_data,
            "hello": session.host_name,
            "headers": [[name, str(value)] for name, value in message.items()],
            "defects": [str(defect) for part in message.walk() for defect in part.defects],
            "parts": parts,
            "raw": base64.b64encode(raw).decode(),
        }
        path = self.folder / f"{self.number:06}.json"
        path.with_suffix(".tmp").write_text(json.dumps(kept))
        path.with_suffix(".tmp").rename(path)


class Server(SMTP):
    async def smtp_DATA(self, arg):
        recipients = self.envelope.rcpt_tos if self.envelope else []
        if recipients and self.event_handler.fails(recipients[0], "drop-data"):
            await self.push("354 go on")
            await self._reader.readline()
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


def authenticator(folder):
    def check(server, session, envelope, mechanism, data):
        expected = (folder / "password").read_bytes().strip()
        success = data.login == b"bridge" and data.password == expected
        return AuthResult(success=success, handled=False, auth_data=data.login.decode() if success else None)

    return check


async def main():
    global server_is_encrypted
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tls", choices=["starttls", "always"])
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--only-count", action="store_true", help="keep nothing, for measuring")
    arguments = parser.parse_args()
    server_is_encrypted = arguments.tls == "always"
    context = None
    if arguments.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.folder / "cert.pem", arguments.folder / "key.pem")
    options = {"hostname": "mx.test", "enable_SMTPUTF8": True, "auth_require_tls": False, "ident": "test"}
    if arguments.tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if arguments.auth:
        options |= {"authenticator": authenticator(arguments.folder), "auth_required": True}
    loop, keeper = asyncio.get_running_loop(), Keeper(arguments.folder, arguments.only_count)
    server = await loop.create_server(
        lambda: Server(keeper, loop=loop, **options),
        "127.0.0.1",
        arguments.port,
        ssl=context if server_is_encrypted else None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    if arguments.only_count:
        print(keeper.number, flush=True)


logging.disable()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
