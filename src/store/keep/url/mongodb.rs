//! The address of a database on a MongoDB server.

use std::fmt;
use std::str::FromStr;

use mongodb::options::{ConnectionString, HostInfo};

use super::StoreUrlError;
use crate::model::display_safe;

/// A database on a MongoDB server. Shown, it never tells its password.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUrl {
    /// As the client reads it, password included.
    text: String,
    shown: String,
    database: String,
}

impl MongoUrl {
    /// What the client needs, password included.
    pub(in crate::store::keep) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::store::keep) fn database(&self) -> &str {
        &self.database
    }
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
        let shown = format!("mongodb://{}{}/{database}", user.unwrap_or_default(), hosts.join(","));
        Ok(Self { text: text.to_owned(), shown: display_safe(&shown).into_owned(), database })
    }
}

impl fmt::Display for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keep::StoreUrl;

    #[test]
    fn an_address_is_shown_without_its_password_and_names_a_database() {
        let url: StoreUrl = "mongodb://me:s3cret%40@a.example,b.example:27018/ticks?replicaSet=r".parse().unwrap();
        assert_eq!(url.to_string(), "mongodb://me@a.example:27017,b.example:27018/ticks");
        assert_eq!(format!("{url:?}"), url.to_string());
        for (text, error) in [
            ("mongodb://u:secret@h", StoreUrlError::MongoDatabase),
            ("mongodb://u:secret@h/?tls=true", StoreUrlError::MongoDatabase),
            ("mongodb://u:se@cret@h/d", StoreUrlError::MongoAddress),
            ("mongodb:secret", StoreUrlError::MongoAddress),
            ("mongodb+srv://u:secret@h/d", StoreUrlError::MongoSrv),
        ] {
            assert_eq!(text.parse::<StoreUrl>(), Err(error), "{text}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
