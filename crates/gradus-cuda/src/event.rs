//! Points in the stream's time: what a kernel took, measured on the device.

use cudarc::driver::{result, sys};

use crate::device::check;
use crate::{Device, Result};

/// A mark on a device's stream.
///
/// ```
/// # use gradus_cuda::{Device, Event};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let start = Event::record(&device)?;
/// let x = device.zeros::<f32>(1 << 20)?;
/// let end = Event::record(&device)?;
/// println!("{} ms for {} zeros", start.milliseconds_to(&end)?, x.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Event {
    handle: sys::CUevent,
    device: Device,
}

// SAFETY: the driver's events may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A mark after all work put on the stream so far.
    ///
    /// # Errors
    /// [`crate::Error::Driver`].
    pub fn record(device: &Device) -> Result<Self> {
        device.0.bind()?;
        let handle = check(
            "cuEventCreate",
            result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT),
        )?;
        let event = Self {
            handle,
            device: device.clone(),
        };
        // SAFETY: event and stream are of this device.
        check("cuEventRecord", unsafe {
            result::event::record(handle, device.0.stream)
        })?;
        Ok(event)
    }

    /// The time from this mark to a later one, in milliseconds; waits for it.
    ///
    /// # Errors
    /// [`crate::Error::Driver`]; [`crate::Error::Devices`] if they are of two devices.
    pub fn milliseconds_to(&self, end: &Self) -> Result<f32> {
        if self.device != end.device {
            return Err(crate::Error::Devices {
                op: "Event::milliseconds_to",
            });
        }
        self.device.0.bind()?;
        // SAFETY: both are recorded events of this device.
        unsafe {
            check("cuEventSynchronize", result::event::synchronize(end.handle))?;
            check(
                "cuEventElapsedTime",
                result::event::elapsed(self.handle, end.handle),
            )
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.device.0.bind().is_ok() {
            // SAFETY: made by `record`, and destroyed here only.
            let _ = unsafe { result::event::destroy(self.handle) };
        }
    }
}
