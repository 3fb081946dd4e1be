//! telemed
