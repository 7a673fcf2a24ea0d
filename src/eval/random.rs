//! Numbers that look random and are the same on every machine.
//!
//! The generator is PCG64 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
//! Number Generation", 2014), whose output is fixed by its definition. What is made of it takes only exact arithmetic and
//! `libm`, for a logarithm or sine of the C library may differ in its last digit from one machine to the next.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use sha2::{Digest, Sha256};

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    generator: Pcg64,
    /// Normal values are made in pairs.
    spare: Option<f64>,
}

impl Random {
    /// The sequence that belongs to a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // PCG's own stream. Streams are correlated, seeds of one stream are not once they are mixed.
        const STREAM: u128 = 0x0a02_bdbf_7bb3_c0a7_ac28_fa16_a64a_bf96;
        let state = u128::from(mix(seed, 0, "low")) | u128::from(mix(seed, 0, "high")) << 64;
        Self { generator: Pcg64::new(state, STREAM), spare: None }
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        // The 53 bits that the numbers of this range have.
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `low` up to, not including, `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number from 0 up to, not including, `end`; 0 if that is 0.
    ///
    /// Some come more often than others by a part in 2^64 / `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.generator.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// Either, as likely as not.
    pub fn coin(&mut self) -> bool {
        self.generator.next_u64() >> 63 == 1
    }

    /// A number from the normal distribution with mean 0 and standard deviation 1 (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // Above 0, for the logarithm.
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let (sine, cosine) = libm::sincos(std::f64::consts::TAU * self.unit());
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

/// A seed made from a seed, for the thing with a number and for one purpose. Each of the three changes it wholly, so that
/// neighbours have nothing in common, and a purpose that is added later changes nothing for the others.
#[must_use]
pub fn mix(seed: u64, index: u64, purpose: &str) -> u64 {
    let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(index.to_le_bytes()).chain_update(purpose);
    let hash = hash.finalize();
    hash.iter().take(8).rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also the promise that a seed written down today gives the same pictures in a later version.
    #[test]
    fn a_seed_gives_these_numbers_everywhere() {
        assert_eq!(mix(0, 0, ""), 15_392_584_411_371_816_759);
        let mut random = Random::new(1);
        assert_eq!([(); 3].map(|()| random.below(1_000_000)), [607_708, 181_445, 601_472]);
        // To the last digit.
        let normal = [(); 3].map(|()| random.normal());
        assert_eq!(normal, [0.173_368_639_570_176_73, -1.345_019_550_877_169_6, -0.455_962_231_233_575_7]);
    }

    #[test]
    fn each_part_of_a_seed_counts() {
        let seeds = [mix(1, 2, "a"), mix(2, 1, "a"), mix(1, 3, "a"), mix(1, 2, "b"), mix(1, 2, "")];
        for (index, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..index].contains(seed), "{seeds:?}");
        }
    }

    #[test]
    fn values_have_the_moments_of_their_distributions() {
        const N: u32 = 100_000;
        let mut random = Random::new(7);
        let moments = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / f64::from(N);
            (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(N))
        };
        let units: Vec<f64> = (0..N).map(|_| random.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let (mean, variance) = moments(&units);
        assert!((mean - 0.5).abs() < 0.005 && (variance - 1.0 / 12.0).abs() < 0.002, "{mean} {variance}");

        let normal: Vec<f64> = (0..N).map(|_| random.normal()).collect();
        let (mean, variance) = moments(&normal);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let beyond = normal.iter().filter(|value| value.abs() > 1.959_964).count() as f64 / f64::from(N);
        assert!((beyond - 0.05).abs() < 0.004, "{beyond}");
        // The two of a pair, and one and the next, have nothing to do with each other.
        let product = normal.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / f64::from(N);
        assert!(product.abs() < 0.02, "{product}");

        let mut counts = [0; 6];
        (0..N).for_each(|_| counts[random.below(6) as usize] += 1);
        assert!(counts.iter().all(|&count| (16_100..17_200).contains(&count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
        let heads = (0..N).filter(|_| random.coin()).count();
        assert!((49_000..51_000).contains(&heads), "{heads}");
    }
}
