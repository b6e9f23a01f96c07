//! What an account has used, and what it may use.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::or_none;
use crate::snapshot::{TierUse, limit};

/// All of it together, and where limits are told by numbers of replicas, each of these.
#[derive(Deserialize)]
pub(in crate::broker) struct AccountInfo {
    #[serde(flatten)]
    pub(in crate::broker) total: TierInfo,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::broker) tiers: BTreeMap<String, TierInfo>,
}

#[derive(Deserialize)]
pub(in crate::broker) struct TierInfo {
    #[serde(default)]
    memory: u64,
    #[serde(default)]
    storage: u64,
    #[serde(default)]
    reserved_memory: u64,
    #[serde(default)]
    reserved_storage: u64,
    #[serde(default)]
    streams: u64,
    #[serde(default)]
    consumers: u64,
    #[serde(default)]
    limits: AccountLimits,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AccountLimits {
    max_memory: i64,
    max_storage: i64,
    max_streams: i64,
    max_consumers: i64,
}

impl TierInfo {
    pub(in crate::broker) fn read(&self) -> TierUse {
        TierUse {
            memory: self.memory,
            memory_reserved: self.reserved_memory,
            memory_limit: limit(self.limits.max_memory),
            storage: self.storage,
            storage_reserved: self.reserved_storage,
            storage_limit: limit(self.limits.max_storage),
            streams: self.streams,
            streams_limit: limit(self.limits.max_streams),
            consumers: self.consumers,
            consumers_limit: limit(self.limits.max_consumers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_none_is_not_read_as_one_and_tiers_are_read_apart() {
        let text = serde_json::json!({
            "type": "io.nats.jetstream.api.v1.account_info_response", "memory": 0, "storage": 900, "streams": 3,
            "consumers": 4, "limits": { "max_memory": 0, "max_storage": -1, "max_streams": 5, "max_consumers": -1 },
            "tiers": { "R1": { "storage": 300, "streams": 1, "limits": { "max_storage": 400 } } },
        });
        let info: AccountInfo = serde_json::from_value(text).unwrap();
        let total = TierUse { storage: 900, streams: 3, streams_limit: Some(5), consumers: 4, ..TierUse::default() };
        assert_eq!(info.total.read(), total);
        let tier = TierUse { storage: 300, storage_limit: Some(400), streams: 1, ..TierUse::default() };
        assert_eq!(info.tiers["R1"].read(), tier);
    }
}
