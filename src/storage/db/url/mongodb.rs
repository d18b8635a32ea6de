//! MongoDB URLs.

use std::fmt;
use std::str::FromStr;

use mongodb::options::{ConnectionString, HostInfo};

use crate::model::display_safe;
use crate::storage::db::url::StoreUrlError;

/// Database on a MongoDB server. `Display` and `Debug` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUrl {
    /// URL for the client, including the password.
    pub(in crate::storage::db) text: String,
    display: String,
    pub(in crate::storage::db) database: String,
}

impl FromStr for MongoUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if text.starts_with("mongodb+srv:") {
            return Err(StoreUrlError::MongoSrv);
        }
        let parsed = ConnectionString::parse(text).map_err(|_| StoreUrlError::MongoAddress)?;
        let database = parsed.default_database.ok_or(StoreUrlError::MongoDatabase)?;
        let HostInfo::HostIdentifiers(hosts) = parsed.host_info else { return Err(StoreUrlError::MongoSrv) };
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let user = parsed.credential.and_then(|credential| credential.username).map(|user| format!("{user}@"));
        let display = format!("mongodb://{}{}/{database}", user.unwrap_or_default(), hosts.join(","));
        Ok(Self { text: text.to_owned(), display: display_safe(&display).into_owned(), database })
    }
}

impl fmt::Display for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
