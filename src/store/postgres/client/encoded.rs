//! Parameters in the form in which the server gets them. Those of a caller are
//! borrowed, and the thread that sends them may outlast him.

use std::error::Error;
use std::fmt;

use bytes::BytesMut;
use postgres::Statement;
use postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use zeroize::Zeroize;

use crate::store::StoreFault;
use crate::store::postgres::connection::Params;

/// One parameter. It may be a secret: it is wiped.
pub(super) struct Encoded {
    bytes: BytesMut,
    is_null: bool,
    format: Format,
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoded")
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        self.bytes[..].zeroize();
    }
}

impl Encoded {
    fn new(param: &(dyn ToSql + Sync), kind: &Type) -> Result<Self, StoreFault> {
        let mut encoded = Self {
            bytes: BytesMut::new(),
            is_null: false,
            format: param.encode_format(kind),
        };
        let written = param.to_sql_checked(kind, &mut encoded.bytes);
        encoded.is_null = matches!(written.map_err(StoreFault::Failed)?, IsNull::Yes);
        Ok(encoded)
    }
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.bytes);
        Ok(match self.is_null {
            true => IsNull::Yes,
            false => IsNull::No,
        })
    }

    /// It was encoded for the type that the statement has there.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

/// The parameters of a statement.
pub(super) fn encode(
    statement: &Statement,
    params: Params<'_>,
) -> Result<Vec<Encoded>, StoreFault> {
    let kinds = statement.params();
    if kinds.len() != params.len() {
        let (kinds, params) = (kinds.len(), params.len());
        let sentence = format!("a statement takes {kinds} parameters and was given {params}");
        return Err(StoreFault::Failed(sentence.into()));
    }
    let params = params.iter().zip(kinds);
    params
        .map(|(param, kind)| Encoded::new(*param, kind))
        .collect()
}

/// The same as the crate takes them.
pub(super) fn borrowed(params: &[Encoded]) -> Vec<&(dyn ToSql + Sync)> {
    params
        .iter()
        .map(|param| param as &(dyn ToSql + Sync))
        .collect()
}
