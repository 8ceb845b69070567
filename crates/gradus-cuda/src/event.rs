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
        device
            .0
            .not_in_capture("Event::record", "it marks a time")?;
        let _bound = device.0.bind()?;
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
        let device = &self.device.0;
        device.not_in_capture("Event::milliseconds_to", "it waits for the device")?;
        let _bound = device.bind()?;
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
        if self.device.0.bind_now().is_ok() {
            // SAFETY: made by `record`, and destroyed here only.
            let _ = unsafe { result::event::destroy(self.handle) };
        }
    }
}

/// An event without a time: what one stream waits for of another. The context is bound whenever it is used or dropped.
#[derive(Debug)]
pub(crate) struct Mark(pub(crate) sys::CUevent);

// SAFETY: as above.
unsafe impl Send for Mark {}
// SAFETY: as above.
unsafe impl Sync for Mark {}

impl Mark {
    pub(crate) fn new() -> Result<Self> {
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
        Ok(Self(check("cuEventCreate", result::event::create(flags))?))
    }

    /// A mark after all work put on the stream so far.
    pub(crate) fn after(stream: sys::CUstream) -> Result<Self> {
        let mark = Self::new()?;
        mark.record(stream)?;
        Ok(mark)
    }

    pub(crate) fn record(&self, stream: sys::CUstream) -> Result<()> {
        // SAFETY: event and stream are of the device whose context is bound.
        check("cuEventRecord", unsafe {
            result::event::record(self.0, stream)
        })
    }

    /// Has `stream` wait for it; the host does not.
    pub(crate) fn hold(&self, stream: sys::CUstream) -> Result<()> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: as above.
        check("cuStreamWaitEvent", unsafe {
            result::stream::wait_event(stream, self.0, flags)
        })
    }

    /// Whether the work before it is done.
    pub(crate) fn is_over(&self) -> bool {
        // SAFETY: an event of ours.
        unsafe { result::event::query(self.0) }.is_ok()
    }

    /// The host waits for it.
    pub(crate) fn synchronize(&self) -> Result<()> {
        // SAFETY: an event of ours.
        check("cuEventSynchronize", unsafe {
            result::event::synchronize(self.0)
        })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // SAFETY: made by `new`; what waits for it already goes on waiting.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}
