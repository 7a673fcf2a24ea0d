"""Peer a: a subscriber in Python with ONNX Runtime."""

import job
import numpy as np
import onnxruntime
import subscriber


def network(work: job.Job, threads: int) -> job.Infer:
    """One session for all workers: it may be used by several threads, and a second one would only take memory."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # That an input may be left out is no news.
    session = onnxruntime.InferenceSession(str(work.model), options, providers=["CPUExecutionProvider"])

    def infer(view: np.ndarray) -> np.ndarray:
        return session.run([work.output], {work.input: view})[0][0]

    return infer


def main() -> None:
    parser = job.arguments(__doc__)
    parser.add_argument("--broker", type=int, required=True, help="its port")
    options = parser.parse_args()
    work = job.Job(options.bundle, options.draft)
    subscriber.serve(work, network(work, options.threads), options.workers, options.broker)


if __name__ == "__main__":
    main()
