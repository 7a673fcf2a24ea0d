//! What the kernel says of this process.

use std::time::Duration;

/// Resident memory, bytes. `None` where the kernel does not tell.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    resident_bytes_of("self")
}

/// Resident memory of a process by its id as text (or `self`), bytes.
#[must_use]
pub fn resident_bytes_of(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Processor time this process has used, user and system.
#[must_use]
pub fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Processor time that a process has used, user and system, to a hundredth of a second.
#[must_use]
pub fn cpu_time_of(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything; user and system time are the
    // 14th and 15th.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// Lets all other threads go first from now on: this thread, and those that it starts.
pub fn be_patient() {
    // It may always be lowered; a kernel that refuses leaves everything as it was.
    let _lowered = rustix::process::nice(10);
}

/// For a process that works beside another one: it, and all threads it will have, run when nothing else wants to, go first when
/// memory is short, and end with the process that started it. What the kernel refuses of this stays as it was.
pub fn go_last() {
    use rustix::process::{Signal, nice, set_parent_process_death_signal};
    let _with_parent = set_parent_process_death_signal(Some(Signal::TERM));
    let _nice = nice(19);
    let idle = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the parameters and changes the scheduling of this thread; threads inherit it.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const idle);
    }
    let _first_to_go = std::fs::write("/proc/self/oom_score_adj", "900");
}

/// Gives memory that was freed back to the system: loading a model takes three times what it needs in the end, and the
/// C library would keep the difference.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time from any thread; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
