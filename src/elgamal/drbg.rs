//! HMAC_DRBG with SHA-512 (NIST SP 800-90A, revision 1, section 10.1.2),
//! instantiated for a single output.

use zeroize::Zeroize;

use crate::kdf::hmac;
use crate::secret::{Secret, SecretBytes};

/// The generator's whole state; wiped on drop.
pub struct HmacDrbg {
    key: Secret<64>,
    value: Secret<64>,
}

impl HmacDrbg {
    /// Instantiated with the seed material `seed`, all parts one after the
    /// other: entropy input, nonce, personalisation string.
    pub fn new(seed: &[&[u8]]) -> Self {
        let mut drbg = Self {
            key: Secret::zero(),
            value: Secret::zero(),
        };
        drbg.value.expose_mut().fill(1);
        drbg.update(seed, 0);
        drbg.update(seed, 1);
        drbg
    }

    /// `len` pseudorandom bytes, at most the 65,536 that one request may ask
    /// for. The state is gone afterwards: the standard would update it now.
    pub fn generate(mut self, len: usize) -> SecretBytes {
        let mut output = SecretBytes::new(vec![0; len]);
        for chunk in output.expose_mut().chunks_mut(64) {
            self.step();
            chunk.copy_from_slice(&self.value.expose()[..chunk.len()]);
        }
        output
    }

    /// One of the two halves of the standard's update with data.
    fn update(&mut self, data: &[&[u8]], round: u8) {
        let round = [round];
        let mut parts: Vec<&[u8]> = vec![self.value.expose(), &round];
        parts.extend_from_slice(data);
        let key = hmac(self.key.expose(), &parts);
        take(&mut self.key, key);
        self.step();
    }

    fn step(&mut self) {
        let value = hmac(self.key.expose(), &[self.value.expose()]);
        take(&mut self.value, value);
    }
}

fn take(secret: &mut Secret<64>, mut bytes: [u8; 64]) {
    secret.expose_mut().copy_from_slice(&bytes);
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kdf::hash;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |text| u8::from_str_radix(text, 16).unwrap();
        (0..hex.len() / 2)
            .map(|index| digit(&hex[2 * index..2 * index + 2]))
            .collect()
    }

    /// RFC 6979, appendix A.2.5, P-256 with SHA-512 and the message "sample":
    /// its k is the first output of this generator, seeded with the key and the
    /// hash. The hash, cut to 256 bits, lies below the curve's order.
    #[test]
    fn the_nonce_of_rfc_6979_is_generated() {
        let key = bytes("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let k = bytes("5FA81C63109BADB88C1F367B47DA606DA28CAD69AA22C4FE6AD7DF73A7173AA5");
        let drbg = HmacDrbg::new(&[&key, &hash(&[b"sample"])[..32]]);
        assert_eq!(drbg.generate(32).expose(), k);
    }

    #[test]
    fn a_longer_output_begins_with_the_shorter_one() {
        let short = HmacDrbg::new(&[b"seed"]).generate(65);
        let long = HmacDrbg::new(&[b"se", b"ed"]).generate(200);
        assert_eq!(short.expose(), &long.expose()[..65]);
        assert_ne!(long.expose()[..64], long.expose()[64..128]);
    }
}
