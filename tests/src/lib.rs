//! Test kit of ditto-connectivity.
