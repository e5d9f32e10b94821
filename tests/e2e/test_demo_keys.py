"""`make demo-keys` shows what it says, and proves it by itself: it ends with status 0 only then."""
import os
import subprocess
import sys

from harness.sm import ROOT, binary


def test_the_demo_of_key_strategies():
    done = subprocess.run([sys.executable, str(ROOT / "tests/harness/demo_keys.py")], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "SHARDMERGE_BIN": os.path.abspath(binary())})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    for line in ("recommended: stride", "key strategy remap", "s1: 2 pairs on the shard, 2 merged", "s2: 3 pairs on the shard, 3 merged", "zoe, merged"):
        assert line in done.stdout, (line, done.stdout)
