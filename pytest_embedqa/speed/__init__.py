"""How fast an encoder is: throughput, latency of single queries, memory, and the ratio to another in the same run."""
