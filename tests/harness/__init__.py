"""Everything the end-to-end tests, the demo and the benchmark share: servers, proxy, workloads, oracle, task runner."""
