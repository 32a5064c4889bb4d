"""A game server at level Watch: the edge tells which events each of its players is shown, and this prints every change.

    watch.py --edge ws://edge-1:8090 --edge ws://edge-2:8090 --region us-east --token-file token PLAYER...

Needs Python 3.11 and `pip install websockets`. The protocol is docs/protocol.md; all that this program adds to it is
its command line and the printing. It ends, with a goodbye to the edge, on SIGINT and SIGTERM.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

SUBPROTOCOL, PATH = "liveevents.v1", "/api/v1/subscribe"
MAX_MESSAGE = 64 << 20

# Seconds. Ten thousand game servers lose an edge at the same moment, so every wait is drawn at random.
BACKOFF_BASE, BACKOFF_MAX, REST = 0.25, 30.0, 30.0
OPEN_TIMEOUT, PING_INTERVAL, CLOSE_TIMEOUT = 10.0, 20.0, 5.0


class GameServer:
    def __init__(self, options):
        self.options = options
        self.rests_until = dict.fromkeys(options.edge, 0.0)  # those that said "not now" or "not like this"
        self.failures = 0  # since an edge last told us all
        self.shown = {}  # by player, what was printed last
        self.position = None  # the newest that any message told, from whatever edge

    async def run(self):
        """Tries the edges in turn, one that rests after the others."""
        edges = random.sample(self.options.edge, len(self.options.edge))
        start = time.monotonic()
        while True:
            edges.sort(key=self.rests_until.get)
            edge = edges[0]
            pause = max(start, self.rests_until[edge]) - time.monotonic()
            say(f"connecting to {edge} in {max(0, pause):.1f} s")
            await asyncio.sleep(pause)
            wait, rest = await self.connect(edge)
            start = time.monotonic() + wait
            self.rests_until[edge] = start + rest + random.uniform(0, rest)

    async def connect(self, edge):
        """One connection, to its end. Returns how long to wait before the next, and for how long this edge is to be
        left alone after that."""
        self.leave_at = None
        try:
            token = read_token(self.options.token_file)
            socket = await connect(
                edge.rstrip("/") + PATH,
                subprotocols=[SUBPROTOCOL],
                additional_headers={"Authorization": f"Bearer {token}"},
                max_size=MAX_MESSAGE,
                compression=None,
                open_timeout=OPEN_TIMEOUT,
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_INTERVAL,
                close_timeout=CLOSE_TIMEOUT,
            )
            async with socket:
                await self.converse(socket)
                return 0, 0
        except InvalidStatus as refused:
            body = (refused.response.body or b"").decode(errors="replace")
            say(f"{edge} refuses: {refused}: {body}")
            rest = rest_after_refusal(refused.response)
        except ConnectionClosed as closed:
            say(f"{edge} closed: {closed}")
            rest = rest_after_close(closed.rcvd.code) if closed.rcvd else 0
            if self.leave_at:
                return max(0, self.leave_at - time.monotonic()), 0
        except (OSError, TimeoutError, WebSocketException, ValueError, KeyError) as failed:
            say(f"{edge}: {failed!r}")
            rest = 0
        self.failures += 1
        return random.uniform(0, min(BACKOFF_MAX, BACKOFF_BASE * 2 ** min(self.failures, 10))), rest

    async def converse(self, socket):
        """Until the moment that the edge's goaway tells, if it does."""
        hello = {"type": "hello", "region": self.options.region, "level": "Watch", "client": "example-python/1"}
        if self.position:
            hello["position"] = self.position
        await send(socket, hello)
        await send(socket, {"type": "watch", "players": [{"player": player} for player in self.options.players]})

        acks = Acks(socket)
        acking = asyncio.create_task(acks.run())
        try:
            while True:
                # Told to go we stay until it is our turn: till then we are served.
                remaining = max(0, self.leave_at - time.monotonic()) if self.leave_at else None
                try:
                    message = json.loads(await asyncio.wait_for(socket.recv(), remaining))
                except TimeoutError:
                    return
                kind = message.get("type")
                if kind == "goaway":
                    say(f"goaway: leaving in {message['reconnectAfterMs']} ms")
                    self.leave_at = time.monotonic() + message["reconnectAfterMs"] / 1000
                if kind == "tokenExpiring":
                    say(f"the token expires at {message['expiresAt']}")
                    await send(socket, {"type": "token", "token": read_token(self.options.token_file)})
                self.receive(kind, message, acks)
        finally:
            acking.cancel()
            await asyncio.gather(acking, return_exceptions=True)

    def receive(self, kind, message, acks):
        if kind == "welcome":
            say(f"connected to {message['edge']}")
            acks.interval = message["ackIntervalMs"] / 1000
        elif kind == "player" and self.reaches(message):
            events = [f"{event['eventId']}/{event['revision']}" for event in message["events"]]
            if self.shown.get(message["player"]) != events:
                self.shown[message["player"]] = events
                print(f"version {message['version']}: {message['player']} is shown {' '.join(events) or 'nothing'}", flush=True)
        elif kind == "current" and self.reaches(message):
            # Every player has been told as of this version, and since all was printed, all is applied.
            self.failures = 0
            acks.hold(self.position)
        elif kind == "contact":
            say("the edge hears from its origin" if not message["stale"] else "the edge has lost its origin")
        elif kind == "tokenRenewed":
            say(f"the token was renewed, until {message['expiresAt']}")
        elif kind in ("refused", "error"):
            say(f"{kind}: {message}")
        # Whatever else there is, or will be, is not for us.

    def reaches(self, message):
        """Whether the message leads on, or stays where we are. An edge never leads back; if one does, we do not follow."""
        position = {"epoch": message["epoch"], "version": message["version"]}
        if self.position and order(position) < order(self.position):
            return False
        self.position = position
        return True


class Acks:
    """Acks the newest position held: at once, but not again before the interval that the edge asked for."""

    def __init__(self, socket):
        self.socket = socket
        self.interval = 1.0
        self.position = None
        self.news = asyncio.Event()

    def hold(self, position):
        if position != self.position:
            self.position, self.since = position, time.monotonic()
            self.news.set()

    async def run(self):
        while True:
            await self.news.wait()
            self.news.clear()
            held_ms = int((time.monotonic() - self.since) * 1000)
            await send(self.socket, {"type": "ack", **self.position, "status": "Applied", "heldMs": held_ms})
            await asyncio.sleep(self.interval)


# The tables of refusals and of close codes in docs/protocol.md.


def rest_after_refusal(response):
    after = response.headers.get("Retry-After", "")
    if after.isdigit():
        return int(after)
    return REST if response.status_code < 500 else 0


def rest_after_close(code):
    return REST if code in (4001, 4002, 4003, 4006, *range(4010, 4018)) else 0


def order(position):
    return position["epoch"], position["version"]


async def send(socket, message):
    await socket.send(json.dumps(message, separators=(",", ":")))


def read_token(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def say(text):
    print(text, file=sys.stderr, flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", action="append", required=True, metavar="URL", help="ws:// or wss://; repeat for more")
    parser.add_argument("--region", required=True)
    parser.add_argument("--token-file", required=True, help="is read again when the token is about to expire")
    parser.add_argument("players", nargs="+", metavar="PLAYER")
    running = asyncio.create_task(GameServer(parser.parse_args()).run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        say("ended")


if __name__ == "__main__":
    asyncio.run(main())
