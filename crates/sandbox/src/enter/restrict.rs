//! Landlock and the filter of system calls: what a process gives up for good.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use crate::confinement::{Confinement, DEVICES, NetworkAccess};
use crate::error::SandboxError;

/// The newest interface whose rights are asked for; older kernels get what they know.
const NEWEST: ABI = ABI::V7;

/// Puts the calling process into a Landlock domain of the confinement's paths.
pub(super) fn landlock(confinement: &Confinement) -> Result<(), SandboxError> {
    let mut writable = confinement.writable.clone();
    if confinement.layers.namespaces {
        writable.extend(["/tmp", "/dev/shm"].map(PathBuf::from));
    }
    let devices: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
    let use_device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let domain = || -> Result<RulesetStatus, RulesetError> {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?
            .create()?;
        let rules = allow(rules, &confinement.readable(), AccessFs::from_read(NEWEST))?;
        let rules = allow(rules, &devices, use_device)?;
        let rules = allow(rules, &writable, AccessFs::from_all(NEWEST))?;
        Ok(rules.restrict_self()?.ruleset)
    };
    match domain() {
        Ok(RulesetStatus::NotEnforced) => {
            Err(SandboxError::Invalid("this kernel has no Landlock (`csw doctor` tells more)".into()))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(SandboxError::Invalid(format!("Landlock: {error}"))),
    }
}

fn allow(
    mut rules: RulesetCreated,
    paths: &[PathBuf],
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        // What cannot be opened is not granted: the safe way to be wrong.
        let Ok(opened) = PathFd::new(path) else { continue };
        let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
        rules = rules.add_rule(PathBeneath::new(opened, rights))?;
    }
    Ok(rules)
}

/// Calls that nobody who only computes needs, and that reach far into the kernel.
const DENIED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] =
    &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_kexec_file_load, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[libc::c_long] = &[libc::SYS_kexec_file_load];

const NEW_NAMESPACES: u32 = 0x7E02_0080;

fn errno(number: libc::c_int) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

type Rules = Vec<(libc::c_long, Vec<SeccompRule>)>;

/// The kinds of sockets that a program may make: local, IP and routing. Others, vsock for one, leave the namespace of a network;
/// without such a namespace, those of IP lead out.
fn families(confinement: &Confinement) -> &'static [libc::c_int] {
    if confinement.network == NetworkAccess::None && !confinement.layers.namespaces {
        return &[libc::AF_UNIX, libc::AF_NETLINK];
    }
    &[libc::AF_UNIX, libc::AF_NETLINK, libc::AF_INET, libc::AF_INET6]
}

fn refused(families: &[libc::c_int]) -> Result<Rules, seccompiler::BackendError> {
    let word = SeccompCmpArgLen::Dword;
    let condition = |argument, operator, value| SeccompCondition::new(argument, word.clone(), operator, value);
    let mut rules: Rules = DENIED.iter().chain(DENIED_HERE).map(|number| (*number, vec![])).collect();
    // Any one of the bits: one rule per bit, since rules of a call are alternatives.
    let mut namespaces = vec![];
    for bit in (0..32).map(|bit| 1_u64 << bit).filter(|bit| u64::from(NEW_NAMESPACES) & bit != 0) {
        let set = condition(0, SeccompCmpOp::MaskedEq(bit), bit)?;
        namespaces.push(SeccompRule::new(vec![set])?);
    }
    rules.push((libc::SYS_clone, namespaces));
    // Asking for the personality is fine, changing it is not.
    let change = vec![condition(0, SeccompCmpOp::Ne, 0xFFFF_FFFF)?, condition(0, SeccompCmpOp::Ne, 0)?];
    rules.push((libc::SYS_personality, vec![SeccompRule::new(change)?]));
    let mut others = vec![];
    for family in families {
        others.push(condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))?);
    }
    rules.push((libc::SYS_socket, vec![SeccompRule::new(others)?]));
    // Typing into the terminal of whoever started this.
    let mut typing = vec![];
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        typing.push(SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, request)?])?);
    }
    rules.push((libc::SYS_ioctl, typing));
    Ok(rules)
}

fn filter(rules: Rules, action: SeccompAction) -> Result<BpfProgram, seccompiler::BackendError> {
    let target = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules.into_iter().collect(), SeccompAction::Allow, action, target)?.try_into()
}

/// Calls of the x32 interface share this architecture under numbers of their own,
/// which a list of refused numbers would miss.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::cast_possible_truncation)] // instruction codes are 16 bits wide
fn no_x32() -> BpfProgram {
    const FIRST_X32: u32 = 0x4000_0000;
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, FIRST_X32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Installs the filter: refused calls answer EPERM; `clone3` answers ENOSYS,
/// since its flags are out of a filter's sight and the C library then uses `clone`.
pub(super) fn seccomp(confinement: &Confinement) -> Result<(), SandboxError> {
    install(families(confinement))
        .map_err(|error| SandboxError::Invalid(format!("the filter of system calls: {error}")))
}

fn install(families: &[libc::c_int]) -> Result<(), seccompiler::Error> {
    let later = filter(vec![(libc::SYS_clone3, vec![])], errno(libc::ENOSYS))?;
    let mut programs = vec![later, filter(refused(families)?, errno(libc::EPERM))?];
    #[cfg(target_arch = "x86_64")]
    programs.push(no_x32());
    programs.iter().try_for_each(|program| seccompiler::apply_filter(program))
}

/// Whether a filter can be installed; it then binds the calling process.
pub(crate) fn seccomp_works() -> bool {
    seccomp(&Confinement::default()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_for_this_machine() {
        let rules = refused(families(&Confinement::default())).expect("rules");
        assert!(filter(rules, errno(libc::EPERM)).expect("program").len() > 100);
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut all: Vec<_> = DENIED.iter().chain(DENIED_HERE).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
