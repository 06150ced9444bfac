"""What the peer scripts share: options, timing, and the one JSON line each prints."""

import argparse
import json
import resource
import statistics
import time


def arguments(description, batch, modes=()):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("cfg")
    parser.add_argument("--width", type=int, default=0, help="input width; default: the cfg's")
    parser.add_argument("--height", type=int, default=0)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    if modes:
        parser.add_argument("--mode", choices=modes, default=modes[0])
    return parser.parse_args()


def timed(step, warmup, runs):
    """Milliseconds of each of `runs` calls after `warmup` calls."""
    for _ in range(warmup):
        step()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def report(peer, net, what, options, times, version, **more):
    print(json.dumps({"peer": peer, "net": net, "what": what, "batch": options.batch, "ms_median": round(statistics.median(times), 3),
                      "ms_min": round(min(times), 3), "ms_max": round(max(times), 3),
                      "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1), "threads": options.threads,
                      "version": version, **more}))
