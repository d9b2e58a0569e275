#!/usr/bin/env python3
"""A router of vLLM's kind: subscribes with pyzmq, decodes MessagePack, and says what it heard.

zmq_subscriber.py EVENTS REPLAY STORED: once it has heard of so many blocks of group 0 on "cpu", live
or from the replay, it prints one JSON object and exits 0; after 60 s it says what it has and exits 1.
"""
import json
import sys
import time

import msgpack
import zmq

TOPIC = b"kv-events"


def event_of(event):
    """The tag and the fields, whichever the shape."""
    if isinstance(event, dict):
        names = {"BlockStored": ["block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id",
                                 "medium", "lora_name", "extra_keys", "group_idx", "kv_cache_spec_kind",
                                 "kv_cache_spec_sliding_window"],
                 "BlockRemoved": ["block_hashes", "medium", "group_idx"], "AllBlocksCleared": []}
        return [event["type"]] + [event[name] for name in names[event["type"]]]
    return event


class Heard:
    def __init__(self):
        self.blocks = {}  # (medium, group, hash) -> (parent, block_size, keys)
        self.numbers = set()
        self.kinds = set()
        self.removed = 0
        self.cleared = 0

    def take(self, sequence, payload):
        if sequence in self.numbers:
            return  # heard live and in the replay
        self.numbers.add(sequence)
        batch = msgpack.unpackb(payload, raw=False)
        stamp, events, rank = (batch["ts"], batch["events"], batch["data_parallel_rank"]) \
            if isinstance(batch, dict) else batch
        assert abs(stamp - time.time()) < 3600 and rank == 0, (stamp, rank)
        for event in map(event_of, events):
            self.kinds.add(event[0])
            if event[0] == "AllBlocksCleared":
                self.blocks.clear()
                self.cleared += 1
            elif event[0] == "BlockRemoved":
                _, hashes, medium, group = event
                for one in hashes:
                    self.blocks.pop((medium, group, one), None)
                self.removed += len(hashes)
            else:
                (_, hashes, parent, tokens, size, lora, medium, lora_name, keys, group, kind, window) = event
                assert tokens == [] and lora is None and lora_name is None and len(keys) == len(hashes)
                assert kind == "full_attention" and window is None, (kind, window)
                for one, key in zip(hashes, keys):
                    assert isinstance(one, bytes) and len(one) == 32
                    self.blocks[medium, group, one] = (parent, size, tuple(key))
                    parent = one

    def on(self, medium):
        return [key for key in self.blocks if key[0] == medium and key[1] == 0]

    def chain(self):
        """Hashes from the first block on, each behind its parent."""
        by_parent = {value[0]: key[2] for key, value in self.blocks.items() if key[0] == "cpu"}
        chain, at = [], by_parent.get(None)
        while at is not None:
            chain.append(at.hex())
            at = by_parent.get(at)
        return chain


def replay(context, endpoint, heard):
    """All messages that the publisher still has, as vLLM's own example asks for them."""
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.RCVTIMEO, 20_000)
    dealer.connect(endpoint)
    dealer.send_multipart([b"", (0).to_bytes(8, "big")])
    count = 0
    while True:
        empty, number, payload = dealer.recv_multipart()
        assert empty == b""
        if int.from_bytes(number, "big", signed=True) == -1:
            assert payload == b""
            break
        heard.take(int.from_bytes(number, "big"), payload)
        count += 1
    dealer.close(linger=0)
    return count


def main():
    events, replays, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
    context = zmq.Context()
    live = context.socket(zmq.SUB)
    live.setsockopt(zmq.SUBSCRIBE, TOPIC)
    live.setsockopt(zmq.RCVTIMEO, 100)
    live.connect(events)
    heard = Heard()
    replayed = 0
    deadline = time.monotonic() + 60
    while len(heard.on("cpu")) < wanted and time.monotonic() < deadline:
        try:
            topic, number, payload = live.recv_multipart()
            assert topic == TOPIC and len(number) == 8
            heard.take(int.from_bytes(number, "big"), payload)
        except zmq.Again:
            replayed += replay(context, replays, heard)
    numbers = sorted(heard.numbers)
    value = next(iter(heard.blocks.values()), (None, 0, ()))
    print(json.dumps({
        "cpu": len(heard.on("cpu")), "disk": len(heard.on("disk")), "replayed": replayed,
        "holes": numbers != list(range(len(numbers))), "cleared": heard.cleared, "removed": heard.removed,
        "block_size": value[1], "keys": list(value[2]), "chain": heard.chain()}))
    sys.exit(0 if len(heard.on("cpu")) >= wanted else 1)


main()
