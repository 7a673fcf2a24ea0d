"""Peer b: a service in Python, Flask with a pool of threads behind it. A picture is posted, the answer is JSON.

Waitress serves it, which is better for the peer than Flask's own server for development. Pictures come again and again in a
measurement, so there is no cache.
"""

import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flask
import job
import waitress

# More than the connections that the load has: none waits for a thread of the server.
SERVER_THREADS = 16


def torch_network(script: Path, threads: int) -> job.Infer:
    import torch

    torch.set_num_threads(threads)
    module = torch.jit.freeze(torch.jit.load(str(script)).eval())

    def infer(view):
        with torch.inference_mode():
            pixels = torch.from_numpy(view).contiguous(memory_format=torch.channels_last)
            return module(pixels)[0].numpy()

    return infer


def main() -> None:
    parser = job.arguments(__doc__)
    parser.add_argument("--torch", type=Path, help="a TorchScript file that torch runs in the place of ONNX Runtime")
    options = parser.parse_args()
    work = job.Job(options.bundle, options.draft)
    if options.torch:
        infer = torch_network(options.torch, options.threads)
    else:
        import onnxruntime_peer

        infer = onnxruntime_peer.network(work, options.threads)
    pool = ThreadPoolExecutor(options.workers)
    app = flask.Flask(__name__)

    @app.post("/<camera>")
    def look(camera: str) -> flask.Response:
        try:
            answer = pool.submit(work.answer, camera, flask.request.get_data(), infer).result()
        except Exception:
            traceback.print_exc()
            job.give_up()
        return flask.Response(answer, content_type="application/json")

    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=SERVER_THREADS)
    job.ready(server.effective_port)
    server.run()


if __name__ == "__main__":
    main()
