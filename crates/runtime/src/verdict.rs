//! Sentences about how a process ended.

use csw_core::run::{Outcome, TaskResult};
use nix::sys::signal::Signal;

use crate::{
    frame::{Report, Returned},
    process::{Exit, NO_REPORT},
};

/// The outcome that a run's own report tells.
pub(crate) fn of_report(report: Report) -> Outcome {
    match (report.returned, report.failed) {
        (Some(returned), None) => Outcome::Returned(match returned {
            Returned::Version(text) => TaskResult::Version(text),
            Returned::Defaults { meta_parameters, model_parameters } => {
                TaskResult::Defaults { meta_parameters, model_parameters }
            }
            Returned::Parse { errors_warnings, custom_adjustment } => {
                TaskResult::Parse { errors_warnings, custom_adjustment: custom_adjustment.filter(|v| !v.is_null()) }
            }
            Returned::Sim { outputs } => TaskResult::Sim { outputs },
        }),
        (_, Some(traceback)) => Outcome::Failed { traceback },
        (None, None) => {
            Outcome::Failed { traceback: "the run's process reported neither a result nor an error".into() }
        }
    }
}

/// The outcome of a process that ended without a report.
pub(crate) fn of_exit(exit: &Exit) -> Outcome {
    let Exit::Status(status, _) = exit else {
        return lost("the interpreter that this run was forked from has ended");
    };
    let signal = status & 0x7f;
    let code = (status >> 8) & 0xff;
    match (signal, code) {
        (0, NO_REPORT) => failed("the model closed the connection over which its results are returned"),
        (0, code) if code == i32::from(csw_sandbox::SETUP_FAILED) => {
            lost("the sandbox could not be set up; `csw doctor` shows which layers this machine has")
        }
        (0, code) => failed(&format!("the model ended its process (exit code {code}) before its function returned")),
        // Whatever killed it from outside may not do so again; a model that does it itself fails at the last attempt.
        (signal, _) if signal == Signal::SIGKILL as i32 => {
            lost("the model's process was killed (signal SIGKILL), often because the machine is short of memory")
        }
        (signal, _) => {
            let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |known| known.to_string());
            failed(&format!("the model's process ended by signal {name}{}; its log may tell more", meaning(&name)))
        }
    }
}

fn meaning(signal: &str) -> &'static str {
    match signal {
        "SIGSEGV" => " (it used memory that is not its own: a fault in compiled code)",
        "SIGABRT" => " (compiled code gave up)",
        "SIGFPE" => " (an impossible calculation in compiled code)",
        "SIGILL" => " (compiled code for another kind of CPU)",
        "SIGXCPU" => " (its limit of CPU time)",
        "SIGXFSZ" => " (its limit for the size of a file)",
        _ => "",
    }
}

pub(crate) fn failed(sentence: &str) -> Outcome {
    Outcome::Failed { traceback: sentence.to_owned() }
}

pub(crate) fn lost(sentence: &str) -> Outcome {
    Outcome::Lost { sentence: sentence.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(status: i32) -> String {
        match of_exit(&Exit::Status(status, csw_core::run::Usage::default())) {
            Outcome::Failed { traceback } => format!("failed: {traceback}"),
            Outcome::Lost { sentence } => format!("lost: {sentence}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_end_has_a_sentence() {
        assert!(sentence(11).contains("failed: the model's process ended by signal SIGSEGV (it used memory"));
        assert!(sentence(6 | 0x80).contains("SIGABRT"));
        assert!(sentence(0).contains("failed: the model ended its process (exit code 0)"));
        assert!(sentence(3 << 8).contains("exit code 3"));
        assert!(sentence(9).starts_with("lost: "));
        assert!(sentence(125 << 8).starts_with("lost: the sandbox"));
        assert!(sentence(70 << 8).contains("closed the connection"));
    }
}
