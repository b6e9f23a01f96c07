//! Every integration test, in one binary: it links once, and all of it shares `support`.
#![expect(unreachable_pub, reason = "no other crate sees a test; `pub` here means seen by the files beside")]

mod tidy;
