//! What the machine gives: descriptors, memory, disk space, a clock.

use std::time::{Duration, SystemTime};

use inbox_bridge::format_size;

use super::Finding;
use super::machine::{Directory, Disk, FileSystem, Keeping, Machine};
use crate::config::Config;
use crate::http_ports;

/// The first second of 2024. A clock that is before it was never set.
const NOT_BEFORE: Duration = Duration::from_secs(1_704_067_200);
/// Connections that the broker lets wait to be accepted.
const BACKLOG: u64 = transport::BACKLOG as u64;
/// Memory that something else than this broker needs, in tenths.
const OTHERS_TENTHS: u64 = 2;
/// `vm.overcommit_memory`, when the system gives no more than it has.
const NO_OVERCOMMIT: u64 = 2;

/// Everything that is to be said about the limits.
pub(super) fn judge(config: &Config, machine: &Machine) -> Vec<Finding> {
    let mut found = vec![
        descriptors(config, machine.descriptors),
        memory(config, machine.memory),
        space(config, &machine.data),
        file_system(&machine.data),
        clock(config, machine.now, machine.clock),
    ];
    found.extend(backlog(config, machine.backlog));
    found.extend(overcommit(machine.overcommit));
    found.extend(swap(machine.swap));
    found
}

fn descriptors(config: &Config, limit: Option<u64>) -> Finding {
    const ABOUT: &str = "descriptors";
    let wanted = config.listener.connections_max;
    let Some(limit) = limit else {
        return Finding::ok(ABOUT, "the system sets no limit on open files");
    };
    // As the broker counts them.
    let given = http_ports::mqtt_connections_max(config, Some(limit));
    match given >= wanted {
        true => Finding::ok(
            ABOUT,
            format!("{limit} files may be open, enough for mqtt.connections_max ({wanted})"),
        ),
        false => Finding::should(
            ABOUT,
            format!(
                "{limit} files may be open, which is {given} connections of mqtt.connections_max ({wanted}); raise the hard limit to {} \
                 (LimitNOFILE= for systemd, `nofile` for Docker, `ulimit -Hn`), or set mqtt.connections_max lower",
                http_ports::descriptors_wanted(config)
            ),
        ),
    }
}

fn memory(config: &Config, memory: Option<u64>) -> Finding {
    const ABOUT: &str = "memory";
    let budget = config.memory_shares().budget;
    let (said, most) = (size(budget), memory.map(size).unwrap_or_default());
    match memory {
        None => Finding::should(
            ABOUT,
            format!(
                "how much memory there is cannot be seen; set memory.budget, which is {said} now, to what the broker may take"
            ),
        ),
        Some(memory) if budget > memory => Finding::must(
            ABOUT,
            format!(
                "the broker may take {said}, and the machine, or the container, has {most}: the system would kill it; set memory.budget to \
                 half of that, or store.cache_bytes lower"
            ),
        ),
        Some(memory) if budget > memory / 10 * (10 - OTHERS_TENTHS) => Finding::should(
            ABOUT,
            format!(
                "the broker may take {said} of {most}, and the allocator and the engine take more for moments; set memory.budget to half of \
                 what there is"
            ),
        ),
        Some(_) => Finding::ok(ABOUT, format!("the broker may take {said} of {most}")),
    }
}

fn space(config: &Config, data: &Directory) -> Finding {
    const ABOUT: &str = "space";
    let least = config.store.disk_free_bytes_min;
    let Some(Disk { free_bytes, .. }) = data.disk else {
        return Finding::should(
            ABOUT,
            format!(
                "how much space is left for {} cannot be seen; look at it yourself",
                data.path.display()
            ),
        );
    };
    let (free, least_said) = (size(free_bytes), size(least));
    if free_bytes < least {
        return Finding::must(
            ABOUT,
            format!(
                "{free} are free for {}, less than store.disk_free_bytes_min ({least_said}): every new message is refused; make room, or \
                 move data_dir to a larger disk",
                data.path.display()
            ),
        );
    }
    // One inbox that fills up is not to be what stops all of them.
    let comfortable = least.saturating_add(config.inbox.bytes_max.saturating_mul(4));
    match free_bytes < comfortable {
        true => Finding::should(
            ABOUT,
            format!(
                "{free} are free, and below store.disk_free_bytes_min ({least_said}) new messages are refused; inbox.bytes_max lets a few \
                 inboxes fill what is between: make room, or set that lower"
            ),
        ),
        false => Finding::ok(
            ABOUT,
            format!("{free} are free; new messages are refused below {least_said}"),
        ),
    }
}

fn file_system(data: &Directory) -> Finding {
    const ABOUT: &str = "file system";
    let Some(Disk { kind, is_read_only, .. }) = data.disk else {
        return Finding::should(ABOUT, "which file system the data is on cannot be seen");
    };
    let path = data.path.display();
    if is_read_only {
        return Finding::must(
            ABOUT,
            format!("{path} is on a file system that is read-only; mount it for writing, or set data_dir elsewhere"),
        );
    }
    match kind {
        FileSystem::Local(name) => Finding::ok(ABOUT, format!("{path} is on {name}")),
        FileSystem::Memory(name) => Finding::must(
            ABOUT,
            format!(
                "{path} is on {name}, in memory: what the broker says is on disk is gone when the machine stops; set data_dir to a \
                 directory on a disk"
            ),
        ),
        FileSystem::Remote(name) => Finding::should(
            ABOUT,
            format!(
                "{path} is on {name}, where locks and fsync are what another machine or program makes of them; use a disk of this machine, \
                 or a volume that is a block device"
            ),
        ),
        FileSystem::Overlay => Finding::should(
            ABOUT,
            format!(
                "{path} is on an overlay, which goes when the container is removed; mount a volume there (docs/operations.md, \"Docker\")"
            ),
        ),
        FileSystem::Unknown(number) => Finding::ok(
            ABOUT,
            format!(
                "{path} is on a file system of the kind {number:#x}, of which nothing is known here; it must keep what was synced"
            ),
        ),
    }
}

fn clock(config: &Config, now: SystemTime, keeping: Keeping) -> Finding {
    const ABOUT: &str = "clock";
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let needs = config.auth.token_keys.are_any() || config.listeners.iter().any(|one| one.transport.tls().is_some());
    if since < NOT_BEFORE {
        let says = "the clock is before 2024, so it was never set: tokens and certificates are refused, and the times of messages are \
                    wrong; set it, and have it synchronised (chrony, systemd-timesyncd)";
        return match needs {
            true => Finding::must(ABOUT, says),
            false => Finding::should(ABOUT, says),
        };
    }
    match keeping {
        Keeping::Synchronised => Finding::ok(ABOUT, "the clock is synchronised"),
        Keeping::Waiting => Finding::should(
            ABOUT,
            "the clock is not synchronised yet: the times of messages and of tokens may be wrong; let systemd-timesyncd reach a time server",
        ),
        Keeping::Unseen => Finding::ok(
            ABOUT,
            "whether the clock is synchronised cannot be seen here; see that the machine runs chrony or systemd-timesyncd",
        ),
    }
}

fn backlog(config: &Config, limit: Option<u64>) -> Option<Finding> {
    let limit = limit?;
    let wanted = BACKLOG.min(config.listener.connections_max as u64);
    Some(match limit < wanted {
        true => Finding::should(
            "backlog",
            format!(
                "net.core.somaxconn lets {limit} connections wait, and the broker would let {wanted}: when all clients come back at once, some \
                 wait for seconds; set it with `sysctl -w net.core.somaxconn=4096`"
            ),
        ),
        false => Finding::ok("backlog", format!("{limit} connections may wait to be accepted")),
    })
}

fn overcommit(mode: Option<u64>) -> Option<Finding> {
    (mode? == NO_OVERCOMMIT).then(|| {
        Finding::should(
            "overcommit",
            "vm.overcommit_memory is 2, with which the system refuses memory that nobody has touched yet, and an engine that gets none ends \
             the broker; set it to 0, or give the machine enough swap",
        )
    })
}

fn swap(swap: Option<u64>) -> Option<Finding> {
    (swap? > 0).then(|| {
        Finding::ok(
            "swap",
            "there is swap; within memory.budget the broker needs none, and is slow where others push it out (MemorySwapMax=0 for systemd)",
        )
    })
}

/// In whole units, for people.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        // As much as a figure needs to be exact.
        10_737_418_240.. => format_size(bytes >> 30 << 30),
        MIB.. => format_size(bytes / MIB * MIB),
        _ => format_size(bytes),
    }
}
