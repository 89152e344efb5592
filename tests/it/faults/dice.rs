//! Chance that can be repeated: SplitMix64.

/// A source of numbers; a seed gives the same ones again.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Seeded by `CSW_TEST_SEED`, or by the time; says by what.
    pub fn seeded(test: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let fresh = now.map_or(1, |time| time.as_secs());
        let seed = super::knob("CSW_TEST_SEED", fresh);
        eprintln!("{test}: CSW_TEST_SEED={seed}");
        Self(seed)
    }

    /// Another source, whose numbers do not depend on how often this one is asked afterwards.
    pub fn branch(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
