//! The probes of single primitives: on the emulation they show that it does what the PTX ISA says, as far as its author read it.

use crate::standin::orders;

#[test]
fn every_primitive_by_itself() {
    orders(|device| {
        let probes = gradus_cuda::probe::run(device).unwrap();
        assert_eq!(probes.len(), 13);
        for probe in probes {
            assert!(probe.passed(), "{probe:?}");
        }
    });
}
