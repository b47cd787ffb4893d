//! Release packages as they are fetched: from servers that this test starts, by the binary.
