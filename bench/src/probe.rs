//! What the node's process costs, read from /proc: processor time and resident memory.

/// Length of a kernel tick as /proc counts processor time; Linux gives it to programs as 100 a second.
const MICROS_PER_TICK: u64 = 10_000;

/// A process's use of the machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time so far, user and system, in microseconds.
    pub processor_micros: u64,
    /// Resident memory in KiB.
    pub resident_kib: u64,
}

/// Looks at a process; `None` when it is not there.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { processor_micros: ticks(&stat)? * MICROS_PER_TICK, resident_kib: resident(&status)? })
}

/// utime plus stime: the 14th and 15th field, counted behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let behind = &stat[stat.rfind(')')? + 1..];
    let mut fields = behind.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_counted_behind_a_name_with_spaces() {
        let stat = "7 (a) name) S 1 7 7 0 -1 4 10 0 0 0 250 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(resident("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1234));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(usage(std::process::id()).is_some_and(|usage| usage.resident_kib > 100));
    }
}
