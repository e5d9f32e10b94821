"""Shards change their schemas and rows at random, each at its own pace, while the program is killed now and then: at the end the
merged table has the shards' schema and the union of their rows."""
import os
import random
import time

import pytest

T = {"t": "(id BIGINT PRIMARY KEY, v INT, w VARCHAR(40))", "other": "(id BIGINT PRIMARY KEY, v INT)"}
ROUNDS = int(os.environ.get("SHARDMERGE_DDL_ROUNDS", "6"))


class Shards:
    """What every shard goes through, in the same order, at its own pace."""

    def __init__(self, s, rng):
        self.s, self.rng = s, rng
        self.changes: list[str] = []
        self.columns: list[dict[str, str]] = [{"v": "int", "w": "text"} for _ in s.shards]
        self.done = [0] * len(s.shards)
        self.ids: list[list[int]] = [[] for _ in s.shards]
        self.next_id = 0
        self.plan = dict(self.columns[0])  # after all changes
        self.names = 0

    def invent(self) -> None:
        """One more change for everybody."""
        rng, free = self.rng, [c for c in self.plan if c != "id"]
        kind = rng.choice(["add", "add", "add_text", "drop", "rename", "widen", "index", "default"])
        if kind in ("drop", "rename", "default", "widen") and len(free) < 2:
            kind = "add"
        if kind in ("add", "add_text"):
            self.names += 1
            name = f"c{self.names}"
            text = kind == "add_text"
            self.plan[name] = "text" if text else "int"
            where = rng.choice(["", " FIRST", f" AFTER {rng.choice(free)}"])
            self.changes.append(f"ADD COLUMN {name} " + ("VARCHAR(20) DEFAULT 'd'" if text else f"INT NOT NULL DEFAULT {rng.randint(0, 9)}") + where)
        elif kind == "drop":
            name = rng.choice(free)
            del self.plan[name]
            self.changes.append(f"DROP COLUMN {name}")
        elif kind == "rename":
            name = rng.choice(free)
            self.names += 1
            self.plan[f"c{self.names}"] = self.plan.pop(name)
            self.changes.append(f"RENAME COLUMN {name} TO c{self.names}")
        elif kind == "widen":
            name = rng.choice(free)
            self.changes.append(f"MODIFY COLUMN {name} " + ("BIGINT" if self.plan[name] == "int" else "VARCHAR(100)"))
        elif kind == "index":
            self.names += 1
            self.changes.append(f"ADD INDEX i{self.names} ({rng.choice(free)})")
        else:
            name = rng.choice(free)
            self.changes.append(f"ALTER COLUMN {name} SET DEFAULT " + ("8" if self.plan[name] == "int" else "'e'"))

    def step(self, i: int) -> bool:
        """The shard's next change; False: it has had all."""
        if self.done[i] == len(self.changes):
            return False
        change = self.changes[self.done[i]]
        self.s.shard_run(i + 1, f"ALTER TABLE {{s}}.t {change}")
        self.done[i] += 1
        words = change.split()
        cols = self.columns[i]
        if words[0] == "ADD" and words[1] == "COLUMN":
            cols[words[2]] = "text" if words[3].startswith("VARCHAR") else "int"
        elif words[0] == "DROP":
            del cols[words[2]]
        elif words[0] == "RENAME":
            cols[words[4]] = cols.pop(words[2])
        return True

    def write(self, i: int) -> None:
        rng, cols, ids = self.rng, self.columns[i], self.ids[i]
        statements = []
        for _ in range(rng.randint(1, 4)):
            what = rng.choice(["insert", "insert", "update", "delete"]) if ids else "insert"
            value = {c: str(rng.randint(0, 1000)) if k == "int" else f"'x{rng.randint(0, 1000)}'" for c, k in cols.items()}
            if what == "insert":
                self.next_id += 1
                n = (i + 1) * 1000000 + self.next_id
                ids.append(n)
                some = [c for c in value if rng.random() < 0.8]
                statements.append(f"INSERT INTO {{s}}.t (id{''.join(', ' + c for c in some)}) VALUES ({n}{''.join(', ' + value[c] for c in some)})")
            elif what == "update" and value:
                c = rng.choice(list(value))
                statements.append(f"UPDATE {{s}}.t SET {c} = {value[c]} WHERE id = {rng.choice(ids)}")
            elif what == "delete":
                statements.append(f"DELETE FROM {{s}}.t WHERE id = {ids.pop(rng.randrange(len(ids)))}")
        if rng.random() < 0.3:
            self.next_id += 1
            statements.append(f"INSERT INTO {{s}}.other VALUES ({(i + 1) * 1000000 + self.next_id}, 1)")
        self.s.shard_run(i + 1, *statements)


def union(s, table):
    names = [r[0] for r in s.downstream.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
                                              "ORDER BY ORDINAL_POSITION", (s.target, table))]
    cols = ", ".join(f"`{n}`" for n in names)
    got = s.downstream.query(f"SELECT {cols} FROM `{s.target}`.`{table}` ORDER BY id")
    want = [r for shard in s.shards for r in shard.server.query(f"SELECT {cols} FROM `{shard.schema}`.`{table}`")]
    at = names.index("id")
    return names, sorted(got, key=lambda r: r[at]), sorted(want, key=lambda r: r[at])


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
@pytest.mark.parametrize("flavors,downstream", [(("mariadb", "mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql")], ids=["mariadb", "mysql"])
def test_random_changes(scenario, flavors, downstream, mode, seed):
    seed = seed if seed is not None else int(os.environ.get("SHARDMERGE_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": mode})
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    shards = Shards(s, rng)
    for _ in range(ROUNDS):
        shards.invent()
        order = list(range(len(s.shards)))
        for _ in range(3 * len(order)):
            i = rng.choice(order)
            shards.write(i)
            if rng.random() < 0.4:
                shards.step(i)
            if rng.random() < 0.08:
                s.runner.kill9()
                s.runner.start()
            time.sleep(rng.random() * 0.05)
    for i in range(len(s.shards)):
        while shards.step(i):
            shards.write(i)
    s.runner.wait_caught_up(120)
    names, got, want = union(s, "t")
    assert set(names) == set(shards.plan) | {"id"}, f"seed {seed}: changes {shards.changes}"
    wrong = [x for x in got if x not in want][:5], [x for x in want if x not in got][:5]
    assert got == want, f"seed {seed}: changes {shards.changes}; {names}: only merged, only shards: {wrong}"
    assert union(s, "other")[1] == union(s, "other")[2], f"seed {seed}"
    s.runner.stop()
