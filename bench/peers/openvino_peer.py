"""Peer c: a subscriber in Python with OpenVINO."""

import threading

import job
import numpy as np
import openvino
import subscriber


def network(work: job.Job, workers: int, threads: int, precision: str | None) -> job.Infer:
    """Tuned by OpenVINO's own hints, and within as many threads as the daemon computes with."""
    hints: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY" if workers == 1 else "THROUGHPUT"}
    hints |= {"PERFORMANCE_HINT_NUM_REQUESTS": workers, "INFERENCE_NUM_THREADS": workers * threads}
    if precision:
        hints["INFERENCE_PRECISION_HINT"] = precision
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(work.model), "CPU", hints)
    own = threading.local()

    def infer(view: np.ndarray) -> np.ndarray:
        # A request belongs to one thread.
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        own.request.infer({work.input: view})
        return own.request.get_tensor(work.output).data[0]

    return infer


def main() -> None:
    parser = job.arguments(__doc__)
    parser.add_argument("--broker", type=int, required=True, help="its port")
    parser.add_argument("--precision", help="such as f32; OpenVINO chooses otherwise, and takes bf16 where the processor has it")
    options = parser.parse_args()
    work = job.Job(options.bundle, options.draft)
    infer = network(work, options.workers, options.threads, options.precision)
    subscriber.serve(work, infer, options.workers, options.broker)


if __name__ == "__main__":
    main()
