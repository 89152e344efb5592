//! What a run costs: seconds × resources × prices.

/// Prices in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Per CPU and hour.
    pub cpu_hour: f64,
    /// Per gigabyte of memory and hour.
    pub gigabyte_hour: f64,
}

impl Default for Prices {
    /// The public figures of section 7 of the 1.6 behaviour (release 1.7): 0.021811 $/CPU-h and 0.002923 $/GB-h.
    fn default() -> Self {
        Self { cpu_hour: 0.021_811, gigabyte_hour: 0.002_923 }
    }
}

impl Prices {
    /// Dollars an hour for these resources.
    #[must_use]
    pub fn per_hour(&self, cpus: f64, memory_gigabytes: f64) -> f64 {
        self.cpu_hour * cpus + self.gigabyte_hour * memory_gigabytes
    }

    /// Dollars for a run of `milliseconds`.
    #[must_use]
    pub fn of_run(&self, cpus: f64, memory_gigabytes: f64, milliseconds: u64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
        let hours = milliseconds as f64 / 3_600_000.0;
        self.per_hour(cpus, memory_gigabytes) * hours
    }
}
