//! Which partition a key belongs to: the same answer in every process, in any language, and on the server.

/// Where the hash begins and what it multiplies by.
///
/// Source: FNV-1a of 32 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>.
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// The partition of `key` among `partitions`, counted from 0; what nats-server's subject transform `{{partition(n,1)}}` makes of the
/// token. No partitions count as one.
pub fn of(key: &str, partitions: u32) -> u32 {
    let hash = key.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME));
    hash % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, expected: u32) {
        assert_eq!(of(key, u32::MAX), expected, "{key:?}");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        check("", 0x811c_9dc5);
        check("a", 0xe40c_292c);
        check("foobar", 0xbf9c_f968);
    }

    #[test]
    fn every_key_has_a_partition_even_where_there_are_none() {
        assert_eq!((of("a", 0), of("a", 1)), (0, 0));
        assert!((0..1_000).all(|number| of(&format!("k{number}"), 8) < 8));
    }
}
