//! What the tests stand on: the daemon as a child process, brokers, clients, pictures.

pub(crate) mod broker;
pub(crate) mod certs;
pub(crate) mod client;
pub(crate) mod flood;
pub(crate) mod http;
pub(crate) mod launch;
pub(crate) mod node;
pub(crate) mod output;
pub(crate) mod pictures;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen: long, since a busy machine is no failure. Longer yet, in seconds
/// by `GLANCED_TEST_PATIENCE`, for a program that runs under an emulator.
pub(crate) static PATIENCE: LazyLock<Duration> = LazyLock::new(|| {
    let seconds = std::env::var("GLANCED_TEST_PATIENCE").map_or(30, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
});
const POLL: Duration = Duration::from_millis(10);

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program to test: what `GLANCED_TEST_PROGRAM` names, such as one built for another machine, or else our own.
pub(crate) fn program() -> Command {
    Command::new(std::env::var_os("GLANCED_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_glanced").into()))
}

/// The bundles that are made for tests.
pub(crate) fn bundles() -> PathBuf {
    root().join("tests/bundles")
}

/// A path for a command line.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is UTF-8")
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none for [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + *PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {:?} in vain: {what}", *PATIENCE);
        std::thread::sleep(POLL);
    }
}
