"""A worker as somebody writes it with nats-py: takes messages one after the other, and acks each."""

import asyncio
import sys

import nats
from nats.errors import TimeoutError as NothingCame


async def main(url, name, takes, batch, state):
    connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    subscription = await connection.jetstream().pull_subscribe_bind(durable=name, stream=name)
    print("at work", flush=True)
    while True:
        try:
            messages = await subscription.fetch(int(batch), timeout=1)
        except NothingCame:
            continue
        for message in messages:
            await handle(message, float(takes), state == "mended")


async def handle(message, takes, is_mended):
    await asyncio.sleep(takes)
    if message.data == b"hang" and not is_mended:
        await asyncio.Event().wait()
    elif message.data == b"poison" and not is_mended:
        await message.nak(delay=0.1)
    else:
        await message.ack()


asyncio.run(main(*sys.argv[1:]))
