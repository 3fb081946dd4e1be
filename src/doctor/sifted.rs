//! Rows that the clinic's programs have written, among whatever else somebody has put
//! there who can write to the database: read in pages, so that no number of others
//! fills the memory, and each looked at, so that none hides behind others.

use crate::store::{CertificateRow, Store, StoreError};

/// Rows that are read at once.
pub const PAGE: usize = 1_000;

/// Of rows that are not genuine so many are shown.
const OTHERS: usize = 100;

/// What was found.
#[derive(Debug)]
pub struct Sifted<T> {
    /// All that are genuine.
    pub genuine: Vec<T>,
    /// Some that are not.
    pub others: Vec<T>,
}

/// Reads all pages: `read` gives the one behind the row with this identifier, of at
/// most [`PAGE`] rows in the order of identifiers.
///
/// # Errors
/// That of `read`.
pub fn sift<T>(
    read: impl Fn(Option<&[u8; 16]>) -> Result<Vec<T>, StoreError>,
    id: impl Fn(&T) -> [u8; 16],
    is_genuine: impl Fn(&T) -> bool,
) -> Result<Sifted<T>, StoreError> {
    let mut sifted = Sifted {
        genuine: Vec::new(),
        others: Vec::new(),
    };
    let mut after = None;
    loop {
        let page = read(after.as_ref())?;
        let is_last = page.len() < PAGE;
        after = page.last().map(&id);
        for row in page {
            if is_genuine(&row) {
                sifted.genuine.push(row);
            } else if sifted.others.len() < OTHERS {
                sifted.others.push(row);
            }
        }
        if is_last {
            return Ok(sifted);
        }
    }
}

/// Does this with all certificates of patients, or with those of one, page by page.
///
/// # Errors
/// [`StoreError`].
pub fn each_page(
    store: &dyn Store,
    subject: Option<&str>,
    mut work: impl FnMut(Vec<CertificateRow>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.certificates_from(subject, after.as_ref(), PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|row| row.serial);
        work(page)?;
        if is_last {
            return Ok(());
        }
    }
}
