//! Random bytes from the kernel, for hash seeds, identifiers and tokens.

use whyslow_model::seeded::Seed;

use crate::Error;

/// Fills `into` with bytes nobody can predict.
///
/// # Errors
/// Where the kernel has none to give, which it only says before it has booted up.
pub fn fill(into: &mut [u8]) -> Result<(), Error> {
    let mut rest = into;
    while !rest.is_empty() {
        // SAFETY: pointer and length describe `rest`, which outlives the call.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        let Ok(n) = usize::try_from(n) else {
            let error = Error::last("read random bytes");
            if error.source.kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        rest = &mut rest[n..];
    }
    Ok(())
}

/// Eight random bytes as a number.
///
/// # Errors
/// As [`fill`].
pub fn number() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The seed of every hash map that outsiders can fill, drawn once per process.
///
/// # Errors
/// As [`fill`].
pub fn hash_seed() -> Result<Seed, Error> {
    number().map(Seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut a, mut b) = ([0; 64], [0; 64]);
        fill(&mut a).expect("random bytes");
        fill(&mut b).expect("random bytes");
        assert_ne!(a, b);
    }
}
